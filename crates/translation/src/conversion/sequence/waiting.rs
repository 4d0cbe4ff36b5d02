//! Parts that wait, owned.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::conversion::sealed::VendorSeal;
use crate::neutral::{PartDelta, PartKind};

/// A part that waits for another to be whole.
#[derive(Debug)]
pub(super) struct WaitingPart {
    /// The reader's number.
    pub(super) part: usize,
    /// True once all of it has come.
    pub(super) is_whole: bool,
    kind: PartKind<'static>,
    /// The whole part of a native kind.
    raw: Option<Box<RawValue>>,
    deltas: Vec<WaitingDelta>,
}

#[derive(Debug)]
enum WaitingDelta {
    Text(String),
    Arguments(String),
    Sealed(VendorSeal<'static>),
    Citation(Box<RawValue>),
    Logprobs(Box<RawValue>),
}

impl WaitingPart {
    pub(super) fn new(part: usize, kind: &PartKind<'_>) -> Self {
        let raw = match kind {
            PartKind::Native { raw, .. } => Some((*raw).to_owned()),
            _ => None,
        };
        Self { part, is_whole: false, kind: owned_kind(kind), raw, deltas: Vec::new() }
    }

    /// Keeps a piece, joined with the one before it where they are alike. The bytes that it takes are returned.
    pub(super) fn hold(&mut self, delta: &PartDelta<'_>) -> usize {
        let held = match (self.deltas.last_mut(), delta) {
            (Some(WaitingDelta::Text(held)), PartDelta::Text(text))
            | (Some(WaitingDelta::Arguments(held)), PartDelta::Arguments(text)) => {
                held.push_str(text);
                return text.len();
            }
            (_, PartDelta::Text(text)) => WaitingDelta::Text(text.clone().into_owned()),
            (_, PartDelta::Arguments(text)) => WaitingDelta::Arguments(text.clone().into_owned()),
            (_, PartDelta::Sealed(sealed)) => WaitingDelta::Sealed(owned_seal(sealed)),
            (_, PartDelta::Citation(raw)) => WaitingDelta::Citation((*raw).to_owned()),
            (_, PartDelta::Logprobs(raw)) => WaitingDelta::Logprobs((*raw).to_owned()),
        };
        let bytes = 32 + held.len();
        self.deltas.push(held);
        bytes
    }

    /// Gives the kind to `found`.
    pub(super) fn with_kind(&self, found: impl FnOnce(&PartKind<'_>)) {
        match (&self.kind, &self.raw) {
            (PartKind::Text, Some(raw)) => found(&PartKind::Native { kind: kind_of(raw), raw }),
            (kind, _) => found(kind),
        }
    }

    pub(super) fn deltas(&self) -> impl Iterator<Item = PartDelta<'_>> {
        self.deltas.iter().map(|delta| match delta {
            WaitingDelta::Text(text) => PartDelta::Text(text.into()),
            WaitingDelta::Arguments(text) => PartDelta::Arguments(text.into()),
            WaitingDelta::Sealed(sealed) => PartDelta::Sealed(borrowed_seal(sealed)),
            WaitingDelta::Citation(raw) => PartDelta::Citation(raw),
            WaitingDelta::Logprobs(raw) => PartDelta::Logprobs(raw),
        })
    }
}

impl WaitingDelta {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) | Self::Arguments(text) => text.len(),
            Self::Sealed(sealed) => sealed.text.len(),
            Self::Citation(raw) | Self::Logprobs(raw) => raw.get().len(),
        }
    }
}

/// Returns the kind of a native part, which is the `type` in every API that has such.
fn kind_of(raw: &RawValue) -> Cow<'_, str> {
    crate::json::Fields::of(raw).and_then(|fields| fields.text("type")).unwrap_or_default()
}

/// Returns a kind that borrows nothing. A native part's is a text: its own is kept beside it.
fn owned_kind(kind: &PartKind<'_>) -> PartKind<'static> {
    match kind {
        PartKind::Text | PartKind::Native { .. } => PartKind::Text,
        PartKind::Refusal => PartKind::Refusal,
        PartKind::Thinking { is_summary, is_redacted } => {
            PartKind::Thinking { is_summary: *is_summary, is_redacted: *is_redacted }
        }
        PartKind::ToolCall { id, name, kind } => PartKind::ToolCall {
            id: Cow::Owned(id.clone().into_owned()),
            name: Cow::Owned(name.clone().into_owned()),
            kind: *kind,
        },
    }
}

fn owned_seal(sealed: &VendorSeal<'_>) -> VendorSeal<'static> {
    VendorSeal {
        maker: sealed.maker,
        text: Cow::Owned(sealed.text.clone().into_owned()),
        id: sealed.id.as_ref().map(|id| Cow::Owned(id.clone().into_owned())),
    }
}

fn borrowed_seal<'d>(sealed: &'d VendorSeal<'_>) -> VendorSeal<'d> {
    VendorSeal { maker: sealed.maker, text: Cow::Borrowed(&*sealed.text), id: sealed.id.as_deref().map(Cow::Borrowed) }
}

/// Returns a kind that borrows from another.
pub(super) fn borrowed_kind<'d>(kind: &'d PartKind<'_>) -> PartKind<'d> {
    match kind {
        PartKind::Text => PartKind::Text,
        PartKind::Refusal => PartKind::Refusal,
        PartKind::Thinking { is_summary, is_redacted } => {
            PartKind::Thinking { is_summary: *is_summary, is_redacted: *is_redacted }
        }
        PartKind::ToolCall { id, name, kind } => {
            PartKind::ToolCall { id: Cow::Borrowed(&**id), name: Cow::Borrowed(&**name), kind: *kind }
        }
        PartKind::Native { kind, raw } => PartKind::Native { kind: Cow::Borrowed(&**kind), raw },
    }
}

/// Returns a piece that borrows from another.
pub(super) fn borrowed_delta<'d>(delta: &'d PartDelta<'_>) -> PartDelta<'d> {
    match delta {
        PartDelta::Text(text) => PartDelta::Text(Cow::Borrowed(&**text)),
        PartDelta::Arguments(text) => PartDelta::Arguments(Cow::Borrowed(&**text)),
        PartDelta::Sealed(sealed) => PartDelta::Sealed(borrowed_seal(sealed)),
        PartDelta::Citation(raw) => PartDelta::Citation(raw),
        PartDelta::Logprobs(raw) => PartDelta::Logprobs(raw),
    }
}
