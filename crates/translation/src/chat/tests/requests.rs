//! Requests, read.

use super::*;
use crate::neutral::{
    CallKind, Effort, MediaSource, OutputFormat, Part, PartBody, Reasoning, ReasoningMode, ToolChoice, ToolKind,
    TurnRole,
};

fn turns(messages: &str) -> String {
    format!(r#"{{"model":"m","messages":{messages}}}"#)
}

fn body<'p, 'b>(part: &'p Part<'b>) -> &'p PartBody<'b> {
    &part.body
}

#[test]
fn results_of_tools_are_one_turn_of_the_user_and_know_which_calls_were_free_text() {
    let text = turns(
        r#"[{"role":"assistant","content":null,"tool_calls":[
            {"id":"a","type":"function","function":{"name":"f","arguments":""}},
            {"id":"b","type":"custom","custom":{"name":"g","input":"x y"}}]},
          {"role":"tool","tool_call_id":"a","content":"1"},
          {"role":"tool","tool_call_id":"b","content":[{"type":"text","text":"2"}]},
          {"role":"user","content":"on"}]"#,
    );
    let (request, losses) = read_whole(&text);

    assert!(losses.is_empty());
    let roles: Vec<_> = request.turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [TurnRole::Assistant, TurnRole::User, TurnRole::User]);
    let kinds = request.turns[1].parts.iter().map(|part| match body(part) {
        PartBody::ToolResult(result) => (result.call_id.to_string(), result.kind, result.parts.len()),
        other => panic!("{other:?}"),
    });
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [("a".to_owned(), CallKind::Function, 1), ("b".to_owned(), CallKind::Custom, 1)]
    );
}

#[test]
fn media_are_read_from_data_urls_addresses_and_bare_base64() {
    let text = turns(
        r#"[{"role":"user","content":[
            {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO","detail":"low"}},
            {"type":"image_url","image_url":{"url":"https://a.example/b.png"}},
            {"type":"input_audio","input_audio":{"data":"AAAA","format":"mp3"}},
            {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBE"}},
            {"type":"file","file":{"file_data":"JVBERi0="}},
            {"type":"file","file":{"file_id":"file-1"}}]}]"#,
    );
    let (request, losses) = read_whole(&text);

    assert!(losses.is_empty());
    let sources: Vec<_> = request.turns[0]
        .parts
        .iter()
        .map(|part| match body(part) {
            PartBody::Image(image) => image.source.clone(),
            PartBody::Audio(audio) => audio.source.clone(),
            PartBody::Document(document) => document.source.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    let base64 = |media_type: &'static str, data: &'static str| MediaSource::Base64 {
        media_type: media_type.into(),
        data: data.into(),
    };
    assert_eq!(
        sources,
        [
            base64("image/png", "iVBO"),
            MediaSource::Url { url: "https://a.example/b.png".into(), media_type: None },
            base64("audio/mpeg", "AAAA"),
            base64("application/pdf", "JVBE"),
            base64("application/pdf", "JVBERi0="),
            MediaSource::FileId("file-1".into()),
        ]
    );
}

#[test]
fn tools_and_their_rules_are_read_in_every_form() {
    let (request, losses) = read_whole(
        r#"{"model":"m","messages":[],"tools":[
            {"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true}},
            {"type":"custom","custom":{"name":"g","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"s"}}}}],
          "tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[
            {"type":"function","function":{"name":"f"}}]}},
          "parallel_tool_calls":false,"web_search_options":{"search_context_size":"low"}}"#,
    );

    assert!(losses.is_empty());
    assert!(matches!(&request.tools[0].kind, ToolKind::Function { schema: Some(_), strict: Some(true) }));
    assert!(matches!(&request.tools[1].kind, ToolKind::Custom { grammar: Some((syntax, _)) } if syntax == "lark"));
    assert!(matches!(&request.tools[2].kind, ToolKind::Server(tool) if tool.kind == "web_search_options"));
    assert_eq!(request.tool_choice, Some(ToolChoice::Allowed { names: vec!["f".into()], is_required: true }));
    assert_eq!(request.parallel_calls, Some(false));
}

#[test]
fn functions_of_the_first_form_are_tools() {
    let text = r#"{"model":"m","functions":[{"name":"f","parameters":{}}],"function_call":{"name":"f"},"messages":[
        {"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},
        {"role":"function","name":"f","content":"1"}]}"#;
    let (request, losses) = read_whole(text);

    assert!(losses.is_empty(), "{losses}");
    assert_eq!(request.tools[0].name, "f");
    assert_eq!(request.tool_choice, Some(ToolChoice::Tool("f".into())));
    assert!(
        matches!(body(&request.turns[1].parts[0]), PartBody::ToolResult(result) if result.name.as_deref() == Some("f"))
    );
    assert!(Chat.memo(&request, text.as_bytes()).wants_function_call);
}

