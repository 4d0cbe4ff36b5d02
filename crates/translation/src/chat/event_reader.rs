//! Streams of chat completions, read.
//!
//! The API does not say where a part of an answer begins or ends: a text ends where a thought or a call begins, and every
//! call at the answer's end, for pieces of calls may alternate. A call whose JSON is whole ends as soon as another part
//! begins.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::call_reader::CallsReading;
use super::chunk::{ChatChunk, ChunkChoice, ChunkDelta};
use super::stop::{self, AnswerHolds};
use super::thought_reader::ThoughtReading;
use super::{error, thought, turns_reader, usage};
use crate::events::ServerEvent;
use crate::json::{self, Fields};
use crate::neutral::{ErrorKind, NeutralError, Part, PartBody, PartDelta, PartKind, Stop, StopReason, StreamEvent};
use crate::translation::EventReader;

/// The receiver of events.
pub(super) type EventReceiver<'f> = dyn FnMut(StreamEvent<'_>) + 'f;

/// A reader of one stream.
#[derive(Default)]
pub(super) struct ChunkReader {
    is_begun: bool,
    has_ended: bool,
    says_tier: bool,
    parts: PartNumbers,
    choices: Vec<ChoiceReading>,
}

/// The numbers of parts, over all answers.
#[derive(Default)]
pub(super) struct PartNumbers(usize);

impl PartNumbers {
    /// Returns the number of the next part.
    pub(super) fn next(&mut self) -> usize {
        self.0 += 1;
        self.0 - 1
    }
}

impl EventReader for ChunkReader {
    fn read(&mut self, event: ServerEvent<'_>, found: &mut dyn FnMut(StreamEvent<'_>)) {
        if self.has_ended {
            return;
        }
        if event.data.trim() == "[DONE]" {
            self.end(found);
            return;
        }
        let Ok(chunk) = serde_json::from_str::<ChatChunk<'_>>(event.data) else { return };
        if chunk.error.is_some() || event.name == "error" {
            let fields = Fields::of_document(event.data.as_bytes()).unwrap_or_default();
            self.has_ended = true;
            found(StreamEvent::Failed(error::read_fields(ErrorKind::Server, &fields)));
            return;
        }
        self.chunk(&chunk, found);
    }

    fn finish(&mut self, found: &mut dyn FnMut(StreamEvent<'_>)) {
        // Not every server writes the mark of the end.
        if self.is_whole() {
            self.end(found);
        }
    }
}

impl ChunkReader {
    fn chunk(&mut self, chunk: &ChatChunk<'_>, found: &mut EventReceiver<'_>) {
        let choices = chunk.choices.as_deref().unwrap_or_default();
        // Azure's first chunk holds nothing but what its filter says of the prompt.
        if !self.is_begun && (!choices.is_empty() || chunk.usage.is_some()) {
            self.is_begun = true;
            found(StreamEvent::Begin {
                id: some_text(chunk.id),
                model: some_text(chunk.model),
                created: chunk.created.and_then(json::value),
                usage: None,
            });
        }
        for choice in choices {
            self.choice(choice, found);
        }
        if let Some(tier) = chunk.service_tier.filter(|_| !self.says_tier).and_then(json::text) {
            self.says_tier = true;
            found(StreamEvent::ServiceTier(tier));
        }
        if let Some(fields) = chunk.usage.and_then(Fields::of) {
            found(StreamEvent::Usage(usage::read(&fields)));
            if choices.is_empty() && self.is_whole() {
                self.end(found);
            }
        }
    }

    fn choice(&mut self, choice: &ChunkChoice<'_>, found: &mut EventReceiver<'_>) {
        let index = choice.index.unwrap_or_default();
        let at = self.choices.iter().position(|reading| reading.index == index).unwrap_or_else(|| {
            self.choices.push(ChoiceReading::of(index));
            self.choices.len() - 1
        });
        let reading = &mut self.choices[at];
        if reading.is_stopped {
            return;
        }
        if let Some(delta) = &choice.delta {
            reading.delta(delta, &mut self.parts, found);
        }
        if let Some(logprobs) = choice.logprobs.and_then(Fields::of)
            && let Some(part) = reading.spoken()
            && let Some(list) = logprobs.get("content").or_else(|| logprobs.get("refusal"))
        {
            found(StreamEvent::Delta { part, delta: PartDelta::Logprobs(list) });
        }
        if let Some(reason) = choice.finish_reason.as_ref().filter(|reason| !reason.0.is_empty()) {
            let text = choice.stop_reason.and_then(json::text).filter(|_| reason.0 == "stop");
            let stop = match text {
                Some(text) => Stop { reason: StopReason::StopText, detail: Some(text) },
                None => stop::read(&reason.0),
            };
            reading.stop(stop, found);
        }
    }

    fn is_whole(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|choice| choice.is_stopped)
    }

    fn end(&mut self, found: &mut EventReceiver<'_>) {
        if self.has_ended {
            return;
        }
        self.has_ended = true;
        if self.choices.is_empty() {
            found(StreamEvent::Failed(NeutralError {
                kind: ErrorKind::Server,
                message: Cow::Borrowed("the upstream's stream holds no answer"),
                code: None,
                param: None,
                retry_after: None,
            }));
            return;
        }
        for choice in self.choices.iter_mut().filter(|choice| !choice.is_stopped) {
            choice.stop(Stop::of(StopReason::Other), found);
        }
        found(StreamEvent::End);
    }
}

