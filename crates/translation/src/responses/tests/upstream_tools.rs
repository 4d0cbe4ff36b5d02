use serde_json::json;
use serde_json::value::RawValue;

use super::upstream_requests::{call, of, turn};
use super::*;
use crate::neutral::{PartBody, ServerTool, Tool, ToolChoice, ToolKind, TurnRole};

pub(super) fn function(name: &'static str) -> Tool<'static> {
    let kind = ToolKind::Function { schema: None, strict: None };
    Tool { name: name.into(), description: None, kind, cache: None }
}

#[test]
fn rules_of_tools_are_not_written_without_tools() {
    let mut request = of(Vec::new());
    request.tool_choice = Some(ToolChoice::Auto);
    request.parallel_calls = Some(true);
    let (body, losses) = write(&request);

    assert_eq!((body.get("tool_choice"), body.get("parallel_tool_calls")), (None, None));
    assert!(losses.is_empty());
}

#[test]
fn tools_are_written_with_the_strictness_that_was_said() {
    let open: &RawValue = serde_json::from_str(r#"{"type":"object","properties":{"a":{}}}"#).expect("JSON");
    let closed: &RawValue =
        serde_json::from_str(r#"{"type":"object","properties":{},"required":[],"additionalProperties":false}"#)
            .expect("JSON");
    let function = |schema, strict| Tool {
        name: "f".into(),
        description: None,
        kind: ToolKind::Function { schema: Some(schema), strict },
        cache: None,
    };
    let mut request = of(Vec::new());
    let custom = ToolKind::Custom { grammar: Some(("lark".into(), "start: X".into())) };
    request.tools = vec![
        function(open, None),
        function(closed, Some(true)),
        function(open, Some(true)),
        Tool { name: "c".into(), description: Some("d".into()), kind: custom, cache: None },
    ];
    request.tool_choice = Some(ToolChoice::Allowed { names: vec!["c".into(), "f".into()], is_required: false });
    request.parallel_calls = Some(false);
    let (body, losses) = write(&request);

    assert_eq!(
        body["tools"][0],
        json!({"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"a": {}}}, "strict": false})
    );
    // OpenAI refuses a strict tool whose schema is open.
    assert_eq!((&body["tools"][1]["strict"], &body["tools"][2]["strict"]), (&true.into(), &false.into()));
    assert_eq!(body["tools"][3]["format"], json!({"type": "grammar", "syntax": "lark", "definition": "start: X"}));
    assert_eq!(
        body["tool_choice"],
        json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "c"}, {"type": "function", "name": "f"}]})
    );
    assert_eq!(body["parallel_tool_calls"], false);
    assert_eq!(losses.to_string(), "changed=tools.strict");
}

#[test]
fn tools_of_other_vendors_are_searches_or_functions_of_the_client_or_refused_by_name() {
    let cases = [
        (
            r#"{"type":"web_search_20250305","name":"web_search","allowed_domains":["x.example"],"max_uses":3}"#,
            "web_search_20250305",
            json!({"type": "web_search", "filters": {"allowed_domains": ["x.example"]}}),
            "dropped=tools.server; changed=tools.server",
        ),
        (
            r#"{"user_location":{"type":"approximate","approximate":{"country":"FR"}},"search_context_size":"low"}"#,
            "web_search_options",
            json!({"type": "web_search", "user_location": {"type": "approximate", "country": "FR"}, "search_context_size": "low"}),
            "changed=tools.server",
        ),
        ("{}", "googleSearch", json!({"type": "web_search"}), "changed=tools.server"),
    ];
    for (raw, kind, written, lost) in cases {
        let raw: &RawValue = serde_json::from_str(raw).expect("JSON");
        let mut request = of(Vec::new());
        let kind = ToolKind::Server(ServerTool { kind: kind.into(), raw });
        request.tools = vec![Tool { name: "web_search".into(), description: None, kind, cache: None }];
        let (body, losses) = write(&request);
        assert_eq!((&body["tools"][0], &*losses.to_string()), (&written, lost));
    }
    let raw: &RawValue = serde_json::from_str(r#"{"type":"bash_20250124","name":"bash"}"#).expect("JSON");
    for (kind, lost) in [("bash_20250124", "changed=tools.server"), ("code_execution_20250825", "refused=tools.server")]
    {
        let mut request = of(Vec::new());
        let kind = ToolKind::Server(ServerTool { kind: kind.into(), raw });
        request.tools = vec![Tool { name: "bash".into(), description: None, kind, cache: None }];
        let (body, losses) = write(&request);
        assert_eq!(losses.to_string(), lost);
        if lost.starts_with("changed") {
            assert_eq!(body["tools"][0]["parameters"]["type"], "object");
            assert_eq!(body["tools"][0]["name"], "bash");
        }
    }
}

#[test]
fn a_name_with_other_letters_is_coded_and_its_calls_come_back_under_it() {
    let name = "mcp.server:tool";
    let mut request = of(vec![turn(TurnRole::Assistant, vec![call("c", name)])]);
    request.tools = vec![function(name)];
    request.tool_choice = Some(ToolChoice::Tool(name.into()));
    let (body, _) = write(&request);

    let written = body["tools"][0]["name"].as_str().expect("a name");
    assert!(written.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'), "{written}");
    assert_eq!((&body["input"][0]["name"], &body["tool_choice"]["name"]), (&written.into(), &written.into()));
    let answer = json!({"status": "completed", "output": [{"type": "function_call", "call_id": "c", "name": written, "arguments": "{}"}]});
    let answer = answer.to_string();
    let answer = Responses.read_answer(answer.as_bytes()).expect("an answer");
    assert!(matches!(&answer.choices[0].parts[0].body, PartBody::ToolCall(call) if call.name == name));
}
