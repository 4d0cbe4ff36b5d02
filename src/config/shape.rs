//! The shape of the configuration file, version 1: serde types and nothing else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decision_log::DecisionLog;
use super::edge::{Clients, Limits, Listeners, Upgrade};
use super::load::Source;
use super::pool::{Balance, Breaker, HealthCheck, Http, Tls};
use super::threshold::Threshold;
use super::values::{self, Glob, Ladder, Name, Ratio, Span};

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
    /// Where decisions and feedback are written; without this key nowhere.
    #[serde(default)]
    pub decision_log: Option<DecisionLog>,
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
    /// First policy whose `match` fits the request decides.
    #[serde(default)]
    pub policies: Vec<Policy>,
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
    /// From the request's arrival: no attempt starts or waits for its first byte beyond it. Default 120s.
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
    /// How long to wait for what.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Globs over header names of its answers that clients may see although they tell of the operator's account.
    #[serde(default)]
    pub expose_headers: Vec<Glob>,
}

/// Whose key goes upstream, as `Authorization: Bearer`.
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
    /// What the model can take; absent means everything.
    #[serde(default)]
    pub supports: Option<Vec<Capability>>,
    /// How a request is changed before the model gets it.
    #[serde(default)]
    pub adapt: Adapt,
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

/// A classifier: a bundle and how to run it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Classifier {
    /// The bundle's folder, relative to the configuration file's.
    pub bundle: PathBuf,
    /// How long a request waits for its scores. Default 20ms.
    #[serde(default = "Classifier::default_deadline")]
    pub deadline: Span,
    /// Requests that may wait for the worker; one more is not scored. Default 128.
    #[serde(default = "Classifier::default_queue")]
    pub queue: usize,
    /// Threads that ONNX Runtime uses for one run. Default 1.
    #[serde(default = "Classifier::default_threads")]
    pub threads: usize,
    /// Sessions that share the queue, each with a thread and a copy of the weights of its own. Default 1.
    #[serde(default = "Classifier::default_workers")]
    pub workers: usize,
    /// How prompts are put together into one run.
    #[serde(default)]
    pub batch: Batch,
    /// How many judgements are remembered.
    #[serde(default)]
    pub cache: Cache,
    /// When the lexical heads are enough.
    #[serde(default)]
    pub cascade: Cascade,
    /// What the model runs on. Default `auto`.
    #[serde(default)]
    pub device: Device,
    /// Refuses to start, or to reload, when the model cannot run on exactly that device. Default false.
    #[serde(default)]
    pub require: bool,
    /// The most memory that a GPU's sessions may take, in bytes each; by default what the device has.
    #[serde(default)]
    pub memory_limit: Option<usize>,
    /// Another bundle that judges some of the same prompts, for comparison only.
    #[serde(default)]
    pub shadow: Option<Shadow>,
    /// How live traffic is compared with the bundle's reference, if it brings one.
    #[serde(default)]
    pub drift: Drift,
}

/// Another bundle that judges some of a classifier's prompts after they were decided, and decides nothing.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    /// The bundle's folder, relative to the configuration file's.
    pub bundle: PathBuf,
    /// The share of the prompts that it judges, above 0. Default 0.1.
    #[serde(default = "Shadow::default_sample")]
    pub sample: Ratio,
}

/// The window over which live traffic is compared with a bundle's reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drift {
    /// Prompts older than this do not count. Default 1h.
    pub window: Span,
    /// The most prompts that count. Default 10000.
    pub max_prompts: u64,
}

/// When the heads that need no encoder are enough, so that it does not run.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cascade {
    /// Whether they ever are. Default true; they always answer when the encoder cannot.
    pub enabled: bool,
    /// The probability of the best label from which on they are, above 0.5; by default what the bundle says of each head.
    pub confidence: Option<Ratio>,
}

/// What a model runs on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// The first CUDA device if there is one that works, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of that number; the CPU if it does not work.
    Cuda(u32),
    /// The first CUDA device by TensorRT; by CUDA alone if that does not work, else the CPU.
    Tensorrt,
}

/// How prompts are put together into one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Batch {
    /// The most prompts of one run. Default 32; the oldest prompt's deadline often allows fewer.
    pub max_size: usize,
    /// How old the oldest prompt may get while a run that is not full waits for more; only prompts that had to wait for
    /// a busy worker anyway wait for that. Default 1ms.
    pub max_wait: Span,
}

/// How many judgements are remembered, so that a text that comes again is not judged again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// The most judgements; 0 turns the cache off. Default 10000.
    pub max_entries: usize,
    /// The most memory that they take. Default 8 MiB.
    pub max_bytes: usize,
}

/// A policy: which requests, and how their model is chosen.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Shown in headers, metrics and logs.
    pub name: Name,
    /// Which requests it is for; every part that is present must fit.
    #[serde(default, rename = "match")]
    pub matches: Match,
    /// What it does with them.
    #[serde(default)]
    pub mode: Mode,
    /// First rule that is true decides.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Decides when no rule did.
    pub strategy: Strategy,
    /// The models that are tried next, in order, when the chosen one's provider fails.
    #[serde(default)]
    pub fallback: Vec<Name>,
}

/// Which requests a policy is for. An empty match fits every request.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// Globs over the request's `model`, such as `auto` or `gpt-*`.
    pub model: Vec<Glob>,
    /// Globs over the request's path.
    pub path: Vec<Glob>,
    /// Header names and globs over their values.
    pub header: BTreeMap<String, Glob>,
}

