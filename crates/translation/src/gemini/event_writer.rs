//! Streams in the words of Google's API: events, or the elements of a list where the client has not asked for events.
//!
//! A call goes out whole, as Google's do, so that its arguments are held until they are. Why an answer has ended goes out
//! at the end, with the counts. Every chunk has a part: Google's SDKs drop a turn with a chunk that has none.

use std::borrow::Cow;

use super::thought::NO_SIGNATURE;
use super::{answer_parts, answer_writer, citations, error, logprobs, thought, usage};
use crate::events::LONGEST_EVENT;
use crate::json::writer::{ListWriter, ObjectWriter};
use crate::neutral::{NeutralError, NeutralUsage, PartDelta, PartKind, Stop, StopReason, StreamEvent, ToolCall};
use crate::translation::{AnswerDetails, EventWriter};

/// The form of a stream's chunks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ChunkFraming {
    Events,
    List,
}

/// A part that is open.
struct UnfinishedPart {
    part: usize,
    choice: u64,
    kind: UnfinishedKind,
}

enum UnfinishedKind {
    Text,
    Thinking { is_redacted: bool },
    Call { call: ToolCall<'static>, signature: Option<String> },
    Native,
}

/// A writer of one stream.
pub(super) struct GeminiEventWriter {
    framing: ChunkFraming,
    has_chunks: bool,
    /// The beginning of the chunk that is being written.
    chunk_start: usize,
    /// The end of each chunk: the model and the id.
    tail: Vec<u8>,
    unique: String,
    open: Vec<UnfinishedPart>,
    /// Seals of thoughts by their answers, which clients that drop thoughts keep with the call after them.
    thought_seals: Vec<(u64, String)>,
    /// The answers that have a call: Google's models sign the first of each.
    called: Vec<u64>,
    refused: Vec<u64>,
    stops: Vec<(u64, Stop<'static>)>,
    usage: Option<NeutralUsage>,
}

impl GeminiEventWriter {
    pub(super) fn new(details: &AnswerDetails<'_>) -> Self {
        let mut writer = Self {
            framing: if details.memo.gemini_array { ChunkFraming::List } else { ChunkFraming::Events },
            has_chunks: false,
            chunk_start: 0,
            tail: Vec::new(),
            unique: details.unique.to_owned(),
            open: Vec::new(),
            thought_seals: Vec::new(),
            called: Vec::new(),
            refused: Vec::new(),
            stops: Vec::new(),
            usage: None,
        };
        writer.name(None, None);
        writer
    }

    /// Makes the end of each chunk.
    fn name(&mut self, id: Option<&str>, model: Option<&str>) {
        let mut tail = Vec::new();
        let mut members = ObjectWriter::open(&mut tail);
        if let Some(model) = model {
            members.text("modelVersion", model);
        }
        members.text("responseId", id.unwrap_or(&self.unique));
        members.close();
        tail[0] = b',';
        self.tail = tail;
    }
}

impl EventWriter for GeminiEventWriter {
    fn write(&mut self, event: &StreamEvent<'_>, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Begin { id, model, usage, .. } => {
                self.usage = *usage;
                self.name(id.as_deref(), model.as_deref());
            }
            StreamEvent::Open { part, choice, kind } => self.begin_part(*part, *choice, kind, out),
            StreamEvent::Delta { part, delta } => self.delta(*part, delta, out),
            StreamEvent::Close { part } => self.end_part(*part, out),
            StreamEvent::Stop { choice, stop } => self.stops.push((*choice, self.stop(*choice, stop))),
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            // Google's SDK for Python takes a comment for a broken answer.
            StreamEvent::ServiceTier(_) | StreamEvent::Unplaced(_) | StreamEvent::KeepAlive => {}
            StreamEvent::End => self.end(out),
            StreamEvent::Failed(failure) => self.fail(failure, out),
        }
    }
}

