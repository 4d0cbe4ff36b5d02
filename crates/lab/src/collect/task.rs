//! One answer to collect: a prompt, a target and the number of the repetition.

use std::rc::Rc;

use pointsman_core::prompt::Dialect;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{AnswerForm, CollectRequest, CollectRun, CollectTarget};
use crate::answers::{AnswerFailure, AnswerKind, AnswerRow};
use crate::dataset::asked::RowRequest;
use crate::dataset::prompts::PromptRow;

/// The longest answer where neither the row nor the run says one and the API needs one.
const MESSAGES_MAX_TOKENS: u64 = 4096;

/// The key of a row that says which of several answers to one prompt it is, from 0; absent from the first.
const REPEAT: &str = "repeat";

/// Keys of a row of prompts that mean something else in a row of answers: they stay behind.
const TAKEN: [&str; 24] = [
    "kind",
    "id",
    "asked",
    "policy",
    "model",
    "provider",
    "label",
    "score",
    "reason",
    "scores",
    "status",
    "error",
    "finish_reason",
    "answer",
    "tool_calls",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "judge_cost_usd",
    "first_byte_ms",
    "duration_ms",
    "time",
    "grades",
    REPEAT,
];

/// One answer to collect.
#[derive(Debug, Clone)]
pub(super) struct CollectTask<'r> {
    /// The place among all answers of the run.
    pub(super) place: u64,
    pub(super) row: Rc<PromptRow>,
    pub(super) target: &'r CollectTarget,
    pub(super) repeat: u32,
}

/// The identity of an answer: the prompt's id, the model of the request, the number of the repetition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct AnswerKey {
    id: String,
    asked: String,
    repeat: u32,
}

/// A line of the answers, as far as its identity goes.
#[derive(Deserialize)]
pub(super) struct AnswerLine {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    asked: String,
    #[serde(default)]
    repeat: u32,
    #[serde(default)]
    error: Option<AnswerFailure>,
}

impl AnswerLine {
    /// Returns whether the request failed.
    pub(super) const fn is_failure(&self) -> bool {
        self.error.is_some()
    }

    pub(super) fn key(self) -> AnswerKey {
        let id = match self.id {
            Value::String(id) => id,
            other => other.to_string(),
        };
        AnswerKey { id, asked: self.asked, repeat: self.repeat }
    }
}

impl AnswerKey {
    /// Returns the identity of a row that was read.
    pub(super) fn of(row: &AnswerRow) -> Self {
        let repeat = row.other.get(REPEAT).and_then(Value::as_u64).and_then(|repeat| u32::try_from(repeat).ok());
        Self { id: row.id.clone(), asked: row.asked.clone(), repeat: repeat.unwrap_or_default() }
    }
}

impl CollectTask<'_> {
    pub(super) fn key(&self) -> AnswerKey {
        AnswerKey { id: self.row.id.clone(), asked: self.target.asked.clone(), repeat: self.repeat }
    }

    /// Returns the whole row of an answer: what was asked, and what the source says of the answer.
    pub(super) fn row(&self, answered: AnswerRow) -> AnswerRow {
        let keys = &self.row.keys;
        let text = |key: &str| keys.get(key).and_then(Value::as_str).map(str::to_owned);
        let shown = ["prompt", "messages", "group", "split", "reference"];
        let passing = keys.iter().filter(|(key, _)| !TAKEN.contains(&&***key) && !shown.contains(&&***key));
        let mut other: Map<String, Value> = passing.map(|(key, value)| (key.clone(), value.clone())).collect();
        other.extend(answered.other.clone());
        if self.repeat > 0 {
            other.insert(REPEAT.to_owned(), json!(self.repeat));
        }
        let messages = keys.get("messages").filter(|messages| !messages.is_null()).cloned();
        AnswerRow {
            kind: AnswerKind::Answer,
            id: self.row.id.clone(),
            prompt: if messages.is_some() { None } else { text("prompt") },
            messages,
            group: text("group"),
            split: text("split"),
            reference: keys.get("reference").and_then(Value::as_object).cloned(),
            asked: self.target.asked.clone(),
            policy: answered.policy.clone().or_else(|| self.target.policy.clone()),
            other,
            ..answered
        }
    }
}

/// Returns a row's request for a target: the row's, with the target as its model, and a longest answer and a form where the
/// run says them.
pub(super) fn request<'t>(target: &'t CollectTarget, asked: &RowRequest, run: &CollectRun) -> CollectRequest<'t> {
    let mut body: Map<String, Value> = serde_json::from_str(asked.body()).expect("a row's request is an object");
    body.insert("model".to_owned(), json!(target.asked));
    if run.form == AnswerForm::Stream {
        body.insert("stream".to_owned(), json!(true));
        if asked.dialect() == Dialect::ChatCompletions {
            body.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
    } else {
        body.remove("stream");
        body.remove("stream_options");
    }
    let is_limited = ["max_tokens", "max_completion_tokens"].iter().any(|key| body.contains_key(*key));
    let needed = (asked.dialect() == Dialect::Messages).then_some(MESSAGES_MAX_TOKENS);
    if let Some(limit) = run.max_tokens.or(needed).filter(|_| !is_limited) {
        body.insert("max_tokens".to_owned(), json!(limit));
    }
    CollectRequest { target, dialect: asked.dialect(), body: Value::Object(body).to_string() }
}
