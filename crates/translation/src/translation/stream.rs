//! The translation of a stream, chunk by chunk.

use super::{EventReader, EventWriter};
use crate::events::EventLines;
use crate::neutral::{ErrorKind, NeutralError, StreamEvent};

/// The translation of one stream: chunks in, chunks out, nothing held back but what the order of events demands.
pub struct StreamTranslator {
    lines: EventLines,
    reader: Box<dyn EventReader>,
    writer: Box<dyn EventWriter>,
    state: StreamState,
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
    pub(crate) fn new(reader: Box<dyn EventReader>, writer: Box<dyn EventWriter>) -> Self {
        Self { lines: EventLines::default(), reader, writer, state: StreamState::Open }
    }

    /// Translates a chunk; what is returned may be empty.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(chunk.len() * 2);
        let Self { lines, reader, writer, state } = self;
        let pushed = lines.push(chunk, |event| {
            reader.read(event, &mut |event| pass(&event, &mut **writer, state, &mut out));
        });
        if pushed.is_err() {
            self.fail(ErrorKind::Server, "an event of the upstream's is too long", &mut out);
        }
        out
    }

    /// Ends the translation when the upstream's stream has ended. A stream that was cut ends with an error.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let Self { lines, reader, writer, state } = self;
        lines.finish(|event| reader.read(event, &mut |event| pass(&event, &mut **writer, state, &mut out)));
        reader.finish(&mut |event| pass(&event, &mut **writer, state, &mut out));
        if self.state == StreamState::Open {
            self.fail(ErrorKind::Server, "the upstream ended its stream before the answer's end", &mut out);
        }
        out
    }

    /// Ends the stream for the client with an error in the shape of its API; empty where the answer had ended.
    pub fn break_off(&mut self, kind: ErrorKind, message: &str) -> Vec<u8> {
        let mut out = Vec::new();
        if self.state == StreamState::Open {
            self.fail(kind, message, &mut out);
        }
        out
    }

    /// Tells whether the answer has come to its end.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state == StreamState::Ended
    }

    fn fail(&mut self, kind: ErrorKind, message: &str, out: &mut Vec<u8>) {
        let error = NeutralError { kind, message: message.into(), code: None, param: None };
        pass(&StreamEvent::Failed(error), &mut *self.writer, &mut self.state, out);
    }
}

/// Writes an event, unless the stream is at its end for the client.
fn pass(event: &StreamEvent<'_>, writer: &mut dyn EventWriter, state: &mut StreamState, out: &mut Vec<u8>) {
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
