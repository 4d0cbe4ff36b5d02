use serde_json::{Value, json};

use super::*;
use crate::prompt::Dialect;

fn names(body: &Value) -> Vec<StateName> {
    NamedState::of(Some(Dialect::Responses), body.to_string().as_bytes()).names
}

fn name(kind: StateKind, value: &str) -> StateName {
    StateName::new(kind, value.as_bytes())
}

#[test]
fn each_way_to_name_state_is_found_in_each_dialect() {
    use StateKind::{Container, Conversation, File, Item, Object, Reference, Response, Sealed};
    for (body, expected) in [
        (json!({"input": "x", "previous_response_id": "resp_1"}), (Response, "resp_1")),
        (json!({"input": "x", "conversation": "conv_1"}), (Conversation, "conv_1")),
        (json!({"input": "x", "conversation": {"id": "conv_2"}}), (Conversation, "conv_2")),
        (json!({"input": "x", "prompt": {"id": "pmpt_1", "version": "2"}}), (Object, "pmpt_1")),
        (json!({"input": [{"type": "item_reference", "id": "rs_1"}]}), (Reference, "rs_1")),
        (json!({"input": [{"type": "message", "id": "msg_1"}]}), (Item, "msg_1")),
        (json!({"input": [{"type": "reasoning", "encrypted_content": "gAAAAABsealed"}]}), (Sealed, "gAAAAABsealed")),
        (json!({"input": [{"content": [{"type": "input_file", "file_id": "file-1"}]}]}), (File, "file-1")),
        (
            json!({"input": [{"type": "function_call_output", "output": [{"type": "input_image", "file_id": "file-2"}]}]}),
            (File, "file-2"),
        ),
        (json!({"input": "x", "tools": [{"type": "code_interpreter", "container": "cntr_1"}]}), (Container, "cntr_1")),
        (
            json!({"input": "x", "tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-3"]}}]}),
            (File, "file-3"),
        ),
        (json!({"input": "x", "tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}), (Object, "vs_1")),
        (json!({"messages": [{"content": [{"type": "file", "file": {"file_id": "file-4"}}]}]}), (File, "file-4")),
        (json!({"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}), (Reference, "audio_1")),
        (
            json!({"messages": [{"tool_calls": [{"id": "c", "extra_content": {"google": {"thought_signature": "Cs4BAVSoXO=="}}}]}]}),
            (Sealed, "Cs4BAVSoXO=="),
        ),
        (
            json!({"messages": [], "extra_body": {"google": {"cached_content": "cachedContents/1"}}}),
            (Object, "cachedContents/1"),
        ),
        (
            json!({"messages": [{"content": [{"type": "document", "source": {"type": "file", "file_id": "file_5"}}]}]}),
            (File, "file_5"),
        ),
        (json!({"messages": [{"content": [{"type": "container_upload", "file_id": "file_6"}]}]}), (File, "file_6")),
        (
            json!({"messages": [{"content": [{"type": "thinking", "thinking": "", "signature": "EqQBCgIYAhIM"}]}]}),
            (Sealed, "EqQBCgIYAhIM"),
        ),
        (
            json!({"messages": [{"content": [{"type": "redacted_thinking", "data": "EmwKAhgBEgy3"}]}]}),
            (Sealed, "EmwKAhgBEgy3"),
        ),
        (json!({"messages": [], "container": "container_1"}), (Container, "container_1")),
        (json!({"messages": [], "container": {"id": "container_2", "skills": []}}), (Container, "container_2")),
        (json!({"input_file_id": "file-7", "endpoint": "/v1/responses"}), (File, "file-7")),
        (json!({"cachedContent": "cachedContents/2", "contents": []}), (Object, "cachedContents/2")),
        (json!({"messages": [{"attachments": [{"file_id": "file-8"}]}]}), (File, "file-8")),
    ] {
        assert_eq!(names(&body), [name(expected.0, expected.1)], "{body}");
    }
}

#[test]
fn state_within_lists_of_reasoning_approvals_and_sources_is_found() {
    use StateKind::{File, Reference, Sealed};
    for (body, expected) in [
        (
            json!({"messages": [{"reasoning_details": [{"type": "reasoning.encrypted", "data": "gAAAAABsealed"}]}]}),
            (Sealed, "gAAAAABsealed"),
        ),
        (
            json!({"messages": [{"thinking_blocks": [{"type": "redacted_thinking", "data": "EmwKAhgBEgy3"}]}]}),
            (Sealed, "EmwKAhgBEgy3"),
        ),
        (
            json!({"input": [{"type": "mcp_approval_response", "approve": true, "approval_request_id": "mcpr_1"}]}),
            (Reference, "mcpr_1"),
        ),
        (json!({"data_source": {"source": {"type": "file_id", "id": "file-9"}}}), (File, "file-9")),
    ] {
        assert_eq!(names(&body), [name(expected.0, expected.1)], "{body}");
    }
}

#[test]
fn what_only_looks_like_a_name_of_state_is_none() {
    for body in [
        json!({"input": "write \"previous_response_id\": \"resp_1\" into the file"}),
        json!({"messages": [{"content": [{"type": "tool_use", "id": "t", "input": {"file_id": "file-1"}}]}]}),
        json!({"input": [{"type": "function_call", "arguments": {"container_id": "c"}, "call_id": "c1"}]}),
        json!({"messages": [], "tools": [{"input_schema": {"properties": {"file_id": {"type": "string"}}}}]}),
        json!({"messages": [], "metadata": {"file_id": "file-1"}}),
        json!({"input": [{"id": "__fake_id__", "type": "message"}]}),
        json!({"input": "x", "previous_response_id": null, "conversation": ""}),
        json!({"input": "x", "previous_response_id": "x".repeat(513)}),
        json!({"messages": [{"id": "m1", "content": "x"}]}),
        json!({"messages": [{"content": [{"type": "input_audio", "input_audio": {"data": "UklGRgAAAAAA"}}]}]}),
        json!({"input": "reasoning.encrypted", "data": [{"data": "gAAAAABsealed"}]}),
        json!({"messages": [], "container": {"skills": [{"type": "anthropic", "skill_id": "pptx"}]}}),
        json!({"contents": [{"parts": [{"thoughtSignature": "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="}]}]}),
        json!({"contents": [{"parts": [{"thought_signature": "skip_thought_signature_validator"}]}]}),
    ] {
        assert_eq!(names(&body), [], "{body}");
    }
}

#[test]
fn what_is_needed_comes_first_and_the_history_from_its_newest() {
    let body = json!({
        "input": [
            {"id": "rs_1", "encrypted_content": "sealed-sealed-1"},
            {"role": "user", "content": [{"file_id": "file-1"}]},
            {"id": "rs_2", "encrypted_content": "sealed-sealed-2"},
        ],
        "previous_response_id": "resp_1",
    });

    assert_eq!(
        names(&body),
        [
            name(StateKind::Response, "resp_1"),
            name(StateKind::File, "file-1"),
            name(StateKind::Item, "rs_2"),
            name(StateKind::Sealed, "sealed-sealed-2"),
            name(StateKind::Item, "rs_1"),
            name(StateKind::Sealed, "sealed-sealed-1"),
        ]
    );
}

#[test]
fn what_is_nothing_without_its_maker_is_needed() {
    let sealed = "x".repeat(600);
    for body in [
        json!({"input": [{"type": "compaction", "encrypted_content": sealed}]}),
        json!({"input": [{"encrypted_content": sealed, "type": "compaction_summary"}]}),
        json!({"messages": [{"content": [{"type": "web_search_tool_result", "content": [
            {"type": "web_search_result", "encrypted_content": sealed}]}]}]}),
    ] {
        assert_eq!(names(&body), [name(StateKind::Reference, &sealed)], "{body}");
    }
}

#[test]
fn a_body_of_nothing_but_names_costs_no_more_than_a_few() {
    let items: Vec<Value> =
        (0..100_000).map(|id| json!({"type": "item_reference", "id": format!("rs_{id}")})).collect();

    assert_eq!(names(&json!({"input": items})).len(), 48);
}

#[test]
fn an_escaped_value_is_the_value() {
    let body = br#"{"messages":[{"content":[{"type":"thinking","signature":"ab\/cdefgh\u003d"}]}]}"#;

    assert_eq!(NamedState::of(None, body).names, [name(StateKind::Sealed, "ab/cdefgh=")]);
}

#[test]
fn a_path_names_the_objects_that_it_is_about() {
    let of = |path: &str| StateName::of_path(path);

    assert_eq!(of("/v1/responses/resp_1/input_items")[0], name(StateKind::Response, "resp_1"));
    assert_eq!(of("/v1/files/file-1/content")[0], name(StateKind::File, "file-1"));
    assert_eq!(of("/v1/messages/batches/msgbatch_1/results")[0], name(StateKind::Object, "msgbatch_1"));
    assert!(of("/v1beta/cachedContents/1").contains(&name(StateKind::Object, "cachedContents/1")));
    assert!(of("/v1/vector_stores/vs_1/files/file-1").contains(&name(StateKind::File, "file-1")));
    assert_eq!(of("/v1/chat/completions/chatcmpl-1/messages")[0], name(StateKind::Response, "chatcmpl-1"));
    for path in
        ["/v1/responses", "/v1/responses/compact", "/v1/chat/completions", "/v1/models/m", "/v1/messages/batches"]
    {
        assert_eq!(of(path), [], "{path}");
    }
}

#[test]
fn completions_are_kept_where_the_path_names_one() {
    for (path, is_kept) in [
        ("/v1/chat/completions", false),
        ("/v1/chat/completions/", false),
        ("/v1/completions", false),
        ("/v1/chat/completions/render", false),
        ("/v1/chat/completions/chatcmpl-1", true),
        ("/v1/chat/completions/chatcmpl-1/messages", true),
        ("/v1/responses", true),
        ("/v1/files", true),
    ] {
        assert_eq!(StateName::is_kept_under(path), is_kept, "{path}");
    }
}

#[test]
fn bytes_of_any_kind_are_walked_over() {
    for body in
        [&b"{\"signature\":"[..], b"]\"signature\"", b"\"signature\"", b"{\"file_id\" \"x\" }}}", b"[[[[\"file_id\""]
    {
        assert_eq!(NamedState::of(None, body), NamedState::default());
    }
}
