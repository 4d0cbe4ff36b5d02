use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::neutral::{
    Audio, CacheMark, CacheTtl, CallKind, Document, Effort, MediaSource, OutputFormat, Part, PartBody, Reasoning,
    ReasoningMode, Thinking, ToolCall, ToolChoice, ToolResult, Turn, TurnRole, Verbosity,
};

pub(super) fn turn<'b>(role: TurnRole, parts: Vec<Part<'b>>) -> Turn<'b> {
    Turn { role, name: None, parts }
}

pub(super) fn of<'b>(turns: Vec<Turn<'b>>) -> NeutralRequest<'b> {
    let mut request = NeutralRequest::new("auto".into());
    request.turns = turns;
    request
}

pub(super) fn call<'b>(id: &'b str, name: &'b str) -> Part<'b> {
    let call = ToolCall { id: id.into(), name: name.into(), arguments: "".into(), kind: CallKind::Function };
    Part::new(PartBody::ToolCall(call))
}

fn result<'b>(call_id: &'b str, text: &'b str) -> ToolResult<'b> {
    ToolResult {
        call_id: call_id.into(),
        name: None,
        parts: vec![Part::text(text)],
        is_error: None,
        kind: CallKind::Function,
    }
}

fn thought(sealed: Option<VendorSeal<'static>>) -> Part<'static> {
    let text = Cow::Borrowed("hm");
    Part::new(PartBody::Thinking(Thinking { text, is_summary: true, is_redacted: false, sealed }))
}

#[test]
fn order_of_thoughts_texts_and_calls_in_one_turn_is_kept() {
    let sealed = VendorSeal { maker: DialectFamily::Responses, text: "ENC".into(), id: Some("rs_7".into()) };
    let said = vec![thought(Some(sealed)), Part::text("first"), call("c1", "f"), Part::text("then"), call("c2", "f")];
    let results = [result("c1", "1"), result("c2", "2")].map(|result| Part::new(PartBody::ToolResult(result)));
    let mut answers = results.to_vec();
    answers.push(Part::text("go on"));
    let (body, losses) = write(&of(vec![turn(TurnRole::Assistant, said), turn(TurnRole::User, answers)]));

    let types: Vec<_> = body["input"].as_array().expect("items").iter().map(|item| &item["type"]).collect();
    assert_eq!(
        types,
        [
            "reasoning",
            "message",
            "function_call",
            "message",
            "function_call",
            "function_call_output",
            "function_call_output",
            "message"
        ]
    );
    assert_eq!(
        body["input"][0],
        json!({"type": "reasoning", "id": "rs_7", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "ENC"})
    );
    assert_eq!(body["input"][2]["arguments"], "{}");
    assert!(losses.is_empty(), "{losses}");
}

#[test]
fn another_vendors_thoughts_are_not_sent() {
    let others = [
        Some(VendorSeal::new(DialectFamily::Messages, "SIG")),
        Some(VendorSeal::new(DialectFamily::Gemini, "SIG")),
        None,
    ];
    for sealed in others {
        let mut call = call("c", "f");
        call.sealed = sealed.clone();
        let (body, losses) = write(&of(vec![turn(TurnRole::Assistant, vec![thought(sealed), call])]));

        assert!(!body.to_string().contains("SIG") && !body.to_string().contains("hm"), "{body}");
        assert_eq!(kinds(&losses, Field::Thinking), [LossKind::Dropped]);
    }
}

#[test]
fn the_first_text_of_the_operators_is_the_instructions_and_others_stay_where_they_are() {
    let (body, losses) = write(&of(vec![
        turn(TurnRole::System, vec![Part::text("one")]),
        turn(TurnRole::User, vec![Part::text("two")]),
        turn(TurnRole::System, vec![Part::text("three")]),
    ]));
    assert_eq!(body["instructions"], "one");
    assert_eq!(body["input"][1], json!({"type": "message", "role": "system", "content": "three"}));
    assert!(losses.is_empty());

    let (body, _) = write(&of(vec![turn(TurnRole::System, vec![Part::text("a"), Part::text("b")])]));
    assert_eq!(body.get("instructions"), None);
    assert_eq!(body["input"][0]["content"][1]["text"], "b");
}

#[test]
fn nothing_is_kept_by_the_vendor_and_seals_are_asked_for() {
    let (body, _) = write(&of(vec![turn(TurnRole::User, vec![Part::text("x")])]));

    assert_eq!(body["store"], false);
    assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));
    for absent in ["tools", "max_output_tokens", "temperature", "reasoning", "text", "stream"] {
        assert_eq!(body.get(absent), None, "{absent}");
    }
}

