//! One part of a turn, read by its type: text, an attachment, a call, a result, a thought, or something new.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::call::ToolCall;
use crate::prompt::api_key::ApiKey;
use crate::prompt::attached::{AttachmentKind, Attachments};
use crate::prompt::material::{AttachmentSource, CountedMaterial};
use crate::prompt::odd_keys::{OddKeys, OddPartKeys};
use crate::prompt::pieces::PieceKind;
use crate::prompt::reading::BodyReading;
use crate::prompt::text::join;
use crate::prompt::tolerant::{FromJson, TolerantFlag, TolerantText};

/// One part of a turn.
pub(super) enum TurnPart<'b> {
    /// Text, an attachment, or what is counted beside them.
    Plain(PlainContent<'b>),
    /// A block that calls a tool.
    Call(ToolCall<'b>),
    /// A block with a tool's result.
    Result { content: PlainContent<'b>, is_error: bool },
}

impl Default for TurnPart<'_> {
    fn default() -> Self {
        Self::Plain(PlainContent::default())
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum TurnPartKey {
    Type,
    Text,
    Refusal,
    Content,
    IsError,
    Name,
    Input,
    /// The source of an image or a document, by the part's type.
    Source,
    #[serde(alias = "image_embeds", alias = "image_file", alias = "video_url")]
    ImageUrl,
    #[serde(alias = "audio", alias = "audio_url", alias = "audio_embeds")]
    InputAudio,
    #[serde(alias = "file_data", alias = "document_url")]
    File,
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

impl ApiKey for TurnPartKey {
    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }

    fn is_unseen(&self) -> bool {
        matches!(self, Self::Name | Self::Sealed | Self::Reference | Self::Other)
    }
}

impl TurnPartKey {
    /// Returns the kind of attachment whose source stands behind the key.
    const fn implied(&self) -> Option<AttachmentKind> {
        match self {
            Self::ImageUrl => Some(AttachmentKind::Image),
            Self::InputAudio => Some(AttachmentKind::Audio),
            Self::File => Some(AttachmentKind::File),
            _ => None,
        }
    }
}

/// The place of a part. What is nested deeper is not read but kept whole: no depth of nesting may exhaust the stack.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PartDepth {
    Turn,
    Result,
}

/// A part as it stands, whatever its type turns out to be.
#[derive(Default)]
struct PartFields<'b> {
    kind: TolerantText<'b>,
    text: TolerantText<'b>,
    refusal: TolerantText<'b>,
    content: PlainContent<'b>,
    is_error: TolerantFlag,
    call: ToolCall<'b>,
    source: AttachmentSource<'b>,
    /// The kind of attachment that the source's key tells of: some servers need no type beside it.
    implied: Option<AttachmentKind>,
    detail: TolerantText<'b>,
    thinking: Option<&'b RawValue>,
    sealed: Option<&'b RawValue>,
    others: Vec<&'b RawValue>,
}

impl<'b> PartFields<'b> {
    fn read<A: MapAccess<'b>>(mut object: A, within: PartDepth, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut fields = Self::default();
        let (before, mut odd) = (reading.take_odd_keys(), OddPartKeys::default());
        while let Some(key) = reading.key::<TurnPartKey, A>(&mut object)? {
            fields.implied = key.implied().or(fields.implied);
            match key {
                TurnPartKey::Type => fields.kind = reading.value(&mut object)?,
                TurnPartKey::Text => fields.text = reading.value(&mut object)?,
                TurnPartKey::Refusal => fields.refusal = reading.value(&mut object)?,
                TurnPartKey::Content if within == PartDepth::Turn => {
                    let own = reading.take_odd_keys();
                    fields.content = reading.value(&mut object)?;
                    odd.of_content = odd.of_content.or(reading.take_odd_keys());
                    reading.hold_odd_keys(own);
                }
                TurnPartKey::IsError => fields.is_error = reading.value(&mut object)?,
                TurnPartKey::Name => fields.call.name = reading.optional(&mut object)?,
                TurnPartKey::Input => fields.call.arguments = reading.optional(&mut object)?,
                TurnPartKey::Source | TurnPartKey::ImageUrl | TurnPartKey::InputAudio | TurnPartKey::File => {
                    let own = reading.take_odd_keys();
                    fields.source = reading.value(&mut object)?;
                    odd.of_source = odd.of_source.or(reading.take_odd_keys());
                    reading.hold_odd_keys(own);
                }
                TurnPartKey::Detail => fields.detail = reading.value(&mut object)?,
                TurnPartKey::Thinking => fields.thinking = reading.optional(&mut object)?,
                TurnPartKey::Sealed => fields.sealed = reading.optional(&mut object)?,
                TurnPartKey::Reference => reading.skip(&mut object)?,
                TurnPartKey::Content | TurnPartKey::Other => fields.others.push(reading.unknown(&mut object)?),
            }
        }
        odd.own = reading.take_odd_keys();
        let held = if odd.is_empty() { before } else { Some(fields.held_with(before, odd)) };
        reading.hold_odd_keys(held);
        Ok(fields)
    }

    #[cold]
    fn held_with(&self, before: Option<Box<OddKeys>>, odd: OddPartKeys) -> Box<OddKeys> {
        let mut held = before.unwrap_or_default();
        held.add_part(odd, self.kind.0.as_deref());
        held
    }

    /// Makes text and attachments of the part, and keeps what a provider counts beside them.
    fn into_plain(self) -> PlainContent<'b> {
        let kind = self.kind.0.as_deref();
        match kind.map_or(self.implied, AttachmentKind::of_part) {
            Some(kind) => self.into_attachment(kind),
            None => self.into_text(),
        }
    }

    fn into_attachment(self, kind: AttachmentKind) -> PlainContent<'b> {
        let none = Attachments::default();
        let mut material = CountedMaterial::default();
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
                let images = self.source.images_within();
                material = self.source.document();
                material.push_all(PieceKind::Document, self.others);
                Attachments { files: 1, images, ..none }
            }
        };
        PlainContent { text: None, attachments, material }
    }

    fn into_text(self) -> PlainContent<'b> {
        let mut plain = PlainContent::default();
        let material = &mut plain.material;
        let is_text = self.kind.0.is_none() && self.text.0.is_some();
        match self.kind.0.as_deref().unwrap_or_default() {
            "" if is_text => plain.text = self.text.0,
            "text" | "input_text" | "output_text" => plain.text = Some(self.text.0.unwrap_or_default()),
            "refusal" => plain.text = Some(self.refusal.0.unwrap_or_default()),
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

impl<'b> FromJson<'b> for TurnPart<'b> {
    fn from_object<A: MapAccess<'b>>(object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let fields = PartFields::read(object, PartDepth::Turn, reading)?;
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
pub(super) struct PlainContent<'b> {
    pub(super) text: Option<Cow<'b, str>>,
    pub(super) attachments: Attachments,
    pub(super) material: CountedMaterial<'b>,
}

