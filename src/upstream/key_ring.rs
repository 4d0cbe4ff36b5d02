//! Several keys of one provider: which of them a request goes with, and which of them rest, for all models or for one.
//!
//! Requests of one conversation want the same key, as a vendor's cache of prompts belongs to one organisation: weighted
//! rendezvous hashing, so that a key that rests moves only its own conversations. Other requests are spread by a sequence
//! of low discrepancy, in proportion to the weights. Both cost no lock, and a clock is read only while a key rests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue};
use pointsman_core::config::Name;
use pointsman_telemetry::{Metrics, ProviderKeyMetrics};
use tokio::sync::Notify;

use super::clock::EPOCH;
use super::peer::weight;

/// The rest of a key that was rate-limited by an answer that does not say for how long.
const SHORT_REST: Duration = Duration::from_secs(1);

/// The longest rest that an answer can ask for: a limit may be lifted sooner.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// The time after which a key is tried again that was refused: it may have been let in meanwhile.
const REFUSED_REST: Duration = Duration::from_secs(300);

/// The golden ratio's share of 2^64: its multiples spread evenly, however many are taken.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The keys of a provider that has several.
pub(crate) struct KeyRing {
    shares: Vec<KeyShare>,
    turn: AtomicU64,
}

/// The request that a key is chosen for.
#[derive(Clone, Copy, Default)]
pub(crate) struct KeyRequest<'r> {
    /// The conversation, whose requests go with one key; `None` where there is none.
    pub conversation: Option<u64>,
    /// The model, as its provider calls it; `None` where the catalog does not know it.
    pub model: Option<&'r str>,
    /// The keys that refused the request already.
    pub refused: &'r [Arc<UpstreamKey>],
}

/// A key and its share of the requests.
struct KeyShare {
    key: Arc<UpstreamKey>,
    weight: u32,
}

/// A key as the configuration has it, with its value read.
#[derive(Clone)]
pub(super) struct ResolvedKey {
    pub(super) name: Name,
    pub(super) weight: u32,
    pub(super) field: HeaderName,
    /// Marked sensitive.
    pub(super) value: HeaderValue,
}

/// One of a provider's keys, and whether it rests. `Debug` shows its name only.
pub(crate) struct UpstreamKey {
    name: Name,
    provider: Name,
    field: HeaderName,
    value: HeaderValue,
    /// Milliseconds of the process's clock until which it rests; 0 while it does not.
    rests_until: AtomicU64,
    /// True while it rests because the provider refused it.
    is_refused: AtomicBool,
    /// The models that the provider refuses it, each with the millisecond of the process's clock until which it is believed.
    refused_models: ArcSwap<BTreeMap<String, u64>>,
    /// True while a task waits for the end of its rest: one, however often a key is refused and let in.
    is_awaited: AtomicBool,
    /// Wakes that task up when the rest ends early.
    let_in: Notify,
    metrics: ProviderKeyMetrics,
}

impl KeyRing {
    /// Makes the ring of a provider's keys. A key that `previous` had already, with the same value, goes on resting.
    pub(super) fn new(provider: &Name, keys: Vec<ResolvedKey>, previous: Option<&Self>, metrics: &Metrics) -> Self {
        let known = |key: &ResolvedKey| previous.and_then(|old| old.keys().find(|old| old.is_same(key))).cloned();
        let share = |key: ResolvedKey| KeyShare {
            weight: key.weight,
            key: known(&key).unwrap_or_else(|| Arc::new(UpstreamKey::new(provider, key, metrics))),
        };
        Self { shares: keys.into_iter().map(share).collect(), turn: AtomicU64::new(0) }
    }

