//! How a model answers lately: exponentially weighted means, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the newest answer counts for, beside all before it.
const WEIGHT: f64 = 0.05;

/// How a model answers lately.
#[derive(Debug, Default)]
pub struct Recent {
    first_byte: Mean,
    output_tokens: Mean,
}

/// The bits of a mean; 0 until there is one, which is the bits of 0.0 too, and no answer takes no time.
#[derive(Debug, Default)]
struct Mean(AtomicU64);

impl Recent {
    /// Takes how long an answer took to begin.
    pub fn began(&self, after: Duration) {
        self.first_byte.take(after.as_secs_f64());
    }

    /// Takes how long an answer was.
    pub fn ended(&self, output_tokens: u64) {
        self.output_tokens.take(output_tokens as f64);
    }

    /// Returns how long answers take to begin, in seconds; `None` before the first.
    #[must_use]
    pub fn first_byte(&self) -> Option<f64> {
        self.first_byte.get()
    }

    /// Returns how many tokens answers have; `None` before the first.
    #[must_use]
    pub fn output_tokens(&self) -> Option<f64> {
        self.output_tokens.get()
    }
}

impl Mean {
    fn get(&self) -> Option<f64> {
        let bits = self.0.load(Ordering::Relaxed);
        (bits != 0).then(|| f64::from_bits(bits))
    }

    /// Of two at the same time one may be lost, which no mean notices.
    fn take(&self, value: f64) {
        let mean = self.get().map_or(value, |mean| mean + WEIGHT * (value - mean));
        self.0.store(mean.to_bits(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_begins_with_the_first_answer_and_follows_the_later_ones() {
        let recent = Recent::default();
        assert_eq!((recent.first_byte(), recent.output_tokens()), (None, None));

        recent.began(Duration::from_secs(1));
        recent.ended(100);
        assert_eq!((recent.first_byte(), recent.output_tokens()), (Some(1.0), Some(100.0)));

        (0..200).for_each(|_| recent.ended(300));
        assert!(recent.output_tokens().is_some_and(|tokens| (299.0..=300.0).contains(&tokens)));
    }
}
