//! The conversation: turns by role, their text, and what is attached to them.
//!
//! One reader for all dialects, because their words do not contradict each other: chat has messages with `content` and
//! `tool_calls`, responses have items whose `type` may say that they are a call or its `output`, Anthropic has calls and
//! results among a message's blocks ([`content`]).

mod call;
mod content;

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess};

use self::call::{Call, Calls, LegacyCall};
pub(super) use self::content::{Content, join};
use super::Attachments;
use super::envelope::Envelopes;
use super::input::Input;
use super::tolerant::{Shape, Text, Tolerant};
use super::turn::{Fingerprint, Role, Turn};

/// How a tool says that it failed, in lower case, at the start of its text.
const ERROR_STARTS: [&str; 6] = ["error", "exception", "traceback", "fatal", "failed", "failure"];

/// What `messages` holds, or the items of `input`.
#[derive(Default)]
pub(super) struct Conversation<'b> {
    pub(super) turns: Vec<Turn>,
    pub(super) system_chars: u64,
    pub(super) attachments: Attachments,
    /// One entry for each turn that has text, and one for the tool results in it.
    pub(super) texts: Vec<Cow<'b, str>>,
}

impl<'b> Shape<'b> for Conversation<'b> {
    /// A text alone is the user's.
    fn from_text(text: Cow<'b, str>) -> Self {
        let mut conversation = Self::default();
        conversation.push(Message::of_user(text));
        conversation
    }

    fn from_array<A: SeqAccess<'b>>(mut array: A) -> Result<Self, A::Error> {
        let mut conversation = Self::default();
        while let Some(Tolerant(message)) = array.next_element()? {
            conversation.push(message);
        }
        Ok(conversation)
    }
}

impl<'b> Conversation<'b> {
    /// Puts a system text before the first turn, unless it is empty; it is a turn too, as it is in chat.
    pub(super) fn begin_with(&mut self, system: Content<'b>) {
        let text = system.text.unwrap_or_default();
        if text.is_empty() {
            return;
        }
        self.system_chars += text.chars().count() as u64;
        self.texts.insert(0, text);
        for turn in &mut self.turns {
            turn.text = turn.text.map(|index| index + 1);
        }
        let turn = Turn { role: Role::System, text: Some(0), breaks: system.breaks, ..Turn::default() };
        self.turns.insert(0, turn);
    }

    /// Adds what stands in the place of a conversation, if it is there, as the user's turn.
    pub(super) fn end_with(&mut self, input: Input<'b>) {
        if let Some(text) = input.text {
            self.push(Message::of_user(text));
        }
    }

    /// Makes tool turns of the user's turns that bring tool results and nothing of a person's beside them.
    pub(super) fn give_results_to_tools(&mut self, envelopes: &Envelopes) {
        let bring_results = self.turns.iter_mut().filter(|turn| turn.role == Role::User && turn.results > 0);
        for turn in bring_results {
            let is_the_tool_s = turn.text.is_none_or(|place| envelopes.take_all(&self.texts[place], &turn.breaks));
            if is_the_tool_s {
                turn.role = Role::Tool;
            }
        }
    }

    fn push(&mut self, message: Message<'b>) {
        let Message { role, content, mut calls } = message;
        let Content { text, breaks, attachments, results, calls: blocks } = content;
        calls.extend(blocks);
        self.attachments.add(attachments);
        self.attachments.add(results.attachments);
        self.add_text(results.text);
        let text = text.unwrap_or_default();
        let (mut errors, mut count) = (results.errors, results.count);
        match role {
            Role::System => self.system_chars += text.chars().count() as u64,
            Role::Tool => {
                count = count.max(1);
                errors.extend(starts_like_an_error(&text).then(|| Fingerprint::of_error(&text)));
            }
            Role::User | Role::Assistant | Role::Other => {}
        }
        let has_attachments = attachments != Attachments::default();
        let text = self.add_text(Some(text));
        self.turns.push(Turn { role, text, breaks, has_attachments, calls, results: count, errors });
    }

    /// Adds a text that is not empty, and returns its place.
    fn add_text(&mut self, text: Option<Cow<'b, str>>) -> Option<usize> {
        let text = text.filter(|text| !text.is_empty())?;
        self.texts.push(text);
        Some(self.texts.len() - 1)
    }
}

fn starts_like_an_error(text: &str) -> bool {
    let text = text.trim_start();
    if let Some(object) = text.strip_prefix('{') {
        return object.trim_start().starts_with("\"error\"");
    }
    let starts_with = |word: &&str| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    ERROR_STARTS.iter().any(starts_with)
}

impl Attachments {
    pub(super) fn add(&mut self, other: Self) {
        self.images = self.images.saturating_add(other.images);
        self.audio = self.audio.saturating_add(other.audio);
        self.files = self.files.saturating_add(other.files);
    }
}

#[derive(Default)]
struct Message<'b> {
    role: Role,
    content: Content<'b>,
    calls: Vec<Fingerprint>,
}

impl<'b> Message<'b> {
    fn of_user(text: Cow<'b, str>) -> Self {
        Self { role: Role::User, content: Content::from_text(text), calls: Vec::new() }
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum MessageKey {
    Type,
    Role,
    Content,
    Output,
    ToolCalls,
    FunctionCall,
    Name,
    #[serde(alias = "input", alias = "action")]
    Arguments,
    #[serde(other)]
    Other,
}

impl<'b> Shape<'b> for Message<'b> {
    fn from_object<A: MapAccess<'b>>(mut object: A) -> Result<Self, A::Error> {
        let (mut kind, mut role, mut content, mut output) =
            (Text(None), Role::default(), Content::default(), Content::default());
        let (mut calls, mut legacy_call, mut call) = (Calls::default(), LegacyCall::default(), Call::default());
        while let Some(key) = object.next_key()? {
            match key {
                MessageKey::Type => Tolerant(kind) = object.next_value()?,
                MessageKey::Role => Tolerant(role) = object.next_value()?,
                MessageKey::Content => Tolerant(content) = object.next_value()?,
                MessageKey::Output => Tolerant(output) = object.next_value()?,
                MessageKey::ToolCalls => Tolerant(calls) = object.next_value()?,
                MessageKey::FunctionCall => Tolerant(legacy_call) = object.next_value()?,
                MessageKey::Name => call.name = object.next_value()?,
                MessageKey::Arguments => call.arguments = object.next_value()?,
                MessageKey::Other => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        let Calls(mut made) = calls;
        Ok(match kind.0.as_deref() {
            Some(kind) if kind.ends_with("_call_output") => Self { role: Role::Tool, content: output, calls: made },
            Some(kind) if kind.ends_with("_call") => {
                made.push(call.fingerprint());
                Self { role: Role::Assistant, content, calls: made }
            }
            _ => {
                made.extend(legacy_call.0);
                Self { role, content, calls: made }
            }
        })
    }
}

impl<'b> Shape<'b> for Role {
    fn from_text(text: Cow<'b, str>) -> Self {
        match text.as_ref() {
            "user" => Self::User,
            "system" | "developer" => Self::System,
            "assistant" => Self::Assistant,
            "tool" | "function" => Self::Tool,
            _ => Self::Other,
        }
    }
}
