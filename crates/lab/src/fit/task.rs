//! What rows teach: targets, labels, and the numbers that learners read.

use pointsman_classifier::{Block, Bundle, FeatureInputs, HeadSpec, NGRAM_BUCKETS};
use pointsman_core::config::Name;
use serde::Serialize;

use super::examples::Example;
use super::logistic::Link;
use super::own::{self, Own};
use super::sample::{Sample, Span};
use super::train::Form;
use super::{Fit, FitError, beside};
use crate::dataset::Truth;

/// Embeddings have length 1; this gives their numbers about the size of scaled features, so that one penalty fits both.
pub(super) const EMBEDDING_NORM: f32 = 20.0;

/// The same for n-grams, on top of their rarity.
const NGRAM_SCALE: f32 = 2.0;

/// The longest name of a model that heads have: theirs is at most `success/<model>/base_lexical/15/otherwise`, in 128 characters.
const MAX_MODEL: usize = 94;

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
    /// Embedding, features and n-grams; a lexical form of each head beside it.
    Full,
    /// Features and n-grams: no encoder needed.
    Lexical,
    /// Embedding and features.
    Dense,
}

/// What the outputs of learners are, and which heads become of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// One head over so many labels.
    Choice(usize),
    /// How likely the strong and the weak model are right: one head of two labels, whether only the strong one is.
    Pair,
    /// How likely each of so many models is right: one head of two labels each.
    Each(usize),
}

/// The samples of a task and what their numbers mean.
pub(super) struct Learner {
    pub(super) task: Task,
    pub(super) samples: Vec<Sample>,
    pub(super) goal: Goal,
    pub(super) inputs: Inputs,
    /// Numbers of an embedding; 0 when none is read.
    pub(super) embedding: usize,
    /// Labels of a head over labels, models of success heads.
    pub(super) names: Vec<Name>,
    /// The base's head of this name, whose order of labels and aliases are kept.
    pub(super) template: Option<HeadSpec>,
    /// The base's heads that the new ones replace.
    pub(super) own: Own,
    /// Whether the base has learnt the rows' answers, so that nothing that reads its embedding can be judged on them.
    pub(super) knows_answers: bool,
    /// Whether the labels are levels, from the lowest to the highest.
    pub(super) ordered: bool,
    pub(super) features: FeatureInputs,
    /// Place of the prompt's length among the features.
    pub(super) length: Option<usize>,
    /// The n-grams that occur.
    pub(super) ngrams: Ngrams,
}

/// The places of n-grams that occur in some row; the weights of all others would stay 0.
#[derive(Debug, Default)]
pub(super) struct Ngrams {
    /// In ascending order; a sample counts them by their index here.
    pub(super) places: Vec<u32>,
    /// What each was multiplied with.
    pub(super) rarity: Vec<f32>,
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

    /// Returns the name of its head; of success heads, what stands before the model.
    pub(super) const fn head(self) -> &'static str {
        match self {
            Self::StrongWeak => "strong_wins",
            other => other.as_str(),
        }
    }
}

impl Inputs {
    /// Returns whether the encoder is needed.
    #[must_use]
    pub const fn embedding(self) -> bool {
        matches!(self, Self::Full | Self::Dense)
    }

    pub(super) const fn ngrams(self) -> bool {
        matches!(self, Self::Full | Self::Lexical)
    }
}

impl Goal {
    /// Returns how outputs become probabilities.
    pub(super) const fn link(self) -> Link {
        if matches!(self, Self::Choice(_)) { Link::Softmax } else { Link::Sigmoid }
    }

    /// Returns how many outputs learners have.
    pub(super) const fn outputs(self) -> usize {
        match self {
            Self::Choice(outputs) | Self::Each(outputs) => outputs,
            Self::Pair => 2,
        }
    }

    /// Returns how many heads there will be.
    pub(super) const fn heads(self) -> usize {
        if let Self::Each(heads) = self { heads } else { 1 }
    }

    /// Returns how likely each label of a head should be.
    pub(super) fn truth(self, sample: &Sample, head: usize) -> Vec<f32> {
        let event = match self {
            Self::Choice(_) => return sample.target.clone(),
            Self::Pair => f32::from(u8::from(sample.target[0] > sample.target[1])),
            Self::Each(_) => sample.target[head],
        };
        vec![1.0 - event, event]
    }
}

impl Learner {
    pub(super) fn new(fit: &Fit, base: &Bundle, rows: &[Example], features: FeatureInputs) -> Result<Self, FitError> {
        let template = template(fit, base, rows);
        let names = names(fit, template.as_ref(), rows)?;
        let goal = match fit.task {
            Task::Tier | Task::Domain => Goal::Choice(names.len()),
            Task::StrongWeak => Goal::Pair,
            Task::Success => Goal::Each(names.len()),
        };
        let mut learner = Self {
            task: fit.task,
            samples: Vec::new(),
            goal,
            inputs: fit.inputs,
            embedding: if fit.inputs.embedding() { base.manifest().encoder.dimension } else { 0 },
            ordered: !fit.levels.is_empty() || own::ordered(fit.task, template.as_ref(), &names),
            own: Own::default(),
            knows_answers: false,
            names,
            template,
            length: features.position("text_chars"),
            features,
            ngrams: if fit.inputs.ngrams() { Ngrams::among(rows) } else { Ngrams::default() },
        };
        let heads: Vec<String> = (0..goal.heads()).map(|head| learner.head(head, Form::Full)).collect();
        learner.own = Own::find(fit, base.manifest(), &heads, &learner.labels());
        let sample = |row| Ok(Sample { own: learner.own.logs(base, row)?, ..learner.sample(fit, row)? });
        learner.samples = rows.iter().map(sample).collect::<Result<_, FitError>>()?;
        learner.knows_answers = beside::knows_answers(goal, &learner.samples);
        Ok(learner)
    }

