//! The `providers` section: services that answer prompts.

use pointsman_translation::DialectFamily;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cloud::{BedrockConfig, VertexConfig};
use super::dialects::SpokenDialects;
use super::known_models;
use super::peers::{HealthCheck, LoadBalancing, PeerBreaker, PeerProtocol, PeerTls};
use super::provider_key::ProviderKey;
use super::secret::Credential;
use super::values::{Glob, TimeSpan};

/// A service that answers prompts.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// `http(s)://host[:port][/prefix]`; the client's `/v1` is replaced by the prefix. Required, but for `vertex` and
    /// `bedrock`, which know their addresses.
    #[serde(default)]
    pub base_url: String,
    /// Models on Google's Vertex AI.
    #[serde(default)]
    pub vertex: Option<VertexConfig>,
    /// Models on Amazon Bedrock.
    #[serde(default)]
    pub bedrock: Option<BedrockConfig>,
    /// `host:port` addresses to connect to instead of `base_url`'s.
    #[serde(default)]
    pub peers: Vec<String>,
    /// The rule that chooses a request's peer.
    #[serde(default)]
    pub balance: LoadBalancing,
    /// The HTTP version to speak.
    #[serde(default)]
    pub http: PeerProtocol,
    /// The proof of identity that peers must give.
    #[serde(default)]
    pub tls: Option<PeerTls>,
    /// Requests that find out whether a peer serves.
    #[serde(default)]
    pub health_check: Option<HealthCheck>,
    /// The rule by which a peer that fails requests is ejected.
    #[serde(default)]
    pub breaker: PeerBreaker,
    /// Requests that may be in flight to all peers together; one more is refused at once.
    #[serde(default)]
    pub max_concurrent: Option<usize>,
    /// Asks for the usage of streamed chat completions (`stream_options.include_usage`), and keeps it from clients that
    /// did not ask. True by default, but for `api.mistral.ai`, which refuses the field and says the usage unasked; false
    /// for a server that refuses it. A model's `adapt` counts before this.
    #[serde(default)]
    pub stream_usage: Option<bool>,
    /// Speaks OpenAI's responses over WebSocket too: what comes from a client's WebSocket goes on by one, `ws(s)` at the
    /// path of `base_url`, which serves the client's further requests. Else, and where a request is translated, it is
    /// posted. Default false.
    #[serde(default)]
    pub websocket: bool,
    /// The APIs that it speaks: `chat` (OpenAI's chat completions), `responses` (OpenAI's), `messages` (Anthropic's),
    /// `gemini` (Google's `generateContent`). A request in another one is translated. By default what the host is known
    /// for; of a host that is not known, `gemini` where the URL ends like Google's, in `/v1beta` or `/publishers/google`,
    /// and else all others: what has to be translated goes there as `chat`.
    #[serde(default)]
    #[schemars(schema_with = "super::schema::dialects")]
    pub dialects: Option<Vec<DialectFamily>>,
    /// The key that goes upstream.
    #[serde(default)]
    pub credential: Credential,
    /// Several keys in place of `credential`, of which each request gets one. A conversation keeps its key, as caches of
    /// prompts belong to an organisation; a key that is rate-limited or refused rests, and another one is tried.
    #[serde(default)]
    pub keys: Vec<ProviderKey>,
    /// The field that an own key goes in. By default `x-api-key` to `api.anthropic.com`, `api-key` to hosts of Azure's
    /// (`*.openai.azure.com`, `*.cognitiveservices.azure.com`), `x-goog-api-key` to `generativelanguage.googleapis.com`
    /// where it is asked in its own API, `authorization` to all others.
    #[serde(default)]
    pub key_header: Option<KeyHeader>,
    /// The longest waits for the provider.
    #[serde(default)]
    pub timeouts: ProviderTimeouts,
    /// Globs over header names of its answers that clients may see although they tell of the operator's account.
    #[serde(default)]
    pub expose_headers: Vec<Glob>,
}

impl ProviderConfig {
    /// Returns the APIs in which it can be asked for the model that it calls `model`.
    #[must_use]
    pub fn spoken_dialects(&self, model: &str) -> SpokenDialects {
        let said = self.dialects.as_deref().map(SpokenDialects::of);
        said.unwrap_or_else(|| match (&self.vertex, &self.bedrock) {
            (Some(_), _) => VertexConfig::dialects_of(model),
            (_, Some(_)) => BedrockConfig::dialects_of(model),
            (None, None) => SpokenDialects::known_of(&self.base_url),
        })
    }

    /// Returns whether it is a cloud, which answers models of the catalog only.
    #[must_use]
    pub const fn is_cloud(&self) -> bool {
        self.vertex.is_some() || self.bedrock.is_some()
    }

    /// Fills in the address that a cloud has where none is said.
    pub(super) fn complete_address(&mut self) {
        let cloud = self.vertex.as_ref().map(VertexConfig::default_url);
        let cloud = cloud.or_else(|| self.bedrock.as_ref().map(BedrockConfig::default_url));
        if let Some(url) = cloud.filter(|_| self.base_url.is_empty()) {
            self.base_url = url;
        }
    }

    /// Returns the name of its vendor in OpenTelemetry's conventions for generative AI, where they know the vendor.
    #[must_use]
    pub fn gen_ai_name(&self) -> Option<&'static str> {
        known_models::vendor_in_conventions(&self.base_url)
    }

    /// Returns whether streams of chat completions are asked for their usage.
    #[must_use]
    pub fn asks_for_usage(&self) -> bool {
        self.stream_usage.unwrap_or_else(|| known_models::vendor(&self.base_url) != Some("mistral"))
    }
}

/// The header field in which a provider looks for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyHeader {
    /// `Authorization: Bearer KEY`, as OpenAI and most others want it.
    Authorization,
    /// `x-api-key: KEY`, as Anthropic wants it.
    XApiKey,
    /// `api-key: KEY`, as Azure wants it.
    ApiKey,
    /// `x-goog-api-key: KEY`, as Google wants it.
    XGoogApiKey,
}

/// The longest waits for a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderTimeouts {
    /// The longest time for the TCP and TLS handshakes. Default 2s.
    pub connect: TimeSpan,
    /// The longest time from the request's last byte to the first event of an answer that is streamed. Default 60s.
    pub first_byte: TimeSpan,
    /// The longest time from the request's last byte to an answer that is not streamed, which comes when the model has
    /// written all of it. Default 10m, as in the SDKs.
    pub whole: TimeSpan,
    /// The longest pause within an answer. Default 120s. For requests that are not read but passed on, it is no shorter
    /// than `whole`.
    pub idle: TimeSpan,
    /// The longest time from the beginning of an attempt to the end of its answer. None by default. Not for requests
    /// that are passed on unread.
    pub total: Option<TimeSpan>,
}

impl Default for ProviderTimeouts {
    fn default() -> Self {
        Self {
            connect: TimeSpan::from_secs(2),
            first_byte: TimeSpan::from_secs(60),
            whole: TimeSpan::from_secs(600),
            idle: TimeSpan::from_secs(120),
            total: None,
        }
    }
}
