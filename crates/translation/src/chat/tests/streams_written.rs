//! Streams, written.

use serde_json::json;

use super::*;
use crate::conversion::sealed::VendorSeal;
use crate::neutral::{CallKind, ErrorKind, NeutralError, NeutralUsage, PartDelta, PartKind, Stop, StopReason};

fn written(memo: &RequestMemo, events: &[StreamEvent<'_>]) -> Vec<Value> {
    let mut writer = Chat.event_writer(&details(memo));
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.write(event, &mut out));
    let text = String::from_utf8(out).expect("text");
    let blocks: Vec<_> = text.split_terminator("\n\n").collect();
    blocks
        .into_iter()
        .map(|block| match block.strip_prefix("data: ").expect("data") {
            "[DONE]" => json!("done"),
            data => serde_json::from_str(data).expect("JSON"),
        })
        .collect()
}

fn begin() -> StreamEvent<'static> {
    StreamEvent::Begin { id: Some("msg_1".into()), model: Some("m".into()), created: None, usage: None }
}

fn open(part: usize, kind: PartKind<'static>) -> StreamEvent<'static> {
    StreamEvent::Open { part, choice: 0, kind }
}

fn text(part: usize, text: &'static str) -> StreamEvent<'static> {
    StreamEvent::Delta { part, delta: PartDelta::Text(text.into()) }
}

fn arguments(part: usize, text: &'static str) -> StreamEvent<'static> {
    StreamEvent::Delta { part, delta: PartDelta::Arguments(text.into()) }
}

fn stop(reason: StopReason) -> StreamEvent<'static> {
    StreamEvent::Stop { choice: 0, stop: Stop::of(reason) }
}

fn call(id: &'static str, name: &'static str) -> PartKind<'static> {
    PartKind::ToolCall { id: id.into(), name: name.into(), kind: CallKind::Function }
}

fn deltas(chunks: &[Value]) -> Vec<Value> {
    chunks.iter().filter_map(|chunk| chunk["choices"].get(0)).map(|choice| choice["delta"].clone()).collect()
}

#[test]
fn a_stream_begins_with_the_role_and_ends_with_the_usage_that_the_client_asked_for() {
    let usage = NeutralUsage { input: 5, output: 2, cache_read: Some(1), ..NeutralUsage::default() };
    let events = [
        begin(),
        open(0, PartKind::Text),
        text(0, "a"),
        StreamEvent::Close { part: 0 },
        stop(StopReason::EndTurn),
        StreamEvent::Usage(usage),
        StreamEvent::End,
    ];
    let memo = RequestMemo { includes_usage: true, ..RequestMemo::default() };
    let chunks = written(&memo, &events);

    let chunk = |delta: Value, finish: Value| {
        json!({"id": "msg_1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m", "usage": null,
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]})
    };
    assert_eq!(chunks[0], chunk(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null));
    assert_eq!(chunks[1], chunk(json!({"content": "a"}), Value::Null));
    assert_eq!(chunks[2], chunk(json!({}), json!("stop")));
    assert_eq!(chunks[3]["choices"], json!([]));
    assert_eq!(chunks[3]["usage"]["total_tokens"], 7);
    assert_eq!(chunks[4], "done");

    let chunks = written(&RequestMemo::default(), &events);
    assert_eq!(chunks.len(), 4);
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
}

#[test]
fn calls_are_numbered_by_their_order_and_have_arguments() {
    let chunks = written(
        &RequestMemo::default(),
        &[
            begin(),
            open(0, PartKind::Text),
            open(1, call("a", "f")),
            open(2, call("", "g")),
            arguments(2, "{\"x\""),
            arguments(2, ":1}"),
            StreamEvent::Close { part: 1 },
            StreamEvent::Close { part: 2 },
            stop(StopReason::EndTurn),
            StreamEvent::End,
        ],
    );

    let deltas = deltas(&chunks);
    let call = |call: Value| json!({"tool_calls": [call]});
    let begun = |index: u32, id: &str, name: &str| {
        call(json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}))
    };
    let piece = |index: u32, text: &str| call(json!({"index": index, "function": {"arguments": text}}));
    assert_eq!(
        deltas[1..6],
        [begun(0, "a", "f"), begun(1, "call_u1_0", "g"), piece(1, "{\"x\""), piece(1, ":1}"), piece(0, "{}")]
    );
    assert_eq!(chunks[6]["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn calls_of_tools_of_free_text_are_streamed_as_such() {
    let memo = RequestMemo { custom_tools: vec!["f".to_owned()], ..RequestMemo::default() };
    let chunks = written(
        &memo,
        &[
            begin(),
            open(0, call("a", "f")),
            arguments(0, "{\"input\": \"x\\"),
            arguments(0, "ny\"}"),
            StreamEvent::Close { part: 0 },
        ],
    );

    let deltas = deltas(&chunks);
    let begun = json!({"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": ""}});
    let piece = |text: &str| json!({"tool_calls": [{"index": 0, "custom": {"input": text}}]});
    assert_eq!(deltas[1..], [json!({"tool_calls": [begun]}), piece("x"), piece("\ny")]);
}

