//! The parameters beside the conversation, kept as the client spelt them until the whole body is known to be JSON.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::api_key::folded;
use super::dialect::Dialect;
use super::pieces::{JsonEscapes, unescaped};
use super::scan;

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
    /// The media type of the answer (Google).
    pub(super) media_type: Option<&'b RawValue>,
    /// The schema of the answer, with nothing around it (Google).
    pub(super) bare_schema: Option<&'b RawValue>,
    /// The level of thinking, in letters of any case (Google).
    pub(super) thinking_level: Option<&'b RawValue>,
    /// The most tokens of thinking (Google).
    pub(super) thinking_budget: Option<&'b RawValue>,
}

impl<'b> RawParameters<'b> {
    /// Reads each value; one of another type than the parameter's is as if it were not there.
    pub(super) fn read(self, dialect: Dialect) -> PromptParameters<'b> {
        let include_usage = member(json(self.stream_options), "include_usage");
        PromptParameters {
            temperature: json(self.temperature).and_then(number_of),
            top_p: json(self.top_p).and_then(number_of),
            max_output_tokens: json(self.max_completion_tokens)
                .and_then(count_of)
                .or_else(|| json(self.max_tokens).and_then(count_of)),
            stream: dialect.streams_by_path() || json(self.stream).is_some_and(is_on),
            include_usage: include_usage.is_some_and(is_on),
            reasoning_effort: self.effort(),
            response_format: self.format(),
        }
    }

    /// Returns the first key of an object that is read which stands there in another case than the API's.
    pub(super) fn key_in_another_case(&self) -> Option<String> {
        let objects = [
            (self.stream_options, &["include_usage"][..]),
            (self.reasoning, &["effort"]),
            (self.thinking, &["type"]),
            (self.output_config, &["effort", "format"]),
            (self.response_format, &["type"]),
            (self.text, &["format"]),
        ];
        let nested =
            [json(self.text), json(self.output_config)].map(|object| (member(object, "format"), &["type"][..]));
        let all = objects.map(|(raw, keys)| (json(raw), keys)).into_iter().chain(nested);
        all.filter_map(|(object, keys)| odd_key(object?, keys)).next()
    }

    fn effort(&self) -> Option<Cow<'b, str>> {
        let given = json(self.reasoning_effort).or_else(|| member(json(self.reasoning), "effort"));
        let given = given.or_else(|| member(json(self.output_config), "effort"));
        let given = given.and_then(text).or_else(|| member(json(self.thinking), "type").and_then(text));
        let level = || json(self.thinking_level).and_then(text).map(|level| Cow::Owned(level.to_ascii_lowercase()));
        let budget = || json(self.thinking_budget).and_then(number_of).and_then(effort_of).map(Cow::Borrowed);
        given.or_else(level).or_else(budget)
    }

    /// Returns the schema of the answer as it stands in the body, with what is around it.
    pub(super) fn schema(&self) -> Option<&'b str> {
        if self.bare_schema.is_some() {
            return json(self.bare_schema);
        }
        self.raw_format().filter(|_| self.format() == ResponseFormat::JsonSchema)
    }

    fn raw_format(&self) -> Option<&'b str> {
        let format = json(self.response_format).or_else(|| member(json(self.text), "format"));
        format.or_else(|| member(json(self.output_config), "format"))
    }

    fn format(&self) -> ResponseFormat {
        if self.bare_schema.is_some() {
            return ResponseFormat::JsonSchema;
        }
        if json(self.media_type).and_then(text).is_some_and(|said| said.eq_ignore_ascii_case("application/json")) {
            return ResponseFormat::JsonObject;
        }
        match member(self.raw_format(), "type").and_then(text).as_deref() {
            Some("json_object") => ResponseFormat::JsonObject,
            Some("json_schema") => ResponseFormat::JsonSchema,
            _ => ResponseFormat::Text,
        }
    }
}

/// Returns the effort that a budget of thinking stands for; `None` where the model is to choose.
fn effort_of(budget: f64) -> Option<&'static str> {
    Some(match budget {
        budget if budget < 0.0 => return None,
        0.0 => "none",
        budget if budget < 4096.0 => "low",
        budget if budget < 16_384.0 => "medium",
        budget if budget < 32_768.0 => "high",
        _ => "xhigh",
    })
}

pub(super) fn json(raw: Option<&RawValue>) -> Option<&str> {
    raw.map(RawValue::get)
}

/// Reads a number, also one that is written as a text, as lenient servers do; beyond `f64` it is the largest or the
/// least that `f64` has.
fn number_of(json: &str) -> Option<f64> {
    let written = json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(json).trim();
    let number: f64 = written.parse().ok().filter(|number: &f64| !number.is_nan())?;
    Some(number.clamp(f64::MIN, f64::MAX))
}

/// Reads a whole number that is not negative, one with a zero fraction included, and one that is written as a text; one
/// beyond `u64` is its largest.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and not negative")]
#[must_use]
pub fn count_of(json: &str) -> Option<u64> {
    let whole = || number_of(json).filter(|number| *number >= 0.0 && number.fract() == 0.0);
    json.parse().ok().or_else(|| whole().map(|number| number as u64))
}

/// Tells whether a switch is on, as the most lenient server reads it: `true`, `1`, or a text that says so.
fn is_on(json: &str) -> bool {
    const ON: [&str; 6] = ["true", "1", "on", "t", "y", "yes"];
    let written = json.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    json == "true"
        || number_of(json) == Some(1.0)
        || written.is_some_and(|text| ON.iter().any(|on| on.eq_ignore_ascii_case(text)))
}

/// Returns what a JSON string says; `None` for any other value.
pub(super) fn text(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    Some(unescaped(inner, JsonEscapes::All))
}

/// Returns the value of `key` when `json` is an object that has it: the last where it comes twice.
pub(super) fn member<'b>(json: Option<&'b str>, key: &str) -> Option<&'b str> {
    let json = json?;
    let body = json.as_bytes();
    let members = scan::members(body, scan::object_at(body, 0)?);
    members.filter(|member| member.name(body).as_deref() == Some(key)).last().and_then(|member| json.get(member.value))
}

/// Returns the first key of an object that is one of `keys` in another case.
fn odd_key(json: &str, keys: &[&str]) -> Option<String> {
    let body = json.as_bytes();
    let mut members = scan::members(body, scan::object_at(body, 0)?);
    members.find_map(|member| {
        let name = member.name(body)?;
        folded(&name).filter(|lower| keys.contains(&&**lower)).map(|_| name.into_owned())
    })
}
