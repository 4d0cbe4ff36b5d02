//! Parts of an answer that are being written to a stream.

use crate::json::writer::ObjectWriter;
mod call;
mod text;
mod thought;

pub(super) use self::call::OpenCall;
pub(super) use self::text::{OpenText, push_elements};
pub(super) use self::thought::OpenThought;

/// A part that is open.
pub(super) enum PartInWriting {
    /// A text or the words of a refusal.
    Text(OpenText),
    /// A thought.
    Thought(OpenThought),
    /// A call.
    Call(OpenCall),
}

/// A message whose parts are being written.
pub(super) struct OpenMessage {
    /// The message's place in the output.
    pub(super) index: usize,
    /// The item's id.
    pub(super) id: String,
    /// The parts, as far as they are whole.
    pub(super) contents: Vec<Vec<u8>>,
    /// The number of those that are open.
    pub(super) open: usize,
}

/// Returns the members that every event of a part of an item has.
fn head(id: &str, index: usize, place: Option<(&str, usize)>) -> Vec<u8> {
    let mut members = Vec::with_capacity(96);
    let mut object = ObjectWriter::open(&mut members);
    object.text("item_id", id);
    object.number("output_index", index as u64);
    if let Some((name, place)) = place {
        object.number(name, place as u64);
    }
    object.close();
    members.pop();
    members.remove(0);
    members
}
