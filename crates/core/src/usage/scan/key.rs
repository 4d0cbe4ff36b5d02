//! The keys of a document whose values are looked at, and the purposes of its strings.

use super::super::state::StateKey;

/// A key, as far as its value matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScannedKey {
    Type,
    Choices,
    Usage,
    Envelope,
    Groq,
    Candidates,
    Done,
    FinishReason,
    Number(TopNumber),
    Tier,
    Text,
    Error,
    State(StateKey),
    Other,
}

/// A number of the top level that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TopNumber {
    Sequence,
    PromptEval,
    Eval,
}

/// The purpose of a string's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StringPurpose {
    Name,
    Kind,
    Tier,
    Text,
    State(StateKey),
    Nothing,
}
