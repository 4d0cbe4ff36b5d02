//! Contents of a request: turns, their parts, and which result belongs to which call.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::media;
use super::part_fields::{PartContent, PartFields};
use crate::conversion::sealed::Sealed;
use crate::family::DialectFamily;
use crate::json::{self, Fields};
use crate::loss::{Field, LossReport};
use crate::neutral::{CallKind, ImageDetail, Part, PartBody, ToolCall, ToolResult, Turn, TurnRole};
use crate::refusal::TranslationRefusal;

/// The beginning of an id that the reader gives a call whose client gave none.
pub(super) const MADE_ID: &str = "gemini_call_";

/// A reader of contents.
pub(super) struct TurnReader<'b, 'l> {
    losses: &'l mut LossReport,
    /// The resolution that the request wants of every image.
    detail: Option<ImageDetail>,
    /// Calls whose results have not come, by name and id.
    open_calls: Vec<(Cow<'b, str>, Cow<'b, str>)>,
    calls: usize,
}

impl<'b, 'l> TurnReader<'b, 'l> {
    pub(super) fn new(losses: &'l mut LossReport, detail: Option<ImageDetail>) -> Self {
        Self { losses, detail, open_calls: Vec::new(), calls: 0 }
    }

    /// Reads `systemInstruction`: a content, or a bare text.
    pub(super) fn system(&mut self, raw: &'b RawValue) -> Result<Turn<'b>, TranslationRefusal> {
        if let Some(text) = json::text(raw) {
            return Ok(Turn { role: TurnRole::System, name: None, parts: vec![Part::text(text)] });
        }
        let mut turn = self.content(raw, "systemInstruction")?;
        turn.role = TurnRole::System;
        Ok(turn)
    }

    /// Reads `contents`: a list of contents, or a single one.
    pub(super) fn contents(&mut self, raw: &'b RawValue) -> Result<Vec<Turn<'b>>, TranslationRefusal> {
        match json::list(raw) {
            Some(contents) => {
                let contents = contents.into_iter().enumerate();
                contents.map(|(index, raw)| self.content(raw, &format!("contents[{index}]"))).collect()
            }
            None => Ok(vec![self.content(raw, "contents")?]),
        }
    }

    fn content(&mut self, raw: &'b RawValue, place: &str) -> Result<Turn<'b>, TranslationRefusal> {
        let fields = Fields::of(raw).ok_or_else(|| TranslationRefusal::malformed(place, "a content is an object"))?;
        let mut turn = Turn { role: TurnRole::User, name: None, parts: Vec::new() };
        for (name, raw) in fields.iter().filter(|(_, raw)| !json::is_null(raw)) {
            match name {
                "role" => turn.role = role(raw, place)?,
                "parts" => self.parts(raw, place, &mut turn.parts)?,
                other => self.losses.dropped_at(Field::Other, format!("{place}.{other}")),
            }
        }
        Ok(turn)
    }

    fn parts(&mut self, raw: &'b RawValue, place: &str, parts: &mut Vec<Part<'b>>) -> Result<(), TranslationRefusal> {
        let list = json::list(raw).unwrap_or_else(|| vec![raw]);
        for (index, raw) in list.into_iter().enumerate() {
            self.part(raw, &format!("{place}.parts[{index}]"), parts)?;
        }
        Ok(())
    }

    fn part(&mut self, raw: &'b RawValue, place: &str, parts: &mut Vec<Part<'b>>) -> Result<(), TranslationRefusal> {
        let fields = PartFields::of(raw, place)?;
        for other in &fields.others {
            self.losses.dropped_at(Field::Other, format!("{place}.{other}"));
        }
        let sealed = fields.signature.clone().map(|text| Sealed::of_field(DialectFamily::Gemini, text));
        let body = match fields.content {
            None => match fields.text {
                Some(text) => return Ok(push_text(text, fields.is_thought, sealed, parts)),
                None => return Ok(self.losses.dropped_at(Field::Other, place)),
            },
            Some((PartContent::FunctionCall, raw)) => Some(PartBody::ToolCall(self.call(raw, place)?)),
            Some((PartContent::FunctionResponse, raw)) => Some(PartBody::ToolResult(self.result(raw, place)?)),
            Some((PartContent::Native(kind), raw)) => Some(PartBody::Native { kind: Cow::Borrowed(kind), raw }),
            Some((PartContent::InlineData, raw)) => media::read_inline(raw),
            Some((PartContent::FileData, raw)) => media::read_file(raw),
        };
        let body = body.ok_or_else(|| TranslationRefusal::malformed(place, "neither data nor an address"))?;
        let body = self.detailed(body, fields.resolution);
        push_signed(Part::new(body), sealed, parts);
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

    fn call(&mut self, raw: &'b RawValue, place: &str) -> Result<ToolCall<'b>, TranslationRefusal> {
        let fields = Fields::of(raw).unwrap_or_default();
        let name = fields
            .text("name")
            .ok_or_else(|| TranslationRefusal::malformed(format!("{place}.functionCall.name"), "missing"))?;
        self.calls += 1;
        let id = fields.text("id").filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| Cow::Owned(format!("{MADE_ID}{}", self.calls)));
        self.open_calls.push((name.clone(), id.clone()));
        let arguments = fields.get("args").map_or(Cow::Borrowed(""), |raw| Cow::Borrowed(raw.get()));
        Ok(ToolCall { id, name, arguments, kind: CallKind::Function })
    }

    fn result(&mut self, raw: &'b RawValue, place: &str) -> Result<ToolResult<'b>, TranslationRefusal> {
        let fields = Fields::of(raw).unwrap_or_default();
        let name = fields.text("name");
        let call_id = self.call_of(fields.text("id").filter(|id| !id.is_empty()), name.as_deref());
        let mut result = ToolResult { call_id, name, parts: Vec::new(), is_error: None, kind: CallKind::Function };
        if let Some(response) = fields.get("response") {
            read_response(response, &mut result);
        }
        for (index, raw) in fields.list("parts").into_iter().enumerate() {
            self.part(raw, &format!("{place}.functionResponse.parts[{index}]"), &mut result.parts)?;
        }
        for (other, _) in fields.iter().filter(|(_, raw)| !json::is_null(raw)) {
            if !matches!(other, "id" | "name" | "response" | "parts") {
                self.losses.dropped_at(Field::Other, format!("{place}.functionResponse.{other}"));
            }
        }
        Ok(result)
    }

    /// Returns the id of the call that a result belongs to: the one of its id, else the oldest open one of its name.
    fn call_of(&mut self, id: Option<Cow<'b, str>>, name: Option<&str>) -> Cow<'b, str> {
        let by_id = id.as_ref().and_then(|id| self.open_calls.iter().position(|(_, call)| call == id));
        let by_name = || self.open_calls.iter().position(|(call, _)| name.is_none_or(|name| call == name));
        match by_id.or_else(by_name) {
            Some(at) => self.open_calls.remove(at).1,
            None => id.unwrap_or_else(|| Cow::Owned(format!("{MADE_ID}unknown"))),
        }
    }
}

fn role(raw: &RawValue, place: &str) -> Result<TurnRole, TranslationRefusal> {
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

fn push_text<'b>(text: Cow<'b, str>, is_thought: bool, sealed: Option<Sealed<'b>>, parts: &mut Vec<Part<'b>>) {
    match (text.is_empty(), &sealed) {
        // Answers in a stream end with an empty text, which clients send back.
        (true, None) => {}
        // Google closes some answers with an empty text that only carries a signature.
        (true, Some(_)) => parts.push(thinking(text, sealed)),
        _ if is_thought => parts.push(thinking(text, sealed)),
        _ => push_signed(Part::text(text), sealed, parts),
    }
}

/// Pushes a part with its seal. One of another vendor's seals a thought, which stands before it.
fn push_signed<'b>(mut part: Part<'b>, sealed: Option<Sealed<'b>>, parts: &mut Vec<Part<'b>>) {
    match sealed {
        Some(sealed) if sealed.maker != DialectFamily::Gemini => {
            if !parts.iter().any(|part| is_sealed_with(part, &sealed)) {
                parts.push(thinking(Cow::Borrowed(""), Some(sealed)));
            }
        }
        sealed => part.sealed = sealed,
    }
    parts.push(part);
}

fn is_sealed_with(part: &Part<'_>, sealed: &Sealed<'_>) -> bool {
    matches!(&part.body, PartBody::Thinking(thinking) if thinking.sealed.as_ref() == Some(sealed))
}

fn thinking<'b>(text: Cow<'b, str>, sealed: Option<Sealed<'b>>) -> Part<'b> {
    Part::new(PartBody::Thinking(super::thought::restored(text, sealed)))
}
