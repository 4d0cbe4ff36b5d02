//! A request's `input`, read: items into turns.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

use serde_json::value::RawValue;

use super::content_reader::content;
use super::place::{ItemPlace, note_unknown};
use super::thoughts::{self, CallOrThought};
use super::tool_names::joined;
use super::tool_reader::ToolReading;
use crate::conversion::sealed::VendorSeal;
use crate::json::{self, Fields};
use crate::loss::{Field, LossReport};
use crate::neutral::{CallKind, Part, PartBody, Tool, ToolCall, ToolResult, Turn, TurnRole};
use crate::refusal::TranslationRefusal;

/// The fields of calls that are read, or that only say where an item was made.
const CALL_FIELDS: [&str; 14] = [
    "type",
    "id",
    "call_id",
    "name",
    "namespace",
    "arguments",
    "input",
    "action",
    "operation",
    "execution",
    "status",
    "caller",
    "environment",
    "created_by",
];

/// The fields of results that are read, or that only say where an item was made.
const RESULT_FIELDS: [&str; 9] =
    ["type", "id", "call_id", "name", "namespace", "output", "status", "caller", "created_by"];

/// A reader of the items of one request.
pub(super) struct InputReader<'b, 'l> {
    /// The report of what was not carried over as it was.
    losses: &'l mut LossReport,
    /// The turns so far.
    turns: Vec<Turn<'b>>,
    /// Tools that items add.
    tools: Vec<Tool<'b>>,
    /// The last item that changes the configuration.
    update: Option<Fields<'b>>,
    /// Seals on calls, by the ids of the calls.
    call_seals: HashMap<Cow<'b, str>, VecDeque<VendorSeal<'b>>>,
    /// Ids of shell calls' items, with the ids of the calls.
    shell_calls: HashMap<Cow<'b, str>, Cow<'b, str>>,
}

/// The contents of a request's items.
pub(super) struct InputItems<'b> {
    /// The turns.
    pub(super) turns: Vec<Turn<'b>>,
    /// Tools that items add.
    pub(super) tools: Vec<Tool<'b>>,
    /// The configuration from the last turn on.
    pub(super) update: Option<Fields<'b>>,
}

impl<'b, 'l> InputReader<'b, 'l> {
    /// Makes a reader.
    pub(super) fn new(losses: &'l mut LossReport) -> Self {
        Self {
            losses,
            turns: Vec::new(),
            tools: Vec::new(),
            update: None,
            call_seals: HashMap::new(),
            shell_calls: HashMap::new(),
        }
    }

