//! What rows teach: targets, labels, and the numbers that heads read.

use serde::Serialize;
use serde_json::json;

use super::examples::Example;
use super::logistic::{Link, Sample, Shape};
use super::{Fit, FitError};
use crate::classifier::{Block, Bundle, FeatureInputs, HeadSpec, NGRAM_PLACES};
use crate::config::Name;
use crate::evaluate::Truth;
use crate::features::{Kind, Scope, TABLE};

/// Embeddings have length 1; this gives their numbers about the size of scaled features, so that one penalty fits both.
pub(super) const EMBEDDING_NORM: f32 = 20.0;

/// The same for n-grams, which are many and rare.
pub(super) const NGRAM_SCALE: f32 = 8.0;

/// What rows teach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Which tier a prompt needs.
    Tier,
    /// Whether only the strong model answers it.
    StrongWeak,
    /// How likely each model answers it.
    Success,
    /// What it is about.
    Domain,
}

/// What heads read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Inputs {
    /// Embedding, features and n-grams.
    Full,
    /// Features and n-grams: no encoder needed.
    Lexical,
    /// Embedding and features.
    Dense,
}

/// The samples of a task and what their numbers mean.
pub(super) struct Learner {
    pub(super) samples: Vec<Sample>,
    pub(super) shape: Shape,
    /// Labels of a head over labels, models of success heads.
    pub(super) names: Vec<Name>,
    /// The base's head of this name, whose order of labels and aliases are kept.
    pub(super) template: Option<HeadSpec>,
    pub(super) features_json: Vec<u8>,
    pub(super) features: FeatureInputs,
}

impl Task {
    /// Returns its name, as on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tier => "tier",
            Self::StrongWeak => "strong_weak",
            Self::Success => "success",
            Self::Domain => "domain",
        }
    }
}

impl Inputs {
    /// Returns the blocks, in the order in which heads read them.
    #[must_use]
    pub fn blocks(self) -> Vec<Block> {
        match self {
            Self::Full => vec![Block::Embedding, Block::Features, Block::Ngrams],
            Self::Lexical => vec![Block::Features, Block::Ngrams],
            Self::Dense => vec![Block::Embedding, Block::Features],
        }
    }

    /// Returns whether the encoder is needed.
    #[must_use]
    pub const fn embedding(self) -> bool {
        matches!(self, Self::Full | Self::Dense)
    }

    const fn ngrams(self) -> bool {
        matches!(self, Self::Full | Self::Lexical)
    }
}

impl Learner {
    pub(super) fn new(fit: &Fit, base: &Bundle, rows: &[Example]) -> Result<Self, FitError> {
        let template = base.manifest().head(fit.task.as_str()).cloned();
        let names = names(fit, template.as_ref(), rows)?;
        let features_json = feature_specs(rows);
        let features = FeatureInputs::parse("features.json", &features_json)?;
        let link = if matches!(fit.task, Task::Tier | Task::Domain) { Link::Softmax } else { Link::Sigmoid };
        let outputs = if fit.task == Task::StrongWeak { 2 } else { names.len() };
        let embedding = if fit.inputs.embedding() { base.manifest().encoder.dimension } else { 0 };
        let sparse = if fit.inputs.ngrams() { NGRAM_PLACES } else { 0 };
        let shape = Shape { link, outputs, dense: embedding + features.len(), sparse };
        let mut learner = Self { samples: Vec::new(), shape, names, template, features_json, features };
        learner.samples = rows.iter().map(|row| learner.sample(fit, row)).collect::<Result<_, _>>()?;
        Ok(learner)
    }

    fn sample(&self, fit: &Fit, row: &Example) -> Result<Sample, FitError> {
        let embedding = row.embedding.iter().map(|value| value * EMBEDDING_NORM);
        let dense = embedding.chain(self.features.scale(&row.features)).collect();
        let ngrams = if fit.inputs.ngrams() { row.ngrams.entries() } else { &[] };
        let sparse = ngrams.iter().map(|(place, value)| (*place, value * NGRAM_SCALE)).collect();
        Ok(Sample { dense, sparse, target: self.target(fit, row)? })
    }

    fn target(&self, fit: &Fit, row: &Example) -> Result<Vec<f32>, FitError> {
        match (&row.truth, fit.task) {
            (Truth::Pair { strong, weak }, Task::StrongWeak) => Ok(vec![*strong as f32, *weak as f32]),
            (Truth::Models(answers), Task::Success) => {
                let score = |name: &Name| answers.get(name.as_str()).map(|answer| answer.score.clamp(0.0, 1.0) as f32);
                let scores: Option<Vec<f32>> = self.names.iter().map(score).collect();
                scores.ok_or_else(|| fit.refuse("not every row has a score of every model"))
            }
            (Truth::Label(label), Task::Tier | Task::Domain) => {
                let place = self.place(label).ok_or_else(|| fit.refuse(format!("the label `{label}` is not known")))?;
                Ok((0..self.names.len()).map(|index| f32::from(u8::from(index == place))).collect())
            }
            _ => Err(fit.refuse("the rows are of another kind")),
        }
    }

    /// Returns the place of a label.
    pub(super) fn place(&self, label: &str) -> Option<usize> {
        match &self.template {
            Some(head) => head.label(label),
            None => self.names.iter().position(|name| name.as_str() == plain(label)),
        }
    }
}

/// Returns the labels or models: those of the base's head, else what occurs in the rows, sorted.
fn names(fit: &Fit, template: Option<&HeadSpec>, rows: &[Example]) -> Result<Vec<Name>, FitError> {
    if let Some(head) = template {
        return Ok(head.labels.clone());
    }
    let mut found: Vec<String> = match (&rows[0].truth, fit.task) {
        (Truth::Models(answers), Task::Success) => answers.keys().cloned().collect(),
        (Truth::Pair { .. }, Task::StrongWeak) => vec!["weak_suffices".into(), "strong_wins".into()],
        _ => {
            rows.iter().filter_map(|row| if let Truth::Label(l) = &row.truth { Some(plain(l)) } else { None }).collect()
        }
    };
    if fit.task != Task::StrongWeak {
        found.sort_unstable();
        found.dedup();
    }
    if found.len() < 2 && fit.task != Task::Success {
        return Err(fit.refuse("fewer than two labels occur"));
    }
    found.iter().map(|name| Name::new(&name.replace('_', "-")).map_err(|message| fit.refuse(message))).collect()
}

/// Spells a label so that it is a name.
fn plain(label: &str) -> String {
    label.replace([' ', '_'], "-")
}

/// Returns a features file of every feature of prompts that varies among `rows`.
fn feature_specs(rows: &[Example]) -> Vec<u8> {
    let n = rows.len() as f64;
    let used = TABLE.iter().enumerate().filter(|(_, spec)| spec.scope == Scope::Prompt && spec.kind != Kind::Text);
    let specs: Vec<_> = used
        .filter_map(|(index, spec)| {
            let log = spec.kind == Kind::Int;
            let values = rows.iter().map(|row| row.features.number(index).unwrap_or_default());
            let values: Vec<f64> = values.map(|value| if log { value.ln_1p() } else { value }).collect();
            let mean = values.iter().sum::<f64>() / n;
            let std = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
            let transform = if log { "log1p" } else { "identity" };
            (std > 1e-6).then(|| json!({"name": spec.name, "transform": transform, "mean": mean, "std": std}))
        })
        .collect();
    serde_json::to_vec_pretty(&specs).expect("plain data")
}
