//! Events of a `text/event-stream`, whole: the WHATWG grammar, cut anywhere.

use std::ops::Range;

use memchr::memchr2;

/// The longest event; a whole response of the responses API is one.
pub(crate) const LONGEST_EVENT: usize = 32 << 20;

/// An event of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServerEvent<'s> {
    /// The event's name; empty where it has none.
    pub(crate) name: &'s str,
    /// The event's data, lines joined.
    pub(crate) data: &'s str,
}

/// A stream's events, put together from chunks.
#[derive(Debug, Default)]
pub(crate) struct EventLines {
    /// The part of the unfinished event that has come.
    open: Vec<u8>,
    /// The bytes of `open` in which no line end is.
    searched: usize,
    name: String,
    data: String,
    has_data: bool,
    is_begun: bool,
}

/// An event that is longer than any may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventTooLong;

impl EventLines {
    /// Reads a chunk, and gives every event that is whole to `found`.
    ///
    /// # Errors
    /// When an event is longer than [`LONGEST_EVENT`].
    pub(crate) fn push(&mut self, chunk: &[u8], mut found: impl FnMut(ServerEvent<'_>)) -> Result<(), EventTooLong> {
        let buffer = if self.open.is_empty() {
            None
        } else {
            self.open.extend_from_slice(chunk);
            Some(std::mem::take(&mut self.open))
        };
        let bytes = buffer.as_deref().unwrap_or(chunk);
        let mut at = 0;
        let mut searched = std::mem::take(&mut self.searched);
        while let Some(line) = next_line(bytes, at, searched) {
            searched = 0;
            self.line(&bytes[at..line.start], &mut found);
            at = line.end;
        }
        let rest = &bytes[at..];
        if rest.len() + self.data.len() > LONGEST_EVENT {
            return Err(EventTooLong);
        }
        self.searched = rest.len().saturating_sub(1);
        self.open = match buffer {
            Some(mut buffer) => {
                buffer.drain(..at);
                buffer
            }
            None => rest.to_vec(),
        };
        Ok(())
    }

    /// Gives the last event to `found`, where the stream ended without the empty line after it.
    pub(crate) fn finish(&mut self, mut found: impl FnMut(ServerEvent<'_>)) {
        let rest = std::mem::take(&mut self.open);
        self.line(rest.strip_suffix(b"\r").unwrap_or(&rest), &mut found);
        self.line(b"", &mut found);
    }

    fn line(&mut self, line: &[u8], found: &mut impl FnMut(ServerEvent<'_>)) {
        let line = if self.is_begun { line } else { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) };
        self.is_begun = true;
        if line.is_empty() {
            if self.has_data {
                found(ServerEvent { name: &self.name, data: &self.data });
            }
            self.name.clear();
            self.data.clear();
            self.has_data = false;
            return;
        }
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.has_data = true;
                push_text(&mut self.data, value);
            }
            b"event" => {
                self.name.clear();
                push_text(&mut self.name, value);
            }
            _ => {}
        }
    }
}

fn push_text(into: &mut String, bytes: &[u8]) {
    match str::from_utf8(bytes) {
        Ok(text) => into.push_str(text),
        Err(_) => into.push_str(&String::from_utf8_lossy(bytes)),
    }
}

/// Returns the end of the line that begins at `at`: the bytes of its terminator. `searched` bytes of it hold none. A CR
/// at the very end may be half of one.
fn next_line(bytes: &[u8], at: usize, searched: usize) -> Option<Range<usize>> {
    let end = at + searched + memchr2(b'\n', b'\r', &bytes[at + searched..])?;
    match (bytes[end], bytes.get(end + 1)) {
        (b'\r', None) => None,
        (b'\r', Some(b'\n')) => Some(end..end + 2),
        _ => Some(end..end + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b"\xef\xbb\xbfevent: a\ndata: {\"x\":1}\n\n: ping\n\ndata:1\r\ndata: 2\r\n\r\nretry: 3\rdata: \xc3\xbc\r\rdata: last";

    fn events(chunks: &[&[u8]]) -> Vec<(String, String)> {
        let mut lines = EventLines::default();
        let mut found = Vec::new();
        for chunk in chunks {
            lines.push(chunk, |event| found.push((event.name.to_owned(), event.data.to_owned()))).expect("short");
        }
        lines.finish(|event| found.push((event.name.to_owned(), event.data.to_owned())));
        found
    }

    #[test]
    fn events_are_the_same_wherever_a_stream_is_cut() {
        let whole = events(&[STREAM]);
        let own = |name: &str, data: &str| (name.to_owned(), data.to_owned());
        assert_eq!(whole, [own("a", "{\"x\":1}"), own("", "1\n2"), own("", "ü"), own("", "last")]);
        for cut in 0..STREAM.len() {
            assert_eq!(events(&[&STREAM[..cut], &STREAM[cut..]]), whole, "cut at {cut}");
        }
        let single: Vec<&[u8]> = STREAM.chunks(1).collect();
        assert_eq!(events(&single), whole);
    }
}
