//! What a text says again is read once.
//!
//! Padding and stacked preambles repeat themselves. Left in, they would fill the token budget, dilute a mean-pooled
//! embedding and outweigh every other n-gram: a hundred times "the" would buy a dearer model. A bundle that was trained
//! on texts cut this way says so by `repeat_words`; training cuts by the same rule (`models/train/repeats.py`).

use std::borrow::Cow;
use std::collections::HashSet;

/// The runs of words that a text has held so far, each by its bytes with single spaces between the words.
#[derive(Debug)]
pub(crate) struct RepeatFilter {
    window: usize,
    seen: HashSet<String>,
}

impl RepeatFilter {
    /// Looks for runs of `window` words; at least one.
    pub(crate) fn new(window: usize) -> Self {
        Self { window: window.max(1), seen: HashSet::new() }
    }

    /// Returns `text` without the words that stand in a run which occurred before, in it or in an earlier text.
    ///
    /// A word goes together with the white space before it. Time is linear in the length of the text.
    pub(crate) fn once<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let mut repeated_before = 0;
        let mut kept = vec![true; words.len()];
        for (at, run) in words.windows(self.window).enumerate() {
            if !self.seen.insert(run.join(" ")) {
                let from = repeated_before.max(at);
                kept[from..at + self.window].fill(false);
                repeated_before = at + self.window;
            }
        }
        if repeated_before == 0 {
            return Cow::Borrowed(text);
        }
        Cow::Owned(without(text, &words, &kept))
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
            assert_eq!(case.parts.map(|part| repeats.once(&part).into_owned()), case.once);
        }
        let spec = TokenizerSpec {
            file: String::new(),
            max_tokens: 64,
            head_tokens: 42,
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
