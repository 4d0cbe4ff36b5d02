//! The metrics of answers that are given again.

use std::fmt;
use std::time::Duration;

use pointsman_core::config::Name;
use prometheus::{Counter, Gauge, IntCounter, IntGauge};

use super::family::{Family, Registry};
use super::labels::status_class;
use super::{Metrics, RESPONSE_CACHE, definitions as define};

/// The metric families of policies' caches.
pub(super) struct ResponseCacheFamilies {
    requests: Family<IntCounter, 2>,
    saved: Family<Counter, 1>,
    entries: Family<IntGauge, 0>,
    bytes: Family<IntGauge, 0>,
}

/// The place that the answer to a request came from, of a policy with a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseCacheOutcome {
    /// A kept answer to the same request.
    Hit,
    /// A kept answer to an ask that means the same.
    Semantic,
    /// The answer to the same request that was under way.
    Joined,
    /// A model: no answer was kept.
    Miss,
    /// A model: such requests are not kept.
    Bypass,
}

/// The metrics of one policy's cache.
#[derive(Clone)]
pub struct ResponseCacheMetrics {
    requests: [IntCounter; ResponseCacheOutcome::ALL.len()],
    saved: Counter,
    baseline: Counter,
    net_savings: Gauge,
    client_savings: Family<Gauge, 1>,
    entries: IntGauge,
    bytes: IntGauge,
}

/// The cost of an answer that is given again, in US dollars.
#[derive(Debug, Clone, Copy, Default)]
pub struct SavedCost {
    /// The cost when a model gave it.
    pub dollars: f64,
    /// The cost with the policy's most expensive model.
    pub baseline: f64,
    /// The cost of judges that were asked about the request all the same.
    pub judges: f64,
}

impl ResponseCacheOutcome {
    /// Every outcome.
    pub const ALL: [Self; 5] = [Self::Hit, Self::Semantic, Self::Joined, Self::Miss, Self::Bypass];

    /// Returns the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Semantic => "semantic",
            Self::Joined => "joined",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

impl ResponseCacheFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            requests: Family::register(registry, define::RESPONSE_CACHE_REQUESTS),
            saved: Family::register(registry, define::RESPONSE_CACHE_SAVED),
            entries: Family::register(registry, define::RESPONSE_CACHE_ENTRIES),
            bytes: Family::register(registry, define::RESPONSE_CACHE_BYTES),
        }
    }
}

impl Metrics {
    /// Counts a request that ended with a kept answer.
    pub fn request_replayed(&self, policy: &Name, status: Option<u16>, took: Duration) {
        let labels = [policy.into(), RESPONSE_CACHE.into(), status_class(status).into()];
        self.request_duration.with(labels).observe(took.as_secs_f64());
    }

    /// Returns the metrics of a policy's cache, its counters at zero.
    #[must_use]
    pub fn response_cache(&self, policy: &Name) -> ResponseCacheMetrics {
        let families = &self.costs.response_cache;
        let request = |outcome: ResponseCacheOutcome| families.requests.with([policy.into(), outcome.as_str().into()]);
        ResponseCacheMetrics {
            requests: ResponseCacheOutcome::ALL.map(request),
            saved: families.saved.with([policy.into()]),
            baseline: self.costs.baseline.with([policy.into()]),
            net_savings: self.quality.net_savings.with([policy.into()]),
            client_savings: self.costs.client_savings.clone(),
            entries: families.entries.with([]),
            bytes: families.bytes.with([]),
        }
    }
}

impl ResponseCacheMetrics {
    /// Counts a request by where its answer came from.
    pub fn ended(&self, outcome: ResponseCacheOutcome) {
        self.requests[outcome as usize].inc();
    }

    /// Adds what an answer saved that no model had to give: all that it had cost, and the baseline that it is compared with.
    pub fn saved(&self, cost: SavedCost, client: Option<&Name>) {
        let SavedCost { dollars, baseline, judges } = cost;
        self.saved.inc_by(dollars);
        self.baseline.inc_by(baseline);
        self.net_savings.add(baseline);
        if let Some(client) = client {
            self.client_savings.with([client.into()]).add(baseline - judges);
        }
    }

    /// Shows what is kept.
    pub fn holds(&self, entries: usize, bytes: u64) {
        self.entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

impl fmt::Debug for ResponseCacheMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseCacheMetrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_given_again_saves_all_that_it_would_have_cost() {
        let metrics = Metrics::new();
        let name = |text| Name::new(text).expect("a name");
        let (policy, client) = (name("auto"), name("team"));
        let cache = metrics.response_cache(&policy);

        cache.ended(ResponseCacheOutcome::Joined);
        cache.saved(SavedCost { dollars: 0.25, baseline: 1.0, judges: 0.125 }, Some(&client));
        cache.holds(3, 4096);

        let text = metrics.render();
        for series in [
            r#"pointsman_response_cache_requests_total{outcome="joined",policy="auto"} 1"#,
            r#"pointsman_response_cache_requests_total{outcome="hit",policy="auto"} 0"#,
            r#"pointsman_response_cache_saved_usd_total{policy="auto"} 0.25"#,
            r#"pointsman_baseline_cost_usd_total{policy="auto"} 1"#,
            r#"pointsman_net_savings_usd{policy="auto"} 1"#,
            r#"pointsman_client_net_savings_usd{client="team"} 0.875"#,
            "pointsman_response_cache_entries 3",
            "pointsman_response_cache_bytes 4096",
        ] {
            assert!(text.contains(series), "no `{series}` in\n{text}");
        }
    }
}
