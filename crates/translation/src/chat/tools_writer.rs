//! Tools in the form of chat completions, written.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::request_writer::is_own;
use crate::conversion::client_tool::ClientTool;
use crate::conversion::web_search::SearchRules;
use crate::conversion::{custom_tool, schema, tool_name};
use crate::family::DialectFamily;
use crate::json::writer::{ObjectWriter, push_list};
use crate::loss::{Field, LossReport};
use crate::neutral::{NeutralRequest, ServerTool, Tool, ToolChoice, ToolKind};

/// A function as the API has it.
struct FunctionTool<'f> {
    name: &'f str,
    description: Option<&'f str>,
    schema: Option<&'f str>,
    strict: Option<bool>,
}

/// Writes the tools, and the rules for their calls.
pub(super) fn write(request: &NeutralRequest<'_>, object: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    let is_own = is_own(request);
    if is_own && request.native.iter().any(|field| field.name == "functions") {
        return;
    }
    let allowed = match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) if !is_own => Some(names),
        _ => None,
    };
    let is_offered = |tool: &&Tool<'_>| allowed.is_none_or(|names| names.contains(&tool.name));
    let offered: Vec<_> = request.tools.iter().filter(is_offered).collect();
    let mut tools = Vec::new();
    for tool in &offered {
        let begin = tools.len();
        if begin > 0 {
            tools.push(b',');
        }
        if !write_tool(request, tool, &mut tools, losses) {
            tools.truncate(begin);
        }
    }
    for tool in offered.iter().filter(|tool| matches!(tool.kind, ToolKind::Server(_))) {
        web_search(tool, object, losses);
    }
    if tools.is_empty() {
        return;
    }
    let out = object.key("tools");
    out.push(b'[');
    out.extend_from_slice(&tools);
    out.push(b']');
    rules(request, object, losses);
}

/// Writes a tool; `false` where it is none of the list's.
fn write_tool(request: &NeutralRequest<'_>, tool: &Tool<'_>, out: &mut Vec<u8>, losses: &mut LossReport) -> bool {
    let is_own = is_own(request);
    if tool.cache.is_some() && !is_own {
        losses.changed(Field::CacheMarks, "implicit caching");
    }
    match &tool.kind {
        ToolKind::Function { schema, strict } => {
            let strict = tool_strict(request, *strict, *schema, losses);
            let schema = schema.map(RawValue::get);
            let description = tool.description.as_deref();
            let name = written_name(request, &tool.name);
            function(&FunctionTool { name: &name, description, schema, strict }, out);
        }
        ToolKind::Custom { grammar } if is_own => custom(tool, grammar.as_ref(), out),
        ToolKind::Custom { grammar } => {
            losses.changed(Field::CustomTools, "a function with the one argument `input`");
            let grammar = grammar.as_ref().map(|(syntax, definition)| (&**syntax, &**definition));
            let description = custom_tool::description(tool.description.as_deref(), grammar);
            let schema = Some(custom_tool::SCHEMA);
            function(
                &FunctionTool { name: &tool.name, description: description.as_deref(), schema, strict: None },
                out,
            );
        }
        ToolKind::Server(server) if is_own && server.kind != "web_search_options" => {
            out.extend_from_slice(server.raw.get().as_bytes());
        }
        ToolKind::Server(server) => match ClientTool::of_kind(&server.kind) {
            Some(known) => {
                losses.changed(Field::ServerTools, format!("{} as a function", server.kind));
                let schema = Some(known.schema);
                let description = Some(known.description);
                function(&FunctionTool { name: known.name, description, schema, strict: None }, out);
            }
            None => return false,
        },
    }
    true
}

/// Returns the name of a tool as the API takes it.
fn written_name<'n>(request: &NeutralRequest<'_>, name: &'n str) -> Cow<'n, str> {
    if is_own(request) { Cow::Borrowed(name) } else { tool_name::written(name) }
}

fn function(tool: &FunctionTool<'_>, out: &mut Vec<u8>) {
    let mut object = ObjectWriter::open(out);
    object.value("type", "function");
    let mut function = object.object("function");
    function.value("name", tool.name).optional("description", tool.description);
    if let Some(schema) = tool.schema {
        function.raw("parameters", schema);
    }
    function.optional("strict", tool.strict.as_ref()).close();
    object.close();
}

