//! What requests of one conversation have in common: the session that the client names, or how it begins.
//!
//! Keys are the first half of a SHA-256, so that every replica, of whatever version, comes to the same.

use sha2::{Digest, Sha256};

use crate::prompt::Prompt;

/// The headers in which clients, agents and SDKs name their session, ours first.
pub(super) const SESSION_HEADERS: [&str; 6] = [
    "x-pointsman-session",
    "x-session-id",
    "session-id",
    "session_id",
    "x-conversation-id",
    "x-claude-code-session-id",
];

/// How much of each turn counts. Conversations that agree on more than that share most of their KV cache anyway.
const TURN: usize = 16 << 10;

/// Returns the key of the conversation that a request belongs to.
pub(super) fn key(session: Option<&str>, prompt: &Prompt<'_>) -> u64 {
    match session {
        Some(session) => first_half(Sha256::new().chain_update("session").chain_update(session)),
        None => beginning(prompt),
    }
}

/// Returns a key of the conversation's first turns: the system's, if there is one, and the user's after it. They stay
/// the same while the conversation grows.
#[must_use]
pub fn beginning(prompt: &Prompt<'_>) -> u64 {
    let turns = if prompt.system_chars > 0 { 2 } else { 1 };
    let mut hasher = Sha256::new();
    for text in prompt.texts().take(turns) {
        let text = text.as_bytes();
        hasher.update(&text[..text.len().min(TURN)]);
        hasher.update([0xff]); // no UTF-8 holds it
    }
    first_half(hasher)
}

fn first_half(hasher: Sha256) -> u64 {
    u64::from_le_bytes(hasher.finalize()[..8].try_into().expect("a digest has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::prompt::Dialect;

    fn key_of(turns: &[(&str, &str)]) -> u64 {
        let messages: Vec<Value> =
            turns.iter().map(|(role, content)| json!({"role": role, "content": content})).collect();
        let body = json!({"model": "auto", "messages": messages}).to_string();
        beginning(&Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a prompt"))
    }

    #[test]
    fn a_conversation_keeps_its_key_while_it_grows() {
        let begun = [("user", "hello")];
        let grown = [("user", "hello"), ("assistant", "hi"), ("user", "and now?")];
        let instructed = [("system", "be brief"), ("user", "hello")];
        let instructed_and_grown = [instructed.as_slice(), &grown[1..]].concat();

        assert_eq!(key_of(&begun), key_of(&grown));
        assert_eq!(key_of(&instructed), key_of(&instructed_and_grown));
    }

    #[test]
    fn conversations_that_begin_differently_differ() {
        let keys = [
            key_of(&[("user", "hello")]),
            key_of(&[("user", "good morning")]),
            key_of(&[("system", "be brief"), ("user", "hello")]),
            key_of(&[("system", "be brief"), ("user", "good morning")]),
            key_of(&[("system", "be briefh"), ("user", "ello")]),
        ];

        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{index}");
        }
    }
}
