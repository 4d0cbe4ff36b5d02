//! Where the members of a JSON object, and the elements of an array, stand in its bytes.
//!
//! Only for bodies that were read before: what is no JSON is cut short here, never refused. Works on bytes, so that
//! text that is no UTF-8 is stepped over like any other, and without recursion.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

/// One member of an object: the bytes of its key and of its value, as places in the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonMember {
    /// The bytes of the key, quotes included.
    pub(crate) key: Range<usize>,
    pub(crate) value: Range<usize>,
}

impl JsonMember {
    /// Returns the key with its escapes resolved; `None` when it is no text.
    pub(crate) fn name<'b>(&self, body: &'b [u8]) -> Option<Cow<'b, str>> {
        let quoted = &body[self.key.clone()];
        let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
        if inner.contains(&b'\\') {
            return serde_json::from_slice(quoted).ok().map(Cow::Owned);
        }
        std::str::from_utf8(inner).ok().map(Cow::Borrowed)
    }
}

/// Returns where the object's `{` stands when the value at `start` is an object, white space before it allowed.
pub(crate) fn object_at(body: &[u8], start: usize) -> Option<usize> {
    let at = skip_space(body, start);
    (body.get(at) == Some(&b'{')).then_some(at)
}

/// Returns the members of the object whose `{` stands at `open`, in their order.
pub(crate) fn members(body: &[u8], open: usize) -> impl Iterator<Item = JsonMember> {
    let mut next = open + 1;
    std::iter::from_fn(move || {
        let key_start = skip_space(body, next);
        let key = key_start..end_of_string(body, key_start)?;
        let colon = skip_space(body, key.end);
        let value_start = skip_space(body, colon + 1);
        let value = value_start..end_of_value(body, value_start)?;
        let comma = skip_space(body, value.end);
        // Without a comma the object ends, and the next call finds no key.
        next = if body.get(comma) == Some(&b',') { comma + 1 } else { comma };
        Some(JsonMember { key, value })
    })
}

/// Returns where the elements of the array at `start` stand, in their order; none where no array is.
pub(super) fn elements(body: &[u8], start: usize) -> impl Iterator<Item = Range<usize>> {
    let open = skip_space(body, start);
    let mut next = if body.get(open) == Some(&b'[') { open + 1 } else { body.len() };
    std::iter::from_fn(move || {
        let start = skip_space(body, next);
        let end = end_of_value(body, start)?;
        let comma = skip_space(body, end);
        // Without a comma the array ends.
        next = if body.get(comma) == Some(&b',') { comma + 1 } else { body.len() };
        Some(start..end)
    })
}

fn skip_space(body: &[u8], start: usize) -> usize {
    let rest = body.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count()
}

/// Returns the place after the string that starts at `start`; `None` when none does.
pub(super) fn end_of_string(body: &[u8], start: usize) -> Option<usize> {
    if body.get(start) != Some(&b'"') {
        return None;
    }
    let mut at = start + 1;
    loop {
        at += memchr2(b'"', b'\\', body.get(at..)?)?;
        if body[at] == b'"' {
            return Some(at + 1);
        }
        at += 2; // whatever was escaped cannot end the string
    }
}

fn end_of_value(body: &[u8], start: usize) -> Option<usize> {
    match body.get(start)? {
        b'"' => end_of_string(body, start),
        b'{' | b'[' => end_of_brackets(body, start),
        _ => {
            let is_inside = |byte: &u8| !matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
            let length = body[start..].iter().take_while(|byte| is_inside(byte)).count();
            (length > 0).then_some(start + length)
        }
    }
}

pub(super) fn end_of_brackets(body: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0_usize);
    loop {
        match body.get(at)? {
            b'"' => {
                at = end_of_string(body, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Returns how many objects and arrays lie within each other at the deepest place of some JSON.
pub(super) fn deepest(json: &[u8]) -> usize {
    let (mut at, mut depth, mut deepest) = (0, 0_usize, 0);
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => match end_of_string(json, at) {
                Some(end) => {
                    at = end;
                    continue;
                }
                None => break,
            },
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    deepest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(body: &str) -> Vec<(String, &str)> {
        let open = object_at(body.as_bytes(), 0).expect("an object");
        let member = |member: JsonMember| {
            let name = member.name(body.as_bytes()).expect("text").into_owned();
            (name, &body[member.value])
        };
        members(body.as_bytes(), open).map(member).collect()
    }

    #[test]
    fn each_member_is_found_with_its_exact_value() {
        let body = " { \"a\" : 1.0e0 ,\"b\\u0063\":\t{\"}\":[\"]\\\"\"]}\n, \"\":null,\"a\":\"x\\\\\"} ";

        assert_eq!(
            found(body),
            [
                ("a".into(), "1.0e0"),
                ("bc".into(), "{\"}\":[\"]\\\"\"]}"),
                (String::new(), "null"),
                ("a".into(), "\"x\\\\\"")
            ]
        );
    }

    #[test]
    fn an_empty_object_has_no_members() {
        assert_eq!(found("{}"), []);
        assert_eq!(found("{ \n}"), []);
    }

    #[test]
    fn only_an_object_is_one() {
        assert_eq!(object_at(b" [1]", 0), None);
        assert_eq!(object_at(b"", 0), None);
        assert_eq!(object_at(b"\n{", 0), Some(1));
    }

    proptest! {
        #[test]
        fn bytes_of_any_kind_are_stepped_over(body in prop::collection::vec(prop::sample::select(b"{}[]\",:\\ a1\xff".to_vec()), 0..40)) {
            for member in members(&body, 0).take(100) {
                prop_assert!(member.value.end <= body.len());
                member.name(&body);
            }
        }
    }
}
