//! Counting tokens within a bounded time.
//!
//! The tokenizer ([`o200k`]) takes far less for prose than for text without words (one letter repeated, long runs of
//! spaces, line noise), so a limit in bytes would be either too low for prose or too high for an attacker. The
//! limit is in units of effort instead: a letter of a short word and the space after it cost one, any other byte
//! [`DENSE_COST`].
//!
//! There is one tokenizer. What others would make of a text is bounded by what it is made of ([`makeup`],
//! [`family`]); what is attached counts by its vendor's rule ([`media`]).

mod family;
mod makeup;
mod media;
mod o200k;
mod tokenizer;

use std::ops::{Add, Range};

pub(super) use self::family::template;
pub(super) use self::makeup::TextMakeup;
pub(super) use self::media::MediaTokens;
pub use self::tokenizer::TokenizerFamily;
use crate::prompt::{JsonEscapes, Prompt, unescaped};

/// Effort that one count may spend: 16 KiB of words, or 4 KiB of anything else.
const MAX_EFFORT: usize = 16 * 1024;
/// Effort for a letter further than [`WORD_BYTES`] into a word, white space after white space, and all that is neither.
const DENSE_COST: usize = 4;
/// The length up to which a word is cheap.
const WORD_BYTES: usize = 16;
/// Effort for each text on its own, however short.
const TEXT_COST: usize = 8;
/// The equal parts that a long conversation is sampled in, each from its beginning.
const PARTS: usize = 32;

/// The share of an extrapolated count that is added where it must not be too low, a sixteenth: over 60 made-up requests
/// of agents (60 to 400 KB of runs of prose, code, JSON and logs) an estimate was 3.4 % too low at worst, and 2.2 % in
/// one of twenty.
const ESTIMATE_MARGIN: u64 = 16;

/// Tokens in some text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenCount {
    /// The number of tokens.
    pub tokens: u64,
    /// True where the number was extrapolated from samples.
    pub estimated: bool,
}

impl TokenCount {
    /// Adds tokens whose number is known.
    #[must_use]
    pub const fn plus(self, tokens: u64) -> Self {
        Self { tokens: self.tokens.saturating_add(tokens), ..self }
    }
}

/// Tokens of a prompt's texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenTally {
    /// Tokens by o200k, without those that were sent as ids.
    count: TokenCount,
    /// Tokens that were sent as ids.
    ids: u64,
    /// Bytes of the texts: no tokenizer makes more tokens of them.
    bytes: u64,
}

impl TokenTally {
    /// Returns the tokens by o200k, those that were sent as ids included.
    #[must_use]
    pub const fn count(&self) -> TokenCount {
        self.count.plus(self.ids)
    }

    /// Returns the most tokens that a model of the family counts. What the texts are made of is looked at where its
    /// tokenizer is another than the one that counted.
    pub(super) fn at_most(&self, tokenizer: TokenizerFamily, makeup: impl FnOnce() -> TextMakeup) -> u64 {
        let rated = match tokenizer {
            TokenizerFamily::Openai => self.count.tokens,
            other => family::rated(other, self.count.tokens, &makeup()),
        };
        let sure = if self.count.estimated { rated.saturating_add(rated / ESTIMATE_MARGIN) } else { rated };
        sure.min(self.bytes).max(self.count.tokens).saturating_add(self.ids)
    }
}

impl From<TokenCount> for TokenTally {
    /// Tokens of a text that is not known.
    fn from(count: TokenCount) -> Self {
        Self { count, bytes: u64::MAX, ids: 0 }
    }
}

/// Counts tokens as OpenAI's `o200k_base` encoding makes them.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenCounter(());

impl TokenCounter {
    /// Returns a counter; costs nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }

    /// Counts the tokens of all turns of `prompt` and of the pieces beside them, those that were sent as ids included.
    /// What is attached is not in it.
    #[must_use]
    pub fn of(&self, prompt: &Prompt<'_>) -> TokenTally {
        let conversation = TextSequence::of_prompt(prompt);
        let (tokens, estimated) = conversation.measure(TextSample::tokens, |tokens, whole, part| tokens * whole / part);
        let count = TokenCount { tokens, estimated };
        TokenTally { count, ids: prompt.token_ids, bytes: conversation.bytes as u64 }
    }