    /// Returns its keys, in the order of the configuration.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Arc<UpstreamKey>> {
        self.shares.iter().map(|share| &share.key)
    }

    /// Chooses the key of a request, and counts the request for it. Keys that refused it already, and those that rest, come
    /// last: of them the one that is back first.
    pub(crate) fn choose(&self, request: KeyRequest<'_>) -> Arc<UpstreamKey> {
        let chosen = self.would_choose(request);
        chosen.metrics.used();
        Arc::clone(chosen)
    }

    /// Returns the key that a request would go with now; nothing is counted.
    pub(crate) fn would_choose(&self, request: KeyRequest<'_>) -> &Arc<UpstreamKey> {
        self.ready(request).unwrap_or_else(|| self.soonest(request))
    }

    /// Returns whether a key that has not refused the request could take it now.
    pub(crate) fn has_ready(&self, request: KeyRequest<'_>) -> bool {
        let now = self.now(request.model);
        self.keys().any(|key| !is_among(key, request.refused) && key.is_ready(request.model, now))
    }

    /// Returns how long all keys rest for a model; `None` while one does not.
    pub(crate) fn rest_of_all(&self, model: Option<&str>) -> Option<Duration> {
        let now = self.now(model)?;
        let soonest = self.keys().map(|key| key.rests_until(model)).min()?;
        Some(Duration::from_millis(soonest.checked_sub(now)?)).filter(|rest| !rest.is_zero())
    }

    /// Returns the milliseconds of the process's clock; `None` while no key rests, as nobody needs them then.
    fn now(&self, model: Option<&str>) -> Option<u64> {
        let rests = self.keys().any(|key| key.rests_until(model) > 0);
        rests.then(milliseconds_now)
    }

    fn ready(&self, request: KeyRequest<'_>) -> Option<&Arc<UpstreamKey>> {
        let now = self.now(request.model);
        let is_open =
            |share: &&KeyShare| share.key.is_ready(request.model, now) && !is_among(&share.key, request.refused);
        let share = match request.conversation {
            Some(conversation) => {
                let score = |share: &KeyShare| rendezvous(conversation, share);
                self.shares.iter().filter(is_open).max_by(|one, other| score(one).total_cmp(&score(other)))?
            }
            None => self.next(is_open)?,
        };
        Some(&share.key)
    }

    /// Returns the share in turn among those that are `open`, in proportion to their weights.
    fn next<'r>(&'r self, is_open: impl Fn(&&'r KeyShare) -> bool) -> Option<&'r KeyShare> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed).wrapping_mul(GOLDEN);
        let total: u64 = self.shares.iter().filter(&is_open).map(|share| u64::from(share.weight)).sum();
        let place = u64::try_from((u128::from(turn) * u128::from(total)) >> 64).expect("a share of a 64-bit number");
        let mut end = 0;
        self.shares.iter().filter(is_open).find(|share| {
            end += u64::from(share.weight);
            place < end
        })
    }

    /// Returns the key that is back first, those apart that refused the request, if others are left.
    fn soonest(&self, request: KeyRequest<'_>) -> &Arc<UpstreamKey> {
        let order = |key: &&Arc<UpstreamKey>| (is_among(key, request.refused), key.rests_until(request.model));
        self.keys().min_by_key(order).expect("a ring has a key")
    }
}

impl UpstreamKey {
    fn new(provider: &Name, key: ResolvedKey, metrics: &Metrics) -> Self {
        let metrics = metrics.provider_key(provider, &key.name);
        metrics.rests(false);
        Self {
            name: key.name,
            provider: provider.clone(),
            field: key.field,
            value: key.value,
            rests_until: AtomicU64::new(0),
            is_refused: AtomicBool::new(false),
            refused_models: ArcSwap::default(),
            is_awaited: AtomicBool::new(false),
            let_in: Notify::new(),
            metrics,
        }
    }

    /// Returns its name in logs and metrics.
    pub(crate) const fn name(&self) -> &Name {
        &self.name
    }

    /// Returns the field that it goes in.
    pub(crate) const fn field(&self) -> &HeaderName {
        &self.field
    }

    /// Returns its value there, marked sensitive.
    pub(crate) const fn value(&self) -> &HeaderValue {
        &self.value
    }

    /// Returns for how long it still rests; `None` where it does not.
    pub(crate) fn rest_left(&self) -> Option<Duration> {
        let left = self.rests_until.load(Ordering::Relaxed).checked_sub(milliseconds_now())?;
        (left > 0).then(|| Duration::from_millis(left))
    }

    /// Returns whether it rests because its provider refused it.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    /// Returns the models that its provider refuses it now.
    pub(crate) fn refused_models(&self) -> Vec<String> {
        let now = milliseconds_now();
        let models = self.refused_models.load();
        models.iter().filter(|(_, until)| **until > now).map(|(model, _)| model.clone()).collect()
    }

    /// Notes the status of an answer that it got to a request for `model`, and how long that asks to wait: a rate-limited key
    /// rests, a refused one is out for a while, and one that is let in again is back. Unknown keys (401) and accounts
    /// without money (402) are refused whatever the model; what else is forbidden (403) is that model.
    pub(crate) fn answered(self: &Arc<Self>, status: u16, wait: Option<Duration>, model: Option<&str>) {
        match status {
            429 => self.limited(wait.unwrap_or(SHORT_REST).min(LONGEST_REST)),
            401 | 402 => self.refused(status),
            403 => model.into_iter().for_each(|model| self.refused_for(model, status)),
            200..=399 => {
                if self.is_refused.load(Ordering::Relaxed) {
                    self.let_in();
                }
                model.into_iter().for_each(|model| self.let_in_for(model));
            }
            _ => {}
        }
    }

    /// Takes it out for requests of a model for a while: its provider says that it may not be asked with it.
    pub(crate) fn refused_for(&self, model: &str, status: u16) {
        let now = milliseconds_now();
        let is_known = self.refused_models.load().get(model).is_some_and(|until| *until > now);
        self.refused_models.rcu(|models| {
            let left = models.iter().filter(|(_, until)| **until > now).map(|(model, until)| (model.clone(), *until));
            let until = now.saturating_add(milliseconds(REFUSED_REST)).max(1);
            left.chain([(model.to_owned(), until)]).collect::<BTreeMap<_, _>>()
        });
        if !is_known {
            let (provider, key) = (&self.provider, &self.name);
            tracing::error!(%provider, %key, model, status, "Key refused by its provider for a model, so that it is out for that one for a while");
        }
    }

