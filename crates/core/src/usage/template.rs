//! The template of a stream's events: most differ from the one before in their text alone, and are read by comparing.
//!
//! An event that was read byte by byte becomes the template where its outcome does not hang on what stands in some of its
//! strings: those are its slots, and everything between them, line ends included, has to be repeated literally. Reading is
//! a state machine over bytes, so that the same bytes around the slots lead to the same outcome. An event that differs
//! otherwise is none of this module's, nor is one that did not come whole: the exact reader takes them.

use std::ops::Range;

use memchr::{memchr, memchr2};

use super::ServiceTier;
use super::sample::AnswerSample;
use super::scan::{DocumentSlots, SlotKind, StringEscape};

/// The longest event that is kept: one with a token or a few in it.
const MAX_EVENT: usize = 2048;

/// The bytes of a string that are looked at one by one: most slots hold a word.
const SHORT_TEXT: usize = 32;

/// The characters that a string of one line can end with, and those that begin an escape or end the line.
static SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let characters = b"\"\\\r\n";
    let mut index = 0;
    while index < characters.len() {
        table[characters[index] as usize] = true;
        index += 1;
    }
    table
};

/// The newest event that others may be like.
#[derive(Debug, Default)]
pub(super) struct EventTemplate {
    /// The whole event, up to the end of its empty line; empty while there is none.
    event: Vec<u8>,
    slots: DocumentSlots,
    tier: Option<ServiceTier>,
}

/// An event that came whole and was read byte by byte.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadEvent<'c> {
    pub(super) bytes: &'c [u8],
    /// The byte at which its one piece of data begins.
    pub(super) data: usize,
}

/// What an event has that is like the template, beside its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RepeatedEvent {
    pub(super) length: usize,
    pub(super) sequence: Option<u64>,
    pub(super) tier: Option<ServiceTier>,
    /// Tells whether it ends with a carriage return, which a line feed of the same line end may follow.
    pub(super) ends_in_cr: bool,
}

impl EventTemplate {
    /// Takes `event` for the template, if others can be like it, given the slots in its data and the tier that it names.
    pub(super) fn learn(&mut self, event: ReadEvent<'_>, slots: &DocumentSlots, tier: Option<ServiceTier>) {
        if event.bytes.len() > MAX_EVENT || !slots.have_text() {
            return;
        }
        self.event.clear();
        self.event.extend_from_slice(event.bytes);
        self.slots = slots.shifted(event.data);
        self.tier = tier;
    }

    /// Reads the event at the beginning of `bytes` if it has come whole and is like this one; its text goes to `text`.
    pub(super) fn read(&mut self, bytes: &[u8], text: &mut AnswerSample) -> Option<RepeatedEvent> {
        let last = *self.event.last()?;
        let mut found: [Range<usize>; DocumentSlots::MOST] = Default::default();
        let (mut at, mut from) = (0, 0);
        for (slot, place) in self.slots.iter().zip(&mut found) {
            at += literal(&self.event[from..slot.start], &bytes[at..])?;
            let length = match slot.kind {
                SlotKind::Text | SlotKind::Ignored => string_length(&bytes[at..])?,
                SlotKind::Sequence => digits(&bytes[at..])?,
            };
            *place = at..at + length;
            (at, from) = (at + length, slot.end);
        }
        let length = at + literal(&self.event[from..], &bytes[at..])?;
        let mut sequence = None;
        for (slot, place) in self.slots.iter().zip(found) {
            match slot.kind {
                SlotKind::Text => sample(&bytes[place], text),
                SlotKind::Ignored => {}
                SlotKind::Sequence => sequence = super::scan::counted(None, &bytes[place]),
            }
        }
        Some(RepeatedEvent { length, sequence, tier: self.tier, ends_in_cr: last == b'\r' })
    }
}

/// Returns the length of `expected` if `bytes` begin with it.
fn literal(expected: &[u8], bytes: &[u8]) -> Option<usize> {
    bytes.starts_with(expected).then_some(expected.len())
}

/// Returns the length of the number that `bytes` begin with.
fn digits(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| !byte.is_ascii_digit()).filter(|length| *length > 0)
}

/// Returns the length of the string that `bytes` begin with, up to its closing quote, which has to stand on the same
/// line.
fn string_length(bytes: &[u8]) -> Option<usize> {
    let short = &bytes[..bytes.len().min(SHORT_TEXT)];
    match short.iter().position(|byte| SPECIAL[usize::from(*byte)]) {
        Some(end) if short[end] == b'"' => Some(end),
        Some(end) if short[end] != b'\\' => None,
        _ => long_string_length(bytes),
    }
}

/// Returns the length of a string that is long or has escapes.
fn long_string_length(bytes: &[u8]) -> Option<usize> {
    let mut end = 0;
    loop {
        end += memchr2(b'"', b'\\', bytes.get(end..)?)?;
        match (bytes[end], bytes.get(end + 1)) {
            (b'"', _) => break,
            (_, Some(b'u')) => end += 6, // whatever the four digits are, as the exact reader takes them
            _ => end += 2,
        }
    }
    memchr2(b'\r', b'\n', &bytes[..end]).is_none().then_some(end)
}

/// Takes a whole string for a part of the text.
fn sample(mut bytes: &[u8], text: &mut AnswerSample) {
    while let Some(at) = memchr(b'\\', bytes) {
        text.extend(&bytes[..at]);
        let mut escape = StringEscape::Begun;
        bytes = &bytes[at + 1..];
        while let (false, Some((byte, rest))) = (escape.is_over(), bytes.split_first()) {
            if let Some(character) = escape.read(*byte) {
                text.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            bytes = rest;
        }
    }
    text.extend(bytes);
}

#[cfg(test)]
mod tests;
