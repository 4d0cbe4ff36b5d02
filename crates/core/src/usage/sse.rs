//! Finds the events of a `text/event-stream` and the bytes of their names and data, chunk by chunk.
//!
//! Follows the WHATWG grammar: lines end with CR, LF or CRLF, `:` begins a comment, an empty line ends an event, a byte
//! order mark may come first. Nothing is buffered; only `data` and `event` matter here, so the other fields are
//! skipped.

use memchr::memchr2;

use super::template::RepeatedEvent;

const BOM: &[u8] = b"\xef\xbb\xbf";
const DATA: &[u8] = b"data";
const EVENT: &[u8] = b"event";
/// The beginning of nearly every line, which is taken in one step where it came in one piece.
const DATA_LINE: &[u8] = b"data: ";

/// The position of the reader in a stream's lines and events.
#[derive(Debug, Default)]
pub(super) struct EventLines {
    line: LineState,
    /// Bytes of the byte order mark that were seen; all of them once there can be none.
    bom: usize,
    after_cr: bool,
    /// Tells whether an event has begun and not ended.
    open: bool,
    has_data: bool,
}

/// Something that was found in a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventPiece<'c> {
    /// An event begins at this byte.
    Opened(usize),
    /// Bytes of its name, in order.
    Name(&'c [u8]),
    /// Bytes of its data, in order, which begin at this byte.
    Data { at: usize, bytes: &'c [u8] },
    /// Another line of data follows: the two are joined by a line feed.
    Joined,
    /// The event ends before this byte.
    Ended(usize),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum LineState {
    #[default]
    Start,
    /// In a field's name, which so far is this much of `data`.
    Name(usize),
    /// In a field's name, which so far is this much of `event`.
    EventField(usize),
    /// After `data:`, where one space is skipped.
    Space,
    Data,
    /// After `event:`, where one space is skipped.
    EventSpace,
    EventName,
    Skipped,
}

impl EventLines {
    /// Reads on, and tells `found` what there is.
    pub(super) fn feed<'c>(&mut self, chunk: &'c [u8], mut found: impl FnMut(EventPiece<'c>)) {
        let mut at = 0;
        while at < chunk.len() {
            at = self.feed_event(chunk, at, &mut found);
        }
    }

    /// Reads on from the byte `at` until an event may begin, or to the end of the chunk; returns where that is.
    pub(super) fn feed_event<'c>(
        &mut self,
        chunk: &'c [u8],
        mut at: usize,
        found: &mut impl FnMut(EventPiece<'c>),
    ) -> usize {
        at += self.skip_bom(&chunk[at..]);
        while let Some(byte) = chunk.get(at) {
            let is_rest = std::mem::take(&mut self.after_cr) && *byte == b'\n';
            at += match self.line {
                _ if is_rest => 1,
                LineState::Start => self.start(&chunk[at..], at, found),
                LineState::Name(length) => self.name(*byte, length, found),
                LineState::EventField(length) => self.event_field(*byte, length),
                LineState::Space => {
                    self.line = LineState::Data;
                    usize::from(*byte == b' ')
                }
                LineState::EventSpace => {
                    self.line = LineState::EventName;
                    usize::from(*byte == b' ')
                }
                LineState::Data | LineState::EventName | LineState::Skipped => self.rest(&chunk[at..], at, found),
            };
            if self.is_between() {
                break;
            }
        }
        at
    }

    /// Returns whether an event may begin with the next byte.
    pub(super) fn is_between(&self) -> bool {
        !self.is_amid() && self.bom == BOM.len()
    }

    /// Notes that a whole event was read elsewhere, which ends with a carriage return or not.
    pub(super) fn skip_event(&mut self, event: &RepeatedEvent) {
        self.after_cr = event.ends_in_cr;
    }

    /// Returns whether an event has begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Returns whether a line or an event has begun and not ended: what is appended now would become part of it.
    pub(super) fn is_amid(&self) -> bool {
        self.open || self.line != LineState::Start
    }

    fn skip_bom(&mut self, chunk: &[u8]) -> usize {
        let rest = &BOM[self.bom..];
        let matching = chunk.iter().zip(rest).take_while(|(byte, expected)| byte == expected).count();
        if matching < chunk.len() && matching < rest.len() {
            if self.bom + matching > 0 {
                self.line = LineState::Skipped; // half a mark: a field's name that nobody knows
            }
            self.bom = BOM.len();
        } else {
            self.bom += matching;
        }
        matching
    }

    /// Takes the beginning of a line, which has a byte at least.
    fn start<'c>(&mut self, line: &[u8], at: usize, found: &mut impl FnMut(EventPiece<'c>)) -> usize {
        match line[0] {
            byte @ (b'\r' | b'\n') => {
                self.after_cr = byte == b'\r';
                self.has_data = false;
                if std::mem::take(&mut self.open) {
                    found(EventPiece::Ended(at + 1));
                }
                1
            }
            b':' => {
                self.line = LineState::Skipped;
                1
            }
            _ => {
                if !std::mem::replace(&mut self.open, true) {
                    found(EventPiece::Opened(at));
                }
                if line.starts_with(DATA_LINE) {
                    self.begin_data(found);
                    self.line = LineState::Data;
                    return DATA_LINE.len();
                }
                self.line = LineState::Name(0);
                0
            }
        }
    }

    fn name<'c>(&mut self, byte: u8, length: usize, found: &mut impl FnMut(EventPiece<'c>)) -> usize {
        let is_data = length == DATA.len();
        match byte {
            b':' if is_data => {
                self.begin_data(found);
                self.line = LineState::Space;
            }
            b'\r' | b'\n' => {
                if is_data {
                    self.begin_data(found);
                }
                self.end_line(byte);
            }
            _ if DATA.get(length) == Some(&byte) => self.line = LineState::Name(length + 1),
            _ if length == 0 && byte == EVENT[0] => self.line = LineState::EventField(1),
            _ => self.line = LineState::Skipped,
        }
        1
    }

    fn event_field(&mut self, byte: u8, length: usize) -> usize {
        match byte {
            b':' if length == EVENT.len() => self.line = LineState::EventSpace,
            b'\r' | b'\n' => self.end_line(byte),
            _ if EVENT.get(length) == Some(&byte) => self.line = LineState::EventField(length + 1),
            _ => self.line = LineState::Skipped,
        }
        1
    }

    fn rest<'c>(&mut self, bytes: &'c [u8], at: usize, found: &mut impl FnMut(EventPiece<'c>)) -> usize {
        let end = memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len());
        match self.line {
            LineState::Data if end > 0 => found(EventPiece::Data { at, bytes: &bytes[..end] }),
            LineState::EventName if end > 0 => found(EventPiece::Name(&bytes[..end])),
            _ => {}
        }
        let Some(byte) = bytes.get(end) else { return end };
        self.end_line(*byte);
        end + 1
    }

    fn begin_data<'c>(&mut self, found: &mut impl FnMut(EventPiece<'c>)) {
        if std::mem::replace(&mut self.has_data, true) {
            found(EventPiece::Joined);
        }
    }

    fn end_line(&mut self, byte: u8) {
        self.line = LineState::Start;
        self.after_cr = byte == b'\r';
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the data of every event, as read in pieces of `size` bytes.
    fn events(stream: &[u8], size: usize) -> Vec<String> {
        let (mut lines, mut events, mut data) = (EventLines::default(), Vec::new(), Vec::new());
        for chunk in stream.chunks(size) {
            lines.feed(chunk, |piece| match piece {
                EventPiece::Opened(_) => data.clear(),
                EventPiece::Name(_) => {}
                EventPiece::Data { bytes, .. } => data.extend_from_slice(bytes),
                EventPiece::Joined => data.push(b'\n'),
                EventPiece::Ended(_) => events.push(String::from_utf8_lossy(&data).into_owned()),
            });
        }
        events
    }

    #[test]
    fn every_line_end_and_every_split_gives_the_same_events() {
        let stream =
            "\u{feff}: hi\n\ndata: a\ndata:b\ndata\n\nevent: x\nid: 1\ndata:  é\n\n\n\ndatum: no\n\ndata: open\n";
        for end in ["\n", "\r", "\r\n"] {
            let stream = stream.replace('\n', end);
            for size in 1..=stream.len() {
                let found = events(stream.as_bytes(), size);

                assert_eq!(found, ["a\nb\n", " é", ""], "{end:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn an_event_is_from_its_first_field_to_after_its_empty_line() {
        let mut found = Vec::new();

        EventLines::default().feed(b": c\ndata: 1\n\ndata: 2\r\n\r\n", |piece| found.push(piece));

        assert_eq!(
            found,
            [
                EventPiece::Opened(4),
                EventPiece::Data { at: 10, bytes: b"1" },
                EventPiece::Ended(13),
                EventPiece::Opened(13),
                EventPiece::Data { at: 19, bytes: b"2" },
                EventPiece::Ended(23),
            ]
        );
    }

    #[test]
    fn a_stream_is_amid_something_until_its_empty_line() {
        for (stream, amid) in [("", false), ("data: 1\n\n", false), ("data: 1\n", true), ("data", true), (": c", true)]
        {
            let mut lines = EventLines::default();
            lines.feed(stream.as_bytes(), |_| {});

            assert_eq!(lines.is_amid(), amid, "{stream:?}");
        }
    }

    #[test]
    fn half_a_byte_order_mark_is_an_unknown_field() {
        assert_eq!(events(b"\xef\xbbdata: 1\n\ndata: 2\n\n", 1), ["2"]);
    }

    proptest! {
        #[test]
        fn no_split_matters(stream in prop::collection::vec(prop::sample::select(&b"dat:\r\n x\xef\xbb\xbf"[..]), 0..40), size in 1_usize..7) {
            prop_assert_eq!(events(&stream, size), events(&stream, 40));
        }
    }
}
