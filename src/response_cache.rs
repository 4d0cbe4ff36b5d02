//! Answers that are given again: kept by what they depend on, and by whose they are.
//!
//! Owns the memory of answers, their keys, the flights for those that are under way, and what makes an answer one to keep.
//! Knows no phases of a request and writes nothing to clients: `proxy::cache` does. Never finds another client's answer:
//! whose it is stands in every key. A store that is gone is a miss.

mod answer;
mod asks;
mod completeness;
mod flights;
mod guard;
mod key;
mod memory;
mod single_ask;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pointsman_core::config::{CacheConfig, Config, Name, PolicyConfig};
use pointsman_telemetry::metrics::ResponseCacheMetrics;

pub(crate) use self::answer::{CachedAnswer, UnixMillis};
use self::asks::{KnownAsk, direction};
pub(crate) use self::completeness::is_complete;
pub(crate) use self::flights::{FlightEnd, FlightLead, FlightSeat};
use self::guard::AskWords;
pub(crate) use self::key::{AnswerOwner, AskedAnswer, CacheKey, CacheScope, KeyDigest};
pub(crate) use self::memory::CacheMemory;
pub(crate) use self::single_ask::{AskFrame, SingleAsk};
use crate::store::SharedStore;

/// The time by which the clocks of replicas may disagree.
const CLOCK_SLACK: Duration = Duration::from_secs(60);

/// The caches of a snapshot's policies; empty where no policy has one.
#[derive(Debug, Default)]
pub(crate) struct ResponseCaches {
    policies: BTreeMap<Name, Arc<PolicyCache>>,
    memory: Option<Arc<CacheMemory>>,
    max_bytes: usize,
}

/// The cache of one policy.
pub(crate) struct PolicyCache {
    policy: Name,
    section: CacheConfig,
    /// A hash of everything in the configuration that decides what an answer is.
    fingerprint: [u8; 32],
    memory: Arc<CacheMemory>,
    store: Option<SharedStore>,
    metrics: ResponseCacheMetrics,
}

/// The parts of a snapshot that a policy's cache is made of.
pub(crate) struct CacheContext<'c> {
    pub(crate) config: &'c Config,
    pub(crate) memory: &'c Arc<CacheMemory>,
    pub(crate) store: Option<&'c SharedStore>,
    pub(crate) metrics: ResponseCacheMetrics,
}

/// The age that an answer may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerFreshness {
    pub(crate) now: UnixMillis,
    /// The most that the client takes.
    pub(crate) max_age: Option<Duration>,
}

/// An ask that is compared with others.
#[derive(Debug, Clone)]
pub(crate) struct ComparedAsk {
    pub(crate) scope: CacheScope,
    pub(crate) frame: AskFrame,
    pub(crate) text: String,
    pub(crate) embedding: Arc<[f32]>,
}

impl ResponseCaches {
    /// Makes the caches of a snapshot.
    pub(crate) fn new(
        policies: BTreeMap<Name, Arc<PolicyCache>>,
        memory: Option<Arc<CacheMemory>>,
        max_bytes: usize,
    ) -> Self {
        Self { policies, memory, max_bytes }
    }

    /// Returns the cache of a policy, if it has one.
    pub(crate) fn of(&self, policy: &Name) -> Option<&Arc<PolicyCache>> {
        self.policies.get(policy)
    }

    /// Returns whether no policy has one.
    pub(crate) fn are_none(&self) -> bool {
        self.policies.is_empty()
    }

    /// Gives the memory the size that the configuration says: the snapshot serves from now on.
    pub(crate) fn adopt(&self) {
        if let Some(memory) = &self.memory {
            memory.resize(self.max_bytes);
        }
    }
}

impl PolicyCache {
    /// Makes the cache of a policy, if it is to have one.
    pub(crate) fn new(policy: &PolicyConfig, context: CacheContext<'_>) -> Option<Self> {
        let section = policy.cache.clone()?;
        let CacheContext { config, memory, store, metrics } = context;
        Some(Self {
            policy: policy.name.clone(),
            fingerprint: fingerprint(policy, config),
            memory: Arc::clone(memory),
            store: store.filter(|_| section.store).cloned(),
            section,
            metrics,
        })
    }

    /// Returns the policy's name.
    pub(crate) const fn policy(&self) -> &Name {
        &self.policy
    }

    /// Returns the policy's section.
    pub(crate) const fn section(&self) -> &CacheConfig {
        &self.section
    }

