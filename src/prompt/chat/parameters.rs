//! The parameters beside the conversation, kept as the client spelt them until the whole body is known to be JSON.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use crate::prompt::tolerant::{Shape, Text, Tolerant};
use crate::prompt::{Parameters, ResponseFormat};

/// The values as they stand in the body.
#[derive(Default)]
pub(super) struct RawParameters<'b> {
    pub(super) temperature: Option<&'b RawValue>,
    pub(super) top_p: Option<&'b RawValue>,
    pub(super) max_tokens: Option<&'b RawValue>,
    pub(super) max_completion_tokens: Option<&'b RawValue>,
    pub(super) stream: Option<&'b RawValue>,
    pub(super) reasoning_effort: Option<&'b RawValue>,
    pub(super) response_format: Option<&'b RawValue>,
}

impl<'b> RawParameters<'b> {
    /// Reads each value; one of another type than the parameter's is as if it were not there.
    pub(super) fn read(self) -> Parameters<'b> {
        Parameters {
            temperature: self.temperature.and_then(value),
            top_p: self.top_p.and_then(value),
            max_output_tokens: self.max_completion_tokens.and_then(value).or_else(|| self.max_tokens.and_then(value)),
            stream: self.stream.and_then(value).unwrap_or(false),
            reasoning_effort: self.reasoning_effort.and_then(text),
            response_format: self
                .response_format
                .and_then(value)
                .map_or(ResponseFormat::Text, |Tolerant(format)| format),
        }
    }
}

fn value<'b, T: Deserialize<'b>>(raw: &'b RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    value(raw).and_then(|Tolerant(Text(text))| text)
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Type,
    #[serde(other)]
    Other,
}

impl<'b> Shape<'b> for ResponseFormat {
    fn from_object<A: MapAccess<'b>>(mut object: A) -> Result<Self, A::Error> {
        let mut format = Self::default();
        while let Some(key) = object.next_key()? {
            match key {
                Key::Type => format = format_named(object.next_value()?),
                Key::Other => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(format)
    }
}

fn format_named(Tolerant(Text(name)): Tolerant<Text<'_>>) -> ResponseFormat {
    match name.as_deref() {
        Some("json_object") => ResponseFormat::JsonObject,
        Some("json_schema") => ResponseFormat::JsonSchema,
        _ => ResponseFormat::Text,
    }
}