#[test]
fn models_that_do_not_think_are_not_asked_for_seals() {
    let mut body = Vec::new();
    let mut losses = LossReport::default();
    let target = TranslationTarget { model: "openai/gpt-4.1", max_output: None };
    let request = of(Vec::new());
    Responses.write_request(&request, &target, &mut RequestWriting { body: &mut body, losses: &mut losses });

    assert!(!String::from_utf8(body).expect("text").contains("include"));
}

#[test]
fn an_amount_of_thinking_is_an_effort() {
    let cases = [
        (ReasoningMode::Off, json!({"effort": "none"}), ""),
        (ReasoningMode::Effort(Effort::Max), json!({"effort": "max"}), ""),
        (ReasoningMode::Adaptive { effort: Some(Effort::XHigh) }, json!({"effort": "xhigh"}), ""),
        (ReasoningMode::Adaptive { effort: None }, Value::Null, "changed=reasoning"),
        (ReasoningMode::Budget { tokens: 2000, effort: None }, json!({"effort": "low"}), "changed=reasoning"),
        (ReasoningMode::Budget { tokens: 16_000, effort: None }, json!({"effort": "medium"}), "changed=reasoning"),
        (ReasoningMode::Budget { tokens: 99_000, effort: None }, json!({"effort": "xhigh"}), "changed=reasoning"),
    ];
    for (mode, written, lost) in cases {
        let mut request = of(Vec::new());
        request.family = Some(DialectFamily::Messages);
        request.reasoning = Some(Reasoning { mode, form: None });
        let (body, losses) = write(&request);
        assert_eq!((body.get("reasoning").unwrap_or(&Value::Null), &*losses.to_string()), (&written, lost), "{mode:?}");
    }
}

#[test]
fn every_loss_of_sampling_is_named_and_defaults_are_none() {
    let mut request = of(Vec::new());
    let sampling = &mut request.sampling;
    sampling.presence_penalty = Some(0.0);
    sampling.choices = Some(1);
    assert!(write(&request).1.is_empty());

    let sampling = &mut request.sampling;
    sampling.top_k = Some(3.0);
    sampling.seed = Some(1);
    sampling.frequency_penalty = Some(0.5);
    sampling.stop = vec!["END".into()];
    sampling.choices = Some(2);
    request.max_tokens = Some(5);
    let (body, losses) = write(&request);
    assert_eq!(losses.to_string(), "refused=n; dropped=top_k,seed,frequency_penalty,stop; changed=max_tokens");
    assert_eq!(body["max_output_tokens"], 16);

    request.max_tokens = Some(0);
    assert_eq!(kinds(&write(&request).1, Field::MaxTokens), [LossKind::Refused]);
}

#[test]
fn a_failed_result_that_does_not_say_so_is_a_loss() {
    for (text, lost) in [("Error: no such file", ""), ("no such file", "dropped=tool_results.is_error")] {
        let mut failed = result("c", text);
        failed.is_error = Some(true);
        let (body, losses) = write(&of(vec![turn(TurnRole::User, vec![Part::new(PartBody::ToolResult(failed))])]));
        assert_eq!(body["input"][0]["output"], text);
        assert_eq!(losses.to_string(), lost);
    }
}

#[test]
fn results_without_ids_are_of_the_calls_of_their_name_in_order() {
    let named = |name: &'static str| {
        let mut result = result("", name);
        result.name = Some(name.into());
        Part::new(PartBody::ToolResult(result))
    };
    let (body, _) = write(&of(vec![
        turn(TurnRole::Assistant, vec![call("", "a"), call("", "b"), call("", "a")]),
        turn(TurnRole::User, vec![named("b"), named("a"), named("a")]),
    ]));

    let ids: Vec<_> = body["input"].as_array().expect("items").iter().map(|item| item["call_id"].clone()).collect();
    assert_eq!(ids, ["call_0", "call_1", "call_2", "call_1", "call_0", "call_2"]);
}

