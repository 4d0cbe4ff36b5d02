//! Chat completions there and back: what the API says survives.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::conversion::sealed::VendorSeal;

fn there_and_back(body: &Value) -> Value {
    let text = body.to_string();
    let mut losses = LossReport::default();
    let request = read(&text, &mut losses).expect("a request");
    let (mut back, written) = write_as(DialectFamily::Chat, request);
    assert_eq!((losses.to_string(), written.to_string()), (String::new(), String::new()));
    back["model"] = body["model"].clone();
    back
}

/// Returns every kind of message.
fn every_message() -> Value {
    json!([
            {"role": "system", "content": [{"type": "text", "text": "s", "prompt_cache_breakpoint": {"mode": "explicit"}}]},
            {"role": "developer", "content": "d", "name": "dev"},
            {"role": "user", "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO", "detail": "original"}},
                {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "video_url", "video_url": {"url": "https://a.example/c.mp4"}},
                {"type": "unheard_of", "x": 1}]},
            {"role": "assistant", "content": "b", "reasoning_content": "hm", "tool_calls": [
                {"id": "a.1:b", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"},
                    "extra_content": {"google": {"thought_signature": "EqQB"}}},
                {"id": "c", "type": "custom", "custom": {"name": "g", "input": "x"}}]},
            {"role": "tool", "tool_call_id": "a.1:b", "content": "1"},
            {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "1"}, {"type": "text", "text": "2"}]},
            {"role": "user", "content": ""},
            {"role": "assistant", "content": null, "refusal": "no"},
            {"role": "assistant", "content": "y", "reasoning_details": [
                {"type": "reasoning.text", "text": "t", "signature": "S", "format": "anthropic-claude-v1", "index": 0},
                {"type": "reasoning.encrypted", "data": "E", "id": "rs_1", "index": 1}]},
            {"role": "assistant", "content": "z"}])
}

