//! Turns, written as messages of chat completions.

use std::borrow::Cow;
use std::iter::{Enumerate, Peekable};
use std::slice::Iter;

use super::parts_writer::{self, ContentWriting};
use super::request_writer::is_own;
use super::thought;
use crate::conversion::asked_turns::AskedTurns;
use crate::conversion::{custom_tool, tool_id, tool_name};
use crate::family::DialectFamily;
use crate::json::writer::{ObjectWriter, push_list};
use crate::loss::{Field, LossReport};
use crate::neutral::{CallKind, NeutralRequest, Part, PartBody, Thinking, ToolCall, ToolResult, Turn, TurnRole};

/// The longest id of a call that OpenAI takes.
const LONGEST_ID: usize = 40;

/// Writes the list of messages.
pub(super) fn write(request: &NeutralRequest<'_>, out: &mut Vec<u8>, losses: &mut LossReport) {
    out.push(b'[');
    let asked = AskedTurns::of(&request.turns, losses);
    let mut writer =
        TurnsWriter { out, is_own: is_own(request), losses, asked, unanswered: Vec::new(), made_ids: 0, written: 0 };
    let mut turns = request.turns.iter().enumerate().peekable();
    while let Some((place, turn)) = turns.next() {
        if turn.role == TurnRole::Assistant {
            let whole = whole_turn(turn, &mut turns);
            writer.assistant(&whole, turn.name.as_deref(), place);
            continue;
        }
        let mut between = vec![(place, turn)];
        while !writer.is_own
            && let Some(next) = turns.next_if(|(_, next)| next.role != TurnRole::Assistant)
        {
            between.push(next);
        }
        writer.between(&between);
    }
    if !writer.is_own {
        writer.asked.refuse_if_emptied(writer.losses);
    }
    if !writer.is_own && request.turns.last().is_some_and(|turn| turn.role == TurnRole::Assistant) {
        writer.losses.changed(Field::Prefill, "a turn of its own, which the answer does not go on with");
    }
    writer.out.push(b']');
}

/// A turn and its place among all of them.
type PlacedTurn<'r, 'b> = (usize, &'r Turn<'b>);

/// Returns the parts of an assistant's turn with those of the turns after it that belong to the same message: calls are
/// answered together, so nothing may stand between them.
fn whole_turn<'r, 'b>(turn: &'r Turn<'b>, turns: &mut Peekable<Enumerate<Iter<'r, Turn<'b>>>>) -> Vec<&'r Part<'b>> {
    let is_call = |part: &&Part<'_>| matches!(part.body, PartBody::ToolCall(_));
    let mut parts: Vec<_> = turn.parts.iter().collect();
    while parts.iter().any(is_call)
        && let Some((_, next)) = turns.next_if(|(_, next)| next.role == TurnRole::Assistant)
    {
        parts.extend(&next.parts);
    }
    parts
}

fn is_result(part: &Part<'_>) -> bool {
    matches!(part.body, PartBody::ToolResult(_))
}

struct TurnsWriter<'w> {
    out: &'w mut Vec<u8>,
    is_own: bool,
    losses: &'w mut LossReport,
    asked: AskedTurns,
    /// The names and the made ids of calls without an id that have no result yet.
    unanswered: Vec<(String, String)>,
    made_ids: usize,
    written: usize,
}

/// The parts of an assistant's message, by their places in it.
#[derive(Default)]
struct AssistantParts<'r, 'b> {
    content: Vec<&'r Part<'b>>,
    thoughts: Vec<&'r Thinking<'b>>,
    calls: Vec<&'r Part<'b>>,
    refusal: Option<Cow<'r, str>>,
}

