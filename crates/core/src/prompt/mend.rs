//! Makes text out of what is grammatical JSON but cannot be text.

/// Replaces bytes that are no UTF-8, and escapes of half a surrogate pair.
pub(super) fn mend(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut mended = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        mended.push_str(&rest[..at]);
        rest = &rest[at..];
        let (escape, length) = match (surrogate(rest), rest.get(6..).and_then(surrogate)) {
            (Some(SurrogateHalf::High), Some(SurrogateHalf::Low)) => (&rest[..12], 12),
            (Some(_), _) => ("\\ufffd", 6),
            (None, _) => {
                let length = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                (&rest[..length], length)
            }
        };
        mended.push_str(escape);
        rest = &rest[length..];
    }
    mended + rest
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