fn some_text(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    raw.and_then(json::text).filter(|text| !text.is_empty())
}

/// The parts of one of the answers.
struct ChoiceReading {
    index: u64,
    text: Option<usize>,
    refusal: Option<usize>,
    thought: Option<ThoughtReading>,
    calls: CallsReading,
    holds: AnswerHolds,
    is_stopped: bool,
}

impl ChoiceReading {
    fn of(index: u64) -> Self {
        Self {
            index,
            text: None,
            refusal: None,
            thought: None,
            calls: CallsReading::default(),
            holds: AnswerHolds::default(),
            is_stopped: false,
        }
    }

    /// Returns the open part that probabilities of tokens belong to.
    fn spoken(&self) -> Option<usize> {
        self.text.or(self.refusal)
    }

    fn delta(&mut self, delta: &ChunkDelta<'_>, parts: &mut PartNumbers, found: &mut EventReceiver<'_>) {
        if ThoughtReading::is_in(delta) {
            self.close_said(found);
            self.open_thought(parts, found).delta(delta, found);
        }
        if let Some(content) = delta.content {
            self.content(content, parts, found);
        }
        if let Some(refusal) = delta.refusal.as_ref().filter(|refusal| !refusal.0.is_empty()) {
            self.holds.refusal = true;
            self.close_thought(found);
            if self.refusal.is_none() {
                self.calls.close_whole(found);
            }
            let part = opened(&mut self.refusal, parts, &mut |part| {
                found(StreamEvent::Open { part, choice: self.index, kind: PartKind::Refusal });
            });
            found(StreamEvent::Delta { part, delta: PartDelta::Text(Cow::Borrowed(&refusal.0)) });
        }
        self.marks(delta, found);
        let has_calls = delta.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty());
        if has_calls || delta.function_call.is_some() {
            self.holds.calls = true;
            self.close_thought(found);
            self.close_said(found);
            for call in delta.tool_calls.iter().flatten() {
                self.calls.delta(call, self.index, parts, found);
            }
            if let Some(function) = &delta.function_call {
                self.calls.function(function, self.index, parts, found);
            }
        }
    }

    fn content(&mut self, raw: &RawValue, parts: &mut PartNumbers, found: &mut EventReceiver<'_>) {
        if let Some(text) = json::text(raw) {
            self.say(text, parts, found);
            return;
        }
        // Mistral's servers write thoughts and texts as parts of a list.
        for part in json::list(raw).unwrap_or_default().into_iter().filter_map(turns_reader::part) {
            match part {
                Part { body: PartBody::Text { text, .. }, .. } => self.say(text, parts, found),
                Part { body: PartBody::Thinking(thinking), .. } => {
                    self.close_said(found);
                    self.open_thought(parts, found).text(thinking.text, found);
                }
                _ => {}
            }
        }
    }

    fn say(&mut self, text: Cow<'_, str>, parts: &mut PartNumbers, found: &mut EventReceiver<'_>) {
        if text.is_empty() {
            return;
        }
        self.close_thought(found);
        if self.text.is_none() {
            self.calls.close_whole(found);
        }
        let part = opened(&mut self.text, parts, &mut |part| {
            found(StreamEvent::Open { part, choice: self.index, kind: PartKind::Text });
        });
        found(StreamEvent::Delta { part, delta: PartDelta::Text(text) });
    }

    /// Reads citations and seals, which belong to the open text.
    fn marks(&mut self, delta: &ChunkDelta<'_>, found: &mut EventReceiver<'_>) {
        let Some(part) = self.text else { return };
        for citation in delta.annotations.and_then(json::list).unwrap_or_default() {
            found(StreamEvent::Delta { part, delta: PartDelta::Citation(citation) });
        }
        if let Some(seal) = delta.extra_content.and_then(thought::signature_of_extra) {
            found(StreamEvent::Delta { part, delta: PartDelta::Sealed(seal) });
        }
    }

    /// Returns the open thought, which is opened where none is.
    fn open_thought(&mut self, parts: &mut PartNumbers, found: &mut EventReceiver<'_>) -> &mut ThoughtReading {
        let Self { thought, calls, index, .. } = self;
        thought.get_or_insert_with(|| {
            calls.close_whole(found);
            ThoughtReading::open(parts.next(), *index, found)
        })
    }

    fn close_said(&mut self, found: &mut EventReceiver<'_>) {
        for part in [self.text.take(), self.refusal.take()].into_iter().flatten() {
            found(StreamEvent::Close { part });
        }
    }

    fn close_thought(&mut self, found: &mut EventReceiver<'_>) {
        if let Some(thought) = self.thought.take() {
            thought.close(found);
        }
    }

    fn stop(&mut self, stop: Stop<'_>, found: &mut EventReceiver<'_>) {
        self.is_stopped = true;
        self.close_thought(found);
        self.close_said(found);
        self.calls.close(found);
        found(StreamEvent::Stop { choice: self.index, stop: self.holds.corrected(stop) });
    }
}

/// Returns the number of a part, which is opened where it is not open.
fn opened(slot: &mut Option<usize>, parts: &mut PartNumbers, open: &mut dyn FnMut(usize)) -> usize {
    *slot.get_or_insert_with(|| {
        let part = parts.next();
        open(part);
        part
    })
}
