//! What a text says again is read once.
//!
//! Padding and stacked preambles repeat themselves. Left in, they would fill the token budget, dilute a mean-pooled
//! embedding and outweigh every other n-gram: a hundred times "the" would buy a dearer model. A bundle that was trained
//! on texts cut this way says so by `repeat_words`; training cuts by the same rule (`models/train/repeats.py`).

use std::borrow::Cow;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use pointsman_core::features::Words;

/// About how many bytes a word takes with its blank, to make room beforehand.
const BYTES_PER_WORD: usize = 5;

/// The factor of a word's hash for each word behind it in a run.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// The runs of words that a text has held so far.
#[derive(Debug)]
pub(crate) struct RepeatFilter<'t> {
    window: usize,
    /// The words of all texts so far, one behind the other.
    words: Vec<&'t str>,
    /// Each different run.
    runs: HashTable<WordRun>,
    /// Hashes words by a key of this process, so that no text can be written to collide.
    state: RandomState,
}

/// A run of words.
#[derive(Debug, Clone, Copy)]
struct WordRun {
    hash: u64,
    /// The index of its first word.
    at: usize,
}

impl<'t> RepeatFilter<'t> {
    /// Looks for runs of `window` words; at least one.
    pub(crate) fn new(window: usize) -> Self {
        Self { window: window.max(1), words: Vec::new(), runs: HashTable::new(), state: RandomState::default() }
    }

    /// Returns `text` without the words that stand in a run which occurred before, in it or in an earlier text.
    ///
    /// A word goes together with the white space before it. Time is linear in the length of the text.
    pub(crate) fn once(&mut self, text: &'t str) -> Cow<'t, str> {
        let first = self.words.len();
        self.words.reserve(text.len() / BYTES_PER_WORD + 1);
        self.words.extend(Words::of(text));
        let words = self.words.len() - first;
        self.runs.reserve((words + 1).saturating_sub(self.window), |run| run.hash);
        // No word is left out until one is.
        let (mut kept, mut repeated_before) = (Vec::new(), 0);
        let mut hashes = RunHashes::new(self.window);
        for at in 0..words {
            hashes.push(self.state.hash_one(self.words[first + at]));
            let Some(run) = (at + 1).checked_sub(self.window) else { continue };
            if !self.is_new(WordRun { hash: hashes.sum, at: first + run }) {
                kept.resize(words, true);
                let from = repeated_before.max(run);
                kept[from..=at].fill(false);
                repeated_before = at + 1;
            }
        }
        if repeated_before == 0 {
            return Cow::Borrowed(text);
        }
        Cow::Owned(without(text, &self.words[first..], &kept))
    }

    /// Adds a run unless it has occurred.
    fn is_new(&mut self, run: WordRun) -> bool {
        let Self { window, words, runs, .. } = self;
        let words_of = |run: &WordRun| &words[run.at..run.at + *window];
        let is_same = |other: &WordRun| other.hash == run.hash && words_of(other) == words_of(&run);
        match runs.entry(run.hash, is_same, |run| run.hash) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(run);
                true
            }
        }
    }
}

/// The hash of the newest words: a polynomial of theirs, which moves on by one word in constant time.
struct RunHashes {
    sum: u64,
    /// The hashes of these words, the oldest at `oldest`.
    words: Vec<u64>,
    oldest: usize,
    /// The factor of the oldest word, once it is to go.
    last_factor: u64,
}

impl RunHashes {
    fn new(window: usize) -> Self {
        let last_factor = FACTOR.wrapping_pow(u32::try_from(window).unwrap_or(u32::MAX));
        Self { sum: 0, words: vec![0; window], oldest: 0, last_factor }
    }

    fn push(&mut self, hash: u64) {
        let oldest = std::mem::replace(&mut self.words[self.oldest], hash);
        self.oldest = if self.oldest + 1 == self.words.len() { 0 } else { self.oldest + 1 };
        self.sum = self.sum.wrapping_mul(FACTOR).wrapping_add(hash);
        self.sum = self.sum.wrapping_sub(oldest.wrapping_mul(self.last_factor));
    }
}

