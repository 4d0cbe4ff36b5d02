//! Prompts made ready for `collect` and `fit`: human asks out of conversations, cleaned, told apart by language, without
//! garbled rows and near-duplicates, split with whole groups on one side.
//!
//! Every row that is dropped is counted by its reason. What a moderation endpoint flags goes; what it could not judge is
//! kept apart, never silently kept. Rows stand in memory, because near-duplicates and splits need them all.

mod clean;
mod counts;
mod garble;
mod moderation;
mod near;
mod split;
mod variants;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use pointsman_core::features::Language;
use serde_json::{Map, Value, json};

pub use self::counts::{DropReason, PrepareCounts, VariantCounts};
pub use self::moderation::{ModerationEndpoint, ModerationError};
use self::near::SimilarRows;
pub use self::split::{SplitShares, SplitSharesError};
pub use self::variants::{VariantJudge, VariantsError};
pub use crate::dataset::conversation::AskedTurn;
use crate::dataset::prompts::{PromptRow, PromptRows};
use crate::dataset::{DatasetError, conversation};

/// The least share of shingles that two rows of one group have in common.
pub const GROUPED: f64 = 0.5;

/// A run that prepares prompts.
#[derive(Debug)]
pub struct PrepareRun {
    /// The files of rows, conversations and decision logs.
    pub inputs: Vec<PathBuf>,
    /// The file of the prepared rows.
    pub out: PathBuf,
    /// The ask of a conversation that becomes the prompt.
    pub asked: AskedTurn,
    /// The languages that are kept, by their codes; empty for all.
    pub languages: BTreeSet<String>,
    /// The similarity from which a row is a near-duplicate, [`GROUPED`] to 1.
    pub similar: f64,
    /// The endpoint that judges prompts.
    pub moderation: Option<ModerationEndpoint>,
    /// The shares of the splits; `None` leaves rows as they are.
    pub split: Option<SplitShares>,
    /// The form of the output.
    pub output: PrepareOutput,
    /// Decides the draws of the splits.
    pub seed: u64,
    /// The LLM that writes harder variants, and the one that judges them.
    pub variants: Option<VariantJudge>,
}

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrepareOutput {
    /// One file, in which each row says its `split`.
    OneFile,
    /// A file for each split, named after it: `prompts.train.jsonl`.
    FileForEachSplit,
}