    /// Looks at what the texts that [`TokenCounter::of`] counts are made of, as far as it counts them.
    pub(super) fn makeup_of(self, prompt: &Prompt<'_>) -> TextMakeup {
        TextSequence::of_prompt(prompt).measure(TextSample::makeup, TextMakeup::scaled).0
    }

    /// Counts the tokens of `texts`, each encoded on its own.
    ///
    /// Exact within a fixed effort (at most 16 KiB of words, 4 KiB of anything else); beyond it extrapolated
    /// from how each of 32 parts of the conversation begins, so that no input takes more than about 2 ms.
    #[must_use]
    pub fn count<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> TokenCount {
        let conversation = TextSequence::of(texts.into_iter().map(CountedText::plain));
        let (tokens, estimated) = conversation.measure(TextSample::tokens, |tokens, whole, part| tokens * whole / part);
        TokenCount { tokens, estimated }
    }
}

/// A text as it is written, and what is to be taken off before it is counted.
#[derive(Clone, Copy)]
struct CountedText<'t> {
    written: &'t str,
    escapes: Option<JsonEscapes>,
}

impl<'t> CountedText<'t> {
    const fn plain(written: &'t str) -> Self {
        Self { written, escapes: None }
    }

    fn read<T>(&self, measure: impl FnOnce(&str) -> T) -> T {
        match self.escapes {
            None => measure(self.written),
            Some(escapes) => measure(&unescaped(self.written, escapes)),
        }
    }
}

/// Texts in a row, each with the byte that it starts at.
struct TextSequence<'t> {
    texts: Vec<(usize, CountedText<'t>)>,
    bytes: usize,
}

impl<'t> TextSequence<'t> {
    fn of(texts: impl IntoIterator<Item = CountedText<'t>>) -> Self {
        let mut bytes = 0;
        let located = texts.into_iter().map(|text| {
            bytes += text.written.len();
            (bytes - text.written.len(), text)
        });
        Self { texts: located.collect(), bytes }
    }

    fn of_prompt(prompt: &'t Prompt<'_>) -> Self {
        let pieces =
            prompt.pieces().iter().map(|piece| CountedText { written: piece.written(), escapes: piece.escapes() });
        Self::of(prompt.texts().map(CountedText::plain).chain(pieces))
    }

    /// Measures all of it, or extrapolates each part from its beginning: `scaled` takes what a sample of so many bytes
    /// has for what so many have. Returns whether it did.
    fn measure<T: Add<Output = T> + Default>(
        &self,
        measure: impl Fn(&TextSample<'t>) -> T,
        scaled: impl Fn(T, u64, u64) -> T,
    ) -> (T, bool) {
        let whole = if self.is_small() { self.whole() } else { self.sample(0..self.bytes, MAX_EFFORT) };
        if whole.bytes == self.bytes {
            return (measure(&whole), false);
        }
        let part = |index| {
            let range = self.bytes * index / PARTS..self.bytes * (index + 1) / PARTS;
            let sample = self.sample(range.clone(), MAX_EFFORT / PARTS);
            scaled(measure(&sample), range.len() as u64, sample.bytes.max(1) as u64)
        };
        ((0..PARTS).map(part).fold(T::default(), T::add), true)
    }

    /// Returns true where the effort pays for all of it, whatever it is.
    fn is_small(&self) -> bool {
        self.bytes * DENSE_COST + self.texts.len() * TEXT_COST <= MAX_EFFORT
    }

    fn whole(&self) -> TextSample<'t> {
        TextSample { pieces: self.texts.iter().map(|(_, text)| *text).collect(), bytes: self.bytes }
    }

