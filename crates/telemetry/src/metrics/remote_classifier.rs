//! The metrics of classifiers that run elsewhere.

use std::fmt;
use std::time::Duration;

use pointsman_core::config::Name;
use prometheus::{Histogram, IntCounter};

use super::family::{Family, Registry};
use super::{Metrics, definitions as define};

/// The metric families of remote classifiers, all of them together.
pub(super) struct RemoteClassifierFamilies {
    requests: Family<IntCounter, 2>,
    seconds: Family<Histogram, 1>,
    hedges: Family<IntCounter, 2>,
}

/// The metrics of one remote classifier.
#[derive(Clone)]
pub struct RemoteClassifierMetrics {
    name: Name,
    requests: Family<IntCounter, 2>,
    seconds: Histogram,
    hedges: [IntCounter; HedgeOutcome::ALL.len()],
}

/// The outcome of a second request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HedgeOutcome {
    /// The second request was answered first.
    Won,
    /// The first request was answered before the second.
    Lost,
    /// The second request failed.
    Failed,
    /// No second request was sent: too many were lately.
    OverBudget,
}

impl HedgeOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Won, Self::Lost, Self::Failed, Self::OverBudget];

    /// Returns the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Failed => "failed",
            Self::OverBudget => "over_budget",
        }
    }
}

impl RemoteClassifierFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            requests: Family::register(registry, define::REMOTE_REQUESTS),
            seconds: Family::register(registry, define::REMOTE_TIME),
            hedges: Family::register(registry, define::REMOTE_HEDGES),
        }
    }
}

impl Metrics {
    /// Returns the metrics of a remote classifier.
    #[must_use]
    pub fn remote_classifier(&self, name: &Name) -> RemoteClassifierMetrics {
        let RemoteClassifierFamilies { requests, seconds, hedges } = &self.remote_classifiers;
        requests.with([name.into(), "answered".into()]);
        RemoteClassifierMetrics {
            name: name.clone(),
            requests: requests.clone(),
            seconds: seconds.with([name.into()]),
            hedges: HedgeOutcome::ALL.map(|outcome| hedges.with([name.into(), outcome.as_str().into()])),
        }
    }
}

impl RemoteClassifierMetrics {
    /// Counts a request that was answered, and how long that took.
    pub fn answered(&self, took: Duration) {
        self.count("answered");
        self.seconds.observe(took.as_secs_f64());
    }

    /// Counts a request that was not answered, by reason.
    pub fn failed(&self, reason: &'static str) {
        self.count(reason);
    }

    /// Counts a request that took longer than most.
    pub fn hedged(&self, outcome: HedgeOutcome) {
        self.hedges[outcome as usize].inc();
    }

    fn count(&self, outcome: &'static str) {
        self.requests.with([(&self.name).into(), outcome.into()]).inc();
    }
}

impl fmt::Debug for RemoteClassifierMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteClassifierMetrics").finish_non_exhaustive()
    }
}
