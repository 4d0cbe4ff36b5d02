//! Google's contents: turns of parts that are told by their keys, in both spellings of the API.
//!
//! A list may stand there as its only element, which Google's servers take as well.

mod file;

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use self::file::ResultFiles;
use super::call::{ToolCall, ToolCalls};
use super::content::TurnContent;
use super::part::{PlainContent, TurnPart};
use super::{ConversationDraft, MessageDraft};
use crate::prompt::api_key::ApiKey;
use crate::prompt::parameters::{json, member, text};
use crate::prompt::pieces::PieceKind;
use crate::prompt::reading::BodyReading;
use crate::prompt::tolerant::{FromJson, TolerantFlag, TolerantText};
use crate::prompt::turn::TurnRole;

/// The members of a function's response that say it all where they are a text.
const OUTPUTS: [&str; 3] = ["output", "result", "content"];

/// The content of `contents`.
#[derive(Default)]
pub(in crate::prompt) struct GoogleConversation<'b>(ConversationDraft<'b>);

/// One content: a turn, or the system instruction.
#[derive(Default)]
pub(in crate::prompt) struct GoogleTurn<'b> {
    role: TurnRole,
    content: TurnContent<'b>,
}

impl<'b> GoogleConversation<'b> {
    pub(in crate::prompt) fn into_draft(self) -> ConversationDraft<'b> {
        self.0
    }

    fn push(&mut self, turn: GoogleTurn<'b>) {
        self.0.push(MessageDraft { role: turn.role, content: turn.content, calls: ToolCalls::default() });
    }
}

impl<'b> FromJson<'b> for GoogleConversation<'b> {
    fn from_text(text: Cow<'b, str>) -> Self {
        let mut conversation = Self::default();
        conversation.push(GoogleTurn::from_text(text));
        conversation
    }

    fn from_array<A: SeqAccess<'b>>(mut array: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut conversation = Self::default();
        while let Some(turn) = reading.message(&mut array)? {
            conversation.push(turn);
        }
        Ok(conversation)
    }

    fn from_object<A: MapAccess<'b>>(object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut conversation = Self::default();
        conversation.push(GoogleTurn::from_object(object, reading)?);
        Ok(conversation)
    }
}

impl<'b> GoogleTurn<'b> {
    pub(in crate::prompt) fn into_content(self) -> TurnContent<'b> {
        self.content
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum GoogleTurnKey {
    Role,
    Parts,
    #[serde(other)]
    Other,
}

impl ApiKey for GoogleTurnKey {
    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

impl<'b> FromJson<'b> for GoogleTurn<'b> {
    fn from_text(text: Cow<'b, str>) -> Self {
        Self { role: TurnRole::User, content: TurnContent::from_text(text) }
    }

    fn from_object<A: MapAccess<'b>>(mut object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let (mut role, mut content) = (TolerantText(None), TurnContent::default());
        while let Some(key) = reading.key(&mut object)? {
            match key {
                GoogleTurnKey::Role => role = reading.value(&mut object)?,
                GoogleTurnKey::Parts => content = reading.value::<GoogleParts<'_>, A>(&mut object)?.0,
                GoogleTurnKey::Other => content.material.push(PieceKind::Other, Some(reading.unknown(&mut object)?)),
            }
        }
        let role = match role.0.as_deref() {
            None | Some("") => TurnRole::User,
            Some("model") => TurnRole::Assistant,
            Some(other) => TurnRole::from_text(Cow::Borrowed(other)),
        };
        Ok(Self { role, content })
    }
}

/// The parts of a turn.
#[derive(Default)]
struct GoogleParts<'b>(TurnContent<'b>);

impl<'b> GoogleParts<'b> {
    fn push(&mut self, part: GooglePart<'b>) {
        let GooglePart { plain, tool } = part;
        self.0.push(TurnPart::Plain(plain));
        if let Some(tool) = tool {
            self.0.push(tool);
        }
    }
}

impl<'b> FromJson<'b> for GoogleParts<'b> {
    fn from_text(text: Cow<'b, str>) -> Self {
        Self(TurnContent::from_text(text))
    }

    fn from_array<A: SeqAccess<'b>>(mut array: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut parts = Self::default();
        while let Some(part) = reading.part(&mut array)? {
            parts.push(part);
        }
        Ok(parts)
    }

    fn from_object<A: MapAccess<'b>>(object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut parts = Self::default();
        parts.push(GooglePart::from_object(object, reading)?);
        Ok(parts)
    }
}

