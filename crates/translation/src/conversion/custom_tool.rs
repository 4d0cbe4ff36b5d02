//! Tools whose input is free text, towards models that know functions alone: a function with the one argument `input`.

use std::borrow::Cow;

use crate::json::halves::{self, ESCAPE, REPLACEMENT};
use crate::json::{Fields, Text};

/// The JSON schema of a function that stands for such a tool.
pub const SCHEMA: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;

/// Returns the description of the function: the tool's own, with the grammar of its input.
#[must_use]
pub fn description<'d>(own: Option<&'d str>, grammar: Option<(&str, &str)>) -> Option<Cow<'d, str>> {
    let Some((syntax, definition)) = grammar else { return own.map(Cow::Borrowed) };
    let own = own.unwrap_or_default();
    let gap = if own.is_empty() { "" } else { "\n\n" };
    Some(Cow::Owned(format!("{own}{gap}`input` follows this grammar ({syntax}):\n{definition}")))
}

/// Returns the function's arguments for a free text.
#[must_use]
pub fn wrap(input: &str) -> String {
    // A value's text cannot fail to be written.
    format!("{{\"input\":{}}}", serde_json::Value::from(input))
}

/// Returns the free text in a function's arguments; arguments of another form are the text themselves.
#[must_use]
pub fn unwrap(arguments: &str) -> Cow<'_, str> {
    match halves::mended_text(arguments) {
        Cow::Borrowed(arguments) => input_of(arguments),
        Cow::Owned(mended) => Cow::Owned(input_of(&mended).into_owned()),
    }
}

fn input_of(arguments: &str) -> Cow<'_, str> {
    let fields = Fields::of_document(arguments.as_bytes()).ok();
    fields.and_then(|fields| fields.text("input")).unwrap_or(Cow::Borrowed(arguments))
}

/// The free text in a function's arguments, which come in pieces.
#[derive(Debug, Default)]
pub struct InputUnwrapping {
    place: InputPlace,
    /// The bytes before the text, or of an escape that is not whole.
    pending: String,
}

/// The progress of the arguments.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum InputPlace {
    /// Before the text.
    #[default]
    Head,
    /// In the text.
    Text,
    /// Behind the text.
    End,
    /// In arguments of another form, which are read at their end.
    Other,
}

impl InputUnwrapping {
    /// Reads a piece, and adds what it holds of the text to `text`.
    pub fn push(&mut self, piece: &str, text: &mut String) {
        match self.place {
            InputPlace::Head => self.head(piece, text),
            InputPlace::Text => self.text(piece, text),
            InputPlace::End => {}
            InputPlace::Other => self.pending.push_str(piece),
        }
    }

    /// Adds what is left when the arguments are whole.
    pub fn finish(&mut self, text: &mut String) {
        if matches!(self.place, InputPlace::Head | InputPlace::Other) {
            let arguments = std::mem::take(&mut self.pending);
            text.push_str(&unwrap(&arguments));
        }
        if self.place == InputPlace::Text && halves::unit(self.pending.as_bytes(), 0).is_some() {
            text.push(REPLACEMENT);
        }
        self.place = InputPlace::End;
    }

    fn head(&mut self, piece: &str, text: &mut String) {
        self.pending.push_str(piece);
        match after_head(&self.pending) {
            Ok(rest) => {
                let rest = rest.to_owned();
                self.place = InputPlace::Text;
                self.pending.clear();
                self.text(&rest, text);
            }
            Err(HeadFault::Short) => {}
            Err(HeadFault::Other) => self.place = InputPlace::Other,
        }
    }

    fn text(&mut self, piece: &str, text: &mut String) {
        let mut rest = piece;
        while !rest.is_empty() && self.place == InputPlace::Text {
            if self.pending.is_empty() {
                let Some(at) = memchr::memchr2(b'"', b'\\', rest.as_bytes()) else {
                    text.push_str(rest);
                    return;
                };
                text.push_str(&rest[..at]);
                rest = &rest[at..];
                if rest.starts_with('"') {
                    self.place = InputPlace::End;
                    return;
                }
            }
            let Some(letter) = rest.chars().next() else { return };
            rest = &rest[letter.len_utf8()..];
            self.pending.push(letter);
            self.escape(text);
        }
    }

