//! The order of an answer's parts in streams, and what is whole of an answer that fails.

use pointsman_translation::DialectFamily::{Chat, Gemini, Messages, Responses};
use serde_json::Value;

use super::{framed, pair, sent, stream};

/// Returns what the chunks of a stream of Google's hold, in short.
fn parts_of(chunks: &[String]) -> Vec<String> {
    let chunks = chunks.iter().flat_map(|piece| piece.lines()).filter_map(|line| line.strip_prefix("data: "));
    let mut found = Vec::new();
    for chunk in chunks {
        let chunk: Value = serde_json::from_str(chunk).expect("JSON");
        for part in chunk["candidates"][0]["content"]["parts"].as_array().into_iter().flatten() {
            match (&part["text"], &part["functionCall"]["name"]) {
                (Value::String(text), _) if !text.is_empty() => found.push(text.clone()),
                (_, Value::String(name)) => found.push(format!("call {name}")),
                _ => {}
            }
        }
    }
    found
}

#[test]
fn a_text_between_two_calls_of_a_stream_stands_between_them() {
    let call = |index: u8, name: &str| {
        format!(
            r#"{{"id":"a","choices":[{{"index":0,"delta":{{"tool_calls":[{{"index":{index},"id":"call_{index}","function":{{"name":"{name}","arguments":"{{}}"}}}}]}}}}]}}"#
        )
    };
    let said = |field: &str| format!(r#"{{"id":"a","choices":[{{"index":0,"delta":{{"{field}":"between"}}}}]}}"#);
    let end = r#"{"id":"a","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#;
    for field in ["content", "reasoning_content"] {
        let events = framed(&[&call(0, "first"), &said(field), &call(1, "second"), end, "[DONE]"]);

        let found = parts_of(&stream(pair(Gemini, Chat), &events));

        assert_eq!(found, ["call first", "between", "call second"], "{field}");
    }
}

#[test]
fn a_call_amid_which_an_answer_fails_is_no_call() {
    let events = framed(&[
        r#"{"type":"response.created","response":{"id":"a","model":"m","status":"in_progress","output":[]}}"#,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","id":"f1","call_id":"call_1","name":"f","arguments":""}}"#,
        r#"{"type":"response.failed","response":{"id":"a","model":"m","status":"failed","error":{"code":"server_error","message":"oops"},"output":[{"type":"function_call","id":"f1","call_id":"call_1","name":"f","arguments":""}]}}"#,
    ]);
    for client in [Chat, Messages, Gemini] {
        let all = stream(pair(client, Responses), &events).concat();

        assert!(all.contains("oops"), "{client:?}: {all}");
        assert!(!all.contains(r#""arguments":"{}""#) && !all.contains("functionCall"), "{client:?}: {all}");
        assert!(!all.contains("content_block_stop"), "{client:?}: {all}");
    }
}

#[test]
fn a_conversation_that_begins_with_a_call_has_a_turn_before_it_for_google() {
    let body = r#"{"model":"m","messages":[{"role":"system","content":"Be brief."},
        {"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"call_1","content":"1"}]}"#;

    let (body, losses) = sent(pair(Chat, Gemini), body);

    let roles: Vec<_> = body["contents"].as_array().expect("a list").iter().map(|turn| &turn["role"]).collect();
    assert_eq!(roles, ["user", "model", "user"]);
    assert!(losses.contains("empty_turns"), "{losses}");
    let greeted = r#"{"model":"m","messages":[{"role":"assistant","content":"Hello"},{"role":"user","content":"Hi"}]}"#;
    assert_eq!(sent(pair(Chat, Gemini), greeted).0["contents"].as_array().map(Vec::len), Some(2));
}
