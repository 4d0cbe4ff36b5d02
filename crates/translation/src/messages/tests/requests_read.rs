//! Tests of reading requests.

use std::fmt::Write as _;

use super::read;
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::loss::{Field, LossKind};
use crate::neutral::{
    CacheMark, CacheTtl, Effort, MediaSource, OutputFormat, PartBody, ReasoningMode, ThoughtForm, ToolChoice, ToolKind,
    TurnRole,
};

/// Requests of Claude Code 2.1.332, as a recording server saw them.
const CLAUDE_CODE: [&str; 7] = [
    include_str!("../../../../../tests/clients/agents/recorded/claude_code_agent_is_done.json"),
    include_str!("../../../../../tests/clients/agents/recorded/claude_code_interrupted.json"),
    include_str!("../../../../../tests/clients/agents/recorded/claude_code_mentions_a_file.json"),
    include_str!("../../../../../tests/clients/agents/recorded/claude_code_quota.json"),
    include_str!("../../../../../tests/clients/agents/recorded/claude_code_ran_a_command_of_the_person.json"),
    include_str!("../../../../../tests/clients/agents/recorded/claude_code_recap.json"),
    include_str!("../../../../../tests/clients/agents/recorded/claude_code_stop_hook.json"),
];

/// Returns the body of a recorded request.
pub(super) fn body_of(recorded: &str) -> String {
    let recorded: serde_json::Value = serde_json::from_str(recorded).expect("JSON");
    recorded["body"].to_string()
}

/// Returns a body of one turn with more fields.
fn with(fields: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"hi"}}],{fields}}}"#)
}

#[test]
fn nothing_that_matters_is_lost_of_what_claude_code_sends() {
    for recorded in CLAUDE_CODE {
        let body = body_of(recorded);
        let (request, losses) = read(&body);

        assert_eq!(losses.grave(), None);
        let said = losses.to_string();
        assert!(said.is_empty() || said == "changed=reasoning.summary", "{said}");
        assert!(request.turns.iter().all(|turn| !turn.parts.is_empty()));
    }
}

#[test]
fn the_blocks_of_claude_codes_system_prompt_keep_their_marks_and_its_user_and_results_their_fields() {
    let body = body_of(CLAUDE_CODE[2]);
    let (request, _) = read(&body);

    let system = &request.turns[0];
    assert_eq!(system.role, TurnRole::System);
    assert_eq!(system.parts.iter().filter(|part| part.cache == Some(CacheMark { ttl: None })).count(), 2);
    assert!(request.user.expect("a user").contains("session_id"));
    let reasoning = request.reasoning.expect("thinking");
    assert_eq!(reasoning.mode, ReasoningMode::Budget { tokens: 31_999, effort: None });
    assert_eq!(reasoning.form, Some(ThoughtForm::Summary), "`updates` are summaries");
    let failed = request.turns.iter().flat_map(|turn| &turn.parts).any(|part| {
        matches!(&part.body, PartBody::ToolResult(result) if result.is_error == Some(true)
            && result.call_id == "toolu_0020")
    });
    assert!(failed, "a result says that its call failed");
    assert!(request.tools.iter().all(|tool| matches!(tool.kind, ToolKind::Function { schema: Some(_), .. })));
}

