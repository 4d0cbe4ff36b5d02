//! The input of a tool of free text, which an upstream without such tools writes as the argument `input` of a function.

use std::borrow::Cow;

use crate::json::Fields;

/// Returns the free text of whole arguments: `input` of their object, and the arguments as they are where they are none.
pub(super) fn of_arguments(arguments: &str) -> Cow<'_, str> {
    let fields = Fields::of_document(arguments.as_bytes()).ok();
    fields.and_then(|fields| fields.text("input")).unwrap_or(Cow::Borrowed(arguments))
}

/// The free text of arguments that come in pieces.
#[derive(Debug, Default)]
pub(super) struct FreeText {
    /// What of the text's own JSON is not decoded yet.
    pending: String,
    state: TextState,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum TextState {
    /// The beginning of the text has not come.
    #[default]
    Before,
    Inside,
    After,
    /// The arguments have another form: they are read when they are whole.
    Strange,
}

impl FreeText {
    /// Takes a piece of the arguments. The free text in it is returned, as far as it is whole.
    pub(super) fn push(&mut self, piece: &str) -> String {
        let mut text = String::new();
        self.pending.push_str(piece);
        if self.state == TextState::Before {
            self.begin();
        }
        if self.state == TextState::Inside {
            self.decode(&mut text);
        }
        text
    }

    /// Looks for the quote that begins the text.
    fn begin(&mut self) {
        let mut rest = &*self.pending;
        for token in ["{", "\"input\"", ":", "\""] {
            rest = rest.trim_start();
            match rest.strip_prefix(token) {
                Some(after) => rest = after,
                None if token.starts_with(rest) => return,
                None => {
                    self.state = TextState::Strange;
                    return;
                }
            }
        }
        self.pending = rest.to_owned();
        self.state = TextState::Inside;
    }

    /// Decodes what of the text is whole: everything up to an escape that is cut.
    fn decode(&mut self, text: &mut String) {
        let mut at = 0;
        loop {
            let rest = &self.pending[at..];
            let plain = memchr::memchr2(b'"', b'\\', rest.as_bytes()).unwrap_or(rest.len());
            text.push_str(&rest[..plain]);
            at += plain;
            match self.pending.as_bytes().get(at) {
                Some(b'\\') => {}
                Some(_) => {
                    self.state = TextState::After;
                    break;
                }
                None => break,
            }
            let Some(length) = escape(&self.pending[at..]) else { break };
            let letter = format!("\"{}\"", &self.pending[at..at + length]);
            text.push_str(&serde_json::from_str::<String>(&letter).unwrap_or_else(|_| "\u{fffd}".to_owned()));
            at += length;
        }
        self.pending.drain(..at);
    }
}

/// Returns the length of the escape at the beginning; `None` where it may be cut.
fn escape(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if *bytes.get(1)? != b'u' {
        // The letter after the backslash may be of several bytes, where the JSON is wrong.
        return text[1..].chars().next().map(|letter| 1 + letter.len_utf8());
    }
    let unit = u16::from_str_radix(text.get(2..6)?, 16).ok();
    match unit {
        // The first half of a pair: the other must have come as well.
        Some(0xd800..0xdc00) => match bytes.get(6..8) {
            Some(b"\\u") => text.get(6..12).map(|_| 12),
            Some(_) => Some(6),
            None if bytes.get(6).is_some_and(|byte| *byte != b'\\') => Some(6),
            None => None,
        },
        _ => Some(6),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_pieces(arguments: &str, size: usize) -> String {
        let letters: Vec<char> = arguments.chars().collect();
        let mut free = FreeText::default();
        letters.chunks(size).map(|piece| free.push(&piece.iter().collect::<String>())).collect()
    }

    proptest! {
        #[test]
        fn a_text_is_the_same_in_pieces_of_any_size(text in ".{0,40}", size in 1usize..9) {
            let arguments = serde_json::json!({ "input": text }).to_string();

            prop_assert_eq!(in_pieces(&arguments, size), text.clone());
            prop_assert_eq!(of_arguments(&arguments), text);
        }
    }

    #[test]
    fn escapes_are_read_wherever_they_are_cut() {
        let arguments = r#" { "input" : "a\ud83d\ude00\n\"\\b" }"#;

        for size in 1..12 {
            assert_eq!(in_pieces(arguments, size), "a😀\n\"\\b");
        }
    }

    #[test]
    fn arguments_of_another_form_are_the_text_itself() {
        assert_eq!(in_pieces("*** Begin Patch", 4), "");
        assert_eq!(of_arguments("*** Begin Patch"), "*** Begin Patch");
        assert_eq!(of_arguments(r#"{"patch": 1}"#), r#"{"patch": 1}"#);
    }
}
