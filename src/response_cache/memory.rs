//! The memory that answers of all policies are kept in, and the asks that they answer. Outlives reloads: keys hold what
//! decides, so that nothing of an older configuration is ever found.

use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::answer::CachedAnswer;
use super::asks::KnownAsk;
use super::flights::Flights;
use super::key::{CacheKey, CacheScope};

/// Parts of the memory with a lock each. Few, because the largest answer must fit into one of them.
const SHARDS: usize = 4;

/// The part of the memory that asks may take, where any policy compares them: one in this many.
const ASKS_PART: u64 = 4;

/// The answers of this process, and the flights for those that are under way.
#[derive(Debug)]
pub(crate) struct CacheMemory {
    answers: Cache<CacheKey, Arc<CachedAnswer>, AnswerWeight>,
    asks: Cache<CacheScope, Arc<[Arc<KnownAsk>]>, AsksWeight>,
    pub(super) flights: Arc<Flights>,
}

#[derive(Debug, Clone)]
struct AnswerWeight;

#[derive(Debug, Clone)]
struct AsksWeight;

impl Weighter<CacheKey, Arc<CachedAnswer>> for AnswerWeight {
    fn weight(&self, _: &CacheKey, answer: &Arc<CachedAnswer>) -> u64 {
        answer.bytes()
    }
}

impl Weighter<CacheScope, Arc<[Arc<KnownAsk>]>> for AsksWeight {
    fn weight(&self, _: &CacheScope, asks: &Arc<[Arc<KnownAsk>]>) -> u64 {
        asks.iter().map(|ask| ask.bytes()).sum::<u64>().max(1)
    }
}

impl CacheMemory {
    /// Makes an empty memory of so many bytes.
    pub(crate) fn new(max_bytes: usize) -> Self {
        let (answers, asks) = parts(max_bytes);
        Self { answers: sized(answers, AnswerWeight), asks: sized(asks, AsksWeight), flights: Arc::default() }
    }

    /// Changes how many bytes it may take.
    pub(crate) fn resize(&self, max_bytes: usize) {
        let (answers, asks) = parts(max_bytes);
        if self.answers.capacity() != answers {
            self.answers.set_capacity(answers);
            self.asks.set_capacity(asks);
        }
    }

    /// Returns an answer, however old.
    pub(super) fn answer(&self, key: CacheKey) -> Option<Arc<CachedAnswer>> {
        self.answers.get(&key)
    }

    /// Keeps an answer.
    pub(super) fn insert(&self, key: CacheKey, answer: Arc<CachedAnswer>) {
        self.answers.insert(key, answer);
    }

    /// Forgets an answer that is too old for everybody.
    pub(super) fn remove(&self, key: CacheKey) {
        self.answers.remove(&key);
    }

    /// Returns the asks of a client that a policy remembers, from the oldest.
    pub(super) fn asks(&self, scope: CacheScope) -> Option<Arc<[Arc<KnownAsk>]>> {
        self.asks.get(&scope)
    }

    /// Remembers one more ask of at most so many; of several at once one may be lost.
    pub(super) fn remember(&self, scope: CacheScope, ask: KnownAsk, most: usize) {
        let before = self.asks.get(&scope);
        let known = before.iter().flat_map(|asks| asks.iter()).filter(|known| known.key != ask.key);
        let mut asks: Vec<_> = known.cloned().collect();
        let surplus = (asks.len() + 1).saturating_sub(most);
        asks.drain(..surplus);
        asks.push(Arc::new(ask));
        self.asks.insert(scope, asks.into());
    }

    /// Returns how many answers it holds, those that are too old included, and the bytes of answers and asks.
    pub(crate) fn size(&self) -> (usize, u64) {
        (self.answers.len(), self.answers.weight() + self.asks.weight())
    }
}

/// Splits bytes into those of answers and those of asks.
fn parts(max_bytes: usize) -> (u64, u64) {
    let asks = max_bytes as u64 / ASKS_PART;
    (max_bytes as u64 - asks, asks)
}

fn sized<K: Eq + std::hash::Hash, V: Clone, W: Weighter<K, V> + Clone>(bytes: u64, weight: W) -> Cache<K, V, W> {
    let options = OptionsBuilder::new().shards(SHARDS).estimated_items_capacity(1024).weight_capacity(bytes).build();
    let options = options.expect("both capacities are said");
    Cache::with_options(options, weight, DefaultHashBuilder::default(), DefaultLifecycle::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response_cache::answer::tests::answer;
    use crate::response_cache::single_ask::AskFrame;

    fn key(number: u32) -> CacheKey {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_le_bytes());
        CacheKey(key)
    }

    #[test]
    fn answers_take_no_more_than_is_allowed() {
        let memory = CacheMemory::new(1 << 20);
        let large = CachedAnswer { body: vec![0; 60_000].into(), ..answer("") };

        (0..100).for_each(|number| memory.insert(key(number), Arc::new(large.clone())));

        let (entries, bytes) = memory.size();
        assert!((4..=13).contains(&entries) && bytes <= 1 << 20, "{entries} answers of {bytes} bytes");
        memory.resize(256 << 10);
        assert!(memory.size().1 <= 256 << 10, "{:?}", memory.size());
    }

    #[test]
    fn the_oldest_ask_goes_first_and_the_same_one_is_remembered_once() {
        let memory = CacheMemory::new(1 << 20);
        let ask = |number: u32| KnownAsk::new(AskFrame([0; 32]), key(number), &[1.0, 0.0], &number.to_string());
        let (scope, other) = (CacheScope([1; 32]), CacheScope([2; 32]));

        [1, 2, 1, 3, 4].into_iter().for_each(|number| memory.remember(scope, ask(number), 3));

        let known: Vec<_> = memory.asks(scope).expect("asks").iter().map(|ask| ask.key).collect();
        assert_eq!(known, [key(1), key(3), key(4)]);
        assert!(memory.asks(other).is_none());
    }
}
