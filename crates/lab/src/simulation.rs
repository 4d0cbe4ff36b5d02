//! Simulation of a policy that learns: requests are drawn from rows with outcomes of several models, a bandit chooses, and
//! learns from the quality of the model that it chose.
//!
//! The strategy and the belief are those that serve ([`pointsman_core::policy::bandit`]). Beside its quality stand what
//! the best single model, the best model of each label, a draw and an oracle would have got on the same requests.

mod rows;
mod stream;

use std::path::PathBuf;

use pointsman_core::config::{Config, ConfigProblems};
use pointsman_core::policy::PolicySet;
use serde::Serialize;

pub use self::rows::SimulationRowError;
use self::rows::SimulationRows;
use self::stream::{SimulatedStream, StreamOutcome};
use crate::statistics::SampleMean;

/// Blocks that a stream's figures are told by.
const BLOCKS: usize = 10;

/// A simulation that is to be run.
#[derive(Debug)]
pub struct BanditSimulation {
    /// JSON lines with `scores` by model.
    pub data: PathBuf,
    /// The field of the rows that stands for the classifier's label; `None` where all prompts are alike.
    pub label: Option<String>,
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
    /// The bandit's quality by tenths of a stream.
    pub bandit_by_tenth: Vec<f64>,
    /// The quality of the best single model by tenths of a stream.
    pub best_single_by_tenth: Vec<f64>,
    /// Rewards of the model that changed until its drift was noticed, the most of any stream; `None` where one stream did
    /// not notice, or nothing changed.
    pub noticed_after: Option<f64>,
    /// Streams that noticed the change.
    pub noticed: u64,
    /// Drifts that were noticed where nothing had changed, in all streams.
    pub false_alarms: u64,
}

