//! Prompts with labels or with the models' outcomes, one JSON object a line, read as a stream: a file may be larger
//! than memory.
//!
//! Every line is hashed as it passes, so that a report can name the very bytes it measured. A row is one prompt, or a
//! conversation that a user turn ends. Rows are taken as people have them wherever that means one thing: see
//! `lines`, `asked` and `values`; what could mean two is refused with its place.

pub mod asked;
mod benchmark;
pub(crate) mod conversation;
pub(crate) mod lines;
pub mod prompts;
pub(crate) mod values;
pub(crate) mod words;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use pointsman_core::config::TokenPrice;
use pointsman_core::features::Features;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::asked::AskedPrompt;
use self::lines::RowLines;
use self::values::{LabelValue, QualityValue, weight};

/// The split of rows that nothing may learn from: they are kept to measure with.
pub const HELD_OUT: &str = "held_out";

/// A file of labelled prompts: an iterator over its rows that stops after the first error.
pub struct Dataset<R = BufReader<File>> {
    lines: RowLines<R>,
    ended: bool,
    prefer: TruthPreference,
    prices: ModelPrices,
    weight_key: Option<String>,
}

/// Which truth counts where a row tells several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TruthPreference {
    /// Outcomes of models first.
    #[default]
    Outcomes,
    /// The label first.
    Labels,
    /// The scores of models first.
    Scores,
}

/// One prompt with what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetRow {
    /// The line, from 1.
    pub line: u64,
    /// Bytes of the file up to its end.
    pub end: u64,
    /// What it asks.
    pub asked: AskedPrompt,
    /// The ground truth.
    pub truth: GroundTruth,
    /// The features of the whole request, where a decision log kept them.
    pub features: Option<Features>,
    /// Probabilities by head and label that a classifier gave then, where a decision log kept them.
    pub logged_scores: Option<BTreeMap<String, BTreeMap<String, f32>>>,
    /// The weight of the row, where the file is read for weights and the row says one: how much it counts beside others.
    pub weight: Option<f64>,
    /// True when the row also stands in a held-out set and must not count.
    pub contaminated: bool,
    /// True when the row shares text with a held-out set: it may be measured, but nothing may learn from it.
    pub overlaps_heldout: bool,
    /// True when the row is of the split that is held out: it may be measured, but nothing may learn from it.
    pub held_out: bool,
}

/// The ground truth of a prompt, as its file spells it.
#[derive(Debug, Clone, PartialEq)]
pub enum GroundTruth {
    /// The label as the file spells it: `label`, else `domain`, else `category`.
    Label(String),
    /// Qualities of a strong and a weak model's answers, 0 to 1: `strong_correct` and `weak_correct`.
    Pair {
        /// The strong model's quality.
        strong: f64,
        /// The weak model's quality.
        weak: f64,
    },
    /// Qualities of several models' answers: `scores`, with `cost_usd` and `tokens` where known.
    Models(BTreeMap<String, ModelOutcome>),
}

/// The outcome of a prompt with one model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelOutcome {
    /// The answer's quality, 0 to 1.
    pub score: f64,
    /// The answer's cost, in US dollars.
    pub cost: Option<f64>,
    /// The tokens of the prompt and of the answer together.
    pub tokens: Option<u64>,
}

/// Prices by model, for answers of which a file knows the tokens and not the cost.
pub type ModelPrices = BTreeMap<String, TokenPrice>;

/// The tokens of one answer: all together, or by what they are paid for.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum OutcomeTokens {
    All(u64),
    Apart { input: u64, output: u64 },
}

/// Errors of reading a file of labelled prompts.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum DatasetError {
    /// The file cannot be opened or read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A line is no labelled prompt.
    #[error("`{}` line {line}, column {column}: {message} (expected an object with a string `prompt` or `text`, or the turns of a chat or a request body as `messages`; and `label`, `strong_correct` and `weak_correct`, or `scores`)", path.display())]
    Shape {
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column, from 1; 0 for a line that is empty.
        column: usize,
        message: String,
    },
}

/// A data file as reports name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DataIdentity {
    /// The file's name without its folder.
    pub file: String,
    /// The sha256 of its bytes.
    pub sha256: String,
}

/// The keys that matter; others are ignored.
#[derive(Deserialize)]
struct RowKeys {
    label: Option<LabelValue>,
    domain: Option<LabelValue>,
    category: Option<LabelValue>,
    strong_correct: Option<QualityValue>,
    weak_correct: Option<QualityValue>,
    scores: Option<BTreeMap<String, QualityValue>>,
    #[serde(default)]
    cost_usd: BTreeMap<String, f64>,
    #[serde(default)]
    tokens: BTreeMap<String, OutcomeTokens>,
    #[serde(default)]
    contaminated: bool,
    #[serde(default)]
    overlaps_heldout: bool,
    split: Option<Value>,
    features: Option<Map<String, Value>>,
    logged_scores: Option<BTreeMap<String, BTreeMap<String, f32>>>,
}

impl DataIdentity {
    pub(crate) fn new(path: &Path, sha256: String) -> Self {
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Self { file, sha256 }
    }
}