    /// Returns the name of a head in a form.
    pub(super) fn head(&self, head: usize, form: Form) -> String {
        let full = match self.goal {
            Goal::Each(_) => format!("{}/{}", self.task.head(), self.names[head]),
            Goal::Choice(_) | Goal::Pair => self.task.head().to_owned(),
        };
        if form == Form::Lexical { format!("{full}_lexical") } else { full }
    }

    /// Returns the labels of each head.
    pub(super) fn labels(&self) -> Vec<Name> {
        let named = |name| Name::new(name).expect("a name of our own");
        match self.goal {
            Goal::Each(_) => ["fails", "succeeds"].map(named).to_vec(),
            Goal::Choice(_) | Goal::Pair => self.names.clone(),
        }
    }

    /// Returns what a learner reads that reads these blocks.
    pub(super) fn span(&self, blocks: &[Block]) -> Span {
        let last = self.embedding + self.features.len();
        let from = if blocks.contains(&Block::Embedding) { 0 } else { self.embedding };
        let to = if blocks.contains(&Block::Features) { last } else { self.embedding };
        Span { from, to, sparse: if blocks.contains(&Block::Ngrams) { self.ngrams.places.len() } else { 0 } }
    }

    fn sample(&self, fit: &Fit, row: &Example) -> Result<Sample, FitError> {
        let embedding = row.embedding.iter().map(|value| value * EMBEDDING_NORM);
        let dense = embedding.chain(self.features.scale(&row.features)).collect();
        let sparse = row.ngrams.entries().iter().filter_map(|entry| self.ngrams.scaled(*entry)).collect();
        Ok(Sample { dense, sparse, target: self.target(fit, row)?, ..Sample::default() })
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

    fn place(&self, label: &str) -> Option<usize> {
        match &self.template {
            Some(head) => head.label(label),
            None => self.names.iter().position(|name| name.as_str() == plain(label)),
        }
    }
}

/// Returns the base's head of the task, if it knows every label that occurs.
fn template(fit: &Fit, base: &Bundle, rows: &[Example]) -> Option<HeadSpec> {
    let head = base.manifest().head(fit.task.head()).filter(|_| fit.levels.is_empty())?;
    let known = |row: &Example| !matches!(&row.truth, Truth::Label(label) if head.label(label).is_none());
    rows.iter().all(known).then(|| head.clone())
}

/// Returns the labels or models: those of the base's head, else what occurs in the rows, sorted.
fn names(fit: &Fit, template: Option<&HeadSpec>, rows: &[Example]) -> Result<Vec<Name>, FitError> {
    let name = |name: &str| match Name::new(name) {
        Ok(name) if fit.task == Task::Success && name.as_str().len() > MAX_MODEL => {
            Err(fit.refuse(format!("`{name}` is too long (allowed: {MAX_MODEL} characters)")))
        }
        checked => checked.map_err(|message| fit.refuse(message)),
    };
    if fit.task == Task::StrongWeak {
        return ["weak", "strong"].into_iter().map(name).collect();
    }
    if !fit.levels.is_empty() {
        return fit.levels.iter().map(|level| name(&plain(level))).collect();
    }
    if let Some(head) = template {
        return Ok(head.labels.clone());
    }
    let mut found: Vec<String> = match (&rows[0].truth, fit.task) {
        (Truth::Models(answers), Task::Success) => answers.keys().cloned().collect(),
        _ => {
            rows.iter().filter_map(|row| if let Truth::Label(l) = &row.truth { Some(plain(l)) } else { None }).collect()
        }
    };
    found.sort_unstable();
    found.dedup();
    if found.len() < 2 && fit.task != Task::Success {
        return Err(fit.refuse("fewer than two labels occur"));
    }
    found.iter().map(|found| name(found)).collect()
}

/// Spells a label so that it is a name.
fn plain(label: &str) -> String {
    label.replace(' ', "-")
}

impl Ngrams {
    fn among(rows: &[Example]) -> Self {
        let mut counts = vec![0_u32; NGRAM_BUCKETS];
        for (place, _) in rows.iter().flat_map(|row| row.ngrams.entries()) {
            counts[*place as usize] += 1;
        }
        // Inverse document frequency (Sparck Jones 1972): rare n-grams may say more under the same penalty.
        let n = rows.len() as f32;
        let rarity = |count: u32| NGRAM_SCALE * (1.0 + ((1.0 + n) / (1.0 + count as f32)).ln());
        let occurring = counts.into_iter().zip(0..).filter(|(count, _)| *count > 0);
        let (places, rarity) = occurring.map(|(count, place)| (place, rarity(count))).unzip();
        Self { places, rarity }
    }

    fn scaled(&self, (place, value): (u32, f32)) -> Option<(u32, f32)> {
        let index = self.places.binary_search(&place).ok()?;
        Some((index as u32, value * self.rarity[index]))
    }

    /// Returns weights of the places that occur as weights of all.
    pub(super) fn spread(&self, weights: &[f32]) -> Vec<f32> {
        let mut all = vec![0.0; NGRAM_BUCKETS];
        for ((place, rarity), weight) in self.places.iter().zip(&self.rarity).zip(weights) {
            all[*place as usize] = weight * rarity;
        }
        all
    }
}
