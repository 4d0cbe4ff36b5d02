//! The clients that may send requests, and how much: client keys, allow-lists and rate limits.
//!
//! Built with a snapshot. A client whose section did not change keeps its state across reloads: a reload is no way to a
//! fresh allowance. Keys are known by their SHA-256 alone, and every stored hash is compared in constant time; keys are
//! long and random, so no slow hash is needed. Knows nothing of HTTP: `proxy` finds the key and writes the headers.

mod bucket;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pointsman_core::config;
use pointsman_core::config::{KeyHash, Name};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

pub(crate) use self::bucket::TokenBucket;

/// Characters of a name that is not known that are repeated at most.
const MAX_ECHO: usize = 64;

/// Everyone who may send requests.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    /// `None` when the configuration names no clients: then anyone may.
    keys: Option<Vec<(KeyHash, Arc<Client>)>>,
}

/// Someone who may send requests.
#[derive(Debug)]
pub struct Client {
    name: Name,
    section: config::ClientConfig,
    requests: Option<RateMeter>,
    tokens: Option<RateMeter>,
}

/// The unit that a client's rate is limited in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateUnit {
    /// Requests, whatever they hold.
    Requests,
    /// Tokens, of prompts and answers.
    Tokens,
}

/// A client that asks too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitExceeded {
    /// The unit of the limit.
    pub unit: RateUnit,
    /// The limit in a minute.
    pub per_minute: u64,
    /// The time until the client may ask again.
    pub retry_after: Duration,
}

/// A client that is not in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("There is no client `{name}` ({}).", if known.is_empty() { "none is configured".to_owned() } else { format!("allowed: {}", known.join(", ")) })]
pub struct UnknownClient {
    /// The name that was asked for.
    pub name: String,
    /// The names of those that are.
    pub known: Vec<String>,
}

/// The rest of what a client may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateAllowance {
    /// The unit of the allowance.
    pub unit: RateUnit,
    /// The limit in a minute.
    pub limit: u64,
    /// The rest at this moment.
    pub remaining: u64,
    /// The time until the whole allowance is back.
    pub reset: Duration,
}

/// A rate and how much of it is used; changes without a lock.
#[derive(Debug)]
struct RateMeter {
    unit: RateUnit,
    rate: TokenBucket,
    epoch: Instant,
    /// When the bucket will be full again, in nanoseconds since `epoch`.
    full_at: AtomicU64,
}

/// Returns the hash by which a client's key is known.
#[must_use]
pub(crate) fn hash_key(key: &[u8]) -> KeyHash {
    KeyHash::new(Sha256::digest(key).into())
}

impl Clients {
    /// Builds what `sections` describe; clients of `previous` whose section is the same are taken over.
    #[must_use]
    pub(crate) fn build(sections: Option<&config::ClientConfigs>, previous: Option<&Self>) -> Self {
        let Some(sections) = sections else { return Self::default() };
        let known = |name: &Name, section: &config::ClientConfig| {
            let (_, client) = previous?.keys.as_ref()?.iter().find(|(_, client)| client.name == *name)?;
            (client.section == *section).then(|| Arc::clone(client))
        };
        let keys = sections.iter().flat_map(|(name, section)| {
            let client = known(name, section).unwrap_or_else(|| Arc::new(Client::new(name, section)));
            section.keys.iter().map(move |key| (key.sha256, Arc::clone(&client)))
        });
        Self { keys: Some(keys.collect()) }
    }

    /// Returns whether requests need a key.
    #[must_use]
    pub(crate) const fn are_required(&self) -> bool {
        self.keys.is_some()
    }

    /// Returns the client of this name.
    #[must_use]
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Client>> {
        self.keys.iter().flatten().map(|(_, client)| client).find(|client| &*client.name == name)
    }

    /// Returns the client of this name, for those who ask on its behalf.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn find(&self, name: &str) -> Result<&Arc<Client>, UnknownClient> {
        self.named(name).ok_or_else(|| {
            let mut known: Vec<_> = self.keys.iter().flatten().map(|(_, client)| client.name.to_string()).collect();
            known.sort();
            known.dedup();
            UnknownClient { name: name.chars().take(MAX_ECHO).collect(), known }
        })
    }

    /// Returns whose key this is. Takes as long for a wrong key as for a right one.
    #[must_use]
    pub(crate) fn identify(&self, key: &[u8]) -> Option<&Arc<Client>> {
        let hash = hash_key(key);
        let mut found = None;
        for (known, client) in self.keys.iter().flatten() {
            if bool::from(known.bytes().ct_eq(hash.bytes())) {
                found = Some(client);
            }
        }
        found
    }
}

