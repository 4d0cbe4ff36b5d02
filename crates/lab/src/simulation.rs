//! Simulation of a policy that learns: requests are drawn from rows with outcomes of several models, a bandit chooses, and
//! learns from the quality of the model that it chose.
//!
//! The strategy and the belief are those that serve ([`pointsman_core::policy::bandit`]). Beside its quality stand what
//! the best single model, the best model of each label, a draw and an oracle would have got on the same requests, and what
//! `utility` would over heads that were fitted on other rows.

mod fitted;
mod report;
mod rows;
mod stream;

use std::path::PathBuf;

use pointsman_classifier::{ClassifierError, OnnxRuntimeError};
use pointsman_core::config::{Config, ConfigProblems, Name};
use pointsman_core::policy::PolicySet;
use serde::Serialize;

use self::fitted::FittedChances;
pub use self::report::{BanditRegret, SimulationReport, StreamMean};
pub use self::rows::SimulationRowError;
use self::rows::SimulationRows;
use self::stream::{SimulatedStream, StreamOutcome};

/// Blocks that a stream's figures are told by.
const BLOCKS: usize = 10;

/// The name of the classifier whose labels and heads strategies read.
const CLASSIFIER: &str = "c";

/// A simulation that is to be run.
#[derive(Debug)]
pub struct BanditSimulation {
    /// JSON lines with `scores` by model.
    pub data: PathBuf,
    /// The field of the rows that stands for the classifier's label; `None` where all prompts are alike.
    pub label: Option<String>,
    /// The folder of a bundle with heads `success/MODEL`, by which `utility` chooses and a bandit may start; `None` without
    /// either.
    pub bundle: Option<PathBuf>,
    /// Keys of the strategy `bandit` beside its models, as YAML.
    pub keys: String,
    /// Requests of each stream.
    pub requests: usize,
    /// Streams, each of a seed of its own.
    pub streams: u64,
    /// The seed of the first stream.
    pub seed: u64,
    /// The change of a model in the middle of each stream.
    pub drift: Option<ModelDrift>,
}

/// A model whose answers change in the middle of a stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelDrift {
    /// The model.
    pub model: String,
    /// What its quality is multiplied by from then on.
    pub factor: f64,
}

/// Errors of a simulation.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum SimulationError {
    /// The rows cannot be used.
    #[error(transparent)]
    Rows(#[from] SimulationRowError),
    /// The strategy's keys are wrong.
    #[error(transparent)]
    Keys(#[from] ConfigProblems),
    /// The model that is to change is none of the rows'.
    #[error("no row has scores of `{model}` (allowed: {allowed})")]
    NoModel { model: String, allowed: String },
    /// The bundle cannot be used.
    #[error(transparent)]
    Bundle(#[from] ClassifierError),
    /// ONNX Runtime is missing, and rows must be scored.
    #[error("ONNX Runtime is missing")]
    OnnxRuntime(#[from] OnnxRuntimeError),
    /// The bundle has no chances of a model.
    #[error("the bundle `{}` has no head `{head}`, which `fit --task success` makes (it has: {allowed})", bundle.display())]
    NoHead { bundle: PathBuf, head: String, allowed: String },
    /// The bundle learnt from the rows.
    #[error("the bundle `{}` learnt from these rows (sha256 {sha256}): fit on others", bundle.display())]
    Learnt { bundle: PathBuf, sha256: String },
    /// A row has no scores.
    #[error("line {line}: no scores of the bundle ({reason})")]
    Unscored { line: usize, reason: String },
}

impl BanditSimulation {
    /// Runs every stream.
    ///
    /// # Errors
    /// When the rows cannot be read, the keys of the strategy are wrong, or the bundle cannot score the rows or knows them.
    pub async fn run(&self) -> Result<SimulationReport, SimulationError> {
        let rows = SimulationRows::read(&self.data, self.label.as_deref())?;
        if let Some(drift) = &self.drift
            && !rows.models.contains(&drift.model)
        {
            return Err(SimulationError::NoModel { model: drift.model.clone(), allowed: rows.models.join(", ") });
        }
        let config = Config::parse(&rows.configuration(&self.strategy(&rows)), "the strategy")?;
        let policies = PolicySet::compile(&config).map_err(|problems| ConfigProblems::new("the strategy", problems))?;
        let memory = config.policies[0].strategy.bandits().first().map_or(300, |bandit| bandit.memory);
        let fitted = match &self.bundle {
            Some(folder) => Some(FittedChances::of(folder, &rows).await?),
            None => None,
        };
        let outcomes: Vec<StreamOutcome> = (0..self.streams)
            .map(|number| {
                let stream = SimulatedStream {
                    rows: &rows,
                    fitted: fitted.as_ref(),
                    policies: &policies,
                    memory: f64::from(memory),
                    requests: self.requests,
                    seed: self.seed + number,
                    drift: self.drift.as_ref(),
                };
                stream.run()
            })
            .collect();
        Ok(SimulationReport::of(self, &rows, fitted, &outcomes))
    }

    /// Returns the keys of the strategy `bandit`, but for its models.
    fn strategy(&self, rows: &SimulationRows) -> String {
        let has_classifier = self.label.is_some() || self.bundle.is_some();
        let otherwise = &rows.models[0];
        let classifier = if has_classifier {
            format!("classifier: {CLASSIFIER}, otherwise: '{otherwise}', ")
        } else {
            String::new()
        };
        let keys = if self.keys.trim().is_empty() { "lambda: 0" } else { &self.keys };
        format!("kind: bandit, {classifier}{keys}")
    }
}

/// Returns the name of the classifier whose labels and heads strategies read.
fn classifier() -> Name {
    Name::new(CLASSIFIER).expect("a letter is a name")
}

#[cfg(test)]
mod tests;
