//! Content blocks of requests, written.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::media::{DocumentForm, write_document_source, write_image_source};
use super::tool_names;
use crate::conversion::{media, tool_id};
use crate::family::DialectFamily;
use crate::json::halves;
use crate::json::writer::{ObjectWriter, push_list};
use crate::loss::{Field, LossReport};
use crate::neutral::{
    CacheMark, CacheTtl, CallKind, Document, Image, ImageDetail, MediaSource, Part, PartBody, Thinking, ToolCall,
    ToolResult,
};

/// The most marks of the prompt cache in a request.
const MOST_MARKS: usize = 4;

/// The writing of the blocks of one request.
pub(super) struct BlockWriting<'l> {
    /// The losses, to which what is not carried over is added.
    pub(super) losses: &'l mut LossReport,
    marks_left: usize,
    ids: HistoryCallIds,
}

impl<'l> BlockWriting<'l> {
    pub(super) fn new(losses: &'l mut LossReport) -> Self {
        Self { losses, marks_left: MOST_MARKS, ids: HistoryCallIds::default() }
    }

    /// Writes a mark of the prompt cache, where there is one.
    pub(super) fn write_mark(&mut self, object: &mut ObjectWriter<'_>, mark: Option<CacheMark>) {
        let Some(mark) = mark else { return };
        if self.marks_left == 0 {
            return self.losses.dropped(Field::CacheMarks);
        }
        self.marks_left -= 1;
        let mut control = ObjectWriter::of_type("ephemeral", object.key("cache_control"));
        control.optional("ttl", mark.ttl.map(|ttl| self.ttl(ttl)));
        control.close();
    }

    fn ttl(&mut self, ttl: CacheTtl) -> &'static str {
        match ttl {
            CacheTtl::FiveMinutes => "5m",
            CacheTtl::OneHour => "1h",
            CacheTtl::ThirtyMinutes | CacheTtl::TwelveHours | CacheTtl::OneDay => {
                self.losses.changed(Field::CacheMarks, "1h");
                "1h"
            }
        }
    }

    /// Writes a block that [`keep`](Self::keeps) has kept.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, part: &Part<'_>) {
        let mut object = match &part.body {
            PartBody::Text { text, .. } | PartBody::Refusal(text) => {
                let mut object = ObjectWriter::of_type("text", out);
                object.text("text", text);
                object
            }
            PartBody::Image(image) => write_image(out, image),
            PartBody::Document(document) => write_document(out, document),
            PartBody::ToolCall(call) => self.call(out, call),
            PartBody::ToolResult(result) => self.result(out, result),
            PartBody::Thinking(thinking) => return write_thought(out, thinking),
            PartBody::Native { raw, .. } => return out.extend_from_slice(raw.get().as_bytes()),
            PartBody::Audio(_) | PartBody::Video(_) => return,
        };
        self.write_mark(&mut object, part.cache);
        object.close();
    }

    fn call<'o>(&mut self, out: &'o mut Vec<u8>, call: &ToolCall<'_>) -> ObjectWriter<'o> {
        let mut object = ObjectWriter::of_type("tool_use", out);
        let id = self.ids.of_call(call);
        object.text("id", &id);
        object.text("name", &tool_names::written(&call.name));
        if write_input(object.key("input"), call) == InputForm::Wrapped && call.kind == CallKind::Function {
            self.losses.changed(Field::Tools, "arguments that are no JSON object");
        }
        object
    }

    fn result<'o>(&mut self, out: &'o mut Vec<u8>, result: &ToolResult<'_>) -> ObjectWriter<'o> {
        let mut object = ObjectWriter::of_type("tool_result", out);
        let id = self.ids.of_result(result);
        object.text("tool_use_id", &id);
        let mut kept: Vec<_> = Vec::with_capacity(result.parts.len());
        kept.extend(result.parts.iter().filter(|part| self.keeps(part)));
        match kept.as_slice() {
            [] => {}
            [Part { body: PartBody::Text { text, .. }, cache: None, .. }] => object.text("content", text),
            parts => push_list(object.key("content"), parts, |out, part| self.write(out, part)),
        }
        object.optional("is_error", result.is_error.filter(|is_error| *is_error));
        object
    }

    /// Tells whether a part can be said, and notes what becomes of it where not.
    pub(super) fn keeps(&mut self, part: &Part<'_>) -> bool {
        if part.sealed.is_some() {
            self.losses.dropped(Field::Sealed);
        }
        match &part.body {
            PartBody::Text { text, citations } => {
                if citations.is_some() {
                    self.losses.dropped(Field::Citations);
                }
                self.keeps_text(text)
            }
            PartBody::Refusal(text) => {
                self.losses.changed(Field::Refusals, "as text");
                self.keeps_text(text)
            }
            PartBody::Image(image) => self.keeps_image(image),
            PartBody::Document(document) => self.keeps_document(document),
            PartBody::Audio(_) => self.drops(Field::Audio),
            PartBody::Video(_) => self.drops(Field::Video),
            PartBody::Thinking(thinking) => is_own(thinking) || self.drops(Field::Thinking),
            PartBody::Native { kind, .. } => is_own_kind(kind) || self.drops(Field::ServerTools),
            PartBody::ToolCall(_) | PartBody::ToolResult(_) => true,
        }
    }

    fn drops(&mut self, field: Field) -> bool {
        self.losses.dropped(field);
        false
    }

    /// Tells whether the API takes a text: a blank one it refuses.
    fn keeps_text(&mut self, text: &str) -> bool {
        let is_blank = text.trim().is_empty();
        if is_blank && !text.is_empty() {
            self.losses.changed(Field::Text, "no blank texts");
        }
        !is_blank
    }

    fn keeps_image(&mut self, image: &Image<'_>) -> bool {
        if let Some(ImageDetail::Low | ImageDetail::High | ImageDetail::Original) = image.detail {
            self.losses.dropped(Field::ImageDetail);
        }
        match &image.source {
            MediaSource::Base64 { media_type, data } => {
                media::image_type(media_type, data).is_some() || self.drops(Field::Images)
            }
            MediaSource::Url { .. } => true,
            MediaSource::FileId(_) => self.refuses_file(),
            MediaSource::Text(_) => self.drops(Field::Images),
        }
    }

    fn keeps_document(&mut self, document: &Document<'_>) -> bool {
        match DocumentForm::of(&document.source) {
            Some(DocumentForm::File) => self.refuses_file(),
            Some(DocumentForm::UntypedUrl) => {
                self.losses.changed(Field::Documents, "as a PDF: the address does not say what it is");
                true
            }
            Some(_) => true,
            None => self.drops(Field::Documents),
        }
    }

    fn refuses_file(&mut self) -> bool {
        self.losses.refused(Field::FileIds, "a file with another vendor");
        false
    }
}

