//! The metrics of what policies hold: conversations to models, thresholds to targets; of state that providers keep; and
//! of the store that replicas share.

use std::fmt;

use pointsman_core::config::Name;
use prometheus::{Gauge, IntCounter, IntGauge};

use super::budgets::BudgetFamilies;
use super::family::{Family, Registry};
use super::quotas::QuotaFamilies;
use super::{Metrics, definitions as define};

/// The metric families of pins, thresholds, targets and the store.
pub(super) struct PolicyStateFamilies {
    affinity: Family<IntCounter, 2>,
    state: Family<IntCounter, 2>,
    threshold: Family<Gauge, 1>,
    strong_share: Family<Gauge, 1>,
    target_share: Family<Gauge, 1>,
    target_frozen: Family<IntGauge, 1>,
    target_freezes: Family<IntCounter, 1>,
    store_available: Family<IntGauge, 0>,
    store_errors: Family<IntCounter, 1>,
    pub(super) quotas: QuotaFamilies,
    pub(super) budgets: BudgetFamilies,
}

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

impl PolicyStateFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            affinity: Family::register(registry, define::AFFINITY),
            state: Family::register(registry, define::STATE),
            threshold: Family::register(registry, define::THRESHOLD),
            strong_share: Family::register(registry, define::STRONG_SHARE),
            target_share: Family::register(registry, define::TARGET_SHARE),
            target_frozen: Family::register(registry, define::TARGET_FROZEN),
            target_freezes: Family::register(registry, define::TARGET_FREEZES),
            store_available: Family::register(registry, define::STORE_AVAILABLE),
            store_errors: Family::register(registry, define::STORE_ERRORS),
            quotas: QuotaFamilies::register(registry),
            budgets: BudgetFamilies::register(registry),
        }
    }
}

impl Metrics {
    /// Counts what a policy did with the model that a request was pinned to.
    pub fn held(&self, policy: &Name, outcome: &'static str) {
        self.held.affinity.with([policy.into(), outcome.into()]).inc();
    }

    /// Counts a request that names state of this kind, by what is known of its keeper.
    pub fn state_named(&self, kind: &'static str, outcome: &'static str) {
        self.held.state.with([kind.into(), outcome.into()]).inc();
    }

    /// Starts the counters of a kind of state at zero.
    pub fn expect_state(&self, kind: &'static str, outcomes: impl Iterator<Item = &'static str>) {
        for outcome in outcomes {
            self.held.state.with([kind.into(), outcome.into()]);
        }
    }

    /// Starts the counters of a policy's affinity at zero.
    pub fn expect_affinity(&self, policy: &Name, outcomes: impl Iterator<Item = &'static str>) {
        for outcome in outcomes {
            self.held.affinity.with([policy.into(), outcome.into()]);
        }
    }

    /// Returns the metrics of a policy's target.
    #[must_use]
    pub fn target(&self, policy: &Name) -> TargetMetrics {
        TargetMetrics {
            threshold: self.held.threshold.with([policy.into()]),
            share: self.held.strong_share.with([policy.into()]),
            wanted: self.held.target_share.with([policy.into()]),
            frozen: self.held.target_frozen.with([policy.into()]),
            freezes: self.held.target_freezes.with([policy.into()]),
        }
    }

    /// Shows the targets of these policies only.
    pub fn set_targets(&self, policies: &[&Name]) {
        let is_known = |[policy]: &[super::family::LabelValue; 1]| policies.iter().any(|name| ***name == **policy);
        self.held.threshold.retain(is_known);
        self.held.strong_share.retain(is_known);
        self.held.target_share.retain(is_known);
        self.held.target_frozen.retain(is_known);
        self.held.target_freezes.retain(is_known);
    }

    /// Returns the metrics of the store.
    #[must_use]
    pub fn store(&self) -> StoreMetrics {
        for operation in ["get", "put", "replace", "script"] {
            self.held.store_errors.with([operation.into()]);
        }
        StoreMetrics { available: self.held.store_available.with([]), errors: self.held.store_errors.clone() }
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

    /// Counts one start of a freeze.
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
