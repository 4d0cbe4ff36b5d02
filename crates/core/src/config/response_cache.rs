//! Answers that are kept and given again: a policy's `cache`, and the section `response_cache`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{Name, Ratio, TimeSpan};

/// The memory that answers of all policies are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResponseCacheConfig {
    /// The most bytes that answers of all policies take in this process. Default 268435456.
    pub max_bytes: usize,
}

/// Gives the answer to a request again when its client sends the same request to the same policy.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// The time that an answer may be given again, from the moment in which it was whole. Default 10m.
    pub ttl: TimeSpan,
    /// The largest answer that is kept, in bytes. Default 262144.
    pub max_entry_bytes: usize,
    /// The highest temperature of requests whose answers are kept, 0 to 2. A request without one counts as 1, which is the
    /// APIs' own default. Default 0.
    pub max_temperature: f64,
    /// The rule for requests that offer tools or hold calls of tools. Default `refuse`.
    pub tools: CachedTools,
    /// The longest that a request waits for the answer to the same request that is under way; 0s asks at once. Default 30s.
    pub max_wait: TimeSpan,
    /// Keeps answers in the `store` too, so that replicas share them. Default false.
    pub store: bool,
    /// Also gives the answer to a request that means the same in other words; by default only to the same one.
    pub semantic: Option<SemanticCacheConfig>,
}

/// The rule for requests with tools, whose answers may have effects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CachedTools {
    /// Their answers are not kept.
    #[default]
    Refuse,
    /// Their answers are kept, calls of tools included: only where calling again does no harm.
    Allow,
}

/// Compares the asks of requests that are otherwise the same, by an encoder.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SemanticCacheConfig {
    /// The classifier whose encoder embeds the ask.
    pub classifier: Name,
    /// The least cosine of two asks that mean the same. Default 0.97.
    #[serde(default = "SemanticCacheConfig::default_min_similarity")]
    pub min_similarity: Ratio,
    /// The words that two such asks may not differ in. Default `content`.
    #[serde(default)]
    pub guard: SemanticGuard,
    /// The asks of one client that are remembered by one policy; the oldest goes first. Default 1000.
    #[serde(default = "SemanticCacheConfig::default_max_entries")]
    pub max_entries: usize,
}

/// The words in which two asks that are near may not differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SemanticGuard {
    /// The whole text as it is written, but for courtesies before and after a lone question, its mark, and the capital
    /// letter of its first word.
    #[default]
    Content,
    /// Figures with their signs, quotations and negations only: the encoder is trusted with all other words.
    Figures,
}

impl SemanticCacheConfig {
    fn default_min_similarity() -> Ratio {
        Ratio::new(0.97).expect("a literal between 0 and 1")
    }

    const fn default_max_entries() -> usize {
        1000
    }
}

impl Default for ResponseCacheConfig {
    fn default() -> Self {
        Self { max_bytes: 256 << 20 }
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            ttl: TimeSpan::from_secs(600),
            max_entry_bytes: 256 << 10,
            max_temperature: 0.0,
            tools: CachedTools::Refuse,
            max_wait: TimeSpan::from_secs(30),
            store: false,
            semantic: None,
        }
    }
}
