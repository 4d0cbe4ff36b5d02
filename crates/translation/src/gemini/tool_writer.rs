//! Tools of a request, and which of them must be called, in Google's words.

use serde_json::value::RawValue;

use super::function_name;
use super::generation::ModelGeneration;
use crate::conversion::client_tool::ClientTool;
use crate::conversion::custom_tool;
use crate::conversion::schema::not_followed_by_google;
use crate::conversion::web_search::SearchRules;
use crate::json::Fields;
use crate::json::writer::{ListWriter, ObjectWriter, push_texts};
use crate::loss::{Field, LossReport};
use crate::neutral::{NeutralRequest, ServerTool, Tool, ToolChoice, ToolKind};

/// The tools that Google runs.
const OWN_TOOLS: [&str; 11] = [
    "googleSearch",
    "googleSearchRetrieval",
    "googleMaps",
    "enterpriseWebSearch",
    "codeExecution",
    "urlContext",
    "fileSearch",
    "computerUse",
    "retrieval",
    "parallelAiSearch",
    "exaAiSearch",
];

/// Writes `tools` and `toolConfig`, where there are any.
pub(super) fn write(
    request: &NeutralRequest<'_>,
    generation: ModelGeneration,
    members: &mut ObjectWriter<'_>,
    losses: &mut LossReport,
) {
    let is_function = |tool: &&Tool<'_>| !matches!(tool.kind, ToolKind::Server(_)) || client_tool(tool).is_some();
    let has_functions = request.tools.iter().any(|tool| is_function(&tool));
    let mut list = Vec::new();
    let mut elements = ListWriter::open(&mut list);
    if has_functions {
        let mut holder = ObjectWriter::open(elements.next());
        let mut functions = ListWriter::open(holder.key("functionDeclarations"));
        for tool in request.tools.iter().filter(is_function) {
            function(tool, functions.next(), losses);
        }
        functions.close();
        holder.close();
    }
    let mut has_servers = false;
    for tool in request.tools.iter().filter(|tool| !is_function(tool)) {
        if let ToolKind::Server(server) = &tool.kind {
            has_servers |= server_tool(server, &mut elements, losses);
        }
    }
    let offer = match (has_functions, has_servers) {
        (true, true) => ToolOffer::Both,
        (true, false) => ToolOffer::Functions,
        (false, _) => ToolOffer::NoFunctions,
    };
    if offer == ToolOffer::Both && !generation.is_current() {
        losses.refused(Field::ServerTools, "Google's models before Gemini 3 take no functions beside their own tools");
    }
    let is_empty = elements.is_empty();
    elements.close();
    if !is_empty {
        members.key("tools").extend_from_slice(&list);
    }
    config(request, offer, &mut RuleWriting { members, losses });
}

/// The kinds of tools on offer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ToolOffer {
    NoFunctions,
    Functions,
    /// Functions, and tools that Google runs.
    Both,
}

/// The results of writing the rules.
struct RuleWriting<'w, 'o> {
    members: &'w mut ObjectWriter<'o>,
    losses: &'w mut LossReport,
}

fn is_empty(schema: &RawValue) -> bool {
    Fields::of(schema).is_some_and(|fields| fields.is_empty())
}

/// Returns a tool that another vendor defines and the client runs.
fn client_tool(tool: &Tool<'_>) -> Option<ClientTool> {
    match &tool.kind {
        ToolKind::Server(server) => ClientTool::of_kind(&server.kind),
        _ => None,
    }
}

fn function(tool: &Tool<'_>, out: &mut Vec<u8>, losses: &mut LossReport) {
    let mut members = ObjectWriter::open(out);
    let own = tool.description.as_deref();
    match (&tool.kind, client_tool(tool)) {
        (_, Some(client)) => {
            losses.changed(Field::ServerTools, format!("{}: a function", client.name));
            members.text("name", &function_name::written(if tool.name.is_empty() { client.name } else { &tool.name }));
            members.text("description", client.description);
            members.raw("parametersJsonSchema", client.schema);
        }
        (ToolKind::Custom { grammar }, _) => {
            losses.changed(Field::CustomTools, "a function with one text");
            let grammar = grammar.as_ref().map(|(syntax, definition)| (&**syntax, &**definition));
            members.text("name", &function_name::written(&tool.name));
            if let Some(description) = custom_tool::description(own, grammar) {
                members.text("description", &description);
            }
            members.raw("parametersJsonSchema", custom_tool::SCHEMA);
        }
        (ToolKind::Function { schema, .. }, _) => {
            members.text("name", &function_name::written(&tool.name));
            if let Some(description) = own {
                members.text("description", description);
            }
            // A schema that says nothing is none: Google wants that of an object.
            if let Some(schema) = schema.filter(|schema| !is_empty(schema)) {
                members.raw("parametersJsonSchema", schema.get());
                let unfollowed = not_followed_by_google(schema);
                if !unfollowed.is_empty() {
                    losses.changed(Field::ToolSchema, format!("not enforced: {}", unfollowed.join(", ")));
                }
            }
        }
        (ToolKind::Server(_), None) => {}
    }
    members.close();
}

