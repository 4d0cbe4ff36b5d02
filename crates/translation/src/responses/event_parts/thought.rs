//! Thoughts.

use super::head;
use crate::conversion::sealed::VendorSeal;
use crate::json::writer::ObjectWriter;
use crate::neutral::PartKind;
use crate::responses::event_writer::ResponseEvents;
use crate::responses::item_writer::ThoughtItem;
use crate::responses::thoughts;

/// A thought. Its item begins with its first word or its seal: one that has neither is none.
pub(in crate::responses) struct OpenThought {
    /// The opaque field, once it is known.
    field: Option<String>,
    is_redacted: bool,
    is_summary: bool,
    text: String,
    /// The item's place and id, once it has begun.
    item: Option<(usize, String)>,
    head: Vec<u8>,
}

impl OpenThought {
    /// Makes a thought.
    pub(in crate::responses) fn new(kind: &PartKind<'_>) -> Self {
        let is_summary = matches!(kind, PartKind::Thinking { is_summary: true, .. });
        let is_redacted = matches!(kind, PartKind::Thinking { is_redacted: true, .. });
        Self { field: None, is_redacted, is_summary, text: String::new(), item: None, head: Vec::new() }
    }

    /// Keeps the seal on the thought.
    pub(in crate::responses) fn seal(&mut self, sealed: &VendorSeal<'_>) {
        self.field =
            Some(if self.is_redacted { thoughts::hidden_field(sealed) } else { thoughts::field(Some(sealed)) });
    }

    fn write(&self, id: &str, field: Option<&str>) -> Vec<u8> {
        let mut item = Vec::with_capacity(self.text.len() + 128);
        ThoughtItem { id, text: &self.text, is_summary: self.is_summary, field }.write(&mut item);
        item
    }

    /// The names of the events: of summaries and of thoughts themselves.
    const fn names(&self) -> ThoughtNames {
        if self.is_summary {
            ThoughtNames {
                added: "response.reasoning_summary_part.added",
                delta: "response.reasoning_summary_text.delta",
                done: "response.reasoning_summary_text.done",
                part_done: "response.reasoning_summary_part.done",
                part: "summary_text",
                index: "summary_index",
            }
        } else {
            ThoughtNames {
                added: "response.content_part.added",
                delta: "response.reasoning_text.delta",
                done: "response.reasoning_text.done",
                part_done: "response.content_part.done",
                part: "reasoning_text",
                index: "content_index",
            }
        }
    }

    fn part(&self) -> Vec<u8> {
        let mut part = Vec::with_capacity(self.text.len() + 48);
        let mut object = ObjectWriter::of_type(self.names().part, &mut part);
        object.text("text", &self.text);
        object.close();
        part
    }

    fn begin(&mut self, events: &mut ResponseEvents, out: &mut Vec<u8>) {
        if self.item.is_none() {
            self.item = Some(events.begin_item("rs", |id| self.write(id, None), out));
        }
    }

    /// Writes a piece of the thought.
    pub(in crate::responses) fn push(&mut self, piece: &str, events: &mut ResponseEvents, out: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        self.begin(events, out);
        let names = self.names();
        if let Some((index, id)) = self.item.as_ref().filter(|_| self.text.is_empty()) {
            self.head = head(id, *index, Some((names.index, 0)));
            let part = self.part();
            events.event(names.added, out, |object| {
                object.members(&self.head);
                object.raw("part", &part);
            });
        }
        self.text.push_str(piece);
        events.event(names.delta, out, |object| {
            object.members(&self.head);
            object.text("delta", piece);
        });
    }

    /// Writes that the thought is whole.
    pub(in crate::responses) fn close(mut self, events: &mut ResponseEvents, out: &mut Vec<u8>) {
        if self.text.is_empty() && self.field.is_none() {
            return;
        }
        self.begin(events, out);
        let names = self.names();
        if !self.text.is_empty() {
            events.event(names.done, out, |object| {
                object.members(&self.head);
                object.text("text", &self.text);
            });
            let part = self.part();
            events.event(names.part_done, out, |object| {
                object.members(&self.head);
                object.raw("part", &part);
            });
        }
        let field = self.field.take().unwrap_or_else(|| thoughts::field(None));
        let (index, id) = self.item.take().expect("it was begun above");
        let item = self.write(&id, Some(&field));
        events.end_item(index, item, out);
    }
}

/// Names of the events and members of a thought.
struct ThoughtNames {
    added: &'static str,
    delta: &'static str,
    done: &'static str,
    part_done: &'static str,
    part: &'static str,
    index: &'static str,
}
