//! What replicas tell each other by the store they share.

use std::time::Duration;

use super::{Router, seconds};

/// The pause between two exchanges of what the loops of replicas know.
const SHARE: Duration = Duration::from_secs(1);

impl Router {
    /// Takes the registry of client keys over as it is now, where one is configured. Waits for the store.
    pub(crate) async fn follow_keys(&self) {
        let snapshot = self.snapshot();
        if let Some(registry) = snapshot.clients.registry() {
            registry.follow(snapshot.store.as_ref()).await;
        }
    }

    /// Exchanges with other replicas what they are to know of each other, for as long as the future is polled.
    pub async fn share(&self) {
        let settling = self.budgets.settle_in(|| self.snapshot().store.clone());
        futures::join!(settling, self.share_each_second());
    }

    /// Shares what the targets' loops, the bandits and the quotas know with other replicas, and follows the registry of
    /// client keys.
    async fn share_each_second(&self) {
        loop {
            self.follow_keys().await;
            self.budgets.show(seconds());
            let snapshot = self.snapshot();
            if let Some(store) = &snapshot.store {
                store.look();
                self.targets.share(store).await;
                self.bandits.share(store).await;
                self.quotas.share(store).await;
            }
            drop(snapshot);
            let _ = tokio::time::timeout(SHARE, self.swapped.notified()).await; // either is a reason to go on
        }
    }
}
