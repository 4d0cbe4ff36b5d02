//! Tools of other APIs' requests, written as chat completions.

use serde_json::json;

use super::other_vendors::{raw, request, server, turn};
use super::*;
use crate::loss::Field;
use crate::neutral::{CallKind, OutputFormat, Part, PartBody, Tool, ToolCall, ToolChoice, ToolKind, TurnRole};

#[test]
fn tools_of_the_clients_are_functions_with_their_schemas_and_a_search_of_the_web_is_one() {
    let mut request = request();
    request.tools = vec![server("bash_20250124"), server("local_shell"), server("web_search_20250305")];
    let (body, losses) = write_as(DialectFamily::Messages, request);

    assert_eq!(body["tools"][0]["function"]["name"], "bash");
    assert_eq!(body["tools"][0]["function"]["parameters"]["properties"]["command"]["type"], "string");
    assert_eq!(body["tools"][1]["function"]["name"], "local_shell");
    assert_eq!(body["tools"].as_array().map(Vec::len), Some(2));
    assert_eq!(body["web_search_options"], json!({}));
    assert_eq!(losses.to_string(), "changed=tools.server");
}

#[test]
fn tools_of_free_text_are_functions_with_one_argument() {
    let mut request = request();
    let kind = ToolKind::Custom { grammar: Some(("lark".into(), "start: X".into())) };
    request.tools = vec![Tool { name: "patch".into(), description: Some("Edits.".into()), kind, cache: None }];
    request.tool_choice = Some(ToolChoice::Tool("patch".into()));
    let call = ToolCall { id: "1".into(), name: "patch".into(), arguments: "a\"b".into(), kind: CallKind::Custom };
    request.turns =
        vec![turn(TurnRole::Assistant, vec![Part::new(PartBody::ToolCall(call))]), turn(TurnRole::User, vec![])];
    let (body, losses) = write_as(DialectFamily::Responses, request);

    let function = &body["tools"][0]["function"];
    assert_eq!(function["parameters"]["required"], json!(["input"]));
    assert!(function["description"].as_str().expect("a text").ends_with("start: X"));
    assert_eq!(body["tool_choice"], json!({"type": "function", "function": {"name": "patch"}}));
    assert_eq!(body["messages"][0]["tool_calls"][0]["function"]["arguments"], r#"{"input":"a\"b"}"#);
    assert_eq!(losses.to_string(), "changed=tools.custom");
}

#[test]
fn of_allowed_tools_the_others_are_not_offered() {
    let function = |name: &'static str| {
        let kind = ToolKind::Function { schema: None, strict: None };
        Tool { name: name.into(), description: None, kind, cache: None }
    };
    let mut request = request();
    request.tools = vec![function("a"), function("b")];
    request.tool_choice = Some(ToolChoice::Allowed { names: vec!["b".into()], is_required: true });
    let (body, losses) = write_as(DialectFamily::Gemini, request);

    assert_eq!(body["tools"].as_array().map(Vec::len), Some(1));
    assert_eq!(body["tool_choice"], "required");
    assert_eq!(losses.to_string(), "changed=tool_choice.allowed");
}

#[test]
fn a_schema_whose_root_is_no_object_is_a_loss_of_the_answer_s_format() {
    for root in [
        r#"{"type":"array","items":{"type":"string"}}"#,
        r#"{"type":["object","null"],"properties":{},"additionalProperties":false}"#,
        r#"{"anyOf":[{"type":"object","properties":{},"additionalProperties":false}]}"#,
    ] {
        for family in [DialectFamily::Messages, DialectFamily::Gemini, DialectFamily::Responses] {
            let mut request = request();
            let strict = (family == DialectFamily::Messages).then_some(true);
            request.output = Some(OutputFormat::Schema { name: None, description: None, schema: raw(root), strict });
            let (body, losses) = write_as(family, request);
            assert_eq!(body.get("response_format"), None);
            assert_eq!(losses.grave().map(|loss| loss.field), Some(Field::OutputFormat), "{root}");
        }
    }
}

#[test]
fn schemas_are_strict_where_they_are_of_the_strict_form() {
    let written = |schema: &'static str| {
        let mut request = request();
        let kind = ToolKind::Function { schema: Some(raw(schema)), strict: Some(true) };
        request.tools = vec![Tool { name: "f".into(), description: None, kind, cache: None }];
        request.output =
            Some(OutputFormat::Schema { name: None, description: None, schema: raw(schema), strict: None });
        let (body, losses) = write_as(DialectFamily::Messages, request);
        let format = &body["response_format"]["json_schema"];
        assert_eq!(format["name"], "response");
        (body["tools"][0]["function"]["strict"].clone(), format["strict"].clone(), losses.to_string())
    };

    let closed =
        r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#;
    assert_eq!(written(closed), (json!(true), json!(true), String::new()));
    let open = r#"{"type":"object","properties":{"a":{"type":"string"}}}"#;
    let losses = "dropped=tools.strict; changed=response_format";
    assert_eq!(written(open), (Value::Null, Value::Null, losses.to_owned()));
    for refused in [r#"{"oneOf":[{"type":"string"}]}"#, r#"{"not":{"type":"string"},"type":"string"}"#] {
        let schema = closed.replace(r#"{"type":"string"}"#, refused);
        assert_eq!(written(Box::leak(schema.into_boxed_str())), (Value::Null, Value::Null, losses.to_owned()));
    }
}

#[test]
fn rules_for_calls_are_carried() {
    let function = ToolKind::Function { schema: Some(raw("{}")), strict: None };
    let mut request = request();
    request.tools = vec![Tool { name: "f".into(), description: None, kind: function, cache: None }];
    request.tool_choice = Some(ToolChoice::Any);
    request.parallel_calls = Some(false);
    let (body, losses) = write_as(DialectFamily::Messages, request);

    assert_eq!((&body["tool_choice"], &body["parallel_tool_calls"]), (&json!("required"), &json!(false)));
    assert_eq!(losses.to_string(), "");
}

#[test]
fn tools_have_names_that_the_api_takes_and_the_client_knows_their_calls() {
    let long = "mcp__".repeat(20);
    let names = ["a.b", long.as_str()];
    let function = |name: &'static str| {
        let kind = ToolKind::Function { schema: Some(raw("{}")), strict: None };
        Tool { name: name.into(), description: None, kind, cache: None }
    };
    let mut request = request();
    request.tools = names.iter().map(|name| function(String::leak((*name).to_owned()))).collect();
    let memo = RequestMemo::of(&request);
    let (body, _) = write_as(DialectFamily::Gemini, request);

    let written: Vec<_> =
        (0..2).map(|at| body["tools"][at]["function"]["name"].as_str().expect("a name").to_owned()).collect();
    assert!(written.iter().all(|name| name.len() <= 64 && !name.contains('.')), "{written:?}");
    for (name, own) in written.iter().zip(names) {
        let call = json!({"index": 0, "id": "1", "type": "function", "function": {"name": name, "arguments": "{}"}});
        let message = json!({"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]});
        let answer = OWN.answer(message.to_string().as_bytes(), &details(&memo)).expect("an answer");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!(answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"], own);
        let chunk = json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]});
        let stream = OWN.stream(&details(&memo)).push(format!("data: {chunk}\n\n").as_bytes());
        assert!(String::from_utf8(stream).expect("text").contains(&format!("\"name\":\"{own}\"")));
    }
}