/// Writes a tool that Google runs; returns whether it is one.
fn server_tool(server: &ServerTool<'_>, elements: &mut ListWriter<'_>, losses: &mut LossReport) -> bool {
    let (kind, definition) = if OWN_TOOLS.contains(&&*server.kind) {
        (&*server.kind, server.raw.get())
    } else if server.kind.starts_with("web_search") {
        losses.changed(Field::ServerTools, format!("{}: googleSearch", server.kind));
        let rules = ["search_context_size", "allowed_domains", "user_location"];
        SearchRules::of(server.raw).note_lost(&rules, losses);
        ("googleSearch", "{}")
    } else {
        losses.refused(Field::ServerTools, &*server.kind);
        return false;
    };
    let mut members = ObjectWriter::open(elements.next());
    members.raw(kind, definition);
    members.close();
    true
}

/// Writes `toolConfig`: which tool must be called.
fn config(request: &NeutralRequest<'_>, offer: ToolOffer, writing: &mut RuleWriting<'_, '_>) {
    let (mode, names) = match offer {
        ToolOffer::NoFunctions => {
            if matches!(request.tool_choice, Some(ToolChoice::Any | ToolChoice::Tool(_))) {
                writing.losses.dropped(Field::ToolChoice);
            }
            return;
        }
        ToolOffer::Functions | ToolOffer::Both => calling(request, writing.losses),
    };
    if mode.is_none() && offer == ToolOffer::Functions {
        return;
    }
    writing.members.within("toolConfig", |members| {
        if let Some(mode) = mode {
            members.within("functionCallingConfig", |members| {
                members.text("mode", mode);
                if !names.is_empty() {
                    let names: Vec<_> = names.into_iter().map(function_name::written).collect();
                    push_texts(members.key("allowedFunctionNames"), names.iter().map(|name| &**name));
                }
            });
        }
        if offer == ToolOffer::Both {
            members.raw("includeServerSideToolInvocations", "true");
        }
    });
}

/// Returns the mode of calling and the names that it is bound to.
fn calling<'r>(request: &'r NeutralRequest<'_>, losses: &mut LossReport) -> (Option<&'static str>, Vec<&'r str>) {
    match &request.tool_choice {
        None | Some(ToolChoice::Auto) => (validated(request, losses), Vec::new()),
        Some(ToolChoice::None) => (Some("NONE"), Vec::new()),
        Some(ToolChoice::Any) => (Some("ANY"), Vec::new()),
        Some(ToolChoice::Tool(name)) if !is_function_named(request, name) => {
            losses.dropped(Field::ToolChoice);
            (None, Vec::new())
        }
        Some(ToolChoice::Tool(name)) => (Some("ANY"), vec![&**name]),
        Some(ToolChoice::Allowed { names, is_required }) => {
            let mode = if *is_required { "ANY" } else { "VALIDATED" };
            (Some(mode), names.iter().map(|name| &**name).collect())
        }
    }
}

fn is_function_named(request: &NeutralRequest<'_>, name: &str) -> bool {
    request.tools.iter().any(|tool| {
        let client = client_tool(tool).map(|client| client.name);
        let is_function = !matches!(tool.kind, ToolKind::Server(_)) || client.is_some();
        is_function && (tool.name == name || client == Some(name))
    })
}

/// Returns the mode in which calls follow their schemas, where a tool is strict.
fn validated(request: &NeutralRequest<'_>, losses: &mut LossReport) -> Option<&'static str> {
    let mut functions = request.tools.iter().filter(|tool| !matches!(tool.kind, ToolKind::Server(_)));
    let is_strict = |tool: &Tool<'_>| matches!(tool.kind, ToolKind::Function { strict: Some(true), .. });
    if !functions.clone().any(is_strict) {
        return None;
    }
    if !functions.all(is_strict) {
        losses.changed(Field::StrictTools, "every tool");
    }
    Some("VALIDATED")
}
