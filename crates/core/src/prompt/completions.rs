//! OpenAI's legacy completions: a `prompt` of text or token ids instead of a conversation.
//!
//! The prompt is one user turn; several prompts in one request are its parts, as they go to one model together.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess};

use super::draft::{Draft, Grammar};
use super::tolerant::Tolerant;

/// The grammar of `POST /v1/completions`.
pub(super) struct Completions;

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(super) enum Key {
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

impl Grammar for Completions {
    type Key = Key;

    fn read<'b, A: MapAccess<'b>>(draft: &mut Draft<'b>, key: Key, map: &mut A) -> Result<(), A::Error> {
        let parameters = &mut draft.parameters;
        match key {
            Key::Model => draft.model.put(map.next_value()?),
            Key::Prompt => Tolerant(draft.input) = map.next_value()?,
            Key::Temperature => parameters.temperature = map.next_value()?,
            Key::TopP => parameters.top_p = map.next_value()?,
            Key::MaxTokens => parameters.max_tokens = map.next_value()?,
            Key::Stream => parameters.stream = map.next_value()?,
            Key::StreamOptions => parameters.stream_options = map.next_value()?,
            Key::SessionId => draft.session.session_id = map.next_value()?,
            Key::Other => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}
