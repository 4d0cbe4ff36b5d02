//! The outline of a body: its top-level keys, by which bodies that no dialect is known for, or that name no model, are
//! told apart.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::dialect::Dialect;

/// Returns the dialect whose grammar finds the text of a body of an unknown API.
#[must_use]
pub fn nearest_dialect(body: &[u8]) -> Dialect {
    let outline = outline(body);
    let has = |key: &str| outline.contains_key(key);
    if has("messages") {
        Dialect::ChatCompletions
    } else if has("input") {
        Dialect::Responses
    } else {
        Dialect::Completions
    }
}

/// Returns whether a body of the responses API asks by a prompt that its provider keeps, and that may name the model.
#[must_use]
pub fn has_stored_prompt(body: &[u8]) -> bool {
    outline(body).get("prompt").is_some_and(|prompt| prompt.get().starts_with('{'))
}

/// Returns the top level of `body`; empty where it is none that can be read.
fn outline(body: &[u8]) -> BTreeMap<Cow<'_, str>, &RawValue> {
    serde_json::from_slice(body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_body_say_which_grammar_reads_it() {
        assert_eq!(nearest_dialect(br#"{"model":"m","messages":[],"input":""}"#), Dialect::ChatCompletions);
        assert_eq!(nearest_dialect(br#"{"input":"read this aloud"}"#), Dialect::Responses);
        assert_eq!(nearest_dialect(br#"{"prompt":"a cat"}"#), Dialect::Completions);
        assert_eq!(nearest_dialect(b"[]"), Dialect::Completions);
    }

    #[test]
    fn a_stored_prompt_is_an_object() {
        assert!(has_stored_prompt(br#"{"input":"x","prompt":{"id":"pmpt_1"}}"#));
        assert!(!has_stored_prompt(br#"{"prompt":"x"}"#) && !has_stored_prompt(br#"{"x":{"prompt":{}}}"#));
    }
}
