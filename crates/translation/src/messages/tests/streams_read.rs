//! Tests of reading streams.

use std::fmt::Write as _;

use crate::events::EventLines;
use crate::messages::Messages;
use crate::neutral::{PartDelta, PartKind, StreamEvent};
use crate::translation::Api;

/// A stream in the order in which Anthropic's servers write one.
pub(super) const STREAM: &str = "\
event: message_start
data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-opus-5\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":10,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":90,\"output_tokens\":1,\"service_tier\":\"standard\"}}}

event: content_block_start
data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}

event: ping
data: {\"type\": \"ping\"}

event: content_block_delta
data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}

event: content_block_delta
data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"EqQB\"}}

event: content_block_stop
data: {\"type\":\"content_block_stop\",\"index\":0}

event: content_block_start
data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}

event: content_block_delta
data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"Look\\n\"}}

event: content_block_stop
data: {\"type\":\"content_block_stop\",\"index\":1}

event: content_block_start
data: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{}}}

event: content_block_delta
data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\"}}

event: content_block_delta
data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\": 1}\"}}

event: content_block_stop
data: {\"type\":\"content_block_stop\",\"index\":2}

event: content_block_start
data: {\"type\":\"content_block_start\",\"index\":3,\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_2\",\"name\":\"g\",\"input\":{}}}

event: content_block_stop
data: {\"type\":\"content_block_stop\",\"index\":3}

event: message_delta
data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":30,\"output_tokens_details\":{\"thinking_tokens\":5}}}

event: message_stop
data: {\"type\":\"message_stop\"}

";

/// Returns the events of a stream, one line each.
fn events(stream: &str) -> Vec<String> {
    let mut reader = Messages.event_reader();
    let mut found = Vec::new();
    let mut lines = EventLines::default();
    let pushed = lines.push(stream.as_bytes(), |event| reader.read(event, &mut |event| found.push(line(&event))));
    pushed.expect("short");
    found
}

fn line(event: &StreamEvent<'_>) -> String {
    match event {
        StreamEvent::Begin { id, model, usage, .. } => {
            format!("begin {id:?} {model:?} {:?}", usage.map(|all| all.input))
        }
        StreamEvent::Open { part, kind, .. } => match kind {
            PartKind::ToolCall { id, name, .. } => format!("open {part} call {id} {name}"),
            PartKind::Native { raw, .. } => format!("open {part} native {raw}"),
            PartKind::Thinking { is_redacted, .. } => format!("open {part} thinking {is_redacted}"),
            _ => format!("open {part}"),
        },
        StreamEvent::Delta { part, delta } => {
            let mut line = format!("{part}: ");
            let _ = match delta {
                PartDelta::Text(text) => write!(line, "text {text:?}"),
                PartDelta::Arguments(text) => write!(line, "arguments {text}"),
                PartDelta::Sealed(sealed) => write!(line, "sealed {} {}", sealed.maker.as_str(), sealed.text),
                _ => write!(line, "other"),
            };
            line
        }
        StreamEvent::Close { part } => format!("close {part}"),
        StreamEvent::Stop { stop, .. } => format!("stop {:?} {:?}", stop.reason, stop.detail),
        StreamEvent::Usage(usage) => {
            format!("usage {} {:?} {} {:?}", usage.input, usage.cache_read, usage.output, usage.thinking)
        }
        StreamEvent::ServiceTier(tier) => format!("tier {tier}"),
        StreamEvent::End => "end".to_owned(),
        StreamEvent::Failed(error) => format!("failed {:?} {}", error.kind, error.message),
        StreamEvent::Unplaced(field) => format!("unplaced {}", field.as_str()),
        StreamEvent::KeepAlive => "alive".to_owned(),
    }
}

#[test]
fn a_stream_is_read_in_its_order() {
    assert_eq!(
        events(STREAM),
        [
            "begin Some(\"msg_1\") Some(\"claude-opus-5\") Some(100)",
            "tier standard",
            "open 0 thinking false",
            "alive",
            "0: text \"hm\"",
            "0: sealed messages EqQB",
            "close 0",
            "open 1",
            "1: text \"Look\\n\"",
            "close 1",
            "open 2 call toolu_1 f",
            "2: arguments {\"a\": 1}",
            "close 2",
            "open 3 call toolu_2 g",
            "3: arguments {}",
            "close 3",
            "stop ToolUse None",
            "usage 100 Some(90) 30 Some(5)",
            "end",
        ],
        "a call without arguments has an empty object"
    );
}

#[test]
fn events_without_names_are_read_by_their_types() {
    let nameless: String =
        STREAM.lines().filter(|line| !line.starts_with("event:")).fold(String::new(), |mut all, line| {
            all.push_str(line);
            all.push('\n');
            all
        });

    assert_eq!(events(&nameless), events(STREAM));
}

#[test]
fn an_error_in_the_middle_fails_the_stream_and_nonsense_does_not() {
    let stream = "event: content_block_delta\ndata: {\"index\":9,\"delta\":{\"text\":\"a\"}}\n\nevent: new_event\ndata: 1\n\n\
        event: content_block_start\ndata: nonsense\n\n\
        event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";

    assert_eq!(events(stream), ["failed Overloaded Overloaded"]);
}

#[test]
fn hidden_thoughts_servers_tools_and_what_comes_with_a_beginning_are_read() {
    let start = |index: u8, block: &str| {
        format!(
            "event: content_block_start\ndata: {{\"index\":{index},\"content_block\":{block}}}\n\nevent: content_block_stop\ndata: {{\"index\":{index}}}\n\n"
        )
    };
    let stream = start(0, r#"{"type":"redacted_thinking","data":"Er"}"#)
        + &start(1, r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#)
        + &start(2, r#"{"type":"tool_use","id":"t","name":"f","input":{"a":1}}"#)
        + &start(3, r#"{"type":"text","text":"begun"}"#);

    assert_eq!(
        events(&stream),
        [
            "open 0 thinking true",
            "0: sealed messages Er",
            "close 0",
            r#"open 1 native {"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#,
            "close 1",
            "open 2 call t f",
            "2: arguments {\"a\":1}",
            "close 2",
            "open 3",
            "3: text \"begun\"",
            "close 3",
        ]
    );
}

#[test]
fn a_call_of_a_server_s_tool_is_given_with_the_input_that_came_in_pieces() {
    let start = r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}"#;
    let piece = |text: &str| {
        let delta = serde_json::json!({"type": "input_json_delta", "partial_json": text});
        serde_json::json!({"type": "content_block_delta", "index": 0, "delta": delta}).to_string()
    };
    let stop = r#"{"type":"content_block_stop","index":0}"#;
    let text = r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"So"}}"#;
    let stream = |pieces: &[&str]| {
        let pieces: Vec<_> = pieces.iter().map(|text| piece(text)).collect();
        let all = [start].into_iter().chain(pieces.iter().map(String::as_str)).chain([stop, text]);
        all.map(|data| format!("data: {data}\n\n")).collect::<String>()
    };

    let whole = r#"open 0 native {"type":"server_tool_use","id":"s","name":"web_search","input":{"query": "q"}}"#;
    assert_eq!(events(&stream(&["", "{\"query\"", ": \"q\"}"])), [whole, "close 0", "open 1", "1: text \"So\""]);
    let cut = r#"open 0 native {"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#;
    assert_eq!(events(&stream(&["{\"que"]))[0], cut);
}

#[test]
fn the_text_that_ended_an_answer_and_the_category_of_a_refusal_are_kept() {
    let delta = |delta: &str| {
        format!("event: message_delta\ndata: {{\"delta\":{delta},\"usage\":{{\"output_tokens\":1}}}}\n\n")
    };

    let stopped = events(&delta(r#"{"stop_reason":"stop_sequence","stop_sequence":"END"}"#));
    assert_eq!(stopped[0], "stop StopText Some(\"END\")");
    let refused = events(&delta(r#"{"stop_reason":"refusal","stop_details":{"type":"refusal","category":"cyber"}}"#));
    assert_eq!(refused[0], "stop Refusal Some(\"cyber\")");
}
