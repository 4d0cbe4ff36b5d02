//! The configuration file: its sections, its validation, its errors.
//!
//! [`Config`] is the whole file as serde reads it, one module for each kind of section; `values` holds the newtypes
//! that make bad values unrepresentable. Loading ([`Config::load`]) goes text -> tree of located values -> sections ->
//! `validate`; every stage reports all it finds, each problem with its path, line, column and a snippet. [`NamesFiles`]
//! lists the files that a configuration names. This module imports nothing of ours.

mod affinity;
mod catalog;
mod classifier;
mod decision_log;
mod document;
mod edge;
mod files;
mod load;
mod peers;
mod policy;
mod policy_test;
mod problem;
mod promote;
mod prompt;
mod provider;
mod read;
mod secret;
mod source;
mod store;
mod strategy;
mod target;
mod tokenizer;
mod tracing;
mod tree;
mod validate;
mod values;

pub use self::affinity::{Affinity, AffinityKey, Moves};
pub use self::catalog::{Adapt, Capability, Model, Price};
pub use self::classifier::{Batch, Cache, Cascade, Classifier, Device, Drift, Shadow};
pub use self::decision_log::DecisionLog;
pub use self::document::{Admin, Config, Retry};
pub use self::edge::{
    Client, ClientKey, ClientModels, Clients, Forwarded, KeyHash, Limits, Listen, ListenTls, Listeners, RateLimit,
    Upgrade,
};
pub use self::files::{FileRole, NamedFile, NamesFiles};
pub use self::peers::{Balance, Breaker, HealthCheck, Http, ServerTls, Tls};
pub use self::policy::{Deny, Housekeeping, Match, Mode, Overrides, Policy, Rule};
pub use self::policy_test::{Expect, Given, Moment, PolicyTest};
pub use self::problem::{KeyPath, Place, Problem, Problems, Step};
pub use self::promote::PromoteError;
pub use self::prompt::{Envelope, PromptSection};
pub use self::provider::{KeyHeader, Provider, Timeouts};
pub use self::secret::{Credential, KeySource, Secret};
pub use self::store::{Redis, Store, StoreUrl};
pub use self::strategy::{
    Background, Branch, Choice, Hierarchy, Judge, JudgeBreaker, JudgeCache, OnUnfamiliar, Random, Round, Rung,
    Similarity, SimilarityRoute, Split, SplitBy, Stages, Strategy, Success, Threshold, Tiers, Utility,
};
pub use self::target::{Aim, Target};
pub use self::tokenizer::Tokenizer;
pub use self::tracing::{Otlp, Tracing};
pub use self::values::{Glob, Ladder, Name, Ratio, Span};

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
