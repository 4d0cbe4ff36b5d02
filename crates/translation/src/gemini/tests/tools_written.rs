//! Tools of other APIs' clients in Google's words.

use serde_json::{Value, json};

use super::builders::{asking, function, server, turn};
use super::{BUDGET, NEW, written, written_with_losses};
use crate::neutral::{CallKind, Part, PartBody, Tool, ToolCall, ToolChoice, ToolKind, TurnRole};
use crate::translation::Api as _;

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
fn a_rule_for_a_tool_that_is_no_function_is_not_sent() {
    let mut request = asking();
    request.tools.push(function("f", "{}", None));
    request.tools.push(server("web_search"));
    request.tool_choice = Some(ToolChoice::Tool("web_search".into()));
    let (body, losses) = written(&request, NEW);
    assert_eq!(body["toolConfig"].get("functionCallingConfig"), None);
    assert_eq!(losses, "dropped=tool_choice; changed=tools.server");
    assert_eq!(body["tools"][0]["functionDeclarations"], json!([{"name": "f", "description": "D"}]));
}

#[test]
fn a_name_that_google_does_not_take_is_coded_and_comes_back() {
    let mut request = asking();
    request.tools.push(function("2fa-send", "{}", None));
    request.tool_choice = Some(ToolChoice::Tool("2fa-send".into()));
    let (body, losses) = written(&request, NEW);
    let name = body["tools"][0]["functionDeclarations"][0]["name"].as_str().expect("a name").to_owned();
    assert!(name.starts_with(|letter: char| letter.is_ascii_alphabetic()));
    assert_eq!(body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"], json!([name]));
    assert_eq!(losses, "");
    let answer = format!(r#"{{"candidates":[{{"content":{{"parts":[{{"functionCall":{{"name":"{name}"}}}}]}}}}]}}"#);
    let answer = super::Gemini.read_answer(answer.as_bytes()).expect("an answer");
    assert!(matches!(&answer.choices[0].parts[0].body, PartBody::ToolCall(call) if call.name == "2fa-send"));
}
