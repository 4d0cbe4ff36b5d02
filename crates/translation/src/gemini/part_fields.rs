//! A part of a content as a client wrote it, in either spelling: its fields by what they mean.

use std::borrow::Cow;
use std::fmt;

use serde_json::value::RawValue;

use crate::conversion::schema::camel_case;
use crate::json::{self, Fields};
use crate::refusal::TranslationRefusal;

/// The place of a content or of a part in a request.
#[derive(Clone, Copy)]
pub(super) struct ContentPlace {
    /// The content; `None` for the instructions.
    content: Option<usize>,
    part: Option<usize>,
}

impl ContentPlace {
    /// The place of the instructions.
    pub(super) const SYSTEM: Self = Self { content: None, part: None };

    pub(super) const fn of_content(index: usize) -> Self {
        Self { content: Some(index), part: None }
    }

    pub(super) const fn of_part(self, index: usize) -> Self {
        Self { content: self.content, part: Some(index) }
    }
}

impl fmt::Display for ContentPlace {
    fn fmt(&self, form: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.content {
            Some(index) => write!(form, "contents[{index}]")?,
            None => form.write_str("systemInstruction")?,
        }
        self.part.map_or(Ok(()), |part| write!(form, ".parts[{part}]"))
    }
}

/// The content of a part beside its marks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PartContent {
    /// Bytes in the body.
    InlineData,
    /// Bytes at an address.
    FileData,
    /// A call.
    FunctionCall,
    /// The result of a call.
    FunctionResponse,
    /// A part that only Google's API knows, by its name.
    Native(&'static str),
}

/// The fields of a part.
#[derive(Default)]
pub(super) struct GeminiPartFields<'b> {
    pub(super) text: Option<Cow<'b, str>>,
    pub(super) is_thought: bool,
    pub(super) signature: Option<Cow<'b, str>>,
    pub(super) content: Option<(PartContent, &'b RawValue)>,
    pub(super) resolution: Option<&'b RawValue>,
    /// Names of fields that no other API has a word for.
    pub(super) others: Vec<String>,
}

impl<'b> GeminiPartFields<'b> {
    /// Reads a part that is at `place` of the body.
    pub(super) fn of(raw: &'b RawValue, place: ContentPlace) -> Result<Self, TranslationRefusal> {
        let fields =
            Fields::of(raw).ok_or_else(|| TranslationRefusal::malformed(place.to_string(), "a part is an object"))?;
        let mut part = Self::default();
        for (name, raw) in fields.iter().filter(|(_, raw)| !json::is_null(raw)) {
            let content = match name {
                "text" => {
                    let text = json::text(raw);
                    part.text =
                        Some(text.ok_or_else(|| TranslationRefusal::malformed(format!("{place}.text"), "no text"))?);
                    continue;
                }
                "thought" => {
                    part.is_thought = json::value(raw) == Some(true);
                    continue;
                }
                "thoughtSignature" | "thought_signature" => {
                    part.signature = json::text(raw).filter(|text| !text.is_empty());
                    continue;
                }
                "mediaResolution" | "media_resolution" => {
                    part.resolution = Some(raw);
                    continue;
                }
                "inlineData" | "inline_data" => PartContent::InlineData,
                "fileData" | "file_data" => PartContent::FileData,
                "functionCall" | "function_call" => PartContent::FunctionCall,
                "functionResponse" | "function_response" => PartContent::FunctionResponse,
                "executableCode" | "executable_code" => PartContent::Native("executableCode"),
                "codeExecutionResult" | "code_execution_result" => PartContent::Native("codeExecutionResult"),
                "toolCall" | "tool_call" => PartContent::Native("toolCall"),
                "toolResponse" | "tool_response" => PartContent::Native("toolResponse"),
                other => {
                    part.others.push(if other.contains('_') { camel_case(other) } else { other.to_owned() });
                    continue;
                }
            };
            part.content = Some((content, raw));
        }
        Ok(part)
    }
}
