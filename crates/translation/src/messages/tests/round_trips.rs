//! Tests that what the API says survives the neutral form.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{TARGET, read, write_for};

/// Texts with what JSON escapes; never blank, as the API wants them.
fn words() -> impl Strategy<Value = String> {
    "[a-z\"\\\\\n\u{e9}\u{1f600}]{0,12}[a-z]"
}

fn marked(block: Value, is_marked: bool) -> Value {
    let mut block = block;
    if is_marked {
        block["cache_control"] = json!({"type": "ephemeral", "ttl": "1h"});
    }
    block
}

fn user_block() -> impl Strategy<Value = Value> {
    let text = words().prop_map(|text| json!({"type": "text", "text": text}));
    let image = words()
        .prop_map(|id| json!({"type": "image", "source": {"type": "url", "url": format!("https://e.org/{id}.png")}}));
    let document = (words(), words()).prop_map(|(title, data)| {
        json!({"type": "document", "title": title, "citations": {"enabled": true},
            "source": {"type": "text", "media_type": "text/plain", "data": data}})
    });
    prop_oneof![text, image, document]
}

fn result_block() -> impl Strategy<Value = Value> {
    ("[a-zA-Z0-9_-]{1,20}", words(), any::<bool>()).prop_map(|(id, text, is_error)| {
        let mut block = json!({"type": "tool_result", "tool_use_id": format!("t{id}"), "content": text});
        if is_error {
            block["is_error"] = json!(true);
        }
        block
    })
}

fn assistant_block() -> impl Strategy<Value = Value> {
    let text = words().prop_map(|text| json!({"type": "text", "text": text}));
    // Signatures differ, as vendors' do.
    let thought = (words(), any::<u64>())
        .prop_map(|(text, seal)| json!({"type": "thinking", "thinking": text, "signature": format!("EqQB+/{seal}==")}));
    let call = ("[a-zA-Z0-9_-]{1,20}", words()).prop_map(|(id, value)| {
        json!({"type": "tool_use", "id": format!("t{id}"), "name": "f", "input": {"value": value, "n": 1.5, "o": null}})
    });
    let hidden = any::<u64>().prop_map(|data| json!({"type": "redacted_thinking", "data": format!("Er{data}")}));
    prop_oneof![text, thought, call, hidden]
}

fn turns() -> impl Strategy<Value = Vec<Value>> {
    let user = (prop::collection::vec(result_block(), 0..3), prop::collection::vec(user_block(), 1..3)).prop_map(
        |(mut results, blocks)| {
            results.extend(blocks);
            json!({"role": "user", "content": results})
        },
    );
    let assistant = prop::collection::vec(assistant_block(), 1..4)
        .prop_map(|blocks| json!({"role": "assistant", "content": blocks}));
    prop::collection::vec((user, assistant), 1..4).prop_map(|pairs| {
        let mut turns: Vec<_> = pairs.into_iter().flat_map(|(user, assistant)| [user, assistant]).collect();
        turns.push(json!({"role": "user", "content": [{"type": "text", "text": "and now?"}]}));
        turns
    })
}

fn options() -> impl Strategy<Value = Value> {
    let thinking = prop_oneof![
        Just(json!({})),
        Just(json!({"thinking": {"type": "disabled"}, "temperature": 0.5})),
        Just(json!({"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "xhigh"}})),
        Just(json!({"thinking": {"type": "enabled", "budget_tokens": 2048}})),
        Just(json!({"top_k": 40, "top_p": 0.5, "stop_sequences": ["END"]})),
    ];
    let format = prop_oneof![
        Just(json!({})),
        Just(
            json!({"tools": [{"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}, "additionalProperties": false}, "strict": true}],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}})
        ),
        Just(json!({"metadata": {"user_id": "u"}, "stream": true, "cache_control": {"type": "ephemeral"}})),
        Just(json!({"service_tier": "standard_only"})),
    ];
    (thinking, format).prop_map(|(mut thinking, format)| {
        let more = format.as_object().expect("an object").clone();
        thinking.as_object_mut().expect("an object").extend(more);
        thinking
    })
}

/// Returns a body whose lists of one plain text are that text: the API takes both.
fn plain(mut body: Value) -> Value {
    for turn in body["messages"].as_array_mut().expect("turns") {
        let content = &turn["content"];
        let is_plain = content.as_array().is_some_and(|blocks| {
            blocks.len() == 1 && blocks[0]["type"] == "text" && blocks[0].get("cache_control").is_none()
        });
        if is_plain {
            turn["content"] = content[0]["text"].clone();
        }
    }
    body
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_request_that_is_read_and_written_says_the_same(
        turns in turns(), options in options(), marks in any::<bool>(), system in prop::option::of(words()),
    ) {
        let mut body = json!({"model": "claude-opus-5", "max_tokens": 4096, "messages": turns});
        body.as_object_mut().expect("an object").extend(options.as_object().expect("an object").clone());
        if let Some(system) = system {
            body["system"] = json!([marked(json!({"type": "text", "text": system}), true)]);
        }
        let first = body["messages"][0]["content"].as_array().expect("blocks").len() - 1;
        body["messages"][0]["content"][first] = marked(body["messages"][0]["content"][first].clone(), marks);
        let text = body.to_string();

        let (request, losses) = read(&text);
        prop_assert!(losses.is_empty(), "{}", losses);
        let (written, losses) = write_for(&request, &TARGET);
        prop_assert!(losses.is_empty(), "{}", losses);
        prop_assert_eq!(plain(written), plain(body));
    }

    #[test]
    fn no_body_whatever_it_is_makes_the_reader_panic(body in ".{0,200}", json in "[{}\\[\\]\",:a-z0-9]{0,60}") {
        use crate::translation::Api;
        for body in [body, format!(r#"{{"messages":[{json}],"tools":[{json}],"system":[{json}]}}"#)] {
            let mut losses = crate::loss::LossReport::default();
            let _ = super::Messages.read_request(body.as_bytes(), &mut losses);
            let _ = super::Messages.read_answer(body.as_bytes());
            let _ = super::Messages.read_error(400, body.as_bytes());
        }
    }
}
