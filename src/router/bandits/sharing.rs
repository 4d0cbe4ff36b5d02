//! What replicas know together, in a store: every second each adds its news, and goes by what all know.
//!
//! A sum is written only over the one that it was reckoned from. News that the store did not take is told the next
//! time, a reset as well: until every replica can hear of it, it is not over.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use pointsman_core::policy::bandit::{BanditBelief, RewardTally};

use super::PolicyBandit;
use crate::store::SharedStore;

/// The time that the store keeps what is known of traffic that has ended.
const KEEP: Duration = Duration::from_hours(24 * 30);

/// The news of a bandit that other replicas do not know yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct UnsharedNews {
    rewards: RewardTally,
    /// The models whose answers are rated otherwise than before.
    doubted: BTreeSet<usize>,
    /// True after a reset: what the store has is to go.
    is_reset: bool,
}

/// One telling of news: they are on their way to the store.
#[derive(Debug)]
pub(super) struct SharingRound {
    pub(super) news: UnsharedNews,
    /// The belief with these news in it, and no others.
    own: Arc<BanditBelief>,
    /// The resets until then.
    resets: u64,
}

impl UnsharedNews {
    /// Returns the news that all is to be forgotten.
    pub(super) fn of_reset() -> Self {
        Self { is_reset: true, ..Self::default() }
    }

    /// Adds rewards, and the model that was doubted for them.
    pub(super) fn add(&mut self, rewards: &RewardTally, doubted: Option<usize>) {
        self.rewards.join(rewards);
        self.doubted.extend(doubted);
    }

    fn is_empty(&self) -> bool {
        self.rewards.is_empty() && self.doubted.is_empty() && !self.is_reset
    }

    /// Adds news that came later.
    fn join(&mut self, later: &Self) {
        self.rewards.join(&later.rewards);
        self.doubted.extend(&later.doubted);
        self.is_reset |= later.is_reset;
    }

    fn tell(&self, belief: &mut BanditBelief, memory: f64) {
        belief.learn(&self.rewards, memory);
        self.doubted.iter().for_each(|arm| belief.doubt(*arm));
    }
}

impl PolicyBandit {
    /// Tells the other replicas the news, and goes by what all know from then on.
    pub(super) async fn share(&self, store: &SharedStore) {
        let Ok(before) = store.get(&self.key()).await else { return };
        let shared: Option<BanditBelief> = before.as_deref().and_then(|text| serde_json::from_slice(text).ok());
        let round = self.begin_round();
        let together = self.together(shared, &round);
        let is_told = (before.is_some() && round.news.is_empty()) || {
            // Numbers, with text for keys.
            let text = serde_json::to_vec(&together).unwrap_or_default();
            store.replace(&self.key(), before, text, KEEP).await == Ok(true)
        };
        self.end_round(round, is_told.then_some(together));
    }

    /// Takes the news out, to be told.
    pub(super) fn begin_round(&self) -> SharingRound {
        let mut inner = self.inner();
        SharingRound { news: mem::take(&mut inner.unshared), own: self.belief.load_full(), resets: inner.resets }
    }

    /// Returns what all know, with the news: what the store has, or what this replica knows where it has nothing, or is
    /// to forget it.
    pub(super) fn together(&self, shared: Option<BanditBelief>, round: &SharingRound) -> BanditBelief {
        match shared.filter(|_| !round.news.is_reset) {
            Some(mut shared) => {
                round.news.tell(&mut shared, self.inner().terms.memory);
                shared
            }
            None => BanditBelief::clone(&round.own),
        }
    }

    /// Goes by what was `told` from now on; what could not be told is kept for the next time. After a reset all of it is
    /// to be forgotten.
    pub(super) fn end_round(&self, round: SharingRound, told: Option<BanditBelief>) {
        let mut inner = self.inner();
        if inner.resets != round.resets {
            return;
        }
        let Some(mut together) = told else {
            let later = mem::replace(&mut inner.unshared, round.news);
            inner.unshared.join(&later);
            return;
        };
        inner.unshared.tell(&mut together, inner.terms.memory); // came in while the store was asked
        for (label, arms) in together.labels() {
            for (model, counts) in self.models.iter().zip(arms) {
                self.metrics.believes(label, model, counts.chance().0);
            }
        }
        self.belief.store(Arc::new(together));
    }

    fn key(&self) -> String {
        format!("bandit:{}:{}", self.policy, self.identity)
    }
}
