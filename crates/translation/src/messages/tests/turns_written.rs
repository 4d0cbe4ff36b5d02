//! Tests of writing turns.

use serde_json::json;

use super::{TARGET, request, turn, write, write_for};
use crate::conversion::sealed::VendorSeal;
use crate::conversion::tool_id;
use crate::family::DialectFamily;
use crate::loss::Field;
use crate::messages::Messages;
use crate::neutral::{
    Audio, CallKind, Document, Image, ImageDetail, MediaSource, Part, PartBody, Thinking, ToolCall, ToolResult,
    TurnRole,
};
use crate::translation::{Api, TranslationTarget};

fn call(id: &'static str, arguments: &'static str) -> Part<'static> {
    Part::new(PartBody::ToolCall(ToolCall {
        id: id.into(),
        name: "f".into(),
        arguments: arguments.into(),
        kind: CallKind::Function,
    }))
}

fn result(id: &'static str, parts: Vec<Part<'static>>) -> Part<'static> {
    Part::new(PartBody::ToolResult(ToolResult {
        call_id: id.into(),
        name: Some("f".into()),
        parts,
        is_error: None,
        kind: CallKind::Function,
    }))
}

fn thought(sealed: Option<VendorSeal<'static>>) -> Part<'static> {
    Part::new(PartBody::Thinking(Thinking { text: "hm".into(), is_summary: false, is_redacted: false, sealed }))
}

#[test]
fn instructions_at_the_beginning_are_the_system_prompt_and_later_ones_stay_where_they_are() {
    let mut request = request();
    request.turns = vec![
        turn(TurnRole::System, vec![Part::text("a")]),
        turn(TurnRole::Developer, vec![Part::text("b")]),
        turn(TurnRole::User, vec![Part::text("q")]),
        turn(TurnRole::Developer, vec![Part::text("c")]),
        turn(TurnRole::User, vec![Part::text("r")]),
    ];
    let (body, said) = write(&request);

    assert_eq!(body["system"], json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]));
    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": "q"}, {"role": "system", "content": "c"}, {"role": "user", "content": "r"}])
    );
    assert_eq!(said, "", "not a word is put before them");
}

#[test]
fn turns_of_one_speaker_are_one_and_results_come_first_in_it() {
    let mut request = request();
    request.turns = vec![
        turn(TurnRole::User, vec![Part::text("q")]),
        turn(TurnRole::Assistant, vec![Part::text("first"), call("a", "{}"), Part::text("then"), call("b", "")]),
        turn(TurnRole::User, vec![result("a", vec![Part::text("1")])]),
        turn(TurnRole::User, vec![Part::text("and"), result("b", vec![])]),
    ];
    let (body, said) = write(&request);

    assert_eq!(
        body["messages"][1]["content"],
        json!([{"type": "text", "text": "first"}, {"type": "tool_use", "id": "a", "name": "f", "input": {}},
            {"type": "text", "text": "then"}, {"type": "tool_use", "id": "b", "name": "f", "input": {}}])
    );
    assert_eq!(
        body["messages"][2]["content"],
        json!([{"type": "tool_result", "tool_use_id": "a", "content": "1"}, {"type": "tool_result", "tool_use_id": "b"},
            {"type": "text", "text": "and"}])
    );
    assert_eq!(said, "");
}

#[test]
fn an_instruction_between_calls_and_their_results_comes_behind_them() {
    let mut request = request();
    request.turns = vec![
        turn(TurnRole::User, vec![Part::text("q")]),
        turn(TurnRole::Assistant, vec![call("a", "{}")]),
        turn(TurnRole::System, vec![Part::text("careful")]),
        turn(TurnRole::User, vec![result("a", vec![Part::text("1")])]),
    ];
    let (body, said) = write(&request);

    let roles: Vec<_> = body["messages"].as_array().expect("turns").iter().map(|turn| turn["role"].clone()).collect();
    assert_eq!(roles, ["user", "assistant", "user", "system"]);
    assert_eq!(said, "changed=system_turns");
}

#[test]
fn empty_turns_are_left_out_and_never_filled() {
    let mut request = request();
    request.turns.insert(0, turn(TurnRole::Assistant, vec![Part::text("")]));
    request.turns.insert(0, turn(TurnRole::User, vec![]));
    let (body, said) = write(&request);

    assert_eq!(body["messages"], json!([{"role": "user", "content": "hi"}]));
    assert_eq!(said, "changed=empty_turns");
}

