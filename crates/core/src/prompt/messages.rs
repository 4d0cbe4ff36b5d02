//! Anthropic messages, and the counting of their tokens: `system`, and `messages` of content blocks.
//!
//! A user message of nothing but tool results is a tool turn, as it is in the other dialects.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess};

use super::draft::{Draft, Grammar};
use super::tolerant::Tolerant;

/// The grammar of `POST /v1/messages` and `/v1/messages/count_tokens`.
pub(super) struct Messages;

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(super) enum Key {
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

impl Grammar for Messages {
    type Key = Key;

    fn read<'b, A: MapAccess<'b>>(draft: &mut Draft<'b>, key: Key, map: &mut A) -> Result<(), A::Error> {
        let parameters = &mut draft.parameters;
        match key {
            Key::Model => draft.model.put(map.next_value()?),
            Key::System => Tolerant(draft.system) = map.next_value()?,
            Key::Messages => Tolerant(draft.conversation) = map.next_value()?,
            Key::Tools => Tolerant(draft.tools) = map.next_value()?,
            Key::Temperature => parameters.temperature = map.next_value()?,
            Key::TopP => parameters.top_p = map.next_value()?,
            Key::MaxTokens => parameters.max_tokens = map.next_value()?,
            Key::Stream => parameters.stream = map.next_value()?,
            Key::Thinking => parameters.thinking = map.next_value()?,
            Key::OutputConfig => parameters.output_config = map.next_value()?,
            Key::OutputFormat => parameters.response_format = map.next_value()?,
            Key::SessionId => draft.session.session_id = map.next_value()?,
            Key::Metadata => draft.session.metadata = map.next_value()?,
            Key::Other => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}
