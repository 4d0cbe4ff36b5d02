//! Tests of whole answers.

use serde_json::{Value, json};

use super::{raw, with_details};
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::messages::Messages;
use crate::neutral::{
    CallKind, NeutralAnswer, NeutralChoice, NeutralUsage, Part, PartBody, Stop, StopReason, Thinking, ToolCall,
};
use crate::translation::Api;

const ANSWER: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5","content":[
    {"type":"thinking","thinking":"hm","signature":"EqQB"},{"type":"redacted_thinking","data":"Er"},
    {"type":"text","text":"Let me look.","citations":null},
    {"type":"tool_use","id":"toolu_1","name":"f","input":{"a": "\u00fc"}},
    {"type":"server_tool_use","id":"s1","name":"web_search","input":{"query":"q"}}],
    "stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":200,
    "cache_read_input_tokens":3000,"cache_creation":{"ephemeral_5m_input_tokens":150,"ephemeral_1h_input_tokens":50},
    "output_tokens":40,"output_tokens_details":{"thinking_tokens":25},"service_tier":"standard",
    "server_tool_use":{"web_search_requests":2,"web_fetch_requests":0}}}"#;

fn answer(parts: Vec<Part<'static>>, stop: Stop<'static>) -> NeutralAnswer<'static> {
    NeutralAnswer {
        id: None,
        model: Some("gpt-5.6".into()),
        created: None,
        choices: vec![NeutralChoice { parts, stop, logprobs: None }],
        usage: None,
        service_tier: None,
    }
}

fn written(answer: &NeutralAnswer<'_>) -> Value {
    let body = with_details(|details| Messages.write_answer(answer, details));
    serde_json::from_slice(&body).expect("JSON")
}

fn call(id: &'static str, arguments: &'static str) -> Part<'static> {
    Part::new(PartBody::ToolCall(ToolCall {
        id: id.into(),
        name: "f".into(),
        arguments: arguments.into(),
        kind: CallKind::Function,
    }))
}

