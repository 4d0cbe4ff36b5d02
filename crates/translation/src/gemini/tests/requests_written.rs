//! Requests of other APIs' clients in Google's words: each row of what other proxies lose or invent is one here.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{BUDGET, NEW, written, written_with_losses};
use crate::conversion::sealed::Sealed;
use crate::family::DialectFamily;
use crate::loss::{Field, LossKind};
use crate::neutral::{
    CacheMark, CallKind, Document, Effort, Image, ImageDetail, MediaSource, NeutralRequest, OutputFormat, Part,
    PartBody, Reasoning, ReasoningMode, ServerTool, Thinking, ThoughtForm, Tool, ToolCall, ToolChoice, ToolKind,
    ToolResult, Turn, TurnRole,
};

fn raw(text: &str) -> &RawValue {
    serde_json::from_str(text).expect("JSON")
}

fn turn<'b>(role: TurnRole, parts: Vec<Part<'b>>) -> Turn<'b> {
    Turn { role, name: None, parts }
}

fn said(role: TurnRole, text: &str) -> Turn<'_> {
    turn(role, vec![Part::text(text)])
}

fn asking<'b>() -> NeutralRequest<'b> {
    let mut request = NeutralRequest::new("m".into());
    request.turns.push(said(TurnRole::User, "Q"));
    request
}

fn of_turns(turns: Vec<Turn<'_>>) -> NeutralRequest<'_> {
    let mut request = NeutralRequest::new("m".into());
    request.turns = turns;
    request
}

fn call<'b>(id: &'b str, name: &'b str, arguments: &'b str) -> Part<'b> {
    let kind = CallKind::Function;
    Part::new(PartBody::ToolCall(ToolCall { id: id.into(), name: name.into(), arguments: arguments.into(), kind }))
}

fn result<'b>(call_id: &'b str, parts: Vec<Part<'b>>) -> Part<'b> {
    let result = ToolResult { call_id: call_id.into(), name: None, parts, is_error: None, kind: CallKind::Function };
    Part::new(PartBody::ToolResult(result))
}

fn failed<'b>(call_id: &'b str, text: &'b str) -> Part<'b> {
    let mut part = result(call_id, vec![Part::text(text)]);
    if let PartBody::ToolResult(result) = &mut part.body {
        result.is_error = Some(true);
    }
    part
}

fn thought<'b>(text: &'b str, sealed: Option<Sealed<'b>>) -> Part<'b> {
    Part::new(PartBody::Thinking(Thinking { text: text.into(), is_summary: false, is_redacted: false, sealed }))
}

fn image<'b>(detail: Option<ImageDetail>) -> Part<'b> {
    let source = MediaSource::Base64 { media_type: "image/png".into(), data: "AAAA".into() };
    Part::new(PartBody::Image(Image { source, detail }))
}

fn function<'b>(name: &'b str, schema: &'b str, strict: Option<bool>) -> Tool<'b> {
    let kind = ToolKind::Function { schema: Some(raw(schema)), strict };
    Tool { name: name.into(), description: Some("D".into()), kind, cache: None }
}

