//! The metrics of what watches classifiers: shadows and drift.

use std::fmt;
use std::sync::Arc;

use pointsman_core::config::Name;
use prometheus::{Counter, Gauge, IntCounter, IntGauge};

use super::Metrics;
use super::family::Family;

/// The metrics of one classifier's shadow.
#[derive(Clone)]
pub struct ShadowMetrics {
    classifier: Name,
    scored: IntCounter,
    dropped: IntCounter,
    failed: IntCounter,
    live_cost: Counter,
    shadow_cost: Counter,
    labels: Family<IntCounter, 4>,
    agreement: Family<Gauge, 2>,
}

/// The metrics of one classifier's drift.
#[derive(Clone)]
pub struct DriftMetrics {
    classifier: Name,
    prompts: Family<IntGauge, 1>,
    psi: Family<Gauge, 2>,
}

impl Metrics {
    /// Returns the metrics of a classifier's shadow, its counters at zero.
    #[must_use]
    pub fn shadow(&self, classifier: &Name) -> ShadowMetrics {
        let prompts = |outcome: &'static str| self.shadow_prompts.with([classifier.into(), outcome.into()]);
        let cost = |choice: &'static str| self.shadow_cost.with([classifier.into(), choice.into()]);
        ShadowMetrics {
            classifier: classifier.clone(),
            scored: prompts("scored"),
            dropped: prompts("dropped"),
            failed: prompts("failed"),
            live_cost: cost("live"),
            shadow_cost: cost("shadow"),
            labels: self.shadow_labels.clone(),
            agreement: self.shadow_agreement.clone(),
        }
    }

    /// Returns the metrics of a classifier's drift, which show nothing yet.
    #[must_use]
    pub fn drift(&self, classifier: &Name) -> DriftMetrics {
        let (classifier, prompts) = (classifier.clone(), self.drift_prompts.clone());
        DriftMetrics { classifier, prompts, psi: self.drift_psi.clone() }
    }
}

impl ShadowMetrics {
    /// Counts a prompt that the shadow judged.
    pub fn scored(&self) {
        self.scored.inc();
    }

    /// Counts a sampled prompt that found the shadow or the classifier busy.
    pub fn dropped(&self) {
        self.dropped.inc();
    }

    /// Counts a prompt for which the shadow gave no scores.
    pub fn failed(&self) {
        self.failed.inc();
    }

    /// Counts what both said of a prompt, by a head's best labels, and how often they agree by now.
    pub fn compared(&self, head: &Arc<str>, live: &Arc<str>, shadow: &Arc<str>, agreement: f64) {
        self.labels.with([(&self.classifier).into(), head.into(), live.into(), shadow.into()]).inc();
        self.agreement.with([(&self.classifier).into(), head.into()]).set(agreement);
    }

    /// Adds what a prompt would have cost with the model that each would have chosen.
    pub fn paid(&self, live: f64, shadow: f64) {
        self.live_cost.inc_by(live);
        self.shadow_cost.inc_by(shadow);
    }
}

impl DriftMetrics {
    /// Shows an empty window: what was measured against another reference disappears.
    pub fn begin(&self) {
        self.psi.retain(|[name, _]| **name != *self.classifier);
        self.prompts(0);
    }

    /// Shows how many prompts are in the window.
    pub fn prompts(&self, prompts: u64) {
        self.prompts.with([(&self.classifier).into()]).set(i64::try_from(prompts).unwrap_or(i64::MAX));
    }

    /// Shows how far a signal has moved.
    pub fn psi(&self, signal: &Arc<str>, psi: f64) {
        self.psi.with([(&self.classifier).into(), signal.into()]).set(psi);
    }

    /// Shows no longer how far a signal has moved.
    pub fn forget(&self, signal: &str) {
        self.psi.retain(|[name, own]| **name != *self.classifier || **own != *signal);
    }
}

impl fmt::Debug for ShadowMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShadowMetrics").finish_non_exhaustive()
    }
}

impl fmt::Debug for DriftMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriftMetrics").finish_non_exhaustive()
    }
}
