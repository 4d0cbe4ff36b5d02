//! The score cache: scores that were computed, and runs under way, by a hash of the input.
//!
//! The key is a hash of all that a classifier reads, the bundle included, so nothing is ever out of date. A shard holds
//! two generations: what is found in the old one moves to the young one, and when the young one is half of the bound,
//! it becomes the old one. So what is asked for often stays, at the cost of two hash maps. The locks are held for a
//! look-up, never across a wait.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pointsman_core::config;
use pointsman_core::scores::{HeadScores, Scores};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::bundle::BundleIdentity;
use crate::scoring::scorer::ScorerInput;
use crate::serving::single_flight::{FlightReceiver, SingleFlight};

/// Shards of a cache that is large enough to be split.
const SHARDS: usize = 16;

/// The fewest entries of a shard.
const SHARD_ENTRIES: usize = 64;

/// The fewest bytes of a shard.
const SHARD_BYTES: usize = 64 << 10;

/// The bytes of an entry beside its scores: hash map, counters, key.
const ENTRY_BYTES: usize = 96;

/// 128 bits of the sha256 over a classifier's input and its bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ScoreCacheKey([u8; 16]);

/// The scores by key; bounded by entries and bytes.
#[derive(Debug)]
pub(crate) struct ScoreCache {
    /// None when the cache is off.
    shards: Vec<Mutex<CacheShard>>,
}

/// The result of a look-up in the cache.
#[derive(Debug)]
pub(crate) enum CacheLookup {
    /// The scores themselves.
    Hit(Arc<Scores>),
    /// A run for the same input is under way.
    Joined(FlightReceiver),
    /// Nothing, and no permit to start it.
    Nothing,
    /// Nothing: the caller has to bring this flight to a worker.
    Lead(Arc<SingleFlight>, FlightReceiver),
}

#[derive(Debug)]
struct CacheShard {
    max_entries: usize,
    max_bytes: usize,
    young: CacheGeneration,
    old: CacheGeneration,
    /// A flight that no worker holds any more is as good as none.
    flights: HashMap<ScoreCacheKey, Weak<SingleFlight>>,
}

#[derive(Debug, Default)]
struct CacheGeneration {
    scores: HashMap<ScoreCacheKey, Arc<Scores>>,
    bytes: usize,
}

impl ScoreCacheKey {
    /// Hashes everything that decides what a bundle says about an input.
    pub(crate) fn of(input: &ScorerInput, bundle: &BundleIdentity) -> Self {
        let mut hash = Sha256::new();
        hash.update(bundle.sha256.as_bytes());
        let [head, tail] = input.excerpt.ends();
        hash.update(head.len().to_le_bytes());
        hash.update(head);
        hash.update(tail.len().to_le_bytes());
        hash.update(tail);
        hash.update(input.excerpt.cut_from().unwrap_or_default().to_le_bytes());
        for feature in &input.features {
            hash.update(feature.to_bits().to_le_bytes());
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Self(key)
    }
}

impl ScoreCache {
    /// Makes an empty cache; one that may hold nothing also joins nobody.
    pub(crate) fn new(bounds: config::ScoreCacheLimits) -> Self {
        let config::ScoreCacheLimits { max_entries, max_bytes } = bounds;
        if max_entries == 0 || max_bytes == 0 {
            return Self { shards: Vec::new() };
        }
        let count = (max_entries / SHARD_ENTRIES).min(max_bytes / SHARD_BYTES).clamp(1, SHARDS);
        let shard = || Mutex::new(CacheShard::new(max_entries / count, max_bytes / count));
        Self { shards: std::iter::repeat_with(shard).take(count).collect() }
    }

