//! The state that a request names: read beside the conversation, and only of bodies that hold a key which may name any.
//!
//! A key that is written with escapes is not seen; no client writes one.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem;
use regex::bytes::Regex;
use rustc_hash::FxHashSet;

use super::seal_mark::{is_absent_seal, is_carried_seal};
use super::walk::{WalkedText, walk};
use super::{MAX_STATE_ID, MIN_SEALED, StateKind, StateName};
use crate::prompt::Dialect;

/// Names that are read of one request: of its history the newest.
const MOST: usize = 48;

/// Keys of a body without which it names no state; searched for first, because most bodies have none of them. Nothing
/// but literals: these the search finds with vector instructions.
static KEYS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"previous_response_id"|"conversation"|"container|file_id|vector_store_id|cached_content|cachedContent"#,
        r#"|"assistant_id"|"thread_id"|skill_id"|training_file"|validation_file"|"encrypted_|"signature""#,
        r#"|thought_signature|thoughtSignature|redacted_thinking|"audio"|"prompt"|"store""#,
        r#"|reasoning\.encrypted|"approval_request_id"|"fileUri"|"file_uri""#,
    ))
    .expect("the pattern is one")
});

/// Lists of a message whose elements' `data` is sealed: redacted thinking, and encrypted reasoning as OpenRouter has it.
const SEALED_LISTS: [&[u8]; 3] = [b"content", b"reasoning_details", b"thinking_blocks"];

/// The part of a request that asks its API to keep the answer.
static STORED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"[{,]\s*"store"\s*:\s*true"#).expect("the pattern is one"));

/// The state that a request names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedState {
    /// The names, those that bind most first: what is needed, then the history from its newest.
    pub names: Vec<StateName>,
    /// True where the client asks its API to keep the answer: a chat completion is state only then.
    pub is_stored: bool,
}

impl NamedState {
    /// Reads the names of a body: of a dialect, or of a call that is no prompt.
    #[must_use]
    pub fn of(dialect: Option<Dialect>, body: &[u8]) -> Self {
        // Only items name state by a mere `id`; chats and messages have one with every call.
        let has_ids = || dialect.is_some_and(Dialect::is_responses) && memmem::find(body, br#""id""#).is_some();
        if !KEYS.is_match(body) && !has_ids() {
            return Self::default();
        }
        let (mut found, mut wholes) = (Vec::new(), FxHashSet::default());
        walk(body, |text| {
            if text.key == b"type" && is_whole(&text.value()) {
                wholes.insert(text.within);
            }
            let Some(kind) = kind_of(&text) else { return };
            let value = text.value();
            let value = if matches!(text.key, b"fileUri" | b"file_uri") {
                let Some(name) = uploaded_file(&value) else { return };
                Cow::Owned(name)
            } else {
                value
            };
            // Anthropic's own skills have the same names everywhere.
            if text.key == b"skill_id" && !value.starts_with(b"skill_") {
                return;
            }
            let fits = match kind {
                // Whose a carried seal is, it says itself.
                StateKind::Sealed => value.len() >= MIN_SEALED && !is_carried_seal(&value) && !is_absent_seal(&value),
                _ => is_id(&value),
            };
            if fits {
                found.push(FoundName { kind, value, within: text.within });
            }
            // What Anthropic's search found is nothing without it.
            if kind == StateKind::Sealed && text.top == b"messages" && text.key.starts_with(b"encrypted_") {
                wholes.insert(text.within);
            }
        });
        for name in &mut found {
            if !name.kind.is_needed() && wholes.contains(&name.within) {
                name.kind = StateKind::Reference;
            }
        }
        Self { names: chosen(found), is_stored: STORED.is_match(body) }
    }
}

/// Returns the name of a file that was uploaded to Google's API, out of its address: `files/1`. Others lie elsewhere.
fn uploaded_file(address: &[u8]) -> Option<Vec<u8>> {
    const COLLECTION: &[u8] = b"files/";
    let at = memmem::rfind(address, b"/files/")? + 1;
    let is_google = memmem::find(&address[..at], b"generativelanguage").is_some();
    let name = &address[at..];
    (is_google && name.len() > COLLECTION.len() && !name[COLLECTION.len()..].contains(&b'/')).then(|| name.to_vec())
}

/// A name as it stands in a body.
struct FoundName<'b> {
    kind: StateKind,
    value: Cow<'b, [u8]>,
    /// The place of the object around it.
    within: usize,
}

