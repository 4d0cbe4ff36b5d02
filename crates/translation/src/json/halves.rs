//! Halves of surrogate pairs without the other: JSON can spell them (`\ud83d`), and no text can hold them.
//!
//! Clients that cut a text by UTF-16 units write such, and so do servers whose tokens end within a letter. U+FFFD stands
//! for each. Where a stream is cut within a pair, its halves are in two events: [`cut_texts`] tells of them.

use std::borrow::Cow;

use super::Text;

/// The bytes of an escape by a number.
pub(crate) const ESCAPE: usize = r"\ud83d".len();

/// The escape that stands for half of a pair, of the same length.
const REPLACED: &[u8; ESCAPE] = br"\ufffd";

/// The letter that stands for half of a pair.
pub(crate) const REPLACEMENT: char = '\u{fffd}';

/// A text of an event that begins with the second half of a pair or ends with the first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CutText {
    /// The text, in which [`REPLACEMENT`] stands for halves.
    pub(crate) text: String,
    /// The second half that it begins with.
    pub(crate) begins: Option<u16>,
    /// The first half that it ends with.
    pub(crate) ends: Option<u16>,
}

/// Returns JSON in which U+FFFD stands for each half of a pair; every other byte stays where it is.
pub(crate) fn mended(json: &[u8]) -> Cow<'_, [u8]> {
    let mut mended = Cow::Borrowed(json);
    if has_surrogates(json) {
        for_each(json, |at, _| mended.to_mut()[at..at + ESCAPE].copy_from_slice(REPLACED));
    }
    mended
}

/// Returns JSON in which U+FFFD stands for each half of a pair.
pub(crate) fn mended_text(json: &str) -> Cow<'_, str> {
    match mended(json.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(json),
        Cow::Owned(mended) => String::from_utf8(mended).map_or(Cow::Borrowed(json), Cow::Owned),
    }
}

/// Returns the texts of a JSON document that are cut within a pair, in their order.
pub(crate) fn cut_texts(json: &str) -> Vec<CutText> {
    let mut found = Vec::new();
    let mut rest = json;
    while let Some(start) = memchr::memchr(b'"', rest.as_bytes()) {
        let end = start + end_of_string(&rest.as_bytes()[start..]);
        found.extend(cut_text(&rest[start..end]));
        rest = &rest[end..];
    }
    found
}

/// Returns the unit of UTF-16 that the escape at a place stands for; `None` where there is no escape by a number.
pub(crate) fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |value: u16, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(value << 4 | u16::try_from(digit).ok()?)
    })
}

/// Tells whether a unit is the first half of a pair.
pub(crate) const fn is_first(unit: u16) -> bool {
    matches!(unit, 0xd800..=0xdbff)
}

/// Tells whether a unit is the second half of a pair.
pub(crate) const fn is_second(unit: u16) -> bool {
    matches!(unit, 0xdc00..=0xdfff)
}

/// Returns the text of a string's bytes in WTF-8, the form in which halves can stand; `None` where it is another.
pub(super) fn text_of_wtf8(bytes: &[u8]) -> Option<String> {
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    // No letter's bytes begin so: all of them are halves.
    while let Some(found) = memchr::memchr(0xed, &bytes[at..]) {
        at += found;
        if let Some(half @ [_, 0xa0..=0xbf, _]) = bytes.get_mut(at..at + 3) {
            half.copy_from_slice("\u{fffd}".as_bytes());
        }
        at += 1;
    }
    String::from_utf8(bytes).ok()
}

/// Tells whether JSON may hold surrogates: hardly any does.
fn has_surrogates(json: &[u8]) -> bool {
    // Not `memmem`: of the short events of a stream, which are many, making its searcher costs more than the search.
    memchr::memchr_iter(b'\\', json).any(|at| matches!(json.get(at + 1..at + 3), Some([b'u', b'd' | b'D'])))
}

/// Gives the place and the unit of each half of a pair to `found`.
fn for_each(json: &[u8], mut found: impl FnMut(usize, u16)) {
    let mut at = 0;
    while let Some(next) = json.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += next;
        at += match (unit(json, at), unit(json, at + ESCAPE)) {
            (Some(first), Some(second)) if is_first(first) && is_second(second) => 2 * ESCAPE,
            (Some(half), _) if is_first(half) || is_second(half) => {
                found(at, half);
                ESCAPE
            }
            (Some(_), _) => ESCAPE,
            (None, _) => 2,
        };
    }
}

/// Returns the length of a string with its quotation marks; of one that does not end, of all there is.
fn end_of_string(string: &[u8]) -> usize {
    let mut at = 1;
    while let Some(next) = string.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += next;
        if string[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    string.len()
}

fn cut_text(string: &str) -> Option<CutText> {
    if !has_surrogates(string.as_bytes()) {
        return None;
    }
    let (mut begins, mut ends) = (None, None);
    for_each(string.as_bytes(), |at, half| {
        if at == 1 && is_second(half) {
            begins = Some(half);
        }
        if at + ESCAPE + 1 == string.len() && is_first(half) {
            ends = Some(half);
        }
    });
    if begins.is_none() && ends.is_none() {
        return None;
    }
    let text: Text<'_> = serde_json::from_str(string).ok()?;
    Some(CutText { text: text.0.into_owned(), begins, ends })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_half_of_a_pair_is_replaced_and_every_other_byte_stays() {
        for (json, expected) in [
            (r#"["\ud83d x \uD83D\uDE00 \ude00"]"#, r#"["\ufffd x \uD83D\uDE00 \ufffd"]"#),
            (r#"["\ud83d\ud83d\ude00"]"#, r#"["\ufffd\ud83d\ude00"]"#),
            (r#"["\ud83d\n","\ud83d"]"#, r#"["\ufffd\n","\ufffd"]"#),
            (r#"["\\ud83d \\\ud83d"]"#, r#"["\\ud83d \\\ufffd"]"#),
            (r#"{"a\udc00":"\ud7ff\ue000"}"#, r#"{"a\ufffd":"\ud7ff\ue000"}"#),
            (r"\ud83", r"\ud83"),
        ] {
            assert_eq!(mended_text(json), expected);
        }
        assert!(matches!(mended(br#"["\\ud83d \ud83d\ude00 \u00fc"]"#), Cow::Borrowed(_)));
    }

    #[test]
    fn texts_that_are_cut_within_a_pair_are_found() {
        let own = |text: &str, begins, ends| CutText { text: text.to_owned(), begins, ends };

        let found = cut_texts(r#"{"a\ud83d":"\ude00 b","c":["x \"\ud83d","\ud83d\ude00","\"\ude00","a \ud83d b"]}"#);

        assert_eq!(
            found,
            [
                own("a\u{fffd}", None, Some(0xd83d)),
                own("\u{fffd} b", Some(0xde00), None),
                own("x \"\u{fffd}", None, Some(0xd83d)),
            ]
        );
    }
}
