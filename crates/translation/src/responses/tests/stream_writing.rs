use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::neutral::{
    CallKind, ErrorKind, NeutralError, NeutralUsage, PartBody, PartDelta, PartKind, Stop, StopReason,
};

fn begin() -> StreamEvent<'static> {
    StreamEvent::Begin { id: None, model: Some("claude".into()), created: None, usage: None }
}

fn open(part: usize, kind: PartKind<'static>) -> StreamEvent<'static> {
    StreamEvent::Open { part, choice: 0, kind }
}

fn call(part: usize, id: &'static str, name: &'static str) -> StreamEvent<'static> {
    open(part, PartKind::ToolCall { id: id.into(), name: name.into(), kind: CallKind::Function })
}

fn delta(part: usize, delta: PartDelta<'static>) -> StreamEvent<'static> {
    StreamEvent::Delta { part, delta }
}

fn text(part: usize, text: &'static str) -> StreamEvent<'static> {
    delta(part, PartDelta::Text(text.into()))
}

fn arguments(part: usize, text: &'static str) -> StreamEvent<'static> {
    delta(part, PartDelta::Arguments(text.into()))
}

fn thinking(is_summary: bool) -> PartKind<'static> {
    PartKind::Thinking { is_summary, is_redacted: false }
}

fn stop(reason: StopReason) -> StreamEvent<'static> {
    StreamEvent::Stop { choice: 0, stop: Stop::of(reason) }
}

fn close(part: usize) -> StreamEvent<'static> {
    StreamEvent::Close { part }
}

/// The events of an answer with a thought, a text in two pieces and a call in two.
const IN_ORDER: [&str; 21] = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.reasoning_summary_part.added",
    "response.reasoning_summary_text.delta",
    "response.reasoning_summary_text.done",
    "response.reasoning_summary_part.done",
    "response.output_item.done",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.output_item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "response.completed",
];