#[test]
fn thinking_is_read_as_it_is_meant() {
    let cases = [
        (r#""thinking":{"type":"disabled"}"#, Some(ReasoningMode::Off)),
        (r#""thinking":{"type":"adaptive"}"#, Some(ReasoningMode::Adaptive { effort: None })),
        (
            r#""thinking":{"type":"adaptive"},"output_config":{"effort":"xhigh"}"#,
            Some(ReasoningMode::Adaptive { effort: Some(Effort::XHigh) }),
        ),
        (
            r#""thinking":{"type":"enabled","budget_tokens":2000}"#,
            Some(ReasoningMode::Budget { tokens: 2000, effort: None }),
        ),
        (r#""output_config":{"effort":"max"}"#, Some(ReasoningMode::Effort(Effort::Max))),
        (r#""thinking":null"#, None),
    ];
    for (fields, mode) in cases {
        let body = with(fields);
        let (request, losses) = read(&body);
        assert_eq!(request.reasoning.map(|reasoning| reasoning.mode), mode, "{fields}");
        assert!(losses.is_empty(), "{fields}: {losses}");
    }
    let body = with(r#""thinking":{"type":"between_tools"}"#);
    let (request, losses) = read(&body);
    assert_eq!(request.reasoning.map(|reasoning| reasoning.mode), Some(ReasoningMode::Off));
    assert_eq!(losses.to_string(), "changed=reasoning");
}

#[test]
fn tools_their_choice_and_their_details_are_read() {
    let body = with(
        r#""tools":[{"name":"f","description":"d","input_schema":{"type":"object","$defs":{}},"strict":true,
            "cache_control":{"type":"ephemeral","ttl":"1h"},"defer_loading":false,"allowed_callers":["direct"]},
            {"type":"custom","name":"g","input_schema":{"type":"object"},"defer_loading":true,"input_examples":[{}]}],
            "tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true}"#,
    );
    let (request, losses) = read(&body);

    assert_eq!(request.tool_choice, Some(ToolChoice::Tool("f".into())));
    assert_eq!(request.parallel_calls, Some(false));
    assert_eq!(request.tools[0].cache, Some(CacheMark { ttl: Some(CacheTtl::OneHour) }));
    let ToolKind::Function { schema: Some(schema), strict } = &request.tools[0].kind else { panic!("a function") };
    assert_eq!((schema.get(), *strict), (r#"{"type":"object","$defs":{}}"#, Some(true)));
    assert_eq!(losses.to_string(), "dropped=tools.details; changed=tools.details");
}

#[test]
fn tools_of_anthropics_that_the_client_runs_are_functions_and_the_others_keep_their_names() {
    let body = with(
        r#""tools":[{"type":"bash_20250124","name":"bash"},{"type":"web_search_20250305","name":"web_search","max_uses":3},
            {"type":"tool_search_tool_bm25_20251119","name":"tool_search_tool_bm25"}]"#,
    );
    let (request, losses) = read(&body);

    let [bash, search] = request.tools.as_slice() else { panic!("two tools") };
    assert!(matches!(bash.kind, ToolKind::Function { schema: Some(_), .. }) && bash.name == "bash");
    let ToolKind::Server(server) = &search.kind else { panic!("a server's tool") };
    assert_eq!(server.kind, "web_search_20250305");
    assert_eq!(losses.to_string(), "changed=tools.server");
}

#[test]
fn results_hold_texts_images_and_errors_and_documents_their_words() {
    let body = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[
        {"type":"tool_result","tool_use_id":"t1","is_error":true,"content":[{"type":"text","text":"no"},
            {"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO"}},
            {"type":"tool_reference","tool_name":"Later"}]},
        {"type":"tool_result","tool_use_id":"t2"},
        {"type":"document","title":"T","context":"C","citations":{"enabled":true},
            "source":{"type":"text","media_type":"text/plain","data":"plain"}},
        {"type":"search_result","source":"https://e.org","title":"S","content":[{"type":"text","text":"found"}]},
        {"type":"document","source":{"type":"content","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}}]}]}"#;
    let (request, losses) = read(body);

    let mut seen = String::new();
    for part in &request.turns[0].parts {
        match &part.body {
            PartBody::ToolResult(result) => {
                let _ = write!(seen, "[{} {:?} {}]", result.call_id, result.is_error, result.parts.len());
            }
            PartBody::Document(document) => {
                let MediaSource::Text(text) = &document.source else { panic!("text") };
                let _ = write!(seen, "[{:?} {:?} {:?} {text:?}]", document.title, document.context, document.cites);
            }
            _ => panic!("another part"),
        }
    }
    assert_eq!(
        seen,
        "[t1 Some(true) 3][t2 None 0][Some(\"T\") Some(\"C\") Some(true) \"plain\"]\
         [Some(\"S\") Some(\"https://e.org\") None \"found\"][None None None \"a\\nb\"]"
    );
    assert_eq!(losses.to_string(), "changed=tool_results.content,documents");
}

#[test]
fn what_no_other_api_has_is_said_by_name_and_what_must_not_be_left_out_is_refused() {
    let cases = [
        (r#""mcp_servers":[{"type":"url","url":"https://e.org","name":"x"}]"#, "refused=mcp_servers"),
        (r#""container":"c1""#, "refused=container"),
        (r#""thread":{"id":"t"}"#, "refused=stored_state"),
        (r#""inference_geo":"us""#, "refused=inference_geo"),
        (r#""context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}"#, "dropped=truncation"),
        (r#""context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]}"#, ""),
        (r#""speed":"fast""#, "dropped=service_tier"),
        (r#""speed":"standard","service_tier":"auto","inference_geo":"global","mcp_servers":[]"#, ""),
        (r#""diagnostics":{"previous_message_id":"m"},"new_field":1"#, "dropped=other"),
        (r#""metadata":{"user_id":"u","more":1}"#, "dropped=metadata"),
        (r#""thinking":{"type":"disabled"},"output_config":{"task_budget":{}}"#, "dropped=other"),
    ];
    for (fields, said) in cases {
        let body = with(fields);
        assert_eq!(read(&body).1.to_string(), said, "{fields}");
    }
    let body = with(r#""new_field":1"#);
    assert_eq!(read(&body).1.losses()[0].place.as_deref(), Some("new_field"));
}

#[test]
fn sampling_the_format_and_the_cache_of_the_whole_request_are_read() {
    let body = with(
        r#""temperature":0.5,"top_p":0.9,"top_k":40,"stop_sequences":["a"],"stream":true,"service_tier":"standard_only",
            "cache_control":{"type":"ephemeral","ttl":"5m"},
            "output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}"#,
    );
    let (request, losses) = read(&body);

    assert!(losses.is_empty(), "{losses}");
    assert!(request.stream && request.include_usage);
    assert_eq!(request.sampling.temperature, Some(0.5));
    assert_eq!(request.sampling.top_k, Some(40.0));
    assert_eq!(request.sampling.stop, ["a"]);
    assert_eq!(request.cache.marks_all, Some(CacheMark { ttl: Some(CacheTtl::FiveMinutes) }));
    assert!(
        matches!(request.output, Some(OutputFormat::Schema { schema, .. }) if schema.get() == r#"{"type":"object"}"#)
    );
    assert_eq!(request.service_tier.as_deref(), Some("standard_only"));
}

#[test]
fn a_thought_belongs_to_the_vendor_that_sealed_it_and_one_without_a_seal_to_nobody() {
    let other = VendorSeal::new(DialectFamily::Responses, "gAAA").to_field(DialectFamily::Messages).into_owned();
    let none = VendorSeal::new(DialectFamily::Chat, "").to_field(DialectFamily::Messages).into_owned();
    let body = format!(
        r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"q"}},{{"role":"assistant","content":[
        {{"type":"thinking","thinking":"own","signature":"EqQB"}},{{"type":"thinking","thinking":"o","signature":"{other}"}},
        {{"type":"thinking","thinking":"n","signature":"{none}"}},{{"type":"redacted_thinking","data":"Er"}}]}},
        {{"role":"user","content":"r"}}]}}"#
    );
    let (request, losses) = read(&body);

    let makers = request.turns[1].parts.iter().map(|part| match &part.body {
        PartBody::Thinking(thinking) => thinking.sealed.as_ref().map(|sealed| (sealed.maker, &*sealed.text)),
        _ => panic!("a thought"),
    });
    let makers: Vec<_> = makers.collect();
    let own = DialectFamily::Messages;
    assert_eq!(makers, [Some((own, "EqQB")), Some((DialectFamily::Responses, "gAAA")), None, Some((own, "Er"))]);
    assert!(losses.is_empty());
}

#[test]
fn system_turns_stay_where_they_are_and_ids_of_other_vendors_are_as_they_were() {
    let id = crate::conversion::tool_id::legal("functions.f:0").into_owned();
    let body = format!(
        r#"{{"model":"m","max_tokens":9,"system":"s","messages":[{{"role":"user","content":"q"}},
        {{"role":"assistant","content":[{{"type":"tool_use","id":"{id}","name":"f","input":{{"a": 1}}}}]}},
        {{"role":"user","content":[{{"type":"tool_result","tool_use_id":"{id}","content":"ok"}}]}},
        {{"role":"system","content":"from now on"}}]}}"#
    );
    let (request, losses) = read(&body);

    let roles: Vec<_> = request.turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [TurnRole::System, TurnRole::User, TurnRole::Assistant, TurnRole::User, TurnRole::System]);
    let (PartBody::ToolCall(call), PartBody::ToolResult(result)) =
        (&request.turns[2].parts[0].body, &request.turns[3].parts[0].body)
    else {
        panic!("a call and its result")
    };
    assert_eq!((&*call.id, &*call.arguments, &*result.call_id), ("functions.f:0", r#"{"a": 1}"#, "functions.f:0"));
    assert!(losses.is_empty(), "{losses}");
}

#[test]
fn a_turn_of_the_models_at_the_end_is_said_and_bodies_without_a_form_are_malformed() {
    let (_, losses) = read(r#"{"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":"{"}]}"#);
    assert_eq!(losses.to_string(), "changed=prefill");
    assert_eq!(losses.losses()[0].kind, LossKind::Changed);
    assert_eq!(losses.losses()[0].field, Field::Prefill);

    for body in ["[]", "{}", r#"{"messages":[{"role":"tool","content":""}]}"#, r#"{"messages":[],"system":7}"#] {
        let mut losses = crate::loss::LossReport::default();
        let read = crate::translation::Api::read_request(&super::Messages, body.as_bytes(), &mut losses);
        assert!(read.is_err(), "{body}");
    }
}

#[test]
fn blocks_within_blocks_end_somewhere() {
    let mut block = r#"{"type":"text","text":"a"}"#.to_owned();
    for _ in 0..64 {
        block = format!(r#"{{"type":"document","source":{{"type":"content","content":[{block}]}}}}"#);
    }
    let body = format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":[{block}]}}]}}"#);

    assert_eq!(read(&body).1.to_string(), "dropped=other; changed=documents");
}
