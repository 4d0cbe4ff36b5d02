//! Requests as Google's SDKs write them.

use super::{read, rewritten};
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::loss::LossReport;
use crate::neutral::{
    Effort, ImageDetail, MediaSource, OutputFormat, PartBody, ReasoningMode, ThoughtForm, ToolChoice, ToolKind,
    TurnRole,
};
use crate::translation::Api as _;
use crate::{Translation, TranslationTarget};

/// A body as the Python SDK writes it: two spellings, and bytes in the URL-safe alphabet.
const PYTHON: &str = r#"{
  "systemInstruction": {"parts": [{"text": "S"}], "role": "user"},
  "contents": [
    {"parts": [{"text": "Q"}, {"inlineData": {"mime_type": "image/png", "data": "-_8="}}], "role": "user"},
    {"parts": [{"function_call": {"name": "f", "args": {"a": 1}}, "thought_signature": "-_8="},
               {"functionCall": {"name": "f", "args": {"a": 2}}}], "role": "model"},
    {"parts": [{"functionResponse": {"name": "f", "response": {"output": "one"}}},
               {"functionResponse": {"name": "f", "response": {"error": "two"},
                "parts": [{"inline_data": {"mime_type": "image/png", "data": "AAAA"}}]}}], "role": "user"}
  ],
  "tools": [{"functionDeclarations": [{"name": "f", "description": "D", "parameters_json_schema": {"type": "object"}}]}],
  "generationConfig": {"topK": 3.0, "seed": 7, "maxOutputTokens": 100, "candidateCount": 2, "stopSequences": ["x"],
    "responseLogprobs": true, "logprobs": 2, "presencePenalty": 0.5,
    "thinkingConfig": {"thinking_level": "LOW", "include_thoughts": true},
    "responseMimeType": "application/json", "responseSchema": {"type": "OBJECT", "any_of": [{"type": "STRING"}]}}
}"#;

#[test]
fn a_body_of_the_python_sdk_is_read_in_both_spellings_and_loses_nothing() {
    read(PYTHON, |request, losses| {
        assert_eq!(losses, "");
        let roles: Vec<_> = request.turns.iter().map(|turn| turn.role).collect();
        assert_eq!(roles, [TurnRole::System, TurnRole::User, TurnRole::Assistant, TurnRole::User]);
        let PartBody::Image(image) = &request.turns[1].parts[1].body else { panic!("an image") };
        let source = MediaSource::Base64 { media_type: "image/png".into(), data: "+/8=".into() };
        assert_eq!(image.source, source);
        let ToolKind::Function { schema: Some(schema), .. } = &request.tools[0].kind else { panic!("a function") };
        assert_eq!(schema.get(), r#"{"type": "object"}"#);
        assert_eq!(request.sampling.top_k, Some(3.0));
        assert_eq!((request.sampling.choices, request.sampling.top_logprobs), (Some(2), Some(2)));
        let reasoning = request.reasoning.expect("thinking");
        assert_eq!(reasoning.mode, ReasoningMode::Effort(Effort::Low));
        assert_eq!(reasoning.form, Some(ThoughtForm::Summary));
        let Some(OutputFormat::Schema { schema, .. }) = &request.output else { panic!("a schema") };
        assert_eq!(schema.get(), r#"{"type":"object","anyOf":[{"type":"string"}]}"#);
    });
}

#[test]
fn calls_without_ids_are_paired_with_their_results_by_order_and_name() {
    read(PYTHON, |request, _| {
        let ids = |turn: usize| -> Vec<String> {
            let parts = request.turns[turn].parts.iter();
            let id = |part: &PartBody<'_>| match part {
                PartBody::ToolCall(call) => call.id.to_string(),
                PartBody::ToolResult(result) => result.call_id.to_string(),
                _ => String::new(),
            };
            parts.map(|part| id(&part.body)).collect()
        };
        assert_eq!(ids(2), ["gemini_call_1", "gemini_call_2"]);
        assert_eq!(ids(3), ids(2));
        let PartBody::ToolResult(second) = &request.turns[3].parts[1].body else { panic!("a result") };
        assert_eq!(second.is_error, Some(true));
        assert!(matches!(second.parts[1].body, PartBody::Image(_)));
    });
}

#[test]
fn ids_that_a_client_gives_pair_whatever_the_order() {
    let body = r#"{"contents":[
        {"role":"model","parts":[{"functionCall":{"id":"a","name":"f"}},{"functionCall":{"id":"b","name":"f"}}]},
        {"role":"user","parts":[{"functionResponse":{"id":"b","name":"f","response":{"x":1}}},
                                {"functionResponse":{"id":"a","name":"f","response":{}}}]}]}"#;
    read(body, |request, _| {
        let PartBody::ToolResult(first) = &request.turns[1].parts[0].body else { panic!("a result") };
        assert_eq!(first.call_id, "b");
        let PartBody::Text { text, .. } = &first.parts[0].body else { panic!("text") };
        assert_eq!(text, r#"{"x":1}"#);
    });
}

