//! Fitting: calibrated heads from an operator's own labels or outcomes, over the frozen encoder of a bundle.
//!
//! [`Fit::run`] reads rows as `evaluate` does, embeds them once (kept on disk), cross-validates, fits on all rows and writes a
//! whole bundle that the classifier loads like any other. Near-duplicates stay on one side of every split, and the same
//! seed gives the same bytes. Refuses to learn from rows that stand in held-out sets.

mod bundle;
mod examples;
mod lbfgs;
mod logistic;
mod task;
mod train;
mod validate;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use self::examples::Examples;
use self::task::Learner;
pub use self::task::{Inputs, Task};
pub use self::validate::Validation;
use crate::classifier::{Bundle, BundleError, Embedder, InferenceError, Runtime};
use crate::evaluate::{DataIdentity, DatasetError, Draws};

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
    /// The rows.
    pub data: PathBuf,
    /// Where the new bundle goes.
    pub out: PathBuf,
    /// Where embeddings are kept.
    pub cache: PathBuf,
    /// Decides every draw.
    pub seed: u64,
    /// The most rows to learn from, drawn at random; the others still serve cross-validation.
    pub limit: Option<usize>,
    /// Folds of the cross-validation that is reported; 0 for none.
    pub folds: usize,
}

/// How far a fit has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Embedded so many rows of so many.
    Embedded(usize, usize),
    /// Cross-validated so many folds of so many.
    Validated(usize, usize),
}

/// What was fitted, and how good it is on rows that it did not see.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FitReport {
    /// What the rows taught.
    pub task: Task,
    /// What the heads read.
    pub inputs: Inputs,
    /// The rows' file.
    pub data: DataIdentity,
    /// The base bundle's manifest.
    pub base_sha256: Arc<str>,
    /// What decided every draw.
    pub seed: u64,
    /// Rows that the heads learnt from.
    pub n_train: usize,
    /// Rows left out: in held-out sets, or blank.
    pub left_out: u64,
    /// The penalty that was chosen.
    pub penalty: f64,
    /// The temperature that was chosen.
    pub temperature: f64,
    /// On rows of the other folds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_validation: Option<Validation>,
}

/// Why there is no new bundle.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// The base bundle, or the one that was written, cannot be used.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The rows cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
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
    pub fn run(&self, runtime: &Runtime, mut progress: impl FnMut(Stage)) -> Result<FitReport, FitError> {
        let base = Bundle::open(&self.base)?;
        let mut examples = Examples::read(&self.data, &base)?;
        if self.inputs != Inputs::Lexical && examples.rows.iter().any(|row| row.text.trim().is_empty()) {
            return Err(self.refuse(NO_TEXT));
        }
        if self.inputs.embedding() {
            let mut embedder = Embedder::new(&base, runtime, 1)?;
            examples.embed(&self.cache, &base, &mut embedder, |done, all| progress(Stage::Embedded(done, all)))?;
        }
        let learner = Learner::new(self, &base, &examples.rows)?;
        let grouped: Vec<_> = learner.samples.iter().zip(&examples.rows).map(|(s, row)| (s, row.group)).collect();
        let cross_validation = (self.folds > 1).then(|| {
            validate::validate(self, &learner, &grouped, &examples.rows, |done, all| {
                progress(Stage::Validated(done, all));
            })
        });
        let chosen = self.drawn(grouped);
        let trained = train::train(learner.shape, &chosen, self.seed);
        let report = FitReport {
            task: self.task,
            inputs: self.inputs,
            data: DataIdentity::new(&self.data, examples.sha256),
            base_sha256: Arc::clone(&base.identity().sha256),
            seed: self.seed,
            n_train: chosen.len(),
            left_out: examples.left_out,
            penalty: trained.penalty,
            temperature: trained.temperature,
            cross_validation,
        };
        bundle::write(self, &base, &learner, &trained, &report)?;
        Bundle::open(&self.out)?;
        Ok(report)
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
