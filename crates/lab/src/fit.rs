//! Fitting: calibrated heads from an operator's own labels or outcomes, over the frozen encoder of a bundle.
//!
//! ```text
//! data file ─► Examples ─► training set ─► learners, out-of-fold logits ─► mixtures ─► heads ─► bundle
//!    rows       embedded     samples          cross-fitted                  calibrated
//! ```
//!
//! [`FitRequest::run`] reads rows as `evaluate` does, embeds them once (kept on disk), cross-validates, fits on all
//! rows and writes a whole bundle that the classifier loads like any other. Near-duplicates stay on one side of every
//! split, and the same seed gives the same bytes. Refuses to learn from rows that stand in held-out sets.

mod bundle;
mod calibration;
mod cross_validation;
mod early_exit;
mod features;
#[cfg(test)]
mod fixtures;
mod folds;
mod heads;
mod leakage;
mod learners;
mod loss;
mod outputs;
mod report;
mod rows;
mod sample;
mod stacking;
mod task;
mod training;
mod training_set;
mod weighting;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pointsman_classifier::{
    Bundle, BundleError, Embedder, FeatureInputs, InferenceError, OnnxRuntime, OnnxRuntimeError, SessionError,
};

use self::bundle::{BundleContents, reference};
pub use self::cross_validation::{CascadeValidation, FormValidations, Validation};
use self::cross_validation::{HeldOutScores, RowData, validate};
use self::features::{FeaturesFile, features_file};
pub use self::report::{DuplicateAgreement, FitReport, LearningCurvePoint, MixtureMemberReport};
use self::rows::TrainingRows;
pub use self::task::{FitInputs, FitTask, LevelLoss};
use self::training::train;
use self::training_set::TrainingSet;
pub use self::weighting::ClassWeights;
use crate::dataset::{DataIdentity, DatasetError};
use crate::statistics::RandomDraws;

/// The refusal of rows out of a decision log that holds no prompts.
const NO_TEXT: &str = "the rows hold no text, so there is nothing to embed (allowed: --inputs lexical, which then learns from \
     the logged features alone, or a log with `text: true`)";

/// A fit: the base, the rows, the task and the new bundle.
#[derive(Debug, Clone)]
pub struct FitRequest {
    /// The bundle whose encoder is used.
    pub base: PathBuf,
    /// The task that the rows teach.
    pub task: FitTask,
    /// The inputs of the heads.
    pub inputs: FitInputs,
    /// True to forget the base's own heads of the task.
    pub fresh: bool,
    /// True to keep the gate of the base's head: it leaves prompts that it does not know to another head.
    pub keep_gate: bool,
    /// The rows.
    pub data: PathBuf,
    /// The folder of the new bundle.
    pub out: PathBuf,
    /// The folder of the embeddings' cache.
    pub cache: PathBuf,
    /// Labels from the lowest to the highest, where they have an order that the base does not tell; empty for none.
    pub levels: Vec<String>,
    /// The weights of labels.
    pub class_weights: ClassWeights,
    /// The loss by which regressions over levels learn.
    pub loss: LevelLoss,
    /// The key of the rows' weights, which some row must have; `None` for `weight`, which rows may have.
    pub sample_weights: Option<String>,
    /// The seed of every draw.
    pub seed: u64,
    /// The most rows to learn from, drawn at random; the others still serve cross-validation.
    pub limit: Option<usize>,
    /// Folds of the cross-validation that is reported; 0 for none.
    pub folds: usize,
    /// Numbers of rows to cross-validate with as well, for a learning curve.
    pub curve: Vec<usize>,
}

/// Progress of a fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FitProgress {
    /// Embedded so many rows of so many.
    Embedded(usize, usize),
    /// Cross-validated so many folds of so many.
    Validated(usize, usize),
    /// The base learnt from the rows that are cross-validated: the figures will be too good.
    BaseSawData,
}

