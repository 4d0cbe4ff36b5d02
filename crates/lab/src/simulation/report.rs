//! The report of a simulation: qualities over streams, and what the bandit gives away beside others.

use pointsman_classifier::BundleIdentity;
use serde::Serialize;

use super::fitted::FittedChances;
use super::rows::SimulationRows;
use super::stream::StreamOutcome;
use super::{BLOCKS, BanditSimulation, ModelDrift};
use crate::statistics::SampleMean;

/// A mean over streams, with the 95 % interval of that mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StreamMean {
    /// The mean.
    pub mean: f64,
    /// Its lower bound.
    pub low: f64,
    /// Its upper bound.
    pub high: f64,
}

/// The regret of the bandit: how much better others' answers to the same requests are, a request; below 0 where they are
/// worse. Differences are taken within each stream.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BanditRegret {
    /// Against the best single model, known beforehand.
    pub best_single: StreamMean,
    /// Against the best model of each label, known beforehand.
    pub best_by_label: StreamMean,
    /// Against the best model for each request.
    pub oracle: StreamMean,
    /// Against `utility` over the bundle's heads; `None` without a bundle.
    pub utility: Option<StreamMean>,
}

/// What a simulation came to: qualities are means over a stream's requests, from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SimulationReport {
    /// The hash of the rows.
    pub sha256: String,
    /// The number of rows.
    pub rows: usize,
    /// The number of models.
    pub models: usize,
    /// The number of labels.
    pub labels: usize,
    /// Requests of each stream.
    pub requests: usize,
    /// The number of streams.
    pub streams: u64,
    /// The change that was put in.
    pub drift: Option<ModelDrift>,
    /// The bundle by whose heads `utility` chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundleIdentity>,
    /// The bandit's quality.
    pub bandit: StreamMean,
    /// The quality of the best single model, known beforehand.
    pub best_single: StreamMean,
    /// That model over all rows.
    pub best_single_model: String,
    /// The quality of the best model of each label, known beforehand.
    pub best_by_label: StreamMean,
    /// The quality of a model that is drawn for each request.
    pub random: StreamMean,
    /// The quality of the best model for each request.
    pub oracle: StreamMean,
    /// The quality of `utility` over the bundle's heads; `None` without a bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utility: Option<StreamMean>,
    /// The bandit's regret.
    pub regret: BanditRegret,
    /// The bandit's quality by tenths of a stream.
    pub bandit_by_tenth: Vec<f64>,
    /// The quality of the best single model by tenths of a stream.
    pub best_single_by_tenth: Vec<f64>,
    /// The quality of `utility` by tenths of a stream; empty without a bundle.
    pub utility_by_tenth: Vec<f64>,
    /// Rewards of the model that changed until its drift was noticed, the most of any stream; `None` where one stream did
    /// not notice, or nothing changed.
    pub noticed_after: Option<f64>,
    /// Streams that noticed the change.
    pub noticed: u64,
    /// Drifts that were noticed where nothing had changed, in all streams.
    pub false_alarms: u64,
}

impl StreamMean {
    fn of(values: &[f64]) -> Self {
        let SampleMean { mean, standard_error, .. } = SampleMean::of(values);
        Self { mean, low: mean - 1.96 * standard_error, high: mean + 1.96 * standard_error }
    }
}

impl SimulationReport {
    /// Sums up the streams of a simulation.
    pub(super) fn of(
        simulation: &BanditSimulation,
        rows: &SimulationRows,
        fitted: Option<FittedChances>,
        outcomes: &[StreamOutcome],
    ) -> Self {
        let mean = |of: &dyn Fn(&StreamOutcome) -> f64| StreamMean::of(&outcomes.iter().map(of).collect::<Vec<_>>());
        let regret = |of: &dyn Fn(&StreamOutcome) -> f64| mean(&|outcome| of(outcome) - outcome.bandit);
        let tenths = |of: &dyn Fn(&StreamOutcome) -> &[f64]| -> Vec<f64> {
            (0..BLOCKS).map(|block| mean(&|outcome| of(outcome)[block]).mean).collect()
        };
        let noticed: Vec<f64> = outcomes.iter().filter_map(|outcome| outcome.noticed_after).collect();
        let all_noticed = simulation.drift.is_some() && noticed.len() == outcomes.len();
        let is_fitted = fitted.is_some();
        Self {
            sha256: rows.sha256.clone(),
            rows: rows.rows.len(),
            models: rows.models.len(),
            labels: rows.labels.len(),
            requests: simulation.requests,
            streams: simulation.streams,
            drift: simulation.drift.clone(),
            bundle: fitted.map(|fitted| fitted.bundle),
            bandit: mean(&|outcome| outcome.bandit),
            best_single: mean(&|outcome| outcome.best_single),
            best_single_model: rows.models[rows.best_single()].clone(),
            best_by_label: mean(&|outcome| outcome.best_by_label),
            random: mean(&|outcome| outcome.random),
            oracle: mean(&|outcome| outcome.oracle),
            utility: is_fitted.then(|| mean(&|outcome| outcome.utility)),
            regret: BanditRegret {
                best_single: regret(&|outcome| outcome.best_single),
                best_by_label: regret(&|outcome| outcome.best_by_label),
                oracle: regret(&|outcome| outcome.oracle),
                utility: is_fitted.then(|| regret(&|outcome| outcome.utility)),
            },
            bandit_by_tenth: tenths(&|outcome| &outcome.bandit_by_block),
            best_single_by_tenth: tenths(&|outcome| &outcome.best_single_by_block),
            utility_by_tenth: if is_fitted { tenths(&|outcome| &outcome.utility_by_block) } else { Vec::new() },
            noticed_after: all_noticed.then(|| noticed.iter().copied().fold(0.0, f64::max)),
            noticed: noticed.len() as u64,
            false_alarms: outcomes.iter().map(|outcome| outcome.false_alarms).sum(),
        }
    }
}
