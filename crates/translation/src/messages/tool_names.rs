//! Names of tools, as this API takes them: letters, digits, `_` and `-`, at most 128.

use std::borrow::Cow;

use crate::conversion::tool_id;

/// The longest name of a tool.
const LONGEST: usize = 128;

/// Returns a name that the API takes. One with other letters is coded and [comes back](original) by itself.
pub(super) fn written(name: &str) -> Cow<'_, str> {
    match tool_id::legal(name) {
        legal if legal.len() <= LONGEST => legal,
        _ => tool_id::bounded(name, LONGEST.min(name.len() - 1)),
    }
}

/// Returns the name that [`written`] coded.
pub(super) fn original(name: Cow<'_, str>) -> Cow<'_, str> {
    match tool_id::original(&name) {
        Cow::Owned(original) => Cow::Owned(original),
        Cow::Borrowed(_) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_other_letters_is_legal_and_comes_back() {
        let long = "mcp__".repeat(40);
        for name in ["get_weather", "a.b/c:d", "gr\u{f6}\u{df}e", &long] {
            let written = written(name);
            let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            assert!(written.len() <= LONGEST && written.bytes().all(is_legal), "{written}");
            assert_eq!(original(written) == name, name.len() <= LONGEST);
        }
    }
}
