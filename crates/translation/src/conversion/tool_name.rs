//! Names of tools, as OpenAI's chat completions take them: letters, digits, `_` and `-`, at most 64.

use std::borrow::Cow;

use super::tool_id;

/// The longest name that every API takes.
pub const LONGEST: usize = 64;

/// Returns a name that the API takes. One with other letters is coded and [comes back](original) by itself; one that is
/// too long is a hash, which is known by the names of the request's tools alone.
#[must_use]
pub fn written(name: &str) -> Cow<'_, str> {
    match tool_id::legal(name) {
        legal if legal.len() <= LONGEST => legal,
        _ => tool_id::bounded(name, LONGEST.min(name.len() - 1)),
    }
}

/// Returns the name that [`written`] coded.
#[must_use]
pub fn original(name: Cow<'_, str>) -> Cow<'_, str> {
    match tool_id::original(&name) {
        Cow::Owned(original) => Cow::Owned(original),
        Cow::Borrowed(_) => name,
    }
}

/// Tells whether a name is not known by itself once it is [`written`].
#[must_use]
pub fn is_long(name: &str) -> bool {
    tool_id::legal(name).len() > LONGEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_legal_and_one_that_is_not_too_long_comes_back() {
        let long = "mcp__".repeat(20);
        for name in ["get_weather", "a.b/c", "größe", &long, &"ü.".repeat(24)] {
            let written = written(name);
            assert!(written.len() <= LONGEST, "{written}");
            assert!(
                written.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'),
                "{written}"
            );
            assert_eq!(original(written) == name, !is_long(name));
        }
        assert_eq!(written("get_weather"), "get_weather");
    }
}
