//! The outline of a body: its top-level keys, by which bodies that no dialect is known for, or that name no model, are
//! told apart.

use super::dialect::Dialect;
use super::scan::{self, JsonMember};

/// Returns the dialect whose grammar finds the text of a body of an unknown API.
#[must_use]
pub fn nearest_dialect(body: &[u8]) -> Dialect {
    let (mut has_messages, mut has_input, mut has_contents) = (false, false, false);
    for member in members(body) {
        let name = member.name(body).unwrap_or_default();
        has_messages |= name == "messages";
        has_input |= name == "input";
        has_contents |= name == "contents";
    }
    match (has_messages, has_input) {
        (true, _) => Dialect::ChatCompletions,
        (false, true) => Dialect::Responses,
        (false, false) if has_contents => Dialect::GenerateContent,
        (false, false) => Dialect::Completions,
    }
}

/// Returns whether a body of the responses API asks by a prompt that its provider keeps, and that may name the model.
#[must_use]
pub fn has_stored_prompt(body: &[u8]) -> bool {
    let prompt = members(body).filter(|member| member.name(body).as_deref() == Some("prompt")).last();
    prompt.is_some_and(|prompt| body[prompt.value].starts_with(b"{"))
}

/// Returns the members of the top level of `body`, whatever text stands in them; none where it is no object.
fn members(body: &[u8]) -> impl Iterator<Item = JsonMember> {
    scan::object_at(body, 0).into_iter().flat_map(|open| scan::members(body, open))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_body_say_which_grammar_reads_it() {
        assert_eq!(nearest_dialect(br#"{"model":"m","messages":[],"input":""}"#), Dialect::ChatCompletions);
        assert_eq!(nearest_dialect(br#"{"input":"read this aloud"}"#), Dialect::Responses);
        assert_eq!(nearest_dialect(br#"{"prompt":"a cat"}"#), Dialect::Completions);
        assert_eq!(nearest_dialect(br#"{"contents":[{"parts":[{"text":"a cat"}]}]}"#), Dialect::GenerateContent);
        assert_eq!(nearest_dialect(b"[]"), Dialect::Completions);
        for odd in [&b"\"\\ud800\":1"[..], b"\"a\":\"\xff\"", b"\"a\":1e999"] {
            let body = [b"{", odd, b",\"messages\":[]}"].concat();
            assert_eq!(nearest_dialect(&body), Dialect::ChatCompletions, "{}", String::from_utf8_lossy(&body));
        }
    }

    #[test]
    fn a_stored_prompt_is_an_object() {
        assert!(has_stored_prompt(br#"{"input":"x","prompt":{"id":"pmpt_1"}}"#));
        assert!(!has_stored_prompt(br#"{"prompt":"x"}"#) && !has_stored_prompt(br#"{"x":{"prompt":{}}}"#));
    }
}
