//! Parts of a request's turns in Google's words.

use std::borrow::Cow;

use super::generation::ModelGeneration;
use super::result_writer;
use super::thought::NO_SIGNATURE;
use super::turn_writer::{CallNames, sent_id};
use super::{function_name, media};
use crate::conversion;
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::json::writer::{ListWriter, ObjectWriter};
use crate::json::{Fields, halves};
use crate::loss::{Field, LossReport};
use crate::neutral::{CallKind, Document, Image, MediaSource, Part, PartBody, Thinking, ToolCall};

/// A writer of the parts of contents, one content after the other.
pub(super) struct ContentPartWriter<'r, 'l> {
    pub(super) generation: ModelGeneration,
    pub(super) names: &'r CallNames<'r>,
    pub(super) losses: &'l mut LossReport,
    /// A signature that came in a thought of its own: it is the next part's.
    held: Option<String>,
    /// True once this content has a call.
    has_call: bool,
}

impl<'r, 'l> ContentPartWriter<'r, 'l> {
    pub(super) fn new(generation: ModelGeneration, names: &'r CallNames<'r>, losses: &'l mut LossReport) -> Self {
        Self { generation, names, losses, held: None, has_call: false }
    }

    /// Writes a part; nothing where it cannot be said.
    pub(super) fn part(&mut self, part: &Part<'_>, elements: &mut ListWriter<'_>) {
        let signature = part.sealed.as_ref().and_then(|sealed| self.own(sealed));
        match &part.body {
            PartBody::Text { text, citations } => {
                if citations.is_some() {
                    self.losses.dropped(Field::Citations);
                }
                self.text(text, signature, elements);
            }
            PartBody::Refusal(text) => {
                self.losses.changed(Field::Refusals, "text");
                self.text(text, signature, elements);
            }
            PartBody::Thinking(thinking) => self.thought(thinking, elements),
            PartBody::ToolCall(call) => self.call(call, signature, elements),
            PartBody::ToolResult(result) => result_writer::write(result, self, elements),
            PartBody::Native { kind, raw } => self.native(kind, raw.get(), signature, elements),
            _ => self.media(&part.body, elements),
        }
    }

    /// Ends a content: a signature that no part came for stands alone, as Google's own answers end.
    pub(super) fn finish_content(&mut self, elements: &mut ListWriter<'_>) {
        if let Some(signature) = self.held.take() {
            let mut members = ObjectWriter::open(elements.next());
            members.text("text", "");
            members.text("thoughtSignature", &signature);
            members.close();
        }
        self.has_call = false;
    }

    /// Returns a seal that Google's models have made.
    fn own<'s>(&mut self, sealed: &'s VendorSeal<'_>) -> Option<&'s str> {
        let own = sealed.for_maker(DialectFamily::Gemini);
        if own.is_none() {
            self.losses.dropped(Field::Sealed);
        }
        own
    }