#[test]
fn instructions_alone_are_what_the_user_says() {
    let mut request = request();
    request.turns = vec![turn(TurnRole::System, vec![Part::text("do it")])];
    let (body, said) = write(&request);

    assert_eq!((&body["system"], &body["messages"][0]["content"]), (&json!(null), &json!("do it")));
    assert_eq!(said, "changed=system_turns");
}

#[test]
fn a_refusal_of_the_history_is_text_and_a_name_is_said_to_be_lost() {
    let mut request = request();
    request.turns[0].name = Some("bob".into());
    request.turns.push(turn(TurnRole::Assistant, vec![Part::new(PartBody::Refusal("No.".into()))]));
    request.turns.push(turn(TurnRole::User, vec![Part::text("why?")]));
    let (body, said) = write(&request);

    assert_eq!(body["messages"][1]["content"], json!([{"type": "text", "text": "No."}]));
    assert_eq!(said, "dropped=names; changed=refusals");
}

#[test]
fn ids_are_legal_here_and_lead_back_and_calls_without_one_get_those_of_their_results() {
    let mut request = request();
    request.turns = vec![
        turn(TurnRole::Assistant, vec![call("call_a.1:b", "{\"x\": 1}"), call("", "{}"), call("", "{}")]),
        turn(TurnRole::User, vec![result("call_a.1:b", vec![]), result("", vec![]), result("", vec![])]),
    ];
    let (body, _) = write(&request);

    let calls = &body["messages"][0]["content"];
    let id = calls[0]["id"].as_str().expect("an id");
    assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'));
    assert_eq!(tool_id::original(id), "call_a.1:b");
    assert_ne!(calls[1]["id"], calls[2]["id"], "parallel calls of one function differ");
    for index in 0..3 {
        assert_eq!(body["messages"][1]["content"][index]["tool_use_id"], calls[index]["id"]);
    }
}

#[test]
fn free_text_and_broken_arguments_are_objects_here() {
    let mut request = request();
    let custom = PartBody::ToolCall(ToolCall {
        id: "c".into(),
        name: "patch".into(),
        arguments: "*** \"Begin\"".into(),
        kind: CallKind::Custom,
    });
    request.turns.insert(0, turn(TurnRole::Assistant, vec![Part::new(custom), call("d", "{\"x\": ")]));
    let (body, said) = write(&request);

    assert_eq!(body["messages"][0]["content"][0]["input"], json!({"input": "*** \"Begin\""}));
    assert_eq!(body["messages"][0]["content"][1]["input"], json!({"arguments": "{\"x\":"}));
    assert_eq!(said, "changed=tools");
}

#[test]
fn results_keep_their_errors_and_their_images() {
    let mut request = request();
    let image = Image {
        source: MediaSource::Base64 { media_type: "image/jpg".into(), data: "iVBO".into() },
        detail: Some(ImageDetail::High),
    };
    let mut failed = result("a", vec![Part::text("no"), Part::new(PartBody::Image(image))]);
    if let PartBody::ToolResult(result) = &mut failed.body {
        result.is_error = Some(true);
    }
    request.turns = vec![turn(TurnRole::Assistant, vec![call("a", "{}")]), turn(TurnRole::User, vec![failed])];
    let (body, said) = write(&request);

    assert_eq!(
        body["messages"][1]["content"][0],
        json!({"type": "tool_result", "tool_use_id": "a", "is_error": true, "content": [{"type": "text", "text": "no"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "iVBO"}}]})
    );
    assert_eq!(said, "dropped=images.detail");
}

#[test]
fn documents_are_pdfs_texts_or_addresses() {
    let document = |source| {
        Part::new(PartBody::Document(Document { source, title: Some("t".into()), context: None, cites: None }))
    };
    let base64 = |media_type: &'static str, data: &'static str| MediaSource::Base64 {
        media_type: media_type.into(),
        data: data.into(),
    };
    let mut request = request();
    request.turns[0].parts = vec![
        document(base64("application/pdf", "JVBE")),
        document(base64("text/csv; charset=utf-8", "YSxi")),
        document(MediaSource::Url { url: "https://e.org/a.pdf".into(), media_type: None }),
        document(base64("application/zip", "UEsD")),
    ];
    let (body, losses) = write_for(&request, &TARGET);

    let content = &body["messages"][0]["content"];
    assert_eq!(content[0]["source"], json!({"type": "base64", "media_type": "application/pdf", "data": "JVBE"}));
    assert_eq!(content[1]["source"], json!({"type": "text", "media_type": "text/plain", "data": "a,b"}));
    assert_eq!(content[2]["source"], json!({"type": "url", "url": "https://e.org/a.pdf"}));
    assert_eq!(content.as_array().map(Vec::len), Some(3));
    assert_eq!(losses.grave().map(|loss| loss.field), Some(Field::Documents));
}

