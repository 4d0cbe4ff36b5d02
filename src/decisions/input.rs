//! The input of a request for decisions: what heads and judges read of it.

use std::fmt;
use std::fmt::Write as _;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde_json::{Value, json};

use super::question::{DecisionProblem, DecisionRequest, check_json};
use crate::classify::ClassifyInput;
use crate::json_list::ValueAllowance;

/// The API whose items an input's are.
const ITEMS_PATH: &str = "/v1/responses";

/// The most values of the JSON of an input, items and what they hold together.
const MAX_INPUT_VALUES: usize = 100_000;

/// The most values of the JSON of a question's instructions, some more than one part may have.
const MAX_INSTRUCTION_VALUES: usize = 12_000;

/// The input: a text, or the items of a conversation.
#[derive(Debug)]
pub(super) enum DecisionInput {
    Text(String),
    Items(Vec<Value>),
}

/// The instructions of a question, which are a text or parts, as one text.
#[derive(Debug)]
pub(super) struct DecisionInstructions {
    text: String,
    /// What is wrong with a part.
    flaw: Option<String>,
}

/// A text, or a list whose values are bounded in number.
struct TextOrList {
    most: usize,
}

impl<'de> Deserialize<'de> for DecisionInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrList { most: MAX_INPUT_VALUES })
    }
}

impl<'de> Deserialize<'de> for DecisionInstructions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The parts of hundreds of questions are not kept: a value takes many times its bytes.
        Ok(match deserializer.deserialize_any(TextOrList { most: MAX_INSTRUCTION_VALUES })? {
            DecisionInput::Text(text) => Self { text, flaw: None },
            DecisionInput::Items(parts) => Self {
                text: parts.iter().map(part_text).collect::<Vec<_>>().join("\n"),
                flaw: parts.iter().find_map(|part| check_part(part).err()),
            },
        })
    }
}

impl<'de> Visitor<'de> for TextOrList {
    type Value = DecisionInput;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<DecisionInput, E> {
        Ok(DecisionInput::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<DecisionInput, E> {
        Ok(DecisionInput::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<DecisionInput, A::Error> {
        ValueAllowance::new(self.most).list(list).map(DecisionInput::Items)
    }
}

impl DecisionInput {
    /// Checks the input against the API's limits.
    ///
    /// # Errors
    /// The first item that is beyond them.
    pub(super) fn check(&self) -> Result<(), DecisionProblem> {
        let Self::Items(items) = self else { return Ok(()) };
        for (index, item) in items.iter().enumerate() {
            if !item.is_object() {
                return Err(DecisionProblem::new("input", format!("`input[{index}]` is no object.")));
            }
            let parts = item["content"].as_array().into_iter().flatten();
            for part in parts {
                check_part(part)
                    .map_err(|problem| DecisionProblem::new("input", format!("`input[{index}]` {problem}")))?;
            }
        }
        Ok(())
    }
}

impl DecisionInstructions {
    /// Checks the parts against the API's limits.
    ///
    /// # Errors
    /// What is wrong with the first that is beyond them.
    pub(super) fn check(&self) -> Result<(), String> {
        self.flaw.clone().map_or(Ok(()), Err)
    }

    /// Returns the instructions as one text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl DecisionRequest {
    /// Returns the input as a classifier reads it: the items as the API that they are of, JSON as text.
    pub(super) fn classified_input(&self) -> ClassifyInput {
        match &self.input {
            DecisionInput::Text(text) => ClassifyInput::Text(text.clone()),
            DecisionInput::Items(items) => {
                let items: Vec<Value> = items.iter().map(with_json_as_text).collect();
                let body = json!({"input": items}).to_string();
                ClassifyInput::Body { path: ITEMS_PATH.to_owned(), json: body.into() }
            }
        }
    }

    /// Returns the input as a judge reads it.
    ///
    /// # Errors
    /// When it holds an image, or an instruction does: judges read texts.
    pub(super) fn text(&self) -> Result<String, DecisionProblem> {
        match &self.input {
            DecisionInput::Text(text) => Ok(text.clone()),
            DecisionInput::Items(items) => {
                let mut text = String::new();
                for (index, item) in items.iter().enumerate() {
                    if holds_image(&item["content"]) || holds_image(&item["output"]) {
                        let message = format!(
                            "`input[{index}]` holds an image, and no head answers every question (allowed: texts)."
                        );
                        return Err(DecisionProblem::new("input", message));
                    }
                    writeln!(text, "[{}]\n{}\n", speaker(item), item_text(item)).expect("writing to a string");
                }
                Ok(text)
            }
        }
    }
}

fn check_part(part: &Value) -> Result<(), String> {
    match part["type"].as_str() {
        Some("input_json") => check_json(&part["data"]),
        Some("input_text" | "input_image" | "output_text" | "refusal") => Ok(()),
        _ => Err("has a part of another type (allowed: input_text, input_image, input_json).".to_owned()),
    }
}

fn holds_image(content: &Value) -> bool {
    content.as_array().is_some_and(|parts| parts.iter().any(|part| part["type"] == "input_image"))
}

fn with_json_as_text(item: &Value) -> Value {
    let mut item = item.clone();
    if let Some(parts) = item["content"].as_array_mut() {
        for part in parts.iter_mut().filter(|part| part["type"] == "input_json") {
            *part = json!({"type": "input_text", "text": part["data"].to_string()});
        }
    }
    item
}

fn speaker(item: &Value) -> &str {
    item["role"].as_str().or_else(|| item["type"].as_str()).unwrap_or("user")
}

fn item_text(item: &Value) -> String {
    let texts = ["content", "output", "arguments", "input"].into_iter().filter_map(|key| match &item[key] {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => Some(parts.iter().map(part_text).collect::<Vec<_>>().join("\n")),
        _ => None,
    });
    let name = item["name"].as_str().map(str::to_owned);
    name.into_iter().chain(texts).collect::<Vec<_>>().join("\n")
}

fn part_text(part: &Value) -> String {
    match part["type"].as_str() {
        Some("input_json") => part["data"].to_string(),
        Some("refusal") => part["refusal"].as_str().unwrap_or_default().to_owned(),
        _ => part["text"].as_str().unwrap_or_default().to_owned(),
    }
}