impl DatasetRow {
    /// Counts the prompt's characters; where a log kept no text, as its features say.
    #[must_use]
    pub fn chars(&self) -> usize {
        match &self.features {
            Some(features) if self.asked.text.is_empty() => {
                usize::try_from(features.text().chars).unwrap_or(usize::MAX)
            }
            _ => self.asked.text.chars().count(),
        }
    }
}

impl OutcomeTokens {
    const fn sum(self) -> u64 {
        match self {
            Self::All(tokens) => tokens,
            Self::Apart { input, output } => input.saturating_add(output),
        }
    }

    /// Returns what they cost; `None` when nobody knows which of them are the answer's.
    fn cost(self, price: &TokenPrice) -> Option<f64> {
        match self {
            Self::All(_) => None,
            Self::Apart { input, output } => Some(price.of(input, 0, output)),
        }
    }
}

impl RowKeys {
    fn truth(&mut self, prefer: TruthPreference, prices: &ModelPrices) -> Option<GroundTruth> {
        match prefer {
            TruthPreference::Outcomes => self.outcomes(prices).or_else(|| self.label()),
            TruthPreference::Labels => self.label().or_else(|| self.outcomes(prices)),
            TruthPreference::Scores => self.scored(prices).or_else(|| self.outcomes(prices)).or_else(|| self.label()),
        }
    }

    fn label(&mut self) -> Option<GroundTruth> {
        [&mut self.label, &mut self.domain, &mut self.category]
            .into_iter()
            .find_map(Option::take)
            .map(|label| GroundTruth::Label(label.0))
    }

    fn outcomes(&mut self, prices: &ModelPrices) -> Option<GroundTruth> {
        if let (Some(strong), Some(weak)) = (self.strong_correct, self.weak_correct) {
            return Some(GroundTruth::Pair { strong: strong.0, weak: weak.0 });
        }
        self.scored(prices)
    }

    fn scored(&mut self, prices: &ModelPrices) -> Option<GroundTruth> {
        let scores = self.scores.take().filter(|scores| !scores.is_empty())?;
        let answer = |(model, QualityValue(score))| {
            let tokens = self.tokens.get(&model).copied();
            let known = self.cost_usd.get(&model).copied();
            let cost = known.or_else(|| tokens.zip(prices.get(&model)).and_then(|(tokens, price)| tokens.cost(price)));
            (model, ModelOutcome { score, cost, tokens: tokens.map(OutcomeTokens::sum) })
        };
        Some(GroundTruth::Models(scores.into_iter().map(answer).collect()))
    }
}

impl Dataset {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        RowLines::open(path).map(Self::of)
    }

    /// Returns the file's size; 0 for what has none, such as a pipe.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.lines.size()
    }
}

impl<R: BufRead> Dataset<R> {
    /// Reads rows from `reader`; `path` is what errors call it.
    pub fn new(path: &Path, reader: R) -> Self {
        Self::of(RowLines::new(path, reader))
    }

    fn of(lines: RowLines<R>) -> Self {
        let (prefer, prices) = (TruthPreference::default(), ModelPrices::new());
        Self { lines, ended: false, prefer, prices, weight_key: None }
    }

    /// Takes this truth first where a row tells several.
    #[must_use]
    pub fn preferring(mut self, prefer: TruthPreference) -> Self {
        self.prefer = prefer;
        self
    }

    /// Prices answers of which the file knows the tokens and not the cost.
    #[must_use]
    pub fn priced_by(mut self, prices: ModelPrices) -> Self {
        self.prices = prices;
        self
    }

    /// Reads each row's weight out of `key`, where the row has it.
    #[must_use]
    pub fn weighted_by(mut self, key: &str) -> Self {
        self.weight_key = Some(key.to_owned());
        self
    }

    /// Returns the sha256 of what was read so far: of the whole file once the rows have ended.
    #[must_use]
    pub fn sha256(&self) -> String {
        self.lines.sha256()
    }

    fn read(&mut self) -> Result<Option<DatasetRow>, DatasetError> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        let mut keys: RowKeys = self.lines.parse()?;
        let mut row: Map<String, Value> = self.lines.parse()?;
        let weight = self.weight_key.as_deref().map(|key| weight(&mut row, key)).transpose();
        let weight = weight.map_err(|message| self.lines.incomplete(&message))?.flatten();
        let asked = AskedPrompt::take(&mut row).map_err(|message| self.lines.incomplete(message))?;
        let truth = keys.truth(self.prefer, &self.prices);
        let truth = truth.ok_or_else(|| self.lines.incomplete("missing field `label`"))?;
        let RowKeys { contaminated, overlaps_heldout, split, features, logged_scores, .. } = keys;
        let held_out = split.is_some_and(|split| split == HELD_OUT);
        let features = features.map(|features| Features::from_logged(&features));
        let (line, end) = (self.lines.number(), self.lines.bytes());
        Ok(Some(DatasetRow {
            line,
            end,
            asked,
            truth,
            features,
            logged_scores,
            weight,
            contaminated,
            overlaps_heldout,
            held_out,
        }))
    }
}

impl<R: BufRead> Iterator for Dataset<R> {
    type Item = Result<DatasetRow, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.read().transpose();
        self.ended = !matches!(row, Some(Ok(_)));
        row
    }
}

#[cfg(test)]
mod tests;
