//! Tools and the choice of one, read.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::content_reader::cache_mark;
use super::tool_names;
use crate::conversion::client_tool::ClientTool;
use crate::json::{self, Fields};
use crate::loss::{Field, Loss, LossKind, LossReport};
use crate::neutral::{NeutralRequest, ServerTool, Tool, ToolChoice, ToolKind};

/// Reads the tools on offer.
pub(super) fn read_tools<'b>(tools: Option<&'b RawValue>, request: &mut NeutralRequest<'b>, losses: &mut LossReport) {
    let tools = tools.and_then(json::list).unwrap_or_default();
    request.tools.reserve(tools.len());
    for (index, raw) in tools.into_iter().enumerate() {
        let Some(fields) = Fields::of(raw) else {
            losses.dropped_at(Field::Tools, format!("tools[{index}]"));
            continue;
        };
        match fields.text("type").as_deref() {
            None | Some("custom") => request.tools.push(function(&fields, index, losses)),
            Some(kind) => request.tools.extend(vendor_tool(kind, &fields, raw, losses)),
        }
    }
}

fn function<'b>(fields: &Fields<'b>, index: usize, losses: &mut LossReport) -> Tool<'b> {
    let mut schema = None;
    let mut tool = Tool {
        name: Cow::Borrowed(""),
        description: None,
        kind: ToolKind::Function { schema: None, strict: None },
        cache: cache_mark(fields),
    };
    let mut strict = None;
    for (name, value) in fields.iter().filter(|(_, value)| !json::is_null(value)) {
        match name {
            "type" | "cache_control" => {}
            "name" => tool.name = tool_names::original(json::text(value).unwrap_or_default()),
            "description" => tool.description = json::text(value),
            "input_schema" => schema = Some(value),
            "strict" => strict = json::value(value),
            _ => detail(name, value, index, losses),
        }
    }
    tool.kind = ToolKind::Function { schema, strict };
    tool
}

/// Notes what becomes of a field of a tool's that other APIs do not have.
fn detail(name: &str, value: &RawValue, index: usize, losses: &mut LossReport) {
    let place = format!("tools[{index}].{name}");
    match (name, value.get()) {
        ("defer_loading" | "eager_input_streaming", "false") => {}
        ("allowed_callers", callers) if callers.split_whitespace().collect::<String>() == "[\"direct\"]" => {}
        ("defer_loading", _) => losses.note(Loss {
            field: Field::ToolDetails,
            kind: LossKind::Changed,
            place: None,
            detail: Some("deferred tools are loaded".to_owned()),
        }),
        ("input_examples" | "allowed_callers" | "eager_input_streaming", _) => {
            losses.dropped_at(Field::ToolDetails, place);
        }
        _ => losses.dropped_at(Field::Other, place),
    }
}

/// Reads a tool of Anthropic's: one that the client runs is a function of that name for models of others.
fn vendor_tool<'b>(kind: &str, fields: &Fields<'b>, raw: &'b RawValue, losses: &mut LossReport) -> Option<Tool<'b>> {
    if kind.starts_with("tool_search_tool") {
        losses.changed(Field::ServerTools, format!("{kind}: every tool is loaded"));
        return None;
    }
    let name = fields.text("name").unwrap_or_else(|| Cow::Owned(kind.to_owned()));
    let cache = cache_mark(fields);
    Some(match ClientTool::of_kind(kind) {
        Some(tool) => {
            losses.changed(Field::ServerTools, format!("{kind} as a function"));
            let schema = serde_json::from_str(tool.schema).ok();
            let kind = ToolKind::Function { schema, strict: fields.value("strict") };
            Tool { name, description: Some(tool.description.into()), kind, cache }
        }
        None => Tool {
            name,
            description: None,
            kind: ToolKind::Server(ServerTool { kind: Cow::Owned(kind.to_owned()), raw }),
            cache,
        },
    })
}

/// Reads the rule which tool must be called.
pub(super) fn read_tool_choice<'b>(
    choice: Option<&'b RawValue>,
    request: &mut NeutralRequest<'b>,
    losses: &mut LossReport,
) {
    let Some(raw) = choice else { return };
    let Some(fields) = Fields::of(raw) else { return losses.dropped(Field::ToolChoice) };
    request.tool_choice = match fields.text("type").as_deref() {
        Some("auto") => Some(ToolChoice::Auto),
        Some("any") => Some(ToolChoice::Any),
        Some("none") => Some(ToolChoice::None),
        Some("tool") => fields.text("name").map(tool_names::original).map(ToolChoice::Tool),
        _ => None,
    };
    if request.tool_choice.is_none() {
        losses.dropped(Field::ToolChoice);
    }
    if fields.value("disable_parallel_tool_use") == Some(true) {
        request.parallel_calls = Some(false);
    }
}
