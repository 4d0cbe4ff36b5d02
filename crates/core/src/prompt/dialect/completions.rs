//! OpenAI's legacy completions: a `prompt` of text or token ids instead of a conversation.
//!
//! The prompt is one user turn; several prompts in one request are its parts, as they go to one model together.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess};

use crate::prompt::draft::{PromptDraft, RequestKey};
use crate::prompt::tolerant::Tolerant;

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

impl RequestKey for CompletionsRequestKey {
    fn read<'b, A: MapAccess<'b>>(self, draft: &mut PromptDraft<'b>, map: &mut A) -> Result<(), A::Error> {
        let parameters = &mut draft.parameters;
        match self {
            Self::Model => draft.model.put(map.next_value()?),
            Self::Prompt => Tolerant(draft.input) = map.next_value()?,
            Self::Temperature => parameters.temperature = map.next_value()?,
            Self::TopP => parameters.top_p = map.next_value()?,
            Self::MaxTokens => parameters.max_tokens = map.next_value()?,
            Self::Stream => parameters.stream = map.next_value()?,
            Self::StreamOptions => parameters.stream_options = map.next_value()?,
            Self::SessionId => draft.session.session_id = map.next_value()?,
            Self::Other => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}
