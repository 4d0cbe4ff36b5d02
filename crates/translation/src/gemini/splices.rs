//! Values of a body in another form, everything else byte for byte as it was.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

/// Replacements in a body.
pub(super) struct BodySplices<'b> {
    body: &'b [u8],
    edits: Vec<(Range<usize>, Vec<u8>)>,
}

impl<'b> BodySplices<'b> {
    /// Begins with a body that nothing is replaced in.
    pub(super) const fn of(body: &'b [u8]) -> Self {
        Self { body, edits: Vec::new() }
    }

    /// Replaces a value that was read from the body.
    pub(super) fn replace(&mut self, raw: &'b RawValue, value: Vec<u8>) {
        let place = (raw.get().as_ptr() as usize).wrapping_sub(self.body.as_ptr() as usize);
        let range = place..place.saturating_add(raw.get().len());
        if self.body.get(range.clone()) == Some(raw.get().as_bytes()) {
            self.edits.push((range, value));
        }
    }

    /// Returns the body with the replacements; borrowed where there are none.
    pub(super) fn apply(mut self) -> Cow<'b, [u8]> {
        if self.edits.is_empty() {
            return Cow::Borrowed(self.body);
        }
        self.edits.sort_by_key(|(range, _)| range.start);
        let mut out = Vec::with_capacity(self.body.len() + self.body.len() / 8);
        let mut at = 0;
        for (range, value) in self.edits {
            out.extend_from_slice(&self.body[at..range.start]);
            out.extend_from_slice(&value);
            at = range.end;
        }
        out.extend_from_slice(&self.body[at..]);
        Cow::Owned(out)
    }
}
