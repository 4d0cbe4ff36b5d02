//! Streams whose parts come one after another, for APIs that keep one part open at a time.
//!
//! Texts and thoughts can be cut: when another part begins, they end, and what comes of them later begins a new part.
//! Calls cannot. A call is whole as soon as its arguments are a whole JSON object, so that parallel calls that come one
//! after another pass at once; a part that begins before the open call is whole waits, with what comes of it.

mod json_depth;
mod waiting;

use self::json_depth::JsonDepth;
use self::waiting::WaitingPart;
use crate::neutral::{CallKind, ErrorKind, NeutralError, PartDelta, PartKind, StreamEvent};

/// The most bytes that wait.
const MOST_WAITING: usize = 16 << 20;

/// An adaptor that gives on the events of a stream with at most one part open at a time, numbered from 0 without gaps.
#[derive(Debug, Default)]
pub(crate) struct PartSequence {
    /// The number that the next part gets.
    next: usize,
    open: Option<OpenPart>,
    /// The parts that wait for the open one, in the order of their beginnings.
    waiting: Vec<WaitingPart>,
    waiting_bytes: usize,
    /// Texts and thoughts that were ended before their own end came: by the reader's number.
    cut: Vec<(usize, CutKind)>,
}

/// The part that is open for the client.
#[derive(Debug)]
struct OpenPart {
    /// The reader's number.
    part: usize,
    kind: OpenKind,
}

#[derive(Debug)]
enum OpenKind {
    Cuttable(CutKind),
    Call(JsonDepth),
    /// A call of free text and a native part: whole when the reader says so.
    Uncuttable,
}

/// A kind of part that can go on in a new one.
#[derive(Debug, Clone, Copy)]
enum CutKind {
    Text,
    Refusal,
    Thinking { is_summary: bool },
}

impl CutKind {
    const fn of(kind: &PartKind<'_>) -> Option<Self> {
        match kind {
            PartKind::Text => Some(Self::Text),
            PartKind::Refusal => Some(Self::Refusal),
            PartKind::Thinking { is_summary, is_redacted: false } => Some(Self::Thinking { is_summary: *is_summary }),
            _ => None,
        }
    }

    const fn part_kind(self) -> PartKind<'static> {
        match self {
            Self::Text => PartKind::Text,
            Self::Refusal => PartKind::Refusal,
            Self::Thinking { is_summary } => PartKind::Thinking { is_summary, is_redacted: false },
        }
    }
}

impl OpenKind {
    const fn of(kind: &PartKind<'_>) -> Self {
        match (CutKind::of(kind), kind) {
            (Some(kind), _) => Self::Cuttable(kind),
            (None, PartKind::ToolCall { kind: CallKind::Function, .. }) => Self::Call(JsonDepth::new()),
            (None, _) => Self::Uncuttable,
        }
    }
}

/// A taker of the events.
type SequenceSink<'f> = dyn FnMut(&StreamEvent<'_>) + 'f;

impl PartSequence {
    /// Gives on what an event means for a stream whose parts come one after another.
    pub(crate) fn pass(&mut self, event: &StreamEvent<'_>, found: &mut SequenceSink<'_>) {
        match event {
            StreamEvent::Open { part, kind, .. } => self.begin(*part, kind, found),
            StreamEvent::Delta { part, delta } => self.piece(*part, delta, found),
            StreamEvent::Close { part } => self.end(*part, found),
            StreamEvent::Stop { .. } | StreamEvent::End => {
                self.finish(found);
                found(event);
            }
            _ => found(event),
        }
    }

    fn begin(&mut self, part: usize, kind: &PartKind<'_>, found: &mut SequenceSink<'_>) {
        if !(self.waiting.is_empty() && self.is_free()) {
            self.waiting_bytes += 64;
            self.waiting.push(WaitingPart::new(part, kind));
            return;
        }
        self.cut_open(found);
        self.open_now(part, kind, found);
    }

    /// Tells whether the open part lets another begin now.
    fn is_free(&self) -> bool {
        match &self.open {
            None => true,
            Some(open) => match &open.kind {
                OpenKind::Cuttable(_) => true,
                OpenKind::Call(depth) => depth.is_whole(),
                OpenKind::Uncuttable => false,
            },
        }
    }

