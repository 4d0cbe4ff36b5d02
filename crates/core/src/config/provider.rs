//! The `providers` section: services that answer prompts.

use serde::{Deserialize, Serialize};

use super::peers::{Balance, Breaker, HealthCheck, Http, Tls};
use super::secret::Credential;
use super::values::{Glob, Span};

/// A service that answers prompts over an OpenAI-compatible API.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// `http(s)://host[:port][/prefix]`; the client's `/v1` is replaced by the prefix.
    pub base_url: String,
    /// `host:port` addresses to connect to instead of `base_url`'s.
    #[serde(default)]
    pub peers: Vec<String>,
    /// The rule that chooses a request's peer.
    #[serde(default)]
    pub balance: Balance,
    /// The HTTP version to speak.
    #[serde(default)]
    pub http: Http,
    /// The proof of identity that peers must give.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Requests that find out whether a peer serves.
    #[serde(default)]
    pub health_check: Option<HealthCheck>,
    /// The rule by which a peer that fails requests is ejected.
    #[serde(default)]
    pub breaker: Breaker,
    /// Requests that may be in flight to all peers together; one more is refused at once.
    #[serde(default)]
    pub max_concurrent: Option<usize>,
    /// The key that goes upstream.
    #[serde(default)]
    pub credential: Credential,
    /// The field that an own key goes in. By default `x-api-key` to `api.anthropic.com`, `api-key` to hosts of Azure's
    /// (`*.openai.azure.com`, `*.cognitiveservices.azure.com`), `authorization` to all others.
    #[serde(default)]
    pub key_header: Option<KeyHeader>,
    /// The longest waits for the provider.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Globs over header names of its answers that clients may see although they tell of the operator's account.
    #[serde(default)]
    pub expose_headers: Vec<Glob>,
}

/// The header field in which a provider looks for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyHeader {
    /// `Authorization: Bearer KEY`, as OpenAI and most others want it.
    Authorization,
    /// `x-api-key: KEY`, as Anthropic wants it.
    XApiKey,
    /// `api-key: KEY`, as Azure wants it.
    ApiKey,
}

/// The longest waits for a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// The longest time for the TCP and TLS handshakes. Default 2s.
    pub connect: Span,
    /// The longest time from the request's last byte to the answer's first. Default 60s.
    pub first_byte: Span,
    /// The longest pause within an answer. Default 120s. For requests that are not read but passed on, it is no shorter
    /// than `first_byte`.
    pub idle: Span,
    /// The longest time from the beginning of an attempt to the end of its answer. None by default. Not for requests
    /// that are passed on unread.
    pub total: Option<Span>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Span::from_secs(2), first_byte: Span::from_secs(60), idle: Span::from_secs(120), total: None }
    }
}
