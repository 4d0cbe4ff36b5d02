//! Tools on offer and the rule of their choice, written.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::conversion::client_tool::ClientTool;
use crate::conversion::{schema, tool_name};
use crate::json::Fields;
use crate::json::writer::{ListWriter, ObjectWriter};
use crate::loss::{Field, LossReport};
use crate::neutral::{NeutralRequest, ServerTool, Tool, ToolChoice, ToolKind};

/// The types of tools that the API itself knows, beside the searches of the web.
const OWN: [&str; 12] = [
    "apply_patch",
    "code_interpreter",
    "computer",
    "computer_use_preview",
    "file_search",
    "image_generation",
    "local_shell",
    "mcp",
    "namespace",
    "programmatic_tool_calling",
    "shell",
    "tool_search",
];

/// Writes a request's tools and the rules of their use.
pub(super) fn write(request: &NeutralRequest<'_>, object: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    // Without tools their rules say nothing, and servers refuse them.
    if !request.tools.is_empty() {
        write_rules(request, object);
        let mut list = ListWriter::open(object.key("tools"));
        for tool in &request.tools {
            if tool.cache.is_some() {
                losses.changed(Field::CacheMarks, "implicit caching");
            }
            write_tool(tool, &mut list, losses);
        }
        list.close();
    }
}

fn write_rules(request: &NeutralRequest<'_>, object: &mut ObjectWriter<'_>) {
    if let Some(choice) = &request.tool_choice {
        let kinds = match choice {
            ToolChoice::Tool(_) | ToolChoice::Allowed { .. } => {
                request.tools.iter().map(|tool| (&*tool.name, &tool.kind)).collect()
            }
            ToolChoice::Auto | ToolChoice::None | ToolChoice::Any => HashMap::new(),
        };
        write_choice(choice, &kinds, object);
    }
    if let Some(parallel) = request.parallel_calls {
        object.raw("parallel_tool_calls", if parallel { "true" } else { "false" });
    }
}

fn write_tool(tool: &Tool<'_>, list: &mut ListWriter<'_>, losses: &mut LossReport) {
    match &tool.kind {
        ToolKind::Function { schema, strict } => {
            let is_strict = *strict == Some(true) && schema.is_some_and(schema::is_strict);
            if *strict == Some(true) && !is_strict {
                losses.changed(Field::StrictTools, "not strict: its schema is not of OpenAI's strict form");
            }
            let json = schema.map_or(r#"{"type":"object","properties":{}}"#, RawValue::get);
            write_function(tool, &Schema { json, is_strict }, list);
        }
        ToolKind::Custom { grammar } => {
            let mut object = ObjectWriter::of_type("custom", list.next());
            object.text("name", &tool_name::written(&tool.name));
            object.optional_text("description", tool.description.as_deref());
            if let Some((syntax, definition)) = grammar {
                let mut format = ObjectWriter::of_type("grammar", object.key("format"));
                format.text("syntax", syntax);
                format.text("definition", definition);
                format.close();
            }
            object.close();
        }
        ToolKind::Server(server) => write_server_tool(tool, server, list, losses),
    }
}

/// A function's schema, and whether its arguments follow it exactly.
struct Schema<'s> {
    json: &'s str,
    is_strict: bool,
}

fn write_function(tool: &Tool<'_>, schema: &Schema<'_>, list: &mut ListWriter<'_>) {
    let mut object = ObjectWriter::of_type("function", list.next());
    object.text("name", &tool_name::written(&tool.name));
    object.optional_text("description", tool.description.as_deref());
    object.raw("parameters", schema.json);
    // Where nothing is said the API is strict, unlike every other.
    object.raw("strict", if schema.is_strict { "true" } else { "false" });
    object.close();
}

