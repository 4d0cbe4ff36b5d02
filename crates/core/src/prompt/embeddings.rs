//! OpenAI embeddings: an `input` of text or token ids, read as one user turn.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess};

use super::draft::{Draft, Grammar};
use super::tolerant::Tolerant;

/// The grammar of `POST /v1/embeddings`.
pub(super) struct Embeddings;

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(super) enum Key {
    Model,
    Input,
    #[serde(other)]
    Other,
}

impl Grammar for Embeddings {
    type Key = Key;

    fn read<'b, A: MapAccess<'b>>(draft: &mut Draft<'b>, key: Key, map: &mut A) -> Result<(), A::Error> {
        match key {
            Key::Model => draft.model.put(map.next_value()?),
            Key::Input => Tolerant(draft.input) = map.next_value()?,
            Key::Other => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}
