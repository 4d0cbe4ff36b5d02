//! The conversation: turns by role, their text, and what is attached to them.
//!
//! One reader for all dialects, because their words do not contradict each other: chat has messages with `content` and
//! `tool_calls`, responses have items whose `type` may say that they are a call or its `output`, Anthropic has calls
//! and results among a message's blocks ([`content`]). Google's contents, whose parts are told by their keys, have a
//! reader of their own ([`google`]).

mod call;
mod content;
mod google;
mod images;
mod part;
mod tool_error;

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use self::call::{LegacyToolCall, ToolCall, ToolCalls};
pub(super) use self::content::TurnContent;
pub(super) use self::google::{GoogleConversation, GoogleTurn};
use self::images::MessageImages;
use self::tool_error::{error_text, starts_like_an_error};
use super::api_key::ApiKey;
use super::attached::Attachments;
use super::envelope::Envelopes;
use super::input::PlainInput;
use super::material::CountedMaterial;
use super::media::{AttachedMedia, ImageDetail};
use super::odd_keys::OddKeys;
use super::pieces::PieceKind;
use super::reading::BodyReading;
use super::tolerant::{FromJson, TolerantText};
use super::turn::{ConversationTurn, TurnFingerprint, TurnRole};

/// The content of `messages`, or of `input`.
#[derive(Default)]
pub(super) struct ConversationDraft<'b> {
    pub(super) turns: Vec<ConversationTurn>,
    pub(super) system_chars: u64,
    pub(super) attachments: Attachments,
    pub(super) material: CountedMaterial<'b>,
    /// One entry for each turn that has text, and one for the tool results in it.
    pub(super) texts: Vec<Cow<'b, str>>,
}

impl<'b> FromJson<'b> for ConversationDraft<'b> {
    /// A text alone is the user's.
    fn from_text(text: Cow<'b, str>) -> Self {
        let mut conversation = Self::default();
        conversation.push(MessageDraft::of_user(text));
        conversation
    }

    fn from_array<A: SeqAccess<'b>>(mut array: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut conversation = Self::default();
        while let Some(message) = reading.message(&mut array)? {
            conversation.push(message);
        }
        Ok(conversation)
    }
}

impl<'b> ConversationDraft<'b> {
    /// Puts a system text before the first turn, unless it is empty; it is a turn too, as it is in chat.
    pub(super) fn begin_with(&mut self, system: TurnContent<'b>) {
        self.material.add(system.material);
        let text = system.text.unwrap_or_default();
        if text.is_empty() {
            return;
        }
        self.system_chars += text.chars().count() as u64;
        self.texts.insert(0, text);
        for turn in &mut self.turns {
            turn.text = turn.text.map(|index| index + 1);
        }
        let turn = ConversationTurn {
            role: TurnRole::System,
            text: Some(0),
            breaks: system.breaks,
            ..ConversationTurn::default()
        };
        self.turns.insert(0, turn);
    }

    /// Adds what stands in the place of a conversation, if it is there, as the user's turn.
    pub(super) fn end_with(&mut self, input: PlainInput<'b>) {
        if let Some(text) = input.text {
            self.push(MessageDraft::of_user(text));
        }
    }

    /// Makes tool turns of the user's turns that bring tool results and nothing of a person's beside them.
    pub(super) fn give_results_to_tools(&mut self, envelopes: &Envelopes) {
        let bring_results = self.turns.iter_mut().filter(|turn| turn.role == TurnRole::User && turn.results > 0);
        for turn in bring_results {
            let is_the_tool_s = turn.text.is_none_or(|place| envelopes.take_all(&self.texts[place], &turn.breaks));
            if is_the_tool_s {
                turn.role = TurnRole::Tool;
            }
        }
    }

    fn push(&mut self, message: MessageDraft<'b>) {
        let MessageDraft { role, content, mut calls } = message;
        let TurnContent { text, breaks, attachments, results, calls: blocks, material } = content;
        calls.add(blocks);
        let ToolCalls { made: calls, material: of_calls } = calls;
        self.material.add(of_calls);
        self.material.add(material);
        self.attachments.add(attachments);
        self.attachments.add(results.attachments);
        self.add_text(results.text);
        let text = text.unwrap_or_default();
        let (mut errors, mut count) = (results.errors, results.count);
        match role {
            TurnRole::System => self.system_chars += text.chars().count() as u64,
            TurnRole::Tool => {
                count = count.max(1);
                errors.extend(starts_like_an_error(&text).then(|| TurnFingerprint::of_error(error_text(&text))));
            }
            TurnRole::User | TurnRole::Assistant | TurnRole::Other => {}
        }
        let has_attachments = attachments != Attachments::default();
        let text = self.add_text(Some(text));
        let is_user_message = role == TurnRole::User;
        self.turns.push(ConversationTurn {
            role,
            is_user_message,
            text,
            breaks,
            has_attachments,
            calls,
            results: count,
            errors,
        });
    }

    /// Adds a text that is not empty, and returns its place.
    fn add_text(&mut self, text: Option<Cow<'b, str>>) -> Option<usize> {
        let text = text.filter(|text| !text.is_empty())?;
        self.texts.push(text);
        Some(self.texts.len() - 1)
    }
}

#[derive(Default)]
struct MessageDraft<'b> {
    role: TurnRole,
    content: TurnContent<'b>,
    calls: ToolCalls<'b>,
}

