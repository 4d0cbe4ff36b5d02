//! Streams, written: every event in OpenAI's order, and at the end the whole response.

use super::answer_reader::Holds;
use super::error;
use super::event_parts::{OpenCall, OpenMessage, OpenText, OpenThought, PartInWriting};
use super::item_writer::{CallItem, MessageItem, OutputCallForm, Wording, write_search};
use super::response_object::{ResponseHead, ResponseState, ResponseStatus};
use crate::json::writer::ObjectWriter;
use crate::neutral::{CallKind, NeutralError, NeutralUsage, PartDelta, PartKind, StopReason, StreamEvent};
use crate::translation::{AnswerDetails, EventWriter, RequestMemo};

/// A writer of one stream.
pub(super) struct ResponseEvents {
    head: ResponseHead,
    memo: RequestMemo,
    unique: String,
    sequence: u64,
    is_begun: bool,
    /// The items of the output; empty where one is not whole yet.
    items: Vec<Vec<u8>>,
    /// The parts that are open, by their numbers.
    parts: Vec<(usize, PartInWriting)>,
    /// The message that the next text is part of.
    message: Option<OpenMessage>,
    holds: Holds,
    stop: Option<(StopReason, Option<String>)>,
    usage: Option<NeutralUsage>,
    service_tier: Option<String>,
}

impl ResponseEvents {
    /// Makes a writer of the answer to a request.
    pub(super) fn new(details: &AnswerDetails<'_>) -> Self {
        let mut memo = details.memo.clone();
        memo.repeated = String::new();
        Self {
            head: ResponseHead::new(details),
            memo,
            unique: details.unique.to_owned(),
            sequence: 0,
            is_begun: false,
            items: Vec::new(),
            parts: Vec::new(),
            message: None,
            holds: Holds::default(),
            stop: None,
            usage: None,
            service_tier: None,
        }
    }

    /// Writes an event: its type, its number and what `members` adds.
    pub(super) fn event(&mut self, name: &str, out: &mut Vec<u8>, members: impl FnOnce(&mut ObjectWriter<'_>)) {
        for piece in ["event: ", name, "\ndata: "] {
            out.extend_from_slice(piece.as_bytes());
        }
        let mut object = ObjectWriter::of_type(name, out);
        object.number("sequence_number", self.sequence);
        members(&mut object);
        object.close();
        out.extend_from_slice(b"\n\n");
        self.sequence += 1;
    }

    /// Returns the place of a new item in the output, and its id.
    fn new_item(&mut self, prefix: &str) -> (usize, String) {
        let index = self.items.len();
        self.items.push(Vec::new());
        (index, format!("{prefix}_{}_{index}", self.unique))
    }

    /// Writes that an item begins.
    fn item_added(&mut self, index: usize, item: &[u8], out: &mut Vec<u8>) {
        self.event("response.output_item.added", out, |object| {
            object.number("output_index", index as u64);
            object.raw("item", item);
        });
    }

    /// Writes that an item is whole, and keeps it for the end.
    fn item_done(&mut self, index: usize, item: Vec<u8>, out: &mut Vec<u8>) {
        self.event("response.output_item.done", out, |object| {
            object.number("output_index", index as u64);
            object.raw("item", &item);
        });
        self.items[index] = item;
    }

    /// Writes an event with the whole response as it is now.
    fn response(&mut self, name: &str, status: ResponseStatus<'_>, out: &mut Vec<u8>) {
        let output = self.items.iter().filter(|item| !item.is_empty()).map(Vec::as_slice).collect::<Vec<_>>();
        let output = output.join(&b','.to_owned());
        let mut response = Vec::with_capacity(output.len() + self.head.repeated.len() + 512);
        let is_open = status == ResponseStatus::InProgress;
        let state = ResponseState {
            status: &status,
            output: &output,
            usage: self.usage.as_ref().filter(|_| !is_open),
            service_tier: self.service_tier.as_deref(),
        };
        self.head.write(&state, &mut response);
        self.event(name, out, |object| object.raw("response", &response));
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_begun, true) {
            self.response("response.created", ResponseStatus::InProgress, out);
            self.response("response.in_progress", ResponseStatus::InProgress, out);
        }
    }

