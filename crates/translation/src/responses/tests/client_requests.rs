use super::*;
use crate::family::DialectFamily;
use crate::neutral::{
    CallKind, Effort, MediaSource, OutputFormat, PartBody, ReasoningMode, ThoughtForm, ToolChoice, ToolKind, TurnRole,
};

/// The request that Codex sends by default, shortened.
const CODEX: &str = r#"{"model":"auto","stream":true,"input":[
    {"type":"message","id":"msg_1","role":"developer","content":[{"type":"input_text","text":"You are a coding agent."}]},
    {"type":"message","id":"msg_2","role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]},
    {"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"x"},{"type":"summary_text","text":"y"}],"encrypted_content":"gAAA"},
    {"type":"message","status":"completed","id":"msg_3","role":"assistant","content":[{"type":"output_text","text":"I delegate.","annotations":[]}]},
    {"type":"function_call","status":"completed","id":"fc_00","name":"spawn_agent","namespace":"multi_agent_v1","arguments":"{\"message\": \"x\"}","call_id":"call_0"},
    {"type":"custom_tool_call","status":"completed","id":"ctc_1","name":"apply_patch","input":"*** Begin Patch","call_id":"call_1"},
    {"type":"function_call_output","id":"fco_1","call_id":"call_0","output":"done"},
    {"type":"custom_tool_call_output","id":"cto_1","call_id":"call_1","output":[{"type":"input_text","text":"ok"},{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgo="}]},
    {"type":"message","id":"msg_4","role":"user","content":[{"type":"input_text","text":"go on"}]}],
  "tools":[{"type":"function","name":"exec_command","description":"Runs.","strict":false,"parameters":{"type":"object","properties":{}}},
    {"type":"namespace","name":"multi_agent_v1","description":"Sub-agents.","tools":[
      {"type":"function","name":"close_agent","description":"Closes.","parameters":{"type":"object"}},
      {"type":"function","name":"spawn_agent","parameters":{"type":"object"}}]},
    {"type":"custom","name":"apply_patch","description":"Edits.","format":{"type":"grammar","syntax":"lark","definition":"start: X"}},
    {"type":"web_search","external_web_access":true}],
  "tool_choice":"auto","parallel_tool_calls":true,"reasoning":{"effort":"medium","summary":"auto"},"store":false,
  "include":["reasoning.encrypted_content"],"prompt_cache_key":"k","client_metadata":{"session_id":"s"}}"#;

#[test]
fn codexs_turns_keep_their_order_and_results_are_one_turn_of_the_user() {
    let (request, losses) = read(CODEX);

    let roles: Vec<_> = request.turns.iter().map(|turn| (turn.role, turn.parts.len())).collect();
    let own = |role, parts| (role, parts);
    assert_eq!(
        roles,
        [
            own(TurnRole::Developer, 1),
            own(TurnRole::User, 2),
            own(TurnRole::Assistant, 4),
            own(TurnRole::User, 2),
            own(TurnRole::User, 1)
        ]
    );
    let PartBody::Thinking(thought) = &request.turns[2].parts[0].body else { panic!("a thought") };
    assert_eq!((&*thought.text, thought.is_summary), ("x\n\ny", true));
    let sealed = thought.sealed.as_ref().expect("a seal");
    assert_eq!((sealed.for_maker(DialectFamily::Responses), sealed.id.as_deref()), (Some("gAAA"), Some("rs_1")));
    let PartBody::ToolCall(call) = &request.turns[2].parts[3].body else { panic!("a call") };
    assert_eq!((&*call.id, &*call.name, &*call.arguments), ("call_1", "apply_patch", "*** Begin Patch"));
    assert_eq!(call.kind, CallKind::Custom);
    let PartBody::ToolResult(result) = &request.turns[3].parts[1].body else { panic!("a result") };
    let PartBody::Image(image) = &result.parts[1].body else { panic!("an image") };
    assert_eq!(image.source, MediaSource::Base64 { media_type: "image/png".into(), data: "iVBORw0KGgo=".into() });
    assert_eq!(losses.to_string(), "dropped=metadata; changed=tools.details");
}

#[test]
fn a_namespaces_tools_have_its_name_before_theirs_in_tools_and_in_history() {
    let (request, _) = read(CODEX);

    let names: Vec<_> = request.tools.iter().map(|tool| &*tool.name).collect();
    assert_eq!(
        names,
        ["exec_command", "multi_agent_v1__close_agent", "multi_agent_v1__spawn_agent", "apply_patch", "web_search"]
    );
    assert_eq!(request.tools[1].description.as_deref(), Some("Sub-agents.\n\nCloses."));
    let PartBody::ToolCall(call) = &request.turns[2].parts[2].body else { panic!("a call") };
    assert_eq!(call.name, request.tools[2].name);
    assert!(matches!(&request.tools[3].kind, ToolKind::Custom { grammar: Some((syntax, _)) } if syntax == "lark"));
    assert!(matches!(&request.tools[4].kind, ToolKind::Server(server) if server.kind == "web_search"));
}

#[test]
fn a_long_name_of_a_namespaces_tool_is_cut_to_one_that_every_api_takes() {
    let body = format!(
        r#"{{"model":"m","tools":[{{"type":"namespace","name":"{}","tools":[
            {{"type":"function","name":"a_tool"}},{{"type":"function","name":"b_tool"}}]}}],
            "input":[{{"type":"function_call","call_id":"c","name":"b_tool","namespace":"{0}","arguments":"{{}}"}}]}}"#,
        "n".repeat(70)
    );
    let (request, _) = read(&body);

    let [first, second] = &*request.tools else { panic!("two tools") };
    assert!(first.name.len() <= 64 && first.name.ends_with("__a_tool"), "{}", first.name);
    assert_ne!(first.name, second.name);
    let PartBody::ToolCall(call) = &request.turns[0].parts[0].body else { panic!("a call") };
    assert_eq!(call.name, second.name);
}

