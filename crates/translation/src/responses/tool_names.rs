//! Names of tools that one API can write and another cannot: those of a namespace, and those with other letters.

use std::borrow::Cow;

use crate::conversion::tool_id;

/// The longest name of a function that every API takes.
const LONGEST: usize = 64;

/// Returns the name of a tool in a namespace, for APIs without namespaces.
pub(super) fn joined<'b>(namespace: Option<&str>, name: Cow<'b, str>) -> Cow<'b, str> {
    let Some(namespace) = namespace else { return name };
    let whole = format!("{namespace}__{name}");
    if whole.len() <= LONGEST {
        return Cow::Owned(whole);
    }
    // The end says more than the beginning, which many tools of a server share.
    let hash = tool_id::bounded(&whole, LONGEST);
    let mut from = whole.len() - (LONGEST - hash.len() - 1);
    while !whole.is_char_boundary(from) {
        from += 1;
    }
    Cow::Owned(format!("{hash}_{}", &whole[from..]))
}

/// The longest name of a tool in a request.
const LONGEST_OWN: usize = 128;

/// Returns the name of a tool as the API takes it: letters, digits, `_` and `-`. A name with others is coded, so that its
/// calls come back under the name that the client knows.
pub(super) fn written(name: &str) -> Cow<'_, str> {
    match tool_id::legal(name) {
        legal if legal.len() <= LONGEST_OWN => legal,
        _ => tool_id::bounded(name, LONGEST),
    }
}

/// Returns the name that [`written`] was given.
pub(super) fn original(name: Cow<'_, str>) -> Cow<'_, str> {
    match tool_id::original(&name) {
        Cow::Owned(original) => Cow::Owned(original),
        Cow::Borrowed(_) => name,
    }
}
