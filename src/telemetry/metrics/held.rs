//! The metrics of what policies hold: conversations to models, thresholds to targets; and of the store that replicas share.

use std::fmt;

use prometheus::{Gauge, IntCounter, IntGauge};

use super::Metrics;
use super::family::Family;
use crate::config::Name;

/// The metrics of one policy's target.
#[derive(Clone)]
pub struct TargetMetrics {
    threshold: Gauge,
    share: Gauge,
    wanted: Gauge,
    frozen: IntGauge,
    freezes: IntCounter,
}

/// The metrics of the store.
#[derive(Clone)]
pub struct StoreMetrics {
    available: IntGauge,
    errors: Family<IntCounter, 1>,
}

impl Metrics {
    /// Counts what became of the model that a request was held to.
    pub fn held(&self, policy: &Name, outcome: &'static str) {
        self.affinity.with([policy.into(), outcome.into()]).inc();
    }

    /// Starts the counters of a policy's affinity at zero.
    pub fn expect_affinity(&self, policy: &Name, outcomes: impl Iterator<Item = &'static str>) {
        for outcome in outcomes {
            self.affinity.with([policy.into(), outcome.into()]);
        }
    }

    /// Returns the metrics of a policy's target.
    #[must_use]
    pub fn target(&self, policy: &Name) -> TargetMetrics {
        TargetMetrics {
            threshold: self.threshold.with([policy.into()]),
            share: self.strong_share.with([policy.into()]),
            wanted: self.target_share.with([policy.into()]),
            frozen: self.target_frozen.with([policy.into()]),
            freezes: self.target_freezes.with([policy.into()]),
        }
    }

    /// Shows the targets of these policies only.
    pub fn set_targets(&self, policies: &[&Name]) {
        let is_known = |[policy]: &[super::family::Label; 1]| policies.iter().any(|name| ***name == **policy);
        self.threshold.retain(is_known);
        self.strong_share.retain(is_known);
        self.target_share.retain(is_known);
        self.target_frozen.retain(is_known);
        self.target_freezes.retain(is_known);
    }

    /// Returns the metrics of the store.
    #[must_use]
    pub fn store(&self) -> StoreMetrics {
        for operation in ["get", "put", "replace"] {
            self.store_errors.with([operation.into()]);
        }
        StoreMetrics { available: self.store_available.with([]), errors: self.store_errors.clone() }
    }
}

impl TargetMetrics {
    /// Shows where the threshold stands.
    pub fn stands_at(&self, threshold: f64) {
        self.threshold.set(threshold);
    }

    /// Shows which share the strong models get, and which they are to get.
    pub fn shares(&self, share: Option<f64>, wanted: Option<f64>) {
        self.share.set(share.unwrap_or_default());
        self.wanted.set(wanted.unwrap_or_default());
    }

    /// Shows whether the threshold stays where it is because the scores have drifted.
    pub fn frozen(&self, frozen: bool) {
        self.frozen.set(i64::from(frozen));
    }

    /// Counts a time that it began to stay.
    pub fn froze(&self) {
        self.freezes.inc();
    }
}

impl StoreMetrics {
    /// Shows whether the store answers.
    pub fn available(&self, available: bool) {
        self.available.set(i64::from(available));
    }

    /// Counts a command that failed, came too late, or was not even sent.
    pub fn failed(&self, operation: &'static str) {
        self.errors.with([operation.into()]).inc();
    }
}

impl fmt::Debug for TargetMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetMetrics").finish_non_exhaustive()
    }
}

impl fmt::Debug for StoreMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreMetrics").finish_non_exhaustive()
    }
}