fn server<'b>(kind: &'b str) -> Tool<'b> {
    let kind = ToolKind::Server(ServerTool { kind: kind.into(), raw: raw(r#"{"type":"x"}"#) });
    Tool { name: "".into(), description: None, kind, cache: None }
}

fn texts(content: &Value) -> Vec<&str> {
    content["parts"].as_array().expect("parts").iter().filter_map(|part| part["text"].as_str()).collect()
}

#[test]
fn instructions_at_the_beginning_have_their_place_and_those_in_the_middle_stand_where_they_stood() {
    let request = of_turns(vec![
        said(TurnRole::System, "S1"),
        said(TurnRole::Developer, "S2"),
        said(TurnRole::User, "Q"),
        said(TurnRole::Assistant, "A"),
        said(TurnRole::System, "S3"),
        said(TurnRole::User, "Q2"),
    ]);
    let (body, losses) = written(&request, NEW);
    assert_eq!(body["systemInstruction"], json!({"parts": [{"text": "S1"}, {"text": "S2"}]}));
    let contents = body["contents"].as_array().expect("contents");
    assert_eq!(contents.len(), 3);
    assert_eq!((&contents[2]["role"], texts(&contents[2])), (&json!("user"), vec!["S3", "Q2"]));
    assert_eq!(losses, "changed=system_turns");
}

#[test]
fn a_request_of_instructions_alone_has_contents() {
    let (body, losses) = written(&of_turns(vec![said(TurnRole::System, "S")]), NEW);
    assert_eq!(body, json!({"contents": [{"role": "user", "parts": [{"text": "S"}]}]}));
    assert_eq!(losses, "changed=system_turns");
}

#[test]
fn empty_turns_are_left_out_and_never_filled() {
    let request = of_turns(vec![
        said(TurnRole::User, "Q"),
        turn(TurnRole::Assistant, Vec::new()),
        said(TurnRole::Assistant, ""),
        said(TurnRole::User, "Q2"),
    ]);
    let (body, losses) = written(&request, NEW);
    assert_eq!(
        body["contents"],
        json!([{"role": "user", "parts": [{"text": "Q"}]}, {"role": "user", "parts": [{"text": "Q2"}]}])
    );
    assert_eq!(losses, "changed=empty_turns");
}

#[test]
fn a_loop_of_tools_keeps_ids_names_order_errors_and_images() {
    let request = of_turns(vec![
        said(TurnRole::User, "Q"),
        turn(TurnRole::Assistant, vec![Part::text("A"), call("c1", "f", "{\"a\": 1}"), call("c2", "g", "")]),
        turn(
            TurnRole::User,
            vec![Part::text("more"), failed("c2", "no"), result("c1", vec![Part::text("{\"t\":20}"), image(None)])],
        ),
    ]);
    let (body, losses) = written(&request, NEW);
    let skip = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";
    assert_eq!(
        body["contents"][1]["parts"],
        json!([
            {"text": "A"},
            {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}, "thoughtSignature": skip},
            {"functionCall": {"id": "c2", "name": "g", "args": {}}},
        ])
    );
    assert_eq!(
        body["contents"][2]["parts"],
        json!([
            {"functionResponse": {"id": "c2", "name": "g", "response": {"error": "no"}}},
            {"functionResponse": {"id": "c1", "name": "f", "response": {"t": 20},
                "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}},
            {"text": "more"},
        ])
    );
    assert_eq!(losses, "changed=thinking.sealed");
}

#[test]
fn models_before_gemini_3_get_images_of_results_beside_them_and_no_signature() {
    let request = of_turns(vec![
        turn(TurnRole::Assistant, vec![call("c1", "f", "{}")]),
        turn(TurnRole::User, vec![result("c1", vec![Part::text("see"), image(Some(ImageDetail::Low))])]),
    ]);
    let (body, losses) = written(&request, BUDGET);
    assert_eq!(body["contents"][0]["parts"], json!([{"functionCall": {"id": "c1", "name": "f", "args": {}}}]));
    assert_eq!(
        body["contents"][1]["parts"],
        json!([
            {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "see"}}},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        ])
    );
    assert_eq!(losses, "dropped=images.detail; changed=tool_results.content");
}

#[test]
fn arguments_that_are_no_object_go_as_a_text_and_that_is_said() {
    let request = of_turns(vec![turn(TurnRole::Assistant, vec![call("c", "f", "{\"a\":")])]);
    let (body, losses) = written(&request, BUDGET);
    assert_eq!(body["contents"][0]["parts"][0]["functionCall"]["args"], json!({"input": "{\"a\":"}));
    assert_eq!(losses, "changed=tools");
}

#[test]
fn thoughts_go_back_to_their_maker_alone_and_are_never_text() {
    let own = Sealed::new(DialectFamily::Gemini, "R09P");
    let foreign = Sealed::new(DialectFamily::Messages, "Q0xB");
    let request = of_turns(vec![turn(
        TurnRole::Assistant,
        vec![thought("T1", Some(foreign)), thought("T2", None), thought("T3", Some(own)), Part::text("A")],
    )]);
    let (body, losses) = written(&request, NEW);
    assert_eq!(
        body["contents"][0]["parts"],
        json!([{"text": "T3", "thought": true, "thoughtSignature": "R09P"}, {"text": "A"}])
    );
    assert_eq!(losses, "dropped=thinking");
}

#[test]
fn a_signature_that_a_client_kept_as_a_thought_goes_on_the_call_after_it() {
    let seal = |text| Sealed::new(DialectFamily::Gemini, text);
    let request = of_turns(vec![
        turn(TurnRole::Assistant, vec![thought("", Some(seal("QQ=="))), call("c1", "f", "{}"), call("c2", "f", "{}")]),
        turn(TurnRole::User, vec![result("c1", Vec::new()), result("c2", Vec::new())]),
        turn(TurnRole::Assistant, vec![Part::text("A"), thought("", Some(seal("Qg==")))]),
    ]);
    let (body, losses) = written(&request, NEW);
    assert_eq!(body["contents"][0]["parts"][0]["thoughtSignature"], "QQ==");
    assert_eq!(body["contents"][0]["parts"][1].get("thoughtSignature"), None);
    assert_eq!(body["contents"][2]["parts"], json!([{"text": "A"}, {"text": "", "thoughtSignature": "Qg=="}]));
    assert_eq!(losses, "");
}

#[test]
fn a_refusal_of_an_assistants_turn_is_kept() {
    let request = of_turns(vec![turn(TurnRole::Assistant, vec![Part::new(PartBody::Refusal("I cannot.".into()))])]);
    let (body, losses) = written(&request, NEW);
    assert_eq!(texts(&body["contents"][0]), ["I cannot."]);
    assert_eq!(losses, "changed=refusals");
}

#[test]
fn media_go_by_bytes_by_address_and_as_text() {
    let url = |url: &'static str| MediaSource::Url { url: url.into(), media_type: None };
    let document = |source| Document { source, title: None, context: None, cites: None };
    let text = document(MediaSource::Text("plain".into()));
    let pdf = Document {
        title: Some("t.pdf".into()),
        ..document(MediaSource::Base64 { media_type: "application/pdf".into(), data: "JVBE".into() })
    };
    let request = of_turns(vec![turn(
        TurnRole::User,
        vec![
            image(Some(ImageDetail::High)),
            Part::new(PartBody::Image(Image { source: url("https://a.example/i.JPG?s=1"), detail: None })),
            Part::new(PartBody::Document(pdf)),
            Part::new(PartBody::Document(text)),
        ],
    )]);
    let (body, losses) = written(&request, NEW);
    assert_eq!(
        body["contents"][0]["parts"],
        json!([
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}},
            {"fileData": {"fileUri": "https://a.example/i.JPG?s=1", "mimeType": "image/jpeg"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBE", "displayName": "t.pdf"}},
            {"text": "plain"},
        ])
    );
    assert_eq!(losses, "changed=documents");
}

#[test]
fn a_file_of_another_vendors_store_is_refused() {
    let source = MediaSource::FileId("file-abc".into());
    let request =
        of_turns(vec![turn(TurnRole::User, vec![Part::new(PartBody::Image(Image { source, detail: None }))])]);
    assert_eq!(written(&request, NEW).1, "refused=file_ids; changed=empty_turns");
}

#[test]
fn schemas_of_tools_go_as_they_are_and_what_is_not_enforced_is_named() {
    let mut request = asking();
    let schema = r#"{"type":"object","properties":{"a":{"type":"string","minLength":1}},"additionalProperties":false}"#;
    request.tools.push(function("f", schema, None));
    let (body, losses) = written_with_losses(&request, NEW);
    let written: Value = serde_json::from_str(schema).expect("JSON");
    assert_eq!(body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"], written);
    assert_eq!(body.get("toolConfig"), None);
    assert_eq!(losses.losses()[0].detail.as_deref(), Some("not enforced: minLength"));
}

#[test]
fn strict_tools_are_validated() {
    let mut request = asking();
    request.tools.push(function("f", "{}", Some(true)));
    let (body, losses) = written(&request, NEW);
    assert_eq!(body["toolConfig"], json!({"functionCallingConfig": {"mode": "VALIDATED"}}));
    assert_eq!(losses, "");
    request.tools.push(function("g", "{}", None));
    assert_eq!(written(&request, NEW).1, "changed=tools.strict");
}

#[test]
fn each_choice_of_tools_has_its_mode() {
    let names = || vec!["f".into(), "g".into()];
    let cases = [
        (ToolChoice::None, json!({"mode": "NONE"})),
        (ToolChoice::Any, json!({"mode": "ANY"})),
        (ToolChoice::Tool("f".into()), json!({"mode": "ANY", "allowedFunctionNames": ["f"]})),
        (
            ToolChoice::Allowed { names: names(), is_required: true },
            json!({"mode": "ANY", "allowedFunctionNames": ["f", "g"]}),
        ),
        (
            ToolChoice::Allowed { names: names(), is_required: false },
            json!({"mode": "VALIDATED", "allowedFunctionNames": ["f", "g"]}),
        ),
    ];
    for (choice, config) in cases {
        let mut request = asking();
        request.tools.push(function("f", "{}", None));
        request.tool_choice = Some(choice);
        let (body, losses) = written(&request, NEW);
        assert_eq!((&body["toolConfig"]["functionCallingConfig"], &*losses), (&config, ""));
    }
}

#[test]
fn a_rule_without_functions_is_not_sent() {
    let mut request = asking();
    request.tool_choice = Some(ToolChoice::Any);
    let (body, losses) = written(&request, NEW);
    assert_eq!((body.get("toolConfig"), body.get("tools"), &*losses), (None, None, "dropped=tool_choice"));
}

#[test]
fn a_custom_tool_is_a_function_of_one_text_with_its_grammar() {
    let mut request = asking();
    let kind = ToolKind::Custom { grammar: Some(("lark".into(), "start: X".into())) };
    request.tools.push(Tool { name: "patch".into(), description: Some("Patches.".into()), kind, cache: None });
    let custom =
        ToolCall { id: "c".into(), name: "patch".into(), arguments: "*** \"a\"".into(), kind: CallKind::Custom };
    request.turns.push(turn(TurnRole::Assistant, vec![Part::new(PartBody::ToolCall(custom))]));
    let (body, losses) = written(&request, BUDGET);
    let function = &body["tools"][0]["functionDeclarations"][0];
    assert_eq!(function["parametersJsonSchema"]["required"], json!(["input"]));
    assert!(
        function["description"].as_str().is_some_and(|text| text.starts_with("Patches.") && text.contains("start: X"))
    );
    assert_eq!(body["contents"][1]["parts"][0]["functionCall"]["args"], json!({"input": "*** \"a\""}));
    assert_eq!(losses, "changed=tools.custom");
}

#[test]
fn a_search_of_the_web_is_googles_and_other_tools_that_a_vendor_runs_are_refused_by_name() {
    let mut request = asking();
    request.tools.push(server("web_search_20250305"));
    let (body, losses) = written(&request, NEW);
    assert_eq!((&body["tools"], &*losses), (&json!([{"googleSearch": {}}]), "changed=tools.server"));

    request.tools.push(function("f", "{}", None));
    let (body, _) = written(&request, NEW);
    assert_eq!(body["toolConfig"], json!({"includeServerSideToolInvocations": true}));
    assert_eq!(written(&request, BUDGET).1, "refused=tools.server; changed=tools.server");

    request.tools.push(server("code_interpreter"));
    let (_, losses) = written_with_losses(&request, NEW);
    assert_eq!(losses.refusal().and_then(|loss| loss.detail.as_deref()), Some("code_interpreter"));
}

#[test]
fn tools_that_the_client_runs_are_functions_with_their_schema() {
    let mut request = asking();
    request.tools.push(server("bash_20250124"));
    let (body, losses) = written(&request, NEW);
    let function = &body["tools"][0]["functionDeclarations"][0];
    assert_eq!(function["name"], "bash");
    assert!(function["parametersJsonSchema"]["properties"].get("command").is_some());
    assert_eq!(losses, "changed=tools.server");
}

#[test]
fn limits_and_sampling_go_as_they_are() {
    let mut request = asking();
    request.max_tokens = Some(500);
    request.sampling.temperature = Some(1.7);
    request.sampling.top_p = Some(0.5);
    request.sampling.top_k = Some(40.0);
    request.sampling.seed = Some(7);
    request.sampling.presence_penalty = Some(0.25);
    request.sampling.frequency_penalty = Some(-1.0);
    request.sampling.choices = Some(2);
    request.sampling.logprobs = Some(true);
    request.sampling.top_logprobs = Some(3);
    request.sampling.stop = ["a", "", "\n", "b", "c", "d", "e"].map(Into::into).to_vec();
    let (body, losses) = written(&request, NEW);
    assert_eq!(
        body["generationConfig"],
        json!({"maxOutputTokens": 500, "temperature": 1.7, "topP": 0.5, "topK": 40, "presencePenalty": 0.25,
            "frequencyPenalty": -1, "seed": 7, "candidateCount": 2, "responseLogprobs": true, "logprobs": 3,
            "stopSequences": ["a", "\n", "b", "c", "d"]})
    );
    assert_eq!(losses, "dropped=stop");
}

#[test]
fn a_limit_of_nothing_is_refused() {
    let mut request = asking();
    request.max_tokens = Some(0);
    assert_eq!(written(&request, NEW).1, "refused=max_tokens");
}

#[test]
fn what_google_has_no_word_for_is_named() {
    let mut request = asking();
    request.parallel_calls = Some(false);
    request.tools.push(function("f", "{}", None));
    request.verbosity = Some(crate::neutral::Verbosity::Low);
    request.user = Some("u".into());
    request.sampling.logit_bias = Some(raw("{}"));
    request.sampling.seed = Some(1 << 40);
    request.cache.key = Some("k".into());
    request.metadata = Some(raw(r#"{"Team":"x"}"#));
    request.turns[0].name = Some("N".into());
    request.turns[0].parts[0].cache = Some(CacheMark { ttl: None });
    request.service_tier = Some("scale".into());
    let (_, losses) = written(&request, NEW);
    assert_eq!(
        losses,
        "dropped=parallel_tool_calls,names,seed,logit_bias,verbosity,cache_rules,service_tier,metadata,user; \
         changed=cache_marks"
    );
}

#[test]
fn the_usual_tier_is_not_a_dearer_one() {
    let tier = |tier: &'static str| {
        let mut request = asking();
        request.service_tier = Some(tier.into());
        let (body, losses) = written(&request, NEW);
        (body.get("serviceTier").and_then(Value::as_str).map(ToOwned::to_owned), losses)
    };
    assert_eq!(tier("auto"), (None, String::new()));
    assert_eq!(tier("standard_only"), (Some("standard".to_owned()), String::new()));
    assert_eq!(tier("flex"), (Some("flex".to_owned()), String::new()));
    assert_eq!(tier("fast"), (Some("priority".to_owned()), "changed=service_tier".to_owned()));
}

#[test]
fn labels_go_on_where_they_are_such_as_google_takes() {
    let mut request = asking();
    request.metadata = Some(raw(r#"{"team":"x-1"}"#));
    request.store = Some(false);
    let (body, losses) = written(&request, NEW);
    assert_eq!((&body["labels"], &body["store"], &*losses), (&json!({"team": "x-1"}), &json!(false), ""));
}

#[test]
fn thinking_that_is_off_stays_off_and_other_amounts_come_nearest_by_the_models_generation() {
    let config = |mode, model: &str| {
        let mut request = asking();
        request.reasoning = Some(Reasoning { mode, form: None });
        let (body, losses) = written(&request, model);
        (body["generationConfig"]["thinkingConfig"].clone(), losses)
    };
    let said = |config: Value, losses: &str| (config, losses.to_owned());
    let effort = ReasoningMode::Effort;
    let adaptive = |effort| ReasoningMode::Adaptive { effort };
    let budget = |tokens| ReasoningMode::Budget { tokens, effort: None };
    for model in [NEW, BUDGET] {
        assert_eq!(config(ReasoningMode::Off, model), said(json!({"thinkingBudget": 0}), ""));
    }
    assert_eq!(config(effort(Effort::High), NEW), said(json!({"thinkingLevel": "HIGH"}), ""));
    assert_eq!(config(effort(Effort::Max), NEW), said(json!({"thinkingLevel": "XHIGH"}), "changed=reasoning"));
    assert_eq!(config(budget(5000), NEW), said(json!({"thinkingLevel": "MEDIUM"}), "changed=reasoning"));
    assert_eq!(config(adaptive(None), NEW), said(Value::Null, ""));
    assert_eq!(config(adaptive(Some(Effort::XHigh)), NEW), said(json!({"thinkingLevel": "XHIGH"}), ""));
    assert_eq!(config(budget(5000), BUDGET), said(json!({"thinkingBudget": 5000}), ""));
    assert_eq!(config(budget(30_000), BUDGET), said(json!({"thinkingBudget": 24_576}), "changed=reasoning"));
    assert_eq!(config(effort(Effort::Low), BUDGET), said(json!({"thinkingBudget": 2048}), "changed=reasoning"));
    assert_eq!(config(adaptive(None), BUDGET), said(json!({"thinkingBudget": -1}), ""));
    assert_eq!(config(effort(Effort::Low), "models/gemini-2.0-flash"), said(Value::Null, "dropped=reasoning"));
    assert_eq!(config(ReasoningMode::Off, "gemini-2.0-flash"), said(Value::Null, ""));
}

#[test]
fn a_limit_that_a_budget_would_fill_is_raised_by_it() {
    let mut request = asking();
    request.max_tokens = Some(500);
    request.reasoning = Some(Reasoning { mode: ReasoningMode::Effort(Effort::Low), form: Some(ThoughtForm::Summary) });
    let (body, losses) = written_with_losses(&request, BUDGET);
    assert_eq!(
        body["generationConfig"],
        json!({"maxOutputTokens": 2548, "thinkingConfig": {"thinkingBudget": 2048, "includeThoughts": true}})
    );
    let raised = losses.losses().iter().find(|loss| loss.field == Field::MaxTokens).expect("said");
    assert_eq!(raised.kind, LossKind::Changed);
    assert!(raised.detail.as_deref().is_some_and(|detail| detail.starts_with("2548")));
}

#[test]
fn the_form_of_the_answer_is_kept() {
    let mut request = asking();
    let schema = raw(r#"{"type":"object","properties":{}}"#);
    request.output =
        Some(OutputFormat::Schema { name: Some("n".into()), description: None, schema, strict: Some(true) });
    let (body, losses) = written(&request, NEW);
    assert_eq!(
        body["generationConfig"],
        json!({"responseMimeType": "application/json", "responseJsonSchema": {"type": "object", "properties": {}}})
    );
    assert_eq!(losses, "");
    request.output = Some(OutputFormat::JsonObject);
    assert_eq!(written(&request, NEW).0["generationConfig"], json!({"responseMimeType": "application/json"}));
    request.tools.push(function("f", "{}", None));
    assert_eq!(written(&request, NEW).1, "");
    assert_eq!(written(&request, BUDGET).1, "dropped=response_format");
}
