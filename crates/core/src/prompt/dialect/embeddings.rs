//! OpenAI embeddings: an `input` of text or token ids, read as one user turn.

use serde::Deserialize;
use serde::de::MapAccess;

use crate::prompt::api_key::ApiKey;
use crate::prompt::draft::{ALSO_READ, PromptDraft, RequestKey};
use crate::prompt::reading::BodyReading;

/// The top-level keys of `POST /v1/embeddings`.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(in crate::prompt) enum EmbeddingsRequestKey {
    Model,
    Input,
    #[serde(other)]
    Other,
}

impl ApiKey for EmbeddingsRequestKey {
    const ALSO: &'static [&'static str] = ALSO_READ;

    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

impl RequestKey for EmbeddingsRequestKey {
    fn read<'b, A: MapAccess<'b>>(
        self,
        draft: &mut PromptDraft<'b>,
        map: &mut A,
        reading: BodyReading<'_>,
    ) -> Result<(), A::Error> {
        match self {
            Self::Model => draft.model.put(reading.raw(map)?),
            Self::Input => draft.input = reading.value(map)?,
            Self::Other => reading.skip(map)?,
        }
        Ok(())
    }
}
