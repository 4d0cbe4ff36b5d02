//! Hashed n-grams: which words and pieces of words a text holds, as a sparse vector of fixed width.
//!
//! Words alone and in pairs, and characters in threes to fives, are hashed to [`WIDTH`] buckets with a sign each, so
//! that collisions cancel on average (Weinberger et al. 2009). No vocabulary is stored, and training counts the same
//! way.

use super::tokenize::TextExcerpt;

/// The buckets of the vector.
pub const WIDTH: usize = 1 << 15;

/// Characters in a piece of a word.
const PIECES: std::ops::RangeInclusive<usize> = 3..=5;

/// Characters of each end of a text that are read: an encoder's budget of 64 tokens, at least.
pub(crate) const MAX_CHARS: usize = 1024;

/// Characters in a piece that is looked up among those that training saw: three are in any language's texts, five are
/// rare.
const RECORDED: usize = 4;

/// The n-grams of one text: buckets in ascending order, and the value of each.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ngrams {
    entries: Vec<(u32, f32)>,
    /// The hashes of the pieces of [`RECORDED`] letters, as often as they occur.
    hashes: Vec<u64>,
}

impl Ngrams {
    /// Counts the n-grams of what is left of a text. Words and pieces weigh the same in sum, however long the text is.
    #[must_use]
    pub fn of(excerpt: &TextExcerpt) -> Self {
        let text: String = excerpt.parts(MAX_CHARS).flat_map(char::to_lowercase).collect();
        let (mut words, mut pieces) = (NgramHashes::default(), NgramHashes::default());
        let mut before: Option<&str> = None;
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            words.add(hash(1, [word.as_bytes()]));
            if let Some(before) = before {
                words.add(hash(2, [before.as_bytes(), b" ", word.as_bytes()]));
            }
            before = Some(word);
        }
        let (mut padded, mut ends, mut marks) = (String::new(), Vec::new(), Vec::new());
        let mut hashes = Vec::new();
        for word in text.split_whitespace() {
            padded.clear();
            padded.extend([" ", word, " "]);
            ends.clear();
            ends.extend(padded.char_indices().map(|(at, _)| at));
            ends.push(padded.len());
            marks.clear();
            marks.extend(padded.chars().scan(0_u32, |marks, c| {
                *marks += u32::from(c != ' ' && !c.is_alphabetic());
                Some(*marks)
            }));
            for length in PIECES {
                for (at, window) in ends.windows(length + 1).enumerate() {
                    let hash = hash(length as u64, [&padded.as_bytes()[window[0]..window[length]]]);
                    pieces.add(hash);
                    // Digits and marks are of no language. What stands before a piece is a blank or counted.
                    let before = at.checked_sub(1).map_or(0, |before| marks[before]);
                    if length == RECORDED && marks[at + length - 1] == before {
                        hashes.push(hash);
                    }
                }
            }
        }
        let mut values: Vec<(u32, f32)> = words.scaled().chain(pieces.scaled()).collect();
        // Stable: what falls into one bucket is added in one order, so that the sum is the same everywhere.
        values.sort_by_key(|(bucket, _)| *bucket);
        values.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            kept.1 += if is_same { next.1 } else { 0.0 };
            is_same
        });
        Self { entries: values, hashes }
    }

    /// Returns the buckets and their values.
    #[must_use]
    pub fn entries(&self) -> &[(u32, f32)] {
        &self.entries
    }

    /// Returns the hashes of the pieces of four letters, as often as they occur: what a bundle's record of n-grams
    /// holds.
    #[must_use]
    pub fn hashes(&self) -> &[u64] {
        &self.hashes
    }
}

/// The hashes that occurred. Sorting them at the end counts them several times faster than a map would.
#[derive(Default)]
struct NgramHashes(Vec<u64>);

impl NgramHashes {
    fn add(&mut self, hash: u64) {
        self.0.push(hash);
    }

    /// Returns signed buckets whose values, `1 + ln(count)`, have length 1 together.
    fn scaled(&mut self) -> impl Iterator<Item = (u32, f32)> {
        self.0.sort_unstable();
        let runs = || self.0.chunk_by(|a, b| a == b);
        let weight = |run: &[u64]| 1.0 + (run.len() as f32).ln();
        let length = runs().map(|run| weight(run).powi(2)).sum::<f32>().sqrt().max(1.0);
        runs().map(move |run| {
            let sign = if run[0] >> 63 == 0 { 1.0 } else { -1.0 };
            ((run[0] % WIDTH as u64) as u32, sign * weight(run) / length)
        })
    }
}

/// FNV-1a over 64 bits with a final mix: the same on every machine and in every release.
fn hash<const N: usize>(kind: u64, parts: [&[u8]; N]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ kind.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let bytes = parts.into_iter().flatten();
    let mut hash = bytes.fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::tokenize::TokenBudget;

    fn ngrams(text: &str) -> Ngrams {
        Ngrams::of(&TokenBudget::of_tokens(64).excerpt(text))
    }

    #[test]
    fn case_and_the_length_of_a_text_do_not_change_its_weight() {
        assert_eq!(ngrams("What is DNA"), ngrams("what IS dna"));
        for text in ["hi", "what is the capital of France, and why?"] {
            let squares: f32 = ngrams(text).entries().iter().map(|(_, value)| value * value).sum();
            assert!((squares - 2.0).abs() < 0.3, "{squares} for {text}");
        }
    }

    #[test]
    fn places_ascend_within_the_width_and_nothing_has_none() {
        let ngrams_of_text = ngrams("ein naïver Text — 你好 世界");

        let buckets: Vec<u32> = ngrams_of_text.entries().iter().map(|(bucket, _)| *bucket).collect();
        assert!(buckets.is_sorted_by(|a, b| a < b) && buckets.last().is_some_and(|last| (*last as usize) < WIDTH));
        assert_eq!(ngrams(" \n"), Ngrams::default());
    }

    #[test]
    fn pieces_of_four_letters_are_recorded_and_none_with_digits_or_marks() {
        let hashes = |pieces: &[&str]| pieces.iter().map(|piece| hash(4, [piece.as_bytes()])).collect::<Vec<_>>();

        assert_eq!(ngrams("Tea? (tea) v1.2 a1b2").hashes(), hashes(&[" tea"]));
        assert_eq!(ngrams("weiß 你好").hashes(), hashes(&[" wei", "weiß", "eiß ", " 你好 "]));
        assert!(ngrams("2+2? ... 10082928273728202828282").hashes().is_empty());
    }

    #[test]
    fn the_hash_never_changes() {
        // Bundles hold weights by bucket.
        assert_eq!(hash(1, [b"what".as_slice()]) % WIDTH as u64, 27981);
    }
}
