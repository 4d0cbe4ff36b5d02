//! The slots of a document: the strings and numbers whose content leads to no other outcome.

use super::StringPurpose;

/// A part of a document that may be another in the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct DocumentSlot {
    pub(in super::super) kind: SlotKind,
    /// Its first byte, after the quote of a string.
    pub(in super::super) start: usize,
    /// The byte after its last: the quote of a string.
    pub(in super::super) end: usize,
}

/// The purpose of what stands in a slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) enum SlotKind {
    /// A string of generated text.
    Text,
    /// A string that nobody looks at.
    #[default]
    Ignored,
    /// The number of the event.
    Sequence,
}

/// The slots of a document that came in one piece: its texts, its number, and the strings after the first text that
/// nobody looks at. What stands before the text tends to be the same in all events.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct DocumentSlots {
    slots: [DocumentSlot; Self::MOST],
    count: usize,
    /// The first byte of the string that is open.
    opened: usize,
    has_text: bool,
    /// True when something cannot be a slot and may differ all the same, or there are too many.
    spoilt: bool,
}

impl Default for DocumentSlot {
    fn default() -> Self {
        Self { kind: SlotKind::Ignored, start: 0, end: 0 }
    }
}

impl DocumentSlots {
    /// The most slots that are kept.
    pub(in super::super) const MOST: usize = 6;

    pub(super) fn clear(&mut self) {
        (self.count, self.has_text, self.spoilt) = (0, false, false);
    }

    /// Marks the byte after which a string may be open.
    pub(super) fn open(&mut self, at: usize) {
        self.opened = at;
    }

    /// Ends the string that is open.
    pub(super) fn close(&mut self, purpose: StringPurpose, end: usize) {
        let kind = match purpose {
            StringPurpose::Text => SlotKind::Text,
            StringPurpose::Nothing if self.has_text => SlotKind::Ignored,
            _ => return,
        };
        self.has_text |= kind == SlotKind::Text;
        self.push(DocumentSlot { kind, start: self.opened, end });
    }

    /// Takes the event's number, with which `bytes` begin, on the byte `at`.
    pub(super) fn number(&mut self, bytes: &[u8], at: usize) {
        let blank = bytes.iter().take_while(|byte| **byte == b' ').count();
        let digits = bytes[blank..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let is_whole = digits > 0 && matches!(bytes.get(blank + digits), Some(b',' | b'}'));
        self.spoilt |= !is_whole;
        self.push(DocumentSlot { kind: SlotKind::Sequence, start: at + blank, end: at + blank + digits });
    }

    fn push(&mut self, slot: DocumentSlot) {
        match self.slots.get_mut(self.count) {
            Some(place) => {
                *place = slot;
                self.count += 1;
            }
            None => self.spoilt = true,
        }
    }

    /// Returns whether the slots are all that may differ, and a text is among them.
    pub(in super::super) fn have_text(&self) -> bool {
        self.has_text && !self.spoilt
    }

    pub(in super::super) fn iter(&self) -> impl Iterator<Item = &DocumentSlot> {
        self.slots[..self.count].iter()
    }

    /// Returns the slots of a document that begins on the byte `by`.
    pub(in super::super) fn shifted(mut self, by: usize) -> Self {
        for slot in &mut self.slots[..self.count] {
            (slot.start, slot.end) = (slot.start + by, slot.end + by);
        }
        self
    }
}