fn custom(tool: &Tool<'_>, grammar: Option<&(Cow<'_, str>, Cow<'_, str>)>, out: &mut Vec<u8>) {
    let mut object = ObjectWriter::open(out);
    object.value("type", "custom");
    let mut custom = object.object("custom");
    custom.and_text("name", &tool.name).optional("description", tool.description.as_deref());
    if let Some((syntax, definition)) = grammar {
        let mut format = custom.object("format");
        format.value("type", "grammar");
        format.object("grammar").and_text("syntax", syntax).and_text("definition", definition).close();
        format.close();
    }
    custom.close();
    object.close();
}

/// Writes a search of the web, which is an option of the request here; other tools that a vendor runs are refused.
fn web_search(tool: &Tool<'_>, object: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    let ToolKind::Server(server) = &tool.kind else { return };
    if ClientTool::of_kind(&server.kind).is_some() {
        return;
    }
    if server.kind == "web_search_options" {
        object.raw("web_search_options", server.raw.get());
    } else if server.kind.starts_with("web_search") || server.kind == "googleSearch" || server.kind == "google_search" {
        losses.changed(Field::ServerTools, format!("{} as web_search_options", server.kind));
        write_search_options(server, object, losses);
    } else {
        losses.refused(Field::ServerTools, &*server.kind);
    }
}

fn write_search_options(server: &ServerTool<'_>, object: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    let rules = SearchRules::of(server.raw);
    rules.note_lost(&["allowed_domains"], losses);
    let mut options = object.object("web_search_options");
    if let Some(size) = rules.context_size {
        options.raw("search_context_size", size.get());
    }
    if let Some(place) = rules.location {
        let mut location = options.object("user_location");
        location.value("type", "approximate");
        let mut fields = location.object("approximate");
        for (name, raw) in place.iter().filter(|(name, _)| *name != "type") {
            fields.raw(name, raw.get());
        }
        fields.close();
        location.close();
    }
    options.close();
}

fn rules(request: &NeutralRequest<'_>, object: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    match &request.tool_choice {
        None => {}
        Some(ToolChoice::Auto) => {
            object.value("tool_choice", "auto");
        }
        Some(ToolChoice::None) => {
            object.value("tool_choice", "none");
        }
        Some(ToolChoice::Any) => {
            object.value("tool_choice", "required");
        }
        Some(ToolChoice::Tool(name)) => named(request, name, object.key("tool_choice")),
        Some(ToolChoice::Allowed { names, is_required }) => {
            let mode = if *is_required { "required" } else { "auto" };
            if is_own(request) {
                let mut choice = object.object("tool_choice");
                choice.value("type", "allowed_tools");
                let mut allowed = choice.object("allowed_tools");
                allowed.value("mode", mode);
                push_list(allowed.key("tools"), names, |out, name| named(request, name, out));
                allowed.close();
                choice.close();
            } else {
                losses.changed(Field::AllowedTools, "the others are not offered");
                object.value("tool_choice", mode);
            }
        }
    }
    object.optional("parallel_tool_calls", request.parallel_calls.as_ref());
}

fn named(request: &NeutralRequest<'_>, name: &str, out: &mut Vec<u8>) {
    let tool = request.tools.iter().find(|tool| tool.name == name);
    let is_custom = is_own(request) && tool.is_some_and(|tool| matches!(tool.kind, ToolKind::Custom { .. }));
    let kind = if is_custom { "custom" } else { "function" };
    let name = match tool.map(|tool| &tool.kind) {
        Some(ToolKind::Server(server)) => ClientTool::of_kind(&server.kind).map_or(name, |known| known.name),
        _ => name,
    };
    let name = written_name(request, name);
    let mut choice = ObjectWriter::open(out);
    choice.value("type", kind).object(kind).and_text("name", &name).close();
    choice.close();
}

/// Returns whether arguments must follow the schema exactly: OpenAI refuses the wish where a schema is not of its strict
/// form, other vendors do not.
fn tool_strict(
    request: &NeutralRequest<'_>,
    strict: Option<bool>,
    schema: Option<&RawValue>,
    losses: &mut LossReport,
) -> Option<bool> {
    let is_openai = matches!(request.family, None | Some(DialectFamily::Chat | DialectFamily::Responses));
    if is_openai || strict != Some(true) || schema.is_some_and(schema::is_strict) {
        return strict;
    }
    losses.dropped(Field::StrictTools);
    None
}
