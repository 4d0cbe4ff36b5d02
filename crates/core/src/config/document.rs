//! The whole file, version 1: its sections, and the place of each key in its text.

use std::collections::BTreeMap;
use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::admin::AdminConfig;
use super::budget::BudgetConfig;
use super::catalog::CatalogEntry;
use super::classifier::ClassifierConfig;
use super::client_keys::ClientKeysConfig;
use super::decision_log::DecisionLogConfig;
use super::decisions::DecisionModelConfig;
use super::edge::{ClientConfigs, Listeners, TeamConfig, TrafficLimits, UpgradeConfig};
use super::ext_proc::ExtProcConfig;
use super::grpc::GrpcConfig;
use super::metrics::MetricsConfig;
use super::policy::PolicyConfig;
use super::policy_test::PolicyTest;
use super::problem::{ConfigProblem, KeyPath};
use super::prompt::PromptSection;
use super::provider::ProviderConfig;
use super::response_cache::ResponseCacheConfig;
use super::retry::RetryConfig;
use super::source::ConfigSource;
use super::state::StateConfig;
use super::store::StoreConfig;
use super::strategy::StrategyConfig;
use super::tracing::TracingConfig;
use super::values::{Glob, Name};

/// The whole file.
#[derive(Debug, Clone, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file format's version; only 1 exists.
    pub version: u32,
    /// The listeners that clients connect to: one, or a list.
    pub listen: Listeners,
    /// The listener that operators and Prometheus connect to.
    #[serde(default)]
    pub admin: AdminConfig,
    /// The listener that Envoy asks by its external processing protocol; without this key there is none, but for
    /// `pointsman ext-proc`.
    #[serde(default)]
    pub ext_proc: Option<ExtProcConfig>,
    /// The listener for programs that ask classifiers over gRPC; without this key there is none.
    #[serde(default)]
    pub grpc: Option<GrpcConfig>,
    /// Bounds on what one request, or all of them together, may cost.
    #[serde(default)]
    pub limits: TrafficLimits,
    /// The way that one process hands its listeners to the next.
    #[serde(default)]
    pub upgrade: Option<UpgradeConfig>,
    /// The clients that may send requests; without this key anyone who can connect.
    #[serde(default)]
    pub clients: Option<ClientConfigs>,
    /// The registry of client keys that are made, rotated and revoked while Pointsman runs; without this key there are
    /// those of `clients` alone.
    #[serde(default)]
    pub client_keys: Option<ClientKeysConfig>,
    /// The teams that clients may belong to.
    #[serde(default)]
    pub teams: BTreeMap<Name, TeamConfig>,
    /// Bounds on what clients, teams, keys and sessions may spend in a period.
    #[serde(default)]
    pub budgets: Vec<BudgetConfig>,
    /// Limits of trying a request again when an upstream fails it.
    #[serde(default)]
    pub retry: RetryConfig,
    /// Settings for reading prompts.
    #[serde(default)]
    pub prompt: PromptSection,
    /// The log of decisions and feedback; without this key none is written.
    #[serde(default)]
    pub decision_log: Option<DecisionLogConfig>,
    /// The store of what replicas share; without it each process keeps its own.
    #[serde(default)]
    pub store: Option<StoreConfig>,
    /// The memory of which provider keeps what clients may name again.
    #[serde(default)]
    pub state: StateConfig,
    /// The memory of answers that are given again, for policies with `cache`.
    #[serde(default)]
    pub response_cache: ResponseCacheConfig,
    /// The collector that the spans of requests go to; without this key none.
    #[serde(default)]
    pub tracing: Option<TracingConfig>,
    /// Metrics under further names, and the collector that all of them go to.
    #[serde(default)]
    pub metrics: MetricsConfig,
    /// The provider of requests that no policy matches; without it they get a 404.
    #[serde(default)]
    pub default_provider: Option<Name>,
    /// The services that answer prompts.
    pub providers: BTreeMap<Name, ProviderConfig>,
    /// The catalog: what a decision may choose.
    #[serde(default)]
    pub models: BTreeMap<Name, CatalogEntry>,
    /// The classifiers that score prompts.
    #[serde(default)]
    pub classifiers: BTreeMap<Name, ClassifierConfig>,
    /// The models that clients ask typed decisions of (`POST /v1/decisions`). A classifier can be asked by its own name
    /// without this.
    #[serde(default)]
    pub decisions: BTreeMap<Name, DecisionModelConfig>,
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
    pub policies: Vec<PolicyConfig>,
    /// Tests of the policies: `pointsman check` runs them.
    #[serde(default)]
    pub tests: Vec<PolicyTest>,
    /// The file that this was read from, so that later stages can point into it.
    #[serde(skip)]
    pub(super) source: ConfigSource,
}

