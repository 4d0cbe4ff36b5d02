//! The metrics of what answers cost: by model, by policy, by client.

use pointsman_core::config::Name;
use prometheus::{Counter, Gauge};

use super::family::{Family, Registry};
use super::response_cache::ResponseCacheFamilies;
use super::{Metrics, definitions as define, model_label};

/// The metric families of costs.
pub(super) struct CostFamilies {
    models: Family<Counter, 1>,
    policies: Family<Counter, 2>,
    clients: Family<Counter, 2>,
    pub(super) baseline: Family<Counter, 1>,
    pub(super) client_savings: Family<Gauge, 1>,
    pub(super) response_cache: ResponseCacheFamilies,
}

/// The cost of one answer, and on whose account it goes.
#[derive(Debug, Clone, Copy)]
pub struct AnswerCost<'n> {
    /// The model that answered; absent when the request passed through.
    pub model: Option<&'n Name>,
    /// The client whose key the request came with.
    pub client: Option<&'n Name>,
    /// The policy that decided, and the cost with its most expensive model.
    pub policy: Option<(&'n Name, f64)>,
    /// US dollars, 0 or more.
    pub dollars: f64,
    /// US dollars for the judges that were asked about the request.
    pub judges: f64,
}

impl CostFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            models: Family::register(registry, define::COST),
            policies: Family::register(registry, define::POLICY_COST),
            clients: Family::register(registry, define::CLIENT_COST),
            baseline: Family::register(registry, define::BASELINE_COST),
            client_savings: Family::register(registry, define::CLIENT_NET_SAVINGS),
            response_cache: ResponseCacheFamilies::register(registry),
        }
    }

    pub(super) fn expect_model(&self, model: &Name) {
        self.models.with([model.into()]);
    }
}

impl Metrics {
    /// Adds what an answer cost. What passed through has no baseline, so it counts for its client alone.
    pub fn paid(&self, cost: AnswerCost<'_>) {
        let AnswerCost { model, client, policy, dollars, judges } = cost;
        if let Some(model) = model {
            self.costs.models.with([model.into()]).inc_by(dollars);
        }
        if let Some((policy, baseline)) = policy {
            self.costs.policies.with([policy.into(), model_label(model)]).inc_by(dollars);
            self.costs.baseline.with([policy.into()]).inc_by(baseline);
            self.quality.net_savings.with([policy.into()]).add(baseline - dollars);
        }
        if let Some(client) = client {
            self.costs.clients.with([client.into(), model_label(model)]).inc_by(dollars);
            if let Some((_, baseline)) = policy {
                self.costs.client_savings.with([client.into()]).add(baseline - dollars - judges);
            }
        }
    }

    /// Starts the costs of a client at zero, for the models of the catalog and for what passes through.
    pub fn expect_client_costs<'n>(&self, client: &Name, models: impl Iterator<Item = &'n Name>) {
        for model in models.map(Some).chain([None]) {
            self.costs.clients.with([client.into(), model_label(model)]);
        }
        self.costs.client_savings.with([client.into()]);
    }
}
