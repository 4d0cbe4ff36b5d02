//! Header values as text, as policies read them.

use std::borrow::Cow;

use http::HeaderMap;

/// Returns the value of the header `name` as text; `None` only when the request has no such header, so that no value
/// passes for a missing one.
///
/// A value is read as UTF-8, and as Latin-1 where it is none: no byte is lost, and no two bytes look the same. The values of a header that comes more
/// than once are joined with `, `, which HTTP says is the same (RFC 9110, 5.3).
#[must_use]
pub fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> Option<Cow<'h, str>> {
    let mut values = headers.get_all(name).iter().map(|value| text_of(value.as_bytes()));
    let mut joined = values.next()?;
    for value in values {
        // In place: a client may send thousands.
        let joined = joined.to_mut();
        joined.push_str(", ");
        joined.push_str(&value);
    }
    Some(joined)
}

fn text_of(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(value.iter().copied().map(char::from).collect()),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(values: &[&[u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-team", HeaderValue::from_bytes(value).expect("a value"));
        }
        header_text(&headers, "x-team").map(Cow::into_owned)
    }

    #[test]
    fn every_value_that_http_allows_is_read_and_only_no_header_is_none() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[b""]).as_deref(), Some(""));
        assert_eq!(read(&[b"red"]).as_deref(), Some("red"));
        assert_eq!(read(&["Zürich".as_bytes()]).as_deref(), Some("Zürich"));
        assert_eq!(read(&[b"Z\xfcrich"]).as_deref(), Some("Zürich"));
        assert_eq!(read(&[b"\xff\xfe"]).as_deref(), Some("ÿþ"));
        assert_eq!(read(&[b"a\tb"]).as_deref(), Some("a\tb"));
    }

    #[test]
    fn a_header_that_comes_more_than_once_is_read_whole() {
        assert_eq!(read(&[b"", b"red", b"blue"]).as_deref(), Some(", red, blue"));
        assert_eq!(read(&["Zürich".as_bytes(), b"Z\xfcrich"]).as_deref(), Some("Zürich, Zürich"));
    }
}