#[test]
fn an_answer_is_read_with_its_seals_and_totals_that_include_the_cache() {
    let answer = Messages.read_answer(ANSWER.as_bytes()).expect("an answer");

    assert_eq!((answer.id.as_deref(), answer.model.as_deref()), (Some("msg_1"), Some("claude-opus-5")));
    let choice = &answer.choices[0];
    assert_eq!(choice.stop, Stop::of(StopReason::ToolUse));
    assert_eq!(
        answer.usage,
        Some(NeutralUsage {
            input: 3210,
            cache_read: Some(3000),
            cache_write: Some(200),
            cache_write_hour: Some(50),
            tool_input: None,
            output: 40,
            thinking: Some(25),
            web_searches: Some(2),
        })
    );
    let PartBody::Thinking(thinking) = &choice.parts[0].body else { panic!("a thought") };
    assert_eq!(thinking.sealed, Some(VendorSeal::new(DialectFamily::Messages, "EqQB")));
    let PartBody::ToolCall(call) = &choice.parts[3].body else { panic!("a call") };
    assert_eq!(&*call.arguments, r#"{"a": "\u00fc"}"#, "arguments stay the text that they are");
    assert!(matches!(&choice.parts[4].body, PartBody::Native { kind, .. } if kind == "server_tool_use"));
}

#[test]
fn an_answer_that_is_read_and_written_says_the_same() {
    let answer = Messages.read_answer(ANSWER.as_bytes()).expect("an answer");
    let mut expected: Value = serde_json::from_str(ANSWER).expect("JSON");
    expected["content"][2].as_object_mut().expect("a text").remove("citations");

    assert_eq!(written(&answer), expected);
}

#[test]
fn every_reason_is_read_and_none_that_is_no_end_becomes_one() {
    let reasons = [
        ("end_turn", StopReason::EndTurn, "end_turn"),
        ("max_tokens", StopReason::MaxTokens, "max_tokens"),
        ("stop_sequence", StopReason::StopText, "stop_sequence"),
        ("pause_turn", StopReason::Pause, "pause_turn"),
        ("compaction", StopReason::Pause, "pause_turn"),
        ("refusal", StopReason::Refusal, "refusal"),
        ("model_context_window_exceeded", StopReason::ContextWindow, "model_context_window_exceeded"),
        ("something_new", StopReason::Other, "refusal"),
    ];
    for (reason, neutral, back) in reasons {
        let body = format!(r#"{{"content":[{{"type":"text","text":"a"}}],"stop_reason":"{reason}"}}"#);
        let read = Messages.read_answer(body.as_bytes()).expect("an answer");
        assert_eq!(read.choices[0].stop.reason, neutral);
        assert_eq!(written(&read)["stop_reason"], back);
    }
    for reason in [StopReason::ContentFilter, StopReason::Recitation, StopReason::MalformedCall, StopReason::Failed] {
        let body = written(&answer(vec![], Stop { reason, detail: Some("why".into()) }));
        assert_eq!(body["stop_reason"], "refusal");
        assert_eq!(body["stop_details"], json!({"type": "refusal", "category": null, "explanation": "why"}));
    }
}

#[test]
fn a_refusal_has_its_words_its_reason_and_its_category() {
    let body = written(&answer(vec![Part::new(PartBody::Refusal("I can't.".into()))], Stop::of(StopReason::EndTurn)));
    assert_eq!((&body["content"][0]["text"], &body["stop_reason"]), (&json!("I can't."), &json!("refusal")));

    let stop = Stop { reason: StopReason::Refusal, detail: Some("cyber".into()) };
    let body = written(&answer(vec![], stop));
    assert_eq!(body["stop_details"], json!({"type": "refusal", "category": "cyber", "explanation": null}));

    let read = r#"{"content":[],"stop_reason":"refusal","stop_details":{"type":"refusal","category":"bio"}}"#;
    let read = Messages.read_answer(read.as_bytes()).expect("an answer");
    assert_eq!(read.choices[0].stop.detail.as_deref(), Some("bio"));
}

#[test]
fn a_call_beside_an_end_of_the_turn_is_a_use_of_tools() {
    let body = written(&answer(vec![call("call_1", "{\"x\":1}")], Stop::of(StopReason::EndTurn)));

    assert_eq!(body["stop_reason"], "tool_use");
    assert_eq!(body["content"][0], json!({"type": "tool_use", "id": "call_1", "name": "f", "input": {"x": 1}}));
}

#[test]
fn calls_without_ids_get_different_ones_and_arguments_are_always_an_object() {
    let body =
        written(&answer(vec![call("", ""), call("", "oops"), call("a:b", "[1]")], Stop::of(StopReason::ToolUse)));

    let content = &body["content"];
    assert_eq!((&content[0]["id"], &content[1]["id"]), (&json!("call_u1_0"), &json!("call_u1_1")));
    assert_eq!(crate::conversion::tool_id::original(content[2]["id"].as_str().expect("an id")), "a:b");
    assert_eq!(
        (&content[0]["input"], &content[1]["input"], &content[2]["input"]),
        (&json!({}), &json!({"arguments": "oops"}), &json!({"arguments": "[1]"}))
    );
}

#[test]
fn a_thought_of_another_vendor_is_a_thought_that_never_reaches_anthropic() {
    let sealed = VendorSeal::new(DialectFamily::Responses, "gAAA");
    let thinking = |sealed| {
        Part::new(PartBody::Thinking(Thinking { text: "hm".into(), is_summary: true, is_redacted: false, sealed }))
    };
    let mut signed = call("c", "{}");
    signed.sealed = Some(VendorSeal::new(DialectFamily::Gemini, "AAAA"));
    let body =
        written(&answer(vec![thinking(Some(sealed.clone())), thinking(None), signed], Stop::of(StopReason::ToolUse)));

    let content = body["content"].as_array().expect("blocks");
    let kinds: Vec<_> = content.iter().map(|block| block["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds, ["thinking", "thinking", "thinking", "tool_use"]);
    let signature = |index: usize| content[index]["signature"].as_str().expect("a signature").to_owned();
    assert_eq!(VendorSeal::of_field(DialectFamily::Messages, signature(0).into()), sealed);
    for index in 0..3 {
        let sealed = VendorSeal::of_field(DialectFamily::Messages, signature(index).into());
        assert_eq!(sealed.for_maker(DialectFamily::Messages), None);
    }
    assert_eq!(VendorSeal::of_field(DialectFamily::Messages, signature(2).into()).maker, DialectFamily::Gemini);
}

#[test]
fn usage_is_in_the_clients_terms_and_an_answer_without_it_has_counts_all_the_same() {
    let mut counted = answer(vec![Part::text("a")], Stop::of(StopReason::EndTurn));
    counted.usage = Some(NeutralUsage {
        input: 1000,
        cache_read: Some(900),
        output: 50,
        thinking: Some(30),
        ..NeutralUsage::default()
    });
    counted.service_tier = Some("default".into());
    let body = written(&counted);
    assert_eq!(
        body["usage"],
        json!({"input_tokens": 100, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 900,
            "output_tokens": 50, "output_tokens_details": {"thinking_tokens": 30}, "service_tier": "standard"})
    );
    assert_eq!(body["id"], "msg_u1");

    let body = written(&answer(vec![], Stop::of(StopReason::EndTurn)));
    assert_eq!(body["usage"]["input_tokens"], 0);
}

#[test]
fn parts_that_this_api_does_not_know_are_not_in_an_answer() {
    let native = PartBody::Native { kind: "web_search_call".into(), raw: raw("{}") };
    let body =
        written(&answer(vec![Part::new(native), Part::text("a"), Part::text("")], Stop::of(StopReason::EndTurn)));

    assert_eq!(body["content"], json!([{"type": "text", "text": "a"}]));
}

#[test]
fn a_body_that_is_no_answer_is_not_translated() {
    for body in ["", "[]", "{}", r#"{"content":7}"#] {
        assert!(Messages.read_answer(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn citations_of_pages_are_places_in_results_of_a_search() {
    let cited = |citations: &str| {
        Part::new(PartBody::Text { text: "\u{e9}t\u{e9} in Rome".into(), citations: Some(raw(citations)) })
    };
    let flat = r#"[{"type":"url_citation","start_index":7,"end_index":11,"url":"https://e.org","title":"E"},{"type":"file_citation"}]"#;
    let nested =
        r#"[{"type":"url_citation","url_citation":{"start_index":0,"end_index":3,"url":"https://e.org","title":"E"}}]"#;
    let grounding = r#"{"groundingChunks":[{"web":{"uri":"https://e.org","title":"E"}}]}"#;
    for (citations, quote) in [(flat, "Rome"), (nested, "\u{e9}t\u{e9}"), (grounding, "")] {
        let body = written(&answer(vec![cited(citations)], Stop::of(StopReason::EndTurn)));
        let list = body["content"][0]["citations"].as_array().expect("citations");
        assert_eq!(list.len(), 1);
        assert_eq!((&list[0]["type"], &list[0]["cited_text"]), (&json!("web_search_result_location"), &json!(quote)));
        assert_eq!((&list[0]["url"], &list[0]["title"]), (&json!("https://e.org"), &json!("E")));
    }
    let own = r#"[{"type":"char_location","cited_text":"Rome","document_index":0,"document_title":"T","start_char_index":7,"end_char_index":11}]"#;
    let body = written(&answer(vec![cited(own)], Stop::of(StopReason::EndTurn)));
    assert_eq!(body["content"][0]["citations"][0]["type"], "char_location");
}