    /// Reads the whole input: a text, or a list of items.
    pub(super) fn read(mut self, raw: &'b RawValue) -> Result<InputItems<'b>, TranslationRefusal> {
        if let Some(text) = json::text(raw) {
            self.turns.push(Turn { role: TurnRole::User, name: None, parts: vec![Part::text(text)] });
        } else {
            let Some(items) = json::list(raw) else {
                return Err(TranslationRefusal::malformed("input", "must be a text or a list"));
            };
            for (index, raw) in items.into_iter().enumerate() {
                self.item(raw, ItemPlace::of_item(index))?;
            }
        }
        self.seal_calls();
        Ok(InputItems { turns: self.turns, tools: self.tools, update: self.update })
    }

    fn item(&mut self, raw: &'b RawValue, place: ItemPlace) -> Result<(), TranslationRefusal> {
        let Some(fields) = Fields::of(raw) else {
            return Err(TranslationRefusal::malformed(place.name(), "an item must be an object"));
        };
        let kind = match fields.text("type") {
            Some(kind) => kind,
            None if fields.get("role").is_some() => "message".into(),
            None => "item_reference".into(),
        };
        match &*kind {
            "message" => self.message(&fields, place),
            "reasoning" => {
                self.reasoning(&fields, place);
                Ok(())
            }
            "function_call" | "custom_tool_call" | "local_shell_call" | "shell_call" | "apply_patch_call"
            | "tool_search_call" => {
                self.call(&fields, &kind, place);
                Ok(())
            }
            "function_call_output" | "custom_tool_call_output" => self.result(&fields, &kind, place),
            "local_shell_call_output" | "shell_call_output" | "apply_patch_call_output" => {
                self.native_result(&fields, &kind);
                Ok(())
            }
            "tool_search_output" => self.tool_search_output(&fields),
            "additional_tools" => self.more_tools(&fields),
            _ => {
                self.rare_item(fields, &kind, place);
                Ok(())
            }
        }
    }

    /// Notes items that no other API knows.
    fn rare_item(&mut self, fields: Fields<'b>, kind: &str, place: ItemPlace) {
        match kind {
            "item_reference" | "compaction" | "compaction_summary" | "compaction_trigger" => {
                self.losses.refused(Field::StoredState, format!("{}: {kind}", place.name()));
            }
            "configuration_update" => {
                self.losses.changed(Field::Items, "configuration_update: of the whole request");
                self.update = Some(fields);
            }
            // The answer that followed says what was found.
            "web_search_call" | "mcp_list_tools" => {
                self.losses.changed(Field::ServerTools, format!("{kind} of earlier turns: left out"));
            }
            "computer_call"
            | "computer_call_output"
            | "program"
            | "program_output"
            | "mcp_approval_request"
            | "mcp_approval_response" => {
                self.losses.refused(Field::Items, format!("{}: {kind}", place.name()));
            }
            _ => self.losses.dropped_at(Field::Items, format!("{}: {kind}", place.name())),
        }
    }

    fn message(&mut self, fields: &Fields<'b>, place: ItemPlace) -> Result<(), TranslationRefusal> {
        let role = match fields.text("role").as_deref() {
            Some("user") => TurnRole::User,
            Some("assistant") => TurnRole::Assistant,
            Some("system") => TurnRole::System,
            Some("developer") => TurnRole::Developer,
            _ => return Err(TranslationRefusal::malformed(format!("{}.role", place.name()), "is no known role")),
        };
        note_unknown(fields, &["type", "id", "role", "content", "status", "phase"], place, self.losses);
        if let Some(phase) = fields.text("phase") {
            self.losses.dropped_as(Field::Other, format!("phase: {phase}"));
        }
        let mut parts = match fields.get("content") {
            Some(raw) => content(raw, place, self.losses)?,
            None => Vec::new(),
        };
        // An assistant's items are one turn, but two of its messages stay two.
        match self.turns.last_mut() {
            Some(turn) if role == TurnRole::Assistant && turn.role == role && !ends_in_text(turn) => {
                turn.parts.append(&mut parts);
            }
            _ => self.turns.push(Turn { role, name: None, parts }),
        }
        Ok(())
    }

    fn reasoning(&mut self, fields: &Fields<'b>, place: ItemPlace) {
        note_unknown(fields, &["type", "id", "summary", "content", "encrypted_content", "status"], place, self.losses);
        let thought = thoughts::read(fields);
        match thoughts::of_call(thought) {
            CallOrThought::Call { mark, sealed } => self.call_seals.entry(mark).or_default().push_back(sealed),
            CallOrThought::Thought(thought) => self.say(Part::new(PartBody::Thinking(thought))),
        }
    }

    fn call(&mut self, fields: &Fields<'b>, kind: &str, place: ItemPlace) {
        if fields.object("caller").is_some_and(|caller| caller.text("type").as_deref() != Some("direct")) {
            self.losses.refused(Field::Items, format!("{}: called by a program", place.name()));
        }
        note_unknown(fields, &CALL_FIELDS, place, self.losses);
        let id = fields.text("call_id").or_else(|| fields.text("id")).unwrap_or_default();
        let namespace = fields.text("namespace");
        let name = fields.text("name").unwrap_or_default();
        let arguments = |field: &str| raw_text(fields.get(field));
        let mut call_kind = CallKind::Function;
        let (name, arguments) = match kind {
            "custom_tool_call" => {
                call_kind = CallKind::Custom;
                (joined(namespace.as_deref(), name), fields.text("input").unwrap_or_default())
            }
            "local_shell_call" => {
                self.shell_calls.insert(fields.text("id").unwrap_or_default(), id.clone());
                ("local_shell".into(), arguments("action"))
            }
            "shell_call" => ("shell".into(), arguments("action")),
            "apply_patch_call" => ("apply_patch".into(), arguments("operation")),
            "tool_search_call" if fields.text("execution").as_deref() != Some("client") => return,
            "tool_search_call" => ("tool_search".into(), arguments("arguments")),
            _ => (joined(namespace.as_deref(), name), fields.text("arguments").unwrap_or_default()),
        };
        self.say(Part::new(PartBody::ToolCall(ToolCall { id, name, arguments, kind: call_kind })));
    }

    fn result(&mut self, fields: &Fields<'b>, kind: &str, place: ItemPlace) -> Result<(), TranslationRefusal> {
        note_unknown(fields, &RESULT_FIELDS, place, self.losses);
        let parts = match fields.get("output") {
            Some(raw) => content(raw, place, self.losses)?,
            None => Vec::new(),
        };
        let namespace = fields.text("namespace");
        self.answer(ToolResult {
            call_id: fields.text("call_id").unwrap_or_default(),
            name: fields.text("name").map(|name| joined(namespace.as_deref(), name)),
            parts,
            is_error: None,
            kind: if kind == "custom_tool_call_output" { CallKind::Custom } else { CallKind::Function },
        });
        Ok(())
    }

    /// Reads the result of a tool whose form is the vendor's.
    fn native_result(&mut self, fields: &Fields<'b>, kind: &str) {
        let id = fields.text("call_id").or_else(|| fields.text("id")).unwrap_or_default();
        let call_id = self.shell_calls.get(&id).cloned().unwrap_or(id);
        let is_error = match (kind, fields.text("status").as_deref()) {
            ("apply_patch_call_output", Some("failed")) => Some(true),
            _ => None,
        };
        let output = raw_text(fields.get("output"));
        let output = if output.is_empty() { fields.text("status").unwrap_or_default() } else { output };
        let parts = vec![Part::text(output)];
        self.answer(ToolResult { call_id, name: None, parts, is_error, kind: CallKind::Function });
    }

    /// Reads what a search for tools found: more tools, and for the model the list of them.
    fn tool_search_output(&mut self, fields: &Fields<'b>) -> Result<(), TranslationRefusal> {
        self.more_tools(fields)?;
        if fields.text("execution").as_deref() == Some("client") {
            let call_id = fields.text("call_id").unwrap_or_default();
            let parts = vec![Part::text(raw_text(fields.get("tools")))];
            self.answer(ToolResult { call_id, name: None, parts, is_error: None, kind: CallKind::Function });
        }
        Ok(())
    }

    fn more_tools(&mut self, fields: &Fields<'b>) -> Result<(), TranslationRefusal> {
        let Some(raw) = fields.get("tools") else { return Ok(()) };
        self.losses.changed(Field::Tools, "tools of later items: on offer from the beginning");
        ToolReading { tools: &mut self.tools, losses: self.losses }.list(raw)
    }

    /// Adds a part to the assistant's turn.
    fn say(&mut self, part: Part<'b>) {
        match self.turns.last_mut() {
            Some(turn) if turn.role == TurnRole::Assistant => turn.parts.push(part),
            _ => self.turns.push(Turn { role: TurnRole::Assistant, name: None, parts: vec![part] }),
        }
    }

    /// Adds a result to the user's turn that holds the results of the same calls.
    fn answer(&mut self, result: ToolResult<'b>) {
        let part = Part::new(PartBody::ToolResult(result));
        let is_result = |part: &Part<'_>| matches!(part.body, PartBody::ToolResult(_));
        match self.turns.last_mut() {
            Some(turn) if turn.role == TurnRole::User && turn.parts.last().is_some_and(is_result) => {
                turn.parts.push(part);
            }
            _ => self.turns.push(Turn { role: TurnRole::User, name: None, parts: vec![part] }),
        }
    }

    /// Puts the seals that came beside calls onto the calls. Where an id comes twice, each seal is of another call.
    fn seal_calls(&mut self) {
        if self.call_seals.is_empty() {
            return;
        }
        for part in self.turns.iter_mut().flat_map(|turn| turn.parts.iter_mut()) {
            let PartBody::ToolCall(call) = &part.body else { continue };
            let mark = thoughts::call_mark(&call.id);
            let waiting = mark.and_then(|mark| self.call_seals.get_mut(mark.as_str()));
            part.sealed = waiting.and_then(VecDeque::pop_front);
        }
    }
}

/// Tells whether a turn's last part is of a message.
fn ends_in_text(turn: &Turn<'_>) -> bool {
    let is_text = |part: &Part<'_>| matches!(part.body, PartBody::Text { .. } | PartBody::Refusal(_));
    turn.parts.last().is_some_and(is_text)
}

/// Returns a text, or the JSON of any other value.
fn raw_text(raw: Option<&RawValue>) -> Cow<'_, str> {
    raw.map(|raw| json::text(raw).unwrap_or(Cow::Borrowed(raw.get()))).unwrap_or_default()
}