    fn open(&mut self, part: usize, kind: &PartKind<'_>, out: &mut Vec<u8>) {
        let open = match kind {
            PartKind::Text => self.open_text(Wording::Text, out),
            PartKind::Refusal => self.open_text(Wording::Refusal, out),
            PartKind::Thinking { .. } => {
                self.end_message("completed", out);
                PartInWriting::Thought(OpenThought::new(kind))
            }
            PartKind::ToolCall { id, name, kind } => {
                self.end_message("completed", out);
                self.open_call([id, name], *kind)
            }
            PartKind::Native { raw, .. } => {
                let mut item = Vec::new();
                if write_search(&format!("ws_{}_{}", self.unique, self.items.len()), raw, &mut item) {
                    self.end_message("completed", out);
                    self.whole_item("ws", |_| item, out);
                }
                return;
            }
        };
        self.parts.push((part, open));
    }

    /// Writes an item that comes whole.
    fn whole_item(&mut self, prefix: &str, item: impl FnOnce(&str) -> Vec<u8>, out: &mut Vec<u8>) {
        let (index, id) = self.new_item(prefix);
        let item = item(&id);
        self.item_added(index, &item, out);
        self.item_done(index, item, out);
    }

    fn open_text(&mut self, wording: Wording, out: &mut Vec<u8>) -> PartInWriting {
        self.holds.refusal |= wording == Wording::Refusal;
        if self.message.is_none() {
            let (index, id) = self.new_item("msg");
            let mut item = Vec::new();
            MessageItem { id: &id, status: "in_progress", content: b"" }.write(&mut item);
            self.item_added(index, &item, out);
            self.message = Some(OpenMessage { index, id, contents: Vec::new(), open: 0 });
        }
        let message = self.message.as_mut().expect("it was opened above");
        let text = OpenText::new(message, wording);
        message.open += 1;
        message.contents.push(Vec::new());
        let part = text.part();
        self.event("response.content_part.added", out, |object| {
            object.members(&text.head);
            object.raw("part", &part);
        });
        PartInWriting::Text(text)
    }

    fn open_call(&mut self, [id, name]: [&str; 2], kind: CallKind) -> PartInWriting {
        let (form, namespaced) = OutputCallForm::of(name, kind, &self.memo);
        let item = CallItem { id: String::new(), call_id: id.to_owned(), name: name.to_owned(), namespaced, form };
        PartInWriting::Call(OpenCall::new(item))
    }

    fn delta(&mut self, part: usize, delta: &PartDelta<'_>, out: &mut Vec<u8>) {
        // The part is taken out while it writes, and put back.
        let Some(at) = self.parts.iter().rposition(|(number, _)| *number == part) else { return };
        let (_, mut open) = self.parts.swap_remove(at);
        match (&mut open, delta) {
            (PartInWriting::Text(text), PartDelta::Text(piece)) => text.push(piece, self, out),
            (PartInWriting::Text(text), PartDelta::Citation(raw)) => text.cite(raw, self, out),
            (PartInWriting::Text(text), PartDelta::Logprobs(raw)) => text.logprobs(raw),
            (PartInWriting::Thought(thought), PartDelta::Text(piece)) => thought.push(piece, self, out),
            (PartInWriting::Thought(thought), PartDelta::Sealed(sealed)) => thought.seal(sealed),
            (PartInWriting::Call(call), PartDelta::Sealed(sealed)) => call.seal(sealed),
            (PartInWriting::Call(call), PartDelta::Arguments(piece)) => call.push(piece, self, out),
            _ => {}
        }
        self.parts.push((part, open));
    }

    fn close(&mut self, part: usize, out: &mut Vec<u8>) {
        let Some(at) = self.parts.iter().rposition(|(number, _)| *number == part) else { return };
        match self.parts.swap_remove(at).1 {
            PartInWriting::Text(text) => self.close_text(&text, out),
            PartInWriting::Thought(thought) => thought.close(self, out),
            PartInWriting::Call(call) => call.close(self, out),
        }
    }

    fn close_text(&mut self, text: &OpenText, out: &mut Vec<u8>) {
        let part = text.close(self, out);
        if let Some(message) = self.message.as_mut().filter(|message| message.index == text.message) {
            message.contents[text.place] = part;
            message.open -= 1;
        }
    }