/// Returns the text of the kept words, each with the white space before it, and the white space at the end.
fn without(text: &str, words: &[&str], kept: &[bool]) -> String {
    let mut left = String::with_capacity(text.len());
    let mut end = 0;
    for (word, kept) in words.iter().zip(kept) {
        let word_end = word.as_ptr().addr() - text.as_ptr().addr() + word.len();
        if *kept {
            left.push_str(&text[end..word_end]);
        }
        end = word_end;
    }
    left.push_str(&text[end..]);
    left
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::manifest::TokenizerSpec;
    use crate::scoring::ngrams::Ngrams;
    use crate::scoring::tokenize::TokenBudget;

    #[derive(Deserialize)]
    struct Fixture {
        repeats: Vec<RepeatCase>,
        ngrams: Vec<CountedNgrams>,
    }

    #[derive(Deserialize)]
    struct RepeatCase {
        window: usize,
        parts: [String; 2],
        once: [String; 2],
    }

    #[derive(Deserialize)]
    struct CountedNgrams {
        text: String,
        entries: Vec<(u32, f32)>,
    }

    fn once(text: &str) -> String {
        RepeatFilter::new(4).once(text).into_owned()
    }

    #[test]
    fn a_text_without_repeats_is_left_alone() {
        let text = " To be, or not to be:\nthat is the question. ";

        assert!(matches!(RepeatFilter::new(4).once(text), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn one_word_a_hundred_times_is_one_word() {
        assert_eq!(once(&format!("Hi there {}!", "the ".repeat(100))), "Hi there the !");
    }

    #[test]
    fn a_preamble_said_eight_times_is_said_once() {
        let preamble = "You are a polite assistant of the harbour office. ";

        assert_eq!(once(&format!("{}Is it high tide?", preamble.repeat(8))), format!("{preamble}Is it high tide?"));
    }

    #[test]
    fn what_an_earlier_text_held_is_a_repeat_as_well() {
        let mut repeats = RepeatFilter::new(2);
        repeats.once("one two three");

        assert_eq!(repeats.once("zero one two four"), "zero four");
    }

    /// `tests/fixtures/repeats.py` wrote down what training makes of random texts.
    #[test]
    fn training_cuts_and_counts_the_same() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/repeats.json");
        let fixture: Fixture = serde_json::from_slice(&fs::read(path).expect("a fixture")).expect("JSON");

        for case in fixture.repeats {
            let mut repeats = RepeatFilter::new(case.window);
            assert_eq!(case.parts.each_ref().map(|part| repeats.once(part).into_owned()), case.once);
        }
        let spec = TokenizerSpec {
            file: String::new(),
            max_tokens: 64,
            head_tokens: 42,
            least_tokens: None,
            repeat_words: Some(4),
            pad_token: None,
        };
        for CountedNgrams { text, entries } in fixture.ngrams {
            let ngrams = Ngrams::of(&TokenBudget::new(&spec).excerpt(&text));
            let buckets = |entries: &[(u32, f32)]| entries.iter().map(|(bucket, _)| *bucket).collect::<Vec<_>>();
            assert_eq!(buckets(ngrams.entries()), buckets(&entries), "{text}");
            assert!(ngrams.entries().iter().zip(&entries).all(|(a, b)| (a.1 - b.1).abs() < 1e-4), "{text}");
        }
    }

    /// The rule as it is written down, with no regard to cost.
    fn plainly(text: &str, window: usize) -> String {
        let words: Vec<&str> = text.split_whitespace().collect();
        let runs: Vec<&[&str]> = words.windows(window).collect();
        let again = |word: usize| {
            (0..runs.len()).any(|run| (run..run + window).contains(&word) && runs[..run].contains(&runs[run]))
        };
        let kept: Vec<bool> = (0..words.len()).map(|word| !again(word)).collect();
        without(text, &words, &kept)
    }

    proptest! {
        #[test]
        fn the_rule_is_followed(text in "([ab]{1,2}[ \n\u{85}\u{1f}]{1,2}){0,40}", window in 1_usize..6) {
            prop_assert_eq!(RepeatFilter::new(window).once(&text), plainly(&text, window));
        }

        #[test]
        fn nothing_new_is_said(text in "(\\PC{0,6} ){0,30}", window in 1_usize..6) {
            let once = RepeatFilter::new(window).once(&text).into_owned();
            let mut words = text.split_whitespace();
            prop_assert!(once.split_whitespace().all(|word| words.any(|other| other == word)));
        }
    }
}
