//! Places in a request, and what is said of the fields at them that nobody reads.

use crate::json::Fields;
use crate::loss::{Field, LossReport};

/// A place in a request's `input`.
#[derive(Debug, Clone, Copy)]
pub(super) struct ItemPlace {
    /// The item.
    pub(super) item: usize,
    /// The part of its content.
    pub(super) part: Option<usize>,
}

impl ItemPlace {
    /// Makes the place of an item.
    pub(super) const fn of_item(item: usize) -> Self {
        Self { item, part: None }
    }

    /// Returns the place of a part of the item.
    pub(super) const fn part(self, part: usize) -> Self {
        Self { part: Some(part), ..self }
    }

    /// Returns the place as refusals and reports have it.
    pub(super) fn name(self) -> String {
        match self.part {
            Some(part) => format!("input[{}].content[{part}]", self.item),
            None => format!("input[{}]", self.item),
        }
    }
}

/// Notes every field of an object that is none of `known` and says something.
pub(super) fn note_unknown(fields: &Fields<'_>, known: &[&str], place: ItemPlace, losses: &mut LossReport) {
    for (name, raw) in fields.iter() {
        if !known.contains(&name) && !matches!(raw.get(), "null" | "false") {
            losses.dropped_at(Field::Other, format!("{}.{name}", place.name()));
        }
    }
}
