//! Streams.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{OWN, parsed, with_details};
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::neutral::{
    CallKind, ErrorKind, NeutralError, NeutralUsage, PartDelta, PartKind, Stop, StopReason, StreamEvent,
};
use crate::translation::{Api as _, RequestMemo};

const STREAM: &str = concat!(
    r#"data: {"candidates":[{"content":{"parts":[{"text":"T","thought":true}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":9},"modelVersion":"g","responseId":"r"}"#,
    "\r\n\r\n",
    r#"data: {"candidates":[{"content":{"parts":[{"text":"Hel"}],"role":"model"},"index":0}],"modelVersion":"g","responseId":"r"}"#,
    "\r\n\r\n",
    r#"data: {"candidates":[{"content":{"parts":[{"text":"lo"}],"role":"model"},"index":0}],"modelVersion":"g","responseId":"r"}"#,
    "\r\n\r\n",
    r#"data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":1}},"thoughtSignature":"QQ=="},{"functionCall":{"name":"f","args":{"a":2}}}],"role":"model"},"index":0}],"modelVersion":"g","responseId":"r"}"#,
    "\r\n\r\n",
    r#"data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4,"totalTokenCount":13},"modelVersion":"g","responseId":"r"}"#,
    "\r\n\r\n",
);

/// Translates a stream into its own API, in chunks of `size` bytes.
fn through(stream: &str, size: usize, memo: &RequestMemo) -> String {
    let mut translator = with_details(memo, |details| OWN.stream(details));
    let mut out = Vec::new();
    for chunk in stream.as_bytes().chunks(size) {
        out.extend(translator.push(chunk));
    }
    out.extend(translator.finish());
    String::from_utf8(out).expect("UTF-8")
}

fn chunks(stream: &str) -> Vec<Value> {
    let events = stream.split("\r\n\r\n").filter(|event| !event.is_empty());
    events.map(|event| parsed(event.strip_prefix("data: ").expect("an event").as_bytes())).collect()
}

/// Returns the events that a reader makes of a stream, one word for each.
fn events(stream: &str) -> Vec<String> {
    let mut reader = super::Gemini.event_reader();
    let mut lines = crate::events::EventLines::default();
    let mut found = Vec::new();
    let mut note = |event: StreamEvent<'_>| {
        found.push(match event {
            StreamEvent::Begin { .. } => "begin".to_owned(),
            StreamEvent::Open { part, kind, .. } => match kind {
                PartKind::Text => format!("open {part} text"),
                PartKind::Thinking { .. } => format!("open {part} thinking"),
                PartKind::ToolCall { name, .. } => format!("open {part} call {name}"),
                PartKind::Native { kind, .. } => format!("open {part} {kind}"),
                PartKind::Refusal => format!("open {part} refusal"),
            },
            StreamEvent::Delta { part, delta } => match delta {
                PartDelta::Text(text) | PartDelta::Arguments(text) => format!("{part} {text}"),
                PartDelta::Sealed(sealed) => format!("{part} sealed {}", sealed.text),
                PartDelta::Citation(_) => format!("{part} citation"),
                PartDelta::Logprobs(raw) => format!("{part} logprobs {}", raw.get()),
            },
            StreamEvent::Close { part } => format!("close {part}"),
            StreamEvent::Stop { stop, .. } => format!("stop {:?}", stop.reason),
            StreamEvent::Usage(usage) => format!("usage {} {}", usage.input, usage.output),
            StreamEvent::Failed(error) => format!("failed {:?} {}", error.kind, error.message),
            StreamEvent::End => "end".to_owned(),
            StreamEvent::Unplaced(field) => format!("unplaced {}", field.as_str()),
            StreamEvent::ServiceTier(_) | StreamEvent::KeepAlive => "other".to_owned(),
        });
    };
    lines.push(stream.as_bytes(), |event| reader.read(event, &mut note)).expect("short");
    reader.finish(&mut note);
    found
}

#[test]
fn parts_open_and_close_in_order_and_a_seal_comes_before_the_arguments() {
    assert_eq!(
        events(STREAM),
        [
            "begin",
            "open 0 thinking",
            "0 T",
            "close 0",
            "open 1 text",
            "1 Hel",
            "1 lo",
            "close 1",
            "open 2 call f",
            "2 sealed QQ==",
            r#"2 {"a":1}"#,
            "close 2",
            "open 3 call f",
            r#"3 {"a":2}"#,
            "close 3",
            "stop ToolUse",
            "usage 9 4",
            "end"
        ]
    );
}