/// One part: text, an attachment, a thought; and a tool's call or result.
#[derive(Default)]
struct GooglePart<'b> {
    plain: PlainContent<'b>,
    tool: Option<TurnPart<'b>>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum GooglePartKey {
    Text,
    Thought,
    #[serde(alias = "thoughtSignature", alias = "thoughtsignature")]
    ThoughtSignature,
    #[serde(alias = "inlineData", alias = "inlinedata", alias = "fileData", alias = "file_data", alias = "filedata")]
    InlineData,
    #[serde(alias = "functionCall", alias = "functioncall")]
    FunctionCall,
    #[serde(alias = "functionResponse", alias = "functionresponse")]
    FunctionResponse,
    /// Keys that say nothing to a model.
    #[serde(rename = "videoMetadata", alias = "video_metadata", alias = "mediaResolution", alias = "media_resolution")]
    #[serde(alias = "partMetadata", alias = "part_metadata")]
    Reference,
    #[serde(other)]
    Other,
}

impl ApiKey for GooglePartKey {
    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }

    fn is_unseen(&self) -> bool {
        matches!(self, Self::ThoughtSignature | Self::Reference | Self::Other)
    }
}

impl<'b> FromJson<'b> for GooglePart<'b> {
    fn from_text(text: Cow<'b, str>) -> Self {
        Self { plain: PlainContent::from_text(text), tool: None }
    }

    fn from_object<A: MapAccess<'b>>(mut object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut part = Self::default();
        let (mut said, mut thought) = (TolerantText(None), TolerantFlag::default());
        while let Some(key) = reading.key(&mut object)? {
            let material = &mut part.plain.material;
            match key {
                GooglePartKey::Text => said = reading.value(&mut object)?,
                GooglePartKey::Thought => thought = reading.value(&mut object)?,
                GooglePartKey::ThoughtSignature => material.push_sealed(reading.optional(&mut object)?),
                GooglePartKey::InlineData => part.plain.attach(&reading.value(&mut object)?),
                GooglePartKey::FunctionCall => {
                    let GoogleCall(call) = reading.value(&mut object)?;
                    part.tool = Some(TurnPart::Call(call));
                }
                GooglePartKey::FunctionResponse => {
                    part.tool = Some(reading.value::<GoogleResult<'_>, A>(&mut object)?.into_part());
                }
                GooglePartKey::Reference => reading.skip(&mut object)?,
                GooglePartKey::Other => material.push(PieceKind::Other, Some(reading.unknown(&mut object)?)),
            }
        }
        match thought.0 {
            true => part.plain.material.push_text(PieceKind::Thought, said.0),
            false => part.plain.text = said.0,
        }
        Ok(part)
    }
}

/// A call of a function.
#[derive(Default)]
struct GoogleCall<'b>(ToolCall<'b>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum GoogleCallKey {
    Name,
    Args,
    #[serde(other)]
    Other,
}

impl ApiKey for GoogleCallKey {
    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }

    fn is_unseen(&self) -> bool {
        matches!(self, Self::Name | Self::Other)
    }
}

impl<'b> FromJson<'b> for GoogleCall<'b> {
    fn from_object<A: MapAccess<'b>>(mut object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut call = ToolCall::default();
        while let Some(key) = reading.key(&mut object)? {
            match key {
                GoogleCallKey::Name => call.name = reading.optional(&mut object)?,
                GoogleCallKey::Args => call.arguments = reading.optional(&mut object)?,
                GoogleCallKey::Other => reading.skip(&mut object)?,
            }
        }
        Ok(Self(call))
    }
}

/// The response of a function: any JSON, and files beside it.
#[derive(Default)]
struct GoogleResult<'b> {
    response: Option<&'b RawValue>,
    files: ResultFiles<'b>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum GoogleResultKey {
    Response,
    Parts,
    #[serde(other)]
    Other,
}

impl ApiKey for GoogleResultKey {
    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

impl<'b> FromJson<'b> for GoogleResult<'b> {
    fn from_object<A: MapAccess<'b>>(mut object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut result = Self::default();
        while let Some(key) = reading.key(&mut object)? {
            match key {
                GoogleResultKey::Response => result.response = reading.optional(&mut object)?,
                GoogleResultKey::Parts => result.files = reading.value(&mut object)?,
                GoogleResultKey::Other => reading.skip(&mut object)?,
            }
        }
        Ok(result)
    }
}

impl<'b> GoogleResult<'b> {
    fn into_part(self) -> TurnPart<'b> {
        let response = json(self.response);
        let is_error = member(response, "error").is_some_and(|error| error != "null");
        let said = OUTPUTS.iter().find_map(|key| member(response, key).and_then(text));
        let mut content = self.files.0;
        content.text = said.or_else(|| response.map(Cow::Borrowed));
        TurnPart::Result { content, is_error }
    }
}
