//! Google's contents, and the counting of their tokens: `systemInstruction`, and `contents` of parts, with the parameters
//! in `generationConfig`. Every key counts in both spellings of the API, `camelCase` and `snake_case`.
//!
//! The path names the model and says whether the answer is a stream. What the API remembers (`cachedContent`) is not in
//! the body, and so not in the view.

use serde::Deserialize;
use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::prompt::api_key::ApiKey;
use crate::prompt::conversation::{GoogleConversation, GoogleTurn};
use crate::prompt::draft::{ALSO_READ, PromptDraft, RequestKey};
use crate::prompt::parameters::RawParameters;
use crate::prompt::reading::BodyReading;
use crate::prompt::tolerant::FromJson;
use crate::prompt::tools::OfferedTools;

/// The top-level keys of `generateContent`, `streamGenerateContent` and `countTokens`. A key in lower case alone is read
/// as well: some server may.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(in crate::prompt) enum GoogleRequestKey {
    Model,
    Contents,
    #[serde(alias = "systemInstruction", alias = "systeminstruction")]
    SystemInstruction,
    Tools,
    #[serde(alias = "generationConfig", alias = "generationconfig")]
    GenerationConfig,
    /// The whole request whose tokens are to be counted.
    #[serde(alias = "generateContentRequest", alias = "generatecontentrequest")]
    GenerateContentRequest,
    #[serde(other)]
    Other,
}

impl ApiKey for GoogleRequestKey {
    const ALSO: &'static [&'static str] = ALSO_READ;

    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

impl RequestKey for GoogleRequestKey {
    fn read<'b, A: MapAccess<'b>>(
        self,
        draft: &mut PromptDraft<'b>,
        map: &mut A,
        reading: BodyReading<'_>,
    ) -> Result<(), A::Error> {
        match self {
            Self::Model => draft.model.put(reading.raw(map)?),
            Self::Contents => draft.conversation = reading.value::<GoogleConversation<'_>, A>(map)?.into_draft(),
            Self::SystemInstruction => draft.system = reading.value::<GoogleTurn<'_>, A>(map)?.into_content(),
            Self::Tools => draft.tools = OfferedTools::of_google(reading.raw(map)?, reading)?,
            Self::GenerationConfig => {
                let GenerationConfig(parameters) = reading.value(map)?;
                draft.parameters = parameters;
            }
            Self::GenerateContentRequest => {
                let CountedRequest(counted) = reading.value(map)?;
                draft.take_counted(counted);
            }
            Self::Other => reading.skip(map)?,
        }
        Ok(())
    }
}

/// A request within one that counts its tokens.
#[derive(Default)]
struct CountedRequest<'b>(PromptDraft<'b>);

impl<'b> FromJson<'b> for CountedRequest<'b> {
    fn from_object<A: MapAccess<'b>>(mut object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut counted = Self::default();
        while let Some(key) = reading.key::<GoogleRequestKey, A>(&mut object)? {
            match key {
                GoogleRequestKey::GenerateContentRequest => reading.skip(&mut object)?,
                key => key.read(&mut counted.0, &mut object, reading)?,
            }
        }
        Ok(counted)
    }
}

/// The parameters of a request.
#[derive(Default)]
struct GenerationConfig<'b>(RawParameters<'b>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum GenerationConfigKey {
    Temperature,
    #[serde(alias = "topP", alias = "topp")]
    TopP,
    #[serde(alias = "maxOutputTokens", alias = "maxoutputtokens")]
    MaxOutputTokens,
    #[serde(alias = "responseMimeType", alias = "responsemimetype")]
    ResponseMimeType,
    #[serde(alias = "responseSchema", alias = "responseschema")]
    #[serde(alias = "responseJsonSchema", alias = "response_json_schema", alias = "responsejsonschema")]
    #[serde(alias = "_responseJsonSchema", alias = "_response_json_schema", alias = "_responsejsonschema")]
    ResponseSchema,
    #[serde(alias = "thinkingConfig", alias = "thinkingconfig")]
    ThinkingConfig,
    #[serde(other)]
    Other,
}

impl ApiKey for GenerationConfigKey {
    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

impl<'b> FromJson<'b> for GenerationConfig<'b> {
    fn from_object<A: MapAccess<'b>>(mut object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut read = Self::default();
        let parameters = &mut read.0;
        while let Some(key) = reading.key(&mut object)? {
            match key {
                GenerationConfigKey::Temperature => parameters.temperature = reading.optional(&mut object)?,
                GenerationConfigKey::TopP => parameters.top_p = reading.optional(&mut object)?,
                GenerationConfigKey::MaxOutputTokens => parameters.max_tokens = reading.optional(&mut object)?,
                GenerationConfigKey::ResponseMimeType => parameters.media_type = reading.optional(&mut object)?,
                GenerationConfigKey::ResponseSchema => parameters.bare_schema = reading.optional(&mut object)?,
                GenerationConfigKey::ThinkingConfig => {
                    let ThinkingConfig { level, budget } = reading.value(&mut object)?;
                    (parameters.thinking_level, parameters.thinking_budget) = (level, budget);
                }
                GenerationConfigKey::Other => reading.skip(&mut object)?,
            }
        }
        Ok(read)
    }
}

#[derive(Default)]
struct ThinkingConfig<'b> {
    level: Option<&'b RawValue>,
    budget: Option<&'b RawValue>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum ThinkingConfigKey {
    #[serde(alias = "thinkingLevel", alias = "thinkinglevel")]
    ThinkingLevel,
    #[serde(alias = "thinkingBudget", alias = "thinkingbudget")]
    ThinkingBudget,
    #[serde(other)]
    Other,
}

impl ApiKey for ThinkingConfigKey {
    fn is_other(&self) -> bool {
        matches!(self, Self::Other)
    }
}

impl<'b> FromJson<'b> for ThinkingConfig<'b> {
    fn from_object<A: MapAccess<'b>>(mut object: A, reading: BodyReading<'_>) -> Result<Self, A::Error> {
        let mut thinking = Self::default();
        while let Some(key) = reading.key(&mut object)? {
            match key {
                ThinkingConfigKey::ThinkingLevel => thinking.level = reading.optional(&mut object)?,
                ThinkingConfigKey::ThinkingBudget => thinking.budget = reading.optional(&mut object)?,
                ThinkingConfigKey::Other => reading.skip(&mut object)?,
            }
        }
        Ok(thinking)
    }
}
