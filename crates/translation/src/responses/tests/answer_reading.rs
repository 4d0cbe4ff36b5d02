use super::*;
use crate::family::DialectFamily;
use crate::neutral::{CallKind, NeutralAnswer, PartBody, StopReason};

fn answer(body: &str) -> NeutralAnswer<'_> {
    Responses.read_answer(body.as_bytes()).expect("an answer")
}

fn stop_of(status: &str, output: &str) -> StopReason {
    answer(&format!(r#"{{"id":"resp_1",{status},"output":[{output}]}}"#)).choices[0].stop.reason
}

#[test]
fn every_item_is_a_part_in_its_order() {
    let answer = answer(
        r#"{"id":"resp_1","object":"response","created_at":1700000000.0,"model":"gpt-6","status":"completed","service_tier":"default","output":[
            {"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"ENC"},
            {"type":"reasoning","id":"rs_2","summary":[]},
            {"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search","query":"q"}},
            {"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[
                {"type":"output_text","text":"Hi","annotations":[{"type":"url_citation","url":"https://x.example","title":"t","start_index":0,"end_index":2}],"logprobs":[{"token":"Hi"}]}]},
            {"type":"custom_tool_call","id":"ctc_1","call_id":"c1","name":"apply_patch","input":"*** x"},
            {"type":"function_call","id":"fc_1","call_id":"c2","name":"f","arguments":"{}"}],
            "usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":1},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":17}}"#,
    );

    assert_eq!((answer.id.as_deref(), answer.created), (Some("resp_1"), Some(1_700_000_000)));
    let usage = answer.usage.expect("usage");
    assert_eq!((usage.input, usage.cache_read, usage.cache_write), (10, Some(4), Some(1)));
    assert_eq!((usage.output, usage.thinking), (7, Some(3)));
    let choice = &answer.choices[0];
    let [thought, search, text, custom, function] = &*choice.parts else { panic!("five parts") };
    let PartBody::Thinking(thought) = &thought.body else { panic!("a thought") };
    let sealed = thought.sealed.as_ref().expect("a seal");
    assert_eq!((sealed.for_maker(DialectFamily::Responses), sealed.id.as_deref()), (Some("ENC"), Some("rs_1")));
    assert!(matches!(&search.body, PartBody::Native { kind, .. } if kind == "web_search_call"));
    assert!(matches!(&text.body, PartBody::Text { citations: Some(_), .. }));
    assert!(
        matches!(&custom.body, PartBody::ToolCall(call) if call.kind == CallKind::Custom && call.arguments == "*** x")
    );
    assert!(matches!(&function.body, PartBody::ToolCall(call) if call.id == "c2"));
    assert_eq!(choice.stop.reason, StopReason::ToolUse);
    assert!(choice.logprobs.is_some());
}

#[test]
fn only_what_is_whole_is_an_end_of_the_turn() {
    let text = r#"{"type":"message","content":[{"type":"output_text","text":"x"}]}"#;
    let refusal = r#"{"type":"message","content":[{"type":"refusal","refusal":"no"}]}"#;
    let call = r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#;
    let done = r#""status":"completed""#;
    assert_eq!(stop_of(done, text), StopReason::EndTurn);
    assert_eq!(stop_of(done, refusal), StopReason::Refusal);
    // A message after the call does not take the call back.
    assert_eq!(stop_of(done, &format!("{call},{text}")), StopReason::ToolUse);
    let cut = |reason: &str| format!(r#""status":"incomplete","incomplete_details":{{"reason":"{reason}"}}"#);
    assert_eq!(stop_of(&cut("max_output_tokens"), text), StopReason::MaxTokens);
    assert_eq!(stop_of(&cut("content_filter"), text), StopReason::ContentFilter);
    assert_eq!(stop_of(&cut("max_messages"), text), StopReason::Pause);
    assert_eq!(stop_of(&cut("steered"), text), StopReason::Other);
    assert_eq!(
        stop_of(r#""status":"failed","error":{"code":"server_error","message":"oops"}"#, ""),
        StopReason::Failed
    );
    assert_eq!(stop_of(r#""status":"cancelled""#, ""), StopReason::Failed);
}

#[test]
fn a_failure_has_its_vendors_words() {
    let body = r#"{"id":"r","status":"failed","output":[],"error":{"code":"server_error","message":"oops"}}"#;

    assert_eq!(answer(body).choices[0].stop.detail.as_deref(), Some("oops"));
}

#[test]
fn a_body_that_is_no_response_is_refused() {
    for body in ["", "[]", r#"{"choices":[]}"#] {
        assert!(Responses.read_answer(body.as_bytes()).is_err(), "{body}");
    }
}
