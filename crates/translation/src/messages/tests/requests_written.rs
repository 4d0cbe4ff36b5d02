//! Tests of writing requests: tools, options, and what peers lose, change or invent without saying so.

use serde_json::{Value, json};

use super::{TARGET, raw, request, turn, write, write_for};
use crate::loss::{Field, LossReport};
use crate::neutral::{
    CacheMark, CacheTtl, Effort, OutputFormat, Part, PartBody, Reasoning, ReasoningMode, ServerTool, ThoughtForm, Tool,
    ToolChoice, ToolKind, TurnRole, Verbosity,
};
use crate::translation::TranslationTarget;

fn function(name: &'static str, schema: Option<&str>) -> Tool<'static> {
    let kind = ToolKind::Function { schema: schema.map(raw), strict: None };
    Tool { name: name.into(), description: None, kind, cache: None }
}

fn reasoning(mode: ReasoningMode) -> Option<Reasoning> {
    Some(Reasoning { mode, form: None })
}

#[test]
fn a_plain_request_says_what_it_must_and_nothing_more() {
    let (body, said) = write(&request());

    assert_eq!(
        body,
        json!({"model": "claude-opus-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]})
    );
    assert_eq!(said, "", "no mark of the prompt cache and no thinking is made up");
}

#[test]
fn a_limit_that_the_client_left_out_is_the_models_or_the_usual_one_and_is_said() {
    let mut request = request();
    request.max_tokens = None;

    let (body, losses) = write_for(&request, &TARGET);
    assert_eq!(body["max_tokens"], 32_000);
    assert_eq!(losses.losses()[0].detail.as_deref(), Some("32000: the API wants a limit"));
    let (body, _) = write_for(&request, &TranslationTarget { model: "m", max_output: Some(8192) });
    assert_eq!(body["max_tokens"], 8192);
}

#[test]
fn functions_keep_their_schema_and_their_strictness() {
    let mut request = request();
    let mut strict = function(
        "f",
        Some(
            r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"additionalProperties":false,"$defs":{"x":{"type":"null"}}}"##,
        ),
    );
    strict.kind = match strict.kind {
        ToolKind::Function { schema, .. } => ToolKind::Function { schema, strict: Some(true) },
        other => other,
    };
    request.tools = vec![strict, function("none", None), function("open", Some(r#"{"properties":{}}"#))];
    let (body, said) = write(&request);

    assert_eq!(body["tools"][0]["strict"], true);
    assert_eq!(body["tools"][0]["input_schema"]["properties"]["a"]["$ref"], "#/$defs/x");
    assert_eq!(body["tools"][1]["input_schema"], json!({"type": "object", "properties": {}}));
    assert_eq!(body["tools"][2]["input_schema"], json!({"type": "object", "properties": {}}));
    assert_eq!(said, "changed=tools.schema");
}

/// Writes the schema as that of the answer, and as that of a strict tool.
fn written_schemas(schema: &str) -> ([Value; 3], LossReport) {
    let mut request = request();
    let kind = ToolKind::Function { schema: Some(raw(schema)), strict: Some(true) };
    request.tools = vec![Tool { name: "f".into(), description: None, kind, cache: None }];
    request.output = Some(OutputFormat::Schema { name: None, description: None, schema: raw(schema), strict: None });
    let (body, losses) = write_for(&request, &TARGET);
    let tool = &body["tools"][0];
    ([body["output_config"]["format"]["schema"].clone(), tool["input_schema"].clone(), tool["strict"].clone()], losses)
}

#[test]
fn a_schema_is_put_into_the_form_that_the_api_takes_for_answers_and_strict_tools() {
    let open = r#"{"type":"object","properties":{"n":{"type":"integer","maximum":9}},"required":["n"]}"#;
    let closed = json!({"type": "object", "properties": {"n": {"type": "integer", "description": "{maximum: 9}"}},
        "required": ["n"], "additionalProperties": false});

    let (written, losses) = written_schemas(open);

    assert_eq!(written, [closed.clone(), closed, json!(true)]);
    assert_eq!(losses.to_string(), "changed=tools.schema,response_format");
    assert_eq!(losses.grave(), None);
    let detail = Some("closed objects; in the description: maximum".to_owned());
    assert!(losses.losses().iter().all(|loss| loss.detail == detail), "{losses:?}");
}

#[test]
fn a_schema_that_the_api_has_no_form_for_is_a_loss_of_the_answer_s_format_and_no_tool_is_strict_by_it() {
    for schema in [
        r#"{"type":"object","additionalProperties":{"type":"string"}}"#,
        r##"{"type":"object","properties":{"next":{"$ref":"#"}}}"##,
    ] {
        let (written, losses) = written_schemas(schema);

        let as_it_is: Value = serde_json::from_str(schema).expect("JSON");
        assert_eq!(written, [Value::Null, as_it_is, Value::Null]);
        assert_eq!(losses.to_string(), "dropped=tools.strict,response_format");
        assert_eq!(losses.grave().map(|loss| loss.field), Some(Field::OutputFormat));
    }
}

#[test]
fn a_custom_tool_is_a_function_with_its_grammar_in_the_description() {
    let mut request = request();
    let grammar = Some(("lark".into(), "start: \"a\"".into()));
    let kind = ToolKind::Custom { grammar };
    request.tools = vec![Tool { name: "patch".into(), description: Some("Edits.".into()), kind, cache: None }];
    let (body, said) = write(&request);

    assert_eq!(body["tools"][0]["description"], "Edits.\n\n`input` follows this grammar (lark):\nstart: \"a\"");
    assert_eq!(body["tools"][0]["input_schema"]["required"], json!(["input"]));
    assert_eq!(said, "changed=tools.custom");
}

#[test]
fn a_search_of_the_web_is_carried_by_name_and_other_tools_of_vendors_are_refused() {
    let mut request = request();
    let search = raw(
        r#"{"type":"web_search","filters":{"allowed_domains":["e.org"]},"user_location":{"type":"approximate","country":"DE"}}"#,
    );
    let server = |kind: &'static str, raw| Tool {
        name: kind.into(),
        description: None,
        kind: ToolKind::Server(ServerTool { kind: kind.into(), raw }),
        cache: None,
    };
    request.tools = vec![server("web_search", search)];
    let (body, said) = write(&request);
    assert_eq!(
        body["tools"],
        json!([{"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["e.org"],
            "user_location": {"type": "approximate", "country": "DE"}}])
    );
    assert_eq!(said, "changed=tools.server");

    request.tools = vec![server("code_interpreter", raw("{}"))];
    let (_, losses) = write_for(&request, &TARGET);
    assert_eq!(losses.refusal().and_then(|loss| loss.detail.as_deref()), Some("code_interpreter"));
}

#[test]
fn the_choice_of_a_tool_and_parallel_calls_are_said_in_one_field() {
    let cases = [
        (None, Some(false), json!({"type": "auto", "disable_parallel_tool_use": true})),
        (Some(ToolChoice::Any), None, json!({"type": "any"})),
        (Some(ToolChoice::None), Some(false), json!({"type": "none"})),
        (
            Some(ToolChoice::Tool("f".into())),
            Some(false),
            json!({"type": "tool", "name": "f", "disable_parallel_tool_use": true}),
        ),
        (None, Some(true), json!(null)),
    ];
    for (choice, parallel, expected) in cases {
        let mut request = request();
        request.tools = vec![function("f", None)];
        request.tool_choice = choice;
        request.parallel_calls = parallel;
        assert_eq!(write(&request).0["tool_choice"], expected);
    }
}

#[test]
fn of_allowed_tools_only_those_are_on_offer() {
    let mut request = request();
    request.tools = vec![function("f", None), function("g", None)];
    request.tool_choice = Some(ToolChoice::Allowed { names: vec!["g".into()], is_required: true });
    let (body, said) = write(&request);

    assert_eq!(body["tools"].as_array().map(Vec::len), Some(1));
    assert_eq!(body["tools"][0]["name"], "g");
    assert_eq!(body["tool_choice"], json!({"type": "any"}));
    assert_eq!(said, "changed=tool_choice.allowed");
}

#[test]
fn no_effort_is_disabled_thinking_and_an_effort_is_no_budget_beyond_the_limit() {
    let mut request = request();
    request.reasoning = reasoning(ReasoningMode::Off);
    let (body, said) = write(&request);
    assert_eq!((&body["thinking"], &body["output_config"]), (&json!({"type": "disabled"}), &json!(null)));
    assert_eq!(said, "");

    request.reasoning = reasoning(ReasoningMode::Effort(Effort::High));
    request.sampling.temperature = Some(0.3);
    request.sampling.top_k = Some(40.0);
    let (body, said) = write(&request);
    assert_eq!((&body["thinking"], &body["output_config"]), (&json!({"type": "adaptive"}), &json!({"effort": "high"})));
    assert_eq!((&body["max_tokens"], &body["temperature"]), (&json!(100), &json!(null)));
    assert_eq!(said, "dropped=temperature,top_k", "the API takes neither beside thinking");

    request.sampling = crate::neutral::Sampling::default();
    request.reasoning = reasoning(ReasoningMode::Effort(Effort::Minimal));
    let (body, said) = write(&request);
    assert_eq!(body["output_config"], json!({"effort": "low"}));
    assert_eq!(said, "changed=reasoning");
}

#[test]
fn a_budget_is_as_it_was_and_the_limit_is_raised_by_it() {
    let mut request = request();
    request.reasoning = Some(Reasoning {
        mode: ReasoningMode::Budget { tokens: 2000, effort: Some(Effort::Low) },
        form: Some(ThoughtForm::Omitted),
    });
    let (body, said) = write(&request);
    assert_eq!(body["thinking"], json!({"type": "enabled", "budget_tokens": 2000, "display": "omitted"}));
    assert_eq!((&body["max_tokens"], &body["output_config"]), (&json!(2100), &json!({"effort": "low"})));
    assert_eq!(said, "changed=max_tokens");

    let (body, _) = write_for(&request, &TranslationTarget { model: "m", max_output: Some(1500) });
    assert_eq!(body["thinking"], json!({"type": "disabled"}), "half of the limit is less than the smallest budget");
}

#[test]
fn a_forced_call_goes_without_thinking() {
    let mut request = request();
    request.tools = vec![function("f", None)];
    request.tool_choice = Some(ToolChoice::Any);
    request.reasoning = reasoning(ReasoningMode::Effort(Effort::Medium));
    let (body, said) = write(&request);

    assert_eq!(body["thinking"], json!({"type": "disabled"}));
    assert_eq!(said, "changed=reasoning");
}

#[test]
fn a_schema_of_the_answer_is_its_format_and_any_object_is_said_to_be_lost() {
    let mut request = request();
    let schema = raw(r#"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}"#);
    request.output = Some(OutputFormat::Schema { name: None, description: None, schema, strict: Some(true) });
    let (body, said) = write(&request);
    assert_eq!(body["output_config"]["format"]["type"], "json_schema");
    assert_eq!(body["output_config"]["format"]["schema"]["properties"]["a"]["type"], "string");
    assert_eq!(said, "");

    request.output = Some(OutputFormat::JsonObject);
    let (body, losses) = write_for(&request, &TARGET);
    assert_eq!(body.get("output_config"), None);
    assert!(losses.grave().is_some(), "the answer may be no JSON");
}

#[test]
fn sampling_keeps_to_what_the_api_takes_and_says_the_rest() {
    let mut request = request();
    let sampling = &mut request.sampling;
    sampling.temperature = Some(1.7);
    sampling.top_p = Some(0.5);
    sampling.top_k = Some(40.0);
    sampling.stop = vec!["END".into(), " \n".into()];
    sampling.seed = Some(7);
    sampling.presence_penalty = Some(0.0);
    sampling.frequency_penalty = Some(0.5);
    sampling.logprobs = Some(true);
    sampling.logit_bias = Some(raw(r#"{"50256":-100}"#));
    request.verbosity = Some(Verbosity::Low);
    request.store = Some(true);
    request.metadata = Some(raw(r#"{"a":"b"}"#));
    let (body, said) = write(&request);

    assert_eq!(body["temperature"], json!(1.0));
    assert_eq!((&body["top_p"], &body["top_k"]), (&json!(null), &json!(40)), "newer models take one of the two");
    assert_eq!(body["stop_sequences"], json!(["END"]));
    assert_eq!(
        said,
        "dropped=top_p,seed,frequency_penalty,logit_bias,logprobs,stop,verbosity,metadata,store; changed=temperature"
    );
}

#[test]
fn several_answers_are_refused_and_one_is_not() {
    let mut request = request();
    request.sampling.choices = Some(1);
    assert_eq!(write(&request).1, "");
    request.sampling.choices = Some(2);
    assert_eq!(write(&request).1, "refused=n");
}

#[test]
fn a_prompt_is_marked_for_the_cache_where_the_client_wants_it_kept_and_at_most_four_times() {
    let mut request = request();
    request.cache.key = Some("k".into());
    let (body, said) = write(&request);
    assert_eq!(body["cache_control"], json!({"type": "ephemeral"}));
    assert_eq!(said, "changed=cache_rules");

    request.cache.key = None;
    let mark = Some(CacheMark { ttl: Some(CacheTtl::ThirtyMinutes) });
    let part = |text: &'static str| Part { cache: mark, ..Part::text(text) };
    request.turns = vec![turn(TurnRole::User, ["a", "b", "c", "d", "e"].map(part).to_vec())];
    let (body, said) = write(&request);
    let content = body["messages"][0]["content"].as_array().expect("blocks");
    assert_eq!(content.iter().filter(|block| block.get("cache_control").is_some()).count(), 4);
    assert_eq!(content[0]["cache_control"], json!({"type": "ephemeral", "ttl": "1h"}));
    assert_eq!(said, "dropped=cache_marks; changed=cache_marks");
}

#[test]
fn the_user_and_the_tier_go_where_the_api_has_them() {
    let mut request = request();
    request.user = Some("u1".into());
    request.service_tier = Some("default".into());
    request.stream = true;
    let (body, said) = write(&request);
    assert_eq!(body["metadata"], json!({"user_id": "u1"}));
    assert_eq!((&body["service_tier"], &body["stream"]), (&json!("standard_only"), &json!(true)));
    assert_eq!(said, "");

    request.user = Some("u".repeat(300).into());
    request.service_tier = Some("flex".into());
    assert_eq!(write(&request).1, "dropped=service_tier,user");
}

#[test]
fn a_body_part_of_another_kind_is_not_left_out_in_silence() {
    let mut request = request();
    let native = PartBody::Native { kind: "web_search_call".into(), raw: raw("{}") };
    request.turns.insert(0, turn(TurnRole::Assistant, vec![Part::text("a"), Part::new(native)]));
    let (body, said) = write(&request);

    assert_eq!(body["messages"][0]["content"], "a");
    assert_eq!(said, "dropped=tools.server");
}
