//! Requests of other APIs, written as chat completions: nothing is lost in silence, nothing is invented.

use std::borrow::Cow;

use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::conversion::sealed::VendorSeal;
use crate::neutral::{
    CacheMark, CallKind, Document, Effort, Image, MediaSource, OutputFormat, Part, PartBody, Reasoning, ReasoningMode,
    ServerTool, Thinking, Tool, ToolCall, ToolKind, ToolResult, Turn, TurnRole,
};

pub(super) fn request() -> NeutralRequest<'static> {
    NeutralRequest::new(Cow::Borrowed("m"))
}

pub(super) fn turn<'b>(role: TurnRole, parts: Vec<Part<'b>>) -> Turn<'b> {
    Turn { role, name: None, parts }
}

fn call(id: &'static str, name: &'static str) -> Part<'static> {
    let call = ToolCall { id: id.into(), name: name.into(), arguments: "{}".into(), kind: CallKind::Function };
    Part::new(PartBody::ToolCall(call))
}

fn result(id: &'static str, parts: Vec<Part<'static>>, is_error: Option<bool>) -> Part<'static> {
    let kind = CallKind::Function;
    Part::new(PartBody::ToolResult(ToolResult { call_id: id.into(), name: None, parts, is_error, kind }))
}

fn thought(maker: Option<DialectFamily>) -> Part<'static> {
    let sealed = maker.map(|maker| VendorSeal::new(maker, "SIG"));
    Part::new(PartBody::Thinking(Thinking { text: "hm".into(), is_summary: false, is_redacted: false, sealed }))
}

fn image() -> Part<'static> {
    let source = MediaSource::Base64 { media_type: "image/png".into(), data: "iVBO".into() };
    Part::new(PartBody::Image(Image { source, detail: None }))
}

pub(super) fn raw(json: &'static str) -> &'static RawValue {
    serde_json::from_str(json).expect("JSON")
}

fn messages(request: NeutralRequest<'_>) -> (Value, String) {
    let (body, losses) = write_as(DialectFamily::Messages, request);
    (body["messages"].clone(), losses.to_string())
}

#[test]
fn images_of_results_follow_in_a_user_turn_before_what_the_user_says() {
    let mut request = request();
    let results = vec![result("a", vec![Part::text("1"), image()], None), result("b", vec![], None), Part::text("on")];
    request.turns =
        vec![turn(TurnRole::Assistant, vec![call("a", "f"), call("b", "f")]), turn(TurnRole::User, results)];
    let (messages, losses) = messages(request);

    assert_eq!(messages[1], json!({"role": "tool", "tool_call_id": "a", "content": "1"}));
    assert_eq!(messages[2], json!({"role": "tool", "tool_call_id": "b", "content": ""}));
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}});
    assert_eq!(messages[3], json!({"role": "user", "content": [image, {"type": "text", "text": "on"}]}));
    assert_eq!(losses, "changed=tool_results.content");
}

#[test]
fn a_failed_result_is_said_unless_its_text_says_so_itself() {
    let failed = |text: &'static str| {
        let mut request = request();
        request.turns = vec![turn(TurnRole::User, vec![result("a", vec![Part::text(text)], Some(true))])];
        messages(request)
    };

    let (written, losses) = failed("not found");
    assert_eq!(written[0]["content"], "not found");
    assert_eq!(losses, "dropped=tool_results.is_error");
    assert_eq!(failed("Error: not found").1, "");
}

#[test]
fn thoughts_of_other_vendors_are_left_out_and_never_become_text() {
    let mut request = request();
    let redacted = Thinking {
        text: "".into(),
        is_summary: false,
        is_redacted: true,
        sealed: Some(VendorSeal::new(DialectFamily::Messages, "ENC")),
    };
    request.turns = vec![
        turn(
            TurnRole::Assistant,
            vec![thought(Some(DialectFamily::Messages)), Part::new(PartBody::Thinking(redacted)), Part::text("a")],
        ),
        turn(TurnRole::User, vec![Part::text("b")]),
        turn(TurnRole::Assistant, vec![thought(None)]),
        turn(TurnRole::User, vec![Part::text("c")]),
    ];
    let (messages, losses) = messages(request);

    let expected = json!([{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}, {"role": "user", "content": "c"}]);
    assert_eq!(messages, expected);
    assert_eq!(losses, "dropped=thinking; changed=empty_turns");
}

