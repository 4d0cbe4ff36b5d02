//! The training set: samples of a task, with the labels of its heads and the meaning of its numbers.

mod base_heads;
mod vocabulary;

use pointsman_classifier::{Bundle, FeatureInputs, GateSpec, HeadSpec, InputBlock};
use pointsman_core::config::Name;

use self::base_heads::BaseHeads;
use self::vocabulary::NgramVocabulary;
use super::rows::TrainingRow;
use super::sample::{InputSpan, TrainingSample};
use super::task::{FitInputs, FitTask, HeadForm, LearningGoal, LevelLoss};
use super::weighting::{ClassWeights, RowWeight};
use super::{FitError, FitRequest, leakage};
use crate::dataset::GroundTruth;

/// Embeddings have length 1; this gives their numbers about the size of scaled features, so that one penalty fits both.
pub(super) const EMBEDDING_NORM: f32 = 20.0;

/// The longest name of a model that heads have: theirs is at most `success/<model>/base_lexical/15/otherwise`, in 128
/// characters.
const MAX_MODEL: usize = 94;

/// The samples of a task and what their numbers mean.
pub(super) struct TrainingSet {
    pub(super) task: FitTask,
    pub(super) samples: Vec<TrainingSample>,
    pub(super) goal: LearningGoal,
    pub(super) inputs: FitInputs,
    /// The dimension of an embedding; 0 when none is read.
    pub(super) embedding: usize,
    /// Labels of a head over labels, models of success heads.
    pub(super) names: Vec<Name>,
    /// The base's head of this name, whose order of labels and aliases are kept.
    pub(super) template: Option<HeadSpec>,
    /// The base's heads that the new ones replace.
    pub(super) base_heads: BaseHeads,
    /// The gate of the base's head, where the new one keeps it.
    pub(super) gate: Option<GateSpec>,
    /// True when the base has learnt the rows' answers, so that nothing that reads its embedding can be measured on
    /// them.
    pub(super) knows_answers: bool,
    /// True when the labels are levels, from the lowest to the highest.
    pub(super) ordered: bool,
    pub(super) loss: LevelLoss,
    pub(super) class_weights: ClassWeights,
    pub(super) features: FeatureInputs,
    /// The index of the prompt's length among the features.
    pub(super) length: Option<usize>,
    /// The n-grams that occur.
    pub(super) ngrams: NgramVocabulary,
}

impl TrainingSet {
    /// Makes the samples of `rows` for the task of `fit`.
    pub(super) fn new(
        fit: &FitRequest,
        base: &Bundle,
        rows: &[TrainingRow],
        features: FeatureInputs,
    ) -> Result<Self, FitError> {
        if let Some(other) = rows.iter().find(|row| held_by(&row.truth) != needed_by(fit.task)) {
            return Err(fit.refuse(format!("a row has {} and not {}", held_by(&other.truth), needed_by(fit.task))));
        }
        let template = template(fit, base, rows);
        let names = names(fit, template.as_ref(), rows)?;
        let goal = match fit.task {
            FitTask::Tier | FitTask::Domain => LearningGoal::Choice(names.len()),
            FitTask::StrongWeak => LearningGoal::Pair,
            FitTask::Success => LearningGoal::Each(names.len()),
        };
        let ordered = !fit.levels.is_empty() || base_heads::ordered(fit.task, template.as_ref(), &names);
        let mut set = Self {
            task: fit.task,
            samples: Vec::new(),
            goal,
            inputs: fit.inputs,
            embedding: if fit.inputs.embedding() { base.manifest().encoder.dimension } else { 0 },
            ordered,
            loss: loss(fit, ordered)?,
            class_weights: class_weights(fit)?,
            base_heads: BaseHeads::default(),
            gate: if fit.keep_gate { Some(gate(fit, base)?) } else { None },
            knows_answers: false,
            names,
            template,
            length: features.position("text_chars"),
            features,
            ngrams: if fit.inputs.ngrams() { NgramVocabulary::among(rows) } else { NgramVocabulary::default() },
        };
        let heads: Vec<String> = (0..goal.heads()).map(|head| set.head(head, HeadForm::Full)).collect();
        set.base_heads = BaseHeads::find(fit, base.manifest(), &heads, &set.labels());
        let sample =
            |row| Ok(TrainingSample { base: set.base_heads.log_probabilities(base, row)?, ..set.sample(fit, row)? });
        set.samples = rows.iter().map(sample).collect::<Result<_, FitError>>()?;
        set.knows_answers = leakage::knows_answers(goal, &set.samples);
        Ok(set)
    }