    /// Finds scores, or joins the run under way, or starts one if `may_lead`.
    pub(crate) fn find(&self, key: ScoreCacheKey, deadline: Instant, may_lead: bool) -> CacheLookup {
        let lead = || {
            let (flight, waiting) = SingleFlight::new(deadline);
            CacheLookup::Lead(flight, waiting)
        };
        let Some(mut shard) = self.shard(key) else { return if may_lead { lead() } else { CacheLookup::Nothing } };
        if let Some(scores) = shard.get(key) {
            return CacheLookup::Hit(scores);
        }
        let flight = shard.flights.get(&key).and_then(Weak::upgrade);
        if let Some(waiting) = flight.and_then(|flight| flight.join(deadline)) {
            return CacheLookup::Joined(waiting);
        }
        if !may_lead {
            return CacheLookup::Nothing;
        }
        let found = lead();
        if let CacheLookup::Lead(flight, _) = &found {
            shard.flights.insert(key, Arc::downgrade(flight));
        }
        found
    }

    /// Inserts the scores of a flight that has landed.
    pub(crate) fn insert(&self, key: ScoreCacheKey, scores: &Arc<Scores>) {
        if let Some(mut shard) = self.shard(key) {
            shard.flights.remove(&key);
            shard.insert(key, scores);
        }
    }

    /// Forgets a flight that brings no scores, unless another one has started since.
    pub(crate) fn forget(&self, key: ScoreCacheKey, flight: &Arc<SingleFlight>) {
        if let Some(mut shard) = self.shard(key)
            && shard.flights.get(&key).is_some_and(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(flight)))
        {
            shard.flights.remove(&key);
        }
    }

