//! Parts of an answer that are being written to a stream.

use serde_json::value::RawValue;

use super::answer_writer::logprob_elements;
use super::citation;
use super::event_writer::ResponseEvents;
use super::item_writer::{CallForm, CallItem, MessagePart, ThoughtItem, write_call_seal};
use super::object_writer::ObjectWriter;
use super::thoughts;
use crate::conversion::custom_tool::InputUnwrapping;
use crate::conversion::sealed::Sealed;
use crate::family::DialectFamily;

/// A part that is open.
pub(super) enum OpenPart {
    /// A text or the words of a refusal.
    Text(OpenText),
    /// A thought.
    Thought(OpenThought),
    /// A call.
    Call(OpenCall),
}

/// A message whose parts are being written.
pub(super) struct OpenMessage {
    /// Its place in the output.
    pub(super) index: usize,
    /// Its id.
    pub(super) id: String,
    /// Its parts, as far as they are whole.
    pub(super) contents: Vec<Vec<u8>>,
    /// The number of those that are open.
    pub(super) open: usize,
}

/// A text of a message.
pub(super) struct OpenText {
    /// The message's place in the output.
    pub(super) message: usize,
    /// The text's place in the message.
    pub(super) place: usize,
    /// The members that every event of the text has.
    pub(super) head: Vec<u8>,
    is_refusal: bool,
    text: String,
    annotations: Vec<u8>,
    cited: u64,
    /// The probabilities of every token, and of those of the next piece.
    logprobs: Vec<u8>,
    next_logprobs: Vec<u8>,
}

/// Returns the members that every event of a part of an item has.
fn head(id: &str, index: usize, place: Option<(&str, usize)>) -> Vec<u8> {
    let mut members = Vec::with_capacity(96);
    let mut object = ObjectWriter::begin(&mut members);
    object.text("item_id", id);
    object.number("output_index", index as u64);
    if let Some((name, place)) = place {
        object.number(name, place as u64);
    }
    object.end();
    members.pop();
    members.remove(0);
    members
}

