//! Names of functions as Google takes them: they begin with a letter or `_`, and have letters, digits, `_`, `.`, `:`, `-`.

use std::borrow::Cow;

use crate::conversion::tool_id;

/// Returns a name that Google takes: any other is coded.
pub(super) fn written(name: &str) -> Cow<'_, str> {
    let begins = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    let is_legal = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'.' | b':' | b'-');
    if begins && name.bytes().all(is_legal) { Cow::Borrowed(name) } else { Cow::Owned(tool_id::coded(name)) }
}

/// Returns the name that [`written`] was given.
pub(super) fn original(name: Cow<'_, str>) -> Cow<'_, str> {
    match tool_id::original(&name) {
        Cow::Owned(original) => Cow::Owned(original),
        Cow::Borrowed(_) => name,
    }
}
