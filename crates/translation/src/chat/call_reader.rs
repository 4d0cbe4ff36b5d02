//! Calls of tools in streams of chat completions, read.

use std::borrow::Cow;

use super::chunk::{CallDelta, CallFunction};
use super::event_reader::{EventReceiver, PartNumbers};
use super::{thought, turns_reader};
use crate::conversion::tool_name;
use crate::neutral::{CallKind, PartDelta, PartKind, StreamEvent};

/// The calls of one of the answers.
#[derive(Default)]
pub(super) struct CallsReading {
    calls: Vec<CallReading>,
}

/// One call.
struct CallReading {
    index: Option<u64>,
    id: String,
    kind: CallKind,
    state: CallState,
    end: JsonEnd,
}

/// The progress of a call.
enum CallState {
    /// The name has not come: the arguments that have are kept.
    Unnamed(String),
    Open(usize),
    Closed,
}

/// A piece of a call.
struct CallPiece<'b> {
    id: &'b str,
    name: &'b str,
    arguments: Cow<'b, str>,
}

impl CallsReading {
    /// Reads a piece of a call.
    pub(super) fn delta(
        &mut self,
        delta: &CallDelta<'_>,
        choice: u64,
        parts: &mut PartNumbers,
        found: &mut EventReceiver<'_>,
    ) {
        let (function, kind) = match &delta.custom {
            Some(custom) => (Some(custom), CallKind::Custom),
            None => (delta.function.as_ref(), CallKind::Function),
        };
        let piece = CallPiece {
            id: delta.id.as_ref().map(|id| &*id.0).unwrap_or_default(),
            name: function.and_then(|function| function.name.as_ref()).map(|name| &*name.0).unwrap_or_default(),
            arguments: function
                .and_then(|function| function.arguments)
                .map(turns_reader::arguments)
                .unwrap_or_default(),
        };
        let at = self.find(delta.index, &piece).unwrap_or_else(|| self.begin(delta.index, kind, found));
        self.calls[at].piece(piece, choice, parts, found);
        if let (CallState::Open(part), Some(extra)) = (&self.calls[at].state, delta.extra_content)
            && let Some(seal) = thought::signature_of_extra(extra)
        {
            found(StreamEvent::Delta { part: *part, delta: PartDelta::Sealed(seal) });
        }
    }

    /// Reads a piece of the one call in its first form.
    pub(super) fn function(
        &mut self,
        function: &CallFunction<'_>,
        choice: u64,
        parts: &mut PartNumbers,
        found: &mut EventReceiver<'_>,
    ) {
        let piece = CallPiece {
            id: "",
            name: function.name.as_ref().map(|name| &*name.0).unwrap_or_default(),
            arguments: function.arguments.map(turns_reader::arguments).unwrap_or_default(),
        };
        let at = self.find(None, &piece).unwrap_or_else(|| self.begin(None, CallKind::Function, found));
        self.calls[at].piece(piece, choice, parts, found);
    }

    /// Finds the call that a piece belongs to. Some servers give every call the same index, or none: then an id that is
    /// another one begins a call.
    fn find(&self, index: Option<u64>, piece: &CallPiece<'_>) -> Option<usize> {
        let at = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index),
            None => self.calls.len().checked_sub(1),
        }?;
        let known = &self.calls[at].id;
        let is_other = !piece.id.is_empty() && !known.is_empty() && piece.id != known && !piece.name.is_empty();
        (!is_other).then_some(at)
    }

    /// Begins a call. Those before it whose arguments are whole end.
    fn begin(&mut self, index: Option<u64>, kind: CallKind, found: &mut EventReceiver<'_>) -> usize {
        self.close_whole(found);
        let state = CallState::Unnamed(String::new());
        self.calls.push(CallReading { index, id: String::new(), kind, state, end: JsonEnd::default() });
        self.calls.len() - 1
    }

    /// Closes the calls whose arguments are whole: what comes now comes after them.
    pub(super) fn close_whole(&mut self, found: &mut EventReceiver<'_>) {
        for call in self.calls.iter_mut().filter(|call| call.end.is_whole) {
            call.close(found);
        }
    }

    /// Closes every call.
    pub(super) fn close(&mut self, found: &mut EventReceiver<'_>) {
        self.calls.iter_mut().for_each(|call| call.close(found));
    }
}

impl CallReading {
    fn piece(&mut self, piece: CallPiece<'_>, choice: u64, parts: &mut PartNumbers, found: &mut EventReceiver<'_>) {
        if self.id.is_empty() {
            piece.id.clone_into(&mut self.id);
        }
        if self.kind == CallKind::Function {
            self.end.read(&piece.arguments);
        }
        let mut arguments = piece.arguments;
        if let CallState::Unnamed(kept) = &mut self.state {
            kept.push_str(&arguments);
            if piece.name.is_empty() {
                return;
            }
            arguments = Cow::Owned(std::mem::take(kept));
            let part = parts.next();
            self.state = CallState::Open(part);
            let name = tool_name::original(Cow::Borrowed(piece.name));
            let kind = PartKind::ToolCall { id: Cow::Borrowed(&self.id), name, kind: self.kind };
            found(StreamEvent::Open { part, choice, kind });
        }
        if let CallState::Open(part) = self.state
            && !arguments.is_empty()
        {
            found(StreamEvent::Delta { part, delta: PartDelta::Arguments(arguments) });
        }
    }

    fn close(&mut self, found: &mut EventReceiver<'_>) {
        if let CallState::Open(part) = self.state {
            found(StreamEvent::Close { part });
        }
        self.state = CallState::Closed;
    }
}

/// The search for the end of JSON that comes in pieces.
#[derive(Default)]
struct JsonEnd {
    depth: usize,
    is_in_text: bool,
    is_escaped: bool,
    is_whole: bool,
}

impl JsonEnd {
    fn read(&mut self, piece: &str) {
        for byte in piece.bytes() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.is_in_text => self.is_escaped = true,
                b'"' => self.is_in_text = !self.is_in_text,
                _ if self.is_in_text => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.is_whole = self.depth == 0;
                }
                _ => {}
            }
        }
    }
}
