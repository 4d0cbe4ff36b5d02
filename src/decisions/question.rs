//! A request for decisions, and the limits that the API sets it.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::{Value, json};

use super::input::{DecisionInput, DecisionInstructions};
use crate::json_list::BoundedList;
use crate::judge::JudgedQuestion;

/// The most questions of a request.
const MAX_QUESTIONS: usize = 400;

/// The most options of a question, and the fewest.
const MAX_OPTIONS: usize = 255;
const MIN_OPTIONS: usize = 2;

/// The most characters of a value that an error repeats.
const MAX_ECHO: usize = 64;

/// A mistake in a request: the place, and what is allowed there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DecisionProblem {
    /// The parameter of the request.
    pub param: &'static str,
    pub message: String,
}

/// A request for decisions. What else the API has there, such as hints for caches, has no effect.
#[derive(Debug, Deserialize)]
pub(super) struct DecisionRequest {
    pub(super) model: String,
    pub(super) input: DecisionInput,
    questions: BoundedList<DecisionQuestion, MAX_QUESTIONS>,
    #[serde(default)]
    stream: Option<bool>,
}

/// A question about the input.
#[derive(Debug, Deserialize)]
#[serde(try_from = "QuestionFields")]
pub(super) struct DecisionQuestion {
    pub(super) name: Option<String>,
    instructions: DecisionInstructions,
    pub(super) kind: DecisionKind,
}

/// The kinds of questions, with their options.
#[derive(Debug)]
pub(super) enum DecisionKind {
    /// How probable it is that a statement holds.
    Predicate,
    /// Which of the options holds.
    Choice(BoundedList<DecisionChoice, MAX_OPTIONS>),
    /// Which of the ordered levels holds.
    Score(BoundedList<DecisionLevel, MAX_OPTIONS>),
}

/// A question as it is written. Its kind may come after its options, which are not kept unread until then: they could be
/// of any number.
#[derive(Deserialize)]
struct QuestionFields {
    r#type: QuestionType,
    instructions: DecisionInstructions,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    choices: Option<BoundedList<DecisionChoice, MAX_OPTIONS>>,
    #[serde(default)]
    levels: Option<BoundedList<DecisionLevel, MAX_OPTIONS>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum QuestionType {
    Predicate,
    Choice,
    Score,
}

/// An option of a choice.
#[derive(Debug, Deserialize)]
pub(super) struct DecisionChoice {
    pub(super) value: ChoiceValue,
    #[serde(default)]
    description: Option<String>,
}

/// The value of an option: `true` and `"true"` differ.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(untagged)]
pub(super) enum ChoiceValue {
    Bool(bool),
    Text(String),
}

/// A level of a score.
#[derive(Debug, Deserialize)]
pub(super) struct DecisionLevel {
    pub(super) label: String,
    #[serde(default)]
    description: Option<String>,
}

impl DecisionProblem {
    pub(super) fn new(param: &'static str, message: impl Into<String>) -> Self {
        Self { param, message: message.into() }
    }
}

impl TryFrom<QuestionFields> for DecisionQuestion {
    type Error = String;

    fn try_from(fields: QuestionFields) -> Result<Self, String> {
        let QuestionFields { r#type, instructions, name, choices, levels } = fields;
        let missing = |field: &str| format!("missing field `{field}`");
        let kind = match r#type {
            QuestionType::Predicate => DecisionKind::Predicate,
            QuestionType::Choice => DecisionKind::Choice(choices.ok_or_else(|| missing("choices"))?),
            QuestionType::Score => DecisionKind::Score(levels.ok_or_else(|| missing("levels"))?),
        };
        Ok(Self { name, instructions, kind })
    }
}

impl<'de> Deserialize<'de> for ChoiceValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ChoiceVisitor)
    }
}

struct ChoiceVisitor;

