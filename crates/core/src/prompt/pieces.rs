//! What a provider counts beside the text of turns: tools, schemas, calls, thoughts, documents, as they stand in the
//! body.
//!
//! Nothing is copied or decoded when a body is read; who wants the text of a piece decodes it, and who counts decodes
//! what it samples.

use std::borrow::Cow;

use memchr::memchr;
use serde_json::value::RawValue;

/// The kind of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// The tools on offer.
    Tools,
    /// The JSON schema of the answer.
    Schema,
    /// The name of a tool that is called, or what it is called with.
    Call,
    /// Thoughts of a model.
    Thought,
    /// The text of a document.
    Document,
    /// Parts that this version does not know.
    Other,
}

/// Something that a provider counts: JSON as it stands in the body, or a text that was read already.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptPiece<'b> {
    /// The piece's kind.
    pub kind: PieceKind,
    written: Cow<'b, str>,
    escapes: Option<JsonEscapes>,
}

/// The escapes of JSON that are taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonEscapes {
    /// All escapes: of a string, whose text the provider reads.
    All,
    /// Escapes of characters beyond ASCII: of a JSON value that the provider reads as JSON.
    Unicode,
}

impl<'b> PromptPiece<'b> {
    pub(super) fn new(kind: PieceKind, raw: &'b RawValue) -> Self {
        Self::of_json(kind, raw.get())
    }

    pub(super) fn of_json(kind: PieceKind, json: &'b str) -> Self {
        let escapes = if json.starts_with('"') { JsonEscapes::All } else { JsonEscapes::Unicode };
        Self { kind, written: Cow::Borrowed(json), escapes: Some(escapes) }
    }

    pub(super) const fn of_text(kind: PieceKind, text: Cow<'b, str>) -> Self {
        Self { kind, written: text, escapes: None }
    }

    pub(super) fn into_owned(self) -> PromptPiece<'static> {
        PromptPiece { kind: self.kind, written: Cow::Owned(self.written.into_owned()), escapes: self.escapes }
    }

    #[cfg(test)]
    pub(super) const fn is_borrowed(&self) -> bool {
        matches!(self.written, Cow::Borrowed(_))
    }

    /// Returns the piece as it is written.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Returns what is to be taken off [`Self::written`], or any part of it, to read it as the provider does.
    #[must_use]
    pub const fn escapes(&self) -> Option<JsonEscapes> {
        self.escapes
    }

    /// Returns the piece as text: of a string what it says, of any other JSON the JSON.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        let Some(escapes) = self.escapes else { return Cow::Borrowed(&self.written) };
        let inner = self.written.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
        unescaped(inner.unwrap_or(&self.written), escapes)
    }
}

/// Takes the escapes off a part of some JSON; what is cut or no escape stays as it is.
#[must_use]
pub fn unescaped(json: &str, escapes: JsonEscapes) -> Cow<'_, str> {
    let Some(mut at) = memchr(b'\\', json.as_bytes()) else { return Cow::Borrowed(json) };
    let (mut text, mut rest) = (String::with_capacity(json.len()), json);
    loop {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let (read, length) = escape(rest);
        let keeps = escapes == JsonEscapes::Unicode && read.is_none_or(|c| c.is_ascii());
        match read.filter(|_| !keeps) {
            Some(c) => text.push(c),
            None => text.push_str(&rest[..length]),
        }
        rest = &rest[length..];
        match memchr(b'\\', rest.as_bytes()) {
            Some(next) => at = next,
            None => break,
        }
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// Reads the escape that `rest` begins with, if it is whole, and says how many bytes it takes.
fn escape(rest: &str) -> (Option<char>, usize) {
    let simple = |c| (Some(c), 2);
    match rest.as_bytes().get(1) {
        Some(b'n') => simple('\n'),
        Some(b't') => simple('\t'),
        Some(b'r') => simple('\r'),
        Some(b'b') => simple('\u{8}'),
        Some(b'f') => simple('\u{c}'),
        Some(b'"') => simple('"'),
        Some(b'\\') => simple('\\'),
        Some(b'/') => simple('/'),
        Some(b'u') => unicode(rest),
        _ => (None, 1),
    }
}

/// Reads `\uXXXX`, or two of them that are a surrogate pair.
fn unicode(rest: &str) -> (Option<char>, usize) {
    let unit = |from: usize| u16::from_str_radix(rest.get(from..from + 4)?, 16).ok();
    let second = || rest.get(6..8).filter(|start| *start == "\\u").and_then(|_| unit(8));
    match unit(2) {
        None => (None, 2),
        Some(first) => match char::decode_utf16([first].into_iter().chain(second())).next() {
            Some(Ok(c)) => (Some(c), if c.len_utf16() == 2 { 12 } else { 6 }),
            _ => (Some(char::REPLACEMENT_CHARACTER), 6),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(json: &str) -> Cow<'_, str> {
        unescaped(json, JsonEscapes::All)
    }

    #[test]
    fn a_string_is_read_as_what_it_says_and_other_json_stays_json() {
        let string = PromptPiece::of_json(PieceKind::Call, r#""{\"a\": \"\u6a21\n\"}""#);
        let object = PromptPiece::of_json(PieceKind::Call, r#"{"a": "\u6a21\n\u0041\\n"}"#);

        assert_eq!(string.text(), "{\"a\": \"模\n\"}");
        assert_eq!(object.text(), r#"{"a": "模\n\u0041\\n"}"#);
        assert_eq!(PromptPiece::of_json(PieceKind::Tools, "[1]").text(), "[1]");
    }

    #[test]
    fn what_is_cut_or_no_escape_stays() {
        for text in ["plain", "\\", "\\u12", "\\uzzzz", "\\x", "\\é", "é\\"] {
            assert_eq!(all(text), text);
        }
        assert_eq!(all(r"\ud83d\ude00 \ud83d \ude00"), "😀 \u{fffd} \u{fffd}");
        assert_eq!(all(r"\\n"), r"\n");
    }

    proptest! {
        #[test]
        fn every_string_comes_back_from_its_json(text in "\\PC{0,40}[\n\t\"\\\\]?") {
            let json = serde_json::to_string(&text).expect("a string is JSON");

            let piece = PromptPiece::of_json(PieceKind::Call, &json);

            prop_assert_eq!(piece.text(), text);
        }

        #[test]
        fn no_part_of_json_grows(json in "[\\\\unt\"0-9a-fdD8 é模]{0,40}") {
            prop_assert!(all(&json).len() <= json.len());
            prop_assert!(unescaped(&json, JsonEscapes::Unicode).len() <= json.len());
        }
    }
}