    /// Adds the letter of an escape that has become whole.
    fn escape(&mut self, text: &mut String) {
        match EscapeProgress::of(&self.pending) {
            EscapeProgress::Short => {}
            EscapeProgress::Whole => {
                let quoted = format!("\"{}\"", self.pending);
                match serde_json::from_str::<Text<'_>>(&quoted) {
                    Ok(letter) => text.push_str(&letter.0),
                    Err(_) => text.push(REPLACEMENT),
                }
                self.pending.clear();
            }
            EscapeProgress::Half => {
                text.push(REPLACEMENT);
                let rest = self.pending.split_off(ESCAPE);
                self.pending.clear();
                self.text(&rest, text);
            }
        }
    }
}

/// The progress of an escape.
enum EscapeProgress {
    /// More has to come.
    Short,
    /// All of it has come.
    Whole,
    /// What has come behind it is not the other half of its pair.
    Half,
}

impl EscapeProgress {
    fn of(escape: &str) -> Self {
        let bytes = escape.as_bytes();
        match (bytes.len(), bytes.get(1)) {
            (0 | 1, _) | (2..6, Some(b'u')) => return Self::Short,
            (_, Some(b'u')) if halves::unit(bytes, 0).is_some_and(halves::is_first) => {}
            _ => return Self::Whole,
        }
        let is_other = |(expected, byte): (&u8, &u8)| expected != byte;
        match halves::unit(bytes, ESCAPE) {
            Some(second) if halves::is_second(second) => Self::Whole,
            None if bytes.len() < 2 * ESCAPE && !b"\\u".iter().zip(&bytes[ESCAPE..]).any(is_other) => Self::Short,
            _ => Self::Half,
        }
    }
}

/// The reason why no text begins in arguments.
enum HeadFault {
    /// More has to come.
    Short,
    /// The arguments have another form.
    Other,
}

/// Returns what follows the quotation mark before the text.
fn after_head(arguments: &str) -> Result<&str, HeadFault> {
    let mut rest = arguments;
    for token in ["{", "\"input\"", ":", "\""] {
        rest = rest.trim_ascii_start();
        rest = match rest.strip_prefix(token) {
            Some(after) => after,
            None if token.starts_with(rest) => return Err(HeadFault::Short),
            None => return Err(HeadFault::Other),
        };
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_pieces(arguments: &str, size: usize) -> String {
        let mut unwrapping = InputUnwrapping::default();
        let mut text = String::new();
        let letters: Vec<char> = arguments.chars().collect();
        for piece in letters.chunks(size) {
            unwrapping.push(&piece.iter().collect::<String>(), &mut text);
        }
        unwrapping.finish(&mut text);
        text
    }

    proptest! {
        #[test]
        fn a_text_comes_back_whole_and_in_pieces(input in "(\\PC|[\n\"\\\\/\u{7}😀é]){0,40}", size in 1usize..9) {
            let wrapped = wrap(&input);

            prop_assert_eq!(&*unwrap(&wrapped), input.as_str());
            prop_assert_eq!(in_pieces(&wrapped, size), input);
        }
    }

    #[test]
    fn escapes_of_two_halves_of_one_alone_and_arguments_of_another_form_are_read() {
        for size in 1..30 {
            assert_eq!(in_pieces(r#" { "input" : "a\ud83d\ude00\u00fc\n" } "#, size), "a😀ü\n");
            assert_eq!(in_pieces(r#"{"x": 1, "input": "b"}"#, size), "b");
            let halves = r#"{"input":"a\ud83d b\ud83d\n\ude00\ud83d\ud83d\ude00\ud83d\u00fc\ud83dé\ud83d"} "#;
            assert_eq!(in_pieces(halves, size), "a\u{fffd} b\u{fffd}\n\u{fffd}\u{fffd}😀\u{fffd}ü\u{fffd}é\u{fffd}");
            assert_eq!(in_pieces(r#"{"input":"a\ud83d"#, size), "a\u{fffd}");
            assert_eq!(in_pieces("*** Begin Patch", size), "*** Begin Patch");
        }
    }

    #[test]
    fn a_grammar_follows_the_description() {
        assert_eq!(
            description(Some("Edits."), Some(("lark", "start: X"))).as_deref(),
            Some("Edits.\n\n`input` follows this grammar (lark):\nstart: X")
        );
        assert_eq!(description(None, None), None);
    }
}
