//! Prompts with labels or with the models' outcomes, one JSON object a line, read as a stream: a file may be larger
//! than memory.
//!
//! Every line is hashed as it passes, so that a report can name the very bytes it measured. A row is one prompt, or a
//! conversation that a user turn ends.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use pointsman_core::config::TokenPrice;
use pointsman_core::features::Features;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// A file of labelled prompts: an iterator over its rows that stops after the first error.
pub struct Dataset<R = BufReader<File>> {
    path: PathBuf,
    reader: R,
    hash: Sha256,
    buffer: Vec<u8>,
    line: u64,
    bytes: u64,
    ended: bool,
    prefer: TruthPreference,
    prices: ModelPrices,
}

/// Which truth counts where a row tells several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TruthPreference {
    /// Outcomes of models first.
    #[default]
    Outcomes,
    /// The label first.
    Labels,
}

/// One prompt with what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetRow {
    /// The line, from 1.
    pub line: u64,
    /// Bytes of the file up to its end.
    pub end: u64,
    /// The text of the newest user turn.
    pub prompt: String,
    /// The turns before it, as a chat body has them; none where a file holds one prompt a row.
    pub history: Vec<Value>,
    /// The ground truth.
    pub truth: GroundTruth,
    /// The features of the whole request, where a decision log kept them.
    pub features: Option<Features>,
    /// Probabilities by head and label that a classifier gave then, where a decision log kept them.
    pub logged_scores: Option<BTreeMap<String, BTreeMap<String, f32>>>,
    /// True when the row also stands in a held-out set and must not count.
    pub contaminated: bool,
    /// True when the row shares text with a held-out set: it may be measured, but nothing may learn from it.
    pub overlaps_heldout: bool,
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
    #[error("`{}` line {line}, column {column}: {message} (expected an object with a string `prompt` or the turns of a chat as `messages`, and `label`, `strong_correct` and `weak_correct`, or `scores`)", path.display())]
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
    prompt: Option<String>,
    /// A conversation that a user turn ends, instead of the one prompt.
    messages: Option<Vec<Value>>,
    label: Option<String>,
    domain: Option<String>,
    category: Option<String>,
    strong_correct: Option<f64>,
    weak_correct: Option<f64>,
    scores: Option<BTreeMap<String, f64>>,
    #[serde(default)]
    cost_usd: BTreeMap<String, f64>,
    #[serde(default)]
    tokens: BTreeMap<String, OutcomeTokens>,
    #[serde(default)]
    contaminated: bool,
    #[serde(default)]
    overlaps_heldout: bool,
    features: Option<Map<String, Value>>,
    logged_scores: Option<BTreeMap<String, BTreeMap<String, f32>>>,
}

impl DataIdentity {
    pub(crate) fn new(path: &Path, sha256: String) -> Self {
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Self { file, sha256 }
    }
}

impl DatasetError {
    /// Names the place of what JSON refuses about a line.
    pub(crate) fn of_line(path: &Path, line: u64, error: &serde_json::Error) -> Self {
        // The parser saw one line, so the line that it names is always the first.
        let message = error.to_string().split(" at line ").next().unwrap_or_default().to_owned();
        Self::Shape { path: path.to_owned(), line, column: error.column(), message }
    }
}

impl DatasetRow {
    /// Counts the prompt's characters; where a log kept no text, as its features say.
    #[must_use]
    pub fn chars(&self) -> usize {
        match &self.features {
            Some(features) if self.prompt.is_empty() => usize::try_from(features.text().chars).unwrap_or(usize::MAX),
            _ => self.prompt.chars().count(),
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
    /// Takes the text of the newest user turn, and the turns before it.
    fn conversation(&mut self) -> Result<(String, Vec<Value>), &'static str> {
        match (self.prompt.take(), self.messages.take()) {
            (Some(prompt), None) => Ok((prompt, Vec::new())),
            (Some(_), Some(_)) => Err("`prompt` beside `messages`: one of them is what was asked"),
            (None, None) => Err("missing field `prompt`"),
            (None, Some(mut turns)) => {
                let newest = turns.pop().filter(|turn| turn["role"] == "user");
                let text = newest.as_ref().and_then(|turn| turn["content"].as_str());
                let text = text.ok_or("`messages` ends with no user turn whose `content` is a string")?;
                Ok((text.to_owned(), turns))
            }
        }
    }

    fn truth(&mut self, prefer: TruthPreference, prices: &ModelPrices) -> Option<GroundTruth> {
        match prefer {
            TruthPreference::Outcomes => self.outcomes(prices).or_else(|| self.label()),
            TruthPreference::Labels => self.label().or_else(|| self.outcomes(prices)),
        }
    }

    fn label(&mut self) -> Option<GroundTruth> {
        [&mut self.label, &mut self.domain, &mut self.category]
            .into_iter()
            .find_map(Option::take)
            .map(GroundTruth::Label)
    }

    fn outcomes(&mut self, prices: &ModelPrices) -> Option<GroundTruth> {
        if let (Some(strong), Some(weak)) = (self.strong_correct, self.weak_correct) {
            return Some(GroundTruth::Pair { strong, weak });
        }
        let scores = self.scores.take().filter(|scores| !scores.is_empty())?;
        let answer = |(model, score)| {
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
        let file = File::open(path).map_err(|source| DatasetError::Read { path: path.to_owned(), source })?;
        Ok(Self::new(path, BufReader::new(file)))
    }

    /// Returns the file's size; 0 for what has none, such as a pipe.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.reader.get_ref().metadata().map_or(0, |metadata| metadata.len())
    }
}

impl<R: BufRead> Dataset<R> {
    /// Reads rows from `reader`; `path` is what errors call it.
    pub fn new(path: &Path, reader: R) -> Self {
        let (hash, buffer) = (Sha256::new(), Vec::new());
        Self {
            path: path.to_owned(),
            reader,
            hash,
            buffer,
            line: 0,
            bytes: 0,
            ended: false,
            prefer: TruthPreference::default(),
            prices: ModelPrices::new(),
        }
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

    /// Returns the sha256 of what was read so far: of the whole file once the rows have ended.
    #[must_use]
    pub fn sha256(&self) -> String {
        self.hash.clone().finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes what is written");
            text
        })
    }

    fn read(&mut self) -> Result<Option<DatasetRow>, DatasetError> {
        self.buffer.clear();
        let read = self.reader.read_until(b'\n', &mut self.buffer);
        let read = read.map_err(|source| DatasetError::Read { path: self.path.clone(), source })?;
        if read == 0 {
            return Ok(None);
        }
        self.hash.update(&self.buffer);
        self.line += 1;
        self.bytes += read as u64;
        let mut keys: RowKeys = serde_json::from_slice(&self.buffer)
            .map_err(|error| DatasetError::of_line(&self.path, self.line, &error))?;
        let (prompt, history) = keys.conversation().map_err(|message| self.incomplete(message))?;
        let truth = keys.truth(self.prefer, &self.prices).ok_or_else(|| self.incomplete("missing field `label`"))?;
        let RowKeys { contaminated, overlaps_heldout, features, logged_scores, .. } = keys;
        let features = features.map(|features| Features::from_logged(&features));
        let (line, end) = (self.line, self.bytes);
        Ok(Some(DatasetRow {
            line,
            end,
            prompt,
            history,
            truth,
            features,
            logged_scores,
            contaminated,
            overlaps_heldout,
        }))
    }

    fn incomplete(&self, message: &str) -> DatasetError {
        let column = self.buffer.trim_ascii_end().len();
        DatasetError::Shape { path: self.path.clone(), line: self.line, column, message: message.to_owned() }
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
