//! Turns of a request as Google's contents: instructions apart, and no two contents of one speaker in a row.

use std::collections::HashMap;

use super::answer_parts;
use super::generation::ModelGeneration;
use super::part_writer::ContentPartWriter;
use crate::conversion::asked_turns::AskedTurns;
use crate::json::writer::{ListWriter, ObjectWriter, push_value};
use crate::loss::{Field, LossReport};
use crate::neutral::{NeutralRequest, Part, PartBody, Turn, TurnRole};

/// The names of the functions that calls have called, by their ids.
pub(super) type CallNames<'r> = HashMap<&'r str, &'r str>;

/// The speaker of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ContentSpeaker {
    User,
    Model,
}

impl ContentSpeaker {
    const fn of(role: TurnRole) -> Self {
        match role {
            TurnRole::Assistant => Self::Model,
            TurnRole::System | TurnRole::Developer | TurnRole::User => Self::User,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Model => "model",
        }
    }
}

/// Writes `systemInstruction` and `contents`.
pub(super) fn write(
    request: &NeutralRequest<'_>,
    generation: ModelGeneration,
    members: &mut ObjectWriter<'_>,
    losses: &mut LossReport,
) {
    let leading = request.turns.iter().take_while(|turn| turn.role.is_instruction()).count();
    // Google takes no request without contents.
    let leading = if leading == request.turns.len() { 0 } else { leading };
    let (instructions, turns) = request.turns.split_at(leading);
    system(instructions, members, losses);
    if turns.iter().any(|turn| turn.role.is_instruction()) {
        losses.changed(Field::SystemTurns, "role: user");
    }
    let names = call_names(turns);
    let mut asked = AskedTurns::of(&request.turns, losses);
    let mut contents = ListWriter::open(members.key("contents"));
    let mut writer = ContentPartWriter::new(generation, &names, losses);
    let mut place = leading;
    for turns in turns.chunk_by(|one, next| ContentSpeaker::of(one.role) == ContentSpeaker::of(next.role)) {
        content(&SpeakerTurns { turns, place }, &mut contents, &mut asked, &mut writer);
        place += turns.len();
    }
    contents.close();
    asked.refuse_if_emptied(losses);
}

/// Writes the instructions at the beginning, one part for each of theirs.
fn system(turns: &[Turn<'_>], members: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    let mut texts = Vec::new();
    for part in turns.iter().flat_map(|turn| &turn.parts) {
        match &part.body {
            PartBody::Text { text, .. } if text.is_empty() => {}
            PartBody::Text { text, .. } => texts.push(text),
            PartBody::Image(_) => losses.dropped(Field::Images),
            PartBody::Document(_) => losses.dropped(Field::Documents),
            _ => losses.dropped_at(Field::Other, "system"),
        }
    }
    if texts.is_empty() {
        return;
    }
    members.within("systemInstruction", |members| {
        let mut parts = ListWriter::open(members.key("parts"));
        for text in texts {
            let mut part = ObjectWriter::open(parts.next());
            part.text("text", text);
            part.close();
        }
        parts.close();
    });
}

fn call_names<'r>(turns: &'r [Turn<'_>]) -> CallNames<'r> {
    let parts = turns.iter().flat_map(|turn| &turn.parts);
    parts
        .filter_map(|part| match &part.body {
            PartBody::ToolCall(call) => Some((&*call.id, &*call.name)),
            _ => None,
        })
        .collect()
}

/// Turns of one speaker in a row.
struct SpeakerTurns<'r, 'b> {
    turns: &'r [Turn<'b>],
    /// The place of the first among all turns.
    place: usize,
}

impl<'r, 'b> SpeakerTurns<'r, 'b> {
    /// Returns the parts with the places of their turns, results first: Google wants them next to their calls.
    fn parts(&self) -> impl Iterator<Item = (usize, &'r Part<'b>)> {
        let (turns, first) = (self.turns, self.place);
        let parts = move || {
            turns.iter().enumerate().flat_map(move |(at, turn)| turn.parts.iter().map(move |part| (first + at, part)))
        };
        let is_result = |part: &Part<'_>| matches!(part.body, PartBody::ToolResult(_));
        parts().filter(move |(_, part)| is_result(part)).chain(parts().filter(move |(_, part)| !is_result(part)))
    }

    fn holds(&self, place: usize) -> bool {
        (self.place..self.place + self.turns.len()).contains(&place)
    }
}

/// Writes turns of one speaker as one content; none where nothing of them can be said.
fn content(
    said: &SpeakerTurns<'_, '_>,
    contents: &mut ListWriter<'_>,
    asked: &mut AskedTurns,
    writer: &mut ContentPartWriter<'_, '_>,
) {
    let Some(first) = said.turns.first() else { return };
    let speaker = ContentSpeaker::of(first.role);
    let mut list = Vec::new();
    let mut elements = ListWriter::open(&mut list);
    let is_blank = asked.blank().is_some_and(|place| said.holds(place));
    if said.turns.iter().any(|turn| turn.parts.is_empty()) && !is_blank {
        writer.losses.changed(Field::EmptyTurns, "left out");
    }
    for (place, part) in said.parts() {
        let written = elements.len();
        writer.part(part, &mut elements);
        if elements.len() > written {
            asked.goes_out(place);
        }
    }
    writer.finish_content(&mut elements);
    if elements.is_empty() && is_blank {
        answer_parts::text("", None, elements.next());
    }
    if elements.is_empty() {
        writer.losses.changed(Field::EmptyTurns, "left out");
        return;
    }
    elements.close();
    if contents.is_empty() && speaker == ContentSpeaker::Model && said.parts().any(|(_, part)| is_call(part)) {
        writer.losses.changed(Field::EmptyTurns, "a blank one before the first call: the API wants a turn there");
        contents.next().extend_from_slice(br#"{"role":"user","parts":[{"text":" "}]}"#);
    }
    let mut members = ObjectWriter::open(contents.next());
    push_value(members.key("role"), speaker.name());
    members.key("parts").extend_from_slice(&list);
    members.close();
}

const fn is_call(part: &Part<'_>) -> bool {
    matches!(part.body, PartBody::ToolCall(_))
}

/// Returns an id for Google; `None` for one that the reader has made up.
pub(super) fn sent_id(id: &str) -> Option<&str> {
    let is_made = id.starts_with(super::open_calls::MADE_ID);
    (!id.is_empty() && !is_made).then_some(id)
}
