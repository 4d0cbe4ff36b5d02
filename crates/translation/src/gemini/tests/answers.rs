//! Whole answers and errors.

use std::time::Duration;

use serde_json::{Value, json};

use super::{OWN, parsed, with_details};
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::neutral::{
    CallKind, ErrorKind, NeutralAnswer, NeutralChoice, NeutralError, NeutralUsage, Part, PartBody, Stop, StopReason,
    Thinking, ToolCall,
};
use crate::translation::{Api as _, RequestMemo, Translation};

const ANSWER: &str = r#"{"candidates":[{"content":{"parts":[
    {"text":"T","thought":true},
    {"text":"A"},
    {"functionCall":{"name":"f","args":{"a":1}},"thoughtSignature":"QQ=="}],"role":"model"},
    "finishReason":"STOP","index":0,"groundingMetadata":{"webSearchQueries":["q"]}}],
    "usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":20,
    "toolUsePromptTokenCount":5,"thoughtsTokenCount":7,"totalTokenCount":132},
    "modelVersion":"gemini-3-pro","responseId":"r1"}"#;

fn answer(body: &str) -> NeutralAnswer<'_> {
    super::Gemini.read_answer(body.as_bytes()).expect("an answer")
}

fn choice(parts: Vec<Part<'_>>, reason: StopReason) -> NeutralChoice<'_> {
    NeutralChoice { parts, stop: Stop::of(reason), logprobs: None }
}

fn written(choices: Vec<NeutralChoice<'_>>) -> Value {
    let answer =
        NeutralAnswer { id: None, model: Some("m".into()), created: None, choices, usage: None, service_tier: None };
    parsed(&with_details(&RequestMemo::default(), |details| super::Gemini.write_answer(&answer, details)))
}

fn call(arguments: &str) -> Part<'_> {
    let kind = CallKind::Function;
    Part::new(PartBody::ToolCall(ToolCall { id: "c".into(), name: "f".into(), arguments: arguments.into(), kind }))
}