    fn shard(&self, key: ScoreCacheKey) -> Option<MutexGuard<'_, CacheShard>> {
        let index = usize::from(key.0[0]) % self.shards.len().max(1);
        self.shards.get(index).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl CacheShard {
    fn new(max_entries: usize, max_bytes: usize) -> Self {
        let (young, old) = Default::default();
        Self { max_entries, max_bytes, young, old, flights: HashMap::new() }
    }

    fn get(&mut self, key: ScoreCacheKey) -> Option<Arc<Scores>> {
        if let Some(scores) = self.young.scores.get(&key) {
            return Some(Arc::clone(scores));
        }
        let scores = self.old.scores.remove(&key)?;
        self.old.bytes -= size(&scores);
        self.insert(key, &scores);
        Some(scores)
    }

    fn insert(&mut self, key: ScoreCacheKey, scores: &Arc<Scores>) {
        let bytes = size(scores);
        if bytes > self.max_bytes {
            return;
        }
        let grown = (self.young.scores.len() + 1, self.young.bytes + bytes);
        if !self.young.scores.is_empty() && (grown.0 > self.max_entries / 2 || grown.1 > self.max_bytes / 2) {
            self.old = mem::take(&mut self.young);
        }
        let entries = self.young.scores.len() + self.old.scores.len();
        if entries >= self.max_entries || self.young.bytes + self.old.bytes + bytes > self.max_bytes {
            self.old = CacheGeneration::default();
        }
        if self.young.scores.insert(key, Arc::clone(scores)).is_none() {
            self.young.bytes += bytes;
        }
    }
}

/// Labels and names are the bundle's own and shared.
fn size(scores: &Scores) -> usize {
    let head = |head: &HeadScores| size_of::<HeadScores>() + size_of_val(&*head.probabilities);
    let embedding = scores.embedding.as_deref().map_or(0, size_of_val);
    ENTRY_BYTES + size_of::<Scores>() + embedding + scores.heads.iter().map(head).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pointsman_core::scores::ClassifierFailure;

    use super::*;

    fn key(number: u8) -> ScoreCacheKey {
        ScoreCacheKey([number; 16])
    }

    fn scores() -> Arc<Scores> {
        Arc::new(Scores { tokens: 3, ..Scores::of(Vec::new()) })
    }

    fn cache(max_entries: usize, max_bytes: usize) -> ScoreCache {
        ScoreCache::new(config::ScoreCacheLimits { max_entries, max_bytes })
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    fn holds(cache: &ScoreCache, number: u8) -> bool {
        matches!(cache.find(key(number), soon(), false), CacheLookup::Hit(_))
    }

    fn lead(cache: &ScoreCache, number: u8) -> (Arc<SingleFlight>, FlightReceiver) {
        match cache.find(key(number), soon(), true) {
            CacheLookup::Lead(flight, waiting) => (flight, waiting),
            found => panic!("{found:?}"),
        }
    }

    #[test]
    fn no_more_than_the_entries_of_the_bound_are_kept() {
        for bound in 1..=9_u8 {
            let cache = cache(bound.into(), 1 << 20);

            (0..50).for_each(|number| cache.insert(key(number), &scores()));

            let found = (0..50).filter(|number| holds(&cache, *number)).count();
            assert!((1..=bound.into()).contains(&found), "{found} of {bound}");
            assert!(holds(&cache, 49), "the youngest of {bound} is there");
        }
    }

    #[test]
    fn no_more_than_the_bytes_of_the_bound_are_kept() {
        let cache = cache(1000, 10 * size(&scores()));

        (0..50).for_each(|number| cache.insert(key(number), &scores()));

        let found = (0..50).filter(|number| holds(&cache, *number)).count();
        assert!((5..=10).contains(&found), "{found}");
    }

    #[test]
    fn what_is_asked_for_stays_while_others_go() {
        let cache = cache(8, 1 << 20);
        cache.insert(key(0), &scores());

        for number in 1..50 {
            cache.insert(key(number), &scores());
            assert!(holds(&cache, 0), "after {number}");
        }
    }

    #[test]
    fn a_cache_of_nothing_keeps_nothing_and_joins_nobody() {
        for cache in [cache(0, 1 << 20), cache(10, 0)] {
            let _first = lead(&cache, 1);
            let _second = lead(&cache, 1);
            cache.insert(key(1), &scores());

            assert!(!holds(&cache, 1));
        }
    }

    #[tokio::test]
    async fn who_asks_for_what_is_under_way_joins() {
        let cache = cache(8, 1 << 20);
        let (flight, first) = lead(&cache, 1);

        let CacheLookup::Joined(second) = cache.find(key(1), soon(), true) else { panic!("under way") };
        flight.answer(&Ok(scores()));

        assert_eq!(first.await.expect("an answer"), Ok(scores()));
        assert_eq!(second.await.expect("an answer"), Ok(scores()));
    }

    #[tokio::test]
    async fn a_leader_that_leaves_does_not_lose_its_followers() {
        let cache = cache(8, 1 << 20);
        let (flight, first) = lead(&cache, 1);
        let CacheLookup::Joined(second) = cache.find(key(1), soon(), true) else { panic!("under way") };

        drop(first);

        assert!(flight.deadline(Instant::now()).is_some(), "somebody waits");
        flight.answer(&Ok(scores()));
        assert_eq!(second.await.expect("an answer"), Ok(scores()));
    }

    #[tokio::test]
    async fn a_flight_that_everybody_left_is_joined_by_nobody() {
        let cache = cache(8, 1 << 20);
        let (flight, waiting) = lead(&cache, 1);
        drop(waiting);

        assert!(flight.deadline(Instant::now()).is_none());

        let (second, _waiting) = lead(&cache, 1);
        cache.forget(key(1), &flight);
        assert!(
            matches!(cache.find(key(1), soon(), true), CacheLookup::Joined(_)),
            "the second flight is not forgotten"
        );
        drop(second);
    }

    #[tokio::test]
    async fn a_worker_that_drops_a_flight_tells_all_and_another_one_may_start() {
        let cache = cache(8, 1 << 20);
        let (flight, first) = lead(&cache, 1);
        let CacheLookup::Joined(second) = cache.find(key(1), soon(), true) else { panic!("under way") };

        drop(flight);

        assert!(first.await.is_err() && second.await.is_err());
        let _again = lead(&cache, 1);
    }

    #[test]
    fn an_answer_without_scores_is_not_kept() {
        let cache = cache(8, 1 << 20);
        let (flight, _waiting) = lead(&cache, 1);

        cache.forget(key(1), &flight);
        flight.answer(&Err(ClassifierFailure::Inference));

        let _again = lead(&cache, 1);
    }
}