#[test]
fn the_fields_of_a_request_are_read() {
    let (request, losses) = read(
        r#"{"model":"m","instructions":"Be kind.","input":"Hi","max_output_tokens":50,"temperature":0.5,"top_p":0.9,
            "parallel_tool_calls":false,"reasoning":{"effort":"none","summary":"concise"},"text":{"verbosity":"low",
            "format":{"type":"json_schema","name":"n","strict":true,"schema":{"type":"object"}}},"user":"u",
            "safety_identifier":"s","service_tier":"flex","metadata":{"a":"b"},"prompt_cache_retention":"24h",
            "include":["message.output_text.logprobs"],"top_logprobs":3,"store":true,
            "tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"}]},
            "truncation":"disabled","background":false,"stream_options":{"include_obfuscation":false}}"#,
    );

    assert!(losses.is_empty(), "{losses}");
    assert_eq!(request.turns[0].role, TurnRole::System);
    assert_eq!((request.max_tokens, request.parallel_calls), (Some(50), Some(false)));
    let reasoning = request.reasoning.expect("reasoning");
    assert_eq!((reasoning.mode, reasoning.form), (ReasoningMode::Off, Some(ThoughtForm::Concise)));
    assert!(matches!(request.output, Some(OutputFormat::Schema { strict: Some(true), .. })));
    assert_eq!((request.user.as_deref(), request.service_tier.as_deref()), (Some("s"), Some("flex")));
    assert_eq!((request.sampling.logprobs, request.sampling.top_logprobs), (Some(true), Some(3)));
    assert_eq!(request.store, Some(true));
    assert_eq!(request.tool_choice, Some(ToolChoice::Allowed { names: vec!["f".into()], is_required: true }));
}