#[test]
fn a_signature_stays_with_the_part_that_it_signs() {
    read(PYTHON, |request, _| {
        let call = &request.turns[2].parts[0];
        assert_eq!(call.sealed, Some(VendorSeal::new(DialectFamily::Gemini, "-_8=")));
    });
}

#[test]
fn what_another_vendor_sealed_comes_back_as_its_thought_once() {
    let sealed = VendorSeal::new(DialectFamily::Messages, "SIG");
    let field = sealed.to_field(DialectFamily::Gemini).replace('+', "-").replace('/', "_");
    let with_thought = format!(
        r#"{{"contents":[{{"role":"model","parts":[{{"text":"T","thought":true,"thoughtSignature":"{field}"}},
            {{"functionCall":{{"id":"a","name":"f"}},"thoughtSignature":"{field}"}}]}}]}}"#
    );
    let without = format!(
        r#"{{"contents":[{{"role":"model","parts":[{{"functionCall":{{"id":"a","name":"f"}},"thoughtSignature":"{field}"}}]}}]}}"#
    );
    for (body, text) in [(with_thought, "T"), (without, "")] {
        read(&body, |request, _| {
            let parts = &request.turns[0].parts;
            assert_eq!(parts.len(), 2);
            let PartBody::Thinking(thinking) = &parts[0].body else { panic!("a thought") };
            assert_eq!((&*thinking.text, &thinking.sealed), (text, &Some(sealed.clone())));
            assert_eq!(parts[1].sealed, None);
        });
    }
}

#[test]
fn a_thought_that_a_call_alone_has_kept_stands_before_the_text_that_leads_to_the_call() {
    let field = |seal: &'static str| {
        VendorSeal::new(DialectFamily::Messages, seal).to_field(DialectFamily::Gemini).into_owned()
    };
    let (one, two) = (field("ONE"), field("TWO"));
    // So Gemini CLI sends its history: the thoughts are gone, and their signatures are with the calls.
    let body = format!(
        r#"{{"contents":[{{"role":"model","parts":[{{"text":"a"}},{{"functionCall":{{"id":"1","name":"f"}},"thoughtSignature":"{one}"}},
            {{"text":"b"}},{{"functionCall":{{"id":"2","name":"f"}},"thoughtSignature":"{two}"}},
            {{"text":"c"}},{{"functionCall":{{"id":"3","name":"f"}},"thoughtSignature":"{two}"}}]}}]}}"#
    );
    read(&body, |request, _| {
        let kinds = request.turns[0].parts.iter().map(|part| match &part.body {
            PartBody::Thinking(thinking) => thinking.sealed.as_ref().map_or("", |sealed| &*sealed.text),
            PartBody::Text { text, .. } => text,
            PartBody::ToolCall(call) => &*call.id,
            _ => "?",
        });
        assert_eq!(kinds.collect::<Vec<_>>(), ["ONE", "a", "1", "TWO", "b", "2", "c", "3"]);
    });
}

