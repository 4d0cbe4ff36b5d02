//! A walk over the strings of a JSON body, each with the keys that lead to it; one pass, nothing is copied.
//!
//! Only for bodies that were read before: what is no JSON is cut short here, never refused.

use std::borrow::Cow;
use std::ops::Range;

use crate::prompt::scan::{end_of_brackets, end_of_string};

/// Keys whose values are a tool's own affair or a schema: what they hold names nothing of the API's.
const CLOSED: [&[u8]; 10] = [
    b"input",
    b"arguments",
    b"args",
    b"response",
    b"parameters",
    b"input_schema",
    b"schema",
    b"json_schema",
    b"metadata",
    b"properties",
];

/// Levels that are walked; what lies deeper names nothing.
const MOST_LEVELS: usize = 32;

/// A string of a body, and where it stands.
pub(super) struct WalkedText<'b> {
    /// The top-level key that leads to it.
    pub(super) top: &'b [u8],
    /// The key of the object or array around it.
    pub(super) parent: &'b [u8],
    /// Its own key; in an array the array's.
    pub(super) key: &'b [u8],
    /// The number of objects and arrays around it.
    pub(super) depth: usize,
    /// The place of the object or array around it.
    pub(super) within: usize,
    /// Its bytes, quotes included.
    quoted: &'b [u8],
}

impl<'b> WalkedText<'b> {
    /// Returns its value.
    pub(super) fn value(&self) -> Cow<'b, [u8]> {
        let inner = &self.quoted[1..self.quoted.len() - 1];
        if !inner.contains(&b'\\') {
            return Cow::Borrowed(inner);
        }
        let text: Result<String, _> = serde_json::from_slice(self.quoted);
        text.map_or(Cow::Borrowed(inner), |text| Cow::Owned(text.into_bytes()))
    }
}

/// An object or array that is open.
struct OpenLevel<'b> {
    is_object: bool,
    start: usize,
    /// The key that leads to it; an array's elements have the array's.
    key: &'b [u8],
    /// The key of its parent.
    parent: &'b [u8],
    /// The newest key in it.
    member: &'b [u8],
}

/// Shows every string value of `body` to `found`.
pub(super) fn walk<'b>(body: &'b [u8], mut found: impl FnMut(WalkedText<'b>)) {
    let mut levels: Vec<OpenLevel<'b>> = Vec::new();
    let mut is_value = true;
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => {
                let Some(end) = end_of_string(body, at) else { return };
                let Some(level) = levels.last_mut() else { return };
                if level.is_object && !is_value {
                    level.member = &body[at + 1..end - 1];
                } else {
                    let (key, parent) =
                        if level.is_object { (level.member, level.key) } else { (level.key, level.parent) };
                    let quoted = &body[at..end];
                    let (within, depth, top) = (level.start, levels.len(), levels[0].member);
                    found(WalkedText { top, parent, key, depth, within, quoted });
                }
                at = end;
                continue;
            }
            b'{' | b'[' => {
                let is_object = *byte == b'{';
                let (key, parent) = levels.last().map_or((&b""[..], &b""[..]), |level| {
                    if level.is_object { (level.member, level.key) } else { (level.key, level.parent) }
                });
                let is_in_object = levels.len() > 1 && levels.last().is_some_and(|level| level.is_object);
                let is_closed = is_in_object && CLOSED.contains(&key);
                if is_closed || levels.len() == MOST_LEVELS {
                    let Some(Range { end, .. }) = end_of_brackets(body, at).map(|end| at..end) else { return };
                    at = end;
                    continue;
                }
                levels.push(OpenLevel { is_object, start: at, key, parent, member: b"" });
                is_value = !is_object;
            }
            b'}' | b']' => {
                levels.pop();
            }
            b':' => is_value = true,
            b',' => is_value = levels.last().is_some_and(|level| !level.is_object),
            _ => {}
        }
        at += 1;
    }
}
