use proptest::prelude::*;
use serde_json::json;

use super::*;

const WHOLE: usize = 1 << 16;

fn read_within(format: AnswerFormat, answer: &str, max_bytes: usize) -> Option<AnswerText> {
    let mut reader = AnswerTextReader::new(format, max_bytes);
    reader.push(answer.as_bytes());
    reader.finish()
}

/// Reads an answer in one piece, and in pieces of a few bytes, which must be alike.
fn read(format: AnswerFormat, answer: &str) -> AnswerText {
    let whole = read_within(format, answer, WHOLE).expect("an answer");
    for size in [1, 7] {
        let mut reader = AnswerTextReader::new(format, WHOLE);
        answer.as_bytes().chunks(size).for_each(|piece| reader.push(piece));
        assert_eq!(reader.finish().as_ref(), Some(&whole), "in pieces of {size}");
    }
    whole
}

fn events(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

fn expected(text: &str, calls: &[(&str, &str)], reason: &str) -> AnswerText {
    let calls =
        calls.iter().map(|(name, arguments)| ToolCallText { name: (*name).into(), arguments: (*arguments).into() });
    let tool_calls: Vec<_> = calls.collect();
    let of_calls = tool_calls.iter().map(|call| call.name.len() + call.arguments.len()).sum::<usize>();
    let bytes = (text.len() + of_calls) as u64;
    AnswerText { text: text.into(), tool_calls, finish_reason: Some(reason.into()), bytes, ..AnswerText::default() }
}

#[test]
fn a_chat_completion_says_the_same_whole_and_as_a_stream() {
    let whole = json!({"choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant",
        "content": "Grüße 🙂", "reasoning_content": "hm", "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{\"a\":1}"}}]}},
        {"index": 1, "message": {"content": "another"}, "finish_reason": "stop"}]});
    let call = |name: Option<&str>, arguments: &str| {
        json!({"choices": [{"index": 0, "delta": {"tool_calls": [
            {"index": 0, "function": {"name": name, "arguments": arguments}}]}}]})
    };
    let stream = events(&[
        json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}),
        json!({"choices": [{"index": 1, "delta": {"content": "another"}}]}),
        json!({"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]}),
        json!({"choices": [{"index": 0, "delta": {"content": "Grüße "}}]}),
        json!({"choices": [{"index": 0, "delta": {"content": "🙂"}}]}),
        call(Some("look"), "{\"a\""),
        call(None, ":1}"),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
        json!({"choices": [], "usage": {"prompt_tokens": 1}}),
    ]);
    let said = expected("Grüße 🙂", &[("look", "{\"a\":1}")], "tool_calls");

    assert_eq!(read(AnswerFormat::OpenAi, &whole.to_string()), said);
    assert_eq!(read(AnswerFormat::OpenAi, &format!("{stream}data: [DONE]\n\n")), said);
}

#[test]
fn a_message_says_the_same_whole_and_as_a_stream_and_thoughts_are_no_text() {
    let whole = json!({"type": "message", "stop_reason": "tool_use", "content": [
        {"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "So: "},
        {"type": "tool_use", "id": "1", "name": "look", "input": {"a": 1}}]});
    let stream = events(&[
        json!({"type": "message_start", "message": {"content": []}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "So: "}}),
        json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "name": "look", "input": {}}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{\"a\""}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ":1}"}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
        json!({"type": "message_stop"}),
    ]);
    let said = expected("So: ", &[("look", "{\"a\":1}")], "tool_use");

    assert_eq!(read(AnswerFormat::Anthropic, &whole.to_string()), said);
    assert_eq!(read(AnswerFormat::Anthropic, &stream), said);
}

#[test]
fn a_response_says_the_same_whole_and_as_a_stream_that_repeats_it() {
    let whole = json!({"object": "response", "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"},
        "output": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "message", "content": [{"type": "output_text", "text": "So"}]},
            {"type": "function_call", "name": "look", "arguments": "{}"}]});
    let stream = events(&[
        json!({"type": "response.created", "response": {"status": "in_progress", "output": []}}),
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "hm"}),
        json!({"type": "response.output_text.delta", "output_index": 1, "delta": "So"}),
        json!({"type": "response.output_text.done", "output_index": 1, "text": "So"}),
        json!({"type": "response.output_item.added", "output_index": 2, "item": {"type": "function_call", "name": "look", "arguments": ""}}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 2, "delta": "{}"}),
        json!({"type": "response.incomplete", "response": whole}),
    ]);
    let said = expected("So", &[("look", "{}")], "max_output_tokens");

    assert_eq!(read(AnswerFormat::Responses, &whole.to_string()), said);
    assert_eq!(read(AnswerFormat::Responses, &stream), said);
}

