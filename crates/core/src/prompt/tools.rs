//! The tools on offer: how many, and where they stand.

use serde::de::{Error, SeqAccess};
use serde_json::value::RawValue;

use super::pieces::{PieceKind, PromptPiece};
use super::reading::{BodyReading, CountedList};
use super::scan;
use super::tolerant::FromJson;

/// The keys of Google's tools behind which functions stand; any other is a tool of Google's own.
const DECLARATIONS: [&str; 3] = ["functionDeclarations", "function_declarations", "functiondeclarations"];

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
    /// Counts Google's tools: the functions of each, and each that Google itself runs.
    pub(super) fn of_google<E: Error>(tools: &'b RawValue, reading: BodyReading<'_>) -> Result<Self, E> {
        let json = tools.get().as_bytes();
        let places: Vec<usize> = match scan::object_at(json, 0) {
            Some(open) => vec![open], // one tool without its list
            None => scan::elements(json, 0).filter_map(|tool| scan::object_at(json, tool.start)).collect(),
        };
        let mut count: u32 = 0;
        for member in places.into_iter().flat_map(|open| scan::members(json, open)) {
            let declares = member.name(json).is_some_and(|name| DECLARATIONS.contains(&&*name));
            let functions = scan::elements(json, member.value.start)
                .count()
                .max(usize::from(!json[member.value].starts_with(b"[")));
            for _ in 0..if declares { functions } else { 1 } {
                reading.count(CountedList::Parts)?;
                count = count.saturating_add(1);
            }
        }
        Ok(Self { count, ends: (count > 0).then_some((tools, tools)) })
    }

    /// Returns the tools as one piece of the `body` that they were read from, without an entry for each.
    pub(super) fn piece(&self, body: &'b str) -> Option<PromptPiece<'b>> {
        let (first, last) = self.ends.map(|(first, last)| (first.get(), last.get()))?;
        let place = |part: &str| part.as_ptr().addr().checked_sub(body.as_ptr().addr());
        let json = body.get(place(first)?..place(last)? + last.len())?;
        Some(PromptPiece::of_json(PieceKind::Tools, json))
    }
}