#[test]
fn thoughts_of_servers_of_this_api_come_back_in_their_own_fields() {
    let sealed = |text: &'static str, seal: &'static str| {
        let sealed = Some(VendorSeal::new(DialectFamily::Chat, seal));
        Part::new(PartBody::Thinking(Thinking { text: text.into(), is_summary: false, is_redacted: false, sealed }))
    };
    let mut request = request();
    let detail = r#"{"type":"reasoning.encrypted","data":"E"}"#;
    request.turns = vec![
        turn(TurnRole::Assistant, vec![sealed("x", "reasoning"), Part::text("a")]),
        turn(TurnRole::User, vec![Part::text("b")]),
        turn(TurnRole::Assistant, vec![sealed("", detail), sealed("y", "reasoning_content"), Part::text("c")]),
        turn(TurnRole::User, vec![Part::text("d")]),
    ];
    let (messages, losses) = messages(request);

    assert_eq!(messages[0], json!({"role": "assistant", "content": "a", "reasoning": "x"}));
    assert_eq!(messages[2]["reasoning_content"], "y");
    assert_eq!(messages[2]["reasoning_details"], json!([{"type": "reasoning.encrypted", "data": "E"}]));
    assert_eq!(losses, "");
}

#[test]
fn calls_of_neighbouring_turns_are_one_message_and_what_follows_a_call_is_said() {
    let mut request = request();
    request.turns = vec![
        turn(TurnRole::Assistant, vec![Part::text("a"), call("1", "f")]),
        turn(TurnRole::Assistant, vec![call("2", "g")]),
        turn(TurnRole::Assistant, vec![Part::text("b")]),
        turn(TurnRole::User, vec![result("1", vec![], None), result("2", vec![], None)]),
    ];
    let (messages, losses) = messages(request);

    assert_eq!(messages.as_array().map(Vec::len), Some(3));
    assert_eq!(messages[0]["tool_calls"].as_array().map(Vec::len), Some(2));
    assert_eq!(losses, "changed=text");
}

#[test]
fn calls_without_ids_and_their_results_pair_by_name_and_order() {
    let mut request = request();
    let named = |name: &'static str| {
        let mut part = result("", vec![Part::text(name)], None);
        if let PartBody::ToolResult(result) = &mut part.body {
            result.name = Some(name.into());
        }
        part
    };
    request.turns = vec![
        turn(TurnRole::Assistant, vec![call("", "f"), call("", "g"), call("", "f")]),
        turn(TurnRole::User, vec![named("g"), named("f"), named("f")]),
    ];
    let (messages, _) = messages(request);

    let ids = |from: &Value| (from["id"].as_str().or(from["tool_call_id"].as_str())).expect("an id").to_owned();
    let calls: Vec<_> = messages[0]["tool_calls"].as_array().expect("calls").iter().map(ids).collect();
    let results: Vec<_> = messages.as_array().expect("messages")[1..].iter().map(ids).collect();
    assert_eq!(results, [calls[1].clone(), calls[0].clone(), calls[2].clone()]);
    assert_ne!(calls[0], calls[2]);
}

#[test]
fn a_long_id_is_short_in_the_call_and_in_its_result() {
    let long = "toolu_0123456789012345678901234567890123456789";
    let mut request = request();
    request.turns =
        vec![turn(TurnRole::Assistant, vec![call(long, "f")]), turn(TurnRole::User, vec![result(long, vec![], None)])];
    let (messages, _) = messages(request);

    let id = messages[0]["tool_calls"][0]["id"].as_str().expect("an id");
    assert!(id.len() <= 40);
    assert_eq!(messages[1]["tool_call_id"], id);
}

