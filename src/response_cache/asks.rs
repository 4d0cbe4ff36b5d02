//! Asks that were answered, as directions of an encoder, and the nearest of them.

use super::guard::AskWords;
use super::key::CacheKey;
use super::single_ask::AskFrame;

/// Bytes of an ask beside its text and numbers.
const ASK_BYTES: usize = 160;

/// An ask whose answer was kept.
#[derive(Debug)]
pub(crate) struct KnownAsk {
    frame: AskFrame,
    /// The key of its answer.
    pub(super) key: CacheKey,
    direction: Box<[f32]>,
    words: AskWords,
}

impl KnownAsk {
    /// Makes an ask of its embedding and its text.
    pub(super) fn new(frame: AskFrame, key: CacheKey, embedding: &[f32], text: &str) -> Self {
        Self { frame, key, direction: direction(embedding), words: AskWords::of(text) }
    }

    pub(super) fn bytes(&self) -> u64 {
        (ASK_BYTES + size_of_val(&*self.direction) + self.words.bytes()) as u64
    }

    /// Returns how near it is to another ask of the same frame: the cosine of both; `None` for another frame.
    pub(super) fn similarity(&self, frame: AskFrame, direction: &[f32]) -> Option<f32> {
        let is_same = self.frame == frame && self.direction.len() == direction.len();
        is_same.then(|| self.direction.iter().zip(direction).map(|(one, other)| one * other).sum())
    }

    pub(super) const fn words(&self) -> &AskWords {
        &self.words
    }
}

/// Returns an embedding at the length of one.
pub(super) fn direction(embedding: &[f32]) -> Box<[f32]> {
    let length = embedding.iter().map(|value| value * value).sum::<f32>().sqrt();
    let scale = if length > 0.0 { length.recip() } else { 0.0 };
    embedding.iter().map(|value| value * scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_of_one_frame_are_as_near_as_their_directions() {
        let (frame, other) = (AskFrame([1; 32]), AskFrame([2; 32]));
        let ask = KnownAsk::new(frame, CacheKey([0; 32]), &[3.0, 4.0], "hello");

        let near = ask.similarity(frame, &direction(&[4.0, 3.0])).expect("one frame");

        assert!((near - 0.96).abs() < 1e-6, "{near}");
        assert_eq!(ask.similarity(other, &direction(&[4.0, 3.0])), None);
        assert_eq!(ask.similarity(frame, &[1.0]), None, "another encoder");
        assert_eq!(ask.similarity(frame, &direction(&[0.0, 0.0])), Some(0.0));
    }
}
