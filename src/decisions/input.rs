//! The input of a request for decisions: what heads and judges read of it.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

use super::question::{DecisionProblem, DecisionRequest, check_json};
use crate::classify::ClassifyInput;

/// The API whose items an input's are.
const ITEMS_PATH: &str = "/v1/responses";

/// The input: a text, or the items of a conversation.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum DecisionInput {
    Text(String),
    Items(Vec<Value>),
}

/// The instructions of a question: a text, or parts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum InstructionParts {
    Text(String),
    Parts(Vec<Value>),
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

impl InstructionParts {
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Text(_) => Ok(()),
            Self::Parts(parts) => parts.iter().try_for_each(check_part),
        }
    }

    /// Returns the instructions as one text.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => parts.iter().map(part_text).collect::<Vec<_>>().join("\n"),
        }
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