/// Returns those that count, in their order. Only they are hashed: a body may hold millions.
fn chosen(found: Vec<FoundName<'_>>) -> Vec<StateName> {
    let (mut needed, history): (Vec<_>, Vec<_>) = found.into_iter().partition(|name| name.kind.is_needed());
    needed.sort_by_key(|name| rank(name.kind));
    let mut chosen: Vec<FoundName<'_>> = Vec::new();
    for name in needed.into_iter().chain(history.into_iter().rev()) {
        if chosen.len() == MOST {
            break;
        }
        if !chosen.iter().any(|known| known.kind == name.kind && known.value == name.value) {
            chosen.push(name);
        }
    }
    chosen.into_iter().map(|name| StateName::new(name.kind, &name.value)).collect()
}

/// Tells whether an item of this type is nothing without what its provider keeps or sealed: a reference, or what a
/// provider made of the whole conversation before it.
fn is_whole(kind: &[u8]) -> bool {
    kind == b"item_reference" || kind.starts_with(b"compaction")
}

/// Ids that stand for none: the Agents SDK writes the first where an API gave no id.
fn is_id(value: &[u8]) -> bool {
    (1..=MAX_STATE_ID).contains(&value.len()) && value != b"__fake_id__" && value != b"auto"
}

/// The rank of what binds most: a conversation is at one place only, a file may be at several.
const fn rank(kind: StateKind) -> u8 {
    match kind {
        StateKind::Response | StateKind::Conversation => 0,
        StateKind::Container => 1,
        StateKind::Object => 2,
        StateKind::File => 3,
        StateKind::Reference => 4,
        StateKind::Item | StateKind::Sealed => 5,
    }
}

/// Returns the kind of state that a string names where it stands, if it names any.
fn kind_of(text: &WalkedText<'_>) -> Option<StateKind> {
    let WalkedText { top, parent, key, depth, .. } = *text;
    let is_top = depth == 1;
    if !is_top && matches!(top, b"metadata" | b"text" | b"response_format") {
        return None;
    }
    Some(match key {
        b"previous_response_id" | b"response_id" if is_top => StateKind::Response,
        b"conversation" | b"thread_id" if is_top => StateKind::Conversation,
        b"id" => return kind_of_id(top, parent, depth),
        b"container" if is_top || top == b"tools" => StateKind::Container,
        b"container_id" => StateKind::Container,
        b"file_id" | b"file_ids" | b"input_file_id" => StateKind::File,
        b"training_file" | b"validation_file" if is_top => StateKind::File,
        b"vector_store_ids" | b"vector_store_id" | b"skill_id" => StateKind::Object,
        b"assistant_id" if is_top => StateKind::Object,
        b"cachedContent" | b"cached_content" => StateKind::Object,
        b"fileUri" | b"file_uri" => StateKind::File,
        b"encrypted_content" | b"encrypted_index" | b"signature" | b"thought_signature" | b"thoughtSignature" => {
            StateKind::Sealed
        }
        b"data" if top == b"messages" && SEALED_LISTS.contains(&parent) => StateKind::Sealed,
        b"approval_request_id" if top == b"input" => StateKind::Reference,
        _ => return None,
    })
}

/// Returns the kind of what an `id` names, by where it stands.
fn kind_of_id(top: &[u8], parent: &[u8], depth: usize) -> Option<StateKind> {
    Some(match (top, depth) {
        (b"conversation", 2) => StateKind::Conversation,
        (b"container", 2) => StateKind::Container,
        (b"prompt", 2) => StateKind::Object,
        (b"input", 3) => StateKind::Item,
        (b"data_source", _) if parent == b"source" => StateKind::File,
        (b"messages", _) if parent == b"audio" => StateKind::Reference,
        _ => return None,
    })
}
