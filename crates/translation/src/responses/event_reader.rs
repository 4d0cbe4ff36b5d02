//! Streams, read.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer_reader::{self, Holds};
use super::{error, thoughts, usage};
use crate::events::ServerEvent;
use crate::json::{self, Fields, Text};
use crate::neutral::{
    ErrorKind, NeutralChoice, NeutralError, Part, PartBody, PartDelta, PartKind, Stop, StopReason, StreamEvent,
};
use crate::translation::EventReader;

/// The receiver of a reader's events.
type NeutralSink<'f> = &'f mut dyn FnMut(StreamEvent<'_>);

/// A thought of which a summary comes.
const SUMMARY: PartKind<'static> = PartKind::Thinking { is_summary: true, is_redacted: false };

/// A thought that comes itself.
const THOUGHT: PartKind<'static> = PartKind::Thinking { is_summary: false, is_redacted: false };

/// A reader of one stream.
#[derive(Debug, Default)]
pub(super) struct ResponseEventReader {
    is_begun: bool,
    /// The number of the next part.
    next: usize,
    /// The parts of the items that are not whole.
    open: Vec<PartInReading>,
    /// The items of which something has come.
    seen: HashSet<u64>,
    holds: Holds,
}

/// A part that is open.
#[derive(Debug)]
struct PartInReading {
    item: u64,
    place: PartPlace,
    part: usize,
    /// True once something of the part has come.
    has_come: bool,
    /// The summary's part that came last.
    summary: u64,
}

/// The place of a part in its item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PartPlace {
    /// A part of a message.
    Content(u64),
    /// The call or the thought that the item is.
    Item,
}

/// Every field of an event that is read.
#[derive(Deserialize)]
struct ResponseEvent<'e> {
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'e>>,
    #[serde(default)]
    output_index: u64,
    #[serde(default)]
    content_index: u64,
    #[serde(default)]
    summary_index: u64,
    #[serde(borrow)]
    delta: Option<Text<'e>>,
    #[serde(borrow)]
    logprobs: Option<&'e RawValue>,
    #[serde(borrow)]
    part: Option<&'e RawValue>,
    #[serde(borrow)]
    item: Option<&'e RawValue>,
    #[serde(borrow)]
    annotation: Option<&'e RawValue>,
    #[serde(borrow)]
    response: Option<&'e RawValue>,
    #[serde(borrow)]
    error: Option<&'e RawValue>,
}

impl EventReader for ResponseEventReader {
    fn read(&mut self, event: ServerEvent<'_>, found: &mut dyn FnMut(StreamEvent<'_>)) {
        let Ok(read) = serde_json::from_str::<ResponseEvent<'_>>(event.data) else { return };
        let name = read.kind.as_ref().map_or(event.name, |kind| &*kind.0);
        match name {
            "response.output_text.delta" => self.message_delta(&read, PartKind::Text, found),
            "response.refusal.delta" => self.message_delta(&read, PartKind::Refusal, found),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.call_delta(&read, found);
            }
            "response.reasoning_summary_text.delta" => self.thought_delta(&read, SUMMARY, found),
            "response.reasoning_text.delta" => self.thought_delta(&read, THOUGHT, found),
            "response.created" | "response.queued" | "response.in_progress" => self.begin(&read, found),
            "response.content_part.added" => self.part_added(&read, found),
            "response.content_part.done" => self.part_done(&read, found),
            "response.output_text.annotation.added" => self.annotation(&read, found),
            "response.output_item.added" => self.item_added(&read, found),
            "response.output_item.done" => self.item_done(&read, found),
            "response.completed" | "response.incomplete" | "response.failed" => self.end(&read, found),
            "error" => found(StreamEvent::Failed(failure(event.data))),
            // Servers that are no OpenAI's send their errors without a type.
            "" | "message" if read.error.is_some_and(|error| !json::is_null(error)) => {
                found(StreamEvent::Failed(failure(event.data)));
            }
            _ => {}
        }
    }
}

