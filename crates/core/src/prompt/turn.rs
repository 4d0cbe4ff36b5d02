//! One turn of a conversation, as far as it matters who said it and what else it did.

use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

/// The author of a turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TurnRole {
    /// The user's side: a person, or the harness that speaks for one.
    User,
    /// The application: `system` and `developer`.
    System,
    /// The model.
    Assistant,
    /// A tool, also where its results come in a message of the user's.
    Tool,
    /// Anything else, such as an item of reasoning.
    #[default]
    Other,
}

/// One turn of a conversation.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ConversationTurn {
    pub(super) role: TurnRole,
    /// True where the body says that the turn is the user's, also where nothing in it is.
    pub(super) is_user_message: bool,
    /// The turn's entry among the prompt's texts, if it has text.
    pub(super) text: Option<usize>,
    /// The bytes where text parts after the first begin in that text.
    pub(super) breaks: Vec<usize>,
    /// True where an image, a sound or a file is attached, tool results apart.
    pub(super) has_attachments: bool,
    /// The tool calls that it makes; equal numbers are equal calls.
    pub(super) calls: Vec<TurnFingerprint>,
    /// The tool results that it brings.
    pub(super) results: u32,
    /// Errors of the tool results that failed; equal numbers are equal errors.
    pub(super) errors: Vec<TurnFingerprint>,
}

/// A hash that tells calls, or errors, of one conversation apart. Means nothing beyond the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TurnFingerprint(u64);

/// The bytes of an error's text that count: what follows is a trace whose lines differ.
const ERROR_BYTES: usize = 512;

impl TurnFingerprint {
    /// Hashes a call: the tool's name and its arguments, as they are spelt.
    pub(super) fn of_call(parts: &[&str]) -> Self {
        let mut hasher = FxHasher::default();
        parts.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// Hashes an error's text without its digits: times, ports and line numbers make no other error of it.
    pub(super) fn of_error(text: &str) -> Self {
        let mut hasher = FxHasher::default();
        let text = text[..text.floor_char_boundary(ERROR_BYTES)].trim();
        text.bytes().filter(|byte| !byte.is_ascii_digit()).for_each(|byte| hasher.write_u8(byte));
        Self(hasher.finish())
    }
}