    /// Returns the name of a head in a form.
    pub(super) fn head(&self, head: usize, form: HeadForm) -> String {
        let full = match self.goal {
            LearningGoal::Each(_) => format!("{}/{}", self.task.head(), self.names[head]),
            LearningGoal::Choice(_) | LearningGoal::Pair => self.task.head().to_owned(),
        };
        if form == HeadForm::Lexical { format!("{full}_lexical") } else { full }
    }

    /// Returns the labels of each head.
    pub(super) fn labels(&self) -> Vec<Name> {
        let named = |name| Name::new(name).expect("a name of our own");
        match self.goal {
            LearningGoal::Each(_) => ["fails", "succeeds"].map(named).to_vec(),
            LearningGoal::Choice(_) | LearningGoal::Pair => self.names.clone(),
        }
    }

    /// Returns the span of a learner that reads these blocks.
    pub(super) fn span(&self, blocks: &[InputBlock]) -> InputSpan {
        let end = self.embedding + self.features.len();
        let from = if blocks.contains(&InputBlock::Embedding) { 0 } else { self.embedding };
        let to = if blocks.contains(&InputBlock::Features) { end } else { self.embedding };
        InputSpan { from, to, sparse: if blocks.contains(&InputBlock::Ngrams) { self.ngrams.len() } else { 0 } }
    }

    /// Returns the index of the prompt's length among a sample's dense numbers.
    pub(super) fn length_index(&self) -> Option<usize> {
        self.length.map(|index| self.embedding + index)
    }

    fn sample(&self, fit: &FitRequest, row: &TrainingRow) -> Result<TrainingSample, FitError> {
        let embedding = row.embedding.iter().map(|value| value * EMBEDDING_NORM);
        let dense = embedding.chain(self.features.scale(&row.features)).collect();
        let sparse = row.ngrams.entries().iter().filter_map(|entry| self.ngrams.scaled(*entry)).collect();
        let (target, weight) = (self.target(fit, row)?, RowWeight(row.weight));
        Ok(TrainingSample { dense, sparse, target, weight, ..TrainingSample::default() })
    }

    fn target(&self, fit: &FitRequest, row: &TrainingRow) -> Result<Vec<f32>, FitError> {
        match (&row.truth, fit.task) {
            (GroundTruth::Pair { strong, weak }, FitTask::StrongWeak) => Ok(vec![*strong as f32, *weak as f32]),
            (GroundTruth::Models(answers), FitTask::Success) => {
                let score = |name: &Name| answers.get(name.as_str()).map(|answer| answer.score.clamp(0.0, 1.0) as f32);
                let scores: Option<Vec<f32>> = self.names.iter().map(score).collect();
                scores.ok_or_else(|| fit.refuse("not every row has a score of every model"))
            }
            (GroundTruth::Label(label), FitTask::Tier | FitTask::Domain) => {
                let right =
                    self.label_index(label).ok_or_else(|| fit.refuse(format!("the label `{label}` is not known")))?;
                Ok((0..self.names.len()).map(|index| f32::from(u8::from(index == right))).collect())
            }
            (truth, task) => Err(fit.refuse(format!("a row has {} and not {}", held_by(truth), needed_by(task)))),
        }
    }

    fn label_index(&self, label: &str) -> Option<usize> {
        match &self.template {
            Some(head) => head.label(label),
            None => self.names.iter().position(|name| name.as_str() == plain(label)),
        }
    }
}

