//! The conversation: turns by role, their text, and what is attached to them.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess};

use crate::prompt::Attachments;
use crate::prompt::tolerant::{Count, Shape, Text, Tolerant};

/// How a tool says that it failed, in lower case, at the start of its text.
const ERROR_STARTS: [&str; 6] = ["error", "exception", "traceback", "fatal", "failed", "failure"];

/// What `messages` holds.
#[derive(Default)]
pub(super) struct Conversation<'b> {
    pub(super) turns: u32,
    pub(super) user_turns: u32,
    pub(super) system_chars: u64,
    pub(super) attachments: Attachments,
    /// Since the newest user turn.
    pub(super) tool_calls: u32,
    /// Since the newest user turn.
    pub(super) tool_errors: u32,
    /// One entry for each turn that has text.
    pub(super) texts: Vec<Cow<'b, str>>,
    /// The newest user turn's entry in `texts`, if it has text.
    pub(super) newest_user: Option<usize>,
}

impl<'b> Shape<'b> for Conversation<'b> {
    fn from_array<A: SeqAccess<'b>>(mut array: A) -> Result<Self, A::Error> {
        let mut conversation = Self::default();
        while let Some(Tolerant(message)) = array.next_element()? {
            conversation.push(message);
        }
        Ok(conversation)
    }
}

impl<'b> Conversation<'b> {
    fn push(&mut self, message: Message<'b>) {
        let Message { role, content: Content { text, attachments }, tool_calls } = message;
        self.turns = self.turns.saturating_add(1);
        self.attachments.add(attachments);
        match role {
            Role::User => {
                self.user_turns = self.user_turns.saturating_add(1);
                self.newest_user = (!text.is_empty()).then_some(self.texts.len());
                (self.tool_calls, self.tool_errors) = (0, 0);
            }
            Role::System => self.system_chars += text.chars().count() as u64,
            Role::Assistant => self.tool_calls = self.tool_calls.saturating_add(tool_calls),
            Role::Tool => self.tool_errors = self.tool_errors.saturating_add(starts_like_an_error(&text).into()),
            Role::Other => {}
        }
        if !text.is_empty() {
            self.texts.push(text);
        }
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
    fn add(&mut self, other: Self) {
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
    Role,
    Content,
    ToolCalls,
    FunctionCall,
    #[serde(other)]
    Other,
}

impl<'b> Shape<'b> for Message<'b> {
    fn from_object<A: MapAccess<'b>>(mut object: A) -> Result<Self, A::Error> {
        let mut message = Self::default();
        let (mut calls, mut legacy_call) = (Count(0), Present(false));
        while let Some(key) = object.next_key()? {
            match key {
                MessageKey::Role => Tolerant(message.role) = object.next_value()?,
                MessageKey::Content => Tolerant(message.content) = object.next_value()?,
                MessageKey::ToolCalls => Tolerant(calls) = object.next_value()?,
                MessageKey::FunctionCall => Tolerant(legacy_call) = object.next_value()?,
                MessageKey::Other => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        message.tool_calls = calls.0.saturating_add(legacy_call.0.into());
        Ok(message)
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

/// A turn's content: its text parts joined with `\n`, and what else it has.
#[derive(Default)]
struct Content<'b> {
    text: Cow<'b, str>,
    attachments: Attachments,
}

impl<'b> Shape<'b> for Content<'b> {
    fn from_text(text: Cow<'b, str>) -> Self {
        Self { text, ..Self::default() }
    }

    fn from_array<A: SeqAccess<'b>>(mut array: A) -> Result<Self, A::Error> {
        let mut content = Self::default();
        while let Some(Tolerant(part)) = array.next_element()? {
            content.push(part);
        }
        Ok(content)
    }
}

impl<'b> Content<'b> {
    fn push(&mut self, part: Part<'b>) {
        match part {
            Part::Text(text) if self.text.is_empty() => self.text = text,
            Part::Text(text) => {
                let joined = self.text.to_mut();
                joined.push('\n');
                joined.push_str(&text);
            }
            Part::Attached(attachments) => self.attachments.add(attachments),
        }
    }
}

enum Part<'b> {
    Text(Cow<'b, str>),
    Attached(Attachments),
}

impl Default for Part<'_> {
    fn default() -> Self {
        Self::Attached(Attachments::default())
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum PartKey {
    Type,
    Text,
    Refusal,
    #[serde(other)]
    Other,
}

impl<'b> Shape<'b> for Part<'b> {
    fn from_object<A: MapAccess<'b>>(mut object: A) -> Result<Self, A::Error> {
        let (mut kind, mut text, mut refusal) = (Text(None), Text(None), Text(None));
        while let Some(key) = object.next_key()? {
            match key {
                PartKey::Type => Tolerant(kind) = object.next_value()?,
                PartKey::Text => Tolerant(text) = object.next_value()?,
                PartKey::Refusal => Tolerant(refusal) = object.next_value()?,
                PartKey::Other => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        let one = |text: Text<'b>| Self::Text(text.0.unwrap_or_default());
        let none = Attachments::default();
        Ok(match kind.0.as_deref() {
            Some("text" | "input_text" | "output_text") => one(text),
            Some("refusal") => one(refusal),
            Some("image_url" | "input_image" | "image") => Self::Attached(Attachments { images: 1, ..none }),
            Some("input_audio" | "audio") => Self::Attached(Attachments { audio: 1, ..none }),
            Some("file" | "input_file") => Self::Attached(Attachments { files: 1, ..none }),
            _ => Self::default(),
        })
    }
}
