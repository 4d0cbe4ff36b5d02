//! Tools and the choice of one, written.

use serde_json::value::RawValue;

use super::block_writer::BlockWriting;
use super::tool_names;
use crate::conversion::schema::AnthropicSchema;
use crate::conversion::web_search::SearchRules;
use crate::conversion::{custom_tool, schema};
use crate::json::Fields;
use crate::json::writer::{ObjectWriter, push_list, push_value};
use crate::loss::{Field, LossReport};
use crate::neutral::{NeutralRequest, ServerTool, Tool, ToolChoice, ToolKind};

/// The schema of a tool without one.
const NO_INPUT: &str = r#"{"type":"object","properties":{}}"#;

/// Writes `tools` and `tool_choice`.
pub(super) fn write(request: &NeutralRequest<'_>, body: &mut ObjectWriter<'_>, writing: &mut BlockWriting<'_>) {
    let tools = offered(request, writing.losses);
    if tools.is_empty() {
        if matches!(request.tool_choice, Some(ToolChoice::Any | ToolChoice::Tool(_))) {
            writing.losses.dropped(Field::ToolChoice);
        }
        return;
    }
    push_list(body.key("tools"), &tools, |out, tool| write_tool(out, tool, writing));
    write_choice(request, body);
}

/// Returns the tools that the model may call and that the API can say.
fn offered<'r, 'b>(request: &'r NeutralRequest<'b>, losses: &mut LossReport) -> Vec<&'r Tool<'b>> {
    let allowed = match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => {
            losses.changed(Field::AllowedTools, "only those are on offer");
            Some(names)
        }
        _ => None,
    };
    // The search of chat completions is an option of the request, beside the tools.
    let is_option = |tool: &Tool<'_>| matches!(&tool.kind, ToolKind::Server(own) if own.kind == "web_search_options");
    let is_allowed = |tool: &&Tool<'_>| allowed.is_none_or(|names| names.contains(&tool.name)) || is_option(tool);
    let mut tools: Vec<_> = request.tools.iter().filter(is_allowed).collect();
    tools.retain(|tool| match &tool.kind {
        ToolKind::Server(server) if !is_web_search(&server.kind) => {
            losses.refused(Field::ServerTools, &*server.kind);
            false
        }
        _ => true,
    });
    tools
}

fn write_tool(out: &mut Vec<u8>, tool: &Tool<'_>, writing: &mut BlockWriting<'_>) {
    if let ToolKind::Server(server) = &tool.kind {
        return write_web_search(out, server, writing.losses);
    }
    let mut object = ObjectWriter::open(out);
    object.text("name", &tool_names::written(&tool.name));
    match &tool.kind {
        ToolKind::Function { schema, strict } => {
            object.optional("description", tool.description.as_deref());
            let is_strict = *strict == Some(true);
            match schema.filter(|_| is_strict).and_then(|schema| strict_schema(schema, writing.losses)) {
                Some(schema) => {
                    object.raw("input_schema", schema);
                    object.value("strict", &true);
                }
                None => write_schema(object.key("input_schema"), *schema, writing.losses),
            }
        }
        ToolKind::Custom { grammar } => {
            writing.losses.changed(Field::CustomTools, "a function with one text");
            let grammar = grammar.as_ref().map(|(syntax, definition)| (&**syntax, &**definition));
            let description = custom_tool::description(tool.description.as_deref(), grammar);
            object.optional("description", description);
            object.raw("input_schema", custom_tool::SCHEMA);
        }
        ToolKind::Server(_) => {}
    }
    writing.write_mark(&mut object, tool.cache);
    object.close();
}

/// Returns the schema of a strict tool in the form that the API takes; a tool without such a form is not strict.
fn strict_schema(schema: &RawValue, losses: &mut LossReport) -> Option<String> {
    let written = AnthropicSchema::of_input(schema).filter(|_| schema::is_of_object(schema));
    let Some(written) = written else {
        losses.dropped_as(Field::StrictTools, "a schema that is recursive or open");
        return None;
    };
    if let Some(changes) = &written.changes {
        losses.changed(Field::ToolSchema, changes);
    }
    Some(written.json)
}

/// Writes a schema. The API wants one, and wants it to say that it is an object's.
fn write_schema(out: &mut Vec<u8>, schema: Option<&RawValue>, losses: &mut LossReport) {
    let Some((schema, fields)) = schema.and_then(|schema| Some((schema, Fields::of(schema)?))) else {
        out.extend_from_slice(NO_INPUT.as_bytes());
        return;
    };
    if fields.get("type").is_some() {
        out.extend_from_slice(schema.get().as_bytes());
        return;
    }
    if fields.is_empty() {
        out.extend_from_slice(NO_INPUT.as_bytes());
        return;
    }
    losses.changed(Field::ToolSchema, "type: object");
    out.extend_from_slice(br#"{"type":"object","#);
    out.extend_from_slice(schema.get().trim_start().trim_start_matches('{').as_bytes());
}

/// Tells whether a tool of another vendor's searches the web.
fn is_web_search(kind: &str) -> bool {
    kind.starts_with("web_search") || matches!(kind, "googleSearch" | "google_search")
}

/// Writes a search of the web in this API's form.
fn write_web_search(out: &mut Vec<u8>, server: &ServerTool<'_>, losses: &mut LossReport) {
    if server.kind.starts_with("web_search_20") && server.raw.get().contains("\"name\"") {
        out.extend_from_slice(server.raw.get().as_bytes());
        return;
    }
    losses.changed(Field::ServerTools, format!("{}: web_search_20250305", server.kind));
    let rules = SearchRules::of(server.raw);
    rules.note_lost(&["search_context_size"], losses);
    let mut object = ObjectWriter::of_type("web_search_20250305", out);
    object.word("name", "web_search");
    if let Some(domains) = rules.allowed_domains {
        object.raw("allowed_domains", domains.get());
    }
    if let Some(location) = rules.location {
        write_location(object.key("user_location"), &location);
    }
    object.close();
}

fn write_location(out: &mut Vec<u8>, location: &Fields<'_>) {
    let mut object = ObjectWriter::of_type("approximate", out);
    for name in ["city", "region", "country", "timezone"] {
        object.optional(name, location.text(name));
    }
    object.close();
}

fn write_choice(request: &NeutralRequest<'_>, body: &mut ObjectWriter<'_>) {
    let is_single = request.parallel_calls == Some(false);
    let (kind, name) = match &request.tool_choice {
        None if !is_single => return,
        None | Some(ToolChoice::Auto | ToolChoice::Allowed { is_required: false, .. }) => ("auto", None),
        Some(ToolChoice::Any | ToolChoice::Allowed { is_required: true, .. }) => ("any", None),
        Some(ToolChoice::Tool(name)) => ("tool", Some(name)),
        Some(ToolChoice::None) => ("none", None),
    };
    let mut object = ObjectWriter::of_type(kind, body.key("tool_choice"));
    if let Some(name) = name {
        push_value(object.key("name"), &*tool_names::written(name));
    }
    if is_single && kind != "none" {
        object.value("disable_parallel_tool_use", &true);
    }
    object.close();
}
