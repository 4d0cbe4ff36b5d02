//! The allowances of quotas: this process's memory of them, bounded, and what of it other replicas are told.
//!
//! They outlive reloads: a reload is no way to a fresh allowance. Each client has one, and each session of a client, up
//! to `max_sessions`; sessions beyond share their client's. So who makes up sessions gets no more memory, and in the end
//! no more answers.

mod book;
mod claim;
mod sharing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use pointsman_core::config::{Name, QuotaHolder};
use pointsman_core::policy::quota::{PolicyQuota, QuotaChange};
use pointsman_core::policy::{Denial, QuotaOutcome, QuotaTrace};
use pointsman_telemetry::Metrics;

use self::book::{AllowanceBook, AllowanceKey};
pub(super) use self::claim::ClaimingDecision;
pub use self::claim::QuotaClaim;
pub(crate) use self::claim::SubstituteRule;
use crate::snapshot::Snapshot;

/// The ledgers of every policy with quotas, in the order of the policy's quotas. Outlives reloads.
#[derive(Default)]
pub(super) struct QuotaLedgers(ArcSwap<BTreeMap<Name, Vec<Arc<QuotaLedger>>>>);

/// One quota, and the allowances of its holders.
pub(super) struct QuotaLedger {
    policy: Name,
    quota: PolicyQuota,
    /// Passed on to the ledger that a reload makes of the same quota.
    book: Arc<Mutex<AllowanceBook>>,
    /// Tells whether other replicas are to hear of changes.
    is_shared: bool,
}

/// The holder of a request's allowances.
#[derive(Debug, Clone)]
pub(super) struct QuotaParty {
    pub(super) client: Option<Name>,
    /// The number that the requests of its session have in common.
    pub(super) session: u64,
}

impl QuotaLedgers {
    /// Makes the ledgers of `snapshot`. A quota keeps its allowances as long as its policy, name and holder stay.
    pub(super) fn adopt(&self, snapshot: &Snapshot, metrics: &Metrics) {
        let before = self.0.load_full();
        let with_quotas = snapshot.policies.iter().filter(|policy| !policy.quotas().is_empty());
        let next: BTreeMap<_, _> = with_quotas
            .map(|policy| {
                let known = before.get(policy.name()).map(Vec::as_slice).unwrap_or_default();
                let ledger = |quota: &PolicyQuota| {
                    let is_same =
                        |own: &&Arc<QuotaLedger>| own.quota.name() == quota.name() && own.quota.per() == quota.per();
                    let book = known.iter().find(is_same).map(|own| Arc::clone(&own.book)).unwrap_or_default();
                    let is_shared = snapshot.store.is_some();
                    Arc::new(QuotaLedger { policy: policy.name().clone(), quota: quota.clone(), book, is_shared })
                };
                (policy.name().clone(), policy.quotas().iter().map(ledger).collect::<Vec<_>>())
            })
            .collect();
        for own in next.values().flatten() {
            own.book().keep_clients(|client| snapshot.clients.named(client).is_some());
            for outcome in QuotaOutcome::ALL {
                let labels = [own.quota.per().as_str(), outcome.as_str()];
                metrics.expect_quota(&own.policy, own.quota.name(), labels);
            }
        }
        self.0.store(Arc::new(next));
    }

    /// Returns whether `party` has used up the quota at a position of a policy.
    pub(super) fn is_used_up(&self, policy: &Name, quota: usize, party: &QuotaParty, now: u64) -> bool {
        let ledgers = self.0.load();
        let own = ledgers.get(policy).and_then(|own| own.get(quota));
        own.is_some_and(|own| !own.quota.is_left(own.book().find(&own.quota, &own.key(party), now)))
    }

    fn of(&self, policy: &Name) -> Vec<Arc<QuotaLedger>> {
        self.0.load().get(policy).cloned().unwrap_or_default()
    }
}

impl QuotaLedger {
    fn book(&self) -> MutexGuard<'_, AllowanceBook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, party: &QuotaParty) -> AllowanceKey {
        let session = match self.quota.per() {
            QuotaHolder::Client => None,
            QuotaHolder::Session => Some(party.session),
        };
        AllowanceKey { client: party.client.clone(), session }
    }

    fn change(&self, party: &QuotaParty, change: QuotaChange, now: u64) {
        let mut book = self.book();
        let key = book.change(&self.quota, self.key(party), change, now);
        if self.is_shared {
            book.note(key, change);
        }
    }

    /// Takes what a decision reserves, if a strong answer is left; returns whether there was.
    fn take(&self, party: &QuotaParty, change: QuotaChange, now: u64) -> bool {
        let mut book = self.book();
        let key = self.key(party);
        if !self.quota.is_left(book.find(&self.quota, &key, now)) {
            return false;
        }
        let key = book.change(&self.quota, key, change, now);
        if self.is_shared {
            book.note(key, change);
        }
        true
    }
}

/// Counts that a quota was used up, if one was.
pub(super) fn count(metrics: &Metrics, policy: &Name, trace: Option<&QuotaTrace>) {
    if let Some(QuotaTrace { name, per, outcome }) = trace {
        metrics.quota_hit(policy, name, [per.as_str(), outcome.as_str()]);
    }
}

/// Counts the refusal of a request by a quota that was used up.
pub(super) fn count_denial(metrics: &Metrics, denial: &Denial) {
    if let Some(policy) = &denial.policy {
        count(metrics, policy, denial.quota.as_ref());
    }
}

impl std::fmt::Debug for QuotaLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QuotaLedger")
            .field("policy", &self.policy)
            .field("quota", self.quota.name())
            .finish_non_exhaustive()
    }
}