/// Errors that leave no rows.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum PrepareError {
    /// An input cannot be read.
    #[error(transparent)]
    Read(#[from] DatasetError),
    /// The rows cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// The moderation endpoint cannot be asked.
    #[error(transparent)]
    Moderation(#[from] ModerationError),
    /// The LLM that writes variants cannot be asked.
    #[error(transparent)]
    Variants(#[from] VariantsError),
    /// No row was left.
    #[error("of {read} rows none is left (dropped: {dropped})")]
    Empty { read: u64, dropped: String },
}

/// A row on its way to the output.
#[derive(Debug, Clone)]
struct PreparedRow {
    id: String,
    /// The words of all turns, which near-duplicates share.
    words: String,
    /// The newest ask.
    text: String,
    keys: Map<String, Value>,
}

impl PrepareRun {
    /// Prepares; `progress` hears of each prompt that an endpoint has judged.
    ///
    /// # Errors
    /// When a file or an endpoint cannot be used, or nothing is left.
    pub async fn run(&self, mut progress: impl FnMut(&PrepareCounts)) -> Result<PrepareCounts, PrepareError> {
        let mut counts = PrepareCounts::default();
        let mut rows = self.read(&mut counts)?;
        if let Some(endpoint) = &self.moderation {
            rows = self.moderate(endpoint, rows, &mut counts, &mut progress).await?;
        }
        if rows.is_empty() {
            return Err(PrepareError::Empty { read: counts.read, dropped: counts.dropped_in_words() });
        }
        if let Some(shares) = &self.split {
            split::deal(&mut rows, shares, self.seed);
        }
        if let Some(judge) = &self.variants {
            let path = self.beside("variants");
            let written = variants::write(judge, &path, &rows, |variants| {
                counts.variants = Some(variants.clone());
                progress(&counts);
            });
            let (variants, done) = written.await?;
            counts.variants = Some(done);
            rows.extend(variants);
        }
        self.write(&rows, &mut counts)?;
        Ok(counts)
    }

    /// Reads, cleans and drops.
    fn read(&self, counts: &mut PrepareCounts) -> Result<Vec<PreparedRow>, PrepareError> {
        let (mut kept, mut similar, mut ids) = (Vec::new(), SimilarRows::new(self.similar), BTreeSet::new());
        for path in &self.inputs {
            let mut rows = PromptRows::open(path)?;
            loop {
                let mut is_cleaned = false;
                let line = rows.read_line(|keys| {
                    let asks = conversation::cut(keys, self.asked);
                    is_cleaned = clean::clean(keys);
                    asks
                })?;
                let Some(row) = line else { break };
                counts.read += 1;
                let admitted = row.ok_or(DropReason::Empty).and_then(|row| self.admit(row)).and_then(|row| {
                    similar.admit(&row.words)?;
                    Ok(row)
                });
                match admitted {
                    Ok(row) => {
                        counts.cleaned += u64::from(is_cleaned);
                        counts.renamed += u64::from(!ids.insert(row.id.clone()));
                        kept.push(row);
                    }
                    Err(reason) => counts.drop(reason),
                }
            }
        }
        name(&mut kept, &similar.groups());
        Ok(kept)
    }

    /// Returns the row, unless it is garbled or in a language that is not kept.
    fn admit(&self, row: PromptRow) -> Result<PreparedRow, DropReason> {
        if garble::is_garbled(&row.text) {
            return Err(DropReason::Garbled);
        }
        let told = row.text_of("language").map_or_else(|| Language::of(&row.text).code().to_owned(), str::to_owned);
        if !told.is_empty() && !self.languages.is_empty() && !self.languages.contains(&told) {
            return Err(DropReason::Language);
        }
        let words = words_of(&row);
        let PromptRow { id, text, mut keys, .. } = row;
        if !told.is_empty() {
            keys.insert("language".to_owned(), json!(told));
        }
        Ok(PreparedRow { id, words, text, keys })
    }

    /// Leaves out what the endpoint flags, and sets apart what it does not judge.
    async fn moderate(
        &self,
        endpoint: &ModerationEndpoint,
        rows: Vec<PreparedRow>,
        counts: &mut PrepareCounts,
        progress: &mut impl FnMut(&PrepareCounts),
    ) -> Result<Vec<PreparedRow>, PrepareError> {
        let path = self.beside("unmoderated");
        let mut apart = File::create(&path).map(BufWriter::new).map_err(PrepareError::write(&path))?;
        let mut kept = Vec::new();
        for batch in rows.chunks(moderation::BATCH) {
            let texts: Vec<&str> = batch.iter().map(|row| row.words.as_str()).collect();
            let flags = endpoint.judge(&texts).await?;
            for (index, row) in batch.iter().enumerate() {
                match flags.as_ref().map(|flags| flags[index]) {
                    Some(true) => counts.drop(DropReason::Flagged),
                    Some(false) => kept.push(row.clone()),
                    None => {
                        counts.unmoderated += 1;
                        writeln!(apart, "{}", row.line()).map_err(PrepareError::write(&path))?;
                    }
                }
            }
            progress(counts);
        }
        apart.flush().map_err(PrepareError::write(&path))?;
        if counts.unmoderated == 0 {
            let _ = std::fs::remove_file(&path); // empty
        }
        Ok(kept)
    }

    fn write(&self, rows: &[PreparedRow], counts: &mut PrepareCounts) -> Result<(), PrepareError> {
        for row in rows {
            let language = row.text_of("language").unwrap_or("unknown");
            *counts.languages.entry(language.to_owned()).or_default() += 1;
            *counts.splits.entry(row.text_of("split").unwrap_or("none").to_owned()).or_default() += 1;
        }
        counts.written = rows.len() as u64;
        if self.output == PrepareOutput::OneFile {
            return write_rows(&self.out, rows.iter());
        }
        for split in counts.splits.keys() {
            write_rows(&self.beside(split), rows.iter().filter(|row| row.text_of("split").unwrap_or("none") == split))?;
        }
        Ok(())
    }

    /// Returns the path beside the output that `what` names: `prompts.train.jsonl`.
    fn beside(&self, what: &str) -> PathBuf {
        self.out.with_extension(format!("{what}.jsonl"))
    }
}

impl PreparedRow {
    /// Returns the row as its line has it.
    fn line(&self) -> Value {
        let mut keys = self.keys.clone();
        keys.insert("id".to_owned(), json!(self.id));
        Value::Object(keys)
    }

    fn text_of(&self, key: &str) -> Option<&str> {
        self.keys.get(key).and_then(Value::as_str)
    }

    /// Returns the group that stays on one side of every split.
    fn group(&self) -> &str {
        self.text_of("group").unwrap_or(&self.id)
    }
}

impl PrepareError {
    /// Returns what makes an error of a file out of the system's.
    fn write(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Write { path: path.to_owned(), source }
    }
}

/// Gives every row an id of its own, and a group: the row's, else the id of the first row that it is like.
fn name(rows: &mut [PreparedRow], groups: &[usize]) {
    let mut seen = BTreeSet::new();
    for row in rows.iter_mut() {
        let own = row.id.clone();
        let mut turn = 2;
        while !seen.insert(row.id.clone()) {
            row.id = format!("{own}-{turn}");
            turn += 1;
        }
    }
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    for (row, group) in rows.iter_mut().zip(groups) {
        if row.text_of("group").is_none() {
            row.keys.insert("group".to_owned(), json!(ids[*group]));
        }
    }
}

/// Returns the words of all turns.
fn words_of(row: &PromptRow) -> String {
    let turns = match row.keys.get("messages") {
        Some(Value::Object(body)) => body.get("messages").and_then(Value::as_array),
        other => other.and_then(Value::as_array),
    };
    let Some(turns) = turns else { return row.text.clone() };
    let mut words = String::new();
    for turn in turns {
        match &turn["content"] {
            Value::String(text) => words.push_str(text),
            Value::Array(parts) => {
                parts.iter().filter_map(|part| part["text"].as_str()).for_each(|text| words.push_str(text));
            }
            _ => {}
        }
        words.push('\n');
    }
    words
}

fn write_rows<'r>(path: &Path, rows: impl Iterator<Item = &'r PreparedRow>) -> Result<(), PrepareError> {
    let mut file = File::create(path).map(BufWriter::new).map_err(PrepareError::write(path))?;
    for row in rows {
        writeln!(file, "{}", row.line()).map_err(PrepareError::write(path))?;
    }
    file.flush().map_err(PrepareError::write(path))
}

#[cfg(test)]
mod tests;
