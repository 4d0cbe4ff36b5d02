//! Tools of a request, and which of them must be called.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::conversion::schema::{camel_case, is_strict};
use crate::json::{self, Fields};
use crate::loss::{Field, LossReport};
use crate::neutral::{NeutralRequest, ServerTool, Tool, ToolChoice, ToolKind};
use crate::refusal::TranslationRefusal;

/// Reads `tools`.
pub(super) fn tools<'b>(
    raw: &'b RawValue,
    request: &mut NeutralRequest<'b>,
    losses: &mut LossReport,
) -> Result<(), TranslationRefusal> {
    for raw in json::list(raw).unwrap_or_default() {
        let fields = Fields::of(raw).ok_or_else(|| TranslationRefusal::malformed("tools", "a tool is an object"))?;
        for (name, raw) in fields.iter().filter(|(_, raw)| !json::is_null(raw)) {
            match name {
                "functionDeclarations" | "function_declarations" => {
                    for raw in json::list(raw).unwrap_or_default() {
                        request.tools.push(function(raw, losses)?);
                    }
                }
                "mcpServers" | "mcp_servers" => losses.refused(Field::McpServers, "mcpServers"),
                kind => request.tools.push(server_tool(kind, raw)),
            }
        }
    }
    Ok(())
}

/// Reads a tool that Google runs.
fn server_tool<'b>(kind: &str, raw: &'b RawValue) -> Tool<'b> {
    let kind = camel_case(kind);
    Tool {
        name: Cow::Owned(kind.clone()),
        description: None,
        kind: ToolKind::Server(ServerTool { kind: Cow::Owned(kind), raw }),
        cache: None,
    }
}

fn function<'b>(raw: &'b RawValue, losses: &mut LossReport) -> Result<Tool<'b>, TranslationRefusal> {
    let malformed = || TranslationRefusal::malformed("tools.functionDeclarations", "a function has a name");
    let fields = Fields::of(raw).ok_or_else(malformed)?;
    let name = fields.text("name").ok_or_else(malformed)?;
    let mut schema = None;
    for (field, raw) in fields.iter().filter(|(_, raw)| !json::is_null(raw)) {
        match field {
            "name" | "description" => {}
            "parametersJsonSchema" | "parameters_json_schema" => schema = Some(raw),
            "parameters" => schema = schema.or(Some(raw)),
            "behavior" if json::text(raw).as_deref() != Some("NON_BLOCKING") => {}
            _ => losses.dropped_at(Field::ToolDetails, format!("{name}.{field}")),
        }
    }
    Ok(Tool {
        name,
        description: fields.text("description"),
        kind: ToolKind::Function { schema, strict: None },
        cache: None,
    })
}

/// Reads `toolConfig`.
pub(super) fn config<'b>(raw: &'b RawValue, request: &mut NeutralRequest<'b>, losses: &mut LossReport) {
    let fields = Fields::of(raw).unwrap_or_default();
    for (name, raw) in fields.iter().filter(|(_, raw)| !json::is_null(raw)) {
        match name {
            "functionCallingConfig" | "function_calling_config" => calling(raw, request, losses),
            // Only a frame of Google's own tools, which are refused or carried by themselves.
            "includeServerSideToolInvocations" | "include_server_side_tool_invocations" => {}
            other => losses.dropped_at(Field::Other, format!("toolConfig.{}", camel_case(other))),
        }
    }
}

fn calling<'b>(raw: &'b RawValue, request: &mut NeutralRequest<'b>, losses: &mut LossReport) {
    let fields = Fields::of(raw).unwrap_or_default();
    let names = fields.either(["allowedFunctionNames", "allowed_function_names"]);
    let names: Vec<_> = names.and_then(json::list).unwrap_or_default().into_iter().filter_map(json::text).collect();
    let mode = fields.text("mode").map(|mode| mode.to_ascii_uppercase());
    request.tool_choice = match mode.as_deref() {
        Some("NONE") => Some(ToolChoice::None),
        Some("ANY") => Some(match <[_; 1]>::try_from(names) {
            Ok([name]) => ToolChoice::Tool(name),
            Err(names) if names.is_empty() => ToolChoice::Any,
            Err(names) => ToolChoice::Allowed { names, is_required: true },
        }),
        mode => {
            if mode == Some("VALIDATED") {
                validated(request, losses);
            }
            Some(if names.is_empty() { ToolChoice::Auto } else { ToolChoice::Allowed { names, is_required: false } })
        }
    };
    let streams = fields.either(["streamFunctionCallArguments", "stream_function_call_arguments"]);
    if streams.and_then(json::value) == Some(true) {
        losses.dropped_at(Field::StreamOptions, "streamFunctionCallArguments");
    }
}

/// Reads the mode in which calls follow their schemas: a tool is strict for others where its schema keeps their rules.
fn validated(request: &mut NeutralRequest<'_>, losses: &mut LossReport) {
    for tool in &mut request.tools {
        if let ToolKind::Function { schema, strict } = &mut tool.kind {
            if schema.is_some_and(is_strict) {
                *strict = Some(true);
            } else {
                losses.dropped(Field::StrictTools);
            }
        }
    }
}
