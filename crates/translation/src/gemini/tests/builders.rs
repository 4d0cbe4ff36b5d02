//! Requests of other APIs' clients, as their readers give them.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::conversion::sealed::VendorSeal;
use crate::neutral::{
    CallKind, Image, ImageDetail, MediaSource, NeutralRequest, Part, PartBody, ServerTool, Thinking, Tool, ToolCall,
    ToolKind, ToolResult, Turn, TurnRole,
};

pub(super) fn raw(text: &str) -> &RawValue {
    serde_json::from_str(text).expect("JSON")
}

pub(super) fn turn<'b>(role: TurnRole, parts: Vec<Part<'b>>) -> Turn<'b> {
    Turn { role, name: None, parts }
}

pub(super) fn said(role: TurnRole, text: &str) -> Turn<'_> {
    turn(role, vec![Part::text(text)])
}

pub(super) fn asking<'b>() -> NeutralRequest<'b> {
    let mut request = NeutralRequest::new("m".into());
    request.turns.push(said(TurnRole::User, "Q"));
    request
}

pub(super) fn of_turns(turns: Vec<Turn<'_>>) -> NeutralRequest<'_> {
    let mut request = NeutralRequest::new("m".into());
    request.turns = turns;
    request
}

pub(super) fn call<'b>(id: &'b str, name: &'b str, arguments: &'b str) -> Part<'b> {
    let kind = CallKind::Function;
    Part::new(PartBody::ToolCall(ToolCall { id: id.into(), name: name.into(), arguments: arguments.into(), kind }))
}

pub(super) fn result<'b>(call_id: &'b str, parts: Vec<Part<'b>>) -> Part<'b> {
    let result = ToolResult { call_id: call_id.into(), name: None, parts, is_error: None, kind: CallKind::Function };
    Part::new(PartBody::ToolResult(result))
}

pub(super) fn failed<'b>(call_id: &'b str, text: &'b str) -> Part<'b> {
    let mut part = result(call_id, vec![Part::text(text)]);
    if let PartBody::ToolResult(result) = &mut part.body {
        result.is_error = Some(true);
    }
    part
}

pub(super) fn thought<'b>(text: &'b str, sealed: Option<VendorSeal<'b>>) -> Part<'b> {
    Part::new(PartBody::Thinking(Thinking { text: text.into(), is_summary: false, is_redacted: false, sealed }))
}

pub(super) fn image<'b>(detail: Option<ImageDetail>) -> Part<'b> {
    let source = MediaSource::Base64 { media_type: "image/png".into(), data: "AAAA".into() };
    Part::new(PartBody::Image(Image { source, detail }))
}

pub(super) fn function<'b>(name: &'b str, schema: &'b str, strict: Option<bool>) -> Tool<'b> {
    let kind = ToolKind::Function { schema: Some(raw(schema)), strict };
    Tool { name: name.into(), description: Some("D".into()), kind, cache: None }
}

pub(super) fn server<'b>(kind: &'b str) -> Tool<'b> {
    let kind = ToolKind::Server(ServerTool { kind: kind.into(), raw: raw(r#"{"type":"x"}"#) });
    Tool { name: "".into(), description: None, kind, cache: None }
}

pub(super) fn texts(content: &Value) -> Vec<&str> {
    content["parts"].as_array().expect("parts").iter().filter_map(|part| part["text"].as_str()).collect()
}