impl Client {
    fn new(name: &Name, section: &config::ClientConfig) -> Self {
        let limit = section.rate_limit;
        Self {
            name: name.clone(),
            section: section.clone(),
            requests: limit.requests_per_minute.map(|per_minute| RateMeter::new(RateUnit::Requests, per_minute)),
            tokens: limit.tokens_per_minute.map(|per_minute| RateMeter::new(RateUnit::Tokens, per_minute)),
        }
    }

    /// Returns its name in the configuration.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Returns whether `model`, of the catalog or asked for by name, may serve it.
    #[must_use]
    pub fn may_be_served_by(&self, model: &str) -> bool {
        self.section.models.allows(model)
    }

    /// Returns whether `model` is one of those that it is refused by name, however that is spelled.
    #[must_use]
    pub fn is_denied(&self, model: &str) -> bool {
        self.section.models.denies(model)
    }

    /// Returns whether there are models that may not serve it.
    #[must_use]
    pub const fn is_for_some_models(&self) -> bool {
        self.section.models.are_limited()
    }

    /// Returns whether `policy` may serve it; `None` stands for passing through.
    #[must_use]
    pub fn may_use(&self, policy: Option<&Name>) -> bool {
        let Some(allowed) = &self.section.policies else { return true };
        policy.is_some_and(|policy| allowed.contains(policy))
    }

    /// Returns whether its tokens are counted.
    #[must_use]
    pub const fn counts_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    /// Takes one request, unless there is none left, or no token.
    ///
    /// # Errors
    /// Says what is used up; then nothing is taken.
    pub fn admit(&self) -> Result<(), RateLimitExceeded> {
        if let Some(tokens) = &self.tokens {
            tokens.check(1)?;
        }
        self.requests.as_ref().map_or(Ok(()), |requests| requests.take(1))
    }

    /// Takes so many requests more than were admitted. Never refuses: what is too much is owed.
    pub fn owe_requests(&self, requests: u64) {
        if let Some(meter) = &self.requests {
            meter.correct(0, requests);
        }
    }

    /// Takes the tokens of a prompt. A prompt that is larger than the whole allowance is let through when nothing of it
    /// is used, and leaves a debt.
    ///
    /// # Errors
    /// When they are not there now; then nothing is taken.
    pub fn debit(&self, tokens: u64) -> Result<(), RateLimitExceeded> {
        self.tokens.as_ref().map_or(Ok(()), |meter| meter.take(tokens))
    }

    /// Corrects a debit of `debited` tokens once it is known that the request took `actual` ones, prompt and answer
    /// together. Never refuses: what is too much is owed.
    pub fn settle(&self, debited: u64, actual: u64) {
        if let Some(meter) = &self.tokens {
            meter.correct(debited, actual);
        }
    }

    /// Returns how much it has left of what is limited.
    pub fn allowances(&self) -> impl Iterator<Item = RateAllowance> {
        self.requests.iter().chain(&self.tokens).map(RateMeter::allowance)
    }
}

impl RateUnit {
    /// Returns the unit as header names spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
        }
    }
}

impl RateMeter {
    fn new(unit: RateUnit, per_minute: u64) -> Self {
        Self { unit, rate: TokenBucket::per_minute(per_minute), epoch: Instant::now(), full_at: AtomicU64::new(0) }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn check(&self, amount: u64) -> Result<(), RateLimitExceeded> {
        let taken = self.rate.take(self.full_at.load(Ordering::Relaxed), self.now(), amount);
        taken.map(drop).map_err(|wait| self.limited(wait))
    }

    fn take(&self, amount: u64) -> Result<(), RateLimitExceeded> {
        let now = self.now();
        let mut wait = 0;
        let take = |full_at| self.rate.take(full_at, now, amount).map_err(|nanos| wait = nanos).ok();
        match self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.limited(wait)),
        }
    }

    fn correct(&self, debited: u64, actual: u64) {
        let now = self.now();
        let correct = |full_at| Some(self.rate.correct(full_at, now, debited, actual));
        let _ = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, correct); // always some
    }

    fn limited(&self, wait: u64) -> RateLimitExceeded {
        RateLimitExceeded { unit: self.unit, per_minute: self.rate.limit(), retry_after: Duration::from_nanos(wait) }
    }

    fn allowance(&self) -> RateAllowance {
        let owed = self.full_at.load(Ordering::Relaxed).saturating_sub(self.now());
        RateAllowance {
            unit: self.unit,
            limit: self.rate.limit(),
            remaining: self.rate.remaining(owed),
            reset: Duration::from_nanos(owed),
        }
    }
}

#[cfg(test)]
mod tests;