    fn signature<'s>(&mut self, own: Option<&'s str>) -> Option<Cow<'s, str>> {
        match own {
            Some(own) => Some(Cow::Borrowed(own)),
            None => self.held.take().map(Cow::Owned),
        }
    }

    fn text(&mut self, text: &str, signature: Option<&str>, elements: &mut ListWriter<'_>) {
        if text.is_empty() && signature.is_none() {
            return;
        }
        let signature = self.signature(signature);
        let mut members = ObjectWriter::open(elements.next());
        members.text("text", text);
        if let Some(signature) = signature {
            members.text("thoughtSignature", &signature);
        }
        members.close();
    }

    /// Writes a thought, which goes back to its maker alone.
    fn thought(&mut self, thinking: &Thinking<'_>, elements: &mut ListWriter<'_>) {
        let own = thinking.sealed.as_ref().and_then(|sealed| sealed.for_maker(DialectFamily::Gemini));
        match own {
            None => self.losses.dropped(Field::Thinking),
            // Clients of other APIs keep the signature of a part as a thought without text before it.
            Some(signature) if thinking.text.is_empty() => self.held = Some(signature.to_owned()),
            Some(signature) => {
                let mut members = ObjectWriter::open(elements.next());
                members.text("text", &thinking.text);
                members.raw("thought", "true");
                members.text("thoughtSignature", signature);
                members.close();
            }
        }
    }

    fn call(&mut self, call: &ToolCall<'_>, signature: Option<&str>, elements: &mut ListWriter<'_>) {
        let mut signature = self.signature(signature);
        if signature.is_none() && !self.has_call && self.generation.is_current() {
            self.losses.changed(Field::Sealed, "skip_thought_signature_validator");
            signature = Some(Cow::Borrowed(NO_SIGNATURE));
        }
        self.has_call = true;
        let mut members = ObjectWriter::open(elements.next());
        members.within("functionCall", |members| {
            if let Some(id) = sent_id(&call.id) {
                members.text("id", id);
            }
            members.text("name", &function_name::written(&call.name));
            self.arguments(call, members);
        });
        if let Some(signature) = signature {
            members.text("thoughtSignature", &signature);
        }
        members.close();
    }

    fn arguments(&mut self, call: &ToolCall<'_>, members: &mut ObjectWriter<'_>) {
        let is_free = call.kind == CallKind::Custom;
        match arguments(&call.arguments).filter(|_| !is_free) {
            Some(arguments) => members.raw("args", &*arguments),
            None => {
                if !is_free {
                    self.losses.changed(Field::Tools, "arguments that are no JSON object: as the text `input`");
                }
                members.within("args", |members| members.text("input", &call.arguments));
            }
        }
    }

    fn native(&mut self, kind: &str, raw: &str, signature: Option<&str>, elements: &mut ListWriter<'_>) {
        if !is_own_native(kind) {
            self.losses.dropped_at(Field::ServerTools, kind);
            return;
        }
        let mut members = ObjectWriter::open(elements.next());
        members.raw(kind, raw);
        if let Some(signature) = signature {
            members.text("thoughtSignature", signature);
        }
        members.close();
    }

    /// Writes an image, a document, a sound or a film.
    pub(super) fn media(&mut self, body: &PartBody<'_>, elements: &mut ListWriter<'_>) {
        if let PartBody::Document(document) = body {
            self.note_details(document);
            if let MediaSource::Text(text) = &document.source {
                self.losses.changed(Field::Documents, "text");
                self.text(text, None, elements);
                return;
            }
        }
        let Some(source) = self.said_source(body) else { return };
        let mut members = ObjectWriter::open(elements.next());
        write_source(source, &mut members);
        if let PartBody::Image(Image { detail: Some(detail), .. }) = body
            && let Some(level) = media::resolution(*detail)
        {
            if self.generation.is_current() {
                members.within("mediaResolution", |members| members.text("level", level));
            } else {
                self.losses.dropped(Field::ImageDetail);
            }
        }
        members.close();
    }

    fn note_details(&mut self, document: &Document<'_>) {
        // Google's models see a name only where a tool of Google's own runs.
        if document.title.is_some() || document.context.is_some() {
            self.losses.dropped(Field::DocumentDetails);
        }
        if document.cites == Some(true) {
            self.losses.dropped(Field::Citations);
        }
    }

    /// Returns where the bytes of a medium are, where Google can get at them.
    fn said_source<'p>(&mut self, body: &'p PartBody<'_>) -> Option<&'p MediaSource<'p>> {
        let source = source_of(body)?;
        if let (PartBody::Image(_), MediaSource::Base64 { media_type, .. }) = (body, source)
            && media_type.starts_with("image/svg")
        {
            self.losses.dropped(Field::Images);
            return None;
        }
        let MediaSource::FileId(id) = source else { return Some(source) };
        let is_own = id.starts_with("https://") || id.starts_with("gs://");
        if !is_own {
            self.losses.refused(Field::FileIds, &**id);
        }
        is_own.then_some(source)
    }
}

/// Returns a call's arguments as JSON; `None` where they are no object. No arguments at all are an empty object.
pub(super) fn arguments(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(Cow::Borrowed("{}"));
    }
    let text = halves::mended_text(text);
    Fields::of_document(text.as_bytes()).is_ok().then_some(text)
}

/// Tells whether a kind of part is one that only Google's API knows.
pub(super) fn is_own_native(kind: &str) -> bool {
    matches!(kind, "executableCode" | "codeExecutionResult" | "toolCall" | "toolResponse" | "inlineData" | "fileData")
}

/// Returns where the bytes of a medium are; `None` for any other part.
pub(super) fn source_of<'p>(body: &'p PartBody<'_>) -> Option<&'p MediaSource<'p>> {
    match body {
        PartBody::Image(image) => Some(&image.source),
        PartBody::Document(document) => Some(&document.source),
        PartBody::Audio(audio) => Some(&audio.source),
        PartBody::Video(source) => Some(source),
        _ => None,
    }
}

/// Writes where the bytes of a medium are.
pub(super) fn write_source(source: &MediaSource<'_>, members: &mut ObjectWriter<'_>) {
    match source {
        MediaSource::Base64 { media_type, data } => members.within("inlineData", |members| {
            members.text("mimeType", if media_type == "image/jpg" { "image/jpeg" } else { media_type });
            members.text("data", data);
        }),
        MediaSource::Url { url, media_type } => members.within("fileData", |members| {
            members.text("fileUri", url);
            if let Some(media_type) = media_type.as_deref().or_else(|| conversion::media::type_of_address(url)) {
                members.text("mimeType", media_type);
            }
        }),
        MediaSource::FileId(uri) => members.within("fileData", |members| members.text("fileUri", uri)),
        MediaSource::Text(text) => members.text("text", text),
    }
}
