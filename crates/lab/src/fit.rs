//! Fitting: calibrated heads from an operator's own labels or outcomes, over the frozen encoder of a bundle.
//!
//! [`Fit::run`] reads rows as `evaluate` does, embeds them once (kept on disk), cross-validates, fits on all rows and writes a
//! whole bundle that the classifier loads like any other. Near-duplicates stay on one side of every split, and the same
//! seed gives the same bytes. Refuses to learn from rows that stand in held-out sets.

mod beside;
mod bundle;
mod card;
mod examples;
mod features;
#[cfg(test)]
mod fixtures;
mod folds;
mod forest;
mod heads;
mod isotonic;
mod keep;
mod lbfgs;
mod logistic;
mod model;
mod own;
mod pool;
mod reference;
mod report;
mod sample;
mod scope;
mod task;
mod tensors;
mod train;
mod validate;
mod votes;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pointsman_classifier::{
    Bundle, BundleError, Embedder, FeatureInputs, InferenceError, Runtime, RuntimeError, SessionError,
};

use self::bundle::Content;
use self::examples::Examples;
pub use self::report::{CurvePoint, FitReport, Member, Repeats};
use self::task::Learner;
pub use self::task::{Inputs, Task};
use self::validate::Said;
pub use self::validate::{Cascade, Validation, Validations};
use crate::dataset::{DataIdentity, DatasetError};
use crate::statistics::Draws;

/// What is said of rows out of a decision log that holds no prompts.
const NO_TEXT: &str = "the rows hold no text, so there is nothing to embed (allowed: --inputs lexical, which then learns from \
     the logged features alone, or a log with `text: true`)";

/// What to fit from what.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The bundle whose encoder is used.
    pub base: PathBuf,
    /// What the rows teach.
    pub task: Task,
    /// What the heads read.
    pub inputs: Inputs,
    /// Whether the base's own heads of the task are forgotten.
    pub fresh: bool,
    /// The rows.
    pub data: PathBuf,
    /// Where the new bundle goes.
    pub out: PathBuf,
    /// Where embeddings are kept.
    pub cache: PathBuf,
    /// Labels from the lowest to the highest, where they have an order that the base does not tell; empty for none.
    pub levels: Vec<String>,
    /// Decides every draw.
    pub seed: u64,
    /// The most rows to learn from, drawn at random; the others still serve cross-validation.
    pub limit: Option<usize>,
    /// Folds of the cross-validation that is reported; 0 for none.
    pub folds: usize,
    /// Numbers of rows to cross-validate with as well, for a learning curve.
    pub curve: Vec<usize>,
}

/// How far a fit has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Embedded so many rows of so many.
    Embedded(usize, usize),
    /// Cross-validated so many folds of so many.
    Validated(usize, usize),
    /// The base learnt from the rows that are cross-validated: the figures will be too good.
    BaseSawData,
}

/// Why there is no new bundle.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// The base bundle, or the one that was written, cannot be used.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The base bundle's encoder does not start.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The rows cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The embeddings need a library that is not there.
    #[error("ONNX Runtime is missing (with `--inputs lexical` no encoder is needed)")]
    OnnxRuntime(#[from] RuntimeError),
    /// A text could not be embedded.
    #[error("a text could not be embedded")]
    Embed(#[from] InferenceError),
    /// A file cannot be read or written.
    #[error("cannot use `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing to learn from.
    #[error("`{}` holds no row to learn from", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The rows do not teach the task.
    #[error("`{}` cannot teach `{}`: {message}", path.display(), task.as_str())]
    Task {
        /// The file.
        path: PathBuf,
        /// The task.
        task: Task,
        /// What is wrong.
        message: String,
    },
}

impl Fit {
    /// Fits, validates and writes the new bundle.
    ///
    /// # Errors
    /// When a file cannot be used, or the rows do not teach the task.
    pub fn run(&self, mut progress: impl FnMut(Stage)) -> Result<FitReport, FitError> {
        let base = Bundle::open(&self.base)?;
        let mut examples = Examples::read(&self.data, self.task, &base)?;
        let is_recorded = report::mentions(&base.manifest().training, &examples.sha256);
        if self.inputs != Inputs::Lexical && examples.rows.iter().any(|row| row.text.trim().is_empty()) {
            return Err(self.refuse(NO_TEXT));
        }
        let runtime = self.inputs.embedding().then(Runtime::load).transpose()?;
        if let Some(runtime) = &runtime {
            let mut embedder = Embedder::new(&base, runtime, 1)?;
            examples.embed(&self.cache, &base, &mut embedder, |done, all| progress(Stage::Embedded(done, all)))?;
        }
        let features = features::specs(self, base.manifest(), &examples.rows)?;
        let inputs = FeatureInputs::parse("features.json", &features.0).map_err(BundleError::from)?;
        let mut learner = Learner::new(self, &base, &examples.rows, inputs)?;
        let reads_nothing_learnt = self.fresh && self.inputs == Inputs::Lexical;
        learner.knows_answers |= is_recorded && !reads_nothing_learnt;
        let base_saw_data = learner.knows_answers;
        if base_saw_data {
            progress(Stage::BaseSawData);
        }
        let learner = learner;
        let grouped: Vec<_> = learner.samples.iter().zip(&examples.rows).map(|(s, row)| (s, row.group)).collect();
        let mut validated = |fit: &Self| {
            validate::validate(fit, &learner, &grouped, &examples.rows, |done, all| {
                progress(Stage::Validated(done, all));
            })
        };
        let (cross_validation, said) = (self.folds > 1).then(|| validated(self)).unzip();
        let learning_curve = self.learning_curve(&mut validated);
        let repeats = Repeats::among(&grouped);
        let chosen = self.drawn(grouped);
        let trained = train::train(&learner, &chosen, self.seed);
        let report = FitReport {
            task: self.task,
            inputs: self.inputs,
            data: DataIdentity::new(&self.data, examples.sha256),
            base_sha256: Arc::clone(&base.identity().sha256),
            base_saw_data,
            seed: self.seed,
            n_train: chosen.len(),
            left_out: examples.left_out,
            members: Member::of(&learner, &trained),
            confidence: trained.confidence,
            cross_validation,
            learning_curve,
            repeats,
        };
        let rows = &*examples.rows;
        let content =
            Content { base: &base, learner: &learner, trained: &trained, report: &report, features, rows, runtime };
        bundle::write(self, &content)?;
        reference::write(&self.out, &learner, &examples.rows, said.as_deref())?;
        Ok(report)
    }

    fn learning_curve(&self, validated: &mut impl FnMut(&Self) -> (Validations, Vec<Said>)) -> Vec<CurvePoint> {
        let folds = self.folds.max(2);
        let point = |limit: &usize| {
            let fit = Self { limit: Some(*limit), folds, ..self.clone() };
            CurvePoint { limit: *limit, cross_validation: validated(&fit).0 }
        };
        self.curve.iter().map(point).collect()
    }

    /// Draws the rows to learn from.
    fn drawn<T>(&self, mut rows: Vec<T>) -> Vec<T> {
        if let Some(limit) = self.limit.filter(|limit| *limit < rows.len()) {
            Draws::new(self.seed).shuffle(&mut rows);
            rows.truncate(limit);
        }
        rows
    }

    fn refuse(&self, message: impl Into<String>) -> FitError {
        FitError::Task { path: self.data.clone(), task: self.task, message: message.into() }
    }
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> FitError {
    let path = path.to_owned();
    |source| FitError::File { path, source }
}
