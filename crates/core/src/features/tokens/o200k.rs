//! OpenAI's `o200k_base` encoding, as far as tokens are counted: what a text splits into, and how many tokens each piece
//! is.
//!
//! The tables are read where they lie in the binary (4 MB, of which only touched pages are in memory): nothing is loaded,
//! and all processes share them. `tiktoken-rs` is where the build script takes the vocabulary from, and what the tests
//! compare every count with.

mod character;
mod layout;
mod merge;
mod split;
mod vocabulary;

use self::merge::Merges;
use self::split::Pieces;

/// Counts the tokens of `text`; what reads like a special token is text.
///
/// One pass over the text, one look-up for each piece that is a token (nearly all of prose), and merges for the others: in
/// the worst case O(n log n) of the longest piece.
pub(super) fn count(text: &str) -> usize {
    let mut merges = Merges::default();
    Pieces::of(text).map(|piece| if vocabulary::rank(piece).is_some() { 1 } else { merges.count(piece) }).sum()
}

#[cfg(test)]
mod tests;
