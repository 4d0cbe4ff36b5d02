//! The shape of the configuration file, version 1: serde types and nothing else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::classifier::Classifier;
use super::decision_log::DecisionLog;
use super::edge::{Clients, Limits, Listeners, Upgrade};
use super::load::Source;
use super::policy::Policy;
use super::policy_test::PolicyTest;
use super::pool::{Balance, Breaker, HealthCheck, Http, Tls};
use super::problem::KeyPath;
use super::prompt::PromptSection;
use super::store::Store;
use super::strategy::Strategy;
use super::tokenizer::Tokenizer;
use super::tracing::Tracing;
use super::values::{self, Glob, Name, Ratio, Span};

/// The whole file.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file format's version; only 1 exists.
    pub version: u32,
    /// Where clients connect: one listener, or a list.
    pub listen: Listeners,
    /// Where operators and Prometheus connect.
    #[serde(default)]
    pub admin: Admin,
    /// Bounds on what one request, or all of them together, may cost.
    #[serde(default)]
    pub limits: Limits,
    /// How one process hands its listeners to the next.
    #[serde(default)]
    pub upgrade: Option<Upgrade>,
    /// Who may send requests; without this key anyone who can connect.
    #[serde(default)]
    pub clients: Option<Clients>,
    /// How far a request is tried again when an upstream fails it.
    #[serde(default)]
    pub retry: Retry,
    /// How prompts are read.
    #[serde(default)]
    pub prompt: PromptSection,
    /// Where decisions and feedback are written; without this key nowhere.
    #[serde(default)]
    pub decision_log: Option<DecisionLog>,
    /// Where replicas keep what they share; without it each process keeps its own.
    #[serde(default)]
    pub store: Option<Store>,
    /// Where the spans of requests go; without this key nowhere.
    #[serde(default)]
    pub tracing: Option<Tracing>,
    /// Where requests go that no policy matches; without it they get a 404.
    #[serde(default)]
    pub default_provider: Option<Name>,
    /// The services that answer prompts.
    pub providers: BTreeMap<Name, Provider>,
    /// The catalog: what a decision may choose.
    #[serde(default)]
    pub models: BTreeMap<Name, Model>,
    /// The models that judge prompts.
    #[serde(default)]
    pub classifiers: BTreeMap<Name, Classifier>,
    /// Values that rules may use, as `constants.<name>`: numbers, texts, booleans, and lists of them.
    #[serde(default)]
    pub constants: BTreeMap<String, Value>,
    /// Expressions that rules may use, as `macros.<name>`.
    #[serde(default)]
    pub macros: BTreeMap<String, String>,
    /// The request headers that rules may read, as `headers['<name>']`.
    #[serde(default)]
    pub rule_headers: Vec<String>,
    /// First policy whose `match` fits the request decides.
    #[serde(default)]
    pub policies: Vec<Policy>,
    /// What is to become of which prompts: `pointsman check` tries them.
    #[serde(default)]
    pub tests: Vec<PolicyTest>,
    /// The file that this was read from, so that later stages can point into it.
    #[serde(skip)]
    pub(super) source: Source,
}

/// The admin plane's listener.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// Address and port; never the same as `listen`.
    #[serde(default = "Admin::default_address", deserialize_with = "values::address")]
    pub address: SocketAddr,
}

/// How far a request is tried again when an upstream fails it, before the first byte of an answer.
///
/// Connect and TLS errors, timeouts, broken connections, 408, 429 and 5xx go to the provider's next peer, then along
/// the policy's `fallback`. The last attempt's own error reaches the client.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts in all, the first included. Default 4; 1 never tries again.
    pub max_attempts: u32,
    /// From the request's last byte: no attempt starts or waits for its first byte beyond it. Default 120s.
    pub deadline: Span,
    /// The share of live requests that may be retries, so that an outage does not multiply the load. Default 0.2; ten
    /// retries a second are always allowed.
    pub budget: Ratio,
    /// More statuses that are tried again.
    pub statuses: Vec<u16>,
}

/// A service that answers prompts over an OpenAI-compatible API.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// `http(s)://host[:port][/prefix]`; the client's `/v1` is replaced by the prefix.
    pub base_url: String,
    /// `host:port` addresses to connect to instead of `base_url`'s.
    #[serde(default)]
    pub peers: Vec<String>,
    /// How a request's peer is chosen.
    #[serde(default)]
    pub balance: Balance,
    /// The HTTP version to speak.
    #[serde(default)]
    pub http: Http,
    /// How peers prove who they are.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// How to find out whether a peer serves.
    #[serde(default)]
    pub health_check: Option<HealthCheck>,
    /// When a peer that fails requests is ejected.
    #[serde(default)]
    pub breaker: Breaker,
    /// Requests that may be in flight to all peers together; one more is refused at once.
    #[serde(default)]
    pub max_concurrent: Option<usize>,
    /// Whose key goes upstream.
    #[serde(default)]
    pub credential: Credential,
    /// The field that an own key goes in. By default `x-api-key` to `api.anthropic.com`, `api-key` to hosts of Azure's
    /// (`*.openai.azure.com`, `*.cognitiveservices.azure.com`), `authorization` to all others.
    #[serde(default)]
    pub key_header: Option<KeyHeader>,
    /// How long to wait for what.
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

