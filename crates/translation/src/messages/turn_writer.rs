//! Turns, written: merged where one speaker goes on, results of calls first, nothing empty.

use super::block_writer::BlockWriting;
use crate::conversion::asked_turns::AskedTurns;
use crate::json::writer::{ObjectWriter, push_list};
use crate::loss::Field;
use crate::neutral::{Part, PartBody, Turn, TurnRole};

/// Turns as the API wants them.
#[derive(Debug, Default)]
pub(super) struct Conversation<'r, 'b> {
    /// The instructions at the beginning.
    system: Vec<&'r Part<'b>>,
    messages: Vec<Message<'r, 'b>>,
}

#[derive(Debug)]
struct Message<'r, 'b> {
    role: MessageRole,
    parts: Vec<&'r Part<'b>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageRole {
    System,
    User,
    Assistant,
}

impl MessageRole {
    const fn of(role: TurnRole) -> Self {
        match role {
            TurnRole::System | TurnRole::Developer => Self::System,
            TurnRole::User => Self::User,
            TurnRole::Assistant => Self::Assistant,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl<'r, 'b> Conversation<'r, 'b> {
    /// Orders the turns of a request.
    pub(super) fn of(turns: &'r [Turn<'b>], writing: &mut BlockWriting<'_>) -> Self {
        let mut conversation = Self::default();
        let mut asked = AskedTurns::of(turns, writing.losses);
        for (place, turn) in turns.iter().enumerate() {
            if turn.name.is_some() {
                writing.losses.dropped(Field::Names);
            }
            let role = MessageRole::of(turn.role);
            let parts: Vec<_> = turn.parts.iter().filter(|part| keeps(role, part, writing)).collect();
            if !parts.is_empty() {
                asked.goes_out(place);
            }
            if parts.is_empty() && asked.blank() != Some(place) {
                writing.losses.changed(Field::EmptyTurns, "left out");
            } else if role == MessageRole::System && conversation.messages.is_empty() {
                conversation.system.extend(parts);
            } else {
                conversation.add(Message { role, parts }, writing);
            }
        }
        asked.refuse_if_emptied(writing.losses);
        conversation.finish(writing);
        conversation
    }

    fn add(&mut self, message: Message<'r, 'b>, writing: &mut BlockWriting<'_>) {
        // Results come right behind their calls: the API refuses them anywhere else.
        let is_system_between = message.role == MessageRole::User
            && message.parts.iter().any(|part| is_result(part))
            && matches!(self.messages.as_slice(), [.., calls, between]
                if between.role == MessageRole::System && calls.parts.iter().any(|part| is_call(part)));
        let between = if is_system_between { self.messages.pop() } else { None };
        match self.messages.last_mut() {
            Some(last) if last.role == message.role => last.parts.extend(message.parts),
            _ => self.messages.push(message),
        }
        if let Some(between) = between {
            writing.losses.changed(Field::SystemTurns, "behind the results of the calls");
            self.messages.push(between);
        }
    }

    fn finish(&mut self, writing: &mut BlockWriting<'_>) {
        for message in &mut self.messages {
            match message.role {
                // Stable: results keep their order, and so does the rest.
                MessageRole::User => message.parts.sort_by_key(|part| !is_result(part)),
                MessageRole::Assistant => keep_first_of_seals(&mut message.parts),
                MessageRole::System => {}
            }
        }
        if self.messages.is_empty() && !self.system.is_empty() {
            writing.losses.changed(Field::SystemTurns, "as the user's: the API wants a turn");
            let parts = std::mem::take(&mut self.system);
            self.messages.push(Message { role: MessageRole::User, parts });
        }
    }

    /// Writes `system` and `messages`.
    pub(super) fn write(&self, body: &mut ObjectWriter<'_>, writing: &mut BlockWriting<'_>) {
        match self.system.as_slice() {
            [] => {}
            [Part { body: PartBody::Text { text, .. }, cache: None, .. }] => body.text("system", text),
            parts => push_list(body.key("system"), parts, |out, part| writing.write(out, part)),
        }
        let last = self.messages.len().saturating_sub(1);
        push_list(body.key("messages"), self.messages.iter().enumerate(), |out, (index, message)| {
            let mut object = ObjectWriter::open(out);
            object.word("role", message.role.as_str());
            let is_prefill = index == last && message.role == MessageRole::Assistant;
            message.write(is_prefill, &mut object, writing);
            object.close();
        });
    }

    /// Tells whether the answer is to go on with what the client has written, without a thought of the model's before it.
    pub(super) fn is_prefilled(&self) -> bool {
        let Some(Message { role: MessageRole::Assistant, parts }) = self.messages.last() else { return false };
        let is_said = parts.last().is_some_and(|part| said(part).is_some());
        is_said && !parts.first().is_some_and(|part| matches!(part.body, PartBody::Thinking(_)))
    }
}

impl Message<'_, '_> {
    /// Writes the content. A text that the answer goes on with must not end in white space.
    fn write(&self, is_prefill: bool, object: &mut ObjectWriter<'_>, writing: &mut BlockWriting<'_>) {
        let end = self.parts.last().filter(|_| is_prefill).and_then(|part| said(part));
        let trimmed = end.map(str::trim_end).filter(|trimmed| end.is_some_and(|end| trimmed.len() < end.len()));
        if trimmed.is_some() {
            writing.losses.changed(Field::Prefill, "no white space at its end");
        }
        match self.parts.as_slice() {
            [] => object.text("content", ""),
            [Part { body: PartBody::Text { text, .. }, cache: None, .. }] => {
                object.text("content", trimmed.unwrap_or(text));
            }
            parts => {
                let last = parts.len() - 1;
                push_list(object.key("content"), parts.iter().enumerate(), |out, (at, part)| match trimmed {
                    Some(text) if at == last => writing.write(out, &Part { cache: part.cache, ..Part::text(text) }),
                    _ => writing.write(out, part),
                });
            }
        }
    }
}

/// Returns the words of a part.
fn said<'p>(part: &'p Part<'_>) -> Option<&'p str> {
    match &part.body {
        PartBody::Text { text, .. } | PartBody::Refusal(text) => Some(text),
        _ => None,
    }
}

/// Takes out thoughts that have come before: clients of Google's API have a thought's seal on the call after it too.
fn keep_first_of_seals(parts: &mut Vec<&Part<'_>>) {
    let mut seen: Vec<&str> = Vec::new();
    parts.retain(|part| match seal_of(part) {
        Some(seal) if seen.contains(&seal) => false,
        Some(seal) => {
            seen.push(seal);
            true
        }
        None => true,
    });
}

fn seal_of<'p>(part: &'p Part<'_>) -> Option<&'p str> {
    match &part.body {
        PartBody::Thinking(thinking) => thinking.sealed.as_ref().map(|sealed| &*sealed.text),
        _ => None,
    }
}

/// Tells whether a part is kept in a turn: of the operator's, texts alone.
fn keeps(role: MessageRole, part: &Part<'_>, writing: &mut BlockWriting<'_>) -> bool {
    if role == MessageRole::System && !matches!(part.body, PartBody::Text { .. }) {
        writing.losses.dropped(field_of(part));
        return false;
    }
    writing.keeps(part)
}

const fn field_of(part: &Part<'_>) -> Field {
    match part.body {
        PartBody::Image(_) => Field::Images,
        PartBody::Document(_) => Field::Documents,
        PartBody::Audio(_) => Field::Audio,
        PartBody::Video(_) => Field::Video,
        PartBody::Thinking(_) => Field::Thinking,
        PartBody::Refusal(_) => Field::Refusals,
        PartBody::Text { .. } | PartBody::ToolCall(_) | PartBody::ToolResult(_) | PartBody::Native { .. } => {
            Field::Items
        }
    }
}

const fn is_result(part: &Part<'_>) -> bool {
    matches!(part.body, PartBody::ToolResult(_))
}

const fn is_call(part: &Part<'_>) -> bool {
    matches!(part.body, PartBody::ToolCall(_))
}
