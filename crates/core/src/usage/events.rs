//! The events of a stream: those that are like one before are compared, the others read byte by byte.

use super::sse::EventPiece;
use super::template::ReadEvent;
use super::{AnswerFraming, AnswerState, UsageReader};

/// An event that ended in the chunk at hand.
#[derive(Debug, Clone, Copy)]
pub(super) struct FinishedEvent {
    /// The byte at which the event began, unless that was in an earlier chunk.
    pub(super) start: Option<usize>,
    pub(super) end: usize,
    pub(super) verdict: EventVerdict,
}

/// The event that is open, as far as it came in the chunk at hand.
#[derive(Debug, Default)]
struct OpenEvent {
    /// The byte at which it began, unless that was in an earlier chunk.
    start: Option<usize>,
    data: EventData,
    /// The verdict on it, once it has ended.
    verdict: Option<EventVerdict>,
}

/// The pieces of an event's data in the chunk at hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum EventData {
    #[default]
    None,
    /// One, which begins at this byte.
    One(usize),
    Many,
}

/// The verdict on an event: the one that carries the usage and nothing else, or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventVerdict {
    Usage,
    Other,
}

impl UsageReader {
    /// Reads on and reports every event that ends; returns where the last one began, if it did so in this chunk.
    pub(super) fn read(&mut self, chunk: &[u8], mut ended: impl FnMut(FinishedEvent)) -> Option<usize> {
        if self.framing == AnswerFraming::Json {
            self.state.feed(chunk);
            return None;
        }
        let (mut at, mut event) = (0, OpenEvent::default());
        while at < chunk.len() {
            if let Some(length) = self.read_repeated(&chunk[at..]) {
                ended(FinishedEvent { start: Some(at), end: at + length, verdict: EventVerdict::Other });
                at += length;
                continue;
            }
            at = self.read_event(chunk, at, &mut event);
            if let Some(verdict) = event.verdict {
                let OpenEvent { start, data, .. } = std::mem::take(&mut event);
                if let (Some(start), EventData::One(data)) = (start, data) {
                    self.learn(ReadEvent { bytes: &chunk[start..at], data: data - start });
                }
                ended(FinishedEvent { start, end: at, verdict });
            }
        }
        event.start
    }

    /// Reads the event at the beginning of `bytes` if it is like one before; returns its length.
    pub(super) fn read_repeated(&mut self, bytes: &[u8]) -> Option<usize> {
        let Self { lines, template, state, .. } = self;
        let event = lines.is_between().then(|| template.read(bytes, &mut state.text))??;
        lines.skip_event(&event);
        state.repeat(&event);
        Some(event.length)
    }

    /// Reads on from the byte `at` to the end of an event or of the chunk; returns where that is.
    fn read_event(&mut self, chunk: &[u8], at: usize, event: &mut OpenEvent) -> usize {
        let Self { lines, state, .. } = self;
        lines.feed_event(chunk, at, &mut |piece| match piece {
            EventPiece::Opened(at) => {
                event.start = Some(at);
                state.scan.reset();
                state.done = Some(0);
            }
            EventPiece::Name(_) => {}
            EventPiece::Data { at, bytes } => {
                event.data = if event.data == EventData::None { EventData::One(at) } else { EventData::Many };
                state.data(bytes);
            }
            EventPiece::Joined => {
                event.data = EventData::Many;
                state.feed(b"\n");
            }
            EventPiece::Ended(_) => {
                event.verdict = Some(state.verdict());
                state.end_event();
            }
        })
    }

    /// Takes the event that was read for one that the next may be like, if its outcome allows that.
    fn learn(&mut self, event: ReadEvent<'_>) {
        let AnswerState { scan, ended, .. } = &self.state;
        if let Some(slots) = scan.slots().filter(|_| !ended) {
            self.template.learn(event, slots, scan.tier());
        }
    }
}
