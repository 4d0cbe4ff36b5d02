//! Tests of writing streams.

use serde_json::{Value, json};

use super::streams_read::STREAM;
use super::{raw, with_details};
use crate::conversion::sealed::VendorSeal;
use crate::events::EventLines;
use crate::family::DialectFamily;
use crate::messages::Messages;
use crate::neutral::{
    CallKind, ErrorKind, NeutralError, NeutralUsage, PartDelta, PartKind, Stop, StopReason, StreamEvent,
};
use crate::translation::{Api, EventWriter, Translation};

fn writer() -> Box<dyn EventWriter> {
    with_details(|details| Messages.event_writer(details))
}

/// Returns what events are written as: names and data.
fn written(events: &[StreamEvent<'_>]) -> Vec<(String, Value)> {
    let mut writer = writer();
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    parsed(&out)
}

fn parsed(stream: &[u8]) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut lines = EventLines::default();
    let pushed = lines.push(stream, |event| {
        let data: Value = serde_json::from_str(event.data).expect("JSON");
        assert_eq!(data["type"], event.name, "the type of an event is its name");
        found.push((event.name.to_owned(), data));
    });
    pushed.expect("short");
    found
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}

fn begin() -> StreamEvent<'static> {
    StreamEvent::Begin { id: None, model: Some("gpt-5.6".into()), created: None, usage: None }
}

fn open(part: usize, kind: PartKind<'static>) -> StreamEvent<'static> {
    StreamEvent::Open { part, choice: 0, kind }
}

fn call(part: usize, kind: CallKind) -> StreamEvent<'static> {
    open(part, PartKind::ToolCall { id: "call_1".into(), name: "f".into(), kind })
}

fn text(part: usize, piece: &'static str) -> StreamEvent<'static> {
    StreamEvent::Delta { part, delta: PartDelta::Text(piece.into()) }
}

fn arguments(part: usize, piece: &'static str) -> StreamEvent<'static> {
    StreamEvent::Delta { part, delta: PartDelta::Arguments(piece.into()) }
}

fn stop(reason: StopReason) -> StreamEvent<'static> {
    StreamEvent::Stop { choice: 0, stop: Stop::of(reason) }
}

#[test]
fn a_stream_that_is_read_and_written_is_the_same_but_for_what_is_at_its_beginning() {
    let own = Translation { client: DialectFamily::Messages, upstream: DialectFamily::Messages };
    let mut translator = with_details(|details| own.stream(details));
    let mut out = translator.push(STREAM.as_bytes());
    out.extend(translator.finish());
    let (mut expected, written) = (parsed(STREAM.as_bytes()), parsed(&out));

    // An empty piece says nothing; arguments that are none are said as an empty object; signs of life stay.
    expected.retain(|(_, data)| data["delta"]["partial_json"] != "");
    expected.insert(13, (
        "content_block_delta".to_owned(),
        json!({"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "{}"}}),
    ));
    assert_eq!(names(&written), names(&expected));
    let blocks = 1..written.len() - 2;
    assert_eq!(written[blocks.clone()], expected[blocks]);
    assert_eq!(
        written[written.len() - 2].1,
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null},
            "usage": {"input_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 90,
                "output_tokens": 30, "output_tokens_details": {"thinking_tokens": 5}}})
    );
    assert_eq!(written[0].1["message"]["usage"]["input_tokens"], 10);
    assert!(translator.has_ended());
}

