//! Streams of chat completions, written.

mod calls;

use std::borrow::Cow;

use serde_json::value::RawValue;

use self::calls::{CallHead, CallWriting};
use super::annotation;
use super::answer_writer::{id, service_tier};
use super::stop::{self, AnswerHolds};
use super::{answer_writer, error, thought, usage};
use crate::conversion::sealed::VendorSeal;
use crate::json::writer::{ObjectWriter, push_list, push_value};
use crate::neutral::{NeutralUsage, PartDelta, PartKind, Stop, StopReason, StreamEvent, Thinking};
use crate::translation::{AnswerDetails, EventWriter, RequestMemo};

/// A writer of one stream.
pub(super) struct ChunkWriter {
    /// Every chunk up to its choices; empty before the answer begins.
    head: Vec<u8>,
    unique: String,
    now: u64,
    memo: RequestMemo,
    parts: Vec<PartWriting>,
    choices: Vec<ChoiceWriting>,
    made_ids: usize,
    usage: Option<NeutralUsage>,
    tier: Option<&'static str>,
}

/// One of the answers.
struct ChoiceWriting {
    index: u64,
    calls: usize,
    /// The number of details of thoughts.
    details: usize,
    /// The letters of its text.
    letters: usize,
    holds: AnswerHolds,
}

/// A part that is being written.
struct PartWriting {
    /// The place of its answer in the list of them.
    choice: usize,
    kind: PartState,
}

enum PartState {
    Text(TextWriting),
    Refusal,
    Thinking(ThoughtWriting),
    Call(CallWriting),
    /// Nothing of it is written.
    Other,
}

/// A text: its citations have places in it.
struct TextWriting {
    /// The letters of the message before it.
    begin: usize,
    text: String,
}

/// A thought: its text is written as it comes, and once more with its seal, which is of no use without it.
struct ThoughtWriting {
    is_redacted: bool,
    text: String,
    seal: Option<VendorSeal<'static>>,
}

impl ChunkWriter {
    /// Makes a writer.
    pub(super) fn new(details: &AnswerDetails<'_>) -> Self {
        Self {
            head: Vec::new(),
            unique: details.unique.to_owned(),
            now: details.now,
            memo: details.memo.clone(),
            parts: Vec::new(),
            choices: Vec::new(),
            made_ids: 0,
            usage: None,
            tier: None,
        }
    }

    fn begin(&mut self, vendors: Option<&str>, model: Option<&str>, created: Option<u64>) {
        self.head.extend_from_slice(b"data: ");
        let mut object = ObjectWriter::open(&mut self.head);
        object.and_text("id", &id(vendors, &self.unique)).value("object", "chat.completion.chunk");
        object.value("created", &created.unwrap_or(self.now)).value("model", model.unwrap_or_default());
        self.head.extend_from_slice(b",\"choices\":[");
    }

    /// Returns the place of an answer in the list of them; its first chunk says the role.
    fn choice(&mut self, index: u64, out: &mut Vec<u8>) -> usize {
        if self.head.is_empty() {
            self.begin(None, None, None);
        }
        if let Some(at) = self.choices.iter().position(|choice| choice.index == index) {
            return at;
        }
        let holds = AnswerHolds::default();
        self.choices.push(ChoiceWriting { index, calls: 0, details: 0, letters: 0, holds });
        let at = self.choices.len() - 1;
        self.chunk(at, out, |delta| {
            delta.value("role", "assistant").value("content", "").value("refusal", &None::<&str>);
        });
        at
    }

