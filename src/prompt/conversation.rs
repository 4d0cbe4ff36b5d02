//! The conversation: turns by role, their text, and what is attached to them.
//!
//! One reader for all dialects, because their words do not contradict each other: chat has messages with `content` and
//! `tool_calls`, responses have items whose `type` may say that they are a call or its `output`, Anthropic has calls and
//! results among a message's blocks ([`content`]).

mod content;

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess};

pub(super) use self::content::{Content, join};
use super::Attachments;
use super::input::Input;
use super::tolerant::{Count, Shape, Text, Tolerant};

/// How a tool says that it failed, in lower case, at the start of its text.
const ERROR_STARTS: [&str; 6] = ["error", "exception", "traceback", "fatal", "failed", "failure"];

/// What `messages` holds, or the items of `input`.
#[derive(Default)]
pub(super) struct Conversation<'b> {
    pub(super) turns: u32,
    pub(super) user_turns: u32,
    pub(super) assistant_turns: u32,
    pub(super) system_chars: u64,
    pub(super) attachments: Attachments,
    /// Since the newest user turn.
    pub(super) tool_calls: u32,
    /// Since the newest user turn.
    pub(super) tool_errors: u32,
    /// Since the newest assistant turn: text of the user's beside them changes nothing.
    pub(super) tool_results: u32,
    /// One entry for each turn that has text, and one for the tool results in it.
    pub(super) texts: Vec<Cow<'b, str>>,
    /// The newest user turn's entry in `texts`, if it has text.
    pub(super) newest_user: Option<usize>,
}

impl<'b> Shape<'b> for Conversation<'b> {
    /// A text alone is the user's.
    fn from_text(text: Cow<'b, str>) -> Self {
        let mut conversation = Self::default();
        conversation.push(Message { role: Role::User, content: Content::from_text(text), tool_calls: 0 });
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
        self.turns = self.turns.saturating_add(1);
        self.system_chars += text.chars().count() as u64;
        self.texts.insert(0, text);
        self.newest_user = self.newest_user.map(|index| index + 1);
    }

    /// Adds what stands in the place of a conversation, if it is there, as the user's turn.
    pub(super) fn end_with(&mut self, input: Input<'b>) {
        if let Some(text) = input.text {
            self.push(Message { role: Role::User, content: Content::from_text(text), tool_calls: 0 });
        }
    }

    fn push(&mut self, message: Message<'b>) {
        let Message { mut role, content, tool_calls } = message;
        let Content { text, attachments, results, tool_calls: blocks } = content;
        if matches!(role, Role::User) && results.count > 0 && text.is_none() && attachments == Attachments::default() {
            role = Role::Tool;
        }
        self.turns = self.turns.saturating_add(1);
        self.attachments.add(attachments);
        self.attachments.add(results.attachments);
        self.add_text(results.text);
        let text = text.unwrap_or_default();
        match role {
            Role::User => {
                self.user_turns = self.user_turns.saturating_add(1);
                self.newest_user = (!text.is_empty()).then_some(self.texts.len());
                (self.tool_calls, self.tool_errors) = (0, 0);
                self.tool_results = self.tool_results.saturating_add(results.count);
            }
            Role::System => self.system_chars += text.chars().count() as u64,
            Role::Assistant => {
                self.assistant_turns = self.assistant_turns.saturating_add(1);
                self.tool_calls = self.tool_calls.saturating_add(tool_calls).saturating_add(blocks);
                self.tool_results = 0;
            }
            Role::Tool => {
                let errors = results.errors.saturating_add(starts_like_an_error(&text).into());
                self.tool_errors = self.tool_errors.saturating_add(errors);
                self.tool_results = self.tool_results.saturating_add(results.count.max(1));
            }
            Role::Other => {}
        }
        self.add_text(Some(text));
    }

    fn add_text(&mut self, text: Option<Cow<'b, str>>) {
        self.texts.extend(text.filter(|text| !text.is_empty()));
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
    tool_calls: u32,
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
    #[serde(other)]
    Other,
}

impl<'b> Shape<'b> for Message<'b> {
    fn from_object<A: MapAccess<'b>>(mut object: A) -> Result<Self, A::Error> {
        let (mut kind, mut role, mut content, mut output) =
            (Text(None), Role::default(), Content::default(), Content::default());
        let (mut calls, mut legacy_call) = (Count(0), Present(false));
        while let Some(key) = object.next_key()? {
            match key {
                MessageKey::Type => Tolerant(kind) = object.next_value()?,
                MessageKey::Role => Tolerant(role) = object.next_value()?,
                MessageKey::Content => Tolerant(content) = object.next_value()?,
                MessageKey::Output => Tolerant(output) = object.next_value()?,
                MessageKey::ToolCalls => Tolerant(calls) = object.next_value()?,
                MessageKey::FunctionCall => Tolerant(legacy_call) = object.next_value()?,
                MessageKey::Other => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(match kind.0.as_deref() {
            Some(kind) if kind.ends_with("_call_output") => Self { role: Role::Tool, content: output, tool_calls: 0 },
            Some(kind) if kind.ends_with("_call") => Self { role: Role::Assistant, content, tool_calls: 1 },
            _ => Self { role, content, tool_calls: calls.0.saturating_add(legacy_call.0.into()) },
        })
    }
}

#[derive(Default)]
enum Role {
    User,
    System,
    Assistant,
    Tool,
    #[default]
    Other,
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

/// Whether an object stands there.
#[derive(Default)]
struct Present(bool);

impl<'b> Shape<'b> for Present {
    fn from_object<A: MapAccess<'b>>(mut object: A) -> Result<Self, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self(true))
    }
}
