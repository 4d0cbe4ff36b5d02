//! The YAML file: its shape, its validation, its errors.
//!
//! [`shape`] is what serde reads, [`values`] the newtypes that make bad values unrepresentable. Loading ([`Config::load`])
//! goes text -> tree of located values -> shape -> `validate`; every stage reports all it finds, each problem with its
//! path, line, column and a snippet. This module imports nothing of ours.

pub mod affinity;
pub mod classifier;
pub mod decision_log;
pub mod edge;
mod load;
pub mod policy;
pub mod policy_test;
pub mod pool;
mod problem;
mod promote;
mod prompt;
mod read;
mod secret;
pub mod shape;
pub mod store;
pub mod strategy;
pub mod target;
mod tokenizer;
pub mod tracing;
mod tree;
mod validate;
pub mod values;

pub use affinity::*;
pub use classifier::*;
pub use decision_log::{DecisionLog, KeySource};
pub use edge::*;
pub use policy::*;
pub use policy_test::{Expect, Moment, PolicyTest};
pub use pool::*;
pub use problem::{KeyPath, Place, Problem, Problems, Step};
pub use promote::PromoteError;
pub use prompt::{Envelope, PromptSection};
pub use secret::Secret;
pub use shape::*;
pub use store::*;
pub use strategy::*;
pub use target::*;
pub use tokenizer::Tokenizer;
pub use tracing::{Otlp, Tracing};
pub use values::*;

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