fn is_own(thinking: &Thinking<'_>) -> bool {
    thinking.sealed.as_ref().is_some_and(|sealed| sealed.for_maker(DialectFamily::Messages).is_some())
}

/// Tells whether blocks of a kind are this API's own.
pub(super) fn is_own_kind(kind: &str) -> bool {
    matches!(kind, "server_tool_use" | "mcp_tool_use" | "tool_addition" | "tool_removal" | "fallback")
        || kind.ends_with("_tool_result")
}

fn write_image<'o>(out: &'o mut Vec<u8>, image: &Image<'_>) -> ObjectWriter<'o> {
    let mut object = ObjectWriter::of_type("image", out);
    write_image_source(object.key("source"), &image.source);
    object
}

fn write_document<'o>(out: &'o mut Vec<u8>, document: &Document<'_>) -> ObjectWriter<'o> {
    let mut object = ObjectWriter::of_type("document", out);
    write_document_source(object.key("source"), &document.source);
    object.optional("title", document.title.as_deref());
    object.optional("context", document.context.as_deref());
    if let Some(cites) = document.cites {
        let mut citations = ObjectWriter::open(object.key("citations"));
        citations.value("enabled", &cites);
        citations.close();
    }
    object
}

fn write_thought(out: &mut Vec<u8>, thinking: &Thinking<'_>) {
    let sealed = thinking.sealed.as_ref().map_or("", |sealed| &*sealed.text);
    if thinking.is_redacted {
        let mut object = ObjectWriter::of_type("redacted_thinking", out);
        object.value("data", sealed);
        return object.close();
    }
    let mut object = ObjectWriter::of_type("thinking", out);
    object.text("thinking", &thinking.text);
    object.value("signature", sealed);
    object.close();
}

/// The form in which a call's arguments have been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InputForm {
    /// As they are.
    AsIs,
    /// In an object around them.
    Wrapped,
}

/// Writes the arguments of a call, which must be an object.
pub(super) fn write_input(out: &mut Vec<u8>, call: &ToolCall<'_>) -> InputForm {
    let arguments = call.arguments.trim();
    if call.kind == CallKind::Custom {
        let mut object = ObjectWriter::open(out);
        object.text("input", &call.arguments);
        object.close();
        return InputForm::Wrapped;
    }
    if arguments.is_empty() {
        out.extend_from_slice(b"{}");
        return InputForm::AsIs;
    }
    if arguments.starts_with('{') && serde_json::from_str::<IgnoredAny>(arguments).is_ok() {
        out.extend_from_slice(halves::mended_text(arguments).as_bytes());
        return InputForm::AsIs;
    }
    let mut object = ObjectWriter::open(out);
    object.value("arguments", arguments);
    object.close();
    InputForm::Wrapped
}

/// The ids of a history's calls. Gemini's may have none: results belong to calls by order and name.
#[derive(Debug, Default)]
struct HistoryCallIds {
    made: usize,
    /// Calls without an id of their own that have no result yet.
    open: Vec<(String, String)>,
}

impl HistoryCallIds {
    fn of_call<'c>(&mut self, call: &'c ToolCall<'_>) -> Cow<'c, str> {
        if !call.id.is_empty() {
            return tool_id::legal(&call.id);
        }
        let id = self.make();
        self.open.push((call.name.clone().into_owned(), id.clone()));
        Cow::Owned(id)
    }

    fn of_result<'c>(&mut self, result: &'c ToolResult<'_>) -> Cow<'c, str> {
        if !result.call_id.is_empty() {
            return tool_id::legal(&result.call_id);
        }
        let named = self.open.iter().position(|(name, _)| result.name.as_deref() == Some(name));
        match named.or_else(|| (!self.open.is_empty()).then_some(0)) {
            Some(index) => Cow::Owned(self.open.remove(index).1),
            None => Cow::Owned(self.make()),
        }
    }

    fn make(&mut self) -> String {
        self.made += 1;
        format!("call_{}", self.made)
    }
}
