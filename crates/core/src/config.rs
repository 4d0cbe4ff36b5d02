//! The configuration file: its sections, its validation, its errors.
//!
//! [`Config`] is the whole file as serde reads it, one module for each kind of section; `values` holds the newtypes
//! that make bad values unrepresentable. Loading ([`Config::load`]) goes text -> tree of located values -> sections ->
//! `validate`; every stage reports all it finds, each problem with its path, line, column and a snippet. [`NamesFiles`]
//! lists the files that a configuration names. [`KnownModel`] is what is built in about a model of a public provider, [`config_schema`] what editors know of the file. This module imports nothing of ours.

mod admin;
mod admin_auth;
mod advice;
mod affinity;
mod budget;
mod catalog;
mod classifier;
mod client_keys;
mod cloud;
mod collector;
mod concealment;
mod decision_log;
mod decisions;
mod dialects;
mod document;
mod edge;
mod effort;
mod ext_proc;
mod files;
mod grpc;
mod known_models;
mod load;
mod metrics;
mod peers;
mod policy;
mod policy_test;
mod price;
mod problem;
mod promote;
mod prompt;
mod provider;
mod provider_key;
mod quota;
mod read;
mod regular_file;
mod response_cache;
mod retry;
mod schema;
mod secret;
mod shadow_answers;
mod source;
mod state;
mod store;
mod strategy;
mod target;
mod tokenizer;
mod tracing;
mod tree;
mod validate;
mod values;
mod websocket;

pub use self::admin::{AdminConfig, ConsoleConfig, HostPort};
pub use self::admin_auth::{AdminAuth, AdminCertificate, AdminRole, AdminToken, MetricsAccess, MutualTls};
pub use self::affinity::{AffinityConfig, AffinityKey, MoveRule};
pub use self::budget::{
    BudgetBeyond, BudgetConfig, BudgetHolder, BudgetPeriod, BudgetSpan, BudgetWithoutStore, PolicyBudgetRule,
    SoftBudgetMove,
};
pub use self::catalog::{Capability, CatalogEntry, RequestAdaptation};
pub use self::classifier::{
    BatchLimits, ClassifierConfig, DeviceChoice, DriftWindow, HedgeConfig, LexicalCascade, RemoteActivation,
    RemoteBreaker, RemoteClassifierConfig, RemoteHead, RemoteProtocol, RemoteQuestion, RemoteQuestionKind, RemoteTerm,
    ScoreCacheLimits, ShadowConfig,
};
pub use self::client_keys::{ClientKeysConfig, StoredKeysConfig};
pub use self::cloud::{AwsAccessKey, AwsCredentialSource, AwsProfile, BedrockConfig, GoogleCredentials, VertexConfig};
pub use self::collector::OtlpCollector;
pub use self::concealment::without_secrets;
pub use self::decision_log::{AnswerLogConfig, DecisionLogConfig, RedactedKind, RedactedKinds};
pub use self::decisions::DecisionModelConfig;
pub use self::dialects::SpokenDialects;
pub use self::document::Config;
pub use self::edge::{
    ClientConfig, ClientConfigs, ClientKey, ClientModels, ForwardedHeaders, KeyCase, KeyHash, ListenerConfig,
    ListenerTls, Listeners, RateLimit, TeamConfig, TrafficLimits, UpgradeConfig,
};
pub use self::effort::Effort;
pub use self::ext_proc::{ExtProcConfig, ExtProcFailure, ExtProcPlace, StreamedBodies};
pub use self::files::{FileRole, NamedFile, NamesFiles};
pub use self::grpc::GrpcConfig;
pub use self::known_models::{KnownModel, ListedModel, known_models, known_models_date};
pub use self::metrics::{MetricsConfig, OtlpMetricsConfig};
pub use self::peers::{HealthCheck, LoadBalancing, PeerBreaker, PeerProtocol, PeerTls, ServerTls};
pub use self::policy::{
    ClientOverrides, DenyAction, HousekeepingModel, LossRule, MaxTokensUse, PolicyConfig, PolicyMode, RequestMatch,
    RuleConfig, TranslationConfig,
};
pub use self::policy_test::{ExpectedOutcome, GivenAnswers, PolicyTest, UtcMoment};
pub use self::price::{PriceStep, PriceSteps, ServiceTierFactors, TokenPrice, TokenRates};
pub use self::problem::{ConfigProblem, ConfigProblems, KeyPath, KeyStep, SourceLocation};
pub(crate) use self::problem::{MAX_PROBLEMS, listed};
pub use self::promote::PromoteError;
pub use self::prompt::{EnvelopeConfig, PromptSection};
pub use self::provider::{KeyHeader, ProviderConfig, ProviderTimeouts};
pub use self::provider_key::ProviderKey;
pub use self::quota::{QuotaConfig, QuotaHolder, QuotaOnRules, QuotaWithoutAlternative};
pub use self::regular_file::{RegularFile, RegularFileError};
pub use self::response_cache::{CacheConfig, CachedTools, ResponseCacheConfig, SemanticCacheConfig, SemanticGuard};
pub use self::retry::{RetriedTimeouts, RetryConfig};
pub use self::schema::config_schema;
pub use self::secret::{Credential, Secret, SecretSource};
pub use self::shadow_answers::ShadowAnswersConfig;
pub use self::state::{StateConfig, StateRule};
pub use self::store::{
    PlacedStoreAddress, RedisConfig, SentinelConfig, StoreAccess, StoreAddress, StoreConfig, StoreEndpoint,
    StoreLayout, StoreLogin, StoreUrl, StoreZone, StoreZoneSource,
};
pub use self::strategy::{
    AnswerChecks, AnswerJudgeConfig, BackgroundTexts, BanditConfig, CascadeConfig, EscalateConfig, GOOD_ANSWER,
    HierarchyBranch, HierarchyConfig, HoldLimits, JudgeBreaker, JudgeCache, JudgeChoice, JudgeConfig, JudgeProtocol,
    OnUnfamiliar, RandomConfig, SelfConsistency, SimilarityConfig, SimilarityRoute, SplitBy, SplitConfig,
    StrategyConfig, SuccessSource, ThresholdConfig, ThresholdStep, TierLean, TierRounding, TiersConfig, UtilityConfig,
    WarmStart,
};
pub use self::target::{Target, TargetQuantity};
pub use self::tokenizer::TokenizerName;
pub use self::tracing::{OtlpConfig, TracingConfig};
pub use self::tree::{MapEntry, NodeContent, SourceFlaw, SourceMark, YamlNode, parse as read_yaml};
pub use self::values::{Glob, Name, Ratio, TierModels, TimeSpan};
pub use self::websocket::WebSocketLimits;

/// Returns the one of `names` that `name` is probably a misspelling of.
pub(crate) fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let distance = |other: &str| strsim::damerau_levenshtein(&name.to_lowercase(), other);
    // A third of the name may be wrong; longer ones cannot be a slip of the finger and are not worth the time.
    let limit = (name.chars().count().min(60) / 3).max(1);
    let close = names.into_iter().filter(|other| other.len().abs_diff(name.len()) <= limit);
    let nearest = close.map(|other| (distance(other), other)).min_by_key(|(distance, _)| *distance);
    nearest.filter(|(distance, _)| *distance <= limit).map(|(_, other)| other)
}

#[cfg(test)]
mod tests;
