//! Tools on offer and the rule of their choice, read.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::tool_names::joined;
use crate::conversion::client_tool::ClientTool;
use crate::json::{self, Fields};
use crate::loss::{Field, LossReport};
use crate::neutral::{ServerTool, Tool, ToolChoice, ToolKind};
use crate::refusal::TranslationRefusal;

/// A reader of tools.
pub(super) struct ToolReading<'b, 'r> {
    /// The tools that were found.
    pub(super) tools: &'r mut Vec<Tool<'b>>,
    /// The report of what was not carried over as it was.
    pub(super) losses: &'r mut LossReport,
}

impl<'b> ToolReading<'b, '_> {
    /// Reads a list of tools.
    pub(super) fn list(&mut self, raw: &'b RawValue) -> Result<(), TranslationRefusal> {
        let Some(elements) = json::list(raw) else {
            return Err(TranslationRefusal::malformed("tools", "must be a list"));
        };
        for (index, raw) in elements.into_iter().enumerate() {
            let Some(fields) = Fields::of(raw) else {
                return Err(TranslationRefusal::malformed(format!("tools[{index}]"), "must be an object"));
            };
            self.tool(&fields, raw, index)?;
        }
        Ok(())
    }

    fn tool(&mut self, fields: &Fields<'b>, raw: &'b RawValue, index: usize) -> Result<(), TranslationRefusal> {
        let kind = fields.text("type").unwrap_or_default();
        match &*kind {
            "function" | "custom" => self.defined(fields, None, index),
            "namespace" => self.namespace(fields, index),
            "tool_search" => {
                self.tool_search(fields);
                Ok(())
            }
            _ => {
                self.vendors(kind, fields, raw);
                Ok(())
            }
        }
    }

    /// Reads a function or a tool of free text.
    fn defined(
        &mut self,
        fields: &Fields<'b>,
        namespace: Option<&str>,
        index: usize,
    ) -> Result<(), TranslationRefusal> {
        let Some(name) = fields.text("name") else {
            return Err(TranslationRefusal::malformed(format!("tools[{index}].name"), "is missing"));
        };
        self.details(fields);
        let kind = if fields.text("type").as_deref() == Some("custom") {
            ToolKind::Custom { grammar: grammar(fields) }
        } else {
            ToolKind::Function { schema: fields.get("parameters"), strict: fields.value("strict") }
        };
        let name = joined(namespace, name);
        self.tools.push(Tool { name, description: fields.text("description"), kind, cache: None });
        Ok(())
    }

    /// Reads the tools of a namespace: under names that begin with the namespace's, its description before the first's.
    fn namespace(&mut self, fields: &Fields<'b>, index: usize) -> Result<(), TranslationRefusal> {
        let namespace = fields.text("name").unwrap_or_default();
        let first = self.tools.len();
        for raw in fields.list("tools") {
            let Some(tool) = Fields::of(raw) else {
                return Err(TranslationRefusal::malformed(format!("tools[{index}].tools"), "must hold objects"));
            };
            self.defined(&tool, Some(&namespace), index)?;
        }
        if let (Some(about), Some(tool)) = (fields.text("description"), self.tools.get_mut(first)) {
            let description = match tool.description.take() {
                Some(own) => Cow::Owned(format!("{about}\n\n{own}")),
                None => about,
            };
            tool.description = Some(description);
        }
        self.losses.changed(Field::ToolDetails, "namespaces: part of the tools' names");
        Ok(())
    }

    /// A search that the vendor makes has nothing to find where every tool is on offer; one that the client makes is a
    /// function.
    fn tool_search(&mut self, fields: &Fields<'b>) {
        if fields.text("execution").as_deref() != Some("client") {
            self.losses.changed(Field::ServerTools, "tool_search: every tool is on offer");
            return;
        }
        let kind = ToolKind::Function { schema: fields.get("parameters"), strict: None };
        let description = fields.text("description");
        self.tools.push(Tool { name: "tool_search".into(), description, kind, cache: None });
        self.losses.changed(Field::ServerTools, "tool_search: a function");
    }

    /// Reads a tool whose schema is the vendor's.
    fn vendors(&mut self, kind: Cow<'b, str>, fields: &Fields<'b>, raw: &'b RawValue) {
        let runs_at_client =
            fields.object("environment").is_none_or(|place| place.text("type").as_deref() == Some("local"));
        match ClientTool::of_kind(&kind).filter(|_| runs_at_client) {
            Some(tool) => {
                self.losses.changed(Field::ServerTools, format!("{kind}: a function"));
                self.tools.push(Tool {
                    name: tool.name.into(),
                    description: Some(tool.description.into()),
                    kind: ToolKind::Function { schema: serde_json::from_str(tool.schema).ok(), strict: None },
                    cache: None,
                });
            }
            None => {
                let name = fields.text("name").unwrap_or_else(|| kind.clone());
                let kind = ToolKind::Server(ServerTool { kind, raw });
                self.tools.push(Tool { name, description: None, kind, cache: None });
            }
        }
    }

    /// Notes the rules of a tool that no other API has.
    fn details(&mut self, fields: &Fields<'b>) {
        const KNOWN: [&str; 7] = ["type", "name", "description", "parameters", "strict", "format", "async"];
        for (name, raw) in fields.iter() {
            let is_default = matches!(raw.get(), "null" | "false" | r#"["direct"]"#);
            if (!KNOWN.contains(&name) || name == "async") && !is_default {
                match name {
                    "defer_loading" => self.losses.changed(Field::ToolDetails, "defer_loading: on offer at once"),
                    _ => self.losses.dropped_as(Field::ToolDetails, name),
                }
            }
        }
    }
}

fn grammar<'b>(fields: &Fields<'b>) -> Option<(Cow<'b, str>, Cow<'b, str>)> {
    let format = fields.object("format")?;
    Some((format.text("syntax")?, format.text("definition")?))
}

/// Reads the rule which tool must be called.
pub(super) fn tool_choice<'b>(raw: &'b RawValue, losses: &mut LossReport) -> Option<ToolChoice<'b>> {
    if let Some(text) = json::text(raw) {
        return match &*text {
            "auto" => Some(ToolChoice::Auto),
            "none" => Some(ToolChoice::None),
            "required" => Some(ToolChoice::Any),
            _ => {
                losses.dropped_as(Field::ToolChoice, text);
                None
            }
        };
    }
    let fields = Fields::of(raw)?;
    let kind = fields.text("type").unwrap_or_default();
    match &*kind {
        "function" | "custom" => Some(ToolChoice::Tool(named(&fields)?)),
        "local_shell" | "shell" | "apply_patch" => Some(ToolChoice::Tool(kind)),
        "allowed_tools" => {
            let allowed: Vec<_> = fields.list("tools").into_iter().filter_map(Fields::of).collect();
            let names = allowed.iter().filter_map(|tool| named(tool).or_else(|| tool.text("type"))).collect();
            let is_required = fields.text("mode").as_deref() == Some("required");
            Some(ToolChoice::Allowed { names, is_required })
        }
        _ => {
            losses.dropped_as(Field::ToolChoice, kind);
            None
        }
    }
}

fn named<'b>(fields: &Fields<'b>) -> Option<Cow<'b, str>> {
    Some(joined(fields.text("namespace").as_deref(), fields.text("name")?))
}
