//! OpenAI chat completions: `messages`, and the parameters beside them.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess};

use super::draft::{Draft, Grammar};
use super::tolerant::Tolerant;

/// The grammar of `POST /v1/chat/completions`.
pub(super) struct Chat;

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(super) enum Key {
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

impl Grammar for Chat {
    type Key = Key;

    fn read<'b, A: MapAccess<'b>>(draft: &mut Draft<'b>, key: Key, map: &mut A) -> Result<(), A::Error> {
        let parameters = &mut draft.parameters;
        match key {
            Key::Model => draft.model.put(map.next_value()?),
            Key::Messages => Tolerant(draft.conversation) = map.next_value()?,
            Key::Tools => Tolerant(draft.tools) = map.next_value()?,
            Key::Functions => Tolerant(draft.functions) = map.next_value()?,
            Key::Temperature => parameters.temperature = map.next_value()?,
            Key::TopP => parameters.top_p = map.next_value()?,
            Key::MaxTokens => parameters.max_tokens = map.next_value()?,
            Key::MaxCompletionTokens => parameters.max_completion_tokens = map.next_value()?,
            Key::Stream => parameters.stream = map.next_value()?,
            Key::StreamOptions => parameters.stream_options = map.next_value()?,
            Key::ReasoningEffort => parameters.reasoning_effort = map.next_value()?,
            Key::ResponseFormat => parameters.response_format = map.next_value()?,
            Key::SessionId => draft.session.session_id = map.next_value()?,
            Key::CacheScope => draft.session.prompt_cache_key = map.next_value()?,
            Key::Other => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}