#[test]
fn every_event_comes_in_openais_order_and_the_last_holds_the_whole_output() {
    let memo = memo(r#"{"model":"m","input":"x","instructions":"be"}"#);
    let events = stream(
        &[
            begin(),
            open(0, thinking(true)),
            text(0, "hm"),
            delta(0, PartDelta::Sealed(VendorSeal::new(DialectFamily::Messages, "SIG"))),
            close(0),
            open(1, PartKind::Text),
            text(1, "Hel"),
            text(1, "lo"),
            close(1),
            call(2, "c1", "f"),
            arguments(2, "{\"a\":"),
            arguments(2, "1}"),
            close(2),
            stop(StopReason::ToolUse),
            StreamEvent::Usage(NeutralUsage { input: 3, output: 4, ..NeutralUsage::default() }),
            StreamEvent::End,
        ],
        &memo,
    );

    assert_eq!(types(&events), IN_ORDER);
    let created = &events[0]["response"];
    assert_eq!(
        (&created["status"], &created["instructions"], &created["usage"]),
        (&"in_progress".into(), &"be".into(), &Value::Null)
    );
    assert_eq!(
        events[10],
        json!({"type": "response.output_text.delta", "sequence_number": 10, "item_id": "msg_u1_1", "output_index": 1,
            "content_index": 0, "delta": "Hel", "logprobs": []})
    );
    let last = &events[20]["response"];
    let done: Vec<_> = [7, 14, 19].map(|at| events[at]["item"].clone()).to_vec();
    assert_eq!(last["output"], Value::Array(done));
    assert_eq!(last["output"][2]["arguments"], "{\"a\":1}");
    assert_eq!(
        (&last["status"], &last["usage"]["total_tokens"], &last["model"]),
        (&"completed".into(), &7.into(), &"claude".into())
    );
}

#[test]
fn a_stream_and_a_whole_answer_say_the_same() {
    let memo = RequestMemo::default();
    let events = stream(
        &[
            begin(),
            open(0, PartKind::Text),
            text(0, "a"),
            close(0),
            open(1, PartKind::Text),
            text(1, "b"),
            close(1),
            stop(StopReason::EndTurn),
            StreamEvent::End,
        ],
        &memo,
    );

    let last = events.last().expect("events");
    let content = &last["response"]["output"][0]["content"];
    assert_eq!((&content[0]["text"], &content[1]["text"]), (&"a".into(), &"b".into()));
    let response = last["response"].to_string();
    let answer = Responses.read_answer(response.as_bytes()).expect("an answer").choices.remove(0);
    assert!(matches!(&answer.parts[1].body, PartBody::Text { text, .. } if text == "b"));
}

#[test]
fn parallel_calls_whose_pieces_interleave_keep_their_own_arguments() {
    let events = stream(
        &[
            begin(),
            call(0, "c0", "f"),
            arguments(0, "{\"x\""),
            call(1, "c1", "g"),
            arguments(1, "{\"y\""),
            arguments(0, ":1}"),
            arguments(1, ":2}"),
            close(0),
            close(1),
            stop(StopReason::ToolUse),
            StreamEvent::End,
        ],
        &RequestMemo::default(),
    );

    let output = &events.last().expect("events")["response"]["output"];
    assert_eq!((&output[0]["arguments"], &output[1]["arguments"]), (&"{\"x\":1}".into(), &"{\"y\":2}".into()));
    for event in events.iter().filter(|event| event["type"] == "response.function_call_arguments.delta") {
        let index = usize::try_from(event["output_index"].as_u64().expect("a number")).expect("small");
        assert_eq!(event["item_id"], output[index]["id"]);
    }
}

#[test]
fn a_tool_of_free_text_is_called_with_its_text_piece_by_piece() {
    let memo = memo(r#"{"model":"m","input":"x","tools":[{"type":"custom","name":"apply_patch"}]}"#);
    let events = stream(
        &[
            begin(),
            call(0, "c", "apply_patch"),
            arguments(0, "{\"inp"),
            arguments(0, "ut\":\"a\\"),
            arguments(0, "nb\"}"),
            close(0),
            stop(StopReason::ToolUse),
            StreamEvent::End,
        ],
        &memo,
    );

    assert_eq!(
        types(&events)[2..7],
        [
            "response.output_item.added",
            "response.custom_tool_call_input.delta",
            "response.custom_tool_call_input.delta",
            "response.custom_tool_call_input.done",
            "response.output_item.done"
        ]
    );
    assert_eq!(events[5]["input"], "a\nb");
    assert_eq!(events[6]["item"]["input"], "a\nb");
}

#[test]
fn calls_of_namespaces_and_of_the_clients_shell_have_their_own_form() {
    let memo = memo(
        r#"{"model":"m","input":"x","tools":[{"type":"local_shell"},{"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]}]}"#,
    );
    let events = stream(
        &[
            begin(),
            call(0, "c", "local_shell"),
            arguments(0, "{\"command\":[\"ls\"]}"),
            close(0),
            call(1, "d", "n__f"),
            close(1),
            stop(StopReason::ToolUse),
            StreamEvent::End,
        ],
        &memo,
    );

    assert_eq!(types(&events)[2..4], ["response.output_item.added", "response.output_item.done"]);
    assert_eq!(events[3]["item"]["action"]["command"], json!(["ls"]));
    let last = &events.last().expect("events")["response"]["output"];
    assert_eq!(
        (&last[1]["name"], &last[1]["namespace"], &last[1]["arguments"]),
        (&"f".into(), &"n".into(), &"{}".into())
    );
}

#[test]
fn a_seal_on_a_call_stands_before_it_and_leads_back_to_it() {
    let sealed = || delta(0, PartDelta::Sealed(VendorSeal::new(DialectFamily::Gemini, "GEM")));
    for (events, order) in [
        (vec![call(0, "", "f"), sealed(), arguments(0, "{}"), close(0)], ["reasoning", "function_call"]),
        (vec![call(0, "", "f"), arguments(0, "{}"), sealed(), close(0)], ["function_call", "reasoning"]),
    ] {
        let mut whole = vec![begin()];
        whole.extend(events);
        whole.extend([stop(StopReason::ToolUse), StreamEvent::End]);
        let events = stream(&whole, &RequestMemo::default());

        let output = &events.last().expect("events")["response"]["output"];
        assert_eq!([&output[0]["type"], &output[1]["type"]], order);
        let history = json!({"model": "m", "input": output}).to_string();
        let (request, _) = read(&history);
        let [part] = &*request.turns[0].parts else { panic!("one part") };
        assert_eq!(part.sealed, Some(VendorSeal::new(DialectFamily::Gemini, "GEM")));
        assert!(matches!(&part.body, PartBody::ToolCall(call) if call.id.starts_with("call_u1_")));
    }
}

#[test]
fn thoughts_that_are_no_summary_are_content_and_empty_ones_are_no_item() {
    let events = stream(
        &[
            begin(),
            open(0, thinking(false)),
            text(0, "hm"),
            close(0),
            open(1, thinking(true)),
            close(1),
            open(2, PartKind::Text),
            close(2),
            stop(StopReason::EndTurn),
            StreamEvent::End,
        ],
        &RequestMemo::default(),
    );

    assert_eq!(
        types(&events)[2..8],
        [
            "response.output_item.added",
            "response.content_part.added",
            "response.reasoning_text.delta",
            "response.reasoning_text.done",
            "response.content_part.done",
            "response.output_item.done"
        ]
    );
    let output = &events.last().expect("events")["response"]["output"];
    assert_eq!(output[0]["content"], json!([{"type": "reasoning_text", "text": "hm"}]));
    assert_eq!(output.as_array().map(Vec::len), Some(2));
}

#[test]
fn what_is_not_whole_does_not_end_well() {
    let cut = |reason| {
        stream(
            &[begin(), open(0, PartKind::Text), text(0, "a"), stop(reason), StreamEvent::End],
            &RequestMemo::default(),
        )
    };
    for (reason, last, status) in [
        (StopReason::MaxTokens, "response.incomplete", "incomplete"),
        (StopReason::Refusal, "response.incomplete", "incomplete"),
        (StopReason::Pause, "response.incomplete", "incomplete"),
        (StopReason::MalformedCall, "response.failed", "failed"),
    ] {
        let events = cut(reason);
        let end = events.last().expect("events");
        assert_eq!((&end["type"], &end["response"]["status"]), (&last.into(), &status.into()));
        assert_eq!(end["response"]["output"][0]["content"][0]["text"], "a");
    }
    assert_eq!(cut(StopReason::MaxTokens).last().expect("events")["response"]["output"][0]["status"], "incomplete");
}

#[test]
fn a_failure_ends_the_stream_in_the_apis_form_at_any_moment() {
    let failed = || {
        StreamEvent::Failed(NeutralError {
            kind: ErrorKind::Overloaded,
            message: "busy".into(),
            code: None,
            param: None,
            retry_after: None,
        })
    };
    for events in [vec![failed()], vec![begin(), open(0, PartKind::Text), text(0, "a"), failed()]] {
        let events = stream(&events, &RequestMemo::default());
        let last = events.last().expect("an event");
        assert_eq!(last["type"], "response.failed");
        assert_eq!(last["response"]["error"], json!({"code": "server_error", "message": "busy"}));
        assert!(!types(&events).contains(&"response.completed"));
    }
}

#[test]
fn citations_and_probabilities_stand_with_their_text() {
    let citation: &'static RawValue =
        serde_json::from_str(r#"{"type":"web_search_result_location","url":"https://x.example","title":"t"}"#)
            .expect("JSON");
    let logprobs: &'static RawValue = serde_json::from_str(r#"[{"token":"a","logprob":-1}]"#).expect("JSON");
    let events = stream(
        &[
            begin(),
            open(0, PartKind::Text),
            delta(0, PartDelta::Logprobs(logprobs)),
            text(0, "a"),
            delta(0, PartDelta::Citation(citation)),
            close(0),
            stop(StopReason::EndTurn),
            StreamEvent::End,
        ],
        &RequestMemo::default(),
    );

    assert_eq!(events[4]["logprobs"][0]["token"], "a");
    assert_eq!(
        (&events[5]["annotation_index"], &events[5]["annotation"]["url"]),
        (&0.into(), &"https://x.example".into())
    );
    let part = &events.last().expect("events")["response"]["output"][0]["content"][0];
    assert_eq!((&part["annotations"][0]["end_index"], &part["logprobs"][0]["token"]), (&1.into(), &"a".into()));
}

#[test]
fn a_sign_of_life_is_a_comment() {
    let mut out = Vec::new();
    Responses.event_writer(&details(&RequestMemo::default())).write(&StreamEvent::KeepAlive, &mut out);

    assert_eq!(out, b": keep-alive\n\n");
}
