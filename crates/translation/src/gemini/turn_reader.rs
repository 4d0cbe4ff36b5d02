//! Contents of a request: turns, their parts, and which result belongs to which call.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::joined_parts::TextPiece;
use super::open_calls::OpenCalls;
use super::part_fields::{ContentPlace, GeminiPartFields, PartContent};
use super::{joined_parts, media, thought};
use crate::json::{self, Fields};
use crate::loss::{Field, LossReport};
use crate::neutral::{CallKind, ImageDetail, Part, PartBody, ToolCall, ToolResult, Turn, TurnRole};
use crate::refusal::TranslationRefusal;

/// A reader of contents.
pub(super) struct TurnReader<'b, 'l> {
    losses: &'l mut LossReport,
    /// The resolution that the request wants of every image.
    detail: Option<ImageDetail>,
    calls: OpenCalls<'b>,
}

impl<'b, 'l> TurnReader<'b, 'l> {
    pub(super) fn new(losses: &'l mut LossReport, detail: Option<ImageDetail>) -> Self {
        Self { losses, detail, calls: OpenCalls::default() }
    }

    /// Reads `systemInstruction`: a content, or a bare text.
    pub(super) fn system(&mut self, raw: &'b RawValue) -> Result<Turn<'b>, TranslationRefusal> {
        if let Some(text) = json::text(raw) {
            return Ok(Turn { role: TurnRole::System, name: None, parts: vec![Part::text(text)] });
        }
        let mut turn = self.content(raw, ContentPlace::SYSTEM)?;
        turn.role = TurnRole::System;
        Ok(turn)
    }

    /// Reads `contents`: a list of contents, or a single one.
    pub(super) fn contents(&mut self, raw: &'b RawValue, turns: &mut Vec<Turn<'b>>) -> Result<(), TranslationRefusal> {
        let contents = json::list(raw).unwrap_or_else(|| vec![raw]);
        for (index, raw) in contents.into_iter().enumerate() {
            let turn = self.content(raw, ContentPlace::of_content(index))?;
            match turns.last_mut() {
                // SDKs keep each chunk of a stream as a content of its own.
                Some(last) if last.role == TurnRole::Assistant && turn.role == TurnRole::Assistant => {
                    joined_parts::append(turn.parts, &mut last.parts);
                }
                _ => turns.push(turn),
            }
        }
        Ok(())
    }

    fn content(&mut self, raw: &'b RawValue, place: ContentPlace) -> Result<Turn<'b>, TranslationRefusal> {
        let fields = Fields::of(raw)
            .ok_or_else(|| TranslationRefusal::malformed(place.to_string(), "a content is an object"))?;
        let mut turn = Turn { role: TurnRole::User, name: None, parts: Vec::new() };
        for (name, raw) in fields.iter().filter(|(_, raw)| !json::is_null(raw)) {
            match name {
                "role" => turn.role = role(raw, place)?,
                "parts" => {
                    let list = json::list(raw).unwrap_or_else(|| vec![raw]);
                    for (index, raw) in list.into_iter().enumerate() {
                        self.part(raw, place.of_part(index), &mut turn.parts)?;
                    }
                }
                other => self.losses.dropped_at(Field::Other, format!("{place}.{other}")),
            }
        }
        Ok(turn)
    }

    fn part(
        &mut self,
        raw: &'b RawValue,
        place: ContentPlace,
        parts: &mut Vec<Part<'b>>,
    ) -> Result<(), TranslationRefusal> {
        let fields = GeminiPartFields::of(raw, place)?;
        for other in &fields.others {
            self.losses.dropped_at(Field::Other, format!("{place}.{other}"));
        }
        let sealed = fields.signature.and_then(thought::seal);
        let Some((kind, raw)) = fields.content else {
            match fields.text {
                Some(text) => {
                    joined_parts::push_text(TextPiece { text, is_thought: fields.is_thought, sealed }, parts);
                }
                None => self.losses.dropped_at(Field::Other, place.to_string()),
            }
            return Ok(());
        };
        let body = match kind {
            PartContent::FunctionCall => Some(PartBody::ToolCall(self.call(raw, place)?)),
            PartContent::FunctionResponse => Some(PartBody::ToolResult(self.result(raw, place)?)),
            PartContent::Native(kind) => Some(PartBody::Native { kind: Cow::Borrowed(kind), raw }),
            PartContent::InlineData => media::read_inline(raw),
            PartContent::FileData => media::read_file(raw),
        };
        let body =
            body.ok_or_else(|| TranslationRefusal::malformed(place.to_string(), "neither data nor an address"))?;
        let body = self.detailed(body, fields.resolution);
        joined_parts::push_signed(Part::new(body), sealed, parts);
        Ok(())
    }

    /// Puts the wanted resolution on an image.
    fn detailed(&mut self, mut body: PartBody<'b>, resolution: Option<&RawValue>) -> PartBody<'b> {
        let own = resolution.and_then(media::read_resolution);
        if let PartBody::Image(image) = &mut body {
            image.detail = own.or(self.detail);
        }
        if resolution.is_some() && (own.is_none() || !matches!(body, PartBody::Image(_))) {
            self.losses.dropped(Field::ImageDetail);
        }
        body
    }

    fn call(&mut self, raw: &'b RawValue, place: ContentPlace) -> Result<ToolCall<'b>, TranslationRefusal> {
        let fields = Fields::of(raw).unwrap_or_default();
        let name = fields
            .text("name")
            .ok_or_else(|| TranslationRefusal::malformed(format!("{place}.functionCall.name"), "missing"))?;
        let id = self.calls.open(name.clone(), fields.text("id").filter(|id| !id.is_empty()));
        let arguments = fields.get("args").map_or(Cow::Borrowed(""), |raw| Cow::Borrowed(raw.get()));
        Ok(ToolCall { id, name, arguments, kind: CallKind::Function })
    }

    fn result(&mut self, raw: &'b RawValue, place: ContentPlace) -> Result<ToolResult<'b>, TranslationRefusal> {
        let fields = Fields::of(raw).unwrap_or_default();
        let name = fields.text("name");
        let call_id = self.calls.close(fields.text("id").filter(|id| !id.is_empty()), name.as_deref());
        let mut result = ToolResult { call_id, name, parts: Vec::new(), is_error: None, kind: CallKind::Function };
        if let Some(response) = fields.get("response") {
            read_response(response, &mut result);
        }
        for raw in fields.list("parts") {
            self.part(raw, place, &mut result.parts)?;
        }
        for (other, _) in fields.iter().filter(|(_, raw)| !json::is_null(raw)) {
            if !matches!(other, "id" | "name" | "response" | "parts") {
                self.losses.dropped_at(Field::Other, format!("{place}.functionResponse.{other}"));
            }
        }
        Ok(result)
    }
}

fn role(raw: &RawValue, place: ContentPlace) -> Result<TurnRole, TranslationRefusal> {
    match json::text(raw).as_deref() {
        Some("user" | "function" | "") => Ok(TurnRole::User),
        Some("model") => Ok(TurnRole::Assistant),
        Some("system") => Ok(TurnRole::System),
        _ => Err(TranslationRefusal::malformed(format!("{place}.role"), "neither `user` nor `model`")),
    }
}

/// Reads what a call gave: `output` is the result, `error` a failure, and else the whole object is the result.
fn read_response<'b>(response: &'b RawValue, result: &mut ToolResult<'b>) {
    let fields = Fields::of(response).unwrap_or_default();
    let only = |name| fields.get(name).filter(|_| fields.iter().count() == 1);
    let said = match (only("output"), only("error")) {
        (Some(output), _) => output,
        (_, Some(error)) => {
            result.is_error = Some(true);
            error
        }
        _ if fields.is_empty() => return,
        _ => response,
    };
    let text = json::text(said).unwrap_or(Cow::Borrowed(said.get()));
    result.parts.push(Part::text(text));
}
