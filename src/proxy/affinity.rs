//! What requests of one conversation have in common: how it begins.

use std::hash::{DefaultHasher, Hasher};

use crate::prompt::Prompt;

/// How much of each turn counts. Conversations that agree on more than that share most of their KV cache anyway.
const TURN: usize = 16 << 10;

/// Returns a key of the conversation's first turns: the system's, if there is one, and the user's after it. They stay
/// the same while the conversation grows.
pub(super) fn key(prompt: &Prompt<'_>) -> u64 {
    let turns = if prompt.system_chars > 0 { 2 } else { 1 };
    let mut hasher = DefaultHasher::new();
    for text in prompt.texts().take(turns) {
        let text = text.as_bytes();
        hasher.write(&text[..text.len().min(TURN)]);
        hasher.write_u8(0xff); // no UTF-8 holds it
    }
    hasher.finish()
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
        key(&Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a prompt"))
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
