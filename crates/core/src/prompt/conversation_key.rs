//! What requests of one conversation have in common: the session that the client names, or how it begins.
//!
//! Keys are the first half of a SHA-256, so that every replica, of whatever version, comes to the same.

use sha2::{Digest, Sha256};

use crate::prompt::Prompt;

/// The headers in which clients, agents and gateways before us name the session, the most specific first.
pub const SESSION_HEADERS: [&str; 17] = [
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

/// The bytes of each turn that count. Conversations that agree on more than that share most of their KV cache anyway.
const TURN: usize = 16 << 10;

/// The headers that name the agent of a session: a sub-agent's conversation is one of its own. Recorded from the
/// clients.
pub const AGENT_HEADERS: [&str; 2] = [
    "x-claude-code-agent-id", // Claude Code 2.1.332, absent on the main agent
    "thread-id",              // Codex 0.171.0, equal to `session-id` on the main thread
];

/// A part of Claude Code's first system line on requests of sub-agents, whose session is the main agent's.
const SUB_AGENT: &str = "cc_is_subagent=true";

/// The beginning of the line that Claude Code puts first into the system text, with a nonce that changes within a
/// session.
const BILLING_LINE: &str = "x-anthropic-billing-header:";

/// The bytes of a system text that are read for what of it stays.
const READ: usize = 4 * TURN;

/// Returns the key of the conversation that a request belongs to: `session` is what a header of [`SESSION_HEADERS`]
/// says, the body's own word comes next, then how the conversation begins. A sub-agent, by the `agent` that a header of
/// [`AGENT_HEADERS`] names, has a conversation of its own within the session. A `prompt_cache_key` only sets beginnings
/// apart: some clients send one for all their prompts of a kind.
pub fn key(session: Option<&str>, agent: Option<&str>, prompt: &Prompt<'_>) -> u64 {
    match (session.or(prompt.session.id.as_deref()), prompt.session.cache_key.as_deref()) {
        (Some(session), _) => {
            let is_sub_agent = || prompt.leading_system_texts().next().map(first_line).is_some_and(names_sub_agent);
            if agent.is_none() && is_sub_agent() {
                let named = Sha256::new().chain_update("session").chain_update(session);
                return first_half(named.chain_update([0xff]).chain_update(beginning(prompt).to_le_bytes()));
            }
            named_key(session, agent)
        }
        (None, Some(cache_key)) => {
            let beginning = beginning(prompt).to_le_bytes();
            first_half(Sha256::new().chain_update("cache key").chain_update(beginning).chain_update(cache_key))
        }
        (None, None) => beginning(prompt),
    }
}

/// Returns the key of the session that a header names, of a request that holds no prompt.
#[must_use]
pub fn named_key(session: &str, agent: Option<&str>) -> u64 {
    let mut hasher = Sha256::new().chain_update("session").chain_update(session);
    if let Some(agent) = agent {
        hasher = hasher.chain_update([0xff]).chain_update(agent);
    }
    first_half(hasher)
}

/// Returns a key of how the conversation begins: all system and developer texts at its front without what changes in
/// them from turn to turn, and the first ask. They stay the same while the conversation grows.
#[must_use]
pub fn beginning(prompt: &Prompt<'_>) -> u64 {
    let mut hasher = Sha256::new();
    for text in prompt.leading_system_texts() {
        hash_what_stays(text, &mut hasher);
        hasher.update([0xff]); // no UTF-8 holds it
    }
    let ask = prompt.first_ask();
    let first = if ask.is_empty() { prompt.texts().next().unwrap_or_default() } else { &ask };
    hasher.update([0xfe]);
    hasher.update(start(first));
    first_half(hasher)
}

fn start(text: &str) -> &str {
    &text[..text.floor_char_boundary(TURN)]
}

fn names_sub_agent(line: &str) -> bool {
    line.contains(SUB_AGENT)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Hashes a system text without its volatile parts: clocks, nonces and whatever else has digits, names of days and
/// months, and lines that are known to change.
///
/// So much as [`TURN`] of what stays counts: a cut before that would part conversations by the length of their clocks.
fn hash_what_stays(text: &str, hasher: &mut Sha256) {
    let mut left = TURN;
    let text = &text[..text.floor_char_boundary(READ)];
    for line in text.lines().filter(|line| !line.starts_with(BILLING_LINE)) {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-_:.+/=".contains(c);
        // Texts without spaces between words hold dates too: only the runs go.
        for run in line.split_inclusive(|c: char| !is_part(c)) {
            let word = run.trim_end_matches(|c: char| !is_part(c));
            let is_volatile = word.bytes().any(|byte| byte.is_ascii_digit()) || is_of_calendar(word);
            let stays = if is_volatile { &run[word.len()..] } else { run };
            let stays = &stays.as_bytes()[..stays.len().min(left)];
            hasher.update(stays);
            left -= stays.len();
            if left == 0 {
                return;
            }
        }
    }
}

fn is_of_calendar(word: &str) -> bool {
    let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
    CALENDAR.iter().any(|known| bare.eq_ignore_ascii_case(known))
}

/// Words of a date.
const CALENDAR: [&str; 40] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "mon",
    "tue",
    "wed",
    "thu",
    "fri",
    "sat",
    "sun",
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "jan",
    "feb",
    "mar",
    "apr",
    "jun",
    "jul",
    "aug",
    "sep",
    "sept",
    "oct",
    "nov",
    "dec",
    "am",
    "pm",
];

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

        assert_eq!(key(None, None, &named), key(None, None, &other));
        assert_eq!(key(Some("s"), None, &plain), key(None, None, &named));
        assert_ne!(key(Some("t"), None, &named), key(None, None, &named));
        assert_eq!(key(None, None, &plain), beginning(&plain));
    }

    #[test]
    fn a_cache_key_sets_conversations_apart_and_never_joins_them() {
        let parse = |body: &'static str| Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a prompt");
        let one = parse(r#"{"model": "m", "prompt_cache_key": "k", "messages": [{"role": "user", "content": "a"}]}"#);
        let two = parse(r#"{"model": "m", "prompt_cache_key": "k", "messages": [{"role": "user", "content": "b"}]}"#);
        let three = parse(r#"{"model": "m", "prompt_cache_key": "l", "messages": [{"role": "user", "content": "a"}]}"#);

        let keys = [&one, &two, &three].map(|prompt| key(None, None, prompt));
        assert!(keys[0] != keys[1] && keys[0] != keys[2] && keys[1] != keys[2], "{keys:?}");
    }

    #[test]
    fn strangers_of_an_application_with_several_system_texts_have_keys_of_their_own() {
        let alice = [("system", "be brief"), ("developer", "speak French"), ("user", "hello")];
        let bob = [("system", "be brief"), ("developer", "speak French"), ("user", "thanks!")];
        let others = [("system", "be brief"), ("developer", "speak Thai"), ("user", "hello")];

        assert_ne!(key_of(&alice), key_of(&bob));
        assert_ne!(key_of(&alice), key_of(&others));
    }

    #[test]
    fn a_clock_or_a_nonce_in_the_system_text_does_not_part_a_conversation() {
        for [before, after] in [
            ["Today is Monday, 30 November 2026, 09:59 am.", "Today is Tuesday, 1 December 2026, 10:01 pm."],
            ["trace=7f3a-11ee-be56, be kind", "trace=0b1c-22ff-ab99, be kind"],
            [
                "x-anthropic-billing-header: cc_version=2.1.332.88a; cch=abc;\nbe kind",
                "x-anthropic-billing-header: cch=fee;\nbe kind",
            ],
            ["现在是2026年11月29日，你是助手", "现在是2026年12月1日，你是助手"],
        ] {
            assert_eq!(
                key_of(&[("system", before), ("user", "hi")]),
                key_of(&[("system", after), ("user", "hi")]),
                "{before}"
            );
        }
        assert_ne!(key_of(&[("system", "be kind"), ("user", "hi")]), key_of(&[("system", "be cruel"), ("user", "hi")]));
    }

    #[test]
    fn harness_text_before_the_first_ask_is_no_part_of_it() {
        let first = [("user", "<system-reminder>\none\n</system-reminder>\nhello")];
        let later =
            [("user", "<system-reminder>\ntwo\n</system-reminder>\nhello"), ("assistant", "hi"), ("user", "more")];

        assert_eq!(key_of(&first), key_of(&later));
    }

    #[test]
    fn a_sub_agent_has_a_conversation_of_its_own_within_its_session() {
        let read = |system: &str| {
            let body = json!({"model": "m", "session_id": "s", "messages": [
                {"role": "system", "content": system}, {"role": "user", "content": "look for it"}]});
            let body = body.to_string();
            key(None, None, &Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a prompt"))
        };
        let body = r#"{"model": "m", "messages": [{"role": "user", "content": "a"}]}"#;
        let plain = Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a prompt");

        assert_ne!(key(Some("s"), Some("a7a6"), &plain), key(Some("s"), None, &plain));
        assert_ne!(key(Some("s"), Some("a7a6"), &plain), key(Some("s"), Some("b8b7"), &plain));
        assert_ne!(
            read("x-anthropic-billing-header: cc_is_subagent=true;"),
            read("x-anthropic-billing-header: cc_version=2;")
        );
    }

    #[test]
    fn a_clock_before_a_long_system_text_does_not_part_a_conversation_by_its_length() {
        let long = "Follow every rule of the house. ".repeat(1000);
        let at = |clock: &str| key_of(&[("system", &format!("It is {clock}.\n{long}")), ("user", "hi")]);

        assert_eq!(at("9:59 am"), at("10:01 am"));
    }
}
