//! Names of state out of answers as they pass: the ids that a client may send back, and what only their maker can open.
//!
//! Each name is given out once, as soon as it is whole: a client may ask for it before the answer has ended. Ids of
//! chat completions and messages that nobody can ask for again are no names of state.

use rustc_hash::FxHashSet;

use super::AnswerFormat;
use crate::prompt::Dialect;
use crate::prompt::state::{MAX_STATE_ID, MIN_SEALED, SealHash, StateKind, StateName};

/// Names that are taken from one answer: a list of batches or items may hold more.
const MOST: usize = 512;

/// The ends of paths whose answers are the content of files.
const CONTENTS: [&str; 3] = ["/content", "/results", ":download"];

/// The answers in which names of state are looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StateScope {
    /// No answers: one that holds no state.
    #[default]
    Nothing,
    /// A chat completion that nobody can ask for again, or contents of Google's: what is sealed, and the ids of sounds.
    Chat,
    /// A chat completion that its provider keeps.
    StoredChat,
    /// A message: what is sealed, and the ids of containers and files.
    Messages,
    /// A response: its id, its items, and what is sealed.
    Responses,
    /// Another object, or a list of them.
    Objects,
}

impl StateScope {
    /// Returns the scope of the answers to requests for `path`; `is_stored` where the client asked for a chat completion
    /// to be kept.
    #[must_use]
    pub fn of_path(path: &str, is_stored: bool) -> Self {
        let dialect = Dialect::of_path(path);
        match (dialect, AnswerFormat::of_path(path)) {
            (Some(Dialect::Embeddings | Dialect::Completions), _) => Self::Nothing,
            (Some(dialect), _) if dialect.only_counts() => Self::Nothing,
            (Some(dialect), _) if dialect.is_google() => Self::Chat,
            (Some(Dialect::CompactResponse), _) | (_, AnswerFormat::Responses) => Self::Responses,
            (_, AnswerFormat::Anthropic) => Self::Messages,
            // What users put into files is no name of an API's.
            _ if CONTENTS.iter().any(|end| path.trim_end_matches('/').ends_with(end)) => Self::Nothing,
            _ if path.trim_end_matches('/').ends_with("/chat/completions") && !is_stored => Self::Chat,
            _ if path.trim_end_matches('/').ends_with("/chat/completions") => Self::StoredChat,
            _ if StateName::is_kept_under(path) => Self::Objects,
            _ => Self::Nothing,
        }
    }

    /// Returns whether such answers name what clients ask for later.
    #[must_use]
    pub const fn is_kept(self) -> bool {
        !matches!(self, Self::Nothing | Self::Chat)
    }
}

/// A key whose value may name state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StateKey {
    Id,
    /// A name with its collection, as Gemini writes them: `files/1`.
    Name,
    Sealed,
    /// A list whose elements' `data` is sealed.
    SealedList,
}

/// The names of one answer.
#[derive(Debug, Default)]
pub(super) struct AnswerNames {
    scope: StateScope,
    seen: FxHashSet<[u8; 16]>,
    fresh: Vec<StateName>,
    value: StateValue,
}

/// The value of a key, as far as it has come.
#[derive(Debug, Default)]
struct StateValue {
    id: Vec<u8>,
    hash: SealHash,
    length: usize,
}

impl AnswerNames {
    pub(super) fn new(scope: StateScope) -> Self {
        Self { scope, ..Self::default() }
    }

    /// Returns the meaning of a key called `name`, if its value may name state.
    pub(super) fn key(&self, name: &[u8]) -> Option<StateKey> {
        let scope = self.scope;
        Some(match name {
            _ if scope == StateScope::Nothing => return None,
            b"id" | b"file_id" | b"container_id" | b"output_file_id" | b"error_file_id" | b"vector_store_id"
            | b"conversation_id" => StateKey::Id,
            b"encrypted_content" | b"encrypted_index" | b"signature" | b"thought_signature" | b"thoughtSignature" => {
                StateKey::Sealed
            }
            // Redacted thinking; elsewhere sounds and lists are called so. In a list of sealed parts it counts as well.
            b"data" if scope == StateScope::Messages => StateKey::Sealed,
            b"reasoning_details" | b"thinking_blocks" => StateKey::SealedList,
            b"name" if scope == StateScope::Objects => StateKey::Name,
            _ => return None,
        })
    }

    /// Begins a value.
    pub(super) fn begin(&mut self) {
        self.value.id.clear();
        self.value.hash.reset();
        self.value.length = 0;
    }

    /// Takes more of a value.
    pub(super) fn extend(&mut self, key: StateKey, bytes: &[u8]) {
        let StateValue { id, hash, length } = &mut self.value;
        *length += bytes.len();
        match key {
            StateKey::Sealed => hash.update(bytes),
            StateKey::Id | StateKey::Name if *length <= MAX_STATE_ID => id.extend_from_slice(bytes),
            StateKey::Id | StateKey::Name | StateKey::SealedList => {}
        }
    }

    /// Ends a value that stands on `level`, the envelope of an event apart.
    pub(super) fn end(&mut self, key: StateKey, level: u32) {
        let name = match key {
            StateKey::Sealed => {
                let name = self.value.hash.take();
                (self.value.length >= MIN_SEALED).then_some(name)
            }
            StateKey::Id | StateKey::Name => self.id(key, level),
            StateKey::SealedList => None,
        };
        let name = name.filter(|name| self.seen.len() < MOST && self.seen.insert(name.digest));
        self.fresh.extend(name);
    }

    fn id(&self, key: StateKey, level: u32) -> Option<StateName> {
        let id = self.value.id.as_slice();
        if !(1..=MAX_STATE_ID).contains(&self.value.length) || (key == StateKey::Name && !id.contains(&b'/')) {
            return None;
        }
        let told = StateKind::of_id(id);
        let kind = match self.scope {
            StateScope::Chat | StateScope::StoredChat if id.starts_with(b"audio_") => StateKind::Item,
            StateScope::StoredChat if level == 1 => StateKind::Response,
            StateScope::Nothing | StateScope::Chat | StateScope::StoredChat => return None,
            StateScope::Messages => told.filter(|kind| kind.is_object())?,
            StateScope::Responses => told.unwrap_or(if level == 1 { StateKind::Response } else { StateKind::Item }),
            StateScope::Objects => told.unwrap_or(StateKind::Object),
        };
        Some(StateName::new(kind, id))
    }

    /// Takes the names that were found since the last call.
    pub(super) fn take(&mut self) -> Vec<StateName> {
        std::mem::take(&mut self.fresh)
    }
}

#[cfg(test)]
mod tests;
