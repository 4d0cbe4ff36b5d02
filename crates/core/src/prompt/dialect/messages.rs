//! Anthropic messages, and the counting of their tokens: `system`, and `messages` of content blocks.
//!
//! A user message of nothing but tool results is a tool turn, as it is in the other dialects.

use serde::Deserialize;
use serde::de::MapAccess;

use crate::prompt::api_key::ApiKey;
use crate::prompt::draft::{ALSO_READ, PromptDraft, RequestKey};
use crate::prompt::reading::BodyReading;

/// The top-level keys of `POST /v1/messages` and `/v1/messages/count_tokens`.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(in crate::prompt) enum MessagesRequestKey {
    Model,
    System,
    Messages,
    Tools,
    Temperature,
    TopP,
    MaxTokens,
    Stream,
    Thinking,
    OutputConfig,
    OutputFormat,
    SessionId,
    Metadata,
    #[serde(other)]
    Other,
}

impl ApiKey for MessagesRequestKey {
    const ALSO: &'static [&'static str] = ALSO_READ;

    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

impl RequestKey for MessagesRequestKey {
    fn read<'b, A: MapAccess<'b>>(
        self,
        draft: &mut PromptDraft<'b>,
        map: &mut A,
        reading: BodyReading<'_>,
    ) -> Result<(), A::Error> {
        let parameters = &mut draft.parameters;
        match self {
            Self::Model => draft.model.put(reading.raw(map)?),
            Self::System => draft.system = reading.value(map)?,
            Self::Messages => draft.conversation = reading.value(map)?,
            Self::Tools => draft.tools = reading.value(map)?,
            Self::Temperature => parameters.temperature = reading.optional(map)?,
            Self::TopP => parameters.top_p = reading.optional(map)?,
            Self::MaxTokens => parameters.max_tokens = reading.optional(map)?,
            Self::Stream => parameters.stream = reading.optional(map)?,
            Self::Thinking => parameters.thinking = reading.optional(map)?,
            Self::OutputConfig => parameters.output_config = reading.optional(map)?,
            Self::OutputFormat => parameters.response_format = reading.optional(map)?,
            Self::SessionId => draft.session.session_id = reading.optional(map)?,
            Self::Metadata => draft.session.metadata = reading.optional(map)?,
            Self::Other => reading.skip(map)?,
        }
        Ok(())
    }
}
