//! The metrics of who gets the answers of strong models: quotas that are used up, and the share of each client.

use pointsman_core::config::Name;
use prometheus::IntCounter;

use super::family::{Family, Registry};
use super::{Metrics, definitions as define};

/// The metric families of quotas and of clients' strong answers.
pub(super) struct QuotaFamilies {
    hits: Family<IntCounter, 4>,
    client_answers: Family<IntCounter, 2>,
    client_strong_answers: Family<IntCounter, 2>,
}

impl QuotaFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            hits: Family::register(registry, define::QUOTA_HITS),
            client_answers: Family::register(registry, define::CLIENT_ANSWERS),
            client_strong_answers: Family::register(registry, define::CLIENT_STRONG_ANSWERS),
        }
    }
}

impl Metrics {
    /// Counts a request whose quota was used up; the labels are the policy, the quota's name, its holder and the outcome.
    pub fn quota_hit(&self, policy: &Name, quota: &Name, [per, outcome]: [&'static str; 2]) {
        self.held.quotas.hits.with([policy.into(), quota.into(), per.into(), outcome.into()]).inc();
    }

    /// Starts the counter of a quota's hits at zero.
    pub fn expect_quota(&self, policy: &Name, quota: &Name, [per, outcome]: [&'static str; 2]) {
        self.held.quotas.hits.with([policy.into(), quota.into(), per.into(), outcome.into()]);
    }

    /// Counts an answer to a client's request that a policy decided.
    pub fn client_answered(&self, client: &Name, policy: &Name) {
        self.held.quotas.client_answers.with([client.into(), policy.into()]).inc();
    }

    /// Counts such an answer that a strong model gave, beside [`Self::client_answered`].
    pub fn client_answered_strong(&self, client: &Name, policy: &Name) {
        self.held.quotas.client_strong_answers.with([client.into(), policy.into()]).inc();
    }

    /// Starts the counters of a client's answers by a policy at zero.
    pub fn expect_client_answers(&self, client: &Name, policy: &Name) {
        self.held.quotas.client_answers.with([client.into(), policy.into()]);
        self.held.quotas.client_strong_answers.with([client.into(), policy.into()]);
    }
}
