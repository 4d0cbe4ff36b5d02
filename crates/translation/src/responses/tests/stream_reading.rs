use super::*;
use crate::events::ServerEvent;

/// Reads a stream's events, in short.
fn read_stream(events: &[&str]) -> Vec<String> {
    let mut reader = Responses.event_reader();
    let mut found = Vec::new();
    for data in events {
        reader.read(ServerEvent { name: "", data }, &mut |event| found.push(format!("{event:?}")));
    }
    found.iter().map(|event| short(event)).collect()
}

/// Shortens the text of an event.
fn short(event: &str) -> String {
    event
        .replace("Some(\"", "(\"")
        .replace("choice: 0, ", "")
        .replace("detail: None", "")
        .replace("kind: ", "")
        .replace("delta: ", "")
        .replace("part: ", "")
}

const CREATED: &str = r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","model":"gpt-6","created_at":5,"status":"in_progress","output":[]}}"#;
const COMPLETED: &str = r#"{"type":"response.completed","response":{"id":"resp_1","status":"completed","output":[],"usage":{"input_tokens":1,"output_tokens":2}}}"#;

#[test]
fn a_stream_is_its_parts_in_order_with_usage_and_stop_at_the_end() {
    let found = read_stream(&[
        CREATED,
        r#"{"type":"response.in_progress","response":{"id":"resp_1"}}"#,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[]}}"#,
        r#"{"type":"response.reasoning_summary_part.added","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}}"#,
        r#"{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"one"}"#,
        r#"{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":1,"delta":"two"}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"ENC"}}"#,
        r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"message","id":"msg_1","role":"assistant","content":[]}}"#,
        r#"{"type":"response.content_part.added","output_index":1,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}"#,
        r#"{"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"Hi","logprobs":[]}"#,
        r#"{"type":"response.output_text.done","output_index":1,"content_index":0,"text":"Hi"}"#,
        r#"{"type":"response.content_part.done","output_index":1,"content_index":0,"part":{"type":"output_text","text":"Hi","annotations":[]}}"#,
        r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"message","id":"msg_1","content":[{"type":"output_text","text":"Hi"}]}}"#,
        r#"{"type":"response.output_item.added","output_index":2,"item":{"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":""}}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":2,"delta":"{}"}"#,
        r#"{"type":"response.function_call_arguments.done","output_index":2,"arguments":"{}"}"#,
        r#"{"type":"response.output_item.done","output_index":2,"item":{"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{}"}}"#,
        COMPLETED,
    ]);

    assert_eq!(
        found[1..14],
        [
            "Open { 0, Thinking { is_summary: true, is_redacted: false } }",
            "Delta { 0, Text(\"one\") }",
            "Delta { 0, Text(\"\\n\\n\") }",
            "Delta { 0, Text(\"two\") }",
            "Delta { 0, Sealed(VendorSeal { maker: Responses, text: \"ENC\", id: (\"rs_1\") }) }",
            "Close { 0 }",
            "Open { 1, Text }",
            "Delta { 1, Text(\"Hi\") }",
            "Close { 1 }",
            "Open { 2, ToolCall { id: \"c1\", name: \"f\", Function } }",
            "Delta { 2, Arguments(\"{}\") }",
            "Close { 2 }",
            "Usage(NeutralUsage { input: 1, cache_read: None, cache_write: None, cache_write_hour: None, tool_input: None, output: 2, thinking: None, web_searches: None })",
        ]
    );
    assert!(found[0].starts_with("Begin { id: (\"resp_1\")"), "{}", found[0]);
    assert!(found[14].contains("reason: ToolUse"), "{}", found[14]);
    assert_eq!(found[15..], ["End"]);
}

#[test]
fn servers_that_leave_out_events_are_understood() {
    let deltas_alone = read_stream(&[
        CREATED,
        r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hi"}"#,
        COMPLETED,
    ]);
    assert_eq!(deltas_alone[1..4], ["Open { 0, Text }", "Delta { 0, Text(\"Hi\") }", "Close { 0 }"]);

    let items_alone = read_stream(&[
        CREATED,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[{"type":"output_text","text":"Hi"}]}}"#,
        r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"custom_tool_call","call_id":"c","name":"p","input":"x"}}"#,
        COMPLETED,
    ]);
    assert_eq!(
        items_alone[1..7],
        [
            "Open { 0, Text }",
            "Delta { 0, Text(\"Hi\") }",
            "Close { 0 }",
            "Open { 1, ToolCall { id: \"c\", name: \"p\", Custom } }",
            "Delta { 1, Arguments(\"x\") }",
            "Close { 1 }"
        ]
    );

    let end_alone = read_stream(&[
        r#"{"type":"response.completed","response":{"id":"r","status":"completed","output":[{"type":"message","content":[{"type":"refusal","refusal":"no"}]}]}}"#,
    ]);
    assert_eq!(end_alone[1..4], ["Open { 0, Refusal }", "Delta { 0, Text(\"no\") }", "Close { 0 }"]);
    assert!(end_alone[4].contains("reason: Refusal"));
}

#[test]
fn arguments_that_come_whole_at_the_end_are_not_lost_nor_doubled() {
    let found = read_stream(&[
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"c1","name":"f","arguments":""}}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\":1}"}}"#,
    ]);

    assert_eq!(found[1..], ["Delta { 0, Arguments(\"{\\\"a\\\":1}\") }", "Close { 0 }"]);
}

#[test]
fn a_failure_is_no_end() {
    let failed = r#"{"type":"response.failed","response":{"id":"r","status":"failed","error":{"code":"rate_limit_exceeded","message":"slow"},"output":[]}}"#;
    let flat = r#"{"type":"error","code":"server_error","message":"oops","param":null,"sequence_number":3}"#;
    let nested = r#"{"type":"error","error":{"type":"server_error","code":null,"message":"oops"}}"#;
    let bare = r#"{"error":{"message":"oops","code":500}}"#;
    for (event, kind, words) in
        [(bare, "Server", "oops"), (failed, "RateLimit", "slow"), (flat, "Server", "oops"), (nested, "Server", "oops")]
    {
        let found = read_stream(&[CREATED, event]);
        let last = found.last().expect("an event");
        assert!(last.starts_with("Failed") && last.contains(kind) && last.contains(words), "{last}");
    }
}

#[test]
fn what_is_no_event_of_the_api_is_passed_over() {
    assert!(read_stream(&["[DONE]", "{", "{}", r#"{"type":"response.audio.delta","delta":"x"}"#]).is_empty());
}