/// Whose key goes upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// No key: the client's own is removed, so that it does not leak to another provider.
    #[default]
    None,
    /// The client's own key goes upstream.
    Passthrough,
    /// The value of an environment variable.
    Env(String),
    /// The trimmed content of a file.
    File(PathBuf),
}

/// How long to wait for a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// For the TCP and TLS handshakes. Default 2s.
    pub connect: Span,
    /// From the request's last byte to the answer's first. Default 60s.
    pub first_byte: Span,
    /// The longest pause within an answer. Default 120s. For requests that are not read but passed on, it is no shorter than
    /// `first_byte`.
    pub idle: Span,
    /// From the beginning of an attempt to the end of its answer. None by default. Not for requests that are passed on
    /// unread.
    pub total: Option<Span>,
}

/// A model that a decision may choose.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The provider that serves it.
    pub provider: Name,
    /// What the provider calls it; by default its name in the catalog.
    #[serde(default)]
    pub name: Option<String>,
    /// US dollars per million tokens.
    #[serde(default)]
    pub price: Option<Price>,
    /// The context window in tokens: prompt and answer together.
    #[serde(default)]
    pub context: Option<u64>,
    /// The longest answer that it gives, in tokens; a request for more goes elsewhere.
    #[serde(default)]
    pub max_output: Option<u64>,
    /// Where it runs, such as `eu`; policies may allow only some.
    #[serde(default)]
    pub region: Option<Name>,
    /// What the model can take; absent means everything.
    #[serde(default)]
    pub supports: Option<Vec<Capability>>,
    /// The family of its tokenizer, by which its window, its price and limits of tokens are reckoned; by default guessed from
    /// what the provider calls it.
    #[serde(default)]
    pub tokenizer: Option<Tokenizer>,
    /// How a request is changed before the model gets it.
    #[serde(default)]
    pub adapt: Adapt,
}

impl Model {
    /// Returns what the provider calls the model that is `name` in the catalog.
    #[must_use]
    pub fn upstream_name<'m>(&'m self, name: &'m Name) -> &'m str {
        self.name.as_deref().unwrap_or(name)
    }

    /// Returns the name of the family of its tokenizer, if the catalog says.
    #[must_use]
    pub fn tokenizer_name(&self) -> Option<&'static str> {
        self.tokenizer.map(Tokenizer::as_str)
    }
}

/// How a request is changed before a model gets it: by top-level keys, each in one of the three parts at most.
///
/// Applies where the model generates; embeddings and token counts stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adapt {
    /// Keys that are left out.
    pub drop: Vec<String>,
    /// Keys by other names, such as `max_tokens: max_completion_tokens`; both stay when the new one is there already.
    pub rename: BTreeMap<String, String>,
    /// Keys with the values that they are to have, there or not; `stream_options.include_usage` leads into an object.
    /// `stream_options` is only set in requests that stream and know it.
    pub set: BTreeMap<String, Value>,
}

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// For tokens of the prompt.
    pub input: f64,
    /// For tokens of the answer.
    pub output: f64,
    /// For tokens of the prompt that the provider had in its cache; by default as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<f64>,
}

/// Something a request may need and a model may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
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

impl Admin {
    fn default_address() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 9090))
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self { address: Self::default_address() }
    }
}

impl Price {
    /// Returns what so many tokens cost in US dollars: of the prompt, of the prompt in the provider's cache, of the answer.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
    pub fn of(&self, input: u64, cached: u64, output: u64) -> f64 {
        let cached_price = self.cached_input.unwrap_or(self.input);
        (input as f64 * self.input + cached as f64 * cached_price + output as f64 * self.output) / 1e6
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 4,
            deadline: Span::from_secs(120),
            budget: Ratio::new(0.2).expect("a fifth is a ratio"),
            statuses: Vec::new(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Span::from_secs(2), first_byte: Span::from_secs(60), idle: Span::from_secs(120), total: None }
    }
}

impl Config {
    /// Notes at each classifier whether a strategy compares its embeddings.
    pub(super) fn with_embedders(mut self) -> Self {
        for policy in &self.policies {
            policy.strategy.visit(&KeyPath::root(), &mut |_, strategy| {
                if let Strategy::Similarity(similarity) = strategy
                    && let Some(classifier) = self.classifiers.get_mut(&similarity.classifier)
                {
                    classifier.embeds = true;
                }
            });
        }
        self
    }

    /// Returns the models that clients can ask for by an exact name, in the order of the policies.
    pub fn virtual_models(&self) -> impl Iterator<Item = &str> {
        let globs = self.policies.iter().flat_map(|policy| &policy.matches.model);
        globs.filter_map(Glob::exact)
    }
}
