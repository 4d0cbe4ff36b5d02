//! Names of tools that other APIs cannot write: those of a namespace.

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