#[test]
fn system_turns_stay_where_they_stand() {
    let mut request = request();
    let roles = [TurnRole::System, TurnRole::User, TurnRole::System, TurnRole::Developer];
    request.turns = roles.into_iter().map(|role| turn(role, vec![Part::text("a")])).collect();
    let (messages, losses) = messages(request);

    let roles: Vec<_> = messages.as_array().expect("a list").iter().map(|message| message["role"].clone()).collect();
    assert_eq!(roles, ["system", "user", "system", "developer"]);
    assert_eq!(losses, "");
}

#[test]
fn an_answer_that_the_client_begins_is_said_not_to_be_gone_on_with() {
    let mut request = request();
    request.turns = vec![turn(TurnRole::User, vec![Part::text("a")]), turn(TurnRole::Assistant, vec![Part::text("{")])];

    assert_eq!(messages(request).1, "changed=prefill");
}

#[test]
fn plain_text_documents_are_text_and_other_files_are_files() {
    let document = |source: MediaSource<'static>, title: Option<&'static str>| {
        Part::new(PartBody::Document(Document { source, title: title.map(Cow::Borrowed), context: None, cites: None }))
    };
    let base64 = |media_type: &'static str, data: &'static str| MediaSource::Base64 {
        media_type: media_type.into(),
        data: data.into(),
    };
    let mut request = request();
    request.turns = vec![turn(
        TurnRole::User,
        vec![
            document(MediaSource::Text("hello".into()), Some("t")),
            document(base64("text/plain", "YSBi"), None),
            document(base64("application/pdf", "JVBE"), Some("a.pdf")),
            document(MediaSource::Url { url: "https://a.example/b.pdf".into(), media_type: None }, None),
        ],
    )];
    let (messages, losses) = messages(request);

    let text = |text: &str| json!({"type": "text", "text": text});
    let file = json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}});
    assert_eq!(messages[0]["content"], json!([text("hello"), text("a b"), file]));
    assert_eq!(losses, "dropped=documents,documents.details; changed=documents");
}

#[test]
fn files_that_another_vendor_keeps_and_tools_that_it_runs_are_refused_by_name() {
    let mut request = request();
    let image = Image { source: MediaSource::FileId("file_1".into()), detail: None };
    request.turns = vec![turn(TurnRole::User, vec![Part::new(PartBody::Image(image))])];
    request.tools = vec![server("code_execution_20250825")];
    request.max_tokens = Some(0);
    let (_, losses) = write_as(DialectFamily::Messages, request);

    assert_eq!(losses.to_string(), "refused=tools.server,file_ids,max_tokens; changed=empty_turns");
    let detail =
        losses.losses().iter().find(|loss| loss.field == crate::Field::ServerTools).expect("a loss").detail.clone();
    assert_eq!(detail.as_deref(), Some("code_execution_20250825"));
}