impl TurnsWriter<'_> {
    /// Begins a message of the turn at a place.
    fn begin(&mut self, place: usize) {
        self.asked.goes_out(place);
        if self.written > 0 {
            self.out.push(b',');
        }
        self.written += 1;
    }

    fn content_message(&mut self, role: &str, (place, turn): PlacedTurn<'_, '_>, parts: &[&Part<'_>]) {
        let writing = ContentWriting { is_own: self.is_own, texts_only: role != "user" };
        let content = parts_writer::content(parts, writing, self.losses);
        let Some(content) = content else {
            self.losses.changed(Field::EmptyTurns, "left out");
            return;
        };
        self.begin(place);
        let mut message = ObjectWriter::open(self.out);
        message.value("role", role).optional("name", turn.name.as_deref());
        message.key("content").extend_from_slice(&content);
        message.close();
    }

    /// Writes the turns between two of the model's: every result first, for they must follow their calls.
    fn between(&mut self, turns: &[PlacedTurn<'_, '_>]) {
        let is_late = |(_, turn): &PlacedTurn<'_, '_>| turn.parts.iter().any(is_result);
        if turns.iter().skip(1).any(is_late) && turns[0].1.parts.iter().any(|part| !is_result(part)) {
            self.losses.changed(Field::ToolContent, "right after their calls");
        }
        let mut rest: Vec<&Part<'_>> = Vec::new();
        for (place, part) in turns.iter().flat_map(|(place, turn)| turn.parts.iter().map(move |part| (*place, part))) {
            if let PartBody::ToolResult(result) = &part.body {
                self.result(place, part, result);
                let beside = |part: &&Part<'_>| !self.is_own && !parts_writer::is_text(part);
                rest.extend(result.parts.iter().filter(beside));
            }
        }
        if !rest.is_empty() {
            self.losses.changed(Field::ToolContent, "in a user turn after the results");
        }
        for turn in turns {
            self.said(*turn, &mut rest);
        }
    }

    /// Writes what a turn says. `rest` holds what results hold beside text, which the first user turn with results takes.
    fn said<'r>(&mut self, placed: PlacedTurn<'r, 'r>, rest: &mut Vec<&'r Part<'r>>) {
        let (_, turn) = placed;
        let has_results = turn.parts.iter().any(is_result);
        let mut parts = if has_results { std::mem::take(rest) } else { Vec::new() };
        parts.extend(turn.parts.iter().filter(|part| !is_result(part)));
        if !has_results || !parts.is_empty() {
            let role = match turn.role {
                TurnRole::System => "system",
                TurnRole::Developer => "developer",
                TurnRole::User | TurnRole::Assistant => "user",
            };
            self.content_message(role, placed, &parts);
        }
    }

    fn result(&mut self, place: usize, part: &Part<'_>, result: &ToolResult<'_>) {
        let stays = |part: &&Part<'_>| self.is_own || parts_writer::is_text(part);
        let texts: Vec<_> = result.parts.iter().filter(stays).collect();
        let says_error = texts.first().is_some_and(|part| {
            matches!(&part.body, PartBody::Text { text, .. }
                if text.trim_start().get(..5).is_some_and(|word| word.eq_ignore_ascii_case("error")))
        });
        if result.is_error == Some(true) && !says_error {
            self.losses.dropped(Field::ToolErrors);
        }
        if part.cache.is_some() && !self.is_own {
            self.losses.changed(Field::CacheMarks, "implicit caching");
        }
        let id = match &*result.call_id {
            "" => Cow::Owned(self.answered(result.name.as_deref())),
            id => self.legal_id(id),
        };
        let writing = ContentWriting { is_own: self.is_own, texts_only: true };
        let content = parts_writer::content(&texts, writing, self.losses).unwrap_or_else(|| b"\"\"".to_vec());
        self.begin(place);
        let mut message = ObjectWriter::open(self.out);
        message.value("role", "tool").text("tool_call_id", &id);
        message.key("content").extend_from_slice(&content);
        message.close();
    }

    /// Takes the id that was made for the oldest call without a result, of this tool where its name is known.
    fn answered(&mut self, name: Option<&str>) -> String {
        let is_of = |call: &(String, String)| name.is_none_or(|name| call.0 == name);
        match self.unanswered.iter().position(is_of) {
            Some(at) => self.unanswered.remove(at).1,
            None => "call_unknown".to_owned(),
        }
    }

    fn legal_id<'i>(&self, id: &'i str) -> Cow<'i, str> {
        if self.is_own { Cow::Borrowed(id) } else { tool_id::bounded(id, LONGEST_ID) }
    }

    fn assistant(&mut self, parts: &[&Part<'_>], name: Option<&str>, place: usize) {
        let sorted = self.sorted(parts);
        let writing = ContentWriting { is_own: self.is_own, texts_only: true };
        let content = match sorted.content.as_slice() {
            [] => None,
            content => parts_writer::content(content, writing, self.losses),
        };
        let is_empty = content.is_none() && sorted.calls.is_empty() && sorted.refusal.is_none();
        if is_empty && !parts.is_empty() && sorted.thoughts.is_empty() {
            self.losses.changed(Field::EmptyTurns, "left out");
            return;
        }
        let ids: Vec<_> = sorted.calls.iter().map(|part| self.call_id(part)).collect();
        self.begin(place);
        let mut message = ObjectWriter::open(self.out);
        message.value("role", "assistant").optional("name", name);
        let nothing: &[u8] = if is_empty { b"\"\"" } else { b"null" };
        message.key("content").extend_from_slice(content.as_deref().unwrap_or(nothing));
        message.optional("refusal", sorted.refusal.as_deref());
        thought::write(&mut message, &sorted.thoughts);
        if let Some(seal) = sorted.content.last().and_then(|part| part.sealed.as_ref())
            && seal.maker == DialectFamily::Chat
        {
            thought::write_signature(&mut message, seal);
        }
        if !sorted.calls.is_empty() {
            let is_own = self.is_own;
            let calls = sorted.calls.iter().zip(&ids);
            push_list(message.key("tool_calls"), calls, |out, (part, id)| write_call(out, part, id, is_own));
        }
        message.close();
    }

    /// Sorts the parts of an assistant's message by their places in it.
    fn sorted<'r, 'b>(&mut self, parts: &[&'r Part<'b>]) -> AssistantParts<'r, 'b> {
        let mut sorted = AssistantParts::default();
        for part in parts {
            match &part.body {
                PartBody::ToolCall(_) => {
                    if part.cache.is_some() {
                        self.losses.changed(Field::CacheMarks, "implicit caching");
                    }
                    sorted.calls.push(part);
                }
                PartBody::Refusal(refusal) => sorted.refusal = Some(Cow::Borrowed(refusal)),
                PartBody::Thinking(thought) => {
                    let maker = thought.sealed.as_ref().map(|seal| seal.maker);
                    if maker == Some(DialectFamily::Chat) || maker.is_none() && self.is_own {
                        sorted.thoughts.push(thought);
                    } else {
                        self.losses.dropped(Field::Thinking);
                    }
                }
                _ => {
                    if !sorted.calls.is_empty() {
                        self.losses.changed(Field::Text, "what follows a call stands before it");
                    }
                    sorted.content.push(part);
                }
            }
            if part.sealed.as_ref().is_some_and(|seal| seal.maker != DialectFamily::Chat) {
                self.losses.dropped(Field::Sealed);
            }
        }
        sorted
    }

    /// Returns the id of a call; one is made where it has none.
    fn call_id<'p>(&mut self, part: &'p Part<'_>) -> Cow<'p, str> {
        let PartBody::ToolCall(ToolCall { id, name, .. }) = &part.body else { return Cow::Borrowed("") };
        if !id.is_empty() {
            return self.legal_id(id);
        }
        let made = format!("call_{}", self.made_ids);
        self.made_ids += 1;
        self.unanswered.push((name.clone().into_owned(), made.clone()));
        Cow::Owned(made)
    }
}

fn write_call(out: &mut Vec<u8>, part: &Part<'_>, id: &str, is_own: bool) {
    let PartBody::ToolCall(call) = &part.body else { return };
    let mut object = ObjectWriter::open(out);
    object.value("id", id);
    if call.kind == CallKind::Custom && is_own {
        object.value("type", "custom");
        object.object("custom").and_text("name", &call.name).and_text("input", &call.arguments).close();
    } else {
        let arguments = match (call.kind, &*call.arguments) {
            (CallKind::Custom, input) => Cow::Owned(custom_tool::wrap(input)),
            (CallKind::Function, "") if !is_own => Cow::Borrowed("{}"),
            (CallKind::Function, arguments) => Cow::Borrowed(arguments),
        };
        let name = if is_own { Cow::Borrowed(&*call.name) } else { tool_name::written(&call.name) };
        object.value("type", "function");
        object.object("function").and_text("name", &name).and_text("arguments", &arguments).close();
    }
    if let Some(seal) = part.sealed.as_ref().filter(|seal| seal.maker == DialectFamily::Chat) {
        thought::write_signature(&mut object, seal);
    }
    object.close();
}
