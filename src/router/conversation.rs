//! What requests of one conversation have in common: the session that the client names, or how it begins.
//!
//! Keys are the first half of a SHA-256, so that every replica, of whatever version, comes to the same.

use sha2::{Digest, Sha256};

use crate::prompt::Prompt;

/// The headers in which clients, agents and gateways before us name the session, the most specific first.
pub(super) const SESSION_HEADERS: [&str; 17] = [
    "x-pointsman-session",      // ours
    "x-claude-code-session-id", // Claude Code since 2.1.86: anthropics/claude-code#40119, coder/aibridge#241
    "session-id",               // Codex CLI: KarpelesLab/teamclaude#352, raine/claude-code-proxy#156
    "session_id",               // Codex CLI until spring 2026: openai/codex#1614
    "conversation_id",          // Codex CLI of 2025, beside `session_id`
    "x-opencode-session",       // OpenCode: ianjwhite99/opencode-with-claude#48
    "x-session-affinity",       // OpenCode: anomalyco/opencode#20744
    "x-amp-thread-id",          // Amp: CLIProxyAPI's `routing.session-affinity`
    "x-grok-conv-id",           // clients of xAI: nousresearch/hermes-agent `agent/opencode_affinity.py`
    "x-openwebui-chat-id",      // Open WebUI with ENABLE_FORWARD_USER_INFO_HEADERS: open-webui/open-webui#15813
    "x-litellm-session-id",     // LiteLLM: nousresearch/hermes-agent, as above
    "helicone-session-id",      // Helicone: docs.helicone.ai/helicone-headers/header-directory
    "x-bf-session-id",          // Bifrost: docs.getbifrost.ai/providers/session-affinity
    "x-session-id",             // OpenRouter, Merge, Netclaw and many others: netclaw-dev/netclaw#610
    "x-conversation-id",        // in wide use
    "x-thread-id",              // in wide use
    "x-chat-id",                // in wide use
];

/// How much of each turn counts. Conversations that agree on more than that share most of their KV cache anyway.
const TURN: usize = 16 << 10;

/// Returns the key of the conversation that a request belongs to: `session` is what a header of [`SESSION_HEADERS`] says,
/// the body's own word comes next, then how the conversation begins. A `prompt_cache_key` only sets beginnings apart: some
/// clients send one for all their prompts of a kind.
pub(super) fn key(session: Option<&str>, prompt: &Prompt<'_>) -> u64 {
    match (session.or(prompt.session.id.as_deref()), prompt.session.cache_key.as_deref()) {
        (Some(session), _) => first_half(Sha256::new().chain_update("session").chain_update(session)),
        (None, Some(cache_key)) => {
            let beginning = beginning(prompt).to_le_bytes();
            first_half(Sha256::new().chain_update("cache key").chain_update(beginning).chain_update(cache_key))
        }
        (None, None) => beginning(prompt),
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

    #[test]
    fn a_header_s_word_goes_before_the_body_s_and_that_before_the_beginning() {
        let parse = |body: &'static str| Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a prompt");
        let plain = parse(r#"{"model": "m", "messages": [{"role": "user", "content": "a"}]}"#);
        let named = parse(r#"{"model": "m", "session_id": "s", "messages": [{"role": "user", "content": "a"}]}"#);
        let other = parse(r#"{"model": "m", "session_id": "s", "messages": [{"role": "user", "content": "b"}]}"#);

        assert_eq!(key(None, &named), key(None, &other));
        assert_eq!(key(Some("s"), &plain), key(None, &named));
        assert_ne!(key(Some("t"), &named), key(None, &named));
        assert_eq!(key(None, &plain), beginning(&plain));
    }

    #[test]
    fn a_cache_key_sets_conversations_apart_and_never_joins_them() {
        let parse = |body: &'static str| Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a prompt");
        let one = parse(r#"{"model": "m", "prompt_cache_key": "k", "messages": [{"role": "user", "content": "a"}]}"#);
        let two = parse(r#"{"model": "m", "prompt_cache_key": "k", "messages": [{"role": "user", "content": "b"}]}"#);
        let three = parse(r#"{"model": "m", "prompt_cache_key": "l", "messages": [{"role": "user", "content": "a"}]}"#);

        let keys = [key(None, &one), key(None, &two), key(None, &three)];
        assert!(keys[0] != keys[1] && keys[0] != keys[2] && keys[1] != keys[2], "{keys:?}");
    }
}
