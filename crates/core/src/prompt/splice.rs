//! The one edit ever made to a body: another model in the place of the client's.

use std::ops::Range;

use bytes::Bytes;

/// Returns `body` with the bytes of `span` replaced by `model` as a JSON string; every other byte stays the client's.
///
/// Costs one copy of the body, or none where the body already says so.
///
/// # Panics
///
/// When `span` does not lie within `body`: it must come from reading this very body.
#[must_use]
pub fn splice(body: &Bytes, span: Range<usize>, model: &str) -> Bytes {
    let quoted = serde_json::to_vec(model).expect("a string is always representable in JSON");
    if body[span.clone()] == quoted[..] {
        return body.clone();
    }
    [&body[..span.start], &quoted, &body[span.end..]].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_span_changes() {
        let body = Bytes::from_static(br#"{"model" : "auto","n":1.10}"#);

        let spliced = splice(&body, 11..17, "gpt \"4\"\n");

        assert_eq!(spliced, &br#"{"model" : "gpt \"4\"\n","n":1.10}"#[..]);
    }

    #[test]
    fn a_body_that_already_names_the_model_is_not_copied() {
        let body = Bytes::from_static(br#"{"model":"auto"}"#);

        let spliced = splice(&body, 9..15, "auto");

        assert_eq!(spliced.as_ptr(), body.as_ptr());
    }
}
