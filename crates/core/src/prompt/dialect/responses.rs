//! OpenAI responses: `instructions`, and an `input` of text or items.
//!
//! An item is a message, a tool's call or a tool's output. What the API remembers of an earlier response
//! (`previous_response_id`, `conversation`, a stored `prompt`) is not in the body, and so not in the view.

use serde::Deserialize;
use serde::de::MapAccess;

use crate::prompt::api_key::ApiKey;
use crate::prompt::draft::{ALSO_READ, PromptDraft, RequestKey};
use crate::prompt::reading::BodyReading;

/// The top-level keys of `POST /v1/responses`.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(in crate::prompt) enum ResponsesRequestKey {
    Model,
    Instructions,
    Input,
    Tools,
    Temperature,
    TopP,
    MaxOutputTokens,
    Stream,
    Reasoning,
    Text,
    SessionId,
    #[serde(rename = "prompt_cache_key")]
    CacheScope,
    Conversation,
    #[serde(other)]
    Other,
}

impl ApiKey for ResponsesRequestKey {
    const ALSO: &'static [&'static str] = ALSO_READ;

    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

impl RequestKey for ResponsesRequestKey {
    fn read<'b, A: MapAccess<'b>>(
        self,
        draft: &mut PromptDraft<'b>,
        map: &mut A,
        reading: BodyReading<'_>,
    ) -> Result<(), A::Error> {
        let parameters = &mut draft.parameters;
        match self {
            Self::Model => draft.model.put(reading.raw(map)?),
            Self::Instructions => draft.system = reading.value(map)?,
            Self::Input => draft.conversation = reading.value(map)?,
            Self::Tools => draft.tools = reading.value(map)?,
            Self::Temperature => parameters.temperature = reading.optional(map)?,
            Self::TopP => parameters.top_p = reading.optional(map)?,
            Self::MaxOutputTokens => parameters.max_tokens = reading.optional(map)?,
            Self::Stream => parameters.stream = reading.optional(map)?,
            Self::Reasoning => parameters.reasoning = reading.optional(map)?,
            Self::Text => parameters.text = reading.optional(map)?,
            Self::SessionId => draft.session.session_id = reading.optional(map)?,
            Self::CacheScope => draft.session.prompt_cache_key = reading.optional(map)?,
            Self::Conversation => draft.session.conversation = reading.optional(map)?,
            Self::Other => reading.skip(map)?,
        }
        Ok(())
    }
}