fn push_elements(list: &mut Vec<u8>, elements: &[u8]) {
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
    pub(super) fn new(message: &OpenMessage, is_refusal: bool) -> Self {
        let place = message.contents.len();
        Self {
            message: message.index,
            place,
            head: head(&message.id, message.index, Some(("content_index", place))),
            is_refusal,
            text: String::new(),
            annotations: Vec::new(),
            cited: 0,
            logprobs: Vec::new(),
            next_logprobs: Vec::new(),
        }
    }

    /// Returns the part as far as it has come.
    pub(super) fn part(&self) -> Vec<u8> {
        let mut part = Vec::with_capacity(self.text.len() + 64);
        MessagePart {
            text: &self.text,
            is_refusal: self.is_refusal,
            annotations: &self.annotations,
            logprobs: &self.logprobs,
        }
        .write(&mut part);
        part
    }

    /// Writes a piece of the text.
    pub(super) fn push(&mut self, piece: &str, events: &mut ResponseEvents, out: &mut Vec<u8>) {
        self.text.push_str(piece);
        let logprobs = std::mem::take(&mut self.next_logprobs);
        let name = if self.is_refusal { "response.refusal.delta" } else { "response.output_text.delta" };
        events.event(name, out, |object| {
            object.members(&self.head);
            object.text("delta", piece);
            if !self.is_refusal {
                write_elements("logprobs", &logprobs, object);
            }
        });
    }

    /// Keeps the probabilities of the tokens of the next piece.
    pub(super) fn logprobs(&mut self, raw: &RawValue) {
        let elements = logprob_elements(raw);
        push_elements(&mut self.logprobs, &elements);
        push_elements(&mut self.next_logprobs, &elements);
    }

    /// Writes a citation.
    pub(super) fn cite(&mut self, raw: &RawValue, events: &mut ResponseEvents, out: &mut Vec<u8>) {
        let mut annotation = Vec::new();
        citation::write(raw, self.text.chars().count(), &mut annotation);
        if annotation.is_empty() {
            return;
        }
        events.event("response.output_text.annotation.added", out, |object| {
            object.members(&self.head);
            object.number("annotation_index", self.cited);
            object.raw("annotation", &annotation);
        });
        push_elements(&mut self.annotations, &annotation);
        self.cited += 1;
    }

    /// Writes that the text is whole. The part is returned.
    pub(super) fn close(&self, events: &mut ResponseEvents, out: &mut Vec<u8>) -> Vec<u8> {
        let (name, field) =
            if self.is_refusal { ("response.refusal.done", "refusal") } else { ("response.output_text.done", "text") };
        events.event(name, out, |object| {
            object.members(&self.head);
            object.text(field, &self.text);
            if !self.is_refusal {
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

/// A thought. Its item begins with its first word or its seal: one that has neither is none.
pub(super) struct OpenThought {
    /// The opaque field, once it is known.
    pub(super) field: Option<String>,
    /// Whether the vendor has hidden it.
    pub(super) is_redacted: bool,
    is_summary: bool,
    text: String,
    /// The item's place and id, once it has begun.
    item: Option<(usize, String)>,
    head: Vec<u8>,
}

impl OpenThought {
    /// Makes a thought.
    pub(super) fn new(is_summary: bool, is_redacted: bool) -> Self {
        Self { field: None, is_redacted, is_summary, text: String::new(), item: None, head: Vec::new() }
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
        object.end();
        part
    }

    fn begin(&mut self, events: &mut ResponseEvents, out: &mut Vec<u8>) {
        if self.item.is_none() {
            self.item = Some(events.begin_item("rs", |id| self.write(id, None), out));
        }
    }

    /// Writes a piece of the thought.
    pub(super) fn push(&mut self, piece: &str, events: &mut ResponseEvents, out: &mut Vec<u8>) {
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
    pub(super) fn close(mut self, events: &mut ResponseEvents, out: &mut Vec<u8>) {
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
        let field = self.field.take().unwrap_or_else(|| thoughts::field(None, false));
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

/// A call. Its item begins with its first argument, so that a seal on it can stand before it.
pub(super) struct OpenCall {
    item: CallItem,
    arguments: String,
    free_text: InputUnwrapping,
    /// What of the free text is written.
    written: usize,
    sealed: Option<Sealed<'static>>,
    /// Its place in the output, once it has begun.
    index: Option<usize>,
    head: Vec<u8>,
}

impl OpenCall {
    /// Makes a call.
    pub(super) fn new(item: CallItem) -> Self {
        Self {
            item,
            arguments: String::new(),
            free_text: InputUnwrapping::default(),
            written: 0,
            sealed: None,
            index: None,
            head: Vec::new(),
        }
    }

    /// Keeps a seal on the call.
    pub(super) fn seal(&mut self, sealed: &Sealed<'_>) {
        if sealed.maker != DialectFamily::Responses {
            let text = sealed.text.clone().into_owned();
            self.sealed = Some(Sealed { maker: sealed.maker, text: text.into(), id: None });
        }
    }

    fn write_seal(&mut self, events: &mut ResponseEvents, out: &mut Vec<u8>) {
        let Some(sealed) = self.sealed.take() else { return };
        let write = |id: &str| {
            let mut item = Vec::new();
            write_call_seal(id, &sealed, &self.item.call_id, &mut item);
            item
        };
        events.item("rs", write, out);
    }

    fn begin(&mut self, events: &mut ResponseEvents, out: &mut Vec<u8>) {
        if self.index.is_some() {
            return;
        }
        if self.item.call_id.is_empty() {
            self.item.call_id = events.call_id();
        }
        self.write_seal(events, out);
        let prefix = CallItem::id_prefix(&self.item.form);
        let mut begun = self.item.clone();
        let write = |id: &str| {
            let mut item = Vec::new();
            id.clone_into(&mut begun.id);
            // A form of the API's own comes whole.
            let input = if matches!(begun.form, CallForm::Native(_)) { &*self.arguments } else { "" };
            begun.write(input, "in_progress", &mut item);
            item
        };
        let (index, id) = events.begin_item(prefix, write, out);
        self.head = head(&id, index, None);
        self.item.id = id;
        self.index = Some(index);
    }

    /// Writes a piece of the arguments.
    pub(super) fn push(&mut self, piece: &str, events: &mut ResponseEvents, out: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        self.arguments.push_str(piece);
        match self.item.form {
            CallForm::Native(_) => {}
            CallForm::Function | CallForm::Custom { is_wrapped: false } => {
                self.begin(events, out);
                self.write_piece(piece, events, out);
            }
            CallForm::Custom { is_wrapped: true } => {
                self.begin(events, out);
                let mut text = String::new();
                self.free_text.push(piece, &mut text);
                self.write_piece(&text, events, out);
            }
        }
    }

    fn write_piece(&mut self, piece: &str, events: &mut ResponseEvents, out: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        self.written += piece.len();
        let name = match self.item.form {
            CallForm::Function => "response.function_call_arguments.delta",
            _ => "response.custom_tool_call_input.delta",
        };
        events.event(name, out, |object| {
            object.members(&self.head);
            object.text("delta", piece);
        });
    }

    /// Writes that the call is whole.
    pub(super) fn close(mut self, events: &mut ResponseEvents, out: &mut Vec<u8>) {
        self.begin(events, out);
        let arguments = std::mem::take(&mut self.arguments);
        let input = self.item.input(&arguments);
        // What could not be written piece by piece: arguments of another form, and those of a call without any.
        if let Some(rest) = input.get(self.written..).filter(|_| !matches!(self.item.form, CallForm::Native(_))) {
            self.write_piece(rest, events, out);
        }
        let done = match self.item.form {
            CallForm::Function => Some(("response.function_call_arguments.done", "arguments")),
            CallForm::Custom { .. } => Some(("response.custom_tool_call_input.done", "input")),
            CallForm::Native(_) => None,
        };
        if let Some((name, field)) = done {
            events.event(name, out, |object| {
                object.members(&self.head);
                if field == "arguments" {
                    object.text("name", self.item.client_name());
                }
                object.text(field, &input);
            });
        }
        let mut item = Vec::with_capacity(input.len() + 160);
        self.item.write(&input, "completed", &mut item);
        let index = self.index.expect("it was begun above");
        events.end_item(index, item, out);
        // A seal that came after the call's beginning names the call.
        self.write_seal(events, out);
    }
}
