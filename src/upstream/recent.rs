//! The latest answers of a model: exponentially weighted means that age, without a lock.
//!
//! A mean is worth as much as the answers in it that are not too old: a model that is not asked any more because it was
//! slow once must be asked again some day, or nobody finds out that it is fast again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::clock::EPOCH;

/// The most answers that a mean rests on: the newest counts for a twentieth at least.
const MOST: f64 = 20.0;

/// Seconds after which an answer counts half.
const HALF_LIFE: f64 = 300.0;

/// A mean that rests on less than this part of an answer is none.
const LEAST: f64 = 1.0 / 16.0;

/// The pace and length of a model's latest answers.
#[derive(Debug, Default)]
pub(crate) struct RecentAnswers {
    first_byte: DecayingMean,
    output_tokens: DecayingMean,
}

/// A mean, how many answers it rests on, and when the last of them came in seconds of the process's clock: bits of
/// `f64`s.
#[derive(Debug, Default)]
struct DecayingMean {
    mean: AtomicU64,
    weight: AtomicU64,
    at: AtomicU64,
}

impl RecentAnswers {
    /// Takes how long an answer took to begin.
    pub(crate) fn began(&self, after: Duration, now: Instant) {
        self.first_byte.take(after.as_secs_f64(), now);
    }

    /// Takes how long an answer was.
    pub(crate) fn ended(&self, output_tokens: u64, now: Instant) {
        self.output_tokens.take(output_tokens as f64, now);
    }

    /// Returns how long answers take to begin, in seconds; `None` before the first. What rests on less than one answer,
    /// because the last ones are long ago, counts for so much less, and at last for nothing.
    #[must_use]
    pub(crate) fn first_byte(&self, now: Instant) -> Option<f64> {
        self.first_byte.get(now).map(|(mean, weight)| mean * weight.min(1.0))
    }

    /// Returns how many tokens answers have; `None` before the first, and when the last ones are long ago.
    #[must_use]
    pub(crate) fn output_tokens(&self, now: Instant) -> Option<f64> {
        self.output_tokens.get(now).map(|(mean, _)| mean)
    }
}

impl DecayingMean {
    /// Returns the mean and how many answers it rests on by now.
    fn get(&self, now: Instant) -> Option<(f64, f64)> {
        let idle = (seconds(now) - read(&self.at)).max(0.0);
        let weight = read(&self.weight) * (-idle / HALF_LIFE).exp2();
        (weight >= LEAST).then(|| (read(&self.mean), weight))
    }

    /// Takes a value into the mean. Of two at the same time one may be lost, or half of one, which no mean notices.
    fn take(&self, value: f64, now: Instant) {
        let (mean, weight) = self.get(now).unwrap_or((value, 0.0));
        let weight = (weight + 1.0).min(MOST);
        let mean = mean + (value - mean) / weight.max(1.0);
        for (own, value) in [(&self.mean, mean), (&self.weight, weight), (&self.at, seconds(now))] {
            own.store(value.to_bits(), Ordering::Relaxed);
        }
    }
}

fn read(bits: &AtomicU64) -> f64 {
    f64::from_bits(bits.load(Ordering::Relaxed))
}

fn seconds(now: Instant) -> f64 {
    now.saturating_duration_since(*EPOCH).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(count: u64) -> Instant {
        *EPOCH + Duration::from_mins(count)
    }

    #[test]
    fn the_mean_begins_with_the_first_answer_and_follows_the_later_ones() {
        let (recent, now) = (RecentAnswers::default(), minutes(0));
        assert_eq!((recent.first_byte(now), recent.output_tokens(now)), (None, None));

        recent.began(Duration::from_secs(1), now);
        recent.ended(100, now);
        assert_eq!((recent.first_byte(now), recent.output_tokens(now)), (Some(1.0), Some(100.0)));

        recent.ended(300, now);
        assert_eq!(recent.output_tokens(now), Some(200.0), "the first is one of two");
        (0..200).for_each(|_| recent.ended(300, now));
        assert!(recent.output_tokens(now).is_some_and(|tokens| (299.0..=300.0).contains(&tokens)));
    }

    #[test]
    fn a_slow_answer_counts_less_and_less_until_it_is_forgotten() {
        let recent = RecentAnswers::default();
        recent.began(Duration::from_secs(60), minutes(0));
        recent.ended(900, minutes(0));

        assert_eq!(recent.first_byte(minutes(5)), Some(30.0));
        assert_eq!(recent.first_byte(minutes(10)), Some(15.0));
        assert_eq!(recent.output_tokens(minutes(10)), Some(900.0), "a length is no reason to stay away");
        assert_eq!((recent.first_byte(minutes(21)), recent.output_tokens(minutes(21))), (None, None));

        recent.began(Duration::from_secs(1), minutes(22));
        assert_eq!(recent.first_byte(minutes(22)), Some(1.0));
    }

    #[test]
    fn what_many_answers_say_is_believed_longer_and_overruled_by_newer_ones() {
        let recent = RecentAnswers::default();
        (0..50).for_each(|_| recent.began(Duration::from_secs(10), minutes(0)));

        assert_eq!(recent.first_byte(minutes(20)), Some(10.0));
        assert!(recent.first_byte(minutes(45)).is_none());
        (0..4).for_each(|_| recent.began(Duration::from_secs(1), minutes(20)));
        assert!(recent.first_byte(minutes(20)).is_some_and(|seconds| seconds < 4.0));
    }
}
