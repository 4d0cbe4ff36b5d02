//! OpenAI's legacy completions: a `prompt` of text or token ids instead of a conversation.
//!
//! The prompt is one user turn; several prompts in one request are its parts, as they go to one model together.

use serde::Deserialize;
use serde::de::MapAccess;

use crate::prompt::api_key::ApiKey;
use crate::prompt::draft::{ALSO_READ, PromptDraft, RequestKey};
use crate::prompt::reading::BodyReading;

/// The top-level keys of `POST /v1/completions`.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(in crate::prompt) enum CompletionsRequestKey {
    Model,
    Prompt,
    Temperature,
    TopP,
    MaxTokens,
    Stream,
    StreamOptions,
    SessionId,
    #[serde(other)]
    Other,
}

impl ApiKey for CompletionsRequestKey {
    const ALSO: &'static [&'static str] = ALSO_READ;

    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

impl RequestKey for CompletionsRequestKey {
    fn read<'b, A: MapAccess<'b>>(
        self,
        draft: &mut PromptDraft<'b>,
        map: &mut A,
        reading: BodyReading<'_>,
    ) -> Result<(), A::Error> {
        let parameters = &mut draft.parameters;
        match self {
            Self::Model => draft.model.put(reading.raw(map)?),
            Self::Prompt => draft.input = reading.value(map)?,
            Self::Temperature => parameters.temperature = reading.optional(map)?,
            Self::TopP => parameters.top_p = reading.optional(map)?,
            Self::MaxTokens => parameters.max_tokens = reading.optional(map)?,
            Self::Stream => parameters.stream = reading.optional(map)?,
            Self::StreamOptions => parameters.stream_options = reading.optional(map)?,
            Self::SessionId => draft.session.session_id = reading.optional(map)?,
            Self::Other => reading.skip(map)?,
        }
        Ok(())
    }
}