    /// Ends the open part, which may be ended.
    fn cut_open(&mut self, found: &mut SequenceSink<'_>) {
        let Some(open) = self.open.take() else { return };
        if let OpenKind::Cuttable(kind) = open.kind {
            self.cut.push((open.part, kind));
        }
        found(&StreamEvent::Close { part: self.next - 1 });
    }

    fn open_now(&mut self, part: usize, kind: &PartKind<'_>, found: &mut SequenceSink<'_>) {
        self.open = Some(OpenPart { part, kind: OpenKind::of(kind) });
        let number = self.next;
        self.next += 1;
        found(&StreamEvent::Open { part: number, choice: 0, kind: waiting::borrowed_kind(kind) });
    }

    fn piece(&mut self, part: usize, delta: &PartDelta<'_>, found: &mut SequenceSink<'_>) {
        if self.open.as_ref().is_some_and(|open| open.part == part) {
            self.piece_of_open(delta, found);
            self.go_on(found);
        } else if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.part == part) {
            self.waiting_bytes += waiting.hold(delta);
        } else if let Some(&(_, kind)) = self.cut.iter().find(|(cut, _)| *cut == part) {
            self.resume(part, kind, delta, found);
        }
        if self.waiting_bytes > MOST_WAITING {
            self.waiting.clear();
            self.waiting_bytes = 0;
            found(&StreamEvent::Failed(too_much()));
        }
    }

    fn piece_of_open(&mut self, delta: &PartDelta<'_>, found: &mut SequenceSink<'_>) {
        if let (Some(OpenPart { kind: OpenKind::Call(depth), .. }), PartDelta::Arguments(text)) =
            (&mut self.open, delta)
        {
            depth.push(text);
        }
        found(&StreamEvent::Delta { part: self.next - 1, delta: waiting::borrowed_delta(delta) });
    }

    /// Goes on with a text or a thought that was ended, in a new part.
    fn resume(&mut self, part: usize, kind: CutKind, delta: &PartDelta<'_>, found: &mut SequenceSink<'_>) {
        if matches!(delta, PartDelta::Text(text) if text.is_empty()) {
            return;
        }
        self.cut.retain(|(cut, _)| *cut != part);
        self.begin(part, &kind.part_kind(), found);
        self.piece(part, delta, found);
    }

    fn end(&mut self, part: usize, found: &mut SequenceSink<'_>) {
        self.cut.retain(|(cut, _)| *cut != part);
        if self.open.as_ref().is_some_and(|open| open.part == part) {
            self.open = None;
            found(&StreamEvent::Close { part: self.next - 1 });
            self.go_on(found);
        } else if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.part == part) {
            waiting.is_whole = true;
        }
    }

    /// Gives on the parts that wait, as far as the open one lets them.
    fn go_on(&mut self, found: &mut SequenceSink<'_>) {
        while !self.waiting.is_empty() {
            if !self.is_free() {
                return;
            }
            self.cut_open(found);
            let first = self.waiting.remove(0);
            self.give(&first, found);
        }
        self.waiting_bytes = 0;
    }

    /// Gives on a part that has waited.
    fn give(&mut self, waiting: &WaitingPart, found: &mut SequenceSink<'_>) {
        waiting.with_kind(|kind| self.open_now(waiting.part, kind, found));
        for delta in waiting.deltas() {
            self.piece_of_open(&delta, found);
        }
        if waiting.is_whole {
            self.open = None;
            found(&StreamEvent::Close { part: self.next - 1 });
        }
    }

    /// Ends every part: nothing comes after.
    fn finish(&mut self, found: &mut SequenceSink<'_>) {
        loop {
            if self.open.take().is_some() {
                found(&StreamEvent::Close { part: self.next - 1 });
            }
            if self.waiting.is_empty() {
                self.cut.clear();
                return;
            }
            let first = self.waiting.remove(0);
            self.give(&first, found);
        }
    }
}

fn too_much() -> NeutralError<'static> {
    NeutralError {
        kind: ErrorKind::Server,
        message: "the upstream writes too much of several calls at the same time".into(),
        code: None,
        param: None,
        retry_after: None,
    }
}

#[cfg(test)]
mod tests;
