//! What a replay found.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::statistics::ConfidenceInterval;

/// The report of a replay: the same requests under two configurations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplayReport {
    /// Requests in the logs.
    pub requests: u64,
    /// Requests that both decided.
    pub n: u64,
    /// The share of requests that both decided.
    pub coverage: f64,
    /// Requests that would go to another model.
    pub moved: u64,
    /// The share of requests that would go to another model.
    pub moved_share: f64,
    /// The 95 % interval of that share (Wilson).
    pub moved_share_ci95: ConfidenceInterval,
    /// Requests whose scores are not to be had: another bundle and no whole text.
    pub unscored: u64,
    /// Requests that cannot be decided anew, those without scores among them, by what the log does not hold.
    pub not_replayed: BTreeMap<String, u64>,
    /// Requests that were refused when they came, beside those: nobody knows what their answers would have used.
    pub denied: u64,
    /// Lines that were passed over.
    pub passed_over: u64,
    /// Requests with tokens and prices on both sides: costs are theirs.
    pub priced: u64,
    /// The cost of the priced requests with the one configuration, in US dollars.
    pub cost_usd: f64,
    /// The cost of the priced requests with the other.
    pub cost_against_usd: f64,
    /// The difference as a share of the one; `None` when that costs nothing or none is priced.
    pub cost_increase: Option<f64>,
    /// Change of mean quality over all requests by feedback, 0 to 1; `None` when a model was never rated.
    pub quality_by_feedback: Option<f64>,
    /// The same by the head `strong_wins`; `None` when a moved request has no such score.
    pub quality_by_strong_wins: Option<f64>,
    /// By policy.
    pub policies: BTreeMap<String, ReplayPart>,
    /// By label.
    pub labels: BTreeMap<String, ReplayPart>,
    /// From one model to another, the most first.
    pub moves: Vec<ModelMove>,
}

/// Some of the requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ReplayPart {
    /// The number of requests.
    pub n: u64,
    /// The number of requests that would move.
    pub moved: u64,
    /// The cost of the priced requests now.
    pub cost_usd: f64,
    /// The cost of the priced requests with the other configuration.
    pub cost_against_usd: f64,
    /// Change of their mean quality by feedback; `None` when a model was never rated.
    pub quality_by_feedback: Option<f64>,
    /// The same by the head `strong_wins`; `None` when a moved request has no such score.
    pub quality_by_strong_wins: Option<f64>,
    /// The sum of the latter.
    #[serde(skip)]
    pub(super) gain: QualityGain,
}

/// A request that would move.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MovedRequest<'r> {
    /// The answer's `x-request-id`.
    pub request_id: &'r str,
    /// When the request was over.
    pub time: &'r str,
    /// The policy that decided.
    pub policy: &'r str,
    /// The best label, or `(none)`.
    pub label: &'r str,
    /// The model now.
    pub from: &'r str,
    /// The model then.
    pub to: &'r str,
    /// The change of its cost; `None` without tokens or prices.
    pub cost_usd: Option<f64>,
    /// The predicted change of its quality by `strong_wins`; `None` without that score.
    pub quality_by_strong_wins: Option<f64>,
}

/// A sum that is not known once one part of it is not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct QualityGain(Option<f64>);

/// Requests that would move from one model to another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelMove {
    /// The model now.
    pub from: String,
    /// The model then.
    pub to: String,
    /// The number of requests.
    pub n: u64,
    /// The change of their cost.
    pub cost_usd: f64,
}

impl QualityGain {
    pub(super) const fn sum(self) -> Option<f64> {
        self.0
    }

    pub(super) fn add(&mut self, gain: Option<f64>) {
        self.0 = self.0.zip(gain).map(|(sum, gain)| sum + gain);
    }
}

impl Default for QualityGain {
    fn default() -> Self {
        Self(Some(0.0))
    }
}