impl Config {
    /// Notes at each classifier whether a strategy or a cache compares its embeddings.
    pub(super) fn with_embedders(mut self) -> Self {
        for policy in &self.policies {
            let semantic = policy.cache.as_ref().and_then(|cache| cache.semantic.as_ref());
            if let Some(classifier) = semantic.and_then(|semantic| self.classifiers.get_mut(&semantic.classifier)) {
                classifier.embeds = true;
            }
            policy.strategy.visit(&KeyPath::root(), &mut |_, strategy| {
                if let StrategyConfig::Similarity(similarity) = strategy
                    && let Some(classifier) = self.classifiers.get_mut(&similarity.classifier)
                {
                    classifier.embeds = true;
                }
            });
        }
        self
    }

    /// Fills in the addresses of clouds.
    pub(super) fn with_cloud_addresses(mut self) -> Self {
        self.providers.values_mut().for_each(ProviderConfig::complete_address);
        self
    }

    /// Makes a problem that points at the value of `path`, or at the nearest key above it that exists.
    ///
    /// `None` when the value is a stand-in for one that has been reported already.
    #[must_use]
    pub fn problem(&self, path: &KeyPath, message: impl Into<String>) -> Option<ConfigProblem> {
        self.source.problem(path, message.into(), None)
    }

    /// Like [`Config::problem`], and points at some `characters` of the value's text.
    ///
    /// Where the file spells the text differently (escapes, folded lines) it points at the whole value and says the
    /// first character's number instead.
    #[must_use]
    pub fn problem_within(
        &self,
        path: &KeyPath,
        message: impl Into<String>,
        characters: Range<usize>,
    ) -> Option<ConfigProblem> {
        self.source.problem(path, message.into(), Some(characters))
    }

    /// Returns the bytes of the file that spell the scalar value of `path`; `None` when the key is not in the file.
    #[must_use]
    pub fn span_of(&self, path: &KeyPath) -> Option<Range<usize>> {
        self.source.span_of(path)
    }

    /// Returns whether the file says a value at `path`.
    pub(crate) fn has_key(&self, path: &KeyPath) -> bool {
        self.source.has_key(path)
    }

    /// Returns the text that the configuration was read from.
    #[must_use]
    pub fn text(&self) -> &str {
        self.source.text().unwrap_or_default()
    }

    /// Returns whether both configurations were read from the same text.
    #[must_use]
    pub fn same_text(&self, other: &Self) -> bool {
        self.source.text().is_some_and(|text| other.source.text() == Some(text))
    }

    /// Returns a fingerprint that tells this configuration from others across a fleet: 16 hexadecimal digits of its
    /// text's SHA-256, comments included. Empty when it was read from no text.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = self.source.text().map(|text| Sha256::digest(text.as_bytes()));
        digest.iter().flat_map(|digest| &digest[..8]).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns the names declared in `section`, also those whose values are wrong.
    pub(super) fn declared(&self, section: &str) -> Vec<&str> {
        self.source.keys_of(section)
    }

    /// Returns the models that clients can ask for by an exact name, in the order of the policies.
    pub fn virtual_models(&self) -> impl Iterator<Item = &str> {
        let globs = self.policies.iter().flat_map(|policy| &policy.matches.model);
        globs.filter_map(Glob::exact)
    }
}