fn write_server_tool(tool: &Tool<'_>, server: &ServerTool<'_>, list: &mut ListWriter<'_>, losses: &mut LossReport) {
    let kind = &*server.kind;
    let fields = Fields::of(server.raw).unwrap_or_default();
    let is_own_search =
        matches!(kind, "web_search" | "web_search_2025_08_26") || kind.starts_with("web_search_preview");
    if OWN.contains(&kind) || (is_own_search && fields.text("type").as_deref() == Some(kind)) {
        list.next().extend_from_slice(server.raw.get().as_bytes());
    } else if let Some(client) = ClientTool::of_kind(kind) {
        losses.changed(Field::ServerTools, format!("{kind}: a function"));
        let about = tool.description.as_deref().unwrap_or(client.description);
        let known = Tool {
            name: client.name.into(),
            description: Some(about.into()),
            kind: ToolKind::Function { schema: None, strict: None },
            cache: None,
        };
        write_function(&known, &Schema { json: client.schema, is_strict: false }, list);
    } else if is_search(kind) {
        losses.changed(Field::ServerTools, format!("{kind}: web_search"));
        write_search(&fields, list, losses);
    } else {
        losses.refused(Field::ServerTools, kind);
    }
}

/// Tells whether a vendor's tool searches the web.
fn is_search(kind: &str) -> bool {
    kind.starts_with("web_search") || matches!(kind, "googleSearch" | "google_search" | "googleSearchRetrieval")
}

/// Writes a search of the web with what of its rules the API has.
fn write_search(fields: &Fields<'_>, list: &mut ListWriter<'_>, losses: &mut LossReport) {
    let mut object = ObjectWriter::of_type("web_search", list.next());
    for (name, raw) in fields.iter().filter(|(_, raw)| raw.get() != "null") {
        match name {
            "type" | "name" | "cache_control" => {}
            "allowed_domains" => {
                let mut filters = ObjectWriter::open(object.key("filters"));
                filters.raw("allowed_domains", raw.get());
                filters.close();
            }
            "filters" | "search_context_size" => object.raw(name, raw.get()),
            "user_location" => write_location(raw, &mut object),
            _ => losses.dropped_as(Field::ServerTools, format!("web_search.{name}")),
        }
    }
    object.close();
}

/// Writes where the user is: flat, as Anthropic has it too; chat completions have it one level below.
fn write_location(raw: &RawValue, object: &mut ObjectWriter<'_>) {
    let fields = Fields::of(raw).unwrap_or_default();
    match fields.get("approximate") {
        Some(inner) => {
            let inner = Fields::of(inner).unwrap_or_default();
            let mut location = ObjectWriter::of_type("approximate", object.key("user_location"));
            for (name, raw) in inner.iter().filter(|(name, _)| *name != "type") {
                location.raw(name, raw.get());
            }
            location.close();
        }
        None => object.raw("user_location", raw.get()),
    }
}

/// The kinds of a request's tools by their names.
type ToolKinds<'t, 'b> = HashMap<&'t str, &'t ToolKind<'b>>;

fn write_choice(choice: &ToolChoice<'_>, kinds: &ToolKinds<'_, '_>, object: &mut ObjectWriter<'_>) {
    match choice {
        ToolChoice::Auto => object.text("tool_choice", "auto"),
        ToolChoice::None => object.text("tool_choice", "none"),
        ToolChoice::Any => object.text("tool_choice", "required"),
        ToolChoice::Tool(name) => write_named(name, kinds, object.key("tool_choice")),
        ToolChoice::Allowed { names, is_required } => {
            let mut allowed = ObjectWriter::of_type("allowed_tools", object.key("tool_choice"));
            allowed.text("mode", if *is_required { "required" } else { "auto" });
            let mut list = ListWriter::open(allowed.key("tools"));
            for name in names {
                write_named(name, kinds, list.next());
            }
            list.close();
            allowed.close();
        }
    }
}

/// Writes the name of a tool with its type.
fn write_named(name: &str, kinds: &ToolKinds<'_, '_>, out: &mut Vec<u8>) {
    let kind = match kinds.get(name) {
        Some(ToolKind::Custom { .. }) => "custom",
        Some(ToolKind::Server(server)) if is_search(&server.kind) => {
            ObjectWriter::of_type("web_search", out).close();
            return;
        }
        _ => "function",
    };
    let mut object = ObjectWriter::of_type(kind, out);
    object.text("name", &tool_name::written(name));
    object.close();
}
