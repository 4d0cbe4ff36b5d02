//! OpenAI responses: `instructions`, and an `input` of text or items.
//!
//! An item is a message, a tool's call or a tool's output. What the API remembers of an earlier response
//! (`previous_response_id`, `conversation`, a stored `prompt`) is not in the body, and so not in the view.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess};

use crate::prompt::draft::{PromptDraft, RequestKey};
use crate::prompt::tolerant::Tolerant;

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

impl RequestKey for ResponsesRequestKey {
    fn read<'b, A: MapAccess<'b>>(self, draft: &mut PromptDraft<'b>, map: &mut A) -> Result<(), A::Error> {
        let parameters = &mut draft.parameters;
        match self {
            Self::Model => draft.model.put(map.next_value()?),
            Self::Instructions => Tolerant(draft.system) = map.next_value()?,
            Self::Input => Tolerant(draft.conversation) = map.next_value()?,
            Self::Tools => Tolerant(draft.tools) = map.next_value()?,
            Self::Temperature => parameters.temperature = map.next_value()?,
            Self::TopP => parameters.top_p = map.next_value()?,
            Self::MaxOutputTokens => parameters.max_tokens = map.next_value()?,
            Self::Stream => parameters.stream = map.next_value()?,
            Self::Reasoning => parameters.reasoning = map.next_value()?,
            Self::Text => parameters.text = map.next_value()?,
            Self::SessionId => draft.session.session_id = map.next_value()?,
            Self::CacheScope => draft.session.prompt_cache_key = map.next_value()?,
            Self::Conversation => draft.session.conversation = map.next_value()?,
            Self::Other => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}