#[test]
fn thoughts_are_never_joined_to_the_answers_text() {
    let body = r#"{"contents":[{"role":"model","parts":[{"text":"T","thought":true},{"text":"A"},{"text":""}]}]}"#;
    read(body, |request, _| {
        let parts = &request.turns[0].parts;
        assert_eq!(parts.len(), 2);
        assert!(matches!(&parts[0].body, PartBody::Thinking(thinking) if thinking.text == "T"));
        assert!(matches!(&parts[1].body, PartBody::Text { text, .. } if text == "A"));
    });
}

#[test]
fn thinking_is_off_by_a_budget_of_nothing_and_adaptive_by_one_of_its_own_choice() {
    let mode = |config: &str| {
        let mut mode = None;
        let body = format!(r#"{{"contents":[],"generationConfig":{{"thinkingConfig":{config}}}}}"#);
        read(&body, |request, _| mode = request.reasoning.map(|reasoning| reasoning.mode));
        mode.expect("thinking")
    };
    assert_eq!(mode(r#"{"thinkingBudget":0}"#), ReasoningMode::Off);
    assert_eq!(mode(r#"{"thinking_budget":-1}"#), ReasoningMode::Adaptive { effort: None });
    assert_eq!(mode(r#"{"thinkingBudget":1024}"#), ReasoningMode::Budget { tokens: 1024, effort: None });
    assert_eq!(mode(r#"{"thinkingLevel":"XHIGH"}"#), ReasoningMode::Effort(Effort::XHigh));
    assert_eq!(mode(r#"{"includeThoughts":true}"#), ReasoningMode::Adaptive { effort: None });
}

#[test]
fn the_modes_of_calling_are_read_with_their_names() {
    let choice = |config: &str| {
        let mut choice = None;
        let body = format!(
            r#"{{"contents":[],"tools":[{{"function_declarations":[{{"name":"f"}}]}}],
            "toolConfig":{{"functionCallingConfig":{config}}}}}"#
        );
        read(&body, |request, _| choice = Some(format!("{:?}", request.tool_choice)));
        choice.expect("read")
    };
    let said = |choice: ToolChoice<'_>| format!("{:?}", Some(choice));
    assert_eq!(choice(r#"{"mode":"ANY"}"#), said(ToolChoice::Any));
    assert_eq!(choice(r#"{"mode":"NONE"}"#), said(ToolChoice::None));
    assert_eq!(choice(r#"{"mode":"ANY","allowed_function_names":["f"]}"#), said(ToolChoice::Tool("f".into())));
    let names = vec!["f".into(), "g".into()];
    let allowed = ToolChoice::Allowed { names, is_required: true };
    assert_eq!(choice(r#"{"mode":"ANY","allowedFunctionNames":["f","g"]}"#), said(allowed));
    assert_eq!(choice(r#"{"mode":"AUTO"}"#), said(ToolChoice::Auto));
}

#[test]
fn validated_calls_are_strict_where_the_schema_keeps_the_others_rules() {
    let body = r#"{"contents":[],"tools":[{"functionDeclarations":[
        {"name":"f","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING"}},"required":["a"],"additionalProperties":false}},
        {"name":"g","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING"}}}}]}],
        "toolConfig":{"functionCallingConfig":{"mode":"VALIDATED"}}}"#;
    read(body, |request, losses| {
        let strict: Vec<_> = request
            .tools
            .iter()
            .map(|tool| match tool.kind {
                ToolKind::Function { strict, .. } => strict,
                _ => None,
            })
            .collect();
        assert_eq!(strict, [Some(true), None]);
        assert_eq!(losses, "dropped=tools.strict");
    });
}

#[test]
fn fields_that_no_other_api_knows_are_lost_by_name() {
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"a","videoMetadata":{"fps":1}}]}],"futureField":1,
        "safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_LOW_AND_ABOVE"}],
        "generationConfig":{"audio_timestamp":true,"speechConfig":{}},
        "tools":[{"functionDeclarations":[{"name":"f","response":{"type":"OBJECT"}}]}],
        "toolConfig":{"retrievalConfig":{}}}"#;
    let mut losses = LossReport::default();
    super::Gemini.read_request(body.as_bytes(), &mut losses).expect("a request");
    let places: Vec<_> = losses.losses().iter().filter_map(|loss| loss.place.as_deref()).collect();
    for place in [
        "contents[0].parts[0].videoMetadata",
        "futureField",
        "generationConfig.audioTimestamp",
        "f.response",
        "toolConfig.retrievalConfig",
    ] {
        assert!(places.contains(&place), "{place}: {places:?}");
    }
    assert_eq!(losses.to_string(), "dropped=tools.details,modalities,safety,other");
}

#[test]
fn filters_that_are_switched_off_are_no_loss() {
    let body = r#"{"contents":[],"safetySettings":[{"category":"C","threshold":"OFF"}],
        "generationConfig":{"responseModalities":["TEXT"]}}"#;
    read(body, |_, losses| assert_eq!(losses, ""));
}

#[test]
fn what_google_keeps_and_what_it_alone_runs_is_refused_by_name() {
    let losses = |body: &str| {
        let mut said = String::new();
        read(body, |_, losses| losses.clone_into(&mut said));
        said
    };
    assert_eq!(losses(r#"{"contents":[],"cachedContent":"cachedContents/1"}"#), "refused=stored_state");
    assert_eq!(losses(r#"{"contents":[],"generationConfig":{"responseModalities":["AUDIO"]}}"#), "refused=modalities");
    assert_eq!(losses(r#"{"contents":[],"tools":[{"mcp_servers":[]}]}"#), "refused=mcp_servers");
}

#[test]
fn googles_own_tools_keep_their_names_and_definitions() {
    let body = r#"{"contents":[],"tools":[{"google_search":{}},{"codeExecution":{},"urlContext":{}}]}"#;
    read(body, |request, _| {
        let names: Vec<_> = request.tools.iter().map(|tool| &*tool.name).collect();
        assert_eq!(names, ["googleSearch", "codeExecution", "urlContext"]);
        assert!(
            request.tools.iter().all(|tool| matches!(&tool.kind, ToolKind::Server(server) if server.raw.get() == "{}"))
        );
    });
    let (body, losses) = rewritten(body, super::NEW);
    assert_eq!(body["tools"], serde_json::json!([{"googleSearch": {}}, {"codeExecution": {}}, {"urlContext": {}}]));
    assert_eq!(losses, "");
}

#[test]
fn files_at_google_are_told_from_those_that_anybody_sees() {
    let body = r#"{"contents":[{"parts":[
        {"fileData":{"fileUri":"https://generativelanguage.googleapis.com/v1beta/files/x","mimeType":"image/png"}},
        {"file_data":{"file_uri":"gs://b/o.pdf","mime_type":"application/pdf"}},
        {"fileData":{"fileUri":"https://a.example/i.png?x=1"},"mediaResolution":{"level":"MEDIA_RESOLUTION_HIGH"}}]}]}"#;
    read(body, |request, losses| {
        assert_eq!(losses, "");
        let parts = &request.turns[0].parts;
        let is_file = |source: &MediaSource<'_>| matches!(source, MediaSource::FileId(_));
        assert!(matches!(&parts[0].body, PartBody::Image(image) if is_file(&image.source)));
        assert!(matches!(&parts[1].body, PartBody::Document(document) if is_file(&document.source)));
        let PartBody::Image(image) = &parts[2].body else { panic!("an image") };
        assert!(matches!(image.source, MediaSource::Url { .. }));
        assert_eq!(image.detail, Some(ImageDetail::High));
    });
}

#[test]
fn a_body_without_its_form_is_refused_with_its_place() {
    let refusal = |body: &str| {
        let mut losses = LossReport::default();
        super::Gemini.read_request(body.as_bytes(), &mut losses).map(|_| ()).expect_err("no request").to_string()
    };
    assert!(refusal("[]").starts_with("body: "));
    assert_eq!(refusal("{}"), "contents: missing");
    assert_eq!(
        refusal(r#"{"contents":[{"role":"assistant","parts":[]}]}"#),
        "contents[0].role: neither `user` nor `model`"
    );
    assert_eq!(refusal(r#"{"contents":[{"parts":[1]}]}"#), "contents[0].parts[0]: a part is an object");
    assert_eq!(
        refusal(r#"{"contents":[{"parts":[{"functionCall":{}}]}]}"#),
        "contents[0].parts[0].functionCall.name: missing"
    );
    assert_eq!(
        refusal(r#"{"contents":[],"generationConfig":{"maxOutputTokens":1.5}}"#),
        "generationConfig.maxOutputTokens: no whole number"
    );
}

#[test]
fn a_path_that_asks_for_a_stream_makes_it_one() {
    let translation = Translation { client: DialectFamily::Gemini, upstream: DialectFamily::Gemini };
    let body = br#"{"contents":[{"parts":[{"text":"Q"}]}]}"#;
    let target = TranslationTarget { model: super::NEW, max_output: None };
    let streamed = translation.streamed_request_with_losses(body, &target).expect("a request");
    let whole = translation.request(body, &target).expect("a request");
    assert!(streamed.stream && !whole.stream);
    assert_eq!(streamed.body, body);
}

#[test]
fn the_chunks_of_a_stream_that_an_sdk_keeps_as_contents_are_one_turn() {
    let sealed = VendorSeal::new(DialectFamily::Messages, "SIG");
    let field = sealed.to_field(DialectFamily::Gemini);
    let body = format!(
        r#"{{"contents":[{{"role":"user","parts":[{{"text":"Q"}}]}},
        {{"role":"model","parts":[{{"text":"th","thought":true}}]}},
        {{"role":"model","parts":[{{"text":"ink","thought":true}}]}},
        {{"role":"model","parts":[{{"text":"","thought":true,"thoughtSignature":"{field}"}}]}},
        {{"role":"model","parts":[{{"text":"Hel"}}]}},
        {{"role":"model","parts":[{{"text":"lo"}}]}},
        {{"role":"model","parts":[{{"functionCall":{{"id":"c","name":"f"}},"thoughtSignature":"{field}"}}]}},
        {{"role":"model","parts":[{{"text":""}}]}}]}}"#
    );
    read(&body, |request, _| {
        assert_eq!(request.turns.len(), 2);
        let parts = &request.turns[1].parts;
        assert_eq!(parts.len(), 3);
        let PartBody::Thinking(thinking) = &parts[0].body else { panic!("a thought") };
        assert_eq!((&*thinking.text, &thinking.sealed), ("think", &Some(sealed)));
        assert!(matches!(&parts[1].body, PartBody::Text { text, .. } if text == "Hello"));
        assert!(matches!(parts[2].body, PartBody::ToolCall(_)));
    });
}

#[test]
fn many_calls_without_results_and_many_seals_cost_no_more_each_than_few() {
    let count = 10_000;
    let calls = vec![r#"{"functionCall":{"name":"f"}}"#; count].join(",");
    let seals =
        vec![r#"{"role":"model","parts":[{"text":"","thoughtSignature":"QQ=="},{"text":"a"}]}"#; count].join(",");
    let results = vec![r#"{"functionResponse":{"name":"g","id":"x"}}"#; count].join(",");
    let body = format!(
        r#"{{"contents":[{{"role":"model","parts":[{calls}]}},{seals},{{"role":"user","parts":[{results}]}}]}}"#
    );
    read(&body, |request, _| {
        assert_eq!(request.turns.len(), 2);
        assert_eq!(request.turns[1].parts.len(), count);
    });
}

#[test]
fn a_signature_that_says_that_there_is_none_is_none() {
    for signature in ["skip_thought_signature_validator", "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I"] {
        let body = format!(
            r#"{{"contents":[{{"role":"model","parts":[{{"functionCall":{{"name":"f"}},"thoughtSignature":"{signature}"}}]}}]}}"#
        );
        read(&body, |request, _| assert_eq!(request.turns[0].parts[0].sealed, None));
    }
}
