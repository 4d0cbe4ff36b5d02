//! Names of tools of a namespace, which no other API has.

use std::borrow::Cow;

use crate::conversion::tool_id;
use crate::conversion::tool_name::LONGEST;

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