impl GeminiEventWriter {
    fn begin_part(&mut self, part: usize, choice: u64, kind: &PartKind<'_>, out: &mut Vec<u8>) {
        let kind = match kind {
            PartKind::Text => UnfinishedKind::Text,
            PartKind::Refusal => {
                self.refused.push(choice);
                UnfinishedKind::Text
            }
            PartKind::Thinking { is_redacted, .. } => UnfinishedKind::Thinking { is_redacted: *is_redacted },
            PartKind::ToolCall { id, name, kind } => UnfinishedKind::Call {
                call: ToolCall {
                    id: Cow::Owned(id.clone().into_owned()),
                    name: Cow::Owned(name.clone().into_owned()),
                    arguments: Cow::Owned(String::new()),
                    kind: *kind,
                },
                signature: None,
            },
            PartKind::Native { kind, raw } => {
                if super::part_writer::is_own_native(kind) {
                    self.chunk(choice, out, |out| {
                        let mut members = ObjectWriter::open(out);
                        members.raw(kind, raw.get());
                        members.close();
                    });
                }
                UnfinishedKind::Native
            }
        };
        self.open.push(UnfinishedPart { part, choice, kind });
    }

    fn delta(&mut self, part: usize, delta: &PartDelta<'_>, out: &mut Vec<u8>) {
        let Some(at) = self.open.iter().position(|open| open.part == part) else { return };
        let choice = self.open[at].choice;
        match (&mut self.open[at].kind, delta) {
            (UnfinishedKind::Text, PartDelta::Text(text)) => {
                self.chunk(choice, out, |out| answer_parts::text(text, None, out));
            }
            (UnfinishedKind::Thinking { .. }, PartDelta::Text(text)) => {
                self.chunk(choice, out, |out| answer_parts::thought(text, None, out));
            }
            // What is longer than any event may be is cut, and so no call in the end.
            (UnfinishedKind::Call { call, .. }, PartDelta::Arguments(more) | PartDelta::Text(more))
                if call.arguments.len() + more.len() <= LONGEST_EVENT =>
            {
                call.arguments.to_mut().push_str(more);
            }
            (UnfinishedKind::Text, PartDelta::Sealed(sealed)) => {
                self.chunk(choice, out, |out| answer_parts::text("", Some(&answer_parts::signature(sealed)), out));
            }
            (UnfinishedKind::Thinking { is_redacted }, PartDelta::Sealed(sealed)) => {
                let signature =
                    if *is_redacted { thought::redacted_field(sealed) } else { answer_parts::signature(sealed) };
                let signature = signature.into_owned();
                self.chunk(choice, out, |out| answer_parts::thought("", Some(&signature), out));
                self.thought_seals.retain(|(other, _)| *other != choice);
                if thought::is_kept_by_calls(sealed) {
                    self.thought_seals.push((choice, signature));
                }
            }
            (UnfinishedKind::Call { signature, .. }, PartDelta::Sealed(sealed)) => {
                *signature = Some(answer_parts::signature(sealed).into_owned());
            }
            (_, PartDelta::Citation(raw)) => self.noted(choice, out, |members| citations::write(raw, members)),
            (_, PartDelta::Logprobs(raw)) => self.noted(choice, out, |members| logprobs::write_google(raw, members)),
            _ => {}
        }
    }

    fn end_part(&mut self, part: usize, out: &mut Vec<u8>) {
        let Some(at) = self.open.iter().position(|open| open.part == part) else { return };
        let UnfinishedPart { choice, kind, .. } = self.open.remove(at);
        let UnfinishedKind::Call { call, signature } = kind else { return };
        let thought = self.thought_seals.iter().position(|(other, _)| *other == choice);
        let thought = thought.map(|at| self.thought_seals.remove(at).1);
        let signature = signature.or(thought);
        let is_first = !self.called.contains(&choice);
        if is_first {
            self.called.push(choice);
        }
        let signature = signature.as_deref().or_else(|| is_first.then_some(NO_SIGNATURE));
        let mut written = Vec::with_capacity(call.arguments.len() + 128);
        if answer_parts::call(&call, signature, &mut written) {
            self.chunk(choice, out, |out| out.extend_from_slice(&written));
        } else {
            self.stops.push((choice, answer_parts::malformed_call(&call.name)));
        }
    }

