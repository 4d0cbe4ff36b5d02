//! The human asks of a whole conversation, as chat logs have them: with the answers that followed.

use serde_json::{Map, Value, json};

/// The ask of a conversation that becomes a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedTurn {
    /// The first, by itself: what it needs is in its words.
    First,
    /// The last, with the turns before it.
    Last,
}

/// Cuts a row's conversation so that it ends with a human's ask; false where nobody asks. Rows with a prompt stay as
/// they are.
pub(crate) fn cut(row: &mut Map<String, Value>, asked: AskedTurn) -> bool {
    if let Some(Value::Array(turns)) = row.get("conversations")
        && !row.contains_key("messages")
    {
        let turns: Vec<Value> = turns.iter().map(turn).collect();
        row.remove("conversations");
        row.insert("messages".to_owned(), Value::Array(turns));
    }
    let body = match row.get_mut("messages") {
        Some(Value::Object(body)) => body.get_mut("messages"),
        other => other,
    };
    let Some(Value::Array(turns)) = body else { return true };
    let is_ask = |turn: &Value| turn["role"] == "user" && has_text(&turn["content"]);
    let place = match asked {
        AskedTurn::First => turns.iter().position(is_ask),
        AskedTurn::Last => turns.iter().rposition(is_ask),
    };
    let Some(place) = place else { return false };
    turns.truncate(place + 1);
    if asked == AskedTurn::First {
        turns.retain(|turn| turn["role"] == "system" || turn["role"] == "developer" || is_ask(turn));
    }
    alone(row);
    true
}

/// Makes a lone ask a `prompt`.
fn alone(row: &mut Map<String, Value>) {
    let Some(Value::Array(turns)) = row.get("messages") else { return };
    if let [turn] = &turns[..]
        && let Some(text) = turn["content"].as_str().map(str::to_owned)
    {
        row.remove("messages");
        row.insert("prompt".to_owned(), json!(text));
    }
}

/// Returns a turn of ShareGPT's logs (`from`, `value`) as a chat body has it.
fn turn(turn: &Value) -> Value {
    let role = turn["from"].as_str().or_else(|| turn["role"].as_str()).unwrap_or_default();
    let role = match role {
        "human" | "user" => "user",
        "system" => "system",
        "tool" | "function" => "tool",
        _ => "assistant",
    };
    let content = if turn["value"].is_null() { &turn["content"] } else { &turn["value"] };
    json!({"role": role, "content": content})
}

fn has_text(content: &Value) -> bool {
    match content {
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(parts) => parts.iter().any(|part| part["text"].is_string()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_to(row: Value, asked: AskedTurn) -> Option<Value> {
        let Value::Object(mut row) = row else { panic!("an object") };
        cut(&mut row, asked).then_some(Value::Object(row))
    }

    #[test]
    fn the_first_ask_stands_alone_and_the_last_keeps_what_was_before_it() {
        let said = |role: &str, content: &str| json!({"role": role, "content": content});
        let turns = [said("user", "a"), said("assistant", "b"), said("user", "c"), said("assistant", "d")];

        let first = cut_to(json!({ "messages": turns }), AskedTurn::First).expect("an ask");
        let last = cut_to(json!({ "messages": turns }), AskedTurn::Last).expect("an ask");

        assert_eq!(first, json!({"prompt": "a"}));
        assert_eq!(last, json!({"messages": turns[..3]}));
    }

    #[test]
    fn system_words_stay_with_the_first_ask() {
        let turns = json!([{"role": "system", "content": "s"}, {"role": "assistant", "content": "hello"},
            {"role": "user", "content": "a"}]);

        let first = cut_to(json!({ "messages": turns }), AskedTurn::First).expect("an ask");

        assert_eq!(first["messages"], json!([{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]));
    }

    #[test]
    fn logs_of_other_forms_are_read_and_a_conversation_that_nobody_asks_in_is_none() {
        let shared = json!({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "x": 1});

        assert_eq!(cut_to(shared, AskedTurn::Last), Some(json!({"prompt": "a", "x": 1})));
        assert_eq!(cut_to(json!({"messages": [{"role": "assistant", "content": "b"}]}), AskedTurn::Last), None);
        assert_eq!(cut_to(json!({"prompt": "p"}), AskedTurn::First), Some(json!({"prompt": "p"})));
    }
}