#[test]
fn google_s_contents_say_the_same_whole_as_events_and_as_a_list_and_a_thought_may_say_so_last() {
    let thought = json!({"candidates": [{"content": {"parts": [{"text": "hm", "thought": true}, {"text": "S"}]}}]});
    let rest = json!({"candidates": [{"finishReason": "STOP",
        "content": {"parts": [{"text": "o"}, {"functionCall": {"name": "look", "args": {"a": 1}}}]}}]});
    let whole = json!({"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "hm", "thought": true},
        {"text": "So"}, {"functionCall": {"name": "look", "args": {"a": 1}}}]}}]});
    let said = expected("So", &[("look", "{\"a\":1}")], "STOP");

    assert_eq!(read(AnswerFormat::Gemini, &whole.to_string()), said);
    assert_eq!(read(AnswerFormat::Gemini, &events(&[thought.clone(), rest.clone()])), said);
    assert_eq!(read(AnswerFormat::Gemini, &format!("[{thought}\n,{rest}]")), said);
}

#[test]
fn what_is_no_answer_of_its_api_is_none() {
    for answer in
        ["", "  \n", "sorry", "{\"error\": {\"message\": \"no\"}}", "[1]", "data: {\"choices\"", "\u{1f}\u{8b}\u{8}"]
    {
        assert_eq!(read_within(AnswerFormat::OpenAi, answer, WHOLE), None, "{answer:?}");
    }
}

#[test]
fn no_more_text_is_kept_than_was_asked_for_and_what_came_is_counted() {
    let chunk = |text: &str| json!({"choices": [{"delta": {"content": text}}]});
    let end = json!({"choices": [{"delta": {}, "finish_reason": "stop"}]});
    let stream = events(&[chunk("abc"), chunk("dé"), chunk("f"), end]);

    let answer = read_within(AnswerFormat::OpenAi, &stream, 5).expect("an answer");

    assert_eq!((answer.text.as_str(), answer.bytes, answer.is_truncated), ("abcd", 7, true));
    assert_eq!(answer.finish_reason.as_deref(), Some("stop"));
}

#[test]
fn a_whole_answer_beyond_what_is_held_says_its_beginning() {
    let text = "long words ".repeat(20_000);
    let answer = format!("{{\"choices\":[{{\"message\":{{\"content\":\"{text}\"}},\"finish_reason\":\"stop\"}}]}}");

    let read = read_within(AnswerFormat::OpenAi, &answer, 100).expect("an answer");

    assert_eq!((read.text.as_str(), read.is_truncated, read.finish_reason), (&text[..100], true, None));
}

#[test]
fn an_event_that_repeats_more_than_is_held_still_says_why_the_answer_ended() {
    let repeated = "x".repeat(MAX_EVENT);
    let end = format!(
        "{{\"type\":\"response.completed\",\"response\":{{\"status\":\"completed\",\"output\":[{{\"type\":\"message\",\
         \"content\":[{{\"text\":\"{repeated}\"}}]}}]}}}}"
    );
    let stream = format!("data: {}\n\ndata: {end}\n\n", json!({"type": "response.output_text.delta", "delta": "x"}));

    let answer = read(AnswerFormat::Responses, &stream);

    assert_eq!((answer.text.as_str(), answer.finish_reason.as_deref()), ("x", Some("completed")));
}

#[test]
fn json_that_was_cut_is_what_came_before() {
    for (cut, expected) in [
        ("{\"a\":1,\"b\":tr", Some(json!({"a": 1}))),
        ("{\"a\":[1,2", Some(json!({"a": [1]}))),
        ("{\"a\":{\"b\":\"x\\", Some(json!({"a": {"b": "x"}}))),
        ("{\"a\":\"x\\ud83d\\ude0", Some(json!({"a": "x"}))),
        ("{\"a\":\"x\",\"na", Some(json!({"a": "x"}))),
        ("{\"a\":", Some(json!({}))),
        ("", None),
    ] {
        assert_eq!(opened(cut.as_bytes()), expected, "{cut}");
    }
}

proptest! {
    #[test]
    fn wherever_json_is_cut_what_came_before_is_json(text in "\\PC{0,12}", number: i32, at in 0.0..1.0_f64) {
        let document = json!({"a": [text, {"b": number, "ü\"": text}], "c": null}).to_string();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place within the text")]
        let at = 1 + (at * (document.len() - 1) as f64) as usize;

        prop_assert!(opened(&document.as_bytes()[..at]).is_some());
    }
}
