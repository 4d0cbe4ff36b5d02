//! Golden inputs: texts and the scores that training wrote down for them.
//!
//! They are scored again whenever a bundle is started, which is not done here.

use std::collections::BTreeMap;

use pointsman_core::features::{Features, TextStructure, TokenCounter};
use pointsman_core::prompt::{Dialect, Prompt};
use serde::Deserialize;

use crate::scoring::heads::Heads;

/// The most golden inputs: every start scores each of them three times.
const MAX_INPUTS: usize = 1000;

/// An error of a golden file.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum GoldenError {
    /// The text is not a JSON list of golden inputs.
    #[error("{file} is not a list of golden inputs")]
    Syntax { file: String, source: serde_json::Error },
    /// There are more inputs than a start has time for.
    #[error("{file} holds {count} golden inputs (allowed: at most {MAX_INPUTS})")]
    Many { file: String, count: usize },
    /// The list is empty and proves nothing.
    #[error("{file} holds no golden inputs")]
    Empty { file: String },
    /// An input (counted from 0) has scores for other heads or labels than the bundle's.
    #[error("{file}: input {index} has {actual}, the bundle has {expected}")]
    Scores { file: String, index: usize, actual: String, expected: String },
}

/// A text and its scores by head, in the order of the head's labels.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GoldenInput {
    pub(crate) text: String,
    pub(crate) scores: BTreeMap<String, Vec<f32>>,
}

/// Reads a golden file; every input must cover every head and label.
pub(crate) fn parse(file: &str, bytes: &[u8], heads: &Heads) -> Result<Vec<GoldenInput>, GoldenError> {
    let file = || file.to_owned();
    let inputs: Vec<GoldenInput> =
        serde_json::from_slice(bytes).map_err(|source| GoldenError::Syntax { file: file(), source })?;
    if inputs.is_empty() {
        return Err(GoldenError::Empty { file: file() });
    }
    if inputs.len() > MAX_INPUTS {
        return Err(GoldenError::Many { file: file(), count: inputs.len() });
    }
    let mut expected: Vec<_> =
        heads.names().map(|head| score_count(head, heads.labels(head).map_or(0, <[_]>::len))).collect();
    expected.sort_unstable();
    let expected = expected.join(", ");
    for (index, input) in inputs.iter().enumerate() {
        let actual =
            input.scores.iter().map(|(head, scores)| score_count(head, scores.len())).collect::<Vec<_>>().join(", ");
        if actual != expected {
            return Err(GoldenError::Scores { file: file(), index, actual, expected });
        }
    }
    Ok(inputs)
}

impl GoldenInput {
    /// Returns the features of a chat request whose one user turn is the text.
    pub(crate) fn features(&self, counter: TokenCounter) -> Features {
        let body = serde_json::json!({"model": "golden", "messages": [{"role": "user", "content": self.text}]});
        let body = body.to_string();
        let prompt = Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("what serde_json wrote is JSON");
        // Of all of the text, whatever of it a person would be taken to have asked.
        Features::of(&prompt, &counter).with_text(TextStructure::of(&self.text))
    }
}

fn score_count(head: &str, scores: usize) -> String {
    format!("{head}: {scores} scores")
}
