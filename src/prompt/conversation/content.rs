//! What one turn holds: text parts, attachments, calls of tools and their results.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess};

use super::call::Call;
use super::starts_like_an_error;
use crate::prompt::tolerant::{Flag, Shape, Text, Tolerant};
use crate::prompt::turn::Fingerprint;
use crate::prompt::{AttachmentKind, Attachments};

/// A turn's content: its text parts joined with `\n`, and what else it has.
#[derive(Default)]
pub(in crate::prompt) struct Content<'b> {
    /// `None` when no part is text.
    pub(in crate::prompt) text: Option<Cow<'b, str>>,
    /// Where text parts after the first begin.
    pub(super) breaks: Vec<usize>,
    pub(super) attachments: Attachments,
    /// Blocks that call a tool.
    pub(super) calls: Vec<Fingerprint>,
    pub(super) results: Results<'b>,
}

/// The tool results among a turn's blocks.
#[derive(Default)]
pub(super) struct Results<'b> {
    pub(super) count: u32,
    /// Those that say that they failed, or start like an error.
    pub(super) errors: Vec<Fingerprint>,
    pub(super) text: Option<Cow<'b, str>>,
    pub(super) attachments: Attachments,
}

/// Adds `part` to `text`, after a `\n` unless there is nothing before it.
pub(in crate::prompt) fn join<'b>(text: &mut Option<Cow<'b, str>>, part: Cow<'b, str>) {
    match text {
        Some(text) if !text.is_empty() => {
            let joined = text.to_mut();
            joined.push('\n');
            joined.push_str(&part);
        }
        _ => *text = Some(part),
    }
}

impl<'b> Shape<'b> for Content<'b> {
    fn from_text(text: Cow<'b, str>) -> Self {
        Self { text: Some(text), ..Self::default() }
    }

    fn from_array<A: SeqAccess<'b>>(mut array: A) -> Result<Self, A::Error> {
        let mut content = Self::default();
        while let Some(Tolerant(part)) = array.next_element()? {
            content.push(part);
        }
        Ok(content)
    }
}

impl<'b> Content<'b> {
    fn push(&mut self, part: Part<'b>) {
        match part {
            Part::Plain(plain) => {
                if plain.text.is_some() && self.text.as_ref().is_some_and(|text| !text.is_empty()) {
                    self.breaks.extend(self.text.as_ref().map(|text| text.len() + 1));
                }
                plain.join_to(&mut self.text, &mut self.attachments);
            }
            Part::Call(call) => self.calls.push(call.fingerprint()),
            Part::Result { content, is_error } => {
                let results = &mut self.results;
                let failed = is_error || content.text.as_deref().is_some_and(starts_like_an_error);
                results.count = results.count.saturating_add(1);
                results
                    .errors
                    .extend(failed.then(|| Fingerprint::of_error(content.text.as_deref().unwrap_or_default())));
                content.join_to(&mut results.text, &mut results.attachments);
            }
        }
    }
}

enum Part<'b> {
    Plain(Plain<'b>),
    Call(Call<'b>),
    Result { content: Plain<'b>, is_error: bool },
}

impl Default for Part<'_> {
    fn default() -> Self {
        Self::Plain(Plain::default())
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum PartKey {
    Type,
    Text,
    Refusal,
    Content,
    IsError,
    Name,
    Input,
    #[serde(other)]
    Other,
}

impl<'b> Shape<'b> for Part<'b> {
    fn from_object<A: MapAccess<'b>>(mut object: A) -> Result<Self, A::Error> {
        let (mut kind, mut text, mut refusal) = (Text(None), Text(None), Text(None));
        let (mut content, mut is_error, mut call) = (Plain::default(), Flag(false), Call::default());
        while let Some(key) = object.next_key()? {
            match key {
                PartKey::Type => Tolerant(kind) = object.next_value()?,
                PartKey::Text => Tolerant(text) = object.next_value()?,
                PartKey::Refusal => Tolerant(refusal) = object.next_value()?,
                PartKey::Content => Tolerant(content) = object.next_value()?,
                PartKey::IsError => Tolerant(is_error) = object.next_value()?,
                PartKey::Name => call.name = object.next_value()?,
                PartKey::Input => call.arguments = object.next_value()?,
                PartKey::Other => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(match kind.0.as_deref() {
            Some("tool_use" | "server_tool_use" | "mcp_tool_use") => Self::Call(call),
            Some(kind) if kind.ends_with("tool_result") => Self::Result { content, is_error: is_error.0 },
            Some("refusal") => Self::Plain(Plain::of("text", refusal)),
            kind => Self::Plain(Plain::of(kind.unwrap_or_default(), text)),
        })
    }
}

/// Text and attachments with nothing nested in them: what a tool's result may hold.
#[derive(Default)]
struct Plain<'b> {
    text: Option<Cow<'b, str>>,
    attachments: Attachments,
}

impl<'b> Plain<'b> {
    fn of(kind: &str, text: Text<'b>) -> Self {
        let none = Attachments::default();
        if matches!(kind, "text" | "input_text" | "output_text") {
            return Self { text: Some(text.0.unwrap_or_default()), attachments: none };
        }
        let attachments = match AttachmentKind::of_part(kind) {
            Some(AttachmentKind::Image) => Attachments { images: 1, ..none },
            Some(AttachmentKind::Audio) => Attachments { audio: 1, ..none },
            Some(AttachmentKind::File) => Attachments { files: 1, ..none },
            None => none,
        };
        Self { text: None, attachments }
    }

    fn join_to(self, text: &mut Option<Cow<'b, str>>, attachments: &mut Attachments) {
        if let Some(part) = self.text {
            join(text, part);
        }
        attachments.add(self.attachments);
    }
}

impl<'b> Shape<'b> for Plain<'b> {
    fn from_text(text: Cow<'b, str>) -> Self {
        Self { text: Some(text), attachments: Attachments::default() }
    }

    fn from_array<A: SeqAccess<'b>>(mut array: A) -> Result<Self, A::Error> {
        let mut plain = Self::default();
        while let Some(Tolerant(PlainPart(part))) = array.next_element()? {
            part.join_to(&mut plain.text, &mut plain.attachments);
        }
        Ok(plain)
    }
}

#[derive(Default)]
struct PlainPart<'b>(Plain<'b>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum PlainKey {
    Type,
    Text,
    #[serde(other)]
    Other,
}

impl<'b> Shape<'b> for PlainPart<'b> {
    fn from_object<A: MapAccess<'b>>(mut object: A) -> Result<Self, A::Error> {
        let (mut kind, mut text) = (Text(None), Text(None));
        while let Some(key) = object.next_key()? {
            match key {
                PlainKey::Type => Tolerant(kind) = object.next_value()?,
                PlainKey::Text => Tolerant(text) = object.next_value()?,
                PlainKey::Other => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Self(Plain::of(kind.0.as_deref().unwrap_or_default(), text)))
    }
}
