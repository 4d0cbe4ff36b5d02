//! Characters that end a line, or steer a terminal, for some readers: written as escapes, so that a record stays a line.
//!
//! JSON leaves U+2028, U+2029, DEL and the C1 controls (U+0085 among them) as they are, and what is written for people by
//! `Display` keeps carriage returns, too. Many readers split lines there, so that a client's text could forge a record.

use std::borrow::Cow;
use std::io::{self, Write};

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::LogFormat;

/// A maker of writers whose records are lines.
pub(super) struct EscapingMaker<W> {
    inner: W,
    format: LogFormat,
}

/// A writer that gets whole records.
pub(super) struct EscapingWriter<W> {
    inner: W,
    format: LogFormat,
}

/// Returns a record with escapes in place of the characters that would break it.
pub(crate) fn escaped(record: &[u8], format: LogFormat) -> Cow<'_, [u8]> {
    let mut made: Vec<u8> = Vec::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = record[at..].iter().position(|byte| is_suspect(*byte)) {
        at += found;
        let Some((code, length)) = breaking(&record[at..]) else {
            at += 1;
            continue;
        };
        made.extend_from_slice(&record[copied..at]);
        let escape = match format {
            LogFormat::Json => format!("\\u{code:04x}"),
            LogFormat::Text => format!("\\u{{{code:x}}}"),
        };
        made.extend_from_slice(escape.as_bytes());
        at += length;
        copied = at;
    }
    if copied == 0 {
        return Cow::Borrowed(record);
    }
    made.extend_from_slice(&record[copied..]);
    Cow::Owned(made)
}

/// Returns whether a byte may begin a character that breaks a record.
const fn is_suspect(byte: u8) -> bool {
    matches!(byte, 0xc2 | 0xe2 | 0x0b..=0x0d | 0x7f)
}

/// Returns the number of the character that `rest` begins with and its bytes, if it breaks a record.
const fn breaking(rest: &[u8]) -> Option<(u32, usize)> {
    match rest {
        [byte @ (0x0b..=0x0d | 0x7f), ..] => Some((*byte as u32, 1)),
        [0xc2, byte @ 0x80..=0x9f, ..] => Some((*byte as u32, 2)),
        [0xe2, 0x80, byte @ (0xa8 | 0xa9), ..] => Some((0x2000 + (*byte as u32 - 0x80), 3)),
        _ => None,
    }
}

impl<W> EscapingMaker<W> {
    /// Wraps the maker of writers of this format.
    pub(super) const fn new(inner: W, format: LogFormat) -> Self {
        Self { inner, format }
    }
}

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for EscapingMaker<W> {
    type Writer = EscapingWriter<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        EscapingWriter { inner: self.inner.make_writer(), format: self.format }
    }

    fn make_writer_for(&'w self, metadata: &Metadata<'_>) -> Self::Writer {
        EscapingWriter { inner: self.inner.make_writer_for(metadata), format: self.format }
    }
}

impl<W: Write> Write for EscapingWriter<W> {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        match escaped(record, self.format) {
            Cow::Borrowed(record) => self.inner.write(record),
            Cow::Owned(made) => self.inner.write_all(&made).map(|()| record.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use tracing::info;

    use super::super::capture::captured;
    use super::*;

    const BREAKING: &str = "a\u{2028}b\u{2029}c\u{85}d\u{9b}e\u{7f}f\rg";

    #[test]
    fn every_record_is_one_line_for_every_reader_in_both_formats() {
        for format in [LogFormat::Json, LogFormat::Text] {
            let text = captured(format, "", || info!(quoted = BREAKING, shown = %BREAKING, "{BREAKING}"));

            let line = text.strip_suffix('\n').expect("one record");
            let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
            assert!(!line.contains(breaks), "{line:?}");
        }
    }

    #[test]
    fn escapes_in_json_are_read_as_what_was_written() {
        let line = serde_json::to_vec(&serde_json::json!({ "text": BREAKING })).expect("JSON");

        let written = escaped(&line, LogFormat::Json);

        assert!(written.is_ascii());
        let read: serde_json::Value = serde_json::from_slice(&written).expect("JSON");
        assert_eq!(read["text"], BREAKING);
    }

    #[test]
    fn other_text_is_left_alone() {
        for text in ["plain", "é ü ß \u{a0} \u{2027} \u{202a} “quoted” 漢字 \u{1f600}", "\u{c2}", ""] {
            assert!(matches!(escaped(text.as_bytes(), LogFormat::Json), Cow::Borrowed(_)), "{text}");
        }
    }
}