    /// Takes as much from the start of `range` as `effort` pays for.
    fn sample(&self, range: Range<usize>, mut effort: usize) -> TextSample<'t> {
        let mut sample = TextSample::default();
        let first = self.texts.partition_point(|(start, text)| start + text.written.len() <= range.start);
        for (start, text) in &self.texts[first..] {
            if range.end <= *start {
                break;
            }
            let from = text.written.ceil_char_boundary(range.start.saturating_sub(*start));
            let to = text.written.floor_char_boundary(range.end - start).max(from);
            let written = affordable(&text.written[from..to], &mut effort);
            sample.bytes += written.len();
            sample.pieces.push(CountedText { written, ..*text });
            if written.len() < to - from {
                break;
            }
        }
        sample
    }
}

/// Pieces of a conversation, and their bytes.
#[derive(Default)]
struct TextSample<'t> {
    pieces: Vec<CountedText<'t>>,
    bytes: usize,
}

impl TextSample<'_> {
    fn tokens(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.read(o200k::count) as u64).sum()
    }

    fn makeup(&self) -> TextMakeup {
        self.pieces.iter().map(|piece| piece.read(TextMakeup::of)).fold(TextMakeup::default(), TextMakeup::add)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(text: &str) -> TokenCount {
        TokenCounter::new().count([text])
    }

    fn exact(text: &str) -> u64 {
        tiktoken_rs::o200k_base_singleton().count_ordinary(text) as u64
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

            let sample = TextSequence::of([CountedText::plain(&hostile)]).sample(0..hostile.len(), MAX_EFFORT);

            assert!(
                sample.bytes <= MAX_EFFORT / DENSE_COST + WORD_BYTES,
                "{} bytes of {:?}",
                sample.bytes,
                &hostile[..3]
            );
        }
    }

    #[test]
    fn escapes_buy_no_more_text_than_the_characters_they_stand_for() {
        for escape in ["\\u0061", "\\n", "\\\\", "\\ud83d\\ude00", "\\u6a21", "\\"] {
            let hostile = escape.repeat(1 << 18);
            let text = CountedText { written: &hostile, escapes: Some(JsonEscapes::All) };

            let sample = TextSequence::of([text]).sample(0..hostile.len(), MAX_EFFORT);

            let read: usize = sample.pieces.iter().map(|piece| piece.read(str::len)).sum();
            assert!(read <= MAX_EFFORT / DENSE_COST + WORD_BYTES, "{read} bytes of {escape}");
        }
    }

    #[test]
    fn many_tiny_turns_cost_their_number() {
        let turns = vec!["a"; 1 << 20];

        let sample = TextSequence::of(turns.iter().copied().map(CountedText::plain)).sample(0..turns.len(), MAX_EFFORT);

        assert!(sample.pieces.len() <= MAX_EFFORT / TEXT_COST);
    }

    proptest! {
        #[test]
        fn no_family_counts_fewer_tokens_than_o200k_nor_more_than_bytes(text in "\\PC{0,200}|[0-9 ,.]{0,200}|[a-z \n]{0,200}") {
            let body = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": text}]}).to_string();
            let prompt = Prompt::parse(crate::prompt::Dialect::ChatCompletions, body.as_bytes()).expect("a body");

            let tally = TokenCounter::new().of(&prompt);
            let makeup = || TokenCounter::new().makeup_of(&prompt);

            prop_assert_eq!(tally.at_most(TokenizerFamily::Openai, makeup), tally.count().tokens);
            for tokenizer in TokenizerFamily::ALL {
                let most = tally.at_most(tokenizer, makeup);
                prop_assert!((tally.count().tokens..=text.len() as u64).contains(&most), "{}: {}", tokenizer.as_str(), most);
            }
        }

        #[test]
        fn samples_are_cut_at_characters(texts in prop::collection::vec("\\PC{0,40}", 0..6), effort in 0_usize..400, part in 0_usize..PARTS) {
            let conversation = TextSequence::of(texts.iter().map(|text| CountedText::plain(text)));
            let range = conversation.bytes * part / PARTS..conversation.bytes * (part + 1) / PARTS;

            let sample = conversation.sample(range.clone(), effort);

            prop_assert!(sample.bytes <= range.len().min(effort));
        }
    }
}
