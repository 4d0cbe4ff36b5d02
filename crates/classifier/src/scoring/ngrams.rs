//! Hashed n-grams: which words and pieces of words a text holds, as a sparse vector of fixed width.
//!
//! Words alone and in pairs, and characters in threes to fives, are hashed to [`WIDTH`] buckets with a sign each, so
//! that collisions cancel on average (Weinberger et al. 2009). No vocabulary is stored, and training counts the same
//! way.

mod counts;
mod hash;
mod normal;
mod pieces;

use std::cell::RefCell;

use self::counts::HashCounts;
use self::pieces::{PIECE_KINDS, PieceCounter, count_words};
use super::tokenize::TextExcerpt;

/// The buckets of the vector.
pub const WIDTH: usize = 1 << 15;

/// Characters of each end of a text that are read: an encoder's budget of 64 tokens, at least.
pub(crate) const MAX_CHARS: usize = 1024;

thread_local! {
    /// The memory that counting takes, a text after the other.
    static SCRATCH: RefCell<NgramScratch> = RefCell::new(NgramScratch::default());
}

/// The n-grams of one text: buckets, and the value of each.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ngrams {
    entries: Vec<(u32, f32)>,
    /// The hashes of the pieces of four letters, as often as they occur.
    hashes: Vec<u64>,
}

#[derive(Default)]
struct NgramScratch {
    counts: HashCounts,
    pieces: PieceCounter,
    /// The normal text.
    text: Vec<u8>,
}

impl Ngrams {
    /// Counts the n-grams of what is left of a text, one entry a bucket, in ascending order. Words and pieces weigh the
    /// same in sum, however long the text is.
    #[must_use]
    pub fn of(excerpt: &TextExcerpt) -> Self {
        let Self { mut entries, hashes } = Self::unsorted(excerpt);
        entries.sort_by_key(|(bucket, _)| *bucket);
        entries.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            kept.1 += if is_same { next.1 } else { 0.0 };
            is_same
        });
        Self { entries, hashes }
    }

    /// Counts as [`Ngrams::of`] does, an entry for each different n-gram in the order of the text: all that a sum over
    /// the buckets needs.
    pub(crate) fn unsorted(excerpt: &TextExcerpt) -> Self {
        SCRATCH.with_borrow_mut(|scratch| scratch.ngrams(excerpt))
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

impl NgramScratch {
    fn ngrams(&mut self, excerpt: &TextExcerpt) -> Ngrams {
        let Self { counts, pieces, text } = self;
        normal::write(text, excerpt.parts(MAX_CHARS));
        let mut ngrams = Ngrams::default();
        counts.begin(text.len());
        count_words(text, counts);
        counts.write(&mut ngrams.entries);
        counts.begin(PIECE_KINDS * text.len());
        pieces.count(text, counts, &mut ngrams.hashes);
        counts.write(&mut ngrams.entries);
        ngrams
    }
}

#[cfg(test)]
mod tests;