#[test]
fn thinking_is_read_from_an_effort_and_from_the_objects_of_other_servers() {
    let reasoning = |fields: &str| {
        let text = format!(r#"{{"model":"m","messages":[],{fields}}}"#);
        let (request, losses) = read_whole(&text);
        assert!(losses.is_empty(), "{losses}");
        request.reasoning.map(|reasoning: Reasoning| reasoning.mode)
    };

    assert_eq!(reasoning(r#""reasoning_effort":"none""#), Some(ReasoningMode::Off));
    assert_eq!(reasoning(r#""reasoning_effort":"xhigh""#), Some(ReasoningMode::Effort(Effort::XHigh)));
    assert_eq!(reasoning(r#""reasoning":{"effort":"max"}"#), Some(ReasoningMode::Effort(Effort::Max)));
    assert_eq!(reasoning(r#""thinking":{"type":"disabled"}"#), Some(ReasoningMode::Off));
    assert_eq!(
        reasoning(r#""thinking":{"type":"enabled","budget_tokens":2000}"#),
        Some(ReasoningMode::Budget { tokens: 2000, effort: None })
    );
    assert_eq!(reasoning(r#""stop":null"#), None);
}

#[test]
fn structured_output_is_read_with_its_schema_as_it_was() {
    let (request, losses) = read_whole(
        r#"{"model":"m","messages":[],"response_format":{"type":"json_schema","json_schema":
            {"name":"n","schema":{ "type": "object" },"strict":true}}}"#,
    );

    assert!(losses.is_empty());
    let Some(OutputFormat::Schema { name, schema, strict, .. }) = &request.output else { panic!("no schema") };
    assert_eq!((name.as_deref(), schema.get(), *strict), (Some("n"), r#"{ "type": "object" }"#, Some(true)));
}

#[test]
fn what_no_other_api_has_is_lost_by_name_and_what_is_usual_is_not() {
    let (_, losses) = read_whole(
        r#"{"model":"m","messages":[{"role":"user","content":"a","weight":1}],"prediction":{"type":"content","content":"x"},
            "modalities":["text","audio"],"moderation":{"model":"o"},"chat_template_kwargs":{},"guided_json":{"a":1},
            "temperature":"hot","stream_options":{"include_usage":true,"include_obfuscation":true},
            "prompt_cache_options":{"mode":"explicit"},"n":1,"logprobs":false}"#,
    );

    assert_eq!(
        losses.to_string(),
        "refused=modalities; dropped=temperature,prediction,cache_rules,safety,stream_options,other"
    );
    let (_, losses) = read_whole(
        r#"{"model":"m","messages":[{"role":"assistant","content":"a","refusal":null,"annotations":[],"audio":null}],
            "n":1,"logprobs":false,"store":false,"parallel_tool_calls":true,"top_p":1,"service_tier":"auto","user":null,
            "modalities":["text"],"stream_options":{"include_usage":true,"include_obfuscation":false},"tools":[],
            "prompt_cache_options":{"mode":"implicit","ttl":"30m"},"max_completion_tokens":5,"safety_identifier":"u"}"#,
    );
    assert_eq!(losses.to_string(), "");
}

#[test]
fn a_body_of_another_form_is_refused_by_its_place() {
    let refusal = |text: &str| read(text, &mut LossReport::default()).expect_err("no request").to_string();

    assert_eq!(refusal(r#"{"messages":[]}"#), "model: must be a string");
    assert_eq!(refusal(r#"{"model":"m","messages":{}}"#), "messages: must be a list");
    assert_eq!(refusal(&turns(r#"["a"]"#)), "messages[0]: must be an object");
    assert!(refusal(&turns(r#"[{"role":"robot"}]"#)).starts_with("messages[0].role: unknown role"));
    assert!(refusal("[]").starts_with("body: "));
}

#[test]
fn words_that_a_vendor_alone_keeps_are_refused() {
    let text = turns(r#"[{"role":"assistant","audio":{"id":"audio_1"}}]"#);

    assert_eq!(read_whole(&text).1.to_string(), "refused=audio");
}

#[test]
fn a_turn_that_only_refuses_and_one_without_content_are_read_as_they_are() {
    let text = turns(r#"[{"role":"assistant","content":null,"refusal":"no"},{"role":"user","content":""}]"#);
    let (request, losses) = read_whole(&text);

    assert!(losses.is_empty());
    assert!(matches!(body(&request.turns[0].parts[0]), PartBody::Refusal(words) if words == "no"));
    assert!(request.turns[1].parts.is_empty());
}
