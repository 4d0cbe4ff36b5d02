//! Tools in the form of chat completions, read.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::turns_reader::cache_mark;
use crate::json::{self, Fields};
use crate::loss::{Field, LossReport};
use crate::neutral::{NeutralRequest, ServerTool, Tool, ToolChoice, ToolKind};

/// Reads the list of tools.
pub(super) fn read<'b>(request: &mut NeutralRequest<'b>, raw: &'b RawValue, losses: &mut LossReport) {
    let Some(tools) = json::list(raw) else {
        losses.dropped_at(Field::Tools, "tools");
        return;
    };
    for (index, raw) in tools.into_iter().enumerate() {
        match Fields::of(raw).and_then(|fields| tool(&fields, raw, losses)) {
            Some(tool) => request.tools.push(tool),
            None => losses.dropped_at(Field::Tools, format!("tools[{index}]")),
        }
    }
}

fn tool<'b>(fields: &Fields<'b>, raw: &'b RawValue, losses: &mut LossReport) -> Option<Tool<'b>> {
    let kind = fields.text("type").unwrap_or(Cow::Borrowed("function"));
    let mut tool = match &*kind {
        "function" => {
            let function = fields.object("function")?;
            let is_known = |name: &str| matches!(name, "name" | "description" | "parameters" | "strict");
            if let Some((name, _)) = function.iter().find(|(name, raw)| !is_known(name) && !json::is_null(raw)) {
                losses.dropped_at(Field::ToolDetails, format!("tools.function.{name}"));
            }
            function_tool(&function)?
        }
        "custom" => custom_tool(&fields.object("custom")?)?,
        _ => Tool {
            name: fields.text("name").unwrap_or_else(|| kind.clone()),
            description: None,
            kind: ToolKind::Server(ServerTool { kind: kind.clone(), raw }),
            cache: None,
        },
    };
    tool.cache = cache_mark(fields);
    Some(tool)
}

fn function_tool<'b>(function: &Fields<'b>) -> Option<Tool<'b>> {
    Some(Tool {
        name: function.text("name")?,
        description: function.text("description"),
        kind: ToolKind::Function { schema: function.get("parameters"), strict: function.value("strict") },
        cache: cache_mark(function),
    })
}

fn custom_tool<'b>(custom: &Fields<'b>) -> Option<Tool<'b>> {
    let grammar = custom.object("format").and_then(|format| format.object("grammar"));
    let grammar = grammar.and_then(|grammar| Some((grammar.text("syntax")?, grammar.text("definition")?)));
    Some(Tool {
        name: custom.text("name")?,
        description: custom.text("description"),
        kind: ToolKind::Custom { grammar },
        cache: None,
    })
}

/// Reads the list of tools in its first form, `functions`.
pub(super) fn functions<'b>(functions: &[&'b RawValue]) -> Vec<Tool<'b>> {
    functions.iter().filter_map(|raw| function_tool(&Fields::of(raw)?)).collect()
}

/// Reads the rule which tool must be called.
pub(super) fn choice(raw: &RawValue) -> Option<ToolChoice<'_>> {
    if let Some(word) = json::text(raw) {
        return match &*word {
            "auto" => Some(ToolChoice::Auto),
            "none" => Some(ToolChoice::None),
            "required" | "any" => Some(ToolChoice::Any),
            _ => None,
        };
    }
    let fields = Fields::of(raw)?;
    match &*fields.text("type")? {
        "function" => fields.object("function")?.text("name").map(ToolChoice::Tool),
        "custom" => fields.object("custom")?.text("name").map(ToolChoice::Tool),
        "allowed_tools" => {
            let allowed = fields.object("allowed_tools")?;
            let names = allowed.list("tools").into_iter().filter_map(allowed_name).collect();
            Some(ToolChoice::Allowed { names, is_required: allowed.text("mode").as_deref() == Some("required") })
        }
        _ => None,
    }
}

fn allowed_name(raw: &RawValue) -> Option<Cow<'_, str>> {
    let fields = Fields::of(raw)?;
    fields.object("function").or_else(|| fields.object("custom"))?.text("name")
}

/// Reads the rule in its first form, `function_call`.
pub(super) fn function_choice(raw: &RawValue) -> Option<ToolChoice<'_>> {
    match json::text(raw) {
        Some(word) if word == "none" => Some(ToolChoice::None),
        Some(_) => Some(ToolChoice::Auto),
        None => Fields::of(raw)?.text("name").map(ToolChoice::Tool),
    }
}