    /// Writes a chunk of an answer that has not ended.
    fn chunk(&self, choice: usize, out: &mut Vec<u8>, delta: impl FnOnce(&mut ObjectWriter<'_>)) {
        self.open_chunk(choice, out, delta);
        out.extend_from_slice(b",\"logprobs\":null,\"finish_reason\":null}");
        self.close_chunk(out);
    }

    fn open_chunk(&self, choice: usize, out: &mut Vec<u8>, delta: impl FnOnce(&mut ObjectWriter<'_>)) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"{\"index\":");
        push_value(out, &self.choices[choice].index);
        out.extend_from_slice(b",\"delta\":");
        let mut object = ObjectWriter::open(out);
        delta(&mut object);
        object.close();
    }

    fn close_chunk(&self, out: &mut Vec<u8>) {
        out.push(b']');
        if let Some(tier) = self.tier {
            out.extend_from_slice(b",\"service_tier\":");
            push_value(out, tier);
        }
        if self.memo.includes_usage {
            out.extend_from_slice(b",\"usage\":null");
        }
        out.extend_from_slice(b"}\n\n");
    }

    fn open(&mut self, choice: u64, kind: &PartKind<'_>, out: &mut Vec<u8>) {
        let choice = self.choice(choice, out);
        let kind = match kind {
            PartKind::Text => PartState::Text(TextWriting { begin: self.choices[choice].letters, text: String::new() }),
            PartKind::Refusal => {
                self.choices[choice].holds.refusal = true;
                PartState::Refusal
            }
            PartKind::Thinking { is_redacted, .. } => {
                PartState::Thinking(ThoughtWriting { is_redacted: *is_redacted, text: String::new(), seal: None })
            }
            PartKind::ToolCall { id, name, kind } => {
                PartState::Call(self.open_call(choice, &CallHead { id, name, kind: *kind }, out))
            }
            PartKind::Native { .. } => PartState::Other,
        };
        self.parts.push(PartWriting { choice, kind });
    }

    fn delta(&mut self, part: usize, delta: &PartDelta<'_>, out: &mut Vec<u8>) {
        let Some(mut open) = self.parts.get_mut(part).map(PartWriting::take) else { return };
        match (&mut open.kind, delta) {
            (PartState::Text(writing), PartDelta::Text(text)) => {
                writing.text.push_str(text);
                self.choices[open.choice].letters += text.chars().count();
                self.chunk(open.choice, out, |delta| {
                    delta.text("content", text);
                });
            }
            (PartState::Refusal, PartDelta::Text(text)) => self.chunk(open.choice, out, |delta| {
                delta.text("refusal", text);
            }),
            (PartState::Thinking(thought), PartDelta::Text(text)) => {
                thought.text.push_str(text);
                self.chunk(open.choice, out, |delta| {
                    delta.value(thought::TEXT_FIELDS[0], &**text);
                });
            }
            (PartState::Thinking(thought), PartDelta::Sealed(seal)) => thought.seal = Some(owned(seal)),
            (PartState::Call(call), PartDelta::Arguments(piece)) => self.arguments(open.choice, call, piece, out),
            (PartState::Call(call), PartDelta::Sealed(seal)) => self.call_seal(open.choice, call, seal, out),
            (PartState::Text(_), PartDelta::Sealed(seal)) => {
                self.chunk(open.choice, out, |delta| thought::write_signature(delta, seal));
            }
            (PartState::Text(writing), PartDelta::Citation(raw)) => self.citation(open.choice, writing, raw, out),
            (PartState::Text(_) | PartState::Refusal, PartDelta::Logprobs(raw)) => {
                self.logprobs(open.choice, raw, out);
            }
            _ => {}
        }
        self.parts[part] = open;
    }

    fn citation(&self, choice: usize, writing: &TextWriting, raw: &RawValue, out: &mut Vec<u8>) {
        let mut list = Vec::new();
        annotation::write(raw, &writing.text, writing.begin, &mut list);
        if list.is_empty() {
            return;
        }
        self.chunk(choice, out, |delta| {
            let out = delta.key("annotations");
            out.push(b'[');
            out.append(&mut list);
            out.push(b']');
        });
    }

    fn logprobs(&self, choice: usize, raw: &RawValue, out: &mut Vec<u8>) {
        self.open_chunk(choice, out, |_| {});
        let mut rest = Vec::new();
        let mut object = ObjectWriter::open(&mut rest);
        answer_writer::write_logprobs(&mut object, Some(raw));
        object.raw("finish_reason", "null");
        object.close();
        // The members of the choice that its delta has begun.
        rest[0] = b',';
        out.append(&mut rest);
        self.close_chunk(out);
    }

    fn close(&mut self, part: usize, out: &mut Vec<u8>) {
        let Some(open) = self.parts.get_mut(part).map(PartWriting::take) else { return };
        match open.kind {
            PartState::Thinking(thought) => self.seal(open.choice, thought, out),
            PartState::Call(call) => self.close_call(open.choice, call, out),
            _ => {}
        }
    }

    fn seal(&mut self, choice: usize, thought: ThoughtWriting, out: &mut Vec<u8>) {
        let thinking = Thinking {
            text: thought.text.into(),
            is_summary: false,
            is_redacted: thought.is_redacted,
            sealed: thought.seal,
        };
        if thought::has_detail(&thinking) {
            let index = self.choices[choice].details;
            self.choices[choice].details += 1;
            self.chunk(choice, out, |delta| {
                push_list(delta.key("reasoning_details"), [&thinking], |out, thinking| {
                    thought::write_detail(out, thinking, index);
                });
            });
        }
    }

    fn stop(&mut self, choice: u64, stop: &Stop<'_>, out: &mut Vec<u8>) {
        let choice = self.choice(choice, out);
        let holds = self.choices[choice].holds;
        if let Some(words) = stop::refusal_words(stop).filter(|_| !holds.refusal) {
            self.chunk(choice, out, |delta| {
                delta.value("refusal", words);
            });
        }
        let reason = holds.corrected(Stop::of(stop.reason)).reason;
        let is_first_form = reason == StopReason::ToolUse && self.memo.wants_function_call;
        self.open_chunk(choice, out, |_| {});
        out.extend_from_slice(b",\"logprobs\":null,\"finish_reason\":");
        push_value(out, if is_first_form { "function_call" } else { stop::word(reason) });
        out.push(b'}');
        self.close_chunk(out);
    }

    fn end(&self, out: &mut Vec<u8>) {
        if let Some(used) = self.usage.filter(|_| self.memo.includes_usage) {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b"],\"usage\":");
            usage::write(&used, out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl PartWriting {
    /// Takes the part out of its place, where nothing more is written of it.
    fn take(&mut self) -> Self {
        Self { choice: self.choice, kind: std::mem::replace(&mut self.kind, PartState::Other) }
    }
}

fn owned(seal: &VendorSeal<'_>) -> VendorSeal<'static> {
    VendorSeal {
        maker: seal.maker,
        text: Cow::Owned(seal.text.clone().into_owned()),
        id: seal.id.clone().map(|id| Cow::Owned(id.into_owned())),
    }
}

impl EventWriter for ChunkWriter {
    fn write(&mut self, event: &StreamEvent<'_>, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Begin { id, model, created, usage } => {
                if self.head.is_empty() {
                    self.begin(id.as_deref(), model.as_deref(), *created);
                }
                self.usage = *usage;
                self.choice(0, out);
            }
            StreamEvent::Open { choice, kind, .. } => self.open(*choice, kind, out),
            StreamEvent::Delta { part, delta } => self.delta(*part, delta, out),
            StreamEvent::Close { part } => self.close(*part, out),
            StreamEvent::Stop { choice, stop } => self.stop(*choice, stop, out),
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::ServiceTier(tier) => self.tier = service_tier(tier),
            StreamEvent::End => self.end(out),
            StreamEvent::Failed(failure) => {
                out.extend_from_slice(b"data: ");
                error::write(failure, out);
                out.extend_from_slice(b"\n\n");
            }
            StreamEvent::Unplaced(_) => {}
            StreamEvent::KeepAlive => out.extend_from_slice(b": keep-alive\n\n"),
        }
    }
}