impl ResponseEventReader {
    fn begin(&mut self, read: &ResponseEvent<'_>, found: NeutralSink<'_>) {
        if std::mem::replace(&mut self.is_begun, true) {
            return;
        }
        let fields = read.response.and_then(Fields::of).unwrap_or_default();
        let created = answer_reader::created(&fields);
        found(StreamEvent::Begin { id: fields.text("id"), model: fields.text("model"), created, usage: None });
    }

    fn find(&mut self, item: u64, place: PartPlace) -> Option<&mut PartInReading> {
        self.open.iter_mut().rev().find(|open| open.item == item && open.place == place)
    }

    fn open(&mut self, item: u64, place: PartPlace, kind: PartKind<'_>, found: NeutralSink<'_>) -> &mut PartInReading {
        match kind {
            PartKind::ToolCall { .. } => self.holds.call = true,
            PartKind::Refusal => self.holds.refusal = true,
            _ => {}
        }
        let part = self.next;
        self.next += 1;
        self.seen.insert(item);
        found(StreamEvent::Open { part, choice: 0, kind });
        self.open.push(PartInReading { item, place, part, has_come: false, summary: 0 });
        self.open.last_mut().expect("it was pushed")
    }

    fn close(&mut self, item: u64, place: PartPlace, found: NeutralSink<'_>) {
        if let Some(at) = self.open.iter().position(|open| open.item == item && open.place == place) {
            found(StreamEvent::Close { part: self.open.remove(at).part });
        }
    }

    /// Reads a piece of a message. Servers that do not say that a part begins are understood too.
    fn message_delta(&mut self, read: &ResponseEvent<'_>, kind: PartKind<'_>, found: NeutralSink<'_>) {
        let place = PartPlace::Content(read.content_index);
        let open = match self.find(read.output_index, place).map(|open| open.part) {
            Some(_) => self.find(read.output_index, place).expect("it was found"),
            None => self.open(read.output_index, place, kind, found),
        };
        open.has_come = true;
        let part = open.part;
        if let Some(raw) = read.logprobs.filter(|raw| raw.get().len() > 2 && raw.get() != "null") {
            found(StreamEvent::Delta { part, delta: PartDelta::Logprobs(raw) });
        }
        if let Some(Text(delta)) = &read.delta {
            found(StreamEvent::Delta { part, delta: PartDelta::Text(Cow::Borrowed(delta)) });
        }
    }

    fn call_delta(&mut self, read: &ResponseEvent<'_>, found: NeutralSink<'_>) {
        let Some(open) = self.find(read.output_index, PartPlace::Item) else { return };
        open.has_come = true;
        if let Some(Text(delta)) = &read.delta {
            found(StreamEvent::Delta { part: open.part, delta: PartDelta::Arguments(Cow::Borrowed(delta)) });
        }
    }

    fn thought_delta(&mut self, read: &ResponseEvent<'_>, kind: PartKind<'_>, found: NeutralSink<'_>) {
        let place = match kind {
            PartKind::Thinking { is_summary: true, .. } => read.summary_index,
            _ => read.content_index,
        };
        let open = match self.find(read.output_index, PartPlace::Item).is_some() {
            true => self.find(read.output_index, PartPlace::Item).expect("it was found"),
            false => self.open(read.output_index, PartPlace::Item, kind, found),
        };
        let is_next = std::mem::replace(&mut open.summary, place) != place;
        let is_first = !std::mem::replace(&mut open.has_come, true);
        let part = open.part;
        if is_next && !is_first {
            found(StreamEvent::Delta { part, delta: PartDelta::Text(Cow::Borrowed("\n\n")) });
        }
        if let Some(Text(delta)) = &read.delta {
            found(StreamEvent::Delta { part, delta: PartDelta::Text(Cow::Borrowed(delta)) });
        }
    }

    fn part_added(&mut self, read: &ResponseEvent<'_>, found: NeutralSink<'_>) {
        let Some(part) = read.part.and_then(Fields::of) else { return };
        let kind = match part.text("type").as_deref() {
            Some("output_text") => PartKind::Text,
            Some("refusal") => PartKind::Refusal,
            _ => return,
        };
        let place = PartPlace::Content(read.content_index);
        if self.find(read.output_index, place).is_none() {
            self.open(read.output_index, place, kind, found);
        }
    }