    fn let_in_for(&self, model: &str) {
        if !self.refused_models.load().contains_key(model) {
            return;
        }
        self.refused_models.rcu(|models| {
            let left = models.iter().filter(|(refused, _)| *refused != model);
            left.map(|(model, until)| (model.clone(), *until)).collect::<BTreeMap<_, _>>()
        });
        tracing::info!(provider = %self.provider, key = %self.name, model, "Key is back for a model");
    }

    fn is_same(&self, key: &ResolvedKey) -> bool {
        self.name == key.name && self.field == key.field && self.value == key.value
    }

    /// Returns the millisecond until which it rests for requests of a model; 0 where it does not.
    fn rests_until(&self, model: Option<&str>) -> u64 {
        let refusal = model.and_then(|model| self.refused_models.load().get(model).copied());
        self.rests_until.load(Ordering::Relaxed).max(refusal.unwrap_or_default())
    }

    fn is_ready(&self, model: Option<&str>, now: Option<u64>) -> bool {
        let until = self.rests_until(model);
        until == 0 || now.is_some_and(|now| until <= now)
    }

    fn limited(self: &Arc<Self>, wait: Duration) {
        if !wait.is_zero() && self.rest(wait) {
            let (provider, key) = (&self.provider, &self.name);
            tracing::warn!(%provider, %key, wait_ms = milliseconds(wait), "Key rate-limited, so that it rests");
        }
    }

    fn refused(self: &Arc<Self>, status: u16) {
        self.rest(REFUSED_REST);
        if !self.is_refused.swap(true, Ordering::Relaxed) {
            let (provider, key) = (&self.provider, &self.name);
            tracing::error!(%provider, %key, status, "Key refused by its provider, so that it is out for a while");
        }
    }

    fn let_in(&self) {
        self.is_refused.store(false, Ordering::Relaxed);
        if self.rests_until.swap(0, Ordering::SeqCst) > 0 {
            self.note_return();
            self.let_in.notify_one();
        }
    }

    /// Lets it rest; returns whether it did not before.
    fn rest(self: &Arc<Self>, wait: Duration) -> bool {
        let until = milliseconds_now().saturating_add(milliseconds(wait)).max(1);
        let is_new = self.rests_until.fetch_max(until, Ordering::SeqCst) == 0;
        self.metrics.rests(true);
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && !self.is_awaited.swap(true, Ordering::SeqCst)
        {
            runtime.spawn(Arc::clone(self).wake());
        }
        is_new
    }

    /// Waits for the end of its rest, however long that becomes, and says so.
    async fn wake(self: Arc<Self>) {
        while self.is_still_awaited() {
            let until = self.rests_until.load(Ordering::SeqCst);
            tokio::select! {
                () = tokio::time::sleep_until(*EPOCH + Duration::from_millis(until)) => {}
                () = self.let_in.notified() => continue,
            }
            if self.rests_until.compare_exchange(until, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok() && until > 0 {
                self.is_refused.store(false, Ordering::Relaxed);
                self.note_return();
            }
        }
    }

    /// Returns whether there is a rest to wait for; where there is none, the next one is for another task.
    fn is_still_awaited(&self) -> bool {
        if self.rests_until.load(Ordering::SeqCst) > 0 {
            return true;
        }
        self.is_awaited.store(false, Ordering::SeqCst);
        // A rest that began just now has found the task still there.
        self.rests_until.load(Ordering::SeqCst) > 0 && !self.is_awaited.swap(true, Ordering::SeqCst)
    }

    fn note_return(&self) {
        self.metrics.rests(false);
        tracing::info!(provider = %self.provider, key = %self.name, "Key is back");
    }
}

/// Returns how much a conversation wants a key: the key that is wanted most gets it, each as often as its weight says.
fn rendezvous(conversation: u64, share: &KeyShare) -> f64 {
    let hash = weight(conversation, &share.key.name.as_str());
    let chance = ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -f64::from(share.weight) / chance.ln()
}

fn is_among(key: &Arc<UpstreamKey>, keys: &[Arc<UpstreamKey>]) -> bool {
    keys.iter().any(|other| Arc::ptr_eq(key, other))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn milliseconds_now() -> u64 {
    milliseconds(EPOCH.elapsed())
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys()).finish()
    }
}

impl fmt::Debug for UpstreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpstreamKey({})", self.name)
    }
}

impl fmt::Debug for ResolvedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResolvedKey({})", self.name)
    }
}

#[cfg(test)]
mod tests;