#[test]
fn every_field_that_no_other_api_has_is_named() {
    let cases = [
        (r#""previous_response_id":"resp_1""#, Field::StoredState, LossKind::Refused),
        (r#""conversation":"conv_1""#, Field::StoredState, LossKind::Refused),
        (r#""prompt":{"id":"p"}"#, Field::StoredState, LossKind::Refused),
        (r#""background":true"#, Field::Background, LossKind::Refused),
        (r#""max_tool_calls":2"#, Field::MaxToolCalls, LossKind::Dropped),
        (r#""truncation":"auto""#, Field::Truncation, LossKind::Dropped),
        (r#""context_management":[{"type":"compaction"}]"#, Field::Truncation, LossKind::Dropped),
        (r#""moderation":{"model":"x"}"#, Field::Safety, LossKind::Dropped),
        (r#""include":["file_search_call.results"]"#, Field::Include, LossKind::Dropped),
        (r#""client_metadata":{"a":"b"}"#, Field::Metadata, LossKind::Dropped),
        (r#""stream_options":{"include_obfuscation":true}"#, Field::StreamOptions, LossKind::Dropped),
        (r#""reasoning":{"mode":"pro"}"#, Field::Reasoning, LossKind::Dropped),
        (r#""reasoning":{"effort":"gigantic"}"#, Field::Reasoning, LossKind::Dropped),
        (r#""prompt_cache_options":{"mode":"explicit"}"#, Field::CacheRules, LossKind::Dropped),
        (r#""text":{"format":{"type":"grammar"}}"#, Field::OutputFormat, LossKind::Dropped),
        (r#""brand_new":1"#, Field::Other, LossKind::Dropped),
        (r#""temperature":"hot""#, Field::Other, LossKind::Dropped),
        (r#""tool_choice":{"type":"mcp","server_label":"x"}"#, Field::ToolChoice, LossKind::Dropped),
    ];
    for (field, lost, kind) in cases {
        let body = format!(r#"{{"model":"m","input":"Hi",{field}}}"#);
        assert_eq!(kinds(&read(&body).1, lost), [kind], "{field}");
    }
}

#[test]
fn items_that_no_other_api_has_are_named() {
    let cases = [
        (r#"{"type":"item_reference","id":"msg_1"}"#, Field::StoredState, LossKind::Refused),
        (r#"{"id":"msg_1"}"#, Field::StoredState, LossKind::Refused),
        (r#"{"type":"compaction","encrypted_content":"x"}"#, Field::StoredState, LossKind::Refused),
        (r#"{"type":"compaction_trigger"}"#, Field::StoredState, LossKind::Refused),
        (r#"{"type":"program","id":"p","call_id":"c","code":"","fingerprint":""}"#, Field::Items, LossKind::Refused),
        (r#"{"type":"computer_call","id":"c"}"#, Field::Items, LossKind::Refused),
        (r#"{"type":"code_interpreter_call","id":"c"}"#, Field::Items, LossKind::Dropped),
        (r#"{"type":"brand_new_item","id":"c"}"#, Field::Items, LossKind::Dropped),
        (
            r#"{"type":"web_search_call","id":"w","status":"completed","action":{"type":"search"}}"#,
            Field::ServerTools,
            LossKind::Changed,
        ),
        (r#"{"role":"user","content":[{"type":"input_image","file_id":"file_1"}]}"#, Field::FileIds, LossKind::Refused),
        (r#"{"role":"user","content":[{"type":"input_hologram"}]}"#, Field::Items, LossKind::Dropped),
        (
            r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{}","async":true}"#,
            Field::Other,
            LossKind::Dropped,
        ),
        (
            r#"{"role":"user","content":[{"type":"input_file","file_url":"https://x.example","detail":"high"}]}"#,
            Field::ImageDetail,
            LossKind::Dropped,
        ),
        (r#"{"role":"assistant","content":"a","phase":"commentary"}"#, Field::Other, LossKind::Dropped),
    ];
    for (item, lost, kind) in cases {
        let body = format!(r#"{{"model":"m","input":[{item}]}}"#);
        assert_eq!(kinds(&read(&body).1, lost), [kind], "{item}");
    }
}

#[test]
fn a_body_of_another_form_is_malformed_at_its_place() {
    let cases = [
        ("[]", "body"),
        (r#"{"input":1}"#, "input"),
        (r#"{"input":[1]}"#, "input[0]"),
        (r#"{"input":[{"role":"robot","content":"x"}]}"#, "input[0].role"),
        (r#"{"input":[{"role":"user","content":[1]}]}"#, "input[0].content[0]"),
        (r#"{"tools":[{"type":"function"}]}"#, "tools[0].name"),
    ];
    for (body, place) in cases {
        let refused = Responses.read_request(body.as_bytes(), &mut LossReport::default()).expect_err(body);
        assert!(refused.to_string().starts_with(&format!("{place}: ")), "{refused}");
    }
}

#[test]
fn tools_that_the_client_runs_are_functions_and_their_history_is_calls() {
    let (request, losses) = read(
        r#"{"model":"m","tools":[{"type":"local_shell"},{"type":"shell","environment":{"type":"local"}},{"type":"apply_patch"},
            {"type":"tool_search","execution":"client","parameters":{"type":"object"}}],
            "input":[{"type":"local_shell_call","id":"lsh_1","call_id":"c1","status":"completed","action":{"type":"exec","command":["ls"],"env":{}}},
            {"type":"local_shell_call_output","id":"lsh_1","output":"a.rs"},
            {"type":"apply_patch_call","call_id":"c2","status":"completed","operation":{"type":"delete_file","path":"a"}},
            {"type":"apply_patch_call_output","call_id":"c2","status":"failed"},
            {"type":"tool_search_call","call_id":"c3","execution":"client","arguments":{"q":"x"}},
            {"type":"tool_search_output","call_id":"c3","execution":"client","tools":[{"type":"function","name":"found"}]}]}"#,
    );

    let names: Vec<_> = request.tools.iter().map(|tool| &*tool.name).collect();
    assert_eq!(names, ["local_shell", "shell", "apply_patch", "tool_search", "found"]);
    assert!(request.tools.iter().all(|tool| matches!(tool.kind, ToolKind::Function { .. })));
    let PartBody::ToolCall(call) = &request.turns[0].parts[0].body else { panic!("a call") };
    assert_eq!((&*call.id, &*call.name), ("c1", "local_shell"));
    let results: Vec<_> = [1, 3, 5]
        .map(|at| match &request.turns[at].parts[0].body {
            PartBody::ToolResult(result) => (&*result.call_id, result.is_error),
            _ => panic!("a result"),
        })
        .to_vec();
    assert_eq!(results, [("c1", None), ("c2", Some(true)), ("c3", None)]);
    assert_eq!(losses.refusal(), None);
    assert_eq!(losses.grave(), None);
}

#[test]
fn a_shell_in_the_vendors_container_is_a_tool_of_the_vendors() {
    let (request, _) =
        read(r#"{"model":"m","input":"x","tools":[{"type":"shell","environment":{"type":"container_auto"}}]}"#);

    assert!(matches!(&request.tools[0].kind, ToolKind::Server(server) if server.kind == "shell"));
}

#[test]
fn later_items_add_tools_and_change_the_effort_of_the_whole_request() {
    let (request, losses) = read(
        r#"{"model":"m","input":[{"role":"user","content":"x"},
            {"type":"additional_tools","role":"developer","tools":[{"type":"function","name":"late"}]},
            {"type":"configuration_update","reasoning":{"effort":"high"}}],"reasoning":{"effort":"low","summary":"auto"}}"#,
    );

    assert_eq!(request.tools[0].name, "late");
    let reasoning = request.reasoning.expect("reasoning");
    assert_eq!((reasoning.mode, reasoning.form), (ReasoningMode::Effort(Effort::High), Some(ThoughtForm::Summary)));
    assert_eq!(losses.to_string(), "changed=tools,items");
}

#[test]
fn files_and_sounds_are_read_with_their_types() {
    let (request, _) = read(
        r#"{"model":"m","input":[{"role":"user","content":[
            {"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="},
            {"type":"input_file","filename":"a.csv","file_data":"YSxi"},
            {"type":"input_file","file_url":"https://x.example/a.pdf"},
            {"type":"input_image","image_url":"https://x.example/a.png","detail":"low","prompt_cache_breakpoint":{"mode":"explicit","ttl":"30m"}},
            {"type":"input_audio","input_audio":{"data":"UklG","format":"wav"}}]}]}"#,
    );

    let parts = &request.turns[0].parts;
    let types: Vec<_> = parts
        .iter()
        .filter_map(|part| match &part.body {
            PartBody::Document(document) => Some(&document.source),
            PartBody::Audio(audio) => Some(&audio.source),
            _ => None,
        })
        .filter_map(|source| match source {
            MediaSource::Base64 { media_type, .. } => Some(&**media_type),
            _ => None,
        })
        .collect();
    assert_eq!(types, ["application/pdf", "text/csv", "audio/wav"]);
    assert!(parts[3].cache.is_some());
}

#[test]
fn two_messages_of_the_assistants_stay_two_turns() {
    let (request, _) =
        read(r#"{"model":"m","input":[{"role":"assistant","content":"a"},{"role":"assistant","content":"b"}]}"#);

    assert_eq!(request.turns.len(), 2);
}

#[test]
fn what_the_api_can_say_comes_back_as_it_was() {
    let body = again(CODEX);

    assert_eq!(body["instructions"], "You are a coding agent.");
    let input = body["input"].as_array().expect("items");
    assert_eq!(input[0]["content"][1], serde_json::json!({"type": "input_text", "text": "b"}));
    assert_eq!(input[1]["encrypted_content"], "gAAA");
    assert_eq!(input[1]["id"], "rs_1");
    assert_eq!(input[2]["content"], "I delegate.");
    assert_eq!(input[3]["call_id"], "call_0");
    assert_eq!(
        input[4],
        serde_json::json!({"type": "custom_tool_call", "call_id": "call_1", "name": "apply_patch", "input": "*** Begin Patch"})
    );
    assert_eq!(input[6]["output"][1]["image_url"], "data:image/png;base64,iVBORw0KGgo=");
    assert_eq!(body["tools"][4], serde_json::json!({"type": "web_search", "external_web_access": true}));
    assert_eq!(body["reasoning"], serde_json::json!({"effort": "medium", "summary": "auto"}));
    assert_eq!(body["prompt_cache_key"], "k");
}
