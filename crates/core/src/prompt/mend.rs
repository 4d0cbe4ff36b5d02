//! Makes what readers can represent out of what is grammatical JSON and they cannot.

use std::borrow::Cow;

use super::scan::end_of_string;

/// A number within `f64` in place of one beyond it; a sign before it stays.
const LARGEST: &str = "1.7976931348623157e308";

/// The most digits of a number without an exponent that is certainly within `f64`.
const MOST_DIGITS: usize = 308;

/// Replaces bytes that are no UTF-8, escapes of half a surrogate pair, and numbers beyond `f64`.
pub(super) fn mend(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut mended = String::with_capacity(text.len());
    let bytes = text.as_bytes();
    let (mut at, mut done) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        let start = at;
        let replaced = match byte {
            b'"' => {
                at = end_of_string(bytes, at).unwrap_or(bytes.len());
                mended_string(&text[start..at])
            }
            b'-' | b'0'..=b'9' => {
                at = end_of_number(bytes, at);
                mended_number(&text[start..at])
            }
            _ => {
                at += 1;
                None
            }
        };
        if let Some(replaced) = replaced {
            mended.push_str(&text[done..start]);
            mended.push_str(&replaced);
            done = at;
        }
    }
    mended.push_str(&text[done..]);
    mended
}

fn end_of_number(bytes: &[u8], start: usize) -> usize {
    let is_inside = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    start + bytes[start..].iter().take_while(is_inside).count()
}

/// Returns the largest number in place of one that is beyond `f64`.
fn mended_number(number: &str) -> Option<Cow<'_, str>> {
    let may_be = number.len() > MOST_DIGITS || memchr::memchr2(b'e', b'E', number.as_bytes()).is_some();
    let is_beyond = may_be && number.parse().is_ok_and(f64::is_infinite);
    let sign = if number.starts_with('-') { "-" } else { "" };
    is_beyond.then(|| Cow::Owned(format!("{sign}{LARGEST}")))
}

/// Returns a string without the halves of surrogate pairs, where it has any.
fn mended_string(string: &str) -> Option<Cow<'_, str>> {
    let mut mended = String::new();
    let (mut rest, mut done) = (string, 0);
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        rest = &rest[at..];
        let length = match (surrogate(rest), rest.get(6..).and_then(surrogate)) {
            (Some(SurrogateHalf::High), Some(SurrogateHalf::Low)) => 12,
            (Some(_), _) => {
                mended.push_str(&string[done..string.len() - rest.len()]);
                mended.push_str("\\ufffd");
                done = string.len() - rest.len() + 6;
                6
            }
            (None, _) => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        rest = &rest[length..];
    }
    (done > 0).then(|| Cow::Owned(mended + &string[done..]))
}

enum SurrogateHalf {
    High,
    Low,
}

/// Returns which half of a surrogate pair `text` starts with the escape of, if any.
fn surrogate(text: &str) -> Option<SurrogateHalf> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xD800..=0xDBFF => Some(SurrogateHalf::High),
        0xDC00..=0xDFFF => Some(SurrogateHalf::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readers_cannot_represent_is_replaced_and_nothing_else() {
        let long = "9".repeat(400);
        for (body, mended) in [
            (
                r#"{"a":1e999,"b":[-1E+400 , 1e308,1e-999]}"#.to_owned(),
                format!(r#"{{"a":{LARGEST},"b":[-{LARGEST} , 1e308,1e-999]}}"#),
            ),
            (format!("[{long},-{long}.5]"), format!("[{LARGEST},-{LARGEST}]")),
            (r#"["1e999 \\\" 1e999",true,null]"#.to_owned(), r#"["1e999 \\\" 1e999",true,null]"#.to_owned()),
            (r#"["\ud83d x \ud83d\ude00 \ude00"]"#.to_owned(), r#"["\ufffd x \ud83d\ude00 \ufffd"]"#.to_owned()),
            (r#"{"open":"\ud83d"#.to_owned(), r#"{"open":"\ufffd"#.to_owned()),
        ] {
            assert_eq!(mend(body.as_bytes()), mended);
        }
        assert_eq!(mend(b"[\"caf\xe9\"]"), "[\"caf\u{fffd}\"]");
    }
}