#[test]
fn a_stream_comes_back_as_it_was_wherever_it_is_cut() {
    let memo = RequestMemo::default();
    let whole = chunks(&through(STREAM, STREAM.len(), &memo));
    for size in [1, 7, 100] {
        assert_eq!(chunks(&through(STREAM, size, &memo)), whole);
    }
    let parts = |chunks: &[Value]| -> Vec<Value> {
        let parts = chunks.iter().flat_map(|chunk| chunk["candidates"][0]["content"]["parts"].as_array().cloned());
        parts.flatten().collect()
    };
    assert_eq!(parts(&whole), parts(&chunks(STREAM)));
    assert_eq!(whole.last(), chunks(STREAM).last());
    assert!(whole.iter().all(|chunk| chunk["modelVersion"] == "g" && chunk["responseId"] == "r"));
}

#[test]
fn the_end_waits_for_the_counts_and_for_the_connection_where_none_come() {
    let stop = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"A\"}]},\"finishReason\":\"STOP\"}]}\n\n";
    let counts = "data: {\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":2}}\n\n";
    let tail = |stream: &str| events(stream).split_off(4);
    assert_eq!(tail(stop), ["stop EndTurn", "end"]);
    assert_eq!(tail(&format!("{stop}{counts}")), ["stop EndTurn", "usage 3 2", "end"]);
}

#[test]
fn a_stream_that_is_cut_ends_in_an_error() {
    let cut = &STREAM[..STREAM.rfind("data: ").expect("events")];
    let back = chunks(&through(cut, 64, &RequestMemo::default()));
    assert_eq!(back.last().expect("chunks")["error"]["status"], "INTERNAL");
    assert!(back.iter().all(|chunk| chunk["candidates"][0].get("finishReason").is_none()));
}

#[test]
fn an_error_in_a_stream_and_a_blocked_prompt_are_no_clean_ends() {
    let error = "data: {\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}\n\n";
    assert_eq!(events(error), ["failed Overloaded busy"]);
    let blocked =
        "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"},\"usageMetadata\":{\"promptTokenCount\":3}}\n\n";
    assert_eq!(events(blocked), ["begin", "stop ContentFilter", "usage 3 0", "end"]);
}

#[test]
fn several_answers_end_when_the_last_does() {
    let chunk = |index: u64, finish: &str| {
        format!(
            "data: {{\"candidates\":[{{\"index\":{index},\"content\":{{\"parts\":[{{\"text\":\"A\"}}]}}{finish}}}],\"usageMetadata\":{{}}}}\n\n"
        )
    };
    let stop = ",\"finishReason\":\"STOP\"";
    let stream = [chunk(0, ""), chunk(1, ""), chunk(0, stop), chunk(1, stop)].concat();
    let found = events(&stream);
    assert_eq!(found.iter().filter(|event| *event == "stop EndTurn").count(), 2);
    assert_eq!(found.iter().position(|event| event == "end"), Some(found.len() - 1));
    let back = chunks(&through(&stream, 50, &RequestMemo::default()));
    let last = back.last().expect("chunks");
    let indexes: Vec<_> = last["candidates"].as_array().expect("candidates").iter().map(|one| &one["index"]).collect();
    assert_eq!(indexes, [&json!(0), &json!(1)]);
}

#[test]
fn a_signature_alone_is_a_thought_without_text() {
    let stream = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"A\"},{\"text\":\"\",\"thoughtSignature\":\"QQ==\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{}}\n\n";
    assert_eq!(
        events(stream)[1..6],
        ["open 0 text", "0 A", "close 0", "open 1 thinking", "1 sealed QQ=="].map(ToOwned::to_owned)
    );
}