/// Errors of a simulation.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The rows cannot be used.
    #[error(transparent)]
    Rows(#[from] SimulationRowError),
    /// The strategy's keys are wrong.
    #[error(transparent)]
    Keys(#[from] ConfigProblems),
    /// The model that is to change is none of the rows'.
    #[error("no row has scores of `{model}` (allowed: {allowed})")]
    NoModel {
        /// The model.
        model: String,
        /// The models of the rows.
        allowed: String,
    },
}

impl BanditSimulation {
    /// Runs every stream.
    ///
    /// # Errors
    /// When the rows cannot be read, or the keys of the strategy are wrong.
    pub fn run(&self) -> Result<SimulationReport, SimulationError> {
        let rows = SimulationRows::read(&self.data, self.label.as_deref())?;
        if let Some(drift) = &self.drift
            && !rows.models.contains(&drift.model)
        {
            return Err(SimulationError::NoModel { model: drift.model.clone(), allowed: rows.models.join(", ") });
        }
        let text = strategy(&rows, self.label.is_some(), &self.keys);
        let config = Config::parse(&text, "the strategy")?;
        let policies = PolicySet::compile(&config).map_err(|problems| ConfigProblems::new("the strategy", problems))?;
        let memory = config.policies[0].strategy.bandits().first().map_or(300, |bandit| bandit.memory);
        let outcomes: Vec<StreamOutcome> = (0..self.streams)
            .map(|number| {
                let stream = SimulatedStream {
                    rows: &rows,
                    policies: &policies,
                    memory: f64::from(memory),
                    requests: self.requests,
                    seed: self.seed + number,
                    drift: self.drift.as_ref(),
                };
                stream.run()
            })
            .collect();
        Ok(self.report(&rows, &outcomes))
    }

    fn report(&self, rows: &SimulationRows, outcomes: &[StreamOutcome]) -> SimulationReport {
        let mean = |of: &dyn Fn(&StreamOutcome) -> f64| StreamMean::of(&outcomes.iter().map(of).collect::<Vec<_>>());
        let tenths = |of: &dyn Fn(&StreamOutcome) -> &[f64]| {
            (0..BLOCKS).map(|block| mean(&|outcome| of(outcome)[block]).mean).collect()
        };
        let noticed: Vec<f64> = outcomes.iter().filter_map(|outcome| outcome.noticed_after).collect();
        let all_noticed = self.drift.is_some() && noticed.len() == outcomes.len();
        SimulationReport {
            sha256: rows.sha256.clone(),
            rows: rows.rows.len(),
            models: rows.models.len(),
            labels: rows.labels.len(),
            requests: self.requests,
            streams: self.streams,
            drift: self.drift.clone(),
            bandit: mean(&|outcome| outcome.bandit),
            best_single: mean(&|outcome| outcome.best_single),
            best_single_model: rows.models[rows.best_single()].clone(),
            best_by_label: mean(&|outcome| outcome.best_by_label),
            random: mean(&|outcome| outcome.random),
            oracle: mean(&|outcome| outcome.oracle),
            bandit_by_tenth: tenths(&|outcome| &outcome.bandit_by_block),
            best_single_by_tenth: tenths(&|outcome| &outcome.best_single_by_block),
            noticed_after: all_noticed.then(|| noticed.iter().copied().fold(0.0, f64::max)),
            noticed: noticed.len() as u64,
            false_alarms: outcomes.iter().map(|outcome| outcome.false_alarms).sum(),
        }
    }
}

impl StreamMean {
    fn of(values: &[f64]) -> Self {
        let SampleMean { mean, standard_error, .. } = SampleMean::of(values);
        Self { mean, low: mean - 1.96 * standard_error, high: mean + 1.96 * standard_error }
    }
}

/// Returns a configuration whose one policy is a bandit over the rows' models.
fn strategy(rows: &SimulationRows, has_labels: bool, keys: &str) -> String {
    let models: String = rows.models.iter().map(|model| format!("  '{model}': {{provider: p}}\n")).collect();
    let list = rows.models.iter().map(|model| format!("'{model}'")).collect::<Vec<_>>().join(", ");
    let classifier =
        if has_labels { format!("classifier: c, otherwise: '{}', ", rows.models[0]) } else { String::new() };
    let keys = if keys.trim().is_empty() { "lambda: 0" } else { keys };
    format!(
        "version: 1\nlisten: {{address: 127.0.0.1:8080}}\nproviders: {{p: {{base_url: http://simulated}}}}\nmodels:\n{models}\
         classifiers: {{c: {{bundle: simulated}}}}\npolicies:\n  - name: simulated\n    strategy: {{kind: bandit, \
         {classifier}models: [{list}], {keys}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Two models: `a` is right at easy rows, `b` at hard ones and at half of the easy ones.
    fn rows() -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        for number in 0..400 {
            let (task, a, b) = if number % 2 == 0 { ("easy", 1, (number / 2) % 2) } else { ("hard", 0, 1) };
            writeln!(file, r#"{{"prompt": "p{number}", "task": "{task}", "scores": {{"a": {a}, "b": {b}}}}}"#)
                .expect("a line");
        }
        file
    }

    fn simulation(data: &tempfile::NamedTempFile) -> BanditSimulation {
        BanditSimulation {
            data: data.path().to_owned(),
            label: Some("task".to_owned()),
            keys: String::new(),
            requests: 3000,
            streams: 3,
            seed: 7,
            drift: None,
        }
    }

    #[test]
    fn a_bandit_with_labels_beats_the_best_single_model_and_comes_near_the_best_of_each_label() {
        let data = rows();

        let report = simulation(&data).run().expect("rows");

        assert_eq!(report.best_single_model, "b");
        assert!(report.bandit.mean > report.best_single.mean + 0.15, "{report:?}");
        assert!(report.bandit.mean > report.best_by_label.mean - 0.04, "{report:?}");
        assert!(report.oracle.mean >= report.best_by_label.mean && report.random.mean < report.bandit.mean);
    }

    #[test]
    fn without_labels_it_comes_near_the_best_single_model() {
        let data = rows();

        let report = BanditSimulation { label: None, ..simulation(&data) }.run().expect("rows");

        assert!((report.bandit.mean - report.best_single.mean).abs() < 0.05, "{report:?}");
    }

    #[test]
    fn a_model_that_gets_worse_is_noticed_and_left() {
        let data = rows();
        let drift = Some(ModelDrift { model: "a".to_owned(), factor: 0.2 });

        let report = BanditSimulation { drift, ..simulation(&data) }.run().expect("rows");

        assert_eq!((report.noticed, report.false_alarms), (3, 0), "{report:?}");
        assert!(report.noticed_after.is_some_and(|rewards| rewards <= 300.0), "{report:?}");
        assert!(report.bandit_by_tenth[9] > 0.7, "{report:?}");
    }

    #[test]
    fn one_seed_gives_one_report() {
        let data = rows();

        assert_eq!(simulation(&data).run().expect("rows"), simulation(&data).run().expect("rows"));
    }

    #[test]
    fn rows_without_scores_and_unknown_models_and_keys_are_errors_that_say_where() {
        let mut bad = tempfile::NamedTempFile::new().expect("a file");
        writeln!(bad, "{{\"prompt\": \"p\", \"scores\": {{\"a\": 1}}}}\n{{\"prompt\": \"p\"}}").expect("lines");
        let error = BanditSimulation { label: None, ..simulation(&bad) }.run().expect_err("no scores");
        assert!(error.to_string().contains("line 2"), "{error}");

        let data = rows();
        let drift = Some(ModelDrift { model: "c".to_owned(), factor: 0.0 });
        let error = BanditSimulation { drift, ..simulation(&data) }.run().expect_err("no such model");
        assert!(error.to_string().contains("allowed: a, b"), "{error}");

        let keys = "memoria: 3".to_owned();
        assert!(BanditSimulation { keys, ..simulation(&data) }.run().is_err());
    }
}
