use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::neutral::{
    CallKind, NeutralAnswer, NeutralChoice, NeutralUsage, Part, PartBody, Stop, StopReason, Thinking, ToolCall,
};

fn answer<'b>(parts: Vec<Part<'b>>, reason: StopReason) -> NeutralAnswer<'b> {
    NeutralAnswer {
        id: Some("chatcmpl-1".into()),
        model: Some("claude".into()),
        created: None,
        choices: vec![NeutralChoice { parts, stop: Stop::of(reason), logprobs: None }],
        usage: Some(NeutralUsage { input: 10, cache_read: Some(4), output: 5, ..NeutralUsage::default() }),
        service_tier: Some("standard".into()),
    }
}

fn written(answer: &NeutralAnswer<'_>, memo: &RequestMemo) -> Value {
    serde_json::from_slice(&Responses.write_answer(answer, &details(memo))).expect("JSON")
}

fn call<'b>(name: &'b str, arguments: &'b str) -> Part<'b> {
    let call = ToolCall { id: "c1".into(), name: name.into(), arguments: arguments.into(), kind: CallKind::Function };
    Part::new(PartBody::ToolCall(call))
}

fn raw(json: &str) -> &RawValue {
    serde_json::from_str(json).expect("JSON")
}

#[test]
fn an_answer_has_every_item_and_what_the_request_said() {
    let memo = memo(
        r#"{"model":"m","input":"x","temperature":0.3,"tools":[{"type":"function","name":"f","parameters":{},"strict":false}],"metadata":{"a":"b"}}"#,
    );
    let thought = Thinking {
        text: "hm".into(),
        is_summary: true,
        is_redacted: false,
        sealed: Some(VendorSeal::new(DialectFamily::Messages, "SIG")),
    };
    let parts = vec![Part::new(PartBody::Thinking(thought)), Part::text("a"), Part::text("b"), call("f", "")];
    let body = written(&answer(parts, StopReason::ToolUse), &memo);

    assert_eq!(
        (&body["id"], &body["object"], &body["status"]),
        (&"resp_u1".into(), &"response".into(), &"completed".into())
    );
    assert_eq!(body["created_at"], 1_800_000_000);
    assert_eq!(
        (&body["temperature"], &body["metadata"], &body["tool_choice"]),
        (&0.3.into(), &json!({"a": "b"}), &"auto".into())
    );
    assert_eq!(body["tools"][0]["name"], "f");
    assert_eq!(body["service_tier"], "default");
    let output = &body["output"];
    assert_eq!(output[0]["summary"], json!([{"type": "summary_text", "text": "hm"}]));
    assert_eq!(
        output[1],
        json!({"type": "message", "id": "msg_u1_1", "status": "completed", "role": "assistant", "content": [
            {"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
            {"type": "output_text", "text": "b", "annotations": [], "logprobs": []}]})
    );
    assert_eq!(
        output[2],
        json!({"type": "function_call", "id": "fc_u1_2", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"})
    );
    assert_eq!(
        body["usage"],
        json!({"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0}, "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 15})
    );
}

#[test]
fn a_seal_goes_to_the_client_and_comes_back_for_its_maker_alone() {
    let thought = |sealed, is_redacted| {
        Part::new(PartBody::Thinking(Thinking { text: "".into(), is_summary: true, is_redacted, sealed }))
    };
    let sealed = Some(VendorSeal::new(DialectFamily::Messages, "SIG"));
    let mut signed = call("f", "{}");
    signed.sealed = Some(VendorSeal::new(DialectFamily::Gemini, "GEM"));
    let parts = vec![thought(sealed.clone(), true), thought(sealed, false), thought(None, false), signed];
    let body = written(&answer(parts, StopReason::ToolUse), &RequestMemo::default());

    let history = json!({"model": "m", "input": body["output"]}).to_string();
    let (request, _) = read(&history);
    let [hidden, omitted, unsealed, call] = &*request.turns[0].parts else { panic!("four parts") };
    let thinking = |part: &'_ Part<'_>| match &part.body {
        PartBody::Thinking(thought) => (
            thought.is_redacted,
            thought.sealed.as_ref().and_then(|own| own.for_maker(DialectFamily::Messages).map(str::to_owned)),
        ),
        _ => panic!("a thought"),
    };
    assert_eq!(thinking(hidden), (true, Some("SIG".to_owned())));
    assert_eq!(thinking(omitted), (false, Some("SIG".to_owned())));
    assert_eq!(thinking(unsealed), (false, None));
    assert_eq!(call.sealed, Some(VendorSeal::new(DialectFamily::Gemini, "GEM")));
    let (upstream, _) = write(&request);
    assert_eq!(upstream["input"].as_array().map(Vec::len), Some(1), "no thought of theirs is OpenAI's: {upstream}");
}

#[test]
fn calls_come_back_in_the_form_that_the_client_knows() {
    let memo = memo(
        r#"{"model":"m","input":"x","tools":[{"type":"custom","name":"patch"},{"type":"local_shell"},{"type":"shell"},{"type":"apply_patch"},
            {"type":"tool_search","execution":"client"},{"type":"namespace","name":"n","tools":[{"type":"function","name":"f"},{"type":"custom","name":"g"}]}]}"#,
    );
    let parts = vec![
        call("patch", r#"{"input":"a\nb"}"#),
        call("local_shell", r#"{"command":["ls"]}"#),
        call("shell", r#"{"commands":["ls"]}"#),
        call("apply_patch", r#"{"type":"delete_file","path":"a"}"#),
        call("tool_search", r#"{"q":1}"#),
        call("n__f", "{}"),
        call("n__g", r#"{"input":"t"}"#),
        call("local_shell", "no json"),
    ];
    let body = written(&answer(parts, StopReason::ToolUse), &memo);

    let output = body["output"].as_array().expect("items");
    assert_eq!(
        output[0],
        json!({"type": "custom_tool_call", "id": "ctc_u1_0", "call_id": "c1", "name": "patch", "input": "a\nb"})
    );
    assert_eq!(output[1]["action"], json!({"type": "exec", "command": ["ls"], "env": {}}));
    assert_eq!((&output[2]["type"], &output[2]["action"]), (&"shell_call".into(), &json!({"commands": ["ls"]})));
    assert_eq!((&output[3]["type"], &output[3]["operation"]["path"]), (&"apply_patch_call".into(), &"a".into()));
    assert_eq!(
        (&output[4]["type"], &output[4]["execution"], &output[4]["arguments"]),
        (&"tool_search_call".into(), &"client".into(), &json!({"q": 1}))
    );
    assert_eq!((&output[5]["name"], &output[5]["namespace"]), (&"f".into(), &"n".into()));
    assert_eq!(
        (&output[6]["type"], &output[6]["name"], &output[6]["input"]),
        (&"custom_tool_call".into(), &"g".into(), &"t".into())
    );
    assert_eq!((&output[7]["type"], &output[7]["arguments"]), (&"function_call".into(), &"no json".into()));
}

#[test]
fn only_what_is_whole_is_completed() {
    let cases = [
        (StopReason::EndTurn, "completed", Value::Null),
        (StopReason::StopText, "completed", Value::Null),
        (StopReason::MaxTokens, "incomplete", json!({"reason": "max_output_tokens"})),
        (StopReason::ContextWindow, "incomplete", json!({"reason": "max_output_tokens"})),
        (StopReason::Refusal, "incomplete", json!({"reason": "content_filter"})),
        (StopReason::ContentFilter, "incomplete", json!({"reason": "content_filter"})),
        (StopReason::Recitation, "incomplete", json!({"reason": "content_filter"})),
        (StopReason::Pause, "incomplete", json!({})),
        (StopReason::Other, "incomplete", json!({})),
        (StopReason::MalformedCall, "failed", Value::Null),
        (StopReason::Failed, "failed", Value::Null),
    ];
    for (reason, status, details) in cases {
        let body = written(&answer(vec![Part::text("x")], reason), &RequestMemo::default());
        assert_eq!((&body["status"], &body["incomplete_details"]), (&status.into(), &details), "{reason:?}");
        assert_eq!(body["error"].is_null(), status != "failed");
    }
    let refused = vec![Part::new(PartBody::Refusal("no".into()))];
    let body = written(&answer(refused, StopReason::Refusal), &RequestMemo::default());
    assert_eq!((&body["status"], &body["output"][0]["content"][0]["refusal"]), (&"completed".into(), &"no".into()));
}

#[test]
fn citations_and_searches_of_other_vendors_are_this_apis() {
    let citations = raw(
        r#"[{"type":"web_search_result_location","url":"https://x.example","title":"t","cited_text":"c","encrypted_index":"e"},{"type":"char_location","document_index":0}]"#,
    );
    let search = raw(r#"{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"q"}}"#);
    let parts = vec![
        Part::new(PartBody::Native { kind: "server_tool_use".into(), raw: search }),
        Part::new(PartBody::Text { text: "abc".into(), citations: Some(citations) }),
    ];
    let body = written(&answer(parts, StopReason::EndTurn), &RequestMemo::default());

    assert_eq!(
        body["output"][0],
        json!({"type": "web_search_call", "id": "ws_u1_0", "status": "completed", "action": {"type": "search", "query": "q"}})
    );
    assert_eq!(
        body["output"][1]["content"][0]["annotations"],
        json!([{"type": "url_citation", "start_index": 0, "end_index": 3, "title": "t", "url": "https://x.example"}])
    );
}

#[test]
fn probabilities_are_of_the_first_text() {
    for json in [r#"[{"token":"x","logprob":-1}]"#, r#"{"content":[{"token":"x","logprob":-1}]}"#] {
        let mut answer = answer(vec![Part::text("x"), Part::text("y")], StopReason::EndTurn);
        answer.choices[0].logprobs = Some(raw(json));
        let body = written(&answer, &RequestMemo::default());
        assert_eq!(body["output"][0]["content"][0]["logprobs"][0]["token"], "x");
        assert_eq!(body["output"][0]["content"][1]["logprobs"], json!([]));
    }
}