#[test]
fn parallel_calls_whose_arguments_interleave_are_blocks_one_after_another() {
    let events = written(&[
        begin(),
        call(0, CallKind::Function),
        open(1, PartKind::ToolCall { id: "call_2".into(), name: "g".into(), kind: CallKind::Function }),
        arguments(0, "{\"a\""),
        arguments(1, "{\"b\":"),
        arguments(0, ":1}"),
        arguments(1, "2}"),
        StreamEvent::Close { part: 0 },
        StreamEvent::Close { part: 1 },
        stop(StopReason::ToolUse),
        StreamEvent::End,
    ]);

    let mut inputs = [String::new(), String::new()];
    let mut open = None;
    for (name, data) in &events {
        match name.as_str() {
            "content_block_start" => {
                assert_eq!(open, None, "one block is open at a time");
                open = data["index"].as_u64();
            }
            "content_block_delta" => {
                assert_eq!(data["index"].as_u64(), open);
                let index = usize::from(open == Some(1));
                inputs[index].push_str(data["delta"]["partial_json"].as_str().expect("a piece"));
            }
            "content_block_stop" => open = None,
            _ => {}
        }
    }
    assert_eq!(inputs, ["{\"a\":1}", "{\"b\":2}"]);
    assert_eq!(events[events.len() - 2].1["delta"]["stop_reason"], "tool_use");
}

#[test]
fn usage_and_the_reason_come_at_the_end_whichever_came_first() {
    let usage = NeutralUsage { input: 100, cache_read: Some(60), output: 7, ..NeutralUsage::default() };
    let events = written(&[
        begin(),
        open(0, PartKind::Text),
        text(0, "a"),
        stop(StopReason::MaxTokens),
        StreamEvent::Usage(usage),
        StreamEvent::End,
    ]);

    assert_eq!(
        names(&events),
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    let delta = &events[4].1;
    assert_eq!(delta["delta"]["stop_reason"], "max_tokens");
    assert_eq!((&delta["usage"]["input_tokens"], &delta["usage"]["output_tokens"]), (&json!(40), &json!(7)));
}

#[test]
fn a_refusal_in_a_stream_has_its_words_and_is_no_end_of_a_turn() {
    let events = written(&[
        begin(),
        open(0, PartKind::Refusal),
        text(0, "I can't."),
        StreamEvent::Close { part: 0 },
        stop(StopReason::EndTurn),
        StreamEvent::End,
    ]);

    assert_eq!(events[2].1["delta"], json!({"type": "text_delta", "text": "I can't."}));
    assert_eq!(events[4].1["delta"]["stop_reason"], "refusal");
}

#[test]
fn a_thought_of_another_vendor_ends_with_its_carried_seal_and_the_seal_of_a_call_comes_before_it() {
    let sealed = VendorSeal::new(DialectFamily::Gemini, "AAAA");
    let events = written(&[
        begin(),
        open(0, PartKind::Thinking { is_summary: true, is_redacted: false }),
        text(0, "hm"),
        StreamEvent::Close { part: 0 },
        call(1, CallKind::Function),
        StreamEvent::Delta { part: 1, delta: PartDelta::Sealed(sealed.clone()) },
        arguments(1, "{}"),
        StreamEvent::Close { part: 1 },
        stop(StopReason::ToolUse),
        StreamEvent::End,
    ]);

    let signatures: Vec<_> = events.iter().filter_map(|(_, data)| data["delta"]["signature"].as_str()).collect();
    let makers: Vec<_> =
        signatures.iter().map(|signature| VendorSeal::of_field(DialectFamily::Messages, (*signature).into())).collect();
    assert_eq!(makers[0].for_maker(DialectFamily::Messages), None, "a thought without a seal is marked as well");
    assert_eq!(makers[1], sealed);
    let kinds: Vec<_> = events.iter().filter_map(|(_, data)| data["content_block"]["type"].as_str()).collect();
    assert_eq!(kinds, ["thinking", "thinking", "tool_use"]);
}

#[test]
fn a_hidden_thought_is_a_block_of_its_own_and_free_text_is_a_text_in_the_input() {
    let events = written(&[
        begin(),
        open(0, PartKind::Thinking { is_summary: false, is_redacted: true }),
        StreamEvent::Delta { part: 0, delta: PartDelta::Sealed(VendorSeal::new(DialectFamily::Messages, "Er")) },
        StreamEvent::Close { part: 0 },
        call(1, CallKind::Custom),
        arguments(1, "say \"hi\""),
        arguments(1, "\n"),
        StreamEvent::Close { part: 1 },
        open(2, PartKind::Native { kind: "web_search_call".into(), raw: raw("{}") }),
        StreamEvent::Close { part: 2 },
        stop(StopReason::ToolUse),
        StreamEvent::End,
    ]);

    assert_eq!(events[1].1["content_block"], json!({"type": "redacted_thinking", "data": "Er"}));
    let input: String = events.iter().filter_map(|(_, data)| data["delta"]["partial_json"].as_str()).collect();
    assert_eq!(serde_json::from_str::<Value>(&input).expect("JSON"), json!({"input": "say \"hi\"\n"}));
    let indexes: Vec<_> = events.iter().filter_map(|(_, data)| data["index"].as_u64()).collect();
    assert!(indexes.iter().all(|index| *index < 2), "what the API cannot say has no block");
}

#[test]
fn signs_of_life_are_pings_and_a_failure_is_an_error_event_after_which_nothing_comes() {
    let error = NeutralError {
        kind: ErrorKind::Overloaded,
        message: "busy".into(),
        code: None,
        param: None,
        retry_after: None,
    };
    let events = written(&[begin(), StreamEvent::KeepAlive, open(0, PartKind::Text), StreamEvent::Failed(error)]);

    assert_eq!(names(&events), ["message_start", "ping", "content_block_start", "error"]);
    assert_eq!(events[3].1, json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}));
}

