//! The clients that may send requests, and how much: client keys, allow-lists and rate limits.
//!
//! Built with a snapshot. A client whose section did not change keeps its state across reloads: a reload is no way to a
//! fresh allowance. Keys are known by their SHA-256 alone, by which they are looked up, and the one that is found is
//! compared in constant time; keys are long and random, so no slow hash is needed. Keys that are made while Pointsman
//! runs stand in a registry, which outlives snapshots. Knows nothing of HTTP: `proxy` finds the key and writes the
//! headers.

mod bucket;
mod issued_key;
mod key_changes;
mod key_file;
mod key_table;
mod listed_key;
mod question_meter;
mod registry;
mod stored_keys;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pointsman_core::config;
use pointsman_core::config::{KeyHash, Name};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

pub(crate) use self::bucket::TokenBucket;
pub(crate) use self::issued_key::{IssuedKey, NewKey, PlainKey};
pub(crate) use self::question_meter::QuestionMeter;
pub(crate) use self::registry::{ClientKeyRegistry, KeyRegistryError};

/// Characters of a name that is not known that are repeated at most.
const MAX_ECHO: usize = 64;

/// Everyone who may send requests.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    /// `None` when the configuration names no clients: then anyone may.
    known: Option<KnownClients>,
}

/// The clients of a configuration, and their keys.
#[derive(Debug)]
struct KnownClients {
    by_name: BTreeMap<Name, Arc<Client>>,
    /// The keys that stand in the configuration.
    keys: HashMap<[u8; 32], Arc<Client>>,
    /// The keys that were made at run time.
    registry: Option<Arc<ClientKeyRegistry>>,
}

/// A key that came with a request, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct IdentifiedKey {
    pub(crate) client: Arc<Client>,
    /// The number that tells the key apart, whatever its present form.
    pub(crate) number: u64,
}

/// The sections of a configuration that say who may send requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientSections<'c> {
    pub(crate) clients: Option<&'c config::ClientConfigs>,
    pub(crate) teams: &'c BTreeMap<Name, config::TeamConfig>,
}

/// Someone who may send requests.
#[derive(Debug)]
pub struct Client {
    name: Name,
    section: config::ClientConfig,
    /// What its team may use, if it has one.
    team: Option<config::TeamConfig>,
    /// The numbers that tell it and its team apart from others; the same in every replica.
    number: u64,
    team_number: Option<u64>,
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

/// Returns a number that tells a holder of this kind and name apart from others; the same in every replica.
fn number_of(kind: &str, name: &[u8]) -> u64 {
    let digest: [u8; 32] = Sha256::new().chain_update(kind).chain_update(b":").chain_update(name).finalize().into();
    digest.first_chunk().copied().map_or(0, u64::from_le_bytes)
}

impl Clients {
    /// Builds what `sections` describe, with the keys of `registry`; clients of `previous` whose sections are the same
    /// are taken over.
    #[must_use]
    pub(crate) fn build(
        sections: ClientSections<'_>,
        registry: Option<Arc<ClientKeyRegistry>>,
        previous: Option<&Self>,
    ) -> Self {
        let ClientSections { clients: Some(clients), teams } = sections else { return Self::default() };
        let made = |name: &Name, section: &config::ClientConfig| {
            let team = section.team.as_ref().and_then(|team| teams.get(team));
            let before = previous.and_then(|previous| previous.named(name));
            let same = before.filter(|client| client.section == *section && client.team.as_ref() == team);
            same.cloned().unwrap_or_else(|| Arc::new(Client::new(name, section, team)))
        };
        let by_name: BTreeMap<_, _> =
            clients.iter().map(|(name, section)| (name.clone(), made(name, section))).collect();
        let keys = by_name
            .values()
            .flat_map(|client| client.section.keys.iter().map(move |key| (*key.sha256.bytes(), Arc::clone(client))));
        let keys = keys.collect();
        Self { known: Some(KnownClients { by_name, keys, registry }) }
    }

    /// Returns whether requests need a key.
    #[must_use]
    pub(crate) const fn are_required(&self) -> bool {
        self.known.is_some()
    }

