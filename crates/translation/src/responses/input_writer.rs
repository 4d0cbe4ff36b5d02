//! Turns, written as the items of a request's `input`.

use super::content_writer::write_content;
use super::result_pairing::ResultPairing;
use crate::conversion::asked_turns::AskedTurns;
use crate::conversion::tool_name;
use crate::family::DialectFamily;
use crate::json::writer::{ListWriter, ObjectWriter};
use crate::loss::{Field, LossReport};
use crate::neutral::{CallKind, Part, PartBody, Thinking, ToolCall, ToolResult, Turn, TurnRole};

/// A writer of the items of one request.
pub(super) struct InputWriter<'l, 'o, 'w> {
    list: &'l mut ListWriter<'o>,
    losses: &'w mut LossReport,
    ids: ResultPairing,
    /// The items that needed an id which nobody gave.
    made: usize,
}

impl<'l, 'o, 'w> InputWriter<'l, 'o, 'w> {
    /// Makes a writer to a list.
    pub(super) fn new(list: &'l mut ListWriter<'o>, losses: &'w mut LossReport) -> Self {
        Self { list, losses, ids: ResultPairing::default(), made: 0 }
    }

    /// Writes every turn from the place `first` on.
    pub(super) fn turns(&mut self, turns: &[Turn<'_>], first: usize) {
        let mut asked = AskedTurns::of(turns, self.losses);
        let turns = turns.get(first..).unwrap_or_default();
        for (place, turn) in turns.iter().enumerate().map(|(at, turn)| (first + at, turn)) {
            let written = self.list.len();
            if turn.parts.is_empty() && asked.blank() == Some(place) {
                self.message(turn.role, &[Part::text("")]);
            } else {
                self.turn(turn);
            }
            if self.list.len() > written {
                asked.goes_out(place);
            }
        }
        asked.refuse_if_emptied(self.losses);
        let is_text = |part: &Part<'_>| matches!(part.body, PartBody::Text { .. });
        if turns.last().is_some_and(|turn| turn.role == TurnRole::Assistant && turn.parts.iter().all(is_text)) {
            self.losses.changed(Field::Prefill, "a turn that is whole");
        }
    }

    fn turn(&mut self, turn: &Turn<'_>) {
        if turn.name.is_some() {
            self.losses.dropped(Field::Names);
        }
        if turn.parts.is_empty() {
            self.losses.changed(Field::EmptyTurns, "left out");
        }
        // Runs of parts that one message holds, and what is an item of its own between them.
        let mut from = 0;
        for (at, part) in turn.parts.iter().enumerate() {
            if part.cache.is_some() {
                self.losses.changed(Field::CacheMarks, "implicit caching");
            }
            if part.sealed.as_ref().is_some_and(|sealed| sealed.for_maker(DialectFamily::Responses).is_none()) {
                self.losses.dropped(Field::Sealed);
            }
            let is_own_item = matches!(
                part.body,
                PartBody::ToolCall(_) | PartBody::ToolResult(_) | PartBody::Thinking(_) | PartBody::Native { .. }
            );
            if is_own_item {
                self.message(turn.role, &turn.parts[from..at]);
                self.own_item(&part.body);
                from = at + 1;
            }
        }
        self.message(turn.role, &turn.parts[from..]);
    }

    fn message(&mut self, role: TurnRole, parts: &[Part<'_>]) {
        if parts.is_empty() {
            return;
        }
        match role {
            TurnRole::Assistant => self.assistant_message(parts),
            TurnRole::System => self.client_message("system", parts),
            TurnRole::Developer => self.client_message("developer", parts),
            TurnRole::User => self.client_message("user", parts),
        }
    }

    fn client_message(&mut self, role: &str, parts: &[Part<'_>]) {
        let mut content = Vec::new();
        write_content(parts, &mut content, self.losses);
        if content == b"[]" {
            return;
        }
        let mut item = ObjectWriter::of_type("message", self.list.next());
        item.text("role", role);
        match parts {
            [Part { body: PartBody::Text { text, .. }, .. }] => item.text("content", text),
            _ => item.raw("content", &content),
        }
        item.close();
    }

    /// Writes what the model said: a text as such, and anything else in the form in which the API gives it.
    fn assistant_message(&mut self, parts: &[Part<'_>]) {
        for part in parts {
            match &part.body {
                PartBody::Text { citations: Some(_), .. } => self.losses.dropped(Field::Citations),
                PartBody::Text { .. } | PartBody::Refusal(_) => {}
                PartBody::Image(_) => self.losses.dropped(Field::Images),
                PartBody::Audio(audio) if audio.transcript.is_some() => {
                    self.losses.changed(Field::Audio, "its transcript");
                }
                PartBody::Audio(_) => self.losses.dropped(Field::Audio),
                PartBody::Video(_) => self.losses.dropped(Field::Video),
                _ => self.losses.dropped(Field::Documents),
            }
        }
        let said: Vec<_> = parts.iter().filter_map(said).collect();
        if said.is_empty() {
            return;
        }
        let mut item = ObjectWriter::of_type("message", self.list.next());
        if let [WrittenSpeech::Text(text)] = &*said {
            item.text("role", "assistant");
            item.text("content", text);
            item.close();
            return;
        }
        item.text("id", &format!("msg_{}", self.made));
        self.made += 1;
        item.raw("role", r#""assistant","status":"completed""#);
        let mut content = ListWriter::open(item.key("content"));
        for said in said {
            match said {
                WrittenSpeech::Text(text) => {
                    let mut part = ObjectWriter::of_type("output_text", content.next());
                    part.text("text", text);
                    part.raw("annotations", "[]");
                    part.close();
                }
                WrittenSpeech::Refusal(text) => {
                    let mut part = ObjectWriter::of_type("refusal", content.next());
                    part.text("refusal", text);
                    part.close();
                }
            }
        }
        content.close();
        item.close();
    }

    fn own_item(&mut self, body: &PartBody<'_>) {
        match body {
            PartBody::ToolCall(call) => self.call(call),
            PartBody::ToolResult(result) => self.result(result),
            PartBody::Thinking(thought) => self.thought(thought),
            PartBody::Native { kind, .. } => {
                self.losses.dropped_at(Field::Items, kind.to_string());
            }
            _ => {}
        }
    }

    fn call(&mut self, call: &ToolCall<'_>) {
        let id = self.ids.of_call(call);
        let (kind, field) = match call.kind {
            CallKind::Function => ("function_call", "arguments"),
            CallKind::Custom => ("custom_tool_call", "input"),
        };
        let mut item = ObjectWriter::of_type(kind, self.list.next());
        item.text("call_id", &id);
        item.text("name", &tool_name::written(&call.name));
        // A call without arguments is an empty object: no text is no JSON.
        let is_empty = call.kind == CallKind::Function && call.arguments.trim().is_empty();
        item.text(field, if is_empty { "{}" } else { &call.arguments });
        item.close();
    }

    fn result(&mut self, result: &ToolResult<'_>) {
        let id = self.ids.of_result(result);
        let kind = match result.kind {
            CallKind::Function => "function_call_output",
            CallKind::Custom => "custom_tool_call_output",
        };
        if result.is_error == Some(true) && !says_error(&result.parts) {
            self.losses.dropped(Field::ToolErrors);
        }
        let mut item = ObjectWriter::of_type(kind, self.list.next());
        item.text("call_id", &id);
        match &*result.parts {
            [] => item.text("output", ""),
            [Part { body: PartBody::Text { text, .. }, .. }] => item.text("output", text),
            parts => {
                let mut content = Vec::new();
                write_content(parts, &mut content, self.losses);
                item.raw("output", if content == b"[]" { &b"\"\""[..] } else { &content });
            }
        }
        item.close();
    }

    /// Writes a thought to its maker, and to no one else.
    fn thought(&mut self, thought: &Thinking<'_>) {
        let sealed = thought.sealed.as_ref();
        let Some((sealed, text)) = sealed.and_then(|own| Some((own, own.for_maker(DialectFamily::Responses)?))) else {
            self.losses.dropped(Field::Thinking);
            return;
        };
        let mut item = ObjectWriter::of_type("reasoning", self.list.next());
        match &sealed.id {
            Some(id) => item.text("id", id),
            None => {
                item.text("id", &format!("rs_{}", self.made));
                self.made += 1;
            }
        }
        let mut summary = ListWriter::open(item.key("summary"));
        if !thought.text.is_empty() {
            let mut part = ObjectWriter::of_type("summary_text", summary.next());
            part.text("text", &thought.text);
            part.close();
        }
        summary.close();
        item.text("encrypted_content", text);
        item.close();
    }
}

/// The words of a model in a message.
enum WrittenSpeech<'p> {
    Text(&'p str),
    Refusal(&'p str),
}

fn said<'p>(part: &'p Part<'_>) -> Option<WrittenSpeech<'p>> {
    match &part.body {
        PartBody::Text { text, .. } => Some(WrittenSpeech::Text(text)),
        PartBody::Refusal(text) => Some(WrittenSpeech::Refusal(text)),
        PartBody::Audio(audio) => audio.transcript.as_deref().map(WrittenSpeech::Text),
        _ => None,
    }
}

/// Tells whether a result says by itself that the call failed.
fn says_error(parts: &[Part<'_>]) -> bool {
    parts.iter().any(|part| match &part.body {
        PartBody::Text { text, .. } => {
            text.trim_start().get(..5).is_some_and(|word| word.eq_ignore_ascii_case("error"))
        }
        _ => false,
    })
}