#[test]
fn what_the_model_cannot_take_is_said_as_grave() {
    let audio = Audio { source: MediaSource::Text("".into()), transcript: None };
    let parts = [
        (PartBody::Audio(audio), "dropped=audio"),
        (PartBody::Video(MediaSource::Text("".into())), "dropped=video"),
        (
            PartBody::Image(Image {
                source: MediaSource::Base64 { media_type: "image/heic".into(), data: "AAAA".into() },
                detail: None,
            }),
            "dropped=images",
        ),
        (PartBody::Image(Image { source: MediaSource::FileId("file-1".into()), detail: None }), "refused=file_ids"),
    ];
    for (part, said) in parts {
        let mut request = request();
        request.turns[0].parts.push(Part::new(part));
        let (body, losses) = write_for(&request, &TARGET);
        assert_eq!(losses.to_string(), said);
        assert!(losses.grave().is_some());
        assert_eq!(body["messages"][0]["content"], "hi");
    }
}

#[test]
fn a_thought_goes_back_to_its_maker_alone_and_is_never_text() {
    let mut request = request();
    let own = VendorSeal::new(DialectFamily::Messages, "EqQB");
    let other = VendorSeal::new(DialectFamily::Gemini, "AAAA");
    let mut signed = call("a", "{}");
    signed.sealed = Some(other.clone());
    let hidden = PartBody::Thinking(Thinking {
        text: "".into(),
        is_summary: false,
        is_redacted: true,
        sealed: Some(VendorSeal::new(DialectFamily::Messages, "Er")),
    });
    request.turns = vec![
        turn(
            TurnRole::Assistant,
            vec![thought(Some(own)), thought(Some(other)), thought(None), Part::new(hidden), signed],
        ),
        turn(TurnRole::User, vec![result("a", vec![Part::text("1")])]),
    ];
    let (body, said) = write(&request);

    assert_eq!(
        body["messages"][0]["content"],
        json!([{"type": "thinking", "thinking": "hm", "signature": "EqQB"}, {"type": "redacted_thinking", "data": "Er"},
            {"type": "tool_use", "id": "a", "name": "f", "input": {}}])
    );
    assert_eq!(said, "dropped=thinking,thinking.sealed");
}

#[test]
fn a_text_at_the_end_that_the_answer_goes_on_with_has_no_white_space_after_it() {
    let mut request = request();
    request.turns.push(turn(TurnRole::Assistant, vec![Part::text("{\"a\": ")]));
    let (body, losses) = write_for(&request, &TranslationTarget { model: "claude-sonnet-4-5", max_output: None });

    assert_eq!(body["messages"][1]["content"], "{\"a\":");
    assert_eq!(losses.to_string(), "changed=prefill");
}

#[test]
fn a_thought_that_a_client_kept_twice_goes_back_once() {
    let own = || thought(Some(VendorSeal::new(DialectFamily::Messages, "EqQB")));
    let mut request = request();
    request.turns.insert(0, turn(TurnRole::Assistant, vec![own(), Part::text("a"), own(), call("a", "{}")]));
    let (body, said) = write(&request);

    let content = body["messages"][0]["content"].as_array().expect("blocks");
    let kinds: Vec<_> = content.iter().map(|block| block["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds, ["thinking", "text", "tool_use"]);
    assert_eq!(said, "");
}

#[test]
fn a_name_that_the_api_does_not_take_is_coded_and_its_calls_come_back_under_it() {
    let named = Part::new(PartBody::ToolCall(ToolCall {
        id: "a".into(),
        name: "files.read".into(),
        arguments: "{}".into(),
        kind: CallKind::Function,
    }));
    let mut request = request();
    request.turns =
        vec![turn(TurnRole::Assistant, vec![named]), turn(TurnRole::User, vec![result("a", vec![Part::text("1")])])];
    let (body, _) = write(&request);
    let name = body["messages"][0]["content"][0]["name"].as_str().expect("a name").to_owned();
    assert!(!name.contains('.'));

    let answer =
        json!({"content": [{"type": "tool_use", "id": "t", "name": name, "input": {}}], "stop_reason": "tool_use"});
    let answer = answer.to_string();
    let answer = Messages.read_answer(answer.as_bytes()).expect("an answer");
    assert!(matches!(&answer.choices[0].parts[0].body, PartBody::ToolCall(call) if call.name == "files.read"));
}
