//! OpenAI chat completions: `messages`, and the parameters beside them.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess};

use crate::prompt::draft::{PromptDraft, RequestKey};
use crate::prompt::tolerant::Tolerant;

/// The top-level keys of `POST /v1/chat/completions`.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(in crate::prompt) enum ChatRequestKey {
    Model,
    Messages,
    Tools,
    Functions,
    Temperature,
    TopP,
    MaxTokens,
    MaxCompletionTokens,
    Stream,
    StreamOptions,
    ReasoningEffort,
    ResponseFormat,
    SessionId,
    #[serde(rename = "prompt_cache_key")]
    CacheScope,
    #[serde(other)]
    Other,
}

impl RequestKey for ChatRequestKey {
    fn read<'b, A: MapAccess<'b>>(self, draft: &mut PromptDraft<'b>, map: &mut A) -> Result<(), A::Error> {
        let parameters = &mut draft.parameters;
        match self {
            Self::Model => draft.model.put(map.next_value()?),
            Self::Messages => Tolerant(draft.conversation) = map.next_value()?,
            Self::Tools => Tolerant(draft.tools) = map.next_value()?,
            Self::Functions => Tolerant(draft.functions) = map.next_value()?,
            Self::Temperature => parameters.temperature = map.next_value()?,
            Self::TopP => parameters.top_p = map.next_value()?,
            Self::MaxTokens => parameters.max_tokens = map.next_value()?,
            Self::MaxCompletionTokens => parameters.max_completion_tokens = map.next_value()?,
            Self::Stream => parameters.stream = map.next_value()?,
            Self::StreamOptions => parameters.stream_options = map.next_value()?,
            Self::ReasoningEffort => parameters.reasoning_effort = map.next_value()?,
            Self::ResponseFormat => parameters.response_format = map.next_value()?,
            Self::SessionId => draft.session.session_id = map.next_value()?,
            Self::CacheScope => draft.session.prompt_cache_key = map.next_value()?,
            Self::Other => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}