#[test]
fn a_request_with_everything_comes_back_as_it_was() {
    let mut body: Value = serde_json::from_str(
        r#"{
        "model": "gpt-5", "temperature": 0.5, "top_p": 0.9, "top_k": 5.0, "seed": 3, "presence_penalty": 0.1,
        "frequency_penalty": -0.1, "logit_bias": {"5": 1}, "logprobs": true, "top_logprobs": 2, "n": 2,
        "stop": ["a", "b", "c", "d", "e"], "reasoning_effort": "xhigh", "verbosity": "low", "stream": true,
        "stream_options": {"include_usage": true}, "max_completion_tokens": 7, "prompt_cache_key": "k",
        "prompt_cache_options": {"mode": "explicit", "ttl": "30m"}, "prompt_cache_retention": "24h",
        "service_tier": "flex", "user": "u", "metadata": {"a": "b"}, "store": true,
        "modalities": ["text", "audio"], "audio": {"voice": "x", "format": "wav"},
        "prediction": {"type": "content", "content": "x"}, "web_search_options": {}, "chat_template_kwargs": {"a": 1},
        "moderation": {"model": "omni"}, "parallel_tool_calls": false,
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [
            {"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "g"}}]}},
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}},
            {"type": "custom", "custom": {"name": "g", "description": "e",
                "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "s"}}}}],
        "response_format": {"type": "json_schema", "json_schema":
            {"name": "n", "description": "d", "schema": {"type": "object"}, "strict": false}}
        }"#,
    )
    .expect("JSON");
    body["messages"] = every_message();
    let mut back = there_and_back(&body);

    // The text of thoughts is written beside their details, as servers themselves do.
    let repeated = back["messages"][8].as_object_mut().expect("a message").remove("reasoning_content");
    assert_eq!(repeated, Some(json!("t")));
    assert_eq!(back, body);
}

#[test]
fn an_answer_comes_back_as_it_was() {
    let body = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 5, "model": "m", "service_tier": "default",
        "choices": [
            {"index": 0, "finish_reason": "tool_calls", "logprobs": null, "message": {"role": "assistant", "content": "a",
                "refusal": null, "reasoning_content": "hm",
                "annotations": [{"type": "url_citation", "url_citation":
                    {"start_index": 0, "end_index": 1, "title": "t", "url": "https://a.example"}}],
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "d", "type": "custom", "custom": {"name": "g", "input": "x"}}]}},
            {"index": 1, "finish_reason": "content_filter", "logprobs": {"content": [], "refusal": null},
                "message": {"role": "assistant", "content": null, "refusal": "no"}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8,
            "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 1}}});
    let memo = RequestMemo::default();
    let back = OWN.answer(body.to_string().as_bytes(), &details(&memo)).expect("an answer");

    assert_eq!(serde_json::from_slice::<Value>(&back).expect("JSON"), body);
}

fn content() -> impl Strategy<Value = Value> {
    prop_oneof![
        ".{1,20}".prop_map(|text| json!(text)),
        prop::collection::vec(".{1,9}".prop_map(|text| json!({"type": "text", "text": text})), 2..4)
            .prop_map(Value::Array),
    ]
}

fn message() -> impl Strategy<Value = Value> {
    let call = ("[a-zA-Z0-9_.:-]{1,12}", "[a-z]{1,8}", ".{0,12}").prop_map(|(id, name, arguments)| {
        json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
    });
    prop_oneof![
        content().prop_map(|content| json!({"role": "system", "content": content})),
        content().prop_map(|content| json!({"role": "user", "content": content})),
        content().prop_map(|content| json!({"role": "assistant", "content": content})),
        (content(), prop::collection::vec(call, 1..4))
            .prop_map(|(content, calls)| json!({"role": "assistant", "content": content, "tool_calls": calls})),
        ("[a-z]{1,8}", content())
            .prop_map(|(id, content)| json!({"role": "tool", "tool_call_id": id, "content": content})),
    ]
}

proptest! {
    #[test]
    fn conversations_come_back_as_they_were(messages in prop::collection::vec(message(), 0..8)) {
        // Two messages of a model's with calls are never neighbours: results stand between them.
        let ends_calls = |message: &Value| message["role"] == "assistant" && message["tool_calls"].is_array();
        let mut legal: Vec<Value> = Vec::new();
        for message in messages {
            if legal.last().is_some_and(ends_calls) && message["role"] == "assistant" {
                continue;
            }
            legal.push(message);
        }
        let body = json!({"model": "m", "messages": legal});

        prop_assert_eq!(there_and_back(&body), body);
    }
}

#[test]
fn what_other_vendors_sealed_is_taken_out_and_every_other_byte_stays() {
    let seal = |maker| VendorSeal::new(maker, "SIG").to_field(DialectFamily::Chat).into_owned();
    let (claude, google) = (seal(DialectFamily::Messages), seal(DialectFamily::Gemini));
    let own = r#"{"type":"reasoning.encrypted","data":"E"}"#;
    let body = format!(
        r#"{{ "messages": [ {{"role": "user", "content":  "a", "odd": 1}},
        {{"role":"assistant","content":"b","reasoning_content":"hm","reasoning_details":[{{"type":"reasoning.text","text":"hm","signature":"{claude}"}},{own}]}},
        {{"role":"assistant","content":null,"tool_calls":[{{"id":"c","type":"function","function":{{"name":"f","arguments":"{{ }}"}},"extra_content":{{"google":{{"thought_signature":"{google}"}}}}}}]}} ],
        "model" : "auto","stream":true, "odd": null }}"#
    );
    let expected = format!(
        r#"{{ "messages": [ {{"role": "user", "content":  "a", "odd": 1}},
        {{"role":"assistant","content":"b","reasoning_details":[{own}]}},
        {{"role":"assistant","content":null,"tool_calls":[{{"id":"c","type":"function","function":{{"name":"f","arguments":"{{ }}"}}}}]}} ],
        "model" : "m","stream":true, "odd": null }}"#
    );
    let target = TranslationTarget { model: "m", max_output: None };
    let cleaned = OWN.request(body.as_bytes(), &target).expect("cleaned");

    assert_eq!(String::from_utf8(cleaned.body.clone()).expect("text"), expected);
    assert_eq!(&cleaned.body[cleaned.model_span], b"\"m\"");
    assert!(cleaned.stream);
    assert_eq!(cleaned.losses.to_string(), "dropped=thinking,thinking.sealed");
}
