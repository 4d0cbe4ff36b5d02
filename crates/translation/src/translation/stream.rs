//! The translation of a stream, chunk by chunk.

use super::pair_joining::PairJoining;
use super::{Api, EventReader, EventWriter, answer_losses};
use crate::events::{EventLines, ServerEvent};
use crate::loss::LossReport;
use crate::neutral::{ErrorKind, NeutralError, StreamEvent};

/// The translation of one stream: chunks in, chunks out, nothing held back but what the order of events demands.
pub struct StreamTranslator {
    lines: EventLines,
    reader: Box<dyn EventReader>,
    client: ClientStream,
}

/// The stream as the client gets it.
struct ClientStream {
    pairs: PairJoining,
    writer: LossyWriter,
    state: StreamState,
}

/// A writer beside which it is noted what its client does not get.
struct LossyWriter {
    client: &'static dyn Api,
    inner: Box<dyn EventWriter>,
    losses: LossReport,
}

/// The progress of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StreamState {
    Open,
    /// The stream has come to the end that its API says.
    Ended,
    /// The stream has failed, and the client knows.
    Failed,
}

impl StreamTranslator {
    pub(crate) fn new(reader: Box<dyn EventReader>, client: &'static dyn Api, inner: Box<dyn EventWriter>) -> Self {
        let writer = LossyWriter { client, inner, losses: LossReport::default() };
        let client = ClientStream { pairs: PairJoining::default(), writer, state: StreamState::Open };
        Self { lines: EventLines::default(), reader, client }
    }

    /// Translates a chunk; what is returned may be empty.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(chunk.len() * 2);
        let Self { lines, reader, client } = self;
        if lines.push(chunk, |event| client.read(event, &mut **reader, &mut out)).is_err() {
            client.fail(ErrorKind::Server, "an event of the upstream's is too long", &mut out);
        }
        out
    }

    /// Ends the translation when the upstream's stream has ended. A stream that was cut ends with an error.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let Self { lines, reader, client } = self;
        lines.finish(|event| client.read(event, &mut **reader, &mut out));
        reader.finish(&mut |event| client.pass(&event, &mut out));
        if client.state == StreamState::Open {
            client.fail(ErrorKind::Server, "the upstream ended its stream before the answer's end", &mut out);
        }
        out
    }

    /// Ends the stream for the client with an error in the shape of its API; empty where the answer had ended.
    pub fn break_off(&mut self, kind: ErrorKind, message: &str) -> Vec<u8> {
        let mut out = Vec::new();
        if self.client.state == StreamState::Open {
            self.client.fail(kind, message, &mut out);
        }
        out
    }

    /// Tells whether the answer has come to its end.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.client.state == StreamState::Ended
    }

    /// Returns what the client's API had no words for so far.
    #[must_use]
    pub const fn losses(&self) -> &LossReport {
        &self.client.writer.losses
    }
}

impl LossyWriter {
    fn write(&mut self, event: &StreamEvent<'_>, out: &mut Vec<u8>) {
        answer_losses::of_event(self.client, event, &mut self.losses);
        if !matches!(event, StreamEvent::Unplaced(_)) {
            self.inner.write(event, out);
        }
    }
}

impl ClientStream {
    /// Writes what an event of the upstream's means.
    fn read(&mut self, event: ServerEvent<'_>, reader: &mut dyn EventReader, out: &mut Vec<u8>) {
        let data = self.pairs.look(event.data);
        reader.read(ServerEvent { name: event.name, data: &data }, &mut |event| self.pass(&event, out));
    }

    fn pass(&mut self, event: &StreamEvent<'_>, out: &mut Vec<u8>) {
        let Self { pairs, writer, state } = self;
        pairs.pass(event, &mut |event| write(event, writer, state, out));
    }

    fn fail(&mut self, kind: ErrorKind, message: &str, out: &mut Vec<u8>) {
        let error = NeutralError { kind, message: message.into(), code: None, param: None, retry_after: None };
        self.pass(&StreamEvent::Failed(error), out);
    }
}

/// Writes an event, unless the stream is at its end for the client.
fn write(event: &StreamEvent<'_>, writer: &mut LossyWriter, state: &mut StreamState, out: &mut Vec<u8>) {
    if *state != StreamState::Open {
        return;
    }
    match event {
        StreamEvent::End => *state = StreamState::Ended,
        StreamEvent::Failed(_) => *state = StreamState::Failed,
        _ => {}
    }
    writer.write(event, out);
}