#[test]
fn a_thought_is_streamed_as_it_comes_and_sealed_at_its_end() {
    let sealed = VendorSeal::new(DialectFamily::Messages, "SIG");
    let thinking = PartKind::Thinking { is_summary: false, is_redacted: false };
    let chunks = written(
        &RequestMemo::default(),
        &[
            begin(),
            open(0, thinking),
            text(0, "h"),
            text(0, "m"),
            StreamEvent::Delta { part: 0, delta: PartDelta::Sealed(sealed.clone()) },
            StreamEvent::Close { part: 0 },
        ],
    );

    let deltas = deltas(&chunks);
    assert_eq!(deltas[1..3], [json!({"reasoning_content": "h"}), json!({"reasoning_content": "m"})]);
    let detail = &deltas[3]["reasoning_details"][0];
    assert_eq!((&detail["type"], &detail["text"]), (&json!("reasoning.text"), &json!("hm")));
    let signature = detail["signature"].as_str().expect("a text").to_owned();
    assert_eq!(VendorSeal::of_field(DialectFamily::Chat, signature.into()), sealed);
}

#[test]
fn a_refusal_a_failure_and_a_sign_of_life_have_their_forms() {
    let refused = Stop { reason: StopReason::Refusal, detail: Some("cyber".into()) };
    let chunks = written(&RequestMemo::default(), &[begin(), StreamEvent::Stop { choice: 0, stop: refused }]);
    assert_eq!(chunks[1]["choices"][0]["delta"], json!({"refusal": "cyber"}));
    assert_eq!(chunks[2]["choices"][0]["finish_reason"], "content_filter");

    let failure =
        NeutralError { kind: ErrorKind::Server, message: "m".into(), code: None, param: None, retry_after: None };
    let chunks = written(&RequestMemo::default(), &[begin(), StreamEvent::Failed(failure)]);
    assert_eq!(chunks[1]["error"]["message"], "m");
    assert_eq!(chunks.len(), 2);

    let memo = RequestMemo::default();
    let mut out = Vec::new();
    Chat.event_writer(&details(&memo)).write(&StreamEvent::KeepAlive, &mut out);
    assert_eq!(out, b": keep-alive\n\n");
}

#[test]
fn a_stream_of_this_api_comes_back_as_it_was_wherever_it_is_cut() {
    let stream = concat!(
        r#"data: {"id":"x","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        "\n\n",
        r#"data: {"id":"x","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{"content":"grün"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        "\n\n",
        r#"data: {"id":"x","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        "\n\n",
        r#"data: {"id":"x","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        "\n\n",
        r#"data: {"id":"x","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}],"usage":null}"#,
        "\n\n",
        r#"data: {"id":"x","object":"chat.completion.chunk","created":5,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
        "\n\ndata: [DONE]\n\n",
    );
    let memo = RequestMemo { includes_usage: true, ..RequestMemo::default() };
    let bytes = stream.as_bytes();
    for cut in 0..=bytes.len() {
        let mut translator = OWN.stream(&details(&memo));
        let mut out = translator.push(&bytes[..cut]);
        out.extend(translator.push(&bytes[cut..]));
        assert!(translator.has_ended());
        out.extend(translator.finish());
        assert_eq!(String::from_utf8(out).expect("text"), stream, "cut at {cut}");
    }
    let mut translator = OWN.stream(&details(&memo));
    translator.push(&bytes[..400]);
    let end = String::from_utf8(translator.finish()).expect("text");
    assert!(end.starts_with("data: {\"error\":") && !end.contains("[DONE]"), "{end}");
}

#[test]
fn a_signature_on_a_call_comes_with_an_empty_piece_of_its_arguments() {
    let sealed = VendorSeal::new(DialectFamily::Gemini, "EqQB");
    let chunks = written(
        &RequestMemo::default(),
        &[begin(), open(0, call("a", "f")), StreamEvent::Delta { part: 0, delta: PartDelta::Sealed(sealed.clone()) }],
    );

    let call = &deltas(&chunks)[2]["tool_calls"][0];
    assert_eq!((&call["index"], &call["function"]), (&json!(0), &json!({"arguments": ""})));
    let seal = call["extra_content"]["google"]["thought_signature"].as_str().expect("a text").to_owned();
    assert_eq!(VendorSeal::of_field(DialectFamily::Chat, seal.into()), sealed);
}
