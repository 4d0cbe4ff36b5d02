//! Rows of a plausibility set: a prompt or the turns of a conversation, its level, its language and its domain.

use std::path::Path;

use pointsman_core::prompt::{Dialect, Prompt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::dataset::lines::RowLines;
use crate::dataset::{DataIdentity, DatasetError};
use crate::evaluate::EvaluateError;

/// One row of a plausibility set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlausibilityRow {
    /// The line, from 1.
    pub(super) line: u64,
    pub(super) id: String,
    pub(super) half: SetHalf,
    pub(super) language: String,
    pub(super) domain: String,
    pub(super) level: ExpectedLevel,
    pub(super) kind: RowKind,
    /// The request, as a client of chat completions sends it.
    pub(super) body: String,
}

/// The kind of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowKind {
    Prompt,
    Conversation,
}

/// The level of model that an answer needs, as whoever wrote the row judges it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpectedLevel {
    /// A small model answers perfectly.
    Trivial,
    /// A competent model of middle size.
    Middle,
    /// A frontier or reasoning model.
    Hard,
}

/// The half of a set that a row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SetHalf {
    /// The half that may be looked at while thresholds and weights are chosen.
    Development,
    /// The half that nobody tunes on.
    Check,
}

/// The keys of a row; others are ignored.
#[derive(Deserialize)]
struct PlausibilityKeys {
    id: String,
    language: String,
    domain: String,
    level: ExpectedLevel,
    text: Option<String>,
    messages: Option<Vec<Value>>,
}

/// Adds the rows of the file at `path` to `rows`.
pub(super) fn read(path: &Path, rows: &mut Vec<PlausibilityRow>) -> Result<DataIdentity, EvaluateError> {
    let mut lines = RowLines::open(path)?;
    while lines.advance()? {
        let keys: PlausibilityKeys = lines.parse().map_err(refused)?;
        let line = lines.number();
        let refuse =
            |message: &str| EvaluateError::Plausibility { path: path.to_owned(), line, message: message.to_owned() };
        let row = keys.row(line).map_err(refuse)?;
        if rows.iter().any(|other| other.id == row.id) {
            return Err(refuse(&format!("another row has the `id` {}", row.id)));
        }
        rows.push(row);
    }
    Ok(DataIdentity::new(path, lines.sha256()))
}

/// Says of a line that is no row what is expected here.
fn refused(error: DatasetError) -> EvaluateError {
    match error {
        DatasetError::Shape { path, line, message, .. } => EvaluateError::Plausibility { path, line, message },
        error @ DatasetError::Read { .. } => error.into(),
    }
}

impl SetHalf {
    /// Returns the half of the row called `id`: `development` where the first byte of the name's sha256 is even.
    #[must_use]
    pub fn of(id: &str) -> Self {
        if Sha256::digest(id)[0].is_multiple_of(2) { Self::Development } else { Self::Check }
    }

    /// Returns its name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Check => "check",
        }
    }
}

impl PlausibilityKeys {
    fn row(self, line: u64) -> Result<PlausibilityRow, &'static str> {
        let Self { id, language, domain, level, text, messages } = self;
        let (kind, messages) = match (text, messages) {
            (Some(text), None) => (RowKind::Prompt, json!([{"role": "user", "content": text}])),
            (None, Some(messages)) => (RowKind::Conversation, Value::Array(messages)),
            _ => return Err("one of `text` and `messages` is what is asked"),
        };
        let body = json!({"model": "auto", "messages": messages}).to_string();
        if Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).is_err() {
            return Err("`messages` are no turns of a chat");
        }
        Ok(PlausibilityRow { line, half: SetHalf::of(&id), id, language, domain, level, kind, body })
    }
}
