//! OpenAI embeddings: an `input` of text or token ids, read as one user turn.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess};

use crate::prompt::draft::{PromptDraft, RequestKey};
use crate::prompt::tolerant::Tolerant;

/// The top-level keys of `POST /v1/embeddings`.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(in crate::prompt) enum EmbeddingsRequestKey {
    Model,
    Input,
    #[serde(other)]
    Other,
}

impl RequestKey for EmbeddingsRequestKey {
    fn read<'b, A: MapAccess<'b>>(self, draft: &mut PromptDraft<'b>, map: &mut A) -> Result<(), A::Error> {
        match self {
            Self::Model => draft.model.put(map.next_value()?),
            Self::Input => Tolerant(draft.input) = map.next_value()?,
            Self::Other => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}
