//! The `models` section: the catalog of models that a decision may choose.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::effort::Effort;
use super::known_models::KnownModel;
use super::price::TokenPrice;
use super::tokenizer::TokenizerName;
use super::values::Name;

/// A model that a decision may choose.
#[derive(Debug, Clone, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogEntry {
    /// The provider that serves it.
    pub provider: Name,
    /// The provider's name for the model; by default its name in the catalog.
    #[serde(default)]
    pub name: Option<String>,
    /// US dollars per million tokens; by default the built-in list price of the model at its provider, if it has one.
    /// What a price leaves out is in the ratio of the list.
    #[serde(default)]
    pub price: Option<TokenPrice>,
    /// The context window in tokens: prompt and answer together; by default the built-in one.
    #[serde(default)]
    pub context: Option<u64>,
    /// The longest answer that it gives, in tokens; by default the built-in one. A request for more gets this, unless the
    /// policy has `max_tokens: require`: then it goes elsewhere, but only for a number that stands here.
    #[serde(default)]
    pub max_output: Option<u64>,
    /// The region that the model runs in, such as `eu`; policies may allow only some.
    #[serde(default)]
    pub region: Option<Name>,
    /// The capabilities of the model; absent means all but those that the built-in list says it lacks.
    #[serde(default)]
    pub supports: Option<Vec<Capability>>,
    /// The family of its tokenizer, by which its window, its price and limits of tokens are reckoned; by default
    /// guessed from what the provider calls it.
    #[serde(default)]
    pub tokenizer: Option<TokenizerName>,
    /// The effort that it thinks with, whatever the client asks for; by default the client's. Two entries for one model
    /// can differ by it alone.
    #[serde(default)]
    pub effort: Option<Effort>,
    /// Changes that are made to a request before the model gets it.
    #[serde(default)]
    pub adapt: RequestAdaptation,
    /// The built-in facts of the model, if it is known.
    #[serde(skip)]
    pub known: Option<&'static KnownModel>,
}

impl CatalogEntry {
    /// Returns what the provider calls the model that is `name` in the catalog.
    #[must_use]
    pub fn upstream_name<'m>(&'m self, name: &'m Name) -> &'m str {
        self.name.as_deref().unwrap_or(name)
    }

    /// Returns the longest answer that the model gives, in tokens, as far as anybody knows.
    ///
    /// A request may be fitted to it. Only the catalog's own `max_output` makes a model unfit for a request.
    #[must_use]
    pub fn output_limit(&self) -> Option<u64> {
        self.max_output.or_else(|| self.known?.max_output)
    }

    /// Returns the name of the family of its tokenizer, if the catalog says.
    #[must_use]
    pub fn tokenizer_name(&self) -> Option<&'static str> {
        self.tokenizer.map(TokenizerName::as_str)
    }
}

/// Changes that are made to a request before a model gets it: by top-level keys, each in one of the three parts at
/// most.
///
/// Applies where the model generates; embeddings and token counts stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestAdaptation {
    /// The family whose refusals and names of parameters hold, such as `openai-o`; by default the one that the
    /// provider's name of the model belongs to, and `none` for no such rules.
    pub family: Option<String>,
    /// Keys that are left out.
    pub drop: Vec<String>,
    /// Keys by other names, such as `max_tokens: max_completion_tokens`; both stay when the new one is there already.
    pub rename: BTreeMap<String, String>,
    /// Keys with the values that they are to have, there or not; `stream_options.include_usage` leads into an object.
    /// `stream_options` is only set in requests that stream and know it.
    pub set: BTreeMap<String, Value>,
}

/// Something a request may need and a model may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Function calling.
    Tools,
    /// Image parts.
    Images,
    /// Audio parts.
    Audio,
    /// File parts.
    Files,
    /// `response_format` with a JSON schema.
    JsonSchema,
}

impl Capability {
    /// Every capability.
    pub const ALL: [Self; 5] = [Self::Tools, Self::Images, Self::Audio, Self::Files, Self::JsonSchema];

    /// Returns the name that configurations use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Images => "images",
            Self::Audio => "audio",
            Self::Files => "files",
            Self::JsonSchema => "json_schema",
        }
    }
}
