use serde_json::json;

use crate::prompt::state::{StateKind, StateName};
use crate::usage::{AnswerFormat, AnswerFraming, StateScope, UsageReader};

/// Reads an answer to a request for `path` in pieces of `size` bytes.
fn names(path: &str, framing: AnswerFraming, answer: &str, size: usize) -> Vec<StateName> {
    let scope = StateScope::of_path(path, false);
    let mut reader = UsageReader::new(AnswerFormat::of_path(path), framing);
    reader.look_for_names(scope);
    answer.as_bytes().chunks(size).for_each(|piece| reader.push(piece));
    reader.take_names()
}

fn name(kind: StateKind, value: &str) -> StateName {
    StateName::new(kind, value.as_bytes())
}

#[test]
fn a_response_names_itself_its_items_and_what_is_sealed_however_it_is_cut() {
    let answer = json!({
        "id": "resp_1", "object": "response", "conversation": {"id": "conv_1"},
        "output": [{"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA/sealed=="},
                   {"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1", "code": "x = \"id\""}],
    });
    let expected = [
        name(StateKind::Conversation, "conv_1"),
        name(StateKind::Response, "resp_1"),
        name(StateKind::Item, "rs_1"),
        name(StateKind::Item, "ci_1"),
        name(StateKind::Container, "cntr_1"),
        name(StateKind::Sealed, "gAAA/sealed=="),
    ];
    let whole = answer.to_string();
    let escaped = whole.replace("gAAA/sealed==", "gAAA\\/sealed\\u003d=");
    let stream =
        format!("event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{whole}}}\n\n");
    for size in 1..whole.len() {
        for (framing, answer) in
            [(AnswerFraming::Json, &whole), (AnswerFraming::Json, &escaped), (AnswerFraming::Events, &stream)]
        {
            let found = names("/v1/responses", framing, answer, size);

            assert_eq!(found.len(), expected.len(), "in pieces of {size}");
            assert!(expected.iter().all(|name| found.contains(name)), "{framing:?} in pieces of {size}");
        }
    }
}

#[test]
fn a_stream_gives_each_name_once_and_as_soon_as_it_is_there() {
    let mut reader = UsageReader::new(AnswerFormat::Responses, AnswerFraming::Events);
    reader.look_for_names(StateScope::Responses);
    let event = |kind: &str| format!("data: {{\"type\":\"{kind}\",\"response\":{{\"id\":\"resp_1\"}}}}\n\n");

    reader.push(event("response.created").as_bytes());
    assert_eq!(reader.take_names(), [name(StateKind::Response, "resp_1")]);
    reader.push(event("response.completed").as_bytes());
    assert_eq!(reader.take_names(), []);
}

#[test]
fn only_what_a_client_can_send_back_is_a_name() {
    let chat = r#"{"id":"chatcmpl-1","choices":[{"message":{"content":"x","audio":{"id":"audio_1","data":"UklGRgAAAAAA"},
        "tool_calls":[{"id":"call_1","extra_content":{"google":{"thought_signature":"Cs4BAVSoXO=="}}}]}}]}"#;
    let message = r#"{"id":"msg_1","container":{"id":"container_1"},"content":[{"type":"thinking","thinking":"","signature":"EqQBCgIYAhIM"},
        {"type":"redacted_thinking","data":"EmwKAhgBEgy3"},{"type":"tool_use","id":"toolu_1"}]}"#;
    let delta = r#"data: {"type":"content_block_delta","delta":{"type":"signature_delta","signature":"EqQBCgIYAhIM"}}

"#;

    let found = names("/v1/chat/completions", AnswerFraming::Json, chat, 7);
    assert_eq!(found, [name(StateKind::Item, "audio_1"), name(StateKind::Sealed, "Cs4BAVSoXO==")]);
    let found = names("/v1/messages", AnswerFraming::Json, message, 7);
    assert_eq!(
        found,
        [
            name(StateKind::Container, "container_1"),
            name(StateKind::Sealed, "EqQBCgIYAhIM"),
            name(StateKind::Sealed, "EmwKAhgBEgy3")
        ]
    );
    assert_eq!(names("/v1/messages", AnswerFraming::Events, delta, 7), [name(StateKind::Sealed, "EqQBCgIYAhIM")]);
    assert_eq!(names("/v1/embeddings", AnswerFraming::Json, r#"{"id":"e","data":[]}"#, 7), []);
}

#[test]
fn encrypted_reasoning_in_lists_of_a_chat_is_sealed_and_a_sound_is_not() {
    let message = json!({"reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "EqQBCgIYAhIM"},
        {"type": "reasoning.encrypted", "data": "gAAA/sealed==", "id": "rs_1"}], "audio": {"data": "UklGRgAAAAAA"}});
    let expected = [name(StateKind::Sealed, "EqQBCgIYAhIM"), name(StateKind::Sealed, "gAAA/sealed==")];
    let whole = json!({"id": "c", "choices": [{"message": message}]}).to_string();
    let cut = r#"data: {"choices":[{"delta":{"reasoning_details":[{"type":"#;
    let stream = format!(
        "{cut}\n\ndata: {{\"audio\":{{\"data\":\"UklGRgAAAAAA\"}}}}\n\ndata: {}\n\n",
        json!({"choices": [{"delta": message}]})
    );
    for size in [1, 3, 7, 4096] {
        for (framing, answer) in [(AnswerFraming::Json, &whole), (AnswerFraming::Events, &stream)] {
            let mut found = names("/v1/chat/completions", framing, answer, size);
            found.sort_by_key(|name| *name != expected[0]);

            assert_eq!(found, expected, "{framing:?} in pieces of {size}");
        }
    }
}

#[test]
fn objects_that_calls_of_their_own_make_are_named() {
    for (path, answer, expected) in [
        ("/v1/files", r#"{"id":"file-1","object":"file"}"#, name(StateKind::File, "file-1")),
        ("/v1/conversations", r#"{"id":"conv_1"}"#, name(StateKind::Conversation, "conv_1")),
        ("/v1/vector_stores", r#"{"id":"vs_1"}"#, name(StateKind::Object, "vs_1")),
        ("/v1/messages/batches", r#"{"id":"msgbatch_1"}"#, name(StateKind::Object, "msgbatch_1")),
        ("/v1beta/cachedContents", r#"{"name":"cachedContents/1"}"#, name(StateKind::Object, "cachedContents/1")),
        ("/upload/v1beta/files", r#"{"file":{"name":"files/1"}}"#, name(StateKind::File, "files/1")),
        ("/v1/batches/b", r#"{"output_file_id":"file-2"}"#, name(StateKind::File, "file-2")),
    ] {
        assert_eq!(names(path, AnswerFraming::Json, answer, 3), [expected], "{path}");
    }
}
