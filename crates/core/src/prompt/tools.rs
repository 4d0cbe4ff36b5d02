//! The tools on offer: how many, and where they stand.

use serde::de::SeqAccess;
use serde_json::value::RawValue;

use super::pieces::{PieceKind, PromptPiece};
use super::reading::BodyReading;
use super::tolerant::FromJson;

/// An array of tools.
#[derive(Default)]
pub(super) struct OfferedTools<'b> {
    pub(super) count: u32,
    /// The first and the last of them.
    ends: Option<(&'b RawValue, &'b RawValue)>,
}

impl<'b> FromJson<'b> for OfferedTools<'b> {
    fn from_array<A: SeqAccess<'b>>(mut array: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut tools = Self::default();
        while let Some(tool) = reading.raw_part(&mut array)? {
            tools.count = tools.count.saturating_add(1);
            tools.ends = Some((tools.ends.map_or(tool, |(first, _)| first), tool));
        }
        Ok(tools)
    }
}

impl<'b> OfferedTools<'b> {
    /// Returns the tools as one piece of the `body` that they were read from, without an entry for each.
    pub(super) fn piece(&self, body: &'b str) -> Option<PromptPiece<'b>> {
        let (first, last) = self.ends.map(|(first, last)| (first.get(), last.get()))?;
        let place = |part: &str| part.as_ptr().addr().checked_sub(body.as_ptr().addr());
        let json = body.get(place(first)?..place(last)? + last.len())?;
        Some(PromptPiece::of_json(PieceKind::Tools, json))
    }
}
