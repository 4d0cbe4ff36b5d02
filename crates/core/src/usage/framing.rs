//! The framing of an answer on the wire, which its header names and its first bytes prove.

/// The framing of an answer on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerFraming {
    /// One JSON document.
    Json,
    /// A `text/event-stream`.
    Events,
}

/// The beginnings of an event stream's lines.
const LINES: [&[u8]; 4] = [b"data:", b"event:", b"id:", b"retry:"];

impl AnswerFraming {
    /// Returns the framing that an answer with these first bytes has, as far as they tell.
    ///
    /// A first chunk that ends within a field's name counts as that name: no model's API answers with one letter.
    #[must_use]
    pub fn of_beginning(bytes: &[u8]) -> Option<Self> {
        let text = Self::skip_blank(bytes);
        let is_line = |line: &&[u8]| text.starts_with(line) || line.starts_with(text);
        match text.first()? {
            b'{' | b'[' => Some(Self::Json),
            b':' => Some(Self::Events),
            _ => LINES.iter().any(is_line).then_some(Self::Events),
        }
    }

    /// Returns whether an answer's first bytes tell nothing yet.
    #[must_use]
    pub fn is_blank(bytes: &[u8]) -> bool {
        Self::skip_blank(bytes).is_empty()
    }

    fn skip_blank(bytes: &[u8]) -> &[u8] {
        bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_of_an_answer_prove_its_framing() {
        for (text, framing) in [
            ("{\"id\": 1}", Some(AnswerFraming::Json)),
            ("\u{feff} \n{", Some(AnswerFraming::Json)),
            ("[{\"error\": {}}]", Some(AnswerFraming::Json)),
            (": ping\n\n", Some(AnswerFraming::Events)),
            ("\r\ndata: {}\n\n", Some(AnswerFraming::Events)),
            ("event: error\n", Some(AnswerFraming::Events)),
            ("da", Some(AnswerFraming::Events)),
            ("database", None),
            ("<html>", None),
            ("", None),
        ] {
            assert_eq!(AnswerFraming::of_beginning(text.as_bytes()), framing, "{text:?}");
        }
        assert!(AnswerFraming::is_blank(b"\xef\xbb\xbf\r\n ") && !AnswerFraming::is_blank(b" x"));
    }
}
