//! Classifiers that run elsewhere: the server, how it is asked, and how its answers become heads.

mod head;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::head::{RemoteActivation, RemoteHead, RemoteQuestion, RemoteQuestionKind, RemoteTerm};
use crate::config::peers::PeerTls;
use crate::config::secret::SecretSource;
use crate::config::values::{Name, Ratio, TimeSpan};

/// A classifier that runs elsewhere. It is asked first; where it does not answer, the section's `bundle` does, if there
/// is one, and else the policy's `otherwise`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteClassifierConfig {
    /// The protocol that the server speaks.
    pub protocol: RemoteProtocol,
    /// The server: `http(s)://host[:port][/prefix]`. The protocol's path comes after it.
    #[serde(default)]
    pub url: Option<String>,
    /// Several servers of the same model in place of `url`: asked in turn, those that fail are left alone for a while.
    #[serde(default)]
    pub urls: Vec<String>,
    /// The model's name at the server. Required for `oip_http`, `oip_grpc`, `decisions` and `systemone`; for `pointsman` the name
    /// of the classifier there, by default its only one.
    #[serde(default)]
    pub model: Option<String>,
    /// The model's version at a server of the Open Inference Protocol; by default the one that it chooses.
    #[serde(default)]
    pub version: Option<String>,
    /// The name of the tensor that takes the text, at a server of the Open Inference Protocol; by default the model's
    /// only input.
    #[serde(default)]
    pub input: Option<String>,
    /// The path in place of the protocol's own, such as `/api/alpha/decisions`; not for the Open Inference Protocol.
    #[serde(default)]
    pub path: Option<String>,
    /// The key that goes as `Authorization: Bearer`.
    #[serde(default)]
    pub credential: Option<SecretSource>,
    /// More header fields, such as a tenant's, and where their values come from.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretSource>,
    /// The proof of identity that the server must give; for `https://` only.
    #[serde(default)]
    pub tls: Option<PeerTls>,
    /// The longest that a text waits for the server, its place in the queue included. By default the classifier's
    /// `deadline`, or three quarters of it where a `bundle` needs the rest.
    #[serde(default)]
    pub timeout: Option<TimeSpan>,
    /// Requests that may be open at the server at once; what comes meanwhile waits in the classifier's `queue` and goes
    /// together, up to `batch.max_size` texts a request. Default 16.
    #[serde(default = "RemoteClassifierConfig::default_max_concurrent")]
    pub max_concurrent: usize,
    /// The most characters of a text that are sent; more are cut out of its middle. Default 20000.
    #[serde(default = "RemoteClassifierConfig::default_max_chars")]
    pub max_chars: usize,
    /// The rule by which a slow request is asked a second time.
    #[serde(default)]
    pub hedge: HedgeConfig,
    /// The failures after which a server is left alone for a while.
    #[serde(default)]
    pub breaker: RemoteBreaker,
    /// How the server's outputs become heads, by the heads' names. Required but for `pointsman`, whose heads are taken as
    /// they come where none stands here.
    #[serde(default)]
    pub heads: BTreeMap<Name, RemoteHead>,
}

/// A protocol that a remote classifier speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RemoteProtocol {
    /// Another Pointsman: `POST /v1/classify`.
    Pointsman,
    /// Open Inference Protocol v2 over HTTP, as `MLServer`, KServe and Triton speak it.
    OipHttp,
    /// Open Inference Protocol v2 over gRPC.
    OipGrpc,
    /// Hugging Face's text-embeddings-inference: `POST /predict`.
    Tei,
    /// `vLLM`: `POST /classify`.
    Vllm,
    /// `vLLM`: `POST /pooling`, of a model whose pooled output is a row of numbers.
    VllmPooling,
    /// `SGLang`: `POST /v1/classify`.
    Sglang,
    /// `SGLang`: `POST /classify`, of a model whose output is a row of numbers.
    SglangPooling,
    /// OpenAI's decisions: `POST /v1/decisions`.
    Decisions,
    /// Typesafe AI's System One: `POST /v1/systemone`.
    Systemone,
}

/// The rule by which a request is asked a second time: the first answer that comes counts, the other one is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HedgeConfig {
    /// The share of the recent answers that were faster than a request must have waited. Default 0.95.
    pub quantile: Ratio,
    /// The most requests that are asked a second time, as a share of all; 0 asks none. Default 0.05.
    pub budget: Ratio,
}

/// The failures after which a server is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RemoteBreaker {
    /// The number of failures in a row, late answers included. Default 5.
    pub failures: u32,
    /// The rest; then one request tries the server. Default 5s.
    pub rest: TimeSpan,
}

impl RemoteClassifierConfig {
    /// Returns the servers' URLs, in the file's order.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.url.iter().chain(&self.urls).map(String::as_str)
    }

    /// Returns the longest that a text waits for the server, within `deadline`.
    #[must_use]
    pub fn patience(&self, deadline: TimeSpan, has_bundle: bool) -> TimeSpan {
        let default = if has_bundle { TimeSpan(deadline.0 * 3 / 4) } else { deadline };
        self.timeout.unwrap_or(default).min(deadline)
    }

    const fn default_max_concurrent() -> usize {
        16
    }

    const fn default_max_chars() -> usize {
        20_000
    }
}

impl RemoteProtocol {
    /// Returns the name that the configuration has for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pointsman => "pointsman",
            Self::OipHttp => "oip_http",
            Self::OipGrpc => "oip_grpc",
            Self::Tei => "tei",
            Self::Vllm => "vllm",
            Self::VllmPooling => "vllm_pooling",
            Self::Sglang => "sglang",
            Self::SglangPooling => "sglang_pooling",
            Self::Decisions => "decisions",
            Self::Systemone => "systemone",
        }
    }

    /// Returns whether it is the Open Inference Protocol.
    #[must_use]
    pub const fn is_oip(self) -> bool {
        matches!(self, Self::OipHttp | Self::OipGrpc)
    }

    /// Returns whether a server of it is asked questions that the heads hold.
    #[must_use]
    pub const fn asks_questions(self) -> bool {
        matches!(self, Self::Decisions | Self::Systemone)
    }

    /// Returns whether its answers have one output without a name.
    #[must_use]
    pub const fn has_one_output(self) -> bool {
        matches!(self, Self::Tei | Self::Vllm | Self::VllmPooling | Self::Sglang | Self::SglangPooling)
    }

    /// Returns whether its answers name every label, so that labels need not stand in the configuration.
    #[must_use]
    pub const fn names_labels(self) -> bool {
        matches!(self, Self::Pointsman | Self::Tei)
    }
}

impl Default for HedgeConfig {
    fn default() -> Self {
        let ratio = |value| Ratio::new(value).expect("a share between 0 and 1");
        Self { quantile: ratio(0.95), budget: ratio(0.05) }
    }
}

impl Default for RemoteBreaker {
    fn default() -> Self {
        Self { failures: 5, rest: TimeSpan::from_secs(5) }
    }
}
