//! Streams, read.

use super::*;

fn delta(fields: &str) -> String {
    format!(r#"{{"id":"x","model":"m","choices":[{{"index":0,"delta":{fields}}}]}}"#)
}

fn finish(reason: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}]}}"#)
}

const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;

fn events(chunks: &[String]) -> Vec<String> {
    events_of(&chunks.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_stream_is_read_with_parts_that_open_and_close() {
    let found = events(&[
        r#"{"id":"","model":"","choices":[],"prompt_filter_results":[]}"#.to_owned(),
        delta(r#"{"role":"assistant","content":""}"#),
        delta(r#"{"reasoning_content":"hm"}"#),
        delta(r#"{"content":"a"}"#),
        delta(r#"{"content":"\u00fc"}"#),
        finish("stop"),
        USAGE.to_owned(),
        "[DONE]".to_owned(),
    ]);

    assert_eq!(
        found,
        [
            r#"begin Some("x") Some("m")"#,
            "open 0 of 0 thinking",
            "0 text hm",
            "0 seal Chat reasoning_content",
            "close 0",
            "open 1 of 0 text",
            "1 text a",
            "1 text ü",
            "close 1",
            "stop 0 EndTurn None",
            "usage 3 2",
            "end",
        ]
    );
}

#[test]
fn pieces_of_calls_that_alternate_stay_with_their_calls() {
    let call = |fields: &str| delta(&format!(r#"{{"tool_calls":[{fields}]}}"#));
    let found = events(&[
        call(r#"{"index":0,"id":"a","function":{"name":"f","arguments":""}}"#),
        call(r#"{"index":1,"id":"b","function":{"name":"g","arguments":"{\"y\""}}"#),
        call(r#"{"index":0,"function":{"arguments":"{\"x\":1}"}},{"index":1,"function":{"arguments":":2}"}}"#),
        finish("tool_calls"),
        "[DONE]".to_owned(),
    ]);

    assert_eq!(
        found[1..],
        [
            "open 0 of 0 call a f Function",
            "open 1 of 0 call b g Function",
            "1 arguments {\"y\"",
            "0 arguments {\"x\":1}",
            "1 arguments :2}",
            "close 0",
            "close 1",
            "stop 0 ToolUse None",
            "end",
        ]
    );
}

#[test]
fn a_call_that_is_whole_ends_when_the_next_begins() {
    // Google's servers of this API give every call the index 0.
    let call = |id: &str| {
        delta(&format!(
            r#"{{"tool_calls":[{{"index":0,"id":"{id}","function":{{"name":"f","arguments":"{{\"a\":\"}}\"}}"}}}}]}}"#
        ))
    };
    let found = events(&[call("a"), call("b"), finish("stop"), "[DONE]".to_owned()]);

    assert_eq!(
        found[1..],
        [
            "open 0 of 0 call a f Function",
            "0 arguments {\"a\":\"}\"}",
            "close 0",
            "open 1 of 0 call b f Function",
            "1 arguments {\"a\":\"}\"}",
            "close 1",
            "stop 0 ToolUse None",
            "end",
        ]
    );
}

#[test]
fn a_call_waits_for_its_name_and_a_signature_stays_with_it() {
    let found = events(&[
        delta(r#"{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{"}}]}"#),
        delta(
            r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"}"},"extra_content":{"google":{"thought_signature":"EqQB"}}}]}"#,
        ),
        delta(r#"{"tool_calls":[{"index":1,"id":"b","custom":{"name":"g","input":"x"}}]}"#),
        finish("tool_calls"),
    ]);

    assert_eq!(
        found[1..],
        [
            "open 0 of 0 call a f Function",
            "0 arguments {}",
            "0 seal Chat EqQB",
            "close 0",
            "open 1 of 0 call b g Custom",
            "1 arguments x",
            "close 1",
            "stop 0 ToolUse None",
            "end",
        ]
    );
}

#[test]
fn a_stream_that_is_cut_has_no_end_and_one_without_a_mark_of_the_end_has() {
    let cut = events(&[delta(r#"{"content":"a"}"#)]);
    assert_eq!(cut.last().map(String::as_str), Some("0 text a"));

    let unmarked = events(&[delta(r#"{"content":"a"}"#), finish("stop")]);
    assert_eq!(unmarked.last().map(String::as_str), Some("end"));

    assert_eq!(events(&["[DONE]".to_owned()]), ["failed Server the upstream's stream holds no answer"]);
}

#[test]
fn an_error_ends_a_stream_as_an_error() {
    let found = events(&[
        delta(r#"{"content":"a"}"#),
        r#"{"error":{"message":"busy","code":503}}"#.to_owned(),
        finish("stop"),
        "[DONE]".to_owned(),
    ]);

    assert_eq!(found.last().map(String::as_str), Some("failed Overloaded busy"));
}

#[test]
fn refusals_and_probabilities_are_read_where_they_stand() {
    let found = events(&[
        delta(r#"{"refusal":"n"}"#),
        r#"{"choices":[{"index":0,"delta":{"refusal":"o"},"logprobs":{"content":null,"refusal":[{"token":"o"}]}}]}"#
            .to_owned(),
        finish("stop"),
    ]);

    assert_eq!(
        found[1..],
        [
            "open 0 of 0 refusal",
            "0 text n",
            "0 text o",
            r#"0 logprobs [{"token":"o"}]"#,
            "close 0",
            "stop 0 Refusal None",
            "end",
        ]
    );
}

#[test]
fn details_of_a_thought_are_put_together_for_its_server() {
    let found = events(&[
        delta(r#"{"reasoning":"a","reasoning_details":[{"type":"reasoning.text","text":"a","index":0}]}"#),
        delta(r#"{"reasoning":"b","reasoning_details":[{"type":"reasoning.text","text":"b","index":0}]}"#),
        delta(r#"{"reasoning_details":[{"type":"reasoning.text","signature":"S","index":0}]}"#),
        delta(r#"{"content":"c"}"#),
        finish("stop"),
    ]);

    assert_eq!(
        found[2..5],
        ["0 text a", "0 text b", r#"0 seal Chat [{"type":"reasoning.text","text":"ab","signature":"S","index":0}]"#]
    );
}
