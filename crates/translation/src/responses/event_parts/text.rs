//! Texts of messages and words of refusals.

use serde_json::value::RawValue;

use super::{OpenMessage, head};
use crate::json::writer::ObjectWriter;
use crate::responses::answer_writer::logprob_elements;
use crate::responses::citation;
use crate::responses::event_writer::ResponseEvents;
use crate::responses::item_writer::{MessagePart, Wording};

/// A text of a message.
pub(in crate::responses) struct OpenText {
    /// The message's place in the output.
    pub(in crate::responses) message: usize,
    /// The text's place in the message.
    pub(in crate::responses) place: usize,
    /// The members that every event of the text has.
    pub(in crate::responses) head: Vec<u8>,
    wording: Wording,
    text: String,
    annotations: Vec<u8>,
    cited: u64,
    /// The probabilities of every token, and of those of the next piece.
    logprobs: Vec<u8>,
    next_logprobs: Vec<u8>,
}

/// Adds elements to those of a list.
pub(in crate::responses) fn push_elements(list: &mut Vec<u8>, elements: &[u8]) {
    if !list.is_empty() && !elements.is_empty() {
        list.push(b',');
    }
    list.extend_from_slice(elements);
}

fn write_elements(name: &str, elements: &[u8], object: &mut ObjectWriter<'_>) {
    let list = object.key(name);
    list.push(b'[');
    list.extend_from_slice(elements);
    list.push(b']');
}

impl OpenText {
    /// Makes the next text of a message.
    pub(in crate::responses) fn new(message: &OpenMessage, wording: Wording) -> Self {
        let place = message.contents.len();
        Self {
            message: message.index,
            place,
            head: head(&message.id, message.index, Some(("content_index", place))),
            wording,
            text: String::new(),
            annotations: Vec::new(),
            cited: 0,
            logprobs: Vec::new(),
            next_logprobs: Vec::new(),
        }
    }

    /// Returns the part as far as it has come.
    pub(in crate::responses) fn part(&self) -> Vec<u8> {
        let mut part = Vec::with_capacity(self.text.len() + 64);
        MessagePart {
            text: &self.text,
            wording: self.wording,
            annotations: &self.annotations,
            logprobs: &self.logprobs,
        }
        .write(&mut part);
        part
    }

    /// Writes a piece of the text.
    pub(in crate::responses) fn push(&mut self, piece: &str, events: &mut ResponseEvents, out: &mut Vec<u8>) {
        self.text.push_str(piece);
        let logprobs = std::mem::take(&mut self.next_logprobs);
        let name = match self.wording {
            Wording::Text => "response.output_text.delta",
            Wording::Refusal => "response.refusal.delta",
        };
        events.event(name, out, |object| {
            object.members(&self.head);
            object.text("delta", piece);
            if self.wording == Wording::Text {
                write_elements("logprobs", &logprobs, object);
            }
        });
    }

    /// Keeps the probabilities of the tokens of the next piece.
    pub(in crate::responses) fn logprobs(&mut self, raw: &RawValue) {
        let elements = logprob_elements(raw);
        push_elements(&mut self.logprobs, &elements);
        push_elements(&mut self.next_logprobs, &elements);
    }

    /// Writes citations, each as an event.
    pub(in crate::responses) fn cite(&mut self, raw: &RawValue, events: &mut ResponseEvents, out: &mut Vec<u8>) {
        let Self { text, head, annotations, cited, .. } = self;
        citation::write_each(raw, text, &mut |annotation| {
            events.event("response.output_text.annotation.added", out, |object| {
                object.members(head);
                object.number("annotation_index", *cited);
                object.raw("annotation", annotation);
            });
            push_elements(annotations, annotation);
            *cited += 1;
        });
    }

    /// Writes that the text is whole. The part is returned.
    pub(in crate::responses) fn close(&self, events: &mut ResponseEvents, out: &mut Vec<u8>) -> Vec<u8> {
        let (name, field) = match self.wording {
            Wording::Text => ("response.output_text.done", "text"),
            Wording::Refusal => ("response.refusal.done", "refusal"),
        };
        events.event(name, out, |object| {
            object.members(&self.head);
            object.text(field, &self.text);
            if self.wording == Wording::Text {
                write_elements("logprobs", &self.logprobs, object);
            }
        });
        let part = self.part();
        events.event("response.content_part.done", out, |object| {
            object.members(&self.head);
            object.raw("part", &part);
        });
        part
    }
}
