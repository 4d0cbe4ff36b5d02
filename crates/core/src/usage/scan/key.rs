//! The keys of a document whose values are looked at, and the purposes of its strings.

use super::super::state::StateKey;
use super::DocumentScan;

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

impl DocumentScan {
    /// Returns the meaning of the key that was read.
    pub(super) fn classify(&self) -> ScannedKey {
        let inside = self.depth == 2 && self.outer == Some(ScannedKey::Envelope);
        let in_vendors_place = match self.outer {
            Some(ScannedKey::Groq) => self.depth == 2,
            Some(ScannedKey::Choices) => self.depth == 3,
            _ => false,
        };
        let Some(name) = self.name.known() else { return ScannedKey::Other };
        match (self.depth, name) {
            (1, b"type") => ScannedKey::Type,
            (1, b"choices") => ScannedKey::Choices,
            (1, b"sequence_number") => ScannedKey::Number(TopNumber::Sequence),
            (1, b"prompt_eval_count") => ScannedKey::Number(TopNumber::PromptEval),
            (1, b"eval_count") => ScannedKey::Number(TopNumber::Eval),
            (1, b"error") => ScannedKey::Error,
            (1, b"message" | b"response") => ScannedKey::Envelope,
            (1, b"x_groq") => ScannedKey::Groq,
            (1, b"candidates") => ScannedKey::Candidates,
            (1, b"done") => ScannedKey::Done,
            (3, b"finishReason") if self.outer == Some(ScannedKey::Candidates) => ScannedKey::FinishReason,
            (1, b"usageMetadata") => ScannedKey::Usage,
            (depth, b"usage") if depth == 1 || inside || in_vendors_place => ScannedKey::Usage,
            (depth, b"service_tier") if depth == 1 || inside => ScannedKey::Tier,
            _ if self.text_keys.iter().any(|key| key.as_bytes() == name) => ScannedKey::Text,
            _ => self.state_key(name).map_or(ScannedKey::Other, ScannedKey::State),
        }
    }

    fn state_key(&self, name: &[u8]) -> Option<StateKey> {
        let is_sealed = self.sealed_list.is_some() && name == b"data";
        if is_sealed { Some(StateKey::Sealed) } else { self.names.key(name) }
    }
}