    /// Returns every client.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Client> {
        self.known.iter().flat_map(|known| known.by_name.values()).map(|client| &**client)
    }

    /// Returns the registry of the keys that were made at run time, if there is one.
    #[must_use]
    pub(crate) fn registry(&self) -> Option<&Arc<ClientKeyRegistry>> {
        self.known.as_ref()?.registry.as_ref()
    }

    /// Returns the client of this name.
    #[must_use]
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Client>> {
        self.known.as_ref()?.by_name.get(name)
    }

    /// Returns the client of this name, for those who ask on its behalf.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn find(&self, name: &str) -> Result<&Arc<Client>, UnknownClient> {
        self.named(name).ok_or_else(|| UnknownClient {
            name: name.chars().take(MAX_ECHO).collect(),
            known: self.iter().map(|client| client.name.to_string()).collect(),
        })
    }

    /// Returns whose key this is; `None` also for one that was revoked or has expired. Looks it up by its hash, which
    /// nobody can choose so that it is like another's.
    #[must_use]
    pub(crate) fn identify(&self, key: &[u8]) -> Option<IdentifiedKey> {
        let known = self.known.as_ref()?;
        let hash = hash_key(key);
        if let Some((own, client)) = known.keys.get_key_value(hash.bytes()) {
            let is_own = bool::from(own.ct_eq(hash.bytes()));
            let identified = || IdentifiedKey { client: Arc::clone(client), number: number_of("key", hash.bytes()) };
            return is_own.then(identified);
        }
        let (client, number) = known.registry.as_ref()?.identify(&hash)?;
        Some(IdentifiedKey { client: Arc::clone(known.by_name.get(&client)?), number })
    }
}

impl Client {
    fn new(name: &Name, section: &config::ClientConfig, team: Option<&config::TeamConfig>) -> Self {
        let limit = section.rate_limit;
        Self {
            name: name.clone(),
            section: section.clone(),
            team: team.cloned(),
            number: number_of("client", name.as_bytes()),
            team_number: section.team.as_ref().map(|team| number_of("team", team.as_bytes())),
            requests: limit.requests_per_minute.map(|per_minute| RateMeter::new(RateUnit::Requests, per_minute)),
            tokens: limit.tokens_per_minute.map(|per_minute| RateMeter::new(RateUnit::Tokens, per_minute)),
        }
    }

    /// Returns its name in the configuration.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Returns the name of its team, if it has one.
    #[must_use]
    pub const fn team(&self) -> Option<&Name> {
        self.section.team.as_ref()
    }

    /// Returns the number that tells it apart from other clients; the same in every replica.
    #[must_use]
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Returns the number that tells its team apart from others.
    #[must_use]
    pub(crate) const fn team_number(&self) -> Option<u64> {
        self.team_number
    }

    /// Returns the lists of models that hold for it: its own, and its team's.
    fn model_lists(&self) -> impl Iterator<Item = &config::ClientModels> {
        [&self.section.models].into_iter().chain(self.team.as_ref().map(|team| &team.models))
    }

    /// Returns whether `model`, of the catalog or asked for by name, may serve it.
    #[must_use]
    pub fn may_be_served_by(&self, model: &str) -> bool {
        self.model_lists().all(|models| models.allows(model))
    }

    /// Returns whether `model` is one of those that it is refused by name, however that is spelled.
    #[must_use]
    pub fn is_denied(&self, model: &str) -> bool {
        self.model_lists().any(|models| models.denies(model))
    }

    /// Returns whether there are models that may not serve it.
    #[must_use]
    pub fn is_for_some_models(&self) -> bool {
        self.model_lists().any(config::ClientModels::are_limited)
    }

    /// Returns whether `policy` may serve it; `None` stands for passing through.
    #[must_use]
    pub fn may_use(&self, policy: Option<&Name>) -> bool {
        let team = self.team.as_ref().and_then(|team| team.policies.as_ref());
        let is_in = |allowed: &Vec<Name>| policy.is_some_and(|policy| allowed.contains(policy));
        self.section.policies.iter().chain(team).all(is_in)
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