impl Visitor<'_> for ChoiceVisitor {
    type Value = ChoiceValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a boolean")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<ChoiceValue, E> {
        Ok(ChoiceValue::Bool(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<ChoiceValue, E> {
        Ok(ChoiceValue::Text(value.to_owned()))
    }
}

impl DecisionRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// When it is not of the API's form, or beyond its limits.
    pub(super) fn read(body: &Bytes) -> Result<Self, DecisionProblem> {
        let request: Self = serde_json::from_slice(body)
            .map_err(|error| DecisionProblem::new("", format!("The request body cannot be read: {error}.")))?;
        if request.stream == Some(true) {
            return Err(DecisionProblem::new("stream", "Decisions are not streamed (allowed: no `stream`)."));
        }
        let count = request.questions.count;
        if !(1..=MAX_QUESTIONS).contains(&count) {
            let message = format!("`questions` has {count} questions (allowed: 1 to {MAX_QUESTIONS}).");
            return Err(DecisionProblem::new("questions", message));
        }
        request.input.check()?;
        for (index, question) in request.questions().iter().enumerate() {
            question
                .check()
                .map_err(|problem| DecisionProblem::new("questions", format!("`questions[{index}]` {problem}")))?;
        }
        Ok(request)
    }

    /// Returns the questions.
    pub(super) fn questions(&self) -> &[DecisionQuestion] {
        &self.questions.items
    }
}

impl DecisionQuestion {
    fn check(&self) -> Result<(), String> {
        let (count, options): (usize, Vec<String>) = match &self.kind {
            DecisionKind::Predicate => return self.instructions.check(),
            DecisionKind::Choice(choices) => {
                (choices.count, choices.items.iter().map(|choice| json!(choice.value).to_string()).collect())
            }
            DecisionKind::Score(levels) => {
                (levels.count, levels.items.iter().map(|level| json!(level.label).to_string()).collect())
            }
        };
        if !(MIN_OPTIONS..=MAX_OPTIONS).contains(&count) {
            return Err(format!("has {count} options (allowed: {MIN_OPTIONS} to {MAX_OPTIONS})."));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = options.iter().find(|option| !seen.insert(option.as_str())) {
            let shown: String = twice.chars().take(MAX_ECHO).collect();
            return Err(format!("has the option {shown} twice (allowed: each once)."));
        }
        self.instructions.check()
    }

    /// Returns the question as a judge is asked it: a predicate is one of two options.
    pub(super) fn judged(&self) -> JudgedQuestion {
        let instructions = self.instructions.text().to_owned();
        let options = match &self.kind {
            DecisionKind::Predicate => vec![("true".to_owned(), None), ("false".to_owned(), None)],
            DecisionKind::Choice(choices) => {
                choices.items.iter().map(|choice| (choice.value.to_string(), choice.description.clone())).collect()
            }
            DecisionKind::Score(levels) => {
                levels.items.iter().map(|level| (level.label.clone(), level.description.clone())).collect()
            }
        };
        JudgedQuestion { instructions, options, is_ordered: matches!(self.kind, DecisionKind::Score(_)) }
    }
}

impl fmt::Display for ChoiceValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// The most levels of nesting in a part of JSON, values within it, and bytes of it.
const MAX_JSON_DEPTH: usize = 32;
const MAX_JSON_VALUES: usize = 10_000;
const MAX_JSON_BYTES: usize = 256 << 10;

/// Checks a part of JSON against the API's limits.
///
/// # Errors
/// The limit that it is beyond.
pub(super) fn check_json(data: &Value) -> Result<(), String> {
    let is_objects = match data {
        Value::Object(_) => true,
        Value::Array(items) => items.iter().all(Value::is_object),
        _ => false,
    };
    if !is_objects {
        return Err("has `data` that is neither an object nor a list of objects.".to_owned());
    }
    let (mut values, mut rest) = (0_usize, vec![(data, 1_usize)]);
    while let Some((value, depth)) = rest.pop() {
        values += 1;
        if depth > MAX_JSON_DEPTH || values > MAX_JSON_VALUES {
            return Err(format!("has JSON of more than {MAX_JSON_DEPTH} levels or {MAX_JSON_VALUES} values."));
        }
        match value {
            Value::Array(items) => rest.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(fields) => rest.extend(fields.values().map(|field| (field, depth + 1))),
            _ => {}
        }
    }
    if data.to_string().len() > MAX_JSON_BYTES {
        return Err(format!("has JSON of more than {MAX_JSON_BYTES} bytes."));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
