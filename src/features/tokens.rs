//! Counting tokens within a bounded time.
//!
//! The tokenizer takes 0.03 us a byte for prose, but up to 0.45 us for text without words (one letter repeated, long runs
//! of spaces, line noise), so a limit in bytes would be either too low for prose or too high for an attacker. The limit
//! is in units of effort instead: a letter of a short word and the space after it cost one, any other byte
//! [`DENSE_COST`]. Short pieces also keep the tokenizer's regular expression from its backtracking limit, where it panics.

use std::ops::Range;

use tiktoken_rs::{CoreBPE, o200k_base_singleton};

use crate::prompt::Prompt;

/// Effort that one count may spend: 16 KiB of words, or 4 KiB of anything else.
const MAX_EFFORT: usize = 16 * 1024;
/// Effort for a letter further than [`WORD_BYTES`] into a word, white space after white space, and all that is neither.
const DENSE_COST: usize = 4;
/// The length up to which a word is cheap.
const WORD_BYTES: usize = 16;
/// Effort for each text on its own, however short.
const TEXT_COST: usize = 8;
/// The equal parts that a long conversation is sampled in, each from its beginning.
const PARTS: usize = 8;

/// Tokens in some text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenCount {
    /// How many.
    pub tokens: u64,
    /// Whether that was extrapolated from samples.
    pub estimated: bool,
}

impl TokenCount {
    /// Adds tokens whose number is known.
    #[must_use]
    pub const fn plus(self, tokens: u64) -> Self {
        Self { tokens: self.tokens.saturating_add(tokens), ..self }
    }
}

/// Counts tokens as OpenAI's `o200k_base` encoding makes them.
///
/// The encoding's table is process-wide: 44 MB, loaded by the first count or by [`TokenCounter::warm`].
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenCounter(());

impl TokenCounter {
    /// Returns a counter; costs nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }

    /// Loads the encoding's table now (0.2 to 0.3 s) instead of at the first count.
    pub fn warm(&self) {
        encoding();
    }

    /// Counts the tokens of all turns of `prompt`, those that were sent as ids included.
    #[must_use]
    pub fn of(&self, prompt: &Prompt<'_>) -> TokenCount {
        self.count(prompt.texts()).plus(prompt.token_ids)
    }

    /// Counts the tokens of `texts`, each encoded on its own.
    ///
    /// Exact within a fixed effort (at most 16 KiB of words, 4 KiB of anything else); beyond it extrapolated
    /// from how each eighth of the conversation begins, so that no input takes more than about 2 ms.
    #[must_use]
    pub fn count<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> TokenCount {
        let conversation = Conversation::of(texts);
        let whole = conversation.sample(0..conversation.bytes, MAX_EFFORT);
        if whole.bytes == conversation.bytes {
            return TokenCount { tokens: whole.tokens(), estimated: false };
        }
        TokenCount { tokens: conversation.estimate(), estimated: true }
    }
}

/// Texts in a row, each with the byte that it starts at.
struct Conversation<'t> {
    texts: Vec<(usize, &'t str)>,
    bytes: usize,
}

impl<'t> Conversation<'t> {
    fn of(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut bytes = 0;
        let located = texts.into_iter().map(|text| {
            bytes += text.len();
            (bytes - text.len(), text)
        });
        Self { texts: located.collect(), bytes }
    }

    /// Extrapolates each part from its beginning.
    fn estimate(&self) -> u64 {
        let part = |index| {
            let range = self.bytes * index / PARTS..self.bytes * (index + 1) / PARTS;
            let sample = self.sample(range.clone(), MAX_EFFORT / PARTS);
            sample.tokens() * range.len() as u64 / sample.bytes.max(1) as u64
        };
        (0..PARTS).map(part).sum()
    }

    /// Takes as much from the start of `range` as `effort` pays for.
    fn sample(&self, range: Range<usize>, mut effort: usize) -> Sample<'t> {
        let mut sample = Sample::default();
        let first = self.texts.partition_point(|(start, text)| start + text.len() <= range.start);
        for (start, text) in &self.texts[first..] {
            if range.end <= *start {
                break;
            }
            let from = text.ceil_char_boundary(range.start.saturating_sub(*start));
            let to = text.floor_char_boundary(range.end - start).max(from);
            let piece = affordable(&text[from..to], &mut effort);
            sample.bytes += piece.len();
            sample.pieces.push(piece);
            if piece.len() < to - from {
                break;
            }
        }
        sample
    }
}