/// Errors that leave no new bundle.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
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
    OnnxRuntime(#[from] OnnxRuntimeError),
    /// A text could not be embedded.
    #[error("a text could not be embedded")]
    Embed(#[from] InferenceError),
    /// A file cannot be read or written.
    #[error("cannot use `{}`", path.display())]
    File { path: PathBuf, source: io::Error },
    /// There is nothing to learn from.
    #[error("`{}` holds no row to learn from", path.display())]
    Empty { path: PathBuf },
    /// All rows are kept to measure with.
    #[error("`{}` holds no row to learn from: {held_out} rows are of the split `held_out`, which nothing learns from", path.display())]
    HeldOut { path: PathBuf, held_out: u64 },
    /// The rows do not teach the task.
    #[error("`{}` cannot teach `{}`: {message}", path.display(), task.as_str())]
    Task { path: PathBuf, task: FitTask, message: String },
}

impl FitRequest {
    /// Fits, validates and writes the new bundle.
    ///
    /// # Errors
    /// When a file cannot be used, or the rows do not teach the task.
    pub fn run(&self, mut progress: impl FnMut(FitProgress)) -> Result<FitReport, FitError> {
        let base = Bundle::open(&self.base)?;
        let (examples, runtime) = self.read_rows(&base, &mut progress)?;
        let features = features_file(self, base.manifest(), &examples.rows)?;
        let set = self.training_set(&base, &examples, &features)?;
        if set.knows_answers {
            progress(FitProgress::BaseSawData);
        }
        let grouped: Vec<_> = set.samples.iter().zip(&examples.rows).map(|(s, row)| (s, row.group)).collect();
        let data = RowData { rows: &grouped, examples: &examples.rows };
        let mut validated =
            |fit: &Self| validate(fit, &set, data, |done, all| progress(FitProgress::Validated(done, all)));
        let (cross_validation, held_out) = (self.folds > 1).then(|| validated(self)).unzip();
        let learning_curve = self.learning_curve(&mut validated);
        let chosen = self.drawn(grouped.clone());
        let trained = train(&set, &chosen, self.seed);
        let report = FitReport {
            task: self.task,
            inputs: self.inputs,
            class_weights: set.class_weights,
            loss: set.loss,
            weighted_rows: examples.weighted,
            data: DataIdentity::new(&self.data, examples.sha256),
            base_sha256: Arc::clone(&base.identity().sha256),
            base_saw_data: set.knows_answers,
            seed: self.seed,
            n_train: chosen.len(),
            left_out: examples.left_out,
            held_out: examples.held_out,
            members: MixtureMemberReport::of(&set, &trained),
            confidence: trained.confidence,
            cross_validation,
            learning_curve,
            repeats: DuplicateAgreement::among(&grouped),
        };
        let rows = &*examples.rows;
        let content =
            BundleContents { base: &base, set: &set, trained: &trained, report: &report, features, rows, runtime };
        bundle::write(self, &content)?;
        reference::write(&self.out, &set, rows, held_out.as_deref())?;
        Ok(report)
    }

    /// Reads the rows, and embeds them where heads read embeddings.
    fn read_rows(
        &self,
        base: &Bundle,
        progress: &mut impl FnMut(FitProgress),
    ) -> Result<(TrainingRows, Option<Arc<OnnxRuntime>>), FitError> {
        let mut examples = TrainingRows::read(self, base)?;
        if self.inputs != FitInputs::Lexical && examples.rows.iter().any(|row| row.text.trim().is_empty()) {
            return Err(self.refuse(NO_TEXT));
        }
        let runtime = self.inputs.embedding().then(OnnxRuntime::load).transpose()?;
        if let Some(runtime) = &runtime {
            let mut embedder = Embedder::new(base, runtime, 1)?;
            examples.embed(&self.cache, base, &mut embedder, |done, all| progress(FitProgress::Embedded(done, all)))?;
        }
        Ok((examples, runtime))
    }

    fn training_set(
        &self,
        base: &Bundle,
        examples: &TrainingRows,
        features: &FeaturesFile,
    ) -> Result<TrainingSet, FitError> {
        let inputs = FeatureInputs::parse("features.json", &features.bytes).map_err(BundleError::from)?;
        let mut set = TrainingSet::new(self, base, &examples.rows, inputs)?;
        let is_recorded = base.manifest().was_trained_on(&examples.sha256);
        let reads_nothing_learnt = self.fresh && self.inputs == FitInputs::Lexical;
        set.knows_answers |= is_recorded && !reads_nothing_learnt;
        Ok(set)
    }

    fn learning_curve(
        &self,
        validated: &mut impl FnMut(&Self) -> (FormValidations, Vec<HeldOutScores>),
    ) -> Vec<LearningCurvePoint> {
        let folds = self.folds.max(2);
        let point = |limit: &usize| {
            let fit = Self { limit: Some(*limit), folds, ..self.clone() };
            LearningCurvePoint { limit: *limit, cross_validation: validated(&fit).0 }
        };
        self.curve.iter().map(point).collect()
    }

    /// Draws the rows to learn from.
    fn drawn<T>(&self, mut rows: Vec<T>) -> Vec<T> {
        if let Some(limit) = self.limit.filter(|limit| *limit < rows.len()) {
            RandomDraws::new(self.seed).shuffle(&mut rows);
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
