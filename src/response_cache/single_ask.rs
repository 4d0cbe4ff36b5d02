//! The ask of a request that asks once: one text of one user, beside instructions and parameters.
//!
//! Only such requests are compared by what they mean. Everything around the ask must be the same to the byte, but for the
//! order of keys.

use pointsman_core::prompt::Dialect;
use serde_json::Value;

/// The longest ask that is compared, in bytes: encoders read the beginning of a longer one.
const MAX_ASK: usize = 2048;

/// The largest request that is compared.
const MAX_BODY: usize = 64 << 10;

/// Everything of a request but its ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AskFrame(pub(super) [u8; 32]);

/// The one ask of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SingleAsk {
    /// The ask's text.
    pub(crate) text: String,
    /// The request around it, as JSON with its keys in order.
    pub(crate) around: Vec<u8>,
}

impl SingleAsk {
    /// Reads the ask of a request; `None` for one that is a conversation, holds more than text, or is too large.
    pub(crate) fn of(dialect: Dialect, body: &[u8]) -> Option<Self> {
        if body.len() > MAX_BODY {
            return None;
        }
        let mut request: Value = serde_json::from_slice(body).ok()?;
        let place = match dialect {
            Dialect::ChatCompletions | Dialect::Messages => in_messages(request.get_mut("messages")?, "text")?,
            Dialect::Responses => match request.get_mut("input")? {
                text @ Value::String(_) => text,
                items => in_messages(items, "input_text")?,
            },
            Dialect::GenerateContent | Dialect::StreamGenerateContent => in_contents(request.get_mut("contents")?)?,
            Dialect::Completions => request.get_mut("prompt")?,
            _ => return None,
        };
        let Value::String(text) = place.take() else { return None };
        if text.trim().is_empty() || text.len() > MAX_ASK {
            return None;
        }
        Some(Self { text, around: serde_json::to_vec(&request).ok()? })
    }
}

/// Returns the place of the only text of the only message that is no instruction.
fn in_messages<'v>(messages: &'v mut Value, kind: &str) -> Option<&'v mut Value> {
    let is_instruction = |message: &&mut Value| matches!(message["role"].as_str(), Some("system" | "developer"));
    let mut others = messages.as_array_mut()?.iter_mut().filter(|message| !is_instruction(message));
    let message = others.next().filter(|message| message["role"] == "user")?;
    if others.next().is_some() {
        return None;
    }
    match message.get_mut("content")? {
        text @ Value::String(_) => Some(text),
        Value::Array(parts) => match &mut parts[..] {
            [part] if part["type"] == kind => part.get_mut("text"),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the place of the only text of Google's contents.
fn in_contents(contents: &mut Value) -> Option<&mut Value> {
    let [content] = &mut contents.as_array_mut()?[..] else { return None };
    if !matches!(content["role"].as_str(), None | Some("user")) {
        return None;
    }
    let [part] = &mut content.get_mut("parts")?.as_array_mut()?[..] else { return None };
    part.as_object().filter(|part| part.len() == 1)?;
    part.get_mut("text")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask(dialect: Dialect, request: &Value) -> Option<SingleAsk> {
        SingleAsk::of(dialect, request.to_string().as_bytes())
    }

    #[test]
    fn the_one_ask_of_every_api_is_found() {
        let system = json!({"role": "system", "content": "Be brief."});
        for (dialect, request) in [
            (Dialect::ChatCompletions, json!({"messages": [system, {"role": "user", "content": "Why?"}]})),
            (
                Dialect::Messages,
                json!({"system": "x", "messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}]}),
            ),
            (Dialect::Responses, json!({"input": "Why?"})),
            (
                Dialect::Responses,
                json!({"input": [{"role": "user", "content": [{"type": "input_text", "text": "Why?"}]}]}),
            ),
            (Dialect::GenerateContent, json!({"contents": [{"parts": [{"text": "Why?"}]}]})),
            (Dialect::Completions, json!({"prompt": "Why?"})),
        ] {
            assert_eq!(ask(dialect, &request).map(|ask| ask.text).as_deref(), Some("Why?"), "{request}");
        }
    }

    #[test]
    fn the_frame_is_everything_else_whatever_the_order_of_keys() {
        let around = |text: &str| SingleAsk::of(Dialect::Completions, text.as_bytes()).expect("an ask").around;

        assert_eq!(around(r#"{"prompt": "a", "top_p": 1, "n": 1}"#), around(r#"{"n":1,"top_p":1,"prompt":"b"}"#));
        assert_ne!(around(r#"{"prompt": "a", "top_p": 1}"#), around(r#"{"prompt": "a", "top_p": 0.5}"#));
        assert_ne!(around(r#"{"prompt": "a"}"#), around(r#"{"prompt": "a", "stream": true}"#));
    }

    #[test]
    fn a_conversation_and_more_than_text_are_no_single_ask() {
        let user = |content: Value| json!({"role": "user", "content": content});
        let image = json!({"type": "image_url", "image_url": {"url": "data:,"}});
        for messages in [
            json!([user("a".into()), {"role": "assistant", "content": "b"}, user("c".into())]),
            json!([user("a".into()), user("b".into())]),
            json!([user(json!([{"type": "text", "text": "a"}, image]))]),
            json!([{"role": "tool", "content": "a"}]),
            json!([user("".into())]),
            json!([user("a".repeat(MAX_ASK + 1).into())]),
            json!([]),
        ] {
            assert_eq!(ask(Dialect::ChatCompletions, &json!({"messages": messages})), None, "{messages}");
        }
        assert_eq!(ask(Dialect::Embeddings, &json!({"input": "a"})), None);
        assert_eq!(ask(Dialect::Completions, &json!({"prompt": ["a", "b"]})), None);
    }
}