    /// Returns the policy's metrics.
    pub(crate) const fn metrics(&self) -> &ResponseCacheMetrics {
        &self.metrics
    }

    /// Returns the scope of an owner's answers.
    pub(crate) fn scope(&self, owner: &AnswerOwner<'_>) -> CacheScope {
        CacheScope::of(&self.fingerprint, owner)
    }

    /// Returns an answer that this process keeps and that is fresh.
    pub(crate) fn find(&self, key: CacheKey, freshness: AnswerFreshness) -> Option<Arc<CachedAnswer>> {
        let answer = self.memory.answer(key)?;
        let age = freshness.now.since(answer.kept_at);
        // One of the future is of a clock that was wrong, by which it would be fresh for longer than it may be.
        if age >= self.section.ttl.0 || answer.kept_at.since(freshness.now) > CLOCK_SLACK {
            self.memory.remove(key);
            return None;
        }
        freshness.max_age.is_none_or(|most| age < most).then_some(answer)
    }

    /// Returns an answer that the store keeps and that is fresh; this process keeps it from then on.
    pub(crate) async fn find_shared(&self, key: CacheKey, freshness: AnswerFreshness) -> Option<Arc<CachedAnswer>> {
        let value = self.store.as_ref()?.get_near(&key.in_store()).await.ok()??;
        let answer = CachedAnswer::read(&value, self.section.max_entry_bytes)?;
        if freshness.now.since(answer.kept_at) >= self.section.ttl.0 {
            return None;
        }
        self.insert(key, Arc::new(answer));
        self.find(key, freshness)
    }

    /// Joins the flight for an answer, or begins one.
    pub(crate) fn join(&self, key: CacheKey) -> FlightSeat {
        self.memory.flights.join(key)
    }

    /// Keeps an answer in this process, and in the store where it fits.
    pub(crate) fn keep(&self, key: CacheKey, answer: CachedAnswer) {
        if let Some(store) = &self.store
            && let Some(value) = answer.stored()
        {
            store.put(&key.in_store(), value, self.section.ttl.0);
        }
        self.insert(key, Arc::new(answer));
    }

    fn insert(&self, key: CacheKey, answer: Arc<CachedAnswer>) {
        self.memory.insert(key, answer);
        let (answers, bytes) = self.memory.size();
        self.metrics.holds(answers, bytes);
    }

    /// Returns the answer to the nearest ask that means the same, by the encoder and by the guard.
    pub(crate) fn find_near(&self, ask: &ComparedAsk, freshness: AnswerFreshness) -> Option<Arc<CachedAnswer>> {
        let semantic = self.section.semantic.as_ref()?;
        let known = self.memory.asks(ask.scope)?;
        let (direction, words) = (direction(&ask.embedding), AskWords::of(&ask.text));
        #[expect(clippy::cast_possible_truncation, reason = "a cosine needs no more than 24 bits")]
        let least = semantic.min_similarity.get() as f32;
        let near = |known: &Arc<KnownAsk>| Some((known.similarity(ask.frame, &direction)?, known.key));
        let mut near: Vec<(f32, CacheKey)> = known
            .iter()
            .filter(|known| known.words().agree(&words, semantic.guard))
            .filter_map(near)
            .filter(|(similarity, _)| *similarity >= least)
            .collect();
        near.sort_by(|one, other| other.0.total_cmp(&one.0));
        near.into_iter().find_map(|(_, key)| self.find(key, freshness))
    }

    /// Remembers an ask whose answer is kept under `key`.
    pub(crate) fn remember(&self, ask: &ComparedAsk, key: CacheKey) {
        let Some(semantic) = &self.section.semantic else { return };
        let known = KnownAsk::new(ask.frame, key, &ask.embedding, &ask.text);
        self.memory.remember(ask.scope, known, semantic.max_entries);
    }
}

impl fmt::Debug for PolicyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyCache").field("section", &self.section).finish_non_exhaustive()
    }
}

/// Hashes the policy with all models and providers: after a change of any of them no older answer is found.
fn fingerprint(policy: &PolicyConfig, config: &Config) -> [u8; 32] {
    let mut digest = KeyDigest::new(b"policy");
    let parts = [serde_json::to_vec(policy), serde_json::to_vec(&config.models), serde_json::to_vec(&config.providers)];
    for part in parts {
        digest.part(&part.expect("a configuration is plain data with text for keys"));
    }
    digest.end()
}

#[cfg(test)]
mod tests;
