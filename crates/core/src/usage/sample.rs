//! The beginning of an answer's text, from which its tokens are estimated when the upstream does not say.

use std::borrow::Cow;

use crate::features::TokenCounter;

/// The text that is kept, in bytes: about 2000 tokens, which the counter takes well under a millisecond for.
const MAX_SAMPLE: usize = 8 * 1024;

/// The first [`MAX_SAMPLE`] bytes of a text, and its length.
#[derive(Debug, Default)]
pub(super) struct AnswerSample {
    kept: Vec<u8>,
    bytes: u64,
}

impl AnswerSample {
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let room = (MAX_SAMPLE - self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
        self.bytes += bytes.len() as u64;
    }

    /// Returns the bytes of text that passed.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns what was kept; a character that the limit cut is replaced.
    pub(super) fn lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.kept)
    }

    /// Returns the tokens of the whole text, extrapolated from the sample.
    pub(super) fn tokens(&self, counter: &TokenCounter) -> u64 {
        if self.kept.is_empty() {
            return 0;
        }
        let sampled = u128::from(counter.count([&*self.lossy()]).tokens);
        let whole = sampled * u128::from(self.bytes) / self.kept.len() as u128;
        u64::try_from(whole).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(text: &str) -> AnswerSample {
        let mut sample = AnswerSample::default();
        text.as_bytes().chunks(1000).for_each(|piece| sample.extend(piece));
        sample
    }

    #[test]
    fn short_text_is_counted_and_long_text_extrapolated() {
        let counter = TokenCounter::new();

        assert_eq!(sample("hello world").tokens(&counter), 2);
        let long = sample(&"hello world ".repeat(10_000)).tokens(&counter);
        assert!((19_000..=21_000).contains(&long), "{long}");
    }

    #[test]
    fn no_more_than_the_limit_is_kept() {
        for (length, kept) in [(MAX_SAMPLE - 1, MAX_SAMPLE - 1), (MAX_SAMPLE, MAX_SAMPLE), (MAX_SAMPLE + 1, MAX_SAMPLE)]
        {
            let sample = sample(&"x".repeat(length));

            assert_eq!((sample.kept.len(), sample.bytes()), (kept, length as u64));
        }
    }
}
