//! Passes an answer on without the usage event that the client did not ask for.

use bytes::{Bytes, BytesMut};

use super::events::EventVerdict;
use super::{AnswerFraming, StateScope, UsageReader};
use crate::prompt::state::StateName;

/// The largest event that is held back; most have a few hundred bytes.
const MAX_PENDING: usize = 64 * 1024;

/// The fate of the usage event of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageEvent {
    /// The client asked for it, or nobody did.
    Keep,
    /// Pointsman asked for it, the client did not.
    Remove,
}

/// Reads an answer as it passes and removes at most whole events from it.
///
/// Every byte is passed on in the chunk that it came in, with one exception: of a stream, an event whose end is still
/// to come is held back, `MAX_PENDING` bytes at most. The client could not use half an event anyway, so no event is
/// ever late; and when the upstream breaks off, there is no half event before the one that says so.
#[derive(Debug)]
pub struct UsageFilter {
    pub(super) reader: UsageReader,
    event: UsageEvent,
    /// The beginning of the event that is open.
    pending: BytesMut,
    /// Tells whether some of the open event was passed on.
    released: bool,
    /// Tells whether the line feed that may come next belongs to a removed event.
    half_removed: bool,
}

impl UsageFilter {
    /// Makes a filter for the answer that `reader` reads. Only streams of OpenAI's shape have usage events.
    #[must_use]
    pub fn new(reader: UsageReader, event: UsageEvent) -> Self {
        let event = if reader.has_usage_events() { event } else { UsageEvent::Keep };
        Self { reader, event, pending: BytesMut::new(), released: false, half_removed: false }
    }

    /// Returns the reader of the answer so far.
    #[must_use]
    pub fn reader(&self) -> &UsageReader {
        &self.reader
    }

    /// Looks for names of state too, in answers of this scope.
    pub fn look_for_names(&mut self, scope: StateScope) {
        self.reader.look_for_names(scope);
    }

    /// Takes the names of state that were found since the last call.
    pub fn take_names(&mut self) -> Vec<StateName> {
        self.reader.take_names()
    }

    /// Returns whether bytes may be removed, so that the answer's length is not known beforehand.
    #[must_use]
    pub fn may_shorten(&self) -> bool {
        self.event == UsageEvent::Remove
    }

    /// Takes a chunk and returns what to pass on now, which may be nothing.
    pub fn push(&mut self, chunk: Bytes) -> Bytes {
        match self.reader.framing {
            _ if chunk.is_empty() => chunk,
            AnswerFraming::Json => {
                self.reader.push(&chunk);
                chunk
            }
            AnswerFraming::Events => self.sift(chunk),
        }
    }

    /// Returns what is left when the answer has ended.
    pub fn finish(&mut self) -> Bytes {
        let rest = self.pending.split().freeze();
        if self.event == UsageEvent::Remove && self.reader.state.verdict() == EventVerdict::Usage {
            Bytes::new()
        } else {
            rest
        }
    }

    /// Returns what to send when the upstream broke off amid a stream: the end of what is half sent, then an error
    /// event in the stream's own shape. Half an event that the client has seen nothing of is dropped.
    pub fn break_off(&mut self, code: &str, message: &str) -> Bytes {
        let seen_half = self.reader.lines.is_amid() && self.pending.is_empty();
        self.pending.clear();
        let end = if seen_half { "\n\n" } else { "" };
        format!("{end}{}", self.reader.state.error_event(code, message)).into()
    }

    fn sift(&mut self, chunk: Bytes) -> Bytes {
        let Self { reader, event: fate, pending, released, half_removed } = self;
        let mut from = usize::from(std::mem::take(half_removed) && chunk[0] == b'\n');
        let mut pieces: Vec<Bytes> = Vec::new();
        let opened = reader.read(&chunk, |event| {
            if *fate == UsageEvent::Remove && event.verdict == EventVerdict::Usage && !*released {
                pieces.extend(event.start.filter(|start| *start > from).map(|start| chunk.slice(from..start)));
                pending.clear();
                let is_cr = chunk[event.end - 1] == b'\r';
                *half_removed = is_cr && event.end == chunk.len();
                from = event.end + usize::from(is_cr && chunk.get(event.end) == Some(&b'\n'));
            } else if !pending.is_empty() {
                pieces.insert(0, pending.split().freeze()); // only the chunk's first event can have begun before it
            }
            *released = false;
        });
        let keep = self.pending_from(opened, from, chunk.len());
        if pieces.is_empty() && self.pending.is_empty() && (from, keep) == (0, chunk.len()) {
            return chunk; // nearly always: whole events
        }
        if keep == chunk.len() && !self.pending.is_empty() {
            pieces.insert(0, self.pending.split().freeze());
        }
        self.pending.extend_from_slice(&chunk[keep..]);
        if from < keep {
            pieces.push(chunk.slice(from..keep));
        }
        joined(pieces)
    }

    /// Returns from where on the chunk is held back.
    fn pending_from(&mut self, opened: Option<usize>, from: usize, length: usize) -> usize {
        if self.released || !self.reader.lines.is_open() {
            return length;
        }
        let keep = opened.unwrap_or_default().max(from);
        self.released = self.pending.len() + length - keep > MAX_PENDING;
        if self.released { length } else { keep }
    }
}

/// Copies only when something was held or removed.
fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    match pieces.len() {
        0 => Bytes::new(),
        1 => pieces.remove(0),
        _ => pieces.concat().into(),
    }
}