#[test]
fn a_stream_that_was_cut_ends_in_an_error() {
    let own = Translation { client: DialectFamily::Messages, upstream: DialectFamily::Messages };
    let mut translator = with_details(|details| own.stream(details));
    let cut = STREAM.find("event: message_delta").expect("there");
    translator.push(&STREAM.as_bytes()[..cut]);
    let rest = translator.finish();

    let events = parsed(&rest);
    assert_eq!(names(&events), ["error"]);
    assert_eq!(events[0].1["error"]["type"], "api_error");
    assert!(!translator.has_ended());
}

#[test]
fn a_stream_is_the_same_wherever_it_was_cut_into_chunks() {
    let own = Translation { client: DialectFamily::Messages, upstream: DialectFamily::Messages };
    let translated = |chunk: usize| {
        let mut translator = with_details(|details| own.stream(details));
        let mut out: Vec<u8> = STREAM.as_bytes().chunks(chunk).flat_map(|chunk| translator.push(chunk)).collect();
        out.extend(translator.finish());
        out
    };

    let whole = translated(STREAM.len());
    for chunk in [1, 7, 100] {
        assert_eq!(translated(chunk), whole);
    }
}

#[test]
fn a_citation_in_a_stream_is_a_piece_of_its_text() {
    let page = raw(r#"{"type":"url_citation","url":"https://e.org","title":"E"}"#);
    let events = written(&[
        begin(),
        open(0, PartKind::Text),
        text(0, "a"),
        StreamEvent::Delta { part: 0, delta: PartDelta::Citation(page) },
        stop(StopReason::EndTurn),
        StreamEvent::End,
    ]);

    assert_eq!(events[3].1["delta"]["type"], "citations_delta");
    assert_eq!(events[3].1["delta"]["citation"]["url"], "https://e.org");
}

#[test]
fn nothing_comes_after_a_failure_of_the_writers_own() {
    let piece = |part| StreamEvent::Delta { part, delta: PartDelta::Arguments("x".repeat(1 << 20).into()) };
    let mut events = vec![begin(), call(0, CallKind::Custom), call(1, CallKind::Function)];
    events.extend((0..17).map(|_| piece(1)));
    events.extend([stop(StopReason::ToolUse), StreamEvent::End]);

    assert_eq!(names(&written(&events)).last(), Some(&"error"));
}
