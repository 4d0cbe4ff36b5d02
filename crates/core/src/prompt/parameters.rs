//! The parameters beside the conversation, kept as the client spelt them until the whole body is known to be JSON.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::tolerant::{Tolerant, TolerantText};

/// The parameters beside the conversation; `None` where the client leaves the choice to the API.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PromptParameters<'b> {
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Nucleus sampling mass.
    pub top_p: Option<f64>,
    /// The most tokens the answer may have: `max_completion_tokens`, else the older `max_tokens`; `max_output_tokens`
    /// in responses.
    pub max_output_tokens: Option<u64>,
    /// Asks for a streamed answer.
    pub stream: bool,
    /// Asks for a chunk with the token usage: `stream_options.include_usage`.
    pub include_usage: bool,
    /// The effort of thinking in the client's words: an effort, else Anthropic's type of `thinking`.
    pub reasoning_effort: Option<Cow<'b, str>>,
    /// The shape that the answer must have.
    pub response_format: ResponseFormat,
}

/// The shape that the answer must have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ResponseFormat {
    /// Free text; also any format this version does not know.
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that matches the client's schema.
    JsonSchema,
}

impl ResponseFormat {
    /// Returns the name that the API uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::JsonObject => "json_object",
            Self::JsonSchema => "json_schema",
        }
    }
}

/// The values as they stand in the body; each dialect fills those that it knows.
#[derive(Default)]
pub(super) struct RawParameters<'b> {
    pub(super) temperature: Option<&'b RawValue>,
    pub(super) top_p: Option<&'b RawValue>,
    /// The value of `max_tokens` or `max_output_tokens`.
    pub(super) max_tokens: Option<&'b RawValue>,
    pub(super) max_completion_tokens: Option<&'b RawValue>,
    pub(super) stream: Option<&'b RawValue>,
    pub(super) stream_options: Option<&'b RawValue>,
    pub(super) reasoning_effort: Option<&'b RawValue>,
    /// The object that holds `effort`.
    pub(super) reasoning: Option<&'b RawValue>,
    /// The object that holds `type`, such as `enabled`.
    pub(super) thinking: Option<&'b RawValue>,
    /// The object that holds `effort` and `format`.
    pub(super) output_config: Option<&'b RawValue>,
    /// The value of `response_format` or `output_format`.
    pub(super) response_format: Option<&'b RawValue>,
    /// The object that holds `format`.
    pub(super) text: Option<&'b RawValue>,
}

impl<'b> RawParameters<'b> {
    /// Reads each value; one of another type than the parameter's is as if it were not there.
    pub(super) fn read(self) -> PromptParameters<'b> {
        PromptParameters {
            temperature: self.temperature.and_then(value),
            top_p: self.top_p.and_then(value),
            max_output_tokens: self.max_completion_tokens.and_then(count).or_else(|| self.max_tokens.and_then(count)),
            stream: self.stream.and_then(value).unwrap_or(false),
            include_usage: member(self.stream_options, "include_usage").and_then(value).unwrap_or(false),
            reasoning_effort: self.effort(),
            response_format: self.format(),
        }
    }

    fn effort(&self) -> Option<Cow<'b, str>> {
        let given = self.reasoning_effort.or_else(|| member(self.reasoning, "effort"));
        let given = given.or_else(|| member(self.output_config, "effort"));
        given.and_then(text).or_else(|| member(self.thinking, "type").and_then(text))
    }

    /// Returns the schema of the answer as it stands in the body, with what is around it.
    pub(super) fn schema(&self) -> Option<&'b RawValue> {
        self.raw_format().filter(|_| self.format() == ResponseFormat::JsonSchema)
    }

    fn raw_format(&self) -> Option<&'b RawValue> {
        let format = self.response_format.or_else(|| member(self.text, "format"));
        format.or_else(|| member(self.output_config, "format"))
    }

    fn format(&self) -> ResponseFormat {
        match member(self.raw_format(), "type").and_then(text).as_deref() {
            Some("json_object") => ResponseFormat::JsonObject,
            Some("json_schema") => ResponseFormat::JsonSchema,
            _ => ResponseFormat::Text,
        }
    }
}

fn value<'b, T: Deserialize<'b>>(raw: &'b RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

/// Reads a whole number, one with a zero fraction included.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and not negative")]
fn count(raw: &RawValue) -> Option<u64> {
    let whole = || value::<f64>(raw).filter(|number| *number >= 0.0 && number.fract() == 0.0);
    value(raw).or_else(|| whole().map(|number| number as u64))
}

pub(super) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    value(raw).and_then(|Tolerant(TolerantText(text))| text)
}

/// Returns the value of `key` when `raw` is an object that has it.
pub(super) fn member<'b>(raw: Option<&'b RawValue>, key: &str) -> Option<&'b RawValue> {
    value::<HashMap<Cow<'b, str>, &'b RawValue>>(raw?)?.remove(key)
}