#[test]
fn thoughts_text_and_calls_are_told_apart_and_totals_include_their_parts() {
    let answer = answer(ANSWER);
    let parts = &answer.choices[0].parts;
    assert!(matches!(&parts[0].body, PartBody::Thinking(thinking) if thinking.text == "T"));
    assert!(matches!(&parts[1].body, PartBody::Text { text, citations: Some(_) } if text == "A"));
    let PartBody::ToolCall(call) = &parts[2].body else { panic!("a call") };
    assert_eq!((&*call.id, &*call.arguments), ("", r#"{"a":1}"#));
    assert_eq!(parts[2].sealed, Some(VendorSeal::new(DialectFamily::Gemini, "QQ==")));
    assert_eq!(answer.choices[0].stop, Stop::of(StopReason::ToolUse));
    let usage = answer.usage.expect("usage");
    assert_eq!((usage.input, usage.output), (105, 27));
    assert_eq!((usage.cache_read, usage.tool_input, usage.thinking), (Some(40), Some(5), Some(7)));
}

#[test]
fn no_reason_of_googles_that_is_no_clean_end_is_read_as_one() {
    let reason = |name: &str| {
        let body = format!(r#"{{"candidates":[{{"finishReason":"{name}","finishMessage":"why"}}]}}"#);
        let answer = answer(&body);
        (answer.choices[0].stop.reason, answer.choices[0].stop.detail.clone().map(std::borrow::Cow::into_owned))
    };
    assert_eq!(reason("STOP"), (StopReason::EndTurn, None));
    assert_eq!(reason("MAX_TOKENS"), (StopReason::MaxTokens, None));
    assert_eq!(reason("SAFETY"), (StopReason::ContentFilter, Some("SAFETY: why".to_owned())));
    for name in ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"] {
        assert_eq!(reason(name).0, StopReason::MalformedCall);
    }
    for name in ["MISSING_THOUGHT_SIGNATURE", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE", "OTHER", "LANGUAGE"] {
        assert_eq!(reason(name), (StopReason::Failed, Some(format!("{name}: why"))));
    }
    for name in ["BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "ESCALATION", "PUP_LIMITED_DISABLED"] {
        assert_eq!(reason(name).0, StopReason::ContentFilter);
    }
    assert_eq!(reason("RECITATION").0, StopReason::Recitation);
    assert_eq!(reason("CONTINUATION").0, StopReason::MaxTokens);
    assert_eq!(reason("NEW_ONE"), (StopReason::Other, Some("NEW_ONE: why".to_owned())));
}

#[test]
fn a_prompt_that_was_blocked_is_an_answer_that_the_filter_ended() {
    let answer =
        answer(r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":3}}"#);
    assert_eq!(answer.choices.len(), 1);
    assert_eq!(
        answer.choices[0].stop,
        Stop { reason: StopReason::ContentFilter, detail: Some("PROHIBITED_CONTENT".into()) }
    );
    assert!(super::Gemini.read_answer(b"{}").is_err());
}

#[test]
fn no_stop_that_is_no_clean_end_is_written_as_one() {
    let reason = |reason| written(vec![choice(vec![Part::text("A")], reason)])["candidates"][0]["finishReason"].clone();
    for clean in [StopReason::EndTurn, StopReason::StopText, StopReason::ToolUse] {
        assert_eq!(reason(clean), "STOP");
    }
    for full in [StopReason::MaxTokens, StopReason::ContextWindow] {
        assert_eq!(reason(full), "MAX_TOKENS");
    }
    for refused in [StopReason::Refusal, StopReason::ContentFilter] {
        assert_eq!(reason(refused), "SAFETY");
    }
    for other in [StopReason::Pause, StopReason::Failed, StopReason::Other] {
        assert_eq!(reason(other), "OTHER");
    }
    assert_eq!(reason(StopReason::MalformedCall), "MALFORMED_FUNCTION_CALL");
    assert_eq!(reason(StopReason::Recitation), "RECITATION");
}

#[test]
fn a_refusal_ends_as_one_and_keeps_its_words() {
    let body = written(vec![choice(vec![Part::new(PartBody::Refusal("No.".into()))], StopReason::EndTurn)]);
    assert_eq!(body["candidates"][0]["content"]["parts"], json!([{"text": "No."}]));
    assert_eq!(body["candidates"][0]["finishReason"], "SAFETY");
}

#[test]
fn an_answer_without_parts_has_one_that_is_empty() {
    let body = written(vec![choice(Vec::new(), StopReason::MaxTokens)]);
    assert_eq!(body["candidates"][0]["content"], json!({"parts": [{"text": ""}], "role": "model"}));
    assert_eq!(body["responseId"], "u1");
}

#[test]
fn a_call_whose_arguments_are_no_object_is_no_call_and_no_clean_end() {
    let body = written(vec![choice(vec![call("{\"a\":")], StopReason::ToolUse)]);
    assert_eq!(body["candidates"][0]["finishReason"], "MALFORMED_FUNCTION_CALL");
    assert_eq!(body["candidates"][0]["content"]["parts"], json!([{"text": ""}]));
    let body = written(vec![choice(vec![call("")], StopReason::ToolUse)]);
    assert_eq!(
        body["candidates"][0]["content"]["parts"],
        json!([{"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": SKIP}])
    );
}

/// The documented signature of a call that nobody has signed.
const SKIP: &str = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";

#[test]
fn the_first_call_that_nobody_has_signed_says_so_because_google_s_models_refuse_one_without() {
    let body = written(vec![choice(vec![call("{}"), call("{}")], StopReason::ToolUse)]);
    let parts = &body["candidates"][0]["content"]["parts"];
    assert_eq!((&parts[0]["thoughtSignature"], parts[1].get("thoughtSignature")), (&json!(SKIP), None));
}

#[test]
fn the_seal_of_another_vendors_thought_is_base64_and_is_with_the_call_too() {
    let sealed = VendorSeal::new(DialectFamily::Messages, "S/+==");
    let thinking = Thinking { text: "T".into(), is_summary: false, is_redacted: false, sealed: Some(sealed.clone()) };
    let parts = vec![Part::new(PartBody::Thinking(thinking)), call("{}"), call("{}")];
    let body = written(vec![choice(parts, StopReason::ToolUse)]);
    let parts = &body["candidates"][0]["content"]["parts"];
    let field = parts[0]["thoughtSignature"].as_str().expect("a signature");
    assert_eq!(VendorSeal::of_field(DialectFamily::Gemini, field.into()), sealed);
    assert_eq!(parts[1]["thoughtSignature"], field);
    assert_eq!(parts[2].get("thoughtSignature"), None);
}

#[test]
fn a_thought_that_is_hidden_comes_back_as_hidden() {
    let sealed = VendorSeal::new(DialectFamily::Messages, "DATA");
    let thinking = Thinking { text: "".into(), is_summary: false, is_redacted: true, sealed: Some(sealed.clone()) };
    let body = written(vec![choice(vec![Part::new(PartBody::Thinking(thinking))], StopReason::EndTurn)]);
    let back = json!({"contents": [body["candidates"][0]["content"]]}).to_string();
    super::read(&back, |request, _| {
        let PartBody::Thinking(thinking) = &request.turns[0].parts[0].body else { panic!("a thought") };
        assert!(thinking.is_redacted);
        assert_eq!(thinking.sealed, Some(sealed));
    });
}

#[test]
fn counts_are_written_as_google_counts() {
    let usage = NeutralUsage {
        input: 105,
        cache_read: Some(40),
        tool_input: Some(5),
        output: 27,
        thinking: Some(7),
        ..NeutralUsage::default()
    };
    let answer = NeutralAnswer {
        id: Some("r".into()),
        model: None,
        created: None,
        choices: Vec::new(),
        usage: Some(usage),
        service_tier: None,
    };
    let body = parsed(&with_details(&RequestMemo::default(), |details| super::Gemini.write_answer(&answer, details)));
    assert_eq!(
        body["usageMetadata"],
        json!({"promptTokenCount": 100, "cachedContentTokenCount": 40, "candidatesTokenCount": 20,
            "toolUsePromptTokenCount": 5, "thoughtsTokenCount": 7, "totalTokenCount": 132})
    );
}

#[test]
fn citations_of_others_are_the_sources_that_they_name() {
    let raw = serde_json::from_str(
        r#"[{"type":"url_citation","url_citation":{"url":"https://a.example","title":"A","start_index":1,"end_index":4}},
            {"type":"web_search_result_location","url":"https://b.example","title":"B","cited_text":"x"}]"#,
    )
    .expect("JSON");
    let part = Part::new(PartBody::Text { text: "A".into(), citations: Some(raw) });
    let body = written(vec![choice(vec![part], StopReason::EndTurn)]);
    assert_eq!(
        body["candidates"][0]["citationMetadata"]["citations"],
        json!([{"startIndex": 1, "endIndex": 4, "uri": "https://a.example", "title": "A"},
            {"uri": "https://b.example", "title": "B"}])
    );
}

#[test]
fn a_whole_answer_comes_back_as_it_was() {
    let with_logprobs = ANSWER.replace(
        r#""index":0"#,
        r#""index":0,"logprobsResult":{"chosenCandidates":[{"token":"A","logProbability":-0.5}]}"#,
    );
    for body in [ANSWER, &with_logprobs] {
        let back = with_details(&RequestMemo::default(), |details| OWN.answer(body.as_bytes(), details));
        assert_eq!(parsed(&back.expect("an answer")), parsed(body.as_bytes()));
    }
}

#[test]
fn errors_of_googles_are_read_with_their_kind_their_words_and_their_field() {
    let read = |status, body: &'static str| super::Gemini.read_error(status, body.as_bytes());
    let limited = r#"[{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED","details":[
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34s"}]}}]"#;
    let wait = Duration::from_secs(34);
    assert_eq!(DialectFamily::Gemini.retry_delay(limited.as_bytes()), Some(wait));
    for said in [
        "{}",
        "[]",
        r#"{"error":{"details":[{"retryDelay":"-1s"}]}}"#,
        r#"{"error":{"details":[{"retryDelay":"1e99s"}]}}"#,
    ] {
        assert_eq!(DialectFamily::Gemini.retry_delay(said.as_bytes()), None, "{said}");
    }
    assert_eq!(
        read(429, limited),
        NeutralError {
            kind: ErrorKind::RateLimit,
            message: "Quota exceeded".into(),
            code: None,
            param: None,
            retry_after: Some(wait)
        }
    );
    let key = r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[
        {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}"#;
    assert_eq!(read(400, key).kind, ErrorKind::Authentication);
    let field = r#"{"error":{"code":400,"message":"Invalid","status":"INVALID_ARGUMENT","details":[
        {"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"contents[0]","description":"x"}]}]}}"#;
    assert_eq!(read(400, field).param.as_deref(), Some("contents[0]"));
    let long = r#"{"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens allowed (8).","status":"INVALID_ARGUMENT"}}"#;
    assert_eq!(read(400, long).code.as_deref(), Some("context_length_exceeded"));
    assert_eq!(read(503, "<html>Bad</html>").kind, ErrorKind::Overloaded);
    assert!(!read(503, "<html>Bad</html>").message.contains('<'));
    assert_eq!(read(502, "upstream connect error").message, "upstream connect error");
    assert_eq!(read(500, "").kind, ErrorKind::Server);
    assert_eq!(read(404, r#"{"error":"no such model"}"#).message, "no such model");
}

#[test]
fn a_wait_that_an_upstream_asks_for_in_its_header_is_in_the_body_of_a_client_of_googles() {
    let body = br#"{"error":{"type":"rate_limit_error","message":"Slow down."}}"#;
    for upstream in [DialectFamily::Chat, DialectFamily::Responses, DialectFamily::Messages] {
        let pair = Translation { client: DialectFamily::Gemini, upstream };
        let told = parsed(&pair.error_after(429, body, Some(Duration::from_millis(1500))));
        let info = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"});
        assert_eq!(told["error"]["details"], json!([info]), "{told}");
        assert_eq!(parsed(&pair.error(429, body))["error"].get("details"), None);
    }
}

#[test]
fn errors_come_back_with_the_words_of_the_vendor() {
    let error = NeutralError {
        kind: ErrorKind::InvalidRequest,
        message: "too \"long\"".into(),
        code: Some("context_length_exceeded".into()),
        param: Some("messages".into()),
        retry_after: None,
    };
    let body = super::Gemini.write_error(&error, 400);
    assert_eq!(parsed(&body)["error"]["status"], "INVALID_ARGUMENT");
    assert_eq!(parsed(&body)["error"]["code"], 400);
    assert_eq!(super::Gemini.read_error(400, &body), error);
    let plain = NeutralError {
        kind: ErrorKind::Overloaded,
        message: "busy".into(),
        code: None,
        param: None,
        retry_after: None,
    };
    assert_eq!(
        parsed(&super::Gemini.write_error(&plain, 529)),
        json!({"error": {"code": 529, "message": "busy", "status": "UNAVAILABLE"}})
    );
}
