//! The exchange of allowances with other replicas over the store.
//!
//! Each second a replica adds its changes to what the store knows, and goes by the sum. So replicas together give a few
//! answers more than one alone: those of the second in which they have not heard of each other.

use std::fmt::Write as _;
use std::time::Duration;

use pointsman_core::policy::quota::{QuotaAllowance, QuotaChange};
use sha2::{Digest, Sha256};

use super::book::AllowanceKey;
use super::{QuotaLedger, QuotaLedgers};
use crate::router::seconds;
use crate::store::{SharedStore, StoreUnavailable};

/// Allowances of a quota that are exchanged at a time; the others wait for the next.
const MOST: usize = 256;

impl QuotaLedgers {
    /// Tells the other replicas what this one has counted, and takes in what they have.
    pub(in crate::router) async fn share(&self, store: &SharedStore) {
        let ledgers: Vec<_> = self.0.load().values().flatten().cloned().collect();
        for ledger in ledgers {
            let unshared = ledger.book().take_unshared(MOST);
            let mut is_away = false;
            for (key, change) in unshared {
                if is_away || ledger.exchange(store, &key, change).await.is_err() {
                    is_away = true;
                    ledger.book().note(key, change);
                }
            }
        }
    }
}

impl QuotaLedger {
    /// Adds a change to what all replicas know of an allowance, and goes by the sum from now on.
    async fn exchange(
        &self,
        store: &SharedStore,
        key: &AllowanceKey,
        change: QuotaChange,
    ) -> Result<(), StoreUnavailable> {
        let (name, now) = (self.in_store(key), seconds());
        let before = store.get(&name).await?;
        let known: Option<QuotaAllowance> = before.as_deref().and_then(|text| serde_json::from_slice(text).ok());
        let known = known.map_or_else(|| self.quota.fresh(now), |known| self.quota.at(known, now));
        let together = self.quota.changed(known, change);
        let text = serde_json::to_vec(&together).unwrap_or_default(); // numbers with text for keys
        if !store.replace(&name, before, text, self.keep(together)).await? {
            return Err(StoreUnavailable); // another replica was faster: once more in a second
        }
        self.book().replace(&self.quota, key, together);
        Ok(())
    }

    /// Returns how long an allowance says more than a fresh one.
    fn keep(&self, allowance: QuotaAllowance) -> Duration {
        Duration::from_secs(self.quota.remembered(allowance))
    }

    fn in_store(&self, key: &AllowanceKey) -> String {
        let mut hash = Sha256::new();
        let client = key.client.as_ref().map(|client| client.as_bytes()).unwrap_or_default();
        let session = key.session.map(u64::to_le_bytes);
        for part in [client, session.as_ref().map(<[u8; 8]>::as_slice).unwrap_or_default()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let mut text = format!("quota:{}:{}:{}:", self.policy, self.quota.name(), self.quota.per().as_str());
        hash.finalize()[..16].iter().for_each(|byte| {
            write!(text, "{byte:02x}").expect("a String takes all that is written");
        });
        text
    }
}