/// Returns the loss of regressions; refuses one that needs an order where labels have none.
fn loss(fit: &FitRequest, ordered: bool) -> Result<LevelLoss, FitError> {
    match fit.loss {
        loss if ordered => Ok(loss),
        loss if loss.needs_order() => Err(fit.refuse(format!(
            "the loss `{}` needs labels with an order (allowed: `--levels` names them from the lowest to the highest)",
            loss.as_str()
        ))),
        _ => Ok(LevelLoss::CrossEntropy),
    }
}

/// Returns the class weights; refuses them where rows teach no labels.
fn class_weights(fit: &FitRequest) -> Result<ClassWeights, FitError> {
    if fit.class_weights.is_given() && !fit.task.has_labels() {
        return Err(
            fit.refuse("class weights are of labels, and its rows have outcomes (allowed: `--class-weights auto`)")
        );
    }
    Ok(fit.class_weights)
}

/// Returns the gate of the base's head of the task.
fn gate(fit: &FitRequest, base: &Bundle) -> Result<GateSpec, FitError> {
    let head = base.manifest().head(fit.task.head());
    let gate = head.and_then(|head| head.gate.clone()).filter(|_| fit.task != FitTask::Success);
    gate.ok_or_else(|| fit.refuse(format!("the base's head `{}` has no gate to keep", fit.task.head())))
}

/// Returns the base's head of the task, if it knows every label that occurs.
fn template(fit: &FitRequest, base: &Bundle, rows: &[TrainingRow]) -> Option<HeadSpec> {
    let head = base.manifest().head(fit.task.head()).filter(|_| fit.levels.is_empty())?;
    let known = |row: &TrainingRow| !matches!(&row.truth, GroundTruth::Label(label) if head.label(label).is_none());
    rows.iter().all(known).then(|| head.clone())
}

/// Returns the labels or models: those of the base's head, else what occurs in the rows, sorted.
fn names(fit: &FitRequest, template: Option<&HeadSpec>, rows: &[TrainingRow]) -> Result<Vec<Name>, FitError> {
    let name = |name: &str| match Name::new(name) {
        Ok(name) if fit.task == FitTask::Success && name.as_str().len() > MAX_MODEL => {
            Err(fit.refuse(format!("`{name}` is too long (allowed: {MAX_MODEL} characters)")))
        }
        checked => checked.map_err(|message| fit.refuse(message)),
    };
    if fit.task == FitTask::StrongWeak {
        return ["weak", "strong"].into_iter().map(name).collect();
    }
    if !fit.levels.is_empty() {
        return fit.levels.iter().map(|level| name(&plain(level))).collect();
    }
    if let Some(head) = template {
        return Ok(head.labels.clone());
    }
    let mut found: Vec<String> = match (&rows[0].truth, fit.task) {
        (GroundTruth::Models(answers), FitTask::Success) => answers.keys().cloned().collect(),
        _ => rows
            .iter()
            .filter_map(|row| if let GroundTruth::Label(l) = &row.truth { Some(plain(l)) } else { None })
            .collect(),
    };
    found.sort_unstable();
    found.dedup();
    if found.len() < 2 && fit.task != FitTask::Success {
        return Err(fit.refuse("fewer than two labels occur"));
    }
    found.iter().map(|found| name(found)).collect()
}

/// Returns the keys of a row that tell its outcome.
const fn held_by(truth: &GroundTruth) -> &'static str {
    match truth {
        GroundTruth::Label(_) => "`label`",
        GroundTruth::Pair { .. } => "`strong_correct` and `weak_correct`",
        GroundTruth::Models(_) => "`scores`",
    }
}

/// Returns the keys of rows that teach a task.
const fn needed_by(task: FitTask) -> &'static str {
    match task {
        FitTask::Tier | FitTask::Domain => "`label`",
        FitTask::StrongWeak => "`strong_correct` and `weak_correct`",
        FitTask::Success => "`scores`",
    }
}

/// Spells a label so that it is a name.
fn plain(label: &str) -> String {
    label.replace(' ', "-")
}
