//! Streams, written: one block after another, the reason and the usage at the end.

use super::answer_writer::{call_id, message_id, signature};
use super::block_writer::is_own_kind;
use super::stop::{self, SaidParts};
use super::{citations, error, tool_names, usage};
use crate::conversion::sealed::VendorSeal;
use crate::conversion::sequence::PartSequence;
use crate::family::DialectFamily;
use crate::json::writer::{ObjectWriter, push_value};
use crate::neutral::{CallKind, NeutralUsage, PartDelta, PartKind, Stop, StopReason, StreamEvent};
use crate::translation::{AnswerDetails, EventWriter};

/// A writer of one stream.
pub(super) struct MessagesWriter {
    sequence: PartSequence,
    blocks: BlockEvents,
}

/// The events of the blocks, which come one after another.
struct BlockEvents {
    unique: String,
    /// The number of the next block.
    next: u64,
    block: Option<BlockState>,
    calls: usize,
    said: SaidParts,
    stop: Option<Stop<'static>>,
    usage: NeutralUsage,
    /// True once an error has been written: nothing comes after it.
    has_failed: bool,
}

/// The block that is open.
#[derive(Debug)]
enum BlockState {
    Text,
    /// A thought, whose signature comes last.
    Thinking {
        signature: Option<String>,
    },
    /// A thought that is hidden: its block says all, and is written when its data are known.
    Redacted {
        data: Option<String>,
    },
    /// A call whose block is not written yet: what seals it comes before.
    CallToBegin {
        id: String,
        name: String,
        kind: CallKind,
    },
    /// A call, whose block is open.
    Call {
        kind: CallKind,
    },
    /// A part that this API cannot say.
    Unsaid,
}

impl MessagesWriter {
    pub(super) fn new(details: &AnswerDetails<'_>) -> Self {
        let blocks = BlockEvents {
            unique: details.unique.to_owned(),
            next: 0,
            block: None,
            calls: 0,
            said: SaidParts::default(),
            stop: None,
            usage: NeutralUsage::default(),
            has_failed: false,
        };
        Self { sequence: PartSequence::default(), blocks }
    }
}

impl EventWriter for MessagesWriter {
    fn write(&mut self, event: &StreamEvent<'_>, out: &mut Vec<u8>) {
        let Self { sequence, blocks } = self;
        sequence.pass(event, &mut |event| blocks.write(event, out));
    }
}

impl BlockEvents {
    fn write(&mut self, event: &StreamEvent<'_>, out: &mut Vec<u8>) {
        if self.has_failed {
            return;
        }
        match event {
            StreamEvent::Begin { id, model, usage, .. } => {
                self.usage = usage.unwrap_or_default();
                let details = Beginning { id: id.as_deref(), model: model.as_deref() };
                self.begin(&details, out);
            }
            StreamEvent::Open { kind, .. } => self.open(kind, out),
            StreamEvent::Delta { delta, .. } => self.delta(delta, out),
            StreamEvent::Close { .. } => self.close(out),
            StreamEvent::Stop { choice: 0, stop } => self.stop = Some(owned(stop)),
            StreamEvent::Stop { .. } | StreamEvent::ServiceTier(_) | StreamEvent::Unplaced(_) => {}
            StreamEvent::Usage(usage) => self.usage = *usage,
            StreamEvent::End => self.end(out),
            StreamEvent::Failed(failed) => {
                self.has_failed = true;
                write_event(out, "error", |out| error::write(out, failed));
            }
            StreamEvent::KeepAlive => out.extend_from_slice(b"event: ping\ndata: {\"type\":\"ping\"}\n\n"),
        }
    }

    fn begin(&self, beginning: &Beginning<'_>, out: &mut Vec<u8>) {
        write_event(out, "message_start", |out| {
            let mut event = ObjectWriter::of_type("message_start", out);
            let mut message = ObjectWriter::open(event.key("message"));
            message.text("id", &message_id(beginning.id, &self.unique));
            message.word("type", "message");
            message.word("role", "assistant");
            message.value("model", beginning.model.unwrap_or_default());
            message.raw("content", "[]");
            message.raw("stop_reason", "null");
            message.raw("stop_sequence", "null");
            usage::write(message.key("usage"), &self.usage, None);
            message.close();
            event.close();
        });
    }