impl<'b> PlainContent<'b> {
    /// Joins text and attachments to those before, and returns the rest.
    pub(super) fn join_to(self, text: &mut Option<Cow<'b, str>>, attachments: &mut Attachments) -> CountedMaterial<'b> {
        if let Some(part) = self.text {
            join(text, part);
        }
        attachments.add(self.attachments);
        self.material
    }
}

impl<'b> FromJson<'b> for PlainContent<'b> {
    fn from_text(text: Cow<'b, str>) -> Self {
        Self { text: Some(text), ..Self::default() }
    }

    fn from_array<A: SeqAccess<'b>>(mut array: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut plain = Self::default();
        while let Some(PlainPart(part)) = reading.part(&mut array)? {
            let material = part.join_to(&mut plain.text, &mut plain.attachments);
            plain.material.add(material);
        }
        Ok(plain)
    }

    /// A result of a provider's own tool; no text of the turn.
    fn from_object<A: MapAccess<'b>>(object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let PlainPart(PlainContent { text, attachments, mut material }) = PlainPart::from_object(object, reading)?;
        material.push_text(PieceKind::Other, text);
        Ok(Self { text: None, attachments, material })
    }
}

#[derive(Default)]
struct PlainPart<'b>(PlainContent<'b>);

impl<'b> FromJson<'b> for PlainPart<'b> {
    fn from_object<A: MapAccess<'b>>(object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        Ok(Self(PartFields::read(object, PartDepth::Result, reading)?.into_plain()))
    }
}