    /// Returns why an answer has ended: a refusal is no clean end.
    fn stop(&self, choice: u64, stop: &Stop<'_>) -> Stop<'static> {
        let is_clean = matches!(stop.reason, StopReason::EndTurn | StopReason::StopText | StopReason::ToolUse);
        if is_clean && self.refused.contains(&choice) {
            return Stop::of(StopReason::Refusal);
        }
        Stop { reason: stop.reason, detail: stop.detail.as_ref().map(|detail| Cow::Owned(detail.clone().into_owned())) }
    }

    /// Writes the last chunk: why the answers have ended, and the counts.
    fn end(&mut self, out: &mut Vec<u8>) {
        while let Some(part) = self.open.first().map(|open| open.part) {
            self.end_part(part, out);
        }
        self.begin_chunk(out);
        let mut members = ObjectWriter::open(out);
        let mut candidates = ListWriter::open(members.key("candidates"));
        let stops = std::mem::take(&mut self.stops);
        for (place, (choice, stop)) in stops.iter().enumerate() {
            // Of several reasons of an answer the first counts: a call that is none was found before.
            if stops[..place].iter().any(|(other, _)| other == choice) {
                continue;
            }
            let mut candidate = ObjectWriter::open(candidates.next());
            empty_content(&mut candidate);
            answer_writer::write_stop(stop, &mut candidate);
            candidate.number("index", *choice);
            candidate.close();
        }
        candidates.close();
        if let Some(usage) = &self.usage {
            usage::write(usage, &mut members);
        }
        members.close();
        self.end_chunk(out);
        if self.framing == ChunkFraming::List {
            out.push(b']');
        }
    }

    fn fail(&mut self, failure: &NeutralError<'_>, out: &mut Vec<u8>) {
        self.begin_chunk(out);
        out.extend_from_slice(&error::write(failure, failure.kind.status()));
        match self.framing {
            ChunkFraming::Events => out.extend_from_slice(b"\r\n\r\n"),
            ChunkFraming::List => out.push(b']'),
        }
    }

    /// Writes a chunk with one part.
    fn chunk(&mut self, choice: u64, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        self.begin_chunk(out);
        out.extend_from_slice(br#"{"candidates":[{"content":{"parts":["#);
        write(out);
        out.extend_from_slice(br#"],"role":"model"},"index":"#);
        push_number(choice, out);
        out.extend_from_slice(b"}]}");
        self.end_chunk(out);
    }

    /// Writes a chunk whose part is empty, with more members of its candidate.
    fn noted(&mut self, choice: u64, out: &mut Vec<u8>, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        self.begin_chunk(out);
        let mut members = ObjectWriter::open(out);
        let mut candidates = ListWriter::open(members.key("candidates"));
        let mut candidate = ObjectWriter::open(candidates.next());
        empty_content(&mut candidate);
        candidate.number("index", choice);
        write(&mut candidate);
        candidate.close();
        candidates.close();
        members.close();
        self.end_chunk(out);
    }

    fn begin_chunk(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(match (self.framing, self.has_chunks) {
            (ChunkFraming::Events, _) => b"data: ",
            (ChunkFraming::List, false) => b"[",
            (ChunkFraming::List, true) => b",\r\n",
        });
        self.has_chunks = true;
        self.chunk_start = out.len();
    }

    /// Ends a chunk, whose object is closed: the model and the id come into it.
    fn end_chunk(&self, out: &mut Vec<u8>) {
        out.pop();
        out.extend_from_slice(&self.tail);
        if self.framing == ChunkFraming::Events {
            // JSON that goes on as it was may have line ends between its values, which end an event's line.
            let chunk = out.get_mut(self.chunk_start..).unwrap_or_default();
            let mut at = 0;
            while let Some(found) = memchr::memchr2(b'\n', b'\r', &chunk[at..]) {
                at += found;
                chunk[at] = b' ';
            }
            out.extend_from_slice(b"\r\n\r\n");
        }
    }
}

fn empty_content(candidate: &mut ObjectWriter<'_>) {
    candidate.raw("content", r#"{"parts":[{"text":""}],"role":"model"}"#);
}

fn push_number(number: u64, out: &mut Vec<u8>) {
    match u8::try_from(number) {
        Ok(digit @ 0..=9) => out.push(b'0' + digit),
        _ => out.extend_from_slice(number.to_string().as_bytes()),
    }
}
