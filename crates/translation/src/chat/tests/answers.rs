//! Whole answers.

use std::borrow::Cow;

use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::conversion::sealed::VendorSeal;
use crate::neutral::{
    CallKind, NeutralAnswer, NeutralChoice, NeutralUsage, Part, PartBody, Stop, StopReason, Thinking, ToolCall,
};

fn answer(parts: Vec<Part<'_>>, reason: StopReason) -> NeutralAnswer<'_> {
    let choice = NeutralChoice { parts, stop: Stop::of(reason), logprobs: None };
    NeutralAnswer {
        id: None,
        model: Some("m".into()),
        created: None,
        choices: vec![choice],
        usage: None,
        service_tier: None,
    }
}

fn written(answer: &NeutralAnswer<'_>) -> Value {
    written_for(answer, &RequestMemo::default())
}

fn written_for(answer: &NeutralAnswer<'_>, memo: &RequestMemo) -> Value {
    serde_json::from_slice(&Chat.write_answer(answer, &details(memo))).expect("JSON")
}

fn call(kind: CallKind, arguments: &'static str) -> Part<'static> {
    let call = ToolCall { id: "".into(), name: "f".into(), arguments: arguments.into(), kind };
    Part::new(PartBody::ToolCall(call))
}

fn thought(text: &'static str, is_redacted: bool) -> Part<'static> {
    let sealed = Some(VendorSeal::new(DialectFamily::Messages, "SIG"));
    Part::new(PartBody::Thinking(Thinking { text: text.into(), is_summary: false, is_redacted, sealed }))
}

#[test]
fn an_answer_without_names_of_its_own_gets_them() {
    let body = written(&answer(vec![Part::text("a"), Part::text("b")], StopReason::EndTurn));

    assert_eq!((&body["id"], &body["created"]), (&json!("chatcmpl-u1"), &json!(1_700_000_000)));
    assert_eq!(body["choices"][0]["message"], json!({"role": "assistant", "content": "ab", "refusal": null}));
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
}

#[test]
fn what_was_refused_filtered_cut_or_failed_is_never_a_plain_end() {
    let word = |reason| written(&answer(vec![Part::text("a")], reason))["choices"][0]["finish_reason"].clone();

    for reason in [
        StopReason::Refusal,
        StopReason::ContentFilter,
        StopReason::Recitation,
        StopReason::MalformedCall,
        StopReason::Failed,
        StopReason::Other,
    ] {
        assert_eq!(word(reason), "content_filter", "{reason:?}");
    }
    for reason in [StopReason::MaxTokens, StopReason::ContextWindow, StopReason::Pause] {
        assert_eq!(word(reason), "length", "{reason:?}");
    }
}

#[test]
fn a_refusal_is_said_in_the_vendors_words() {
    let mut own = answer(vec![], StopReason::Refusal);
    own.choices[0].stop.detail = Some("cyber".into());

    let message = &written(&own)["choices"][0]["message"];
    assert_eq!(message["refusal"], "cyber");
    let spoken = answer(vec![Part::new(PartBody::Refusal("no".into()))], StopReason::EndTurn);
    let choice = &written(&spoken)["choices"][0];
    assert_eq!(choice["message"], json!({"role": "assistant", "content": null, "refusal": "no"}));
    assert_eq!(choice["finish_reason"], "content_filter");
}

#[test]
fn calls_beside_a_plain_end_are_calls_and_each_has_an_id_and_arguments() {
    let parts = vec![call(CallKind::Function, ""), call(CallKind::Function, "{}")];
    let choice = &written(&answer(parts, StopReason::EndTurn))["choices"][0];

    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    assert_eq!(choice["message"]["tool_calls"], json!([call("call_u1_0"), call("call_u1_1")]));
}

#[test]
fn calls_of_tools_of_free_text_come_back_as_such() {
    let memo = RequestMemo { custom_tools: vec!["f".to_owned()], ..RequestMemo::default() };
    let body = written_for(&answer(vec![call(CallKind::Function, r#"{"input":"a\nb"}"#)], StopReason::ToolUse), &memo);

    let call = &body["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call, &json!({"id": "call_u1_0", "type": "custom", "custom": {"name": "f", "input": "a\nb"}}));
}

#[test]
fn a_client_of_the_first_form_gets_one_function_call() {
    let memo = RequestMemo { wants_function_call: true, ..RequestMemo::default() };
    let body = written_for(&answer(vec![call(CallKind::Function, "{}")], StopReason::ToolUse), &memo);

    let choice = &body["choices"][0];
    assert_eq!(choice["message"]["function_call"], json!({"name": "f", "arguments": "{}"}));
    assert_eq!((&choice["message"]["tool_calls"], &choice["finish_reason"]), (&Value::Null, &json!("function_call")));
}

#[test]
fn thoughts_of_another_vendor_come_back_from_the_client_as_they_were() {
    let parts = vec![thought("t1", false), thought("", true), thought("t2", false), Part::text("a")];
    let body = written(&answer(parts, StopReason::EndTurn));

    let message = &body["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], "t1t2");
    let back = json!({"model": "m", "messages": [message]}).to_string();
    let (request, losses) = read_whole(&back);
    assert!(losses.is_empty());
    let thoughts: Vec<_> = request.turns[0]
        .parts
        .iter()
        .filter_map(|part| match &part.body {
            PartBody::Thinking(thought) => {
                let seal = thought.sealed.as_ref().and_then(|seal| seal.for_maker(DialectFamily::Messages));
                Some((&*thought.text, thought.is_redacted, seal))
            }
            _ => None,
        })
        .collect();
    assert_eq!(thoughts, [("t1", false, Some("SIG")), ("", true, Some("SIG")), ("t2", false, Some("SIG"))]);
}

#[test]
fn a_signature_on_a_call_comes_back_to_its_maker() {
    let mut part = call(CallKind::Function, "{}");
    part.sealed = Some(VendorSeal::new(DialectFamily::Gemini, "EqQB"));
    let body = written(&answer(vec![part], StopReason::ToolUse));

    let back = json!({"model": "m", "messages": [body["choices"][0]["message"]]}).to_string();
    let (request, _) = read_whole(&back);
    let seal = request.turns[0].parts[0].sealed.as_ref().expect("a seal");
    assert_eq!(seal.for_maker(DialectFamily::Gemini), Some("EqQB"));
    assert_eq!(seal.for_maker(DialectFamily::Chat), None);
}

#[test]
fn usage_is_in_this_apis_terms() {
    let mut own = answer(vec![], StopReason::EndTurn);
    own.usage = Some(NeutralUsage {
        input: 100,
        cache_read: Some(60),
        cache_write: Some(10),
        output: 30,
        thinking: Some(20),
        ..NeutralUsage::default()
    });

    assert_eq!(
        written(&own)["usage"],
        json!({"prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 130,
            "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
            "completion_tokens_details": {"reasoning_tokens": 20}})
    );
}

#[test]
fn citations_of_every_api_are_annotations_where_they_name_an_address() {
    let citations = r#"[{"type":"web_search_result_location","url":"https://a.example","title":"A","cited_text":"x"},
        {"type":"url_citation","url":"https://b.example","title":"B","start_index":1,"end_index":2},
        {"type":"char_location","document_index":0}]"#;
    let raw: &RawValue = serde_json::from_str(citations).expect("JSON");
    let cited = Part::new(PartBody::Text { text: "grün".into(), citations: Some(raw) });
    let body = written(&answer(vec![Part::text("ü"), cited], StopReason::EndTurn));

    let annotation = |start: u32, end: u32, title: &str, url: &str| json!({"type": "url_citation", "url_citation": {"start_index": start, "end_index": end, "title": title, "url": url}});
    assert_eq!(
        body["choices"][0]["message"]["annotations"],
        json!([annotation(1, 5, "A", "https://a.example"), annotation(2, 3, "B", "https://b.example")])
    );
}

fn read_choice(choice: &str) -> (Vec<String>, StopReason, Option<String>) {
    let body = format!(r#"{{"id":"x","choices":[{choice}],"usage":{{"prompt_tokens":3,"completion_tokens":2}}}}"#);
    let answer = Chat.read_answer(body.as_bytes()).expect("an answer");
    let choice = &answer.choices[0];
    let parts = choice.parts.iter().map(|part| match &part.body {
        PartBody::Text { text, .. } => format!("text {text}"),
        PartBody::Refusal(text) => format!("refusal {text}"),
        PartBody::Thinking(thought) => {
            format!("thinking {} {:?}", thought.text, thought.sealed.as_ref().map(|seal| &*seal.text))
        }
        PartBody::ToolCall(call) => format!("call {} {} {:?}", call.name, call.arguments, call.kind),
        other => panic!("{other:?}"),
    });
    (parts.collect(), choice.stop.reason, choice.stop.detail.clone().map(Cow::into_owned))
}

#[test]
fn a_refusal_and_calls_are_read_as_such_though_the_server_says_stop() {
    let (parts, reason, _) =
        read_choice(r#"{"message":{"role":"assistant","content":null,"refusal":"no"},"finish_reason":"stop"}"#);
    assert_eq!((parts, reason), (vec!["refusal no".to_owned()], StopReason::Refusal));

    let (parts, reason, _) = read_choice(
        r#"{"message":{"content":"","tool_calls":[{"id":"a","function":{"name":"f","arguments":{"x":1}}}]},"finish_reason":"stop"}"#,
    );
    assert_eq!((parts, reason), (vec![r#"call f {"x":1} Function"#.to_owned()], StopReason::ToolUse));
}

#[test]
fn reasons_that_openai_does_not_have_are_read() {
    let stop = |fields: &str| {
        let (_, reason, detail) = read_choice(&format!(r#"{{"message":{{"content":"a"}},{fields}}}"#));
        (reason, detail)
    };

    assert_eq!(stop(r#""finish_reason":"model_length""#), (StopReason::ContextWindow, None));
    assert_eq!(stop(r#""finish_reason":"abort""#), (StopReason::Failed, Some("abort".to_owned())));
    assert_eq!(stop(r#""finish_reason":"zzz""#), (StopReason::Other, Some("zzz".to_owned())));
    assert_eq!(stop(r#""finish_reason":null"#), (StopReason::Other, None));
    assert_eq!(stop(r#""finish_reason":"stop","stop_reason":"END""#), (StopReason::StopText, Some("END".to_owned())));
    assert_eq!(stop(r#""finish_reason":"stop","stop_reason":128009"#), (StopReason::EndTurn, None));
    assert_eq!(
        stop(r#""finish_reason":"error","error":{"message":"gone"}"#),
        (StopReason::Failed, Some("gone".to_owned()))
    );
}

#[test]
fn thoughts_of_every_server_are_read_with_what_sends_them_back() {
    let (parts, ..) = read_choice(
        r#"{"message":{"content":"a","reasoning":"hm","reasoning_details":[{"type":"reasoning.encrypted","data":"E"}]},"finish_reason":"stop"}"#,
    );
    assert_eq!(
        parts,
        [
            r#"thinking hm Some("reasoning")"#,
            "thinking  Some(\"{\\\"type\\\":\\\"reasoning.encrypted\\\",\\\"data\\\":\\\"E\\\"}\")",
            "text a"
        ]
    );
    let (parts, ..) = read_choice(
        r#"{"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"a"}]},"finish_reason":"stop"}"#,
    );
    assert_eq!(parts, [r#"thinking hm Some("reasoning_content")"#, "text a"]);
}

#[test]
fn a_body_without_answers_is_none() {
    assert!(Chat.read_answer(br#"{"choices":[]}"#).is_err());
    assert!(Chat.read_answer(br#"{"error":{"message":"x"}}"#).is_err());
    assert!(Chat.read_answer(b"<html>").is_err());
}
