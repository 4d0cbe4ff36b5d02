//! Content blocks, read: of requests and of answers.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::tool_names;
use crate::conversion::sealed::VendorSeal;
use crate::conversion::{media, tool_id};
use crate::family::DialectFamily;
use crate::json::{self, Fields};
use crate::loss::{Field, Loss, LossKind, LossReport};
use crate::neutral::{
    CacheMark, CacheTtl, CallKind, Document, Image, MediaSource, Part, PartBody, Thinking, ToolCall, ToolResult,
};

/// The reading of the blocks of a request or an answer.
pub(super) struct ContentReader<'l> {
    /// The losses, to which what is not carried over is added.
    pub(super) losses: &'l mut LossReport,
    /// The place of the block in the body, such as `messages[3]`.
    pub(super) place: BlockPlace,
    /// The number of blocks around the content that is read.
    depth: usize,
}

/// The most blocks around content: results hold documents, and documents texts.
const DEEPEST: usize = 4;

/// The place of a block.
#[derive(Debug, Clone, Copy)]
pub(super) enum BlockPlace {
    /// In the system prompt.
    System,
    /// In the turn of this number.
    Turn(usize),
    /// In an answer.
    Answer,
}

impl BlockPlace {
    fn text(self) -> String {
        match self {
            Self::System => "system".to_owned(),
            Self::Turn(turn) => format!("messages[{turn}]"),
            Self::Answer => "content".to_owned(),
        }
    }
}

impl<'l> ContentReader<'l> {
    pub(super) const fn new(losses: &'l mut LossReport, place: BlockPlace) -> Self {
        Self { losses, place, depth: 0 }
    }

    /// Reads content: a text, or a list of blocks. `None` where it is neither.
    pub(super) fn content<'b>(&mut self, content: &'b RawValue) -> Option<Vec<Part<'b>>> {
        if let Some(text) = json::text(content) {
            return Some(vec![Part::text(text)]);
        }
        let blocks = json::list(content)?;
        if self.depth == DEEPEST {
            self.dropped(Field::Other);
            return None;
        }
        self.depth += 1;
        let parts = self.blocks(blocks);
        self.depth -= 1;
        Some(parts)
    }

    fn blocks<'b>(&mut self, blocks: Vec<&'b RawValue>) -> Vec<Part<'b>> {
        let mut parts = Vec::with_capacity(blocks.len());
        for raw in blocks {
            match Fields::of(raw) {
                Some(block) => self.block(&block, raw, &mut parts),
                None => self.dropped(Field::Other),
            }
        }
        parts
    }

    fn block<'b>(&mut self, block: &Fields<'b>, raw: &'b RawValue, parts: &mut Vec<Part<'b>>) {
        let kind = block.text("type").unwrap_or_default();
        let before = parts.len();
        match &*kind {
            "text" => parts.push(Part::new(PartBody::Text {
                text: block.text("text").unwrap_or_default(),
                citations: block.get("citations").filter(|citations| citations.get() != "[]"),
            })),
            "image" => parts.extend(self.image(block)),
            "document" => self.document(block, parts),
            "search_result" => parts.push(self.search_result(block)),
            "thinking" => parts.push(thought(block)),
            "redacted_thinking" => parts.push(redacted_thought(block)),
            "tool_use" => parts.push(self.call(block)),
            "tool_result" => parts.push(self.result(block)),
            "tool_reference" => {
                self.changed(Field::ToolContent, "the name of a tool that was referred to");
                parts.extend(block.text("tool_name").map(Part::text));
            }
            "container_upload" => self.refused(Field::FileIds, "container_upload"),
            "compaction" => self.refused(Field::StoredState, "compaction"),
            _ => parts.push(Part::new(PartBody::Native { kind, raw })),
        }
        if let (Some(mark), Some(last)) = (cache_mark(block), parts.get_mut(before..).and_then(<[Part<'b>]>::last_mut))
        {
            last.cache = Some(mark);
        }
    }

    fn image<'b>(&mut self, block: &Fields<'b>) -> Option<Part<'b>> {
        if block.get("transformations").is_some() {
            self.dropped(Field::ImageDetail);
        }
        let source = block.object("source").and_then(|source| media_source(&source));
        if source.is_none() {
            self.dropped(Field::Images);
        }
        Some(Part::new(PartBody::Image(Image { source: source?, detail: None })))
    }

    fn document<'b>(&mut self, block: &Fields<'b>, parts: &mut Vec<Part<'b>>) {
        let Some(source) = block.object("source") else { return self.dropped(Field::Documents) };
        let mut images = Vec::new();
        let source = match source.text("type").as_deref() {
            Some("content") => {
                self.changed(Field::Documents, "blocks of content joined");
                Some(MediaSource::Text(self.joined(source.get("content"), &mut images)))
            }
            // The API fetches PDFs alone.
            Some("url") => source.text("url").map(|url| {
                let media_type = media::type_of_address(&url).unwrap_or("application/pdf");
                MediaSource::Url { url, media_type: Some(media_type.into()) }
            }),
            _ => media_source(&source),
        };
        let Some(source) = source else { return self.dropped(Field::Documents) };
        parts.push(Part::new(PartBody::Document(Document {
            source,
            title: block.text("title"),
            context: block.text("context"),
            cites: wanted_citations(block),
        })));
        parts.append(&mut images);
    }

    /// Joins the texts of a document's blocks; its images go beside it.
    fn joined<'b>(&mut self, content: Option<&'b RawValue>, images: &mut Vec<Part<'b>>) -> Cow<'b, str> {
        let parts = content.and_then(|content| self.content(content)).unwrap_or_default();
        let mut texts = Vec::new();
        for part in parts {
            match part.body {
                PartBody::Text { text, .. } => texts.push(text),
                _ => images.push(part),
            }
        }
        match <[Cow<'b, str>; 1]>::try_from(texts) {
            Ok([text]) => text,
            Err(texts) => Cow::Owned(texts.join("\n")),
        }
    }

    fn search_result<'b>(&mut self, block: &Fields<'b>) -> Part<'b> {
        self.changed(Field::Documents, "a search result as a document");
        let text = self.joined(block.get("content"), &mut Vec::new());
        Part::new(PartBody::Document(Document {
            source: MediaSource::Text(text),
            title: block.text("title"),
            context: block.text("source"),
            cites: wanted_citations(block),
        }))
    }

    fn call<'b>(&mut self, block: &Fields<'b>) -> Part<'b> {
        let caller = block.object("caller").and_then(|caller| caller.text("type"));
        if caller.is_some_and(|caller| caller != "direct") || block.get("toolset_name").is_some() {
            self.dropped(Field::ToolDetails);
        }
        let arguments = block.get("input").map_or("{}", RawValue::get);
        Part::new(PartBody::ToolCall(ToolCall {
            id: own_id(block.text("id")),
            name: tool_names::original(block.text("name").unwrap_or_default()),
            arguments: Cow::Borrowed(arguments),
            kind: CallKind::Function,
        }))
    }

    fn result<'b>(&mut self, block: &Fields<'b>) -> Part<'b> {
        if block.get("toolset_name").is_some() {
            self.dropped(Field::ToolDetails);
        }
        let parts = block.get("content").and_then(|content| self.content(content)).unwrap_or_default();
        Part::new(PartBody::ToolResult(ToolResult {
            call_id: own_id(block.text("tool_use_id")),
            name: None,
            parts,
            is_error: block.value("is_error"),
            kind: CallKind::Function,
        }))
    }

    fn changed(&mut self, field: Field, detail: &str) {
        self.note(field, LossKind::Changed, Some(detail));
    }

    fn dropped(&mut self, field: Field) {
        self.note(field, LossKind::Dropped, None);
    }

    fn refused(&mut self, field: Field, detail: &str) {
        self.note(field, LossKind::Refused, Some(detail));
    }

    fn note(&mut self, field: Field, kind: LossKind, detail: Option<&str>) {
        let place = Some(self.place.text());
        self.losses.note(Loss { field, kind, place, detail: detail.map(ToOwned::to_owned) });
    }
}