    fn open(&mut self, kind: &PartKind<'_>, out: &mut Vec<u8>) {
        self.block = Some(match kind {
            PartKind::Text => {
                self.start(out, br#"{"type":"text","text":""}"#);
                BlockState::Text
            }
            PartKind::Refusal => {
                self.said.has_refusal = true;
                self.start(out, br#"{"type":"text","text":""}"#);
                BlockState::Text
            }
            PartKind::Thinking { is_redacted: false, .. } => {
                self.start(out, br#"{"type":"thinking","thinking":"","signature":""}"#);
                BlockState::Thinking { signature: None }
            }
            PartKind::Thinking { is_redacted: true, .. } => BlockState::Redacted { data: None },
            PartKind::ToolCall { id, name, kind } => {
                self.said.has_calls = true;
                let id = call_id(id, &self.unique, self.calls).into_owned();
                self.calls += 1;
                BlockState::CallToBegin { id, name: tool_names::written(name).into_owned(), kind: *kind }
            }
            PartKind::Native { kind, raw } if is_own_kind(kind) => {
                let whole = raw.get().replace(['\n', '\r'], " ");
                self.start(out, whole.as_bytes());
                self.stop_block(out);
                BlockState::Unsaid
            }
            PartKind::Native { .. } => BlockState::Unsaid,
        });
    }

    fn delta(&mut self, delta: &PartDelta<'_>, out: &mut Vec<u8>) {
        if let (Some(BlockState::CallToBegin { .. }), PartDelta::Sealed(sealed)) = (&self.block, delta) {
            return self.seal_of_call(sealed, out);
        }
        self.begin_call(out);
        match (&mut self.block, delta) {
            (Some(BlockState::Text), PartDelta::Text(text)) => self.piece(out, &TEXT, text),
            (Some(BlockState::Text), PartDelta::Citation(raw)) => {
                citations::write_each(raw, "", &mut |citation| self.citation(out, citation));
            }
            (Some(BlockState::Thinking { .. }), PartDelta::Text(text)) => self.piece(out, &THINKING, text),
            (
                Some(BlockState::Thinking { signature: kept } | BlockState::Redacted { data: kept }),
                PartDelta::Sealed(sealed),
            ) => {
                *kept = Some(signature(Some(sealed)).into_owned());
            }
            (Some(BlockState::Call { kind: CallKind::Function }), PartDelta::Arguments(text)) => {
                self.piece(out, &INPUT, text);
            }
            (Some(BlockState::Call { kind: CallKind::Custom }), PartDelta::Arguments(text)) => {
                self.custom_piece(out, text);
            }
            _ => {}
        }
    }

    /// Writes a piece of free text, which is a piece of a string in the call's input.
    fn custom_piece(&self, out: &mut Vec<u8>, text: &str) {
        let mut escaped = Vec::with_capacity(text.len() + 2);
        push_value(&mut escaped, text);
        let inner = str::from_utf8(&escaped[1..escaped.len() - 1]).unwrap_or_default();
        self.piece(out, &INPUT, inner);
    }

    /// Writes the seal of a call as a thought before it: blocks of calls have no place for one.
    fn seal_of_call(&mut self, sealed: &VendorSeal<'_>, out: &mut Vec<u8>) {
        self.start(out, br#"{"type":"thinking","thinking":"","signature":""}"#);
        self.piece(out, &SIGNATURE, &sealed.to_field(DialectFamily::Messages));
        self.stop_block(out);
    }

    fn begin_call(&mut self, out: &mut Vec<u8>) {
        let Some(BlockState::CallToBegin { id, name, kind }) = &self.block else { return };
        let kind = *kind;
        let mut block = Vec::with_capacity(96);
        let mut object = ObjectWriter::of_type("tool_use", &mut block);
        object.value("id", id);
        object.value("name", name);
        object.raw("input", "{}");
        object.close();
        self.start(out, &block);
        if kind == CallKind::Custom {
            self.piece(out, &INPUT, "{\"input\":\"");
        }
        self.block = Some(BlockState::Call { kind });
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        self.begin_call(out);
        match self.block.take() {
            None | Some(BlockState::Unsaid | BlockState::CallToBegin { .. }) => return,
            Some(BlockState::Thinking { signature: kept }) => {
                let sealed = kept.unwrap_or_else(|| signature(None).into_owned());
                self.piece(out, &SIGNATURE, &sealed);
            }
            Some(BlockState::Redacted { data }) => {
                let mut block = Vec::with_capacity(96);
                let mut object = ObjectWriter::of_type("redacted_thinking", &mut block);
                object.value("data", &data.unwrap_or_else(|| signature(None).into_owned()));
                object.close();
                self.start(out, &block);
            }
            Some(BlockState::Call { kind: CallKind::Custom }) => self.piece(out, &INPUT, "\"}"),
            Some(BlockState::Text | BlockState::Call { kind: CallKind::Function }) => {}
        }
        self.stop_block(out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let stop = self.stop.take().unwrap_or(Stop::of(StopReason::EndTurn));
        write_event(out, "message_delta", |out| {
            let mut event = ObjectWriter::of_type("message_delta", out);
            let mut delta = ObjectWriter::open(event.key("delta"));
            stop::write(&mut delta, &stop, self.said);
            delta.close();
            usage::write_at_end(event.key("usage"), &self.usage);
            event.close();
        });
        out.extend_from_slice(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    }

    fn start(&self, out: &mut Vec<u8>, block: &[u8]) {
        out.extend_from_slice(b"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":");
        push_value(out, &self.next);
        out.extend_from_slice(b",\"content_block\":");
        out.extend_from_slice(block);
        out.extend_from_slice(b"}\n\n");
    }

    fn piece(&self, out: &mut Vec<u8>, form: &PieceForm, text: &str) {
        self.begin_piece(out);
        out.extend_from_slice(form.before.as_bytes());
        push_value(out, text);
        out.extend_from_slice(b"}}\n\n");
    }

    fn citation(&self, out: &mut Vec<u8>, citation: &[u8]) {
        self.begin_piece(out);
        out.extend_from_slice(b"{\"type\":\"citations_delta\",\"citation\":");
        out.extend_from_slice(citation);
        out.extend_from_slice(b"}}\n\n");
    }

    fn begin_piece(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
        push_value(out, &self.next);
        out.extend_from_slice(b",\"delta\":");
    }

    fn stop_block(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":");
        push_value(out, &self.next);
        out.extend_from_slice(b"}\n\n");
        self.next += 1;
    }
}

/// The facts of an answer that are known when it begins.
struct Beginning<'b> {
    id: Option<&'b str>,
    model: Option<&'b str>,
}

/// The form of a piece: the object that it is, up to its text.
struct PieceForm {
    before: &'static str,
}

const TEXT: PieceForm = PieceForm { before: "{\"type\":\"text_delta\",\"text\":" };
const THINKING: PieceForm = PieceForm { before: "{\"type\":\"thinking_delta\",\"thinking\":" };
const SIGNATURE: PieceForm = PieceForm { before: "{\"type\":\"signature_delta\",\"signature\":" };
const INPUT: PieceForm = PieceForm { before: "{\"type\":\"input_json_delta\",\"partial_json\":" };

fn write_event(out: &mut Vec<u8>, name: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    write(out);
    out.extend_from_slice(b"\n\n");
}

fn owned(stop: &Stop<'_>) -> Stop<'static> {
    Stop { reason: stop.reason, detail: stop.detail.as_ref().map(|detail| detail.clone().into_owned().into()) }
}