#[test]
fn results_without_ids_and_names_are_of_the_calls_in_order() {
    let unnamed = || Part::new(PartBody::ToolResult(result("", "x")));
    let (body, _) = write(&of(vec![
        turn(TurnRole::Assistant, vec![call("", "a"), call("", "b")]),
        turn(TurnRole::User, vec![unnamed(), unnamed(), unnamed()]),
    ]));

    let ids: Vec<_> = body["input"].as_array().expect("items").iter().map(|item| item["call_id"].clone()).collect();
    assert_eq!(ids, ["call_0", "call_1", "call_0", "call_1", "call_unknown"]);
}

#[test]
fn a_long_id_is_the_same_short_one_in_call_and_result() {
    let long = "x".repeat(90);
    let (body, _) = write(&of(vec![
        turn(TurnRole::Assistant, vec![call(&long, "a")]),
        turn(TurnRole::User, vec![Part::new(PartBody::ToolResult(result(&long, "y")))]),
    ]));

    assert_eq!(body["input"][0]["call_id"], body["input"][1]["call_id"]);
    assert!(body["input"][0]["call_id"].as_str().is_some_and(|id| id.len() <= 64));
}

#[test]
fn documents_are_files_and_plain_texts_are_text() {
    let document = |source, title: Option<&'static str>| {
        let document = Document { source, title: title.map(Cow::Borrowed), context: None, cites: None };
        Part::new(PartBody::Document(document))
    };
    let pdf = MediaSource::Base64 { media_type: "application/pdf".into(), data: "JVBERi0=".into() };
    let (body, losses) = write(&of(vec![turn(
        TurnRole::User,
        vec![
            document(pdf, None),
            document(MediaSource::Url { url: "https://x.example/a.pdf".into(), media_type: None }, Some("a.pdf")),
            document(MediaSource::Text("plain".into()), Some("note")),
        ],
    )]));

    assert_eq!(
        body["input"][0]["content"],
        json!([
            {"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
            {"type": "input_file", "file_url": "https://x.example/a.pdf", "filename": "a.pdf"},
            {"type": "input_text", "text": "plain"}
        ])
    );
    assert_eq!(losses.to_string(), "dropped=documents.details; changed=documents");
}

#[test]
fn what_the_model_cannot_be_shown_is_named() {
    let audio = MediaSource::Base64 { media_type: "audio/wav".into(), data: "UklG".into() };
    let mut user = turn(TurnRole::User, vec![Part::new(PartBody::Audio(Audio { source: audio, transcript: None }))]);
    user.name = Some("Ann".into());
    let mut marked = Part::text("x");
    marked.cache = Some(CacheMark { ttl: None });
    let (body, losses) = write(&of(vec![
        user,
        turn(TurnRole::User, Vec::new()),
        turn(TurnRole::User, vec![marked]),
        turn(TurnRole::Assistant, vec![Part::text("I")]),
    ]));

    assert_eq!(body["input"].as_array().map(Vec::len), Some(2));
    assert_eq!(losses.to_string(), "dropped=audio,names; changed=empty_turns,prefill,cache_marks");
}

