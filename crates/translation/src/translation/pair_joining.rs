//! Surrogate pairs whose halves come in two pieces of a part: one letter for the client.
//!
//! A first half at the end of a piece is held until the next piece of its part, or the part's end: U+FFFD stands for it
//! where the second does not follow. Nothing else is held.

use std::borrow::Cow;

use crate::json::halves::{self, CutText, REPLACEMENT};
use crate::neutral::{PartDelta, StreamEvent};

/// The pairs of one stream that are cut.
#[derive(Debug, Default)]
pub(super) struct PairJoining {
    /// The texts of the event that is being read which are cut within a pair.
    cut: Vec<CutText>,
    held: Vec<HeldHalf>,
}

/// The first half of a pair that is held.
#[derive(Debug)]
struct HeldHalf {
    part: usize,
    kind: PieceKind,
    half: u16,
}

/// The kind of a piece of text.
#[derive(Debug, Clone, Copy)]
enum PieceKind {
    Text,
    Arguments,
}

impl PieceKind {
    fn delta(self, text: Cow<'_, str>) -> PartDelta<'_> {
        match self {
            Self::Text => PartDelta::Text(text),
            Self::Arguments => PartDelta::Arguments(text),
        }
    }
}

/// A taker of the events.
type JoiningSink<'f> = dyn FnMut(&StreamEvent<'_>) + 'f;

impl PairJoining {
    /// Looks at an event's data before it is read, and returns the data with U+FFFD for halves of pairs.
    pub(super) fn look<'d>(&mut self, data: &'d str) -> Cow<'d, str> {
        self.cut.clear();
        let mended = halves::mended_text(data);
        if let Cow::Owned(_) = mended {
            self.cut = halves::cut_texts(data);
        }
        mended
    }

    /// Gives on an event with whole pairs.
    pub(super) fn pass(&mut self, event: &StreamEvent<'_>, found: &mut JoiningSink<'_>) {
        if self.cut.is_empty() && self.held.is_empty() {
            return found(event);
        }
        match event {
            StreamEvent::Delta { part, delta: PartDelta::Text(text) } => {
                self.piece(*part, PieceKind::Text, text, found);
            }
            StreamEvent::Delta { part, delta: PartDelta::Arguments(text) } => {
                self.piece(*part, PieceKind::Arguments, text, found);
            }
            StreamEvent::Close { part } => {
                self.give_up(|held| held.part == *part, found);
                found(event);
            }
            StreamEvent::End | StreamEvent::Failed(_) => {
                self.give_up(|_| true, found);
                found(event);
            }
            _ => found(event),
        }
    }

    fn piece(&mut self, part: usize, kind: PieceKind, text: &str, found: &mut JoiningSink<'_>) {
        if text.is_empty() {
            return found(&StreamEvent::Delta { part, delta: kind.delta(Cow::Borrowed(text)) });
        }
        let mut rest = text;
        let mut whole = String::with_capacity(text.len() + 4);
        if let Some(at) = self.held.iter().position(|held| held.part == part) {
            let first = self.held.remove(at).half;
            match self.second_half(text) {
                Some(second) => {
                    whole.extend(char::decode_utf16([first, second]).flatten());
                    rest = rest.strip_prefix(REPLACEMENT).unwrap_or(rest);
                }
                None => whole.push(REPLACEMENT),
            }
        }
        if let Some(half) = self.first_half(text) {
            self.held.push(HeldHalf { part, kind, half });
            rest = rest.strip_suffix(REPLACEMENT).unwrap_or(rest);
        }
        whole.push_str(rest);
        if !whole.is_empty() {
            found(&StreamEvent::Delta { part, delta: kind.delta(Cow::Owned(whole)) });
        }
    }

    /// Returns the second half that a piece begins with.
    fn second_half(&mut self, piece: &str) -> Option<u16> {
        let cut = self.cut.iter_mut().find(|cut| cut.begins.is_some() && piece.starts_with(&cut.text))?;
        cut.begins.take()
    }

    /// Returns the first half that a piece ends with.
    fn first_half(&mut self, piece: &str) -> Option<u16> {
        let cut = self.cut.iter_mut().find(|cut| cut.ends.is_some() && piece.ends_with(&cut.text))?;
        cut.ends.take()
    }

    /// Gives what stands for the halves whose other halves do not come.
    fn give_up(&mut self, is_over: impl Fn(&HeldHalf) -> bool, found: &mut JoiningSink<'_>) {
        for held in self.held.extract_if(.., |held| is_over(held)) {
            let text = Cow::Borrowed("\u{fffd}");
            found(&StreamEvent::Delta { part: held.part, delta: held.kind.delta(text) });
        }
    }
}