pub(super) fn server(kind: &'static str) -> Tool<'static> {
    let kind = ToolKind::Server(ServerTool { kind: kind.into(), raw: raw("{}") });
    Tool { name: "t".into(), description: None, kind, cache: None }
}

#[test]
fn thinking_is_an_effort_and_off_is_off() {
    let effort = |mode: ReasoningMode| {
        let mut request = request();
        request.reasoning = Some(Reasoning { mode, form: None });
        let (body, losses) = write_as(DialectFamily::Messages, request);
        (body["reasoning_effort"].as_str().map(str::to_owned), losses.to_string())
    };
    let own = |effort: &str, losses: &str| (Some(effort.to_owned()), losses.to_owned());

    assert_eq!(effort(ReasoningMode::Off), own("none", ""));
    assert_eq!(effort(ReasoningMode::Adaptive { effort: None }), (None, "changed=reasoning".to_owned()));
    assert_eq!(effort(ReasoningMode::Adaptive { effort: Some(Effort::XHigh) }), own("xhigh", ""));
    for (tokens, word) in [(1024, "low"), (4096, "medium"), (16_384, "high"), (32_768, "xhigh")] {
        assert_eq!(effort(ReasoningMode::Budget { tokens, effort: None }), own(word, "changed=reasoning"));
    }
}

#[test]
fn limits_and_labels_that_the_api_does_not_have_are_said() {
    let mut request = request();
    request.sampling.top_k = Some(5.0);
    request.sampling.stop = ["a", "b", "c", "d", "e"].into_iter().map(Cow::Borrowed).collect();
    request.metadata = Some(raw(r#"{"a":"b"}"#));
    request.service_tier = Some("standard_only".into());
    request.cache.marks_all = Some(CacheMark { ttl: None });
    request.max_tokens = Some(50);
    request.user = Some("u".into());
    request.stream = true;
    let (body, losses) = write_as(DialectFamily::Messages, request);

    assert_eq!(body["stop"], json!(["a", "b", "c", "d"]));
    assert_eq!((&body["max_tokens"], &body["user"]), (&json!(50), &json!("u")));
    assert_eq!(body["stream_options"], json!({"include_usage": true}));
    assert_eq!(losses.to_string(), "dropped=top_k,stop,metadata; changed=cache_marks,service_tier");
}

#[test]
fn cache_marks_are_left_to_the_implicit_cache_and_said() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":[
        {"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}]}"#;
    let (body, losses) = from_messages(body);

    assert_eq!(body["messages"][0]["content"], "a");
    assert_eq!(losses.to_string(), "changed=cache_marks");
}

#[test]
fn the_form_of_an_answer_is_carried() {
    let format = |output: OutputFormat<'static>| {
        let mut request = request();
        request.output = Some(output);
        write_as(DialectFamily::Responses, request).0["response_format"].clone()
    };
    let schema = OutputFormat::Schema {
        name: Some("a b".into()),
        description: Some("d".into()),
        schema: raw(r#"{"type":"object"}"#),
        strict: Some(false),
    };

    assert_eq!(format(OutputFormat::JsonObject), json!({"type": "json_object"}));
    let named = json!({"name": "a_b", "description": "d", "schema": {"type": "object"}, "strict": false});
    assert_eq!(format(schema), json!({"type": "json_schema", "json_schema": named}));
}

#[test]
fn what_only_the_vendor_of_the_history_knows_is_lost_by_name() {
    let native = |kind: &'static str| Part::new(PartBody::Native { kind: kind.into(), raw: raw("{}") });
    let mut request = request();
    request.turns = vec![
        turn(TurnRole::User, vec![Part::text("a"), native("search_result")]),
        turn(TurnRole::Assistant, vec![native("web_search_tool_result"), Part::text("b")]),
        turn(TurnRole::User, vec![Part::text("c")]),
    ];

    assert_eq!(messages(request).1, "dropped=tools.server,documents");
}

#[test]
fn results_follow_their_calls_whatever_was_said_between() {
    let mut request = request();
    request.turns = vec![
        turn(TurnRole::Assistant, vec![call("1", "f"), call("2", "f")]),
        turn(TurnRole::User, vec![Part::text("wait"), result("1", vec![Part::text("r1")], None)]),
        turn(TurnRole::System, vec![Part::text("s")]),
        turn(TurnRole::User, vec![result("2", vec![Part::text("r2"), image()], None)]),
        turn(TurnRole::User, vec![Part::text("on")]),
    ];
    let (messages, losses) = messages(request);

    let roles: Vec<_> = messages.as_array().expect("a list").iter().map(|message| message["role"].clone()).collect();
    assert_eq!(roles, ["assistant", "tool", "tool", "user", "system", "user"]);
    assert_eq!(messages[5]["content"], "on");
    assert_eq!(losses, "changed=tool_results.content");
}