    /// Reads that a part is whole: what of it has not come in pieces comes now.
    fn part_done(&mut self, read: &ResponseEvent<'_>, found: NeutralSink<'_>) {
        let place = PartPlace::Content(read.content_index);
        let Some(part) = read.part.and_then(Fields::of) else { return };
        if let Some(open) = self.find(read.output_index, place).filter(|open| !open.has_come) {
            let number = open.part;
            let text = part.text("text").or_else(|| part.text("refusal"));
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                found(StreamEvent::Delta { part: number, delta: PartDelta::Text(text) });
            }
        }
        self.close(read.output_index, place, found);
    }

    fn annotation(&mut self, read: &ResponseEvent<'_>, found: NeutralSink<'_>) {
        let open = self.find(read.output_index, PartPlace::Content(read.content_index));
        if let (Some(open), Some(raw)) = (open, read.annotation) {
            found(StreamEvent::Delta { part: open.part, delta: PartDelta::Citation(raw) });
        }
    }

    fn item_added(&mut self, read: &ResponseEvent<'_>, found: NeutralSink<'_>) {
        let Some(item) = read.item.and_then(Fields::of) else { return };
        if matches!(item.text("type").as_deref(), Some("function_call" | "custom_tool_call")) {
            let call = answer_reader::call(&item);
            let kind = PartKind::ToolCall { id: call.id, name: call.name, kind: call.kind };
            self.open(read.output_index, PartPlace::Item, kind, found);
        }
    }

    /// Reads that an item is whole: its end, and whatever of it has not come yet.
    fn item_done(&mut self, read: &ResponseEvent<'_>, found: NeutralSink<'_>) {
        let Some((raw, item)) = read.item.and_then(|raw| Some((raw, Fields::of(raw)?))) else { return };
        let index = read.output_index;
        let kind = item.text("type").unwrap_or_default();
        let is_open = self.open.iter().any(|open| open.item == index);
        match &*kind {
            "function_call" | "custom_tool_call" if is_open => self.call_done(index, &item, found),
            "reasoning" if is_open || !self.has_seen(index) => self.thought_done(index, &item, found),
            "message" if is_open => self.close_item(index, found),
            // An item all of whose parts were closed before is whole already.
            _ if self.has_seen(index) => {}
            _ => self.new_item(index, raw, found),
        }
    }

    /// Tells whether parts of an item have come: an item that is whole without any is new.
    fn has_seen(&self, index: u64) -> bool {
        self.seen.contains(&index)
    }

    fn call_done(&mut self, index: u64, item: &Fields<'_>, found: NeutralSink<'_>) {
        if let Some(open) = self.find(index, PartPlace::Item).filter(|open| !open.has_come) {
            let call = answer_reader::call(item);
            if !call.arguments.is_empty() {
                let delta = PartDelta::Arguments(call.arguments);
                found(StreamEvent::Delta { part: open.part, delta });
            }
        }
        self.close_item(index, found);
    }

    fn thought_done(&mut self, index: u64, item: &Fields<'_>, found: NeutralSink<'_>) {
        let thought = thoughts::read(item);
        let is_open = self.find(index, PartPlace::Item).is_some();
        if !is_open && thought.text.is_empty() && thought.sealed.is_none() {
            return;
        }
        if !is_open {
            let kind = PartKind::Thinking {
                is_summary: thought.is_summary || thought.text.is_empty(),
                is_redacted: thought.is_redacted,
            };
            self.open(index, PartPlace::Item, kind, found);
        }
        let open = self.find(index, PartPlace::Item).expect("it is open");
        let (part, has_come) = (open.part, open.has_come);
        if !has_come && !thought.text.is_empty() {
            found(StreamEvent::Delta { part, delta: PartDelta::Text(thought.text) });
        }
        if let Some(sealed) = thought.sealed {
            found(StreamEvent::Delta { part, delta: PartDelta::Sealed(sealed) });
        }
        self.close_item(index, found);
    }

    fn close_item(&mut self, index: u64, found: NeutralSink<'_>) {
        while let Some(at) = self.open.iter().position(|open| open.item == index) {
            found(StreamEvent::Close { part: self.open.remove(at).part });
        }
    }

    /// Gives an item of which nothing has come before.
    fn new_item(&mut self, index: u64, raw: &RawValue, found: NeutralSink<'_>) {
        self.seen.insert(index);
        if let Some(item) = Fields::of(raw).filter(|item| item.text("type").as_deref() == Some("reasoning")) {
            self.thought_done(index, &item, found);
            return;
        }
        let mut choice = NeutralChoice { parts: Vec::new(), stop: Stop::of(StopReason::EndTurn), logprobs: None };
        answer_reader::read_item(raw, &mut choice);
        for part in choice.parts {
            self.whole_part(index, part, found);
        }
    }

    fn whole_part(&mut self, index: u64, part: Part<'_>, found: NeutralSink<'_>) {
        let (kind, delta) = match part.body {
            PartBody::Text { text, .. } => (PartKind::Text, Some(PartDelta::Text(text))),
            PartBody::Refusal(text) => (PartKind::Refusal, Some(PartDelta::Text(text))),
            PartBody::ToolCall(call) => {
                let kind = PartKind::ToolCall { id: call.id, name: call.name, kind: call.kind };
                (kind, Some(PartDelta::Arguments(call.arguments)))
            }
            PartBody::Native { kind, raw } => (PartKind::Native { kind, raw }, None),
            _ => return,
        };
        let part = self.open(index, PartPlace::Item, kind, found).part;
        if let Some(delta) = delta {
            found(StreamEvent::Delta { part, delta });
        }
        self.close_item(index, found);
    }

    /// Ends what is open, and gives what has not come. When an answer fails nothing of it is whole: a call without its
    /// arguments is none.
    fn end_items(&mut self, response: &Fields<'_>, found: NeutralSink<'_>) {
        while let Some(open) = self.open.pop() {
            found(StreamEvent::Close { part: open.part });
        }
        for (index, raw) in response.list("output").into_iter().enumerate() {
            if !self.has_seen(index as u64) {
                self.new_item(index as u64, raw, found);
            }
        }
    }

    fn end(&mut self, read: &ResponseEvent<'_>, found: NeutralSink<'_>) {
        self.begin(read, found);
        let fields = read.response.and_then(Fields::of).unwrap_or_default();
        let is_failed = answer_reader::stop(&fields, self.holds).reason == StopReason::Failed;
        if !is_failed {
            self.end_items(&fields, found);
        }
        if let Some(used) = fields.object("usage") {
            found(StreamEvent::Usage(usage::read(&used)));
        }
        if let Some(tier) = fields.text("service_tier") {
            found(StreamEvent::ServiceTier(tier));
        }
        let stop = answer_reader::stop(&fields, self.holds);
        if is_failed {
            let error = fields.object("error");
            let error = error.as_ref().and_then(|error| error::of_fields(error, error::kind_in_stream(error)));
            found(StreamEvent::Failed(error.unwrap_or_else(|| unknown_failure(stop.detail.unwrap_or_default()))));
            return;
        }
        found(StreamEvent::Stop { choice: 0, stop });
        found(StreamEvent::End);
    }
}

/// Reads an error that came as an event: flat, as the API has it, or in an object, as other servers do.
fn failure(data: &str) -> NeutralError<'_> {
    let fields = Fields::of_document(data.as_bytes()).unwrap_or_default();
    let fields = fields.object("error").unwrap_or(fields);
    let kind = error::kind_in_stream(&fields);
    error::of_fields(&fields, kind).unwrap_or_else(|| unknown_failure(Cow::Borrowed("")))
}

fn unknown_failure(message: Cow<'_, str>) -> NeutralError<'_> {
    let message = if message.is_empty() { Cow::Borrowed("the upstream failed and gave no reason") } else { message };
    NeutralError { kind: ErrorKind::Server, message, code: None, param: None, retry_after: None }
}