/// Pieces of a conversation, and their bytes.
#[derive(Default)]
struct Sample<'t> {
    pieces: Vec<&'t str>,
    bytes: usize,
}

impl Sample<'_> {
    fn tokens(&self) -> u64 {
        self.pieces.iter().map(|piece| encoding().count_ordinary(piece) as u64).sum()
    }
}

/// Returns the longest prefix of `text` that `effort` pays for, and takes its price off it.
fn affordable<'t>(text: &'t str, effort: &mut usize) -> &'t str {
    let mut left = effort.saturating_sub(TEXT_COST);
    let mut word = 0;
    let mut end = text.len();
    for (index, byte) in text.bytes().enumerate() {
        let dense = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => index > 0 && word == 0,
            b'a'..=b'z' | b'A'..=b'Z' | 0x80.. => word >= WORD_BYTES,
            _ => true,
        };
        let cost = if dense { DENSE_COST } else { 1 };
        if cost > left {
            end = index;
            break;
        }
        left -= cost;
        word = if byte.is_ascii_whitespace() { 0 } else { word + 1 };
    }
    *effort = left;
    &text[..text.floor_char_boundary(end)]
}

fn encoding() -> &'static CoreBPE {
    o200k_base_singleton()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(text: &str) -> TokenCount {
        TokenCounter::new().count([text])
    }

    fn exact(text: &str) -> u64 {
        encoding().count_ordinary(text) as u64
    }

    #[test]
    fn short_text_is_counted_exactly() {
        assert_eq!(count("hello world"), TokenCount { tokens: 2, estimated: false });
    }

    #[test]
    fn what_stands_for_a_byte_that_is_no_text_is_one_token_at_most() {
        for count in [1, 2, 3, 7, 64] {
            assert!(exact(&"\u{fffd}".repeat(count)) <= count as u64, "{count}");
            assert!(exact(&"a\u{fffd}".repeat(count)) <= 2 * count as u64, "{count}");
        }
    }

    #[test]
    fn nothing_has_no_tokens() {
        assert_eq!(TokenCounter::new().count([]), TokenCount::default());
        assert_eq!(count(""), TokenCount::default());
    }

    #[test]
    fn prose_is_exact_up_to_the_limit_and_estimated_beyond() {
        let prose = "word ".repeat(MAX_EFFORT);
        let limit = MAX_EFFORT - TEXT_COST;

        assert!(!count(&prose[..limit - 1]).estimated);
        assert_eq!(count(&prose[..limit]), TokenCount { tokens: exact(&prose[..limit]), estimated: false });
        assert!(count(&prose[..=limit]).estimated);
    }

    #[test]
    fn an_estimate_weighs_the_parts_of_a_mixed_conversation() {
        let mixed = [
            "all of this is plain English prose. ".repeat(3_000),
            "{\"k\":[1,2,3]},".repeat(10_000),
            "模型路由 ".repeat(8_000),
        ]
        .concat();

        let estimate = count(&mixed);

        let truth = exact(&mixed);
        assert!(estimate.estimated);
        assert!(estimate.tokens.abs_diff(truth) * 10 < truth, "{} is not within a tenth of {truth}", estimate.tokens);
    }

    #[test]
    fn text_without_words_is_read_no_further_than_a_quarter_of_the_effort() {
        for hostile in ["a", " ", "\n", "模", "/", "aA", "\t "] {
            let hostile = hostile.repeat(1 << 20);

            let sample = Conversation::of([&*hostile]).sample(0..hostile.len(), MAX_EFFORT);

            assert!(
                sample.bytes <= MAX_EFFORT / DENSE_COST + WORD_BYTES,
                "{} bytes of {:?}",
                sample.bytes,
                &hostile[..3]
            );
        }
    }

    #[test]
    fn many_tiny_turns_cost_their_number() {
        let turns = vec!["a"; 1 << 20];

        let sample = Conversation::of(turns.iter().copied()).sample(0..turns.len(), MAX_EFFORT);

        assert!(sample.pieces.len() <= MAX_EFFORT / TEXT_COST);
    }

    proptest! {
        #[test]
        fn samples_are_cut_at_characters(texts in prop::collection::vec("\\PC{0,40}", 0..6), effort in 0_usize..400, part in 0_usize..PARTS) {
            let conversation = Conversation::of(texts.iter().map(String::as_str));
            let range = conversation.bytes * part / PARTS..conversation.bytes * (part + 1) / PARTS;

            let sample = conversation.sample(range.clone(), effort);

            prop_assert!(sample.bytes <= range.len().min(effort));
        }
    }
}
