//! Anthropic messages, and the counting of their tokens: `system`, and `messages` of content blocks.
//!
//! A user message of nothing but tool results is a tool turn, as it is in the other dialects.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess};

use crate::prompt::draft::{PromptDraft, RequestKey};
use crate::prompt::tolerant::Tolerant;

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

impl RequestKey for MessagesRequestKey {
    fn read<'b, A: MapAccess<'b>>(self, draft: &mut PromptDraft<'b>, map: &mut A) -> Result<(), A::Error> {
        let parameters = &mut draft.parameters;
        match self {
            Self::Model => draft.model.put(map.next_value()?),
            Self::System => Tolerant(draft.system) = map.next_value()?,
            Self::Messages => Tolerant(draft.conversation) = map.next_value()?,
            Self::Tools => Tolerant(draft.tools) = map.next_value()?,
            Self::Temperature => parameters.temperature = map.next_value()?,
            Self::TopP => parameters.top_p = map.next_value()?,
            Self::MaxTokens => parameters.max_tokens = map.next_value()?,
            Self::Stream => parameters.stream = map.next_value()?,
            Self::Thinking => parameters.thinking = map.next_value()?,
            Self::OutputConfig => parameters.output_config = map.next_value()?,
            Self::OutputFormat => parameters.response_format = map.next_value()?,
            Self::SessionId => draft.session.session_id = map.next_value()?,
            Self::Metadata => draft.session.metadata = map.next_value()?,
            Self::Other => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}
