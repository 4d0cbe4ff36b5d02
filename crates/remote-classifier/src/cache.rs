//! The cache of a server's scores, by a hash of the text, with one question for many who ask the same at once.
//!
//! A server may get other weights without a word, so scores are kept for a while only.

use std::sync::Arc;
use std::time::Duration;

use pointsman_core::config::ScoreCacheLimits;
use pointsman_core::scores::{ClassifierFailure, Scores};
use pointsman_telemetry::{CacheOutcome, ClassifierMetrics};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};

/// The longest that scores are kept.
const HOLD: Duration = Duration::from_mins(10);

/// The bytes of an entry beside its scores' own.
const ENTRY_BYTES: usize = 128;

/// 128 bits of the sha256 of a text.
type TextKey = [u8; 16];

/// The scores of texts, bounded by entries and bytes.
#[derive(Debug)]
pub(crate) struct RemoteCache {
    /// None when the cache is off.
    scores: Option<Cache<TextKey, KeptScores, EntryWeight>>,
}

#[derive(Debug, Clone)]
struct KeptScores {
    scores: Arc<Scores>,
    until: Instant,
}

/// Weighs entries by their bytes, and each at least as much as keeps their number within its bound.
#[derive(Debug, Clone)]
struct EntryWeight {
    least: u64,
}

impl RemoteCache {
    pub(crate) fn new(limits: ScoreCacheLimits) -> Self {
        let ScoreCacheLimits { max_entries, max_bytes } = limits;
        let least = (max_bytes / max_entries.max(1)).max(1) as u64;
        let cache = || Cache::with_weighter(max_entries, max_bytes as u64, EntryWeight { least });
        Self { scores: (max_entries > 0 && max_bytes > 0).then(cache) }
    }

    /// Finds the scores of a text, or waits for who has asked for them, or asks; at the latest at the deadline.
    pub(crate) async fn find<F>(
        &self,
        text: &str,
        deadline: Instant,
        metrics: &ClassifierMetrics,
        ask: F,
    ) -> Result<Scores, ClassifierFailure>
    where
        F: AsyncFnOnce() -> Result<Arc<Scores>, ClassifierFailure>,
    {
        let Some(cache) = &self.scores else { return ask().await.map(Arc::unwrap_or_clone) };
        let key = key_of(text);
        if let Some(kept) = cache.get(&key) {
            if kept.until > Instant::now() {
                metrics.cached(CacheOutcome::Hit);
                return Ok(Scores { is_cached: true, ..Scores::clone(&kept.scores) });
            }
            cache.remove(&key);
        }
        let found = timeout_at(deadline, cache.get_value_or_guard_async(&key)).await;
        match found.map_err(|_| ClassifierFailure::Deadline)? {
            Ok(kept) => {
                metrics.cached(CacheOutcome::Joined);
                Ok(Scores::clone(&kept.scores))
            }
            // A failure lets the next one of those who wait ask.
            Err(guard) => {
                metrics.cached(CacheOutcome::Miss);
                let scores = ask().await?;
                let _ = guard.insert(KeptScores { scores: Arc::clone(&scores), until: Instant::now() + HOLD });
                Ok(Arc::unwrap_or_clone(scores))
            }
        }
    }
}

impl Weighter<TextKey, KeptScores> for EntryWeight {
    fn weight(&self, _key: &TextKey, kept: &KeptScores) -> u64 {
        let heads = kept.scores.heads.iter().map(|head| size_of_val(head) + size_of_val(&*head.probabilities));
        (heads.sum::<usize>() + ENTRY_BYTES).max(usize::try_from(self.least).unwrap_or(usize::MAX)) as u64
    }
}

fn key_of(text: &str) -> TextKey {
    let mut key = [0; 16];
    key.copy_from_slice(&Sha256::digest(text)[..16]);
    key
}
