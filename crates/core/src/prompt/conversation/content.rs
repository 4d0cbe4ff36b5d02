//! The content of one turn: text parts, attachments, calls of tools and their results.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};

use super::call::ToolCalls;
use super::part::TurnPart;
use super::tool_error::{error_text, starts_like_an_error};
use crate::prompt::attached::Attachments;
use crate::prompt::material::CountedMaterial;
use crate::prompt::pieces::PieceKind;
use crate::prompt::reading::BodyReading;
use crate::prompt::tolerant::FromJson;
use crate::prompt::turn::TurnFingerprint;

/// A turn's content: its text parts joined with `\n`, and what else it has.
#[derive(Default)]
pub(in crate::prompt) struct TurnContent<'b> {
    /// `None` when no part is text.
    pub(in crate::prompt) text: Option<Cow<'b, str>>,
    /// The bytes where text parts after the first begin.
    pub(super) breaks: Vec<usize>,
    pub(super) attachments: Attachments,
    /// Blocks that call a tool.
    pub(super) calls: ToolCalls<'b>,
    pub(super) results: ToolResults<'b>,
    /// Material that a provider counts beside the text, results included.
    pub(super) material: CountedMaterial<'b>,
}

/// The tool results among a turn's blocks.
#[derive(Default)]
pub(super) struct ToolResults<'b> {
    pub(super) count: u32,
    /// Errors of the results that say that they failed, or start like an error.
    pub(super) errors: Vec<TurnFingerprint>,
    pub(super) text: Option<Cow<'b, str>>,
    pub(super) attachments: Attachments,
}

impl<'b> FromJson<'b> for TurnContent<'b> {
    fn from_text(text: Cow<'b, str>) -> Self {
        Self { text: Some(text), ..Self::default() }
    }

    fn from_array<A: SeqAccess<'b>>(mut array: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut content = Self::default();
        while let Some(part) = reading.part(&mut array)? {
            content.push(part);
        }
        Ok(content)
    }

    /// One part, such as the screenshot that a computer's call puts out; it is no text of the turn.
    fn from_object<A: MapAccess<'b>>(object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut content = Self::default();
        if let TurnPart::Plain(plain) = TurnPart::from_object(object, reading)? {
            content.attachments = plain.attachments;
            content.material = plain.material;
            content.material.push_text(PieceKind::Other, plain.text);
        }
        Ok(content)
    }
}

impl<'b> TurnContent<'b> {
    pub(super) fn push(&mut self, part: TurnPart<'b>) {
        match part {
            TurnPart::Plain(plain) => {
                if plain.text.is_some() && self.text.as_ref().is_some_and(|text| !text.is_empty()) {
                    self.breaks.extend(self.text.as_ref().map(|text| text.len() + 1));
                }
                self.material.add(plain.join_to(&mut self.text, &mut self.attachments));
            }
            TurnPart::Call(call) => self.calls.push(call),
            TurnPart::Result { content, is_error } => {
                let results = &mut self.results;
                let failed = is_error || content.text.as_deref().is_some_and(starts_like_an_error);
                results.count = results.count.saturating_add(1);
                results.errors.extend(
                    failed.then(|| TurnFingerprint::of_error(error_text(content.text.as_deref().unwrap_or_default()))),
                );
                self.material.add(content.join_to(&mut results.text, &mut results.attachments));
            }
        }
    }
}