impl<'b> MessageDraft<'b> {
    fn of_user(text: Cow<'b, str>) -> Self {
        Self { role: TurnRole::User, content: TurnContent::from_text(text), calls: ToolCalls::default() }
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum MessageKey {
    Type,
    Role,
    Content,
    #[serde(alias = "outputs")]
    Output,
    /// Ollama's, beside a text.
    Images,
    ToolCalls,
    FunctionCall,
    Name,
    #[serde(alias = "input", alias = "action")]
    Arguments,
    /// The thoughts of open models, in chat.
    #[serde(alias = "reasoning", alias = "thinking")]
    ReasoningContent,
    #[serde(rename = "encrypted_content")]
    Sealed,
    /// Keys that say nothing to a model.
    #[serde(rename = "id", alias = "status", alias = "call_id", alias = "tool_call_id", alias = "cache_control")]
    #[serde(alias = "phase", alias = "annotations")]
    Reference,
    #[serde(other)]
    Other,
}

impl ApiKey for MessageKey {
    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }

    fn is_unseen(&self) -> bool {
        matches!(self, Self::Name | Self::Reference | Self::Other)
    }
}

/// The keys in another case that stand in a message's content, and in a call's output.
#[derive(Default)]
struct OddMessageKeys {
    of_content: Option<Box<OddKeys>>,
    of_output: Option<Box<OddKeys>>,
}

impl OddMessageKeys {
    /// Returns the first key that is refused in an item of this type, said in this role.
    fn refused(self, kind: &str, role: TurnRole) -> Option<String> {
        let of_output = self.of_output.filter(|_| kind.ends_with("_call_output"));
        let of_content = match role {
            TurnRole::Tool => self.of_content.and_then(|keys| keys.of_result()),
            _ => self.of_content.and_then(|keys| keys.first()),
        };
        of_content.or_else(|| of_output.and_then(|keys| keys.of_result()))
    }
}

/// A message or an item as it stands, whatever its type turns out to be.
#[derive(Default)]
struct MessageFields<'b> {
    kind: TolerantText<'b>,
    role: TurnRole,
    content: TurnContent<'b>,
    output: TurnContent<'b>,
    images: MessageImages,
    calls: ToolCalls<'b>,
    legacy_call: LegacyToolCall<'b>,
    /// The call that the item itself is.
    call: ToolCall<'b>,
    thought: Option<&'b RawValue>,
    sealed: Option<&'b RawValue>,
    others: Vec<&'b RawValue>,
}

impl<'b> MessageFields<'b> {
    fn read<A: MapAccess<'b>>(mut object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let (mut fields, mut odd) = (Self::default(), OddMessageKeys::default());
        while let Some(key) = reading.key(&mut object)? {
            match key {
                MessageKey::Type => fields.kind = reading.value(&mut object)?,
                MessageKey::Role => fields.role = reading.value(&mut object)?,
                MessageKey::Content => {
                    fields.content = reading.holding_odd_keys().value(&mut object)?;
                    odd.of_content = odd.of_content.or(reading.take_odd_keys());
                }
                MessageKey::Output => {
                    fields.output = reading.holding_odd_keys().value(&mut object)?;
                    odd.of_output = odd.of_output.or(reading.take_odd_keys());
                }
                MessageKey::Images => fields.images = reading.value(&mut object)?,
                MessageKey::ToolCalls => fields.calls = reading.value(&mut object)?,
                MessageKey::FunctionCall => fields.legacy_call = reading.value(&mut object)?,
                MessageKey::Name => fields.call.name = reading.optional(&mut object)?,
                MessageKey::Arguments => fields.call.arguments = reading.optional(&mut object)?,
                MessageKey::ReasoningContent => fields.thought = reading.optional(&mut object)?,
                MessageKey::Sealed => fields.sealed = reading.optional(&mut object)?,
                MessageKey::Reference => reading.skip(&mut object)?,
                MessageKey::Other => fields.others.push(reading.unknown(&mut object)?),
            }
        }
        let kind = fields.kind.0.as_deref().unwrap_or_default();
        reading.refuse_odd_key(odd.refused(kind, fields.role))?;
        Ok(fields)
    }

    fn into_message(self) -> MessageDraft<'b> {
        let Self { kind, role, mut content, mut output, images, mut calls, legacy_call, call, .. } = self;
        let kind = kind.0.as_deref().unwrap_or_default();
        let beside = &mut calls.material;
        beside.push(PieceKind::Thought, self.thought);
        beside.push_sealed(self.sealed);
        beside.media.add(images.media);
        content.attachments.images = content.attachments.images.saturating_add(images.count);
        match kind {
            "" | "message" => {}
            "reasoning" => beside.push_all(PieceKind::Thought, self.others),
            "image_generation_call" => {
                beside.media.add(AttachedMedia::of_image(None, ImageDetail::Auto));
                content.attachments.images = content.attachments.images.saturating_add(1);
            }
            _ => beside.push_all(PieceKind::Other, self.others),
        }
        if kind.ends_with("_call_output") {
            output.attachments.add(content.attachments);
            return MessageDraft { role: TurnRole::Tool, content: output, calls };
        }
        // A provider's own tool puts its output into the call.
        content.attachments.add(output.attachments);
        beside.add(output.material);
        beside.push_text(PieceKind::Other, output.text);
        if kind.ends_with("_call") {
            calls.push(call);
            return MessageDraft { role: TurnRole::Assistant, content, calls };
        }
        legacy_call.0.into_iter().for_each(|call| calls.push(call));
        MessageDraft { role, content, calls }
    }
}

impl<'b> FromJson<'b> for MessageDraft<'b> {
    fn from_object<A: MapAccess<'b>>(object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        MessageFields::read(object, reading).map(MessageFields::into_message)
    }
}

impl<'b> FromJson<'b> for TurnRole {
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