/// What a policy does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Chooses the model.
    #[default]
    Route,
    /// Leaves the request as it is: it passes to `default_provider`.
    Off,
}

/// A condition and the model it chooses.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// A CEL expression that yields a boolean.
    pub when: String,
    /// The model that it chooses.
    #[serde(rename = "use")]
    pub model: Name,
}

/// How a model is chosen when no rule did.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", from = "ReadStrategy")]
pub enum Strategy {
    /// By the label of a classifier's head.
    Tiers(Tiers),
    /// By the score of a classifier's head.
    Threshold(Threshold),
}

/// [`Strategy`] as it is read: serde's `tag` would lose the places of everything in it, see [`super::read`].
#[derive(Deserialize)]
#[serde(rename = "kind", rename_all = "snake_case")]
enum ReadStrategy {
    Tiers(Tiers),
    Threshold(Threshold),
}

/// A model for each label of a head.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tiers {
    /// The classifier that is asked.
    pub classifier: Name,
    /// The head that is read. Default `tier`.
    #[serde(default = "Tiers::default_head")]
    pub head: Name,
    /// Label to model, lowest tier first; must cover the head's labels.
    pub tiers: Ladder,
    /// Below this probability of the best label, `otherwise` decides. Default 0.
    #[serde(default = "Tiers::default_confidence")]
    pub min_confidence: Ratio,
    /// When more tokens than these did not fit the classifier and were cut, `otherwise` decides. Default: however many.
    #[serde(default)]
    pub max_truncated_tokens: Option<u32>,
    /// The model when the classifier abstains, fails or is late.
    pub otherwise: Name,
}

impl From<ReadStrategy> for Strategy {
    fn from(strategy: ReadStrategy) -> Self {
        match strategy {
            ReadStrategy::Tiers(tiers) => Self::Tiers(tiers),
            ReadStrategy::Threshold(threshold) => Self::Threshold(threshold),
        }
    }
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

impl Default for Batch {
    fn default() -> Self {
        Self { max_size: 32, max_wait: Span::from_millis(1) }
    }
}

impl Shadow {
    fn default_sample() -> Ratio {
        Ratio::new(0.1).expect("a tenth is a ratio")
    }
}

impl Default for Drift {
    fn default() -> Self {
        Self { window: Span::from_secs(3600), max_prompts: 10_000 }
    }
}

impl Default for Cascade {
    fn default() -> Self {
        Self { enabled: true, confidence: None }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self { max_entries: 10_000, max_bytes: 8 << 20 }
    }
}

impl Classifier {
    /// Returns the section that names only the bundle's folder.
    #[must_use]
    pub fn of(bundle: impl Into<PathBuf>) -> Self {
        Self {
            bundle: bundle.into(),
            deadline: Self::default_deadline(),
            queue: Self::default_queue(),
            threads: Self::default_threads(),
            workers: Self::default_workers(),
            batch: Batch::default(),
            cache: Cache::default(),
            cascade: Cascade::default(),
            device: Device::default(),
            require: false,
            memory_limit: None,
            shadow: None,
            drift: Drift::default(),
        }
    }

    /// Returns whether a classifier that runs as `other` says runs as this says: all but the shadow is the same.
    #[must_use]
    pub fn runs_like(&self, other: &Self) -> bool {
        Self { shadow: None, ..self.clone() } == Self { shadow: None, ..other.clone() }
    }

    fn default_deadline() -> Span {
        Span::from_millis(20)
    }

    fn default_queue() -> usize {
        128
    }

    fn default_threads() -> usize {
        1
    }

    fn default_workers() -> usize {
        1
    }
}

impl Strategy {
    /// Returns the models that it chooses between, from the lowest tier up; a model may stand there more than once.
    #[must_use]
    pub fn ladder(&self) -> Vec<Name> {
        match self {
            Self::Tiers(tiers) => tiers.tiers.iter().map(|(_, model)| model.clone()).collect(),
            Self::Threshold(threshold) => threshold.rungs().into_iter().map(|rung| rung.model).collect(),
        }
    }

    /// Returns the model that serves when the classifier does not. `None` only where validation refuses.
    #[must_use]
    pub fn otherwise(&self) -> Option<Name> {
        match self {
            Self::Tiers(tiers) => Some(tiers.otherwise.clone()),
            Self::Threshold(threshold) => threshold.otherwise.clone().or_else(|| self.ladder().pop()),
        }
    }

    /// Returns the classifier that it asks, and the head that it reads.
    #[must_use]
    pub const fn asks(&self) -> (&Name, &Name) {
        match self {
            Self::Tiers(Tiers { classifier, head, .. }) | Self::Threshold(Threshold { classifier, head, .. }) => {
                (classifier, head)
            }
        }
    }
}

impl Tiers {
    fn default_head() -> Name {
        Name::new("tier").expect("a literal of letters is a name")
    }

    fn default_confidence() -> Ratio {
        Ratio::new(0.0).expect("zero is a ratio")
    }
}

impl Config {
    /// Returns the models that clients can ask for by an exact name, in the order of the policies.
    pub fn virtual_models(&self) -> impl Iterator<Item = &str> {
        let globs = self.policies.iter().flat_map(|policy| &policy.matches.model);
        globs.filter_map(Glob::exact)
    }
}