#[test]
fn probabilities_are_in_openais_form() {
    let stream = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"A\"}]},\"logprobsResult\":{\"chosenCandidates\":[{\"token\":\"A\",\"logProbability\":-1}]}}]}\n\n";
    assert!(
        events(stream).iter().any(|event| event.starts_with(r#"0 logprobs {"content":[{"token":"A","logprob":-1"#))
    );
}

fn writing(memo: &RequestMemo, events: &[StreamEvent<'_>]) -> String {
    let mut writer = with_details(memo, |details| super::Gemini.event_writer(details));
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.write(event, &mut out));
    String::from_utf8(out).expect("UTF-8")
}

fn begin<'b>() -> StreamEvent<'b> {
    StreamEvent::Begin { id: None, model: Some("m".into()), created: None, usage: None }
}

fn open_call<'b>(part: usize, name: &'b str) -> StreamEvent<'b> {
    let kind = PartKind::ToolCall { id: "c".into(), name: name.into(), kind: CallKind::Function };
    StreamEvent::Open { part, choice: 0, kind }
}

fn arguments(part: usize, text: &str) -> StreamEvent<'_> {
    StreamEvent::Delta { part, delta: PartDelta::Arguments(text.into()) }
}

fn stop<'b>(reason: StopReason) -> StreamEvent<'b> {
    StreamEvent::Stop { choice: 0, stop: Stop::of(reason) }
}

#[test]
fn calls_whose_arguments_interleave_are_whole_and_apart() {
    let events = [
        begin(),
        open_call(0, "f"),
        open_call(1, "g"),
        arguments(0, "{\"a\":\n"),
        arguments(1, "{\"b\""),
        arguments(0, "1}"),
        arguments(1, ":2}"),
        StreamEvent::Close { part: 0 },
        StreamEvent::Close { part: 1 },
        stop(StopReason::ToolUse),
        StreamEvent::Usage(NeutralUsage { input: 3, output: 2, ..NeutralUsage::default() }),
        StreamEvent::End,
    ];
    let chunks = chunks(&writing(&RequestMemo::default(), &events));
    let call = |at: usize| &chunks[at]["candidates"][0]["content"]["parts"][0]["functionCall"];
    assert_eq!(call(0), &json!({"id": "c", "name": "f", "args": {"a": 1}}));
    assert_eq!(call(1), &json!({"id": "c", "name": "g", "args": {"b": 2}}));
    let signature = |at: usize| chunks[at]["candidates"][0]["content"]["parts"][0].get("thoughtSignature");
    let skip = json!("c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=");
    assert_eq!((signature(0), signature(1)), (Some(&skip), None));
    assert_eq!(chunks[2]["candidates"][0]["finishReason"], "STOP");
    assert_eq!(chunks[2]["usageMetadata"]["totalTokenCount"], 5);
    assert_eq!(chunks.len(), 3);
}