#[test]
fn an_answer_is_strict_by_a_schema_of_the_strict_form_and_has_none_whose_root_is_no_object() {
    let closed = r#"{"type":"object","properties":{},"additionalProperties":false}"#;
    for (schema, said, format) in [
        (closed, "", json!(true)),
        (
            r#"{"type":"object","properties":{"a":{"oneOf":[{"type":"null"}]}}}"#,
            "changed=response_format",
            json!(false),
        ),
        (r#"{"type":"array","items":{"type":"string"}}"#, "dropped=response_format", json!(null)),
        (r#"{"anyOf":[{"type":"null"}]}"#, "dropped=response_format", json!(null)),
    ] {
        for (family, strict) in [(DialectFamily::Messages, Some(true)), (DialectFamily::Gemini, None)] {
            let schema: &RawValue = serde_json::from_str(schema).expect("JSON");
            let mut request = of(Vec::new());
            request.family = Some(family);
            request.output = Some(OutputFormat::Schema { name: None, description: None, schema, strict });
            let (body, losses) = write(&request);
            assert_eq!((losses.to_string().as_str(), &body["text"]["format"]["strict"]), (said, &format), "{schema}");
            assert_eq!(body.get("text").is_none(), format.is_null(), "an empty object stays behind: {body}");
        }
    }
}

#[test]
fn what_other_apis_say_is_written_in_the_words_of_this_one() {
    let closed = r#"{"type":"object","properties":{},"required":[],"additionalProperties":false}"#;
    let schema: &RawValue = serde_json::from_str(closed).expect("JSON");
    let metadata: &RawValue = serde_json::from_str(r#"{"a":"b"}"#).expect("JSON");
    let mut request = of(Vec::new());
    request.stream = true;
    request.max_tokens = Some(500);
    request.sampling.temperature = Some(1.7);
    request.sampling.top_p = Some(0.5);
    request.sampling.logprobs = Some(true);
    request.sampling.top_logprobs = Some(2);
    request.tools = vec![upstream_tools::function("f")];
    request.tool_choice = Some(ToolChoice::Any);
    request.parallel_calls = Some(false);
    request.verbosity = Some(Verbosity::Low);
    request.output = Some(OutputFormat::Schema { name: None, description: None, schema, strict: Some(true) });
    request.cache.key = Some("k".into());
    request.cache.ttl = Some(CacheTtl::OneDay);
    request.metadata = Some(metadata);
    request.store = Some(true);
    request.user = Some("u".into());
    request.service_tier = Some("flex".into());
    let (body, losses) = write(&request);

    assert!(losses.is_empty(), "{losses}");
    assert_eq!(
        body,
        json!({"model": "gpt-6", "input": [], "tools": [{"type": "function", "name": "f",
            "parameters": {"type": "object", "properties": {}}, "strict": false}], "tool_choice": "required", "parallel_tool_calls": false, "stream": true,
            "store": true, "max_output_tokens": 500, "temperature": 1.7, "top_p": 0.5, "top_logprobs": 2,
            "text": {"format": {"type": "json_schema", "name": "response", "schema": serde_json::from_str::<Value>(closed).expect("JSON"), "strict": true},
                "verbosity": "low"},
            "include": ["reasoning.encrypted_content", "message.output_text.logprobs"], "prompt_cache_key": "k",
            "prompt_cache_retention": "24h", "metadata": {"a": "b"}, "safety_identifier": "u", "service_tier": "flex"})
    );
}

#[test]
fn tiers_and_lives_of_the_cache_that_the_api_does_not_have_are_named() {
    let mut request = of(Vec::new());
    request.output = Some(OutputFormat::JsonObject);
    request.cache.ttl = Some(CacheTtl::OneHour);
    request.service_tier = Some("standard_only".into());
    let (body, losses) = write(&request);
    assert_eq!((&body["text"]["format"]["type"], &body["service_tier"]), (&"json_object".into(), &"default".into()));
    assert_eq!(losses.to_string(), "changed=cache_rules,service_tier");

    request.service_tier = Some("PROVISIONED".into());
    assert_eq!(kinds(&write(&request).1, Field::ServiceTier), [LossKind::Dropped]);
}

#[test]
fn a_long_name_of_a_user_is_hashed() {
    let mut request = of(Vec::new());
    request.user = Some("u".repeat(200).into());
    let (body, losses) = write(&request);

    assert!(body["safety_identifier"].as_str().is_some_and(|user| user.len() <= 64 && user != "u"));
    assert_eq!(losses.to_string(), "changed=user");
}

#[test]
fn a_refusal_of_history_keeps_its_form() {
    let said = vec![Part::text("a"), Part::new(PartBody::Refusal("no".into()))];
    let (body, _) = write(&of(vec![turn(TurnRole::Assistant, said)]));

    assert_eq!(
        body["input"][0],
        json!({"type": "message", "id": "msg_0", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": "a", "annotations": []}, {"type": "refusal", "refusal": "no"}]})
    );
}

proptest! {
    #[test]
    fn texts_and_arguments_of_any_letters_survive_there_and_back(text in "\\PC{1,30}", arguments in ".{1,30}") {
        let body = json!({"model": "m", "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments},
            {"type": "function_call_output", "call_id": "c", "output": text},
            {"type": "custom_tool_call", "call_id": "d", "name": "g", "input": text}]});
        let written = again(&body.to_string());

        prop_assert_eq!(&written["input"][0]["content"], &body["input"][0]["content"][0]["text"]);
        if !arguments.trim().is_empty() {
            prop_assert_eq!(&written["input"][1], &body["input"][1]);
        }
        prop_assert_eq!(&written["input"][2], &body["input"][2]);
        prop_assert_eq!(&written["input"][3], &body["input"][3]);
    }
}