    /// Ends the open message, unless a part of it is open still.
    fn end_message(&mut self, status: &str, out: &mut Vec<u8>) {
        if self.message.as_ref().is_none_or(|message| message.open > 0) {
            return;
        }
        let message = self.message.take().expect("it is there");
        let content = message.contents.join(&b','.to_owned());
        let mut item = Vec::with_capacity(content.len() + 128);
        MessageItem { id: &message.id, status, content: &content }.write(&mut item);
        self.item_done(message.index, item, out);
    }

    fn close_all(&mut self, status: &str, out: &mut Vec<u8>) {
        let mut open: Vec<usize> = self.parts.iter().map(|(part, _)| *part).collect();
        open.sort_unstable();
        for part in open {
            self.close(part, out);
        }
        self.end_message(status, out);
    }

    fn stop(&mut self, reason: StopReason, detail: Option<&str>, out: &mut Vec<u8>) {
        let status = ResponseStatus::of_stop(reason, detail, self.holds);
        let is_whole = !matches!(status, ResponseStatus::Incomplete(_));
        self.close_all(if is_whole { "completed" } else { "incomplete" }, out);
        self.stop = Some((reason, detail.map(str::to_owned)));
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        self.close_all("completed", out);
        let (reason, detail) = self.stop.take().unwrap_or((StopReason::EndTurn, None));
        let status = ResponseStatus::of_stop(reason, detail.as_deref(), self.holds);
        let name = match status {
            ResponseStatus::Incomplete(_) => "response.incomplete",
            ResponseStatus::Failed { .. } => "response.failed",
            ResponseStatus::Completed | ResponseStatus::InProgress => "response.completed",
        };
        self.response(name, status, out);
    }

    fn fail(&mut self, failed: &NeutralError<'_>, out: &mut Vec<u8>) {
        let code = error::code_in_stream(failed);
        self.response("response.failed", ResponseStatus::Failed { code, message: &failed.message }, out);
    }
}

/// The operations through which parts write.
impl ResponseEvents {
    /// Begins an item of a part, and returns its place and its id.
    pub(super) fn begin_item(
        &mut self,
        prefix: &str,
        item: impl FnOnce(&str) -> Vec<u8>,
        out: &mut Vec<u8>,
    ) -> (usize, String) {
        let (index, id) = self.new_item(prefix);
        let item = item(&id);
        self.item_added(index, &item, out);
        (index, id)
    }

    /// Ends an item of a part.
    pub(super) fn end_item(&mut self, index: usize, item: Vec<u8>, out: &mut Vec<u8>) {
        self.item_done(index, item, out);
    }

    /// Writes an item that comes whole.
    pub(super) fn item(&mut self, prefix: &str, item: impl FnOnce(&str) -> Vec<u8>, out: &mut Vec<u8>) {
        self.whole_item(prefix, item, out);
    }

    /// Returns an id for a call whose upstream gave none.
    pub(super) fn call_id(&self) -> String {
        format!("call_{}_{}", self.unique, self.items.len())
    }
}

impl EventWriter for ResponseEvents {
    fn write(&mut self, event: &StreamEvent<'_>, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Begin { id, model, created, usage } => {
                self.head.learn(id.as_deref(), model.as_deref(), *created);
                self.usage = *usage;
                self.begin(out);
            }
            // The API gives one answer.
            StreamEvent::Open { choice: 1.., .. }
            | StreamEvent::Stop { choice: 1.., .. }
            | StreamEvent::Unplaced(_) => {}
            StreamEvent::Open { part, kind, .. } => {
                self.begin(out);
                self.open(*part, kind, out);
            }
            StreamEvent::Delta { part, delta } => self.delta(*part, delta, out),
            StreamEvent::Close { part } => self.close(*part, out),
            StreamEvent::Stop { stop, .. } => self.stop(stop.reason, stop.detail.as_deref(), out),
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::ServiceTier(tier) => self.service_tier = Some(tier.to_string()),
            StreamEvent::End => self.end(out),
            StreamEvent::Failed(failed) => self.fail(failed, out),
            StreamEvent::KeepAlive => out.extend_from_slice(b": keep-alive\n\n"),
        }
    }
}
