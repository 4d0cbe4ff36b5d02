//! One part of a turn, read by its type: text, an attachment, a call, a result, a thought, or something new.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::call::Call;
use crate::prompt::attached::{AttachmentKind, Attachments};
use crate::prompt::material::{Material, Source};
use crate::prompt::pieces::PieceKind;
use crate::prompt::text::join;
use crate::prompt::tolerant::{Flag, Shape, Text, Tolerant};

/// One part of a turn.
pub(super) enum Part<'b> {
    /// Text, an attachment, or what is counted beside them.
    Plain(Plain<'b>),
    /// A block that calls a tool.
    Call(Call<'b>),
    /// A block with a tool's result.
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
    /// The source of an image, a sound or a document.
    #[serde(alias = "image_url", alias = "input_audio", alias = "audio", alias = "file", alias = "file_data")]
    Source,
    Detail,
    Thinking,
    #[serde(rename = "signature", alias = "data", alias = "encrypted_content")]
    Sealed,
    /// Keys that say nothing to a model.
    #[serde(rename = "id", alias = "tool_use_id", alias = "cache_control", alias = "citations", alias = "annotations")]
    Reference,
    #[serde(other)]
    Other,
}

/// The place of a part. What is nested deeper is not read but kept whole: no depth of nesting may exhaust the stack.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Turn,
    Result,
}

/// A part as it stands, whatever its type turns out to be.
#[derive(Default)]
struct Fields<'b> {
    kind: Text<'b>,
    text: Text<'b>,
    refusal: Text<'b>,
    content: Plain<'b>,
    is_error: Flag,
    call: Call<'b>,
    source: Source<'b>,
    detail: Text<'b>,
    thinking: Option<&'b RawValue>,
    sealed: Option<&'b RawValue>,
    others: Vec<&'b RawValue>,
}

impl<'b> Fields<'b> {
    fn read<A: MapAccess<'b>>(mut object: A, within: Within) -> Result<Self, A::Error> {
        let mut fields = Self::default();
        while let Some(key) = object.next_key()? {
            match key {
                PartKey::Type => Tolerant(fields.kind) = object.next_value()?,
                PartKey::Text => Tolerant(fields.text) = object.next_value()?,
                PartKey::Refusal => Tolerant(fields.refusal) = object.next_value()?,
                PartKey::Content if within == Within::Turn => Tolerant(fields.content) = object.next_value()?,
                PartKey::IsError => Tolerant(fields.is_error) = object.next_value()?,
                PartKey::Name => fields.call.name = object.next_value()?,
                PartKey::Input => fields.call.arguments = object.next_value()?,
                PartKey::Source => Tolerant(fields.source) = object.next_value()?,
                PartKey::Detail => Tolerant(fields.detail) = object.next_value()?,
                PartKey::Thinking => fields.thinking = object.next_value()?,
                PartKey::Sealed => fields.sealed = object.next_value()?,
                PartKey::Reference => drop(object.next_value::<IgnoredAny>()?),
                PartKey::Content | PartKey::Other => fields.others.push(object.next_value()?),
            }
        }
        Ok(fields)
    }

    /// Makes text and attachments of the part, and keeps what a provider counts beside them.
    fn into_plain(self) -> Plain<'b> {
        match AttachmentKind::of_part(self.kind.0.as_deref().unwrap_or_default()) {
            Some(kind) => self.into_attachment(kind),
            None => self.into_text(),
        }
    }

    fn into_attachment(self, kind: AttachmentKind) -> Plain<'b> {
        let none = Attachments::default();
        let mut material = Material::default();
        let attachments = match kind {
            AttachmentKind::Image => {
                material.media = self.source.image(&self.detail);
                Attachments { images: 1, ..none }
            }
            AttachmentKind::Audio => {
                material.media = self.source.audio();
                Attachments { audio: 1, ..none }
            }
            AttachmentKind::File => {
                material = self.source.document();
                material.push_all(PieceKind::Document, self.others);
                Attachments { files: 1, ..none }
            }
        };
        Plain { text: None, attachments, material }
    }

    fn into_text(self) -> Plain<'b> {
        let mut plain = Plain::default();
        let material = &mut plain.material;
        match self.kind.0.as_deref().unwrap_or_default() {
            "text" | "input_text" | "output_text" => plain.text = Some(self.text.0.unwrap_or_default()),
            "refusal" => plain.text = Some(self.refusal.0.unwrap_or_default()),
            "computer_screenshot" => material.media = self.source.image(&self.detail),
            "thinking" | "redacted_thinking" | "reasoning_text" | "summary_text" => {
                material.push(PieceKind::Thought, self.thinking);
                material.push_text(PieceKind::Thought, self.text.0);
                material.push_sealed(self.sealed);
            }
            // What this version does not know counts as it stands.
            _ => {
                *material = self.content.material;
                material.push_text(PieceKind::Other, self.content.text);
                material.push_text(PieceKind::Other, self.text.0);
                material.push_sealed(self.sealed);
                material.push_all(PieceKind::Other, self.others);
            }
        }
        plain
    }
}

impl<'b> Shape<'b> for Part<'b> {
    fn from_object<A: MapAccess<'b>>(object: A) -> Result<Self, A::Error> {
        let fields = Fields::read(object, Within::Turn)?;
        Ok(match fields.kind.0.as_deref() {
            Some("tool_use" | "server_tool_use" | "mcp_tool_use") => Self::Call(fields.call),
            Some(kind) if kind.ends_with("tool_result") => {
                Self::Result { content: fields.content, is_error: fields.is_error.0 }
            }
            _ => Self::Plain(fields.into_plain()),
        })
    }
}

/// Text, attachments and what is counted beside them: what a tool's result may hold.
#[derive(Default)]
pub(super) struct Plain<'b> {
    pub(super) text: Option<Cow<'b, str>>,
    pub(super) attachments: Attachments,
    pub(super) material: Material<'b>,
}

impl<'b> Plain<'b> {
    /// Joins text and attachments to those before, and returns the rest.
    pub(super) fn join_to(self, text: &mut Option<Cow<'b, str>>, attachments: &mut Attachments) -> Material<'b> {
        if let Some(part) = self.text {
            join(text, part);
        }
        attachments.add(self.attachments);
        self.material
    }
}

impl<'b> Shape<'b> for Plain<'b> {
    fn from_text(text: Cow<'b, str>) -> Self {
        Self { text: Some(text), ..Self::default() }
    }

    fn from_array<A: SeqAccess<'b>>(mut array: A) -> Result<Self, A::Error> {
        let mut plain = Self::default();
        while let Some(Tolerant(PlainPart(part))) = array.next_element()? {
            let material = part.join_to(&mut plain.text, &mut plain.attachments);
            plain.material.add(material);
        }
        Ok(plain)
    }

    /// A result of a provider's own tool; no text of the turn.
    fn from_object<A: MapAccess<'b>>(object: A) -> Result<Self, A::Error> {
        let PlainPart(part) = PlainPart::from_object(object)?;
        let mut material = part.material;
        material.push_text(PieceKind::Other, part.text);
        Ok(Self { material, ..Self::default() })
    }
}

#[derive(Default)]
struct PlainPart<'b>(Plain<'b>);

impl<'b> Shape<'b> for PlainPart<'b> {
    fn from_object<A: MapAccess<'b>>(object: A) -> Result<Self, A::Error> {
        Ok(Self(Fields::read(object, Within::Result)?.into_plain()))
    }
}