/// Returns the id of a call as its maker knows it.
pub(super) fn own_id(id: Option<Cow<'_, str>>) -> Cow<'_, str> {
    match id {
        Some(Cow::Borrowed(id)) => tool_id::original(id),
        Some(Cow::Owned(id)) => Cow::Owned(tool_id::original(&id).into_owned()),
        None => Cow::Borrowed(""),
    }
}

/// Reads the mark of the prompt cache on a block or a tool.
pub(super) fn cache_mark(block: &Fields<'_>) -> Option<CacheMark> {
    block.get("cache_control").and_then(mark)
}

/// Reads a mark of the prompt cache.
pub(super) fn mark(value: &RawValue) -> Option<CacheMark> {
    let mark = Fields::of(value)?;
    let ttl = match mark.text("ttl").as_deref() {
        Some("5m") => Some(CacheTtl::FiveMinutes),
        Some("1h") => Some(CacheTtl::OneHour),
        _ => None,
    };
    Some(CacheMark { ttl })
}

fn wanted_citations(block: &Fields<'_>) -> Option<bool> {
    block.object("citations")?.value("enabled")
}

fn media_source<'b>(source: &Fields<'b>) -> Option<MediaSource<'b>> {
    Some(match &*source.text("type")? {
        "base64" => MediaSource::Base64 { media_type: source.text("media_type")?, data: source.text("data")? },
        "url" => MediaSource::Url { url: source.text("url")?, media_type: None },
        "file" => MediaSource::FileId(source.text("file_id")?),
        "text" => MediaSource::Text(source.text("data")?),
        _ => return None,
    })
}

/// Reads a signature or redacted data. What carries the mark of another vendor's thought without a seal is none.
pub(super) fn seal(field: Cow<'_, str>) -> Option<VendorSeal<'_>> {
    if field.is_empty() {
        return None;
    }
    let sealed = VendorSeal::of_field(DialectFamily::Messages, field);
    (!sealed.text.is_empty()).then_some(sealed)
}

fn thought<'b>(block: &Fields<'b>) -> Part<'b> {
    Part::new(PartBody::Thinking(Thinking {
        text: block.text("thinking").unwrap_or_default(),
        // Newer models show summaries, by default and on `display: summarized`.
        is_summary: true,
        is_redacted: false,
        sealed: block.text("signature").and_then(seal),
    }))
}

fn redacted_thought<'b>(block: &Fields<'b>) -> Part<'b> {
    Part::new(PartBody::Thinking(Thinking {
        text: Cow::Borrowed(""),
        is_summary: false,
        is_redacted: true,
        sealed: block.text("data").and_then(seal),
    }))
}