#[test]
fn a_call_that_is_none_ends_as_one_and_is_not_sent() {
    let events = [
        begin(),
        open_call(0, "f"),
        arguments(0, "{\"a\":"),
        StreamEvent::Close { part: 0 },
        stop(StopReason::ToolUse),
        StreamEvent::End,
    ];
    let chunks = chunks(&writing(&RequestMemo::default(), &events));
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0]["candidates"][0]["finishReason"], "MALFORMED_FUNCTION_CALL");
    assert_eq!(chunks[0]["candidates"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_refusal_in_a_stream_is_no_clean_end() {
    let open = StreamEvent::Open { part: 0, choice: 0, kind: PartKind::Refusal };
    let text = StreamEvent::Delta { part: 0, delta: PartDelta::Text("No.".into()) };
    let events = [begin(), open, text, StreamEvent::Close { part: 0 }, stop(StopReason::EndTurn), StreamEvent::End];
    let chunks = chunks(&writing(&RequestMemo::default(), &events));
    assert_eq!(chunks[0]["candidates"][0]["content"]["parts"], json!([{"text": "No."}]));
    assert_eq!(chunks[1]["candidates"][0]["finishReason"], "SAFETY");
}

#[test]
fn a_sign_of_life_is_nothing_that_googles_sdks_would_trip_over() {
    assert_eq!(writing(&RequestMemo::default(), &[begin(), StreamEvent::KeepAlive]), "");
}

#[test]
fn the_seal_of_a_thought_is_base64_and_goes_with_the_call_after_it() {
    let sealed = VendorSeal::new(DialectFamily::Responses, "gAAA-_");
    let kind = PartKind::Thinking { is_summary: true, is_redacted: false };
    let events = [
        begin(),
        StreamEvent::Open { part: 0, choice: 0, kind },
        StreamEvent::Delta { part: 0, delta: PartDelta::Text("T".into()) },
        StreamEvent::Delta { part: 0, delta: PartDelta::Sealed(sealed.clone()) },
        StreamEvent::Close { part: 0 },
        open_call(1, "f"),
        StreamEvent::Close { part: 1 },
        stop(StopReason::ToolUse),
        StreamEvent::End,
    ];
    let chunks = chunks(&writing(&RequestMemo::default(), &events));
    let part = |at: usize| &chunks[at]["candidates"][0]["content"]["parts"][0];
    assert_eq!(part(0), &json!({"text": "T", "thought": true}));
    let field = part(1)["thoughtSignature"].as_str().expect("a signature");
    assert_eq!(VendorSeal::of_field(DialectFamily::Gemini, field.into()), sealed);
    assert_eq!(part(2)["thoughtSignature"], field);
}

#[test]
fn a_client_that_did_not_ask_for_events_gets_a_list() {
    let memo = RequestMemo { gemini_array: true, ..RequestMemo::default() };
    let list = parsed(through(STREAM, 30, &memo).as_bytes());
    let events = chunks(&through(STREAM, 30, &RequestMemo::default()));
    assert_eq!(list.as_array(), Some(&events));

    let failed = NeutralError {
        kind: ErrorKind::Overloaded,
        message: "busy".into(),
        code: None,
        param: None,
        retry_after: None,
    };
    let list = parsed(writing(&memo, &[begin(), StreamEvent::Failed(failed)]).as_bytes());
    assert_eq!(list, json!([{"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}]));
    let list = parsed(writing(&memo, &[begin(), stop(StopReason::EndTurn), StreamEvent::End]).as_bytes());
    assert_eq!(list.as_array().map(Vec::len), Some(1));
}

fn any_event() -> impl Strategy<Value = StreamEvent<'static>> {
    let text = "[a-z\"\\\\\n{}:]{0,6}";
    let kind = prop_oneof![
        Just(PartKind::Text),
        Just(PartKind::Refusal),
        any::<bool>().prop_map(|is_redacted| PartKind::Thinking { is_summary: true, is_redacted }),
        Just(PartKind::ToolCall { id: "c".into(), name: "f".into(), kind: CallKind::Function }),
    ];
    let delta = prop_oneof![
        text.prop_map(|text| PartDelta::Text(text.into())),
        text.prop_map(|text| PartDelta::Arguments(text.into())),
        text.prop_map(|text| PartDelta::Sealed(VendorSeal::new(DialectFamily::Messages, text))),
    ];
    prop_oneof![
        (0usize..4, 0u64..2, kind).prop_map(|(part, choice, kind)| StreamEvent::Open { part, choice, kind }),
        (0usize..4, delta).prop_map(|(part, delta)| StreamEvent::Delta { part, delta }),
        (0usize..4).prop_map(|part| StreamEvent::Close { part }),
        (0u64..2).prop_map(|choice| StreamEvent::Stop { choice, stop: Stop::of(StopReason::EndTurn) }),
        Just(StreamEvent::KeepAlive),
        Just(StreamEvent::Unplaced(crate::loss::Field::Citations)),
    ]
}

proptest! {
    #[test]
    fn a_stream_of_any_events_is_readable_and_every_chunk_has_a_part(
        events in prop::collection::vec(any_event(), 0..24), cut in any::<bool>()
    ) {
        let mut events = events;
        events.insert(0, begin());
        let failed = NeutralError { kind: ErrorKind::Server, message: "x".into(), code: None, param: None, retry_after: None };
        events.push(if cut { StreamEvent::Failed(failed) } else { StreamEvent::End });
        let said = chunks(&writing(&RequestMemo::default(), &events));
        let memo = RequestMemo { gemini_array: true, ..RequestMemo::default() };
        let list = parsed(writing(&memo, &events).as_bytes());
        prop_assert_eq!(list.as_array(), Some(&said));
        for chunk in &said {
            for candidate in chunk["candidates"].as_array().into_iter().flatten() {
                prop_assert!(candidate["content"]["parts"][0].as_object().is_some_and(|part| !part.is_empty()));
            }
        }
    }
}
