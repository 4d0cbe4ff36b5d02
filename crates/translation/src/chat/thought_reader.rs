//! Thoughts in streams of chat completions, read.

use std::borrow::Cow;

use super::chunk::ChunkDelta;
use super::event_reader::EventReceiver;
use super::thought;
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::json::Fields;
use crate::json::writer::{ObjectWriter, push_list};
use crate::neutral::{PartDelta, PartKind, StreamEvent};

/// An open thought.
pub(super) struct ThoughtReading {
    part: usize,
    /// The field that its text comes in.
    field: &'static str,
    details: Vec<DetailReading>,
}

/// A detail of a thought, put together from its pieces.
#[derive(Default)]
struct DetailReading {
    kind: String,
    index: Option<u64>,
    /// The texts, by the names of their fields: pieces of one are joined.
    texts: Vec<(&'static str, String)>,
    /// The values that come once.
    values: Vec<(&'static str, String)>,
}

/// The fields of a detail whose pieces are joined.
const JOINED: [&str; 3] = ["text", "summary", "data"];
/// The fields of a detail that come once.
const ONCE: [&str; 3] = ["id", "format", "signature"];

impl ThoughtReading {
    /// Tells whether a piece of a thought is in a delta.
    pub(super) fn is_in(delta: &ChunkDelta<'_>) -> bool {
        let texts = [&delta.reasoning_content, &delta.reasoning];
        let has_text = texts.into_iter().flatten().any(|text| !text.0.is_empty());
        has_text || delta.reasoning_details.as_ref().is_some_and(|details| !details.is_empty())
    }

    /// Opens a thought.
    pub(super) fn open(part: usize, choice: u64, found: &mut EventReceiver<'_>) -> Self {
        let kind = PartKind::Thinking { is_summary: false, is_redacted: false };
        found(StreamEvent::Open { part, choice, kind });
        Self { part, field: thought::TEXT_FIELDS[0], details: Vec::new() }
    }

    /// Reads the pieces that are in a delta.
    pub(super) fn delta(&mut self, delta: &ChunkDelta<'_>, found: &mut EventReceiver<'_>) {
        let plain = [&delta.reasoning_content, &delta.reasoning].into_iter().zip(thought::TEXT_FIELDS);
        let plain = plain.filter_map(|(text, field)| Some((text.as_ref()?, field)));
        let plain = plain.into_iter().find(|(text, _)| !text.0.is_empty());
        if let Some((text, field)) = &plain {
            self.field = field;
            self.text(Cow::Borrowed(&text.0), found);
        }
        for fields in delta.reasoning_details.iter().flatten().filter_map(|raw| Fields::of(raw)) {
            if plain.is_none()
                && let Some(text) = fields.text("text").or_else(|| fields.text("summary"))
            {
                self.text(text, found);
            }
            self.detail(&fields);
        }
    }

    /// Gives a piece of the thought's text.
    pub(super) fn text(&self, text: Cow<'_, str>, found: &mut EventReceiver<'_>) {
        if !text.is_empty() {
            found(StreamEvent::Delta { part: self.part, delta: PartDelta::Text(text) });
        }
    }

    fn detail(&mut self, fields: &Fields<'_>) {
        let kind = fields.text("type").unwrap_or_default();
        let index = fields.value("index");
        let same = self.details.iter().position(|detail| detail.kind == kind && detail.index == index);
        let at = same.unwrap_or_else(|| {
            self.details.push(DetailReading { kind: kind.into_owned(), index, ..DetailReading::default() });
            self.details.len() - 1
        });
        let detail = &mut self.details[at];
        for name in JOINED {
            let Some(piece) = fields.text(name) else { continue };
            match detail.texts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, text)) => text.push_str(&piece),
                None => detail.texts.push((name, piece.into_owned())),
            }
        }
        for name in ONCE {
            if let Some(value) = fields.text(name) {
                detail.values.retain(|(known, _)| *known != name);
                detail.values.push((name, value.into_owned()));
            }
        }
    }

    /// Closes the thought, sealed with what its server wants back.
    pub(super) fn close(self, found: &mut EventReceiver<'_>) {
        let part = self.part;
        let seal = if self.details.is_empty() {
            thought::own_seal(self.field)
        } else {
            VendorSeal::new(DialectFamily::Chat, details_json(&self.details))
        };
        found(StreamEvent::Delta { part, delta: PartDelta::Sealed(seal) });
        found(StreamEvent::Close { part });
    }
}

fn details_json(details: &[DetailReading]) -> String {
    let mut out = Vec::new();
    push_list(&mut out, details, |out, detail| {
        let mut object = ObjectWriter::open(out);
        object.text("type", &detail.kind);
        for (name, text) in detail.texts.iter().chain(&detail.values) {
            object.value(name, &**text);
        }
        object.optional("index", detail.index.as_ref()).close();
    });
    String::from_utf8(out).expect("JSON is UTF-8")
}
