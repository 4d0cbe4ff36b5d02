//! OpenAI chat completions: `messages`, and the parameters beside them.

use serde::Deserialize;
use serde::de::MapAccess;

use crate::prompt::api_key::ApiKey;
use crate::prompt::draft::{ALSO_READ, PromptDraft, RequestKey};
use crate::prompt::reading::BodyReading;

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

impl ApiKey for ChatRequestKey {
    const ALSO: &'static [&'static str] = ALSO_READ;

    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

impl RequestKey for ChatRequestKey {
    fn read<'b, A: MapAccess<'b>>(
        self,
        draft: &mut PromptDraft<'b>,
        map: &mut A,
        reading: BodyReading<'_>,
    ) -> Result<(), A::Error> {
        let parameters = &mut draft.parameters;
        match self {
            Self::Model => draft.model.put(reading.raw(map)?),
            Self::Messages => draft.conversation = reading.value(map)?,
            Self::Tools => draft.tools = reading.value(map)?,
            Self::Functions => draft.functions = reading.value(map)?,
            Self::Temperature => parameters.temperature = reading.optional(map)?,
            Self::TopP => parameters.top_p = reading.optional(map)?,
            Self::MaxTokens => parameters.max_tokens = reading.optional(map)?,
            Self::MaxCompletionTokens => parameters.max_completion_tokens = reading.optional(map)?,
            Self::Stream => parameters.stream = reading.optional(map)?,
            Self::StreamOptions => parameters.stream_options = reading.optional(map)?,
            Self::ReasoningEffort => parameters.reasoning_effort = reading.optional(map)?,
            Self::ResponseFormat => parameters.response_format = reading.optional(map)?,
            Self::SessionId => draft.session.session_id = reading.optional(map)?,
            Self::CacheScope => draft.session.prompt_cache_key = reading.optional(map)?,
            Self::Other => reading.skip(map)?,
        }
        Ok(())
    }
}
