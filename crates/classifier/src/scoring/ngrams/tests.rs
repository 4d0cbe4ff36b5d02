use proptest::prelude::*;

use super::*;
use crate::scoring::tokenize::TokenBudget;

fn excerpt(text: &str) -> TextExcerpt {
    TokenBudget::of_tokens(64).excerpt(text)
}

fn ngrams(text: &str) -> Ngrams {
    Ngrams::of(&excerpt(text))
}

fn hash(kind: u64, bytes: &[u8]) -> u64 {
    hash::finish(bytes.iter().fold(hash::start(kind), |state, byte| hash::step(state, *byte)))
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
    let hashes = |pieces: &[&str]| pieces.iter().map(|piece| hash(4, piece.as_bytes())).collect::<Vec<_>>();

    assert_eq!(ngrams("Tea? (tea) v1.2 a1b2").hashes(), hashes(&[" tea"]));
    assert_eq!(ngrams("weiß 你好").hashes(), hashes(&[" wei", "weiß", "eiß ", " 你好 "]));
    assert!(ngrams("2+2? ... 10082928273728202828282").hashes().is_empty());
}

#[test]
fn the_hash_never_changes() {
    // Bundles hold weights by bucket.
    assert_eq!(hash(1, b"what") % WIDTH as u64, 27981);
}

#[test]
fn a_text_that_grows_in_lower_case_and_repeats_nothing_is_counted_whole() {
    let letters = (0x4e00..0x9fff).filter_map(char::from_u32);
    for text in [letters.collect::<String>(), "İ".repeat(5000), "İ ".repeat(5000), "ab".repeat(4000)] {
        check(&excerpt(&text));
    }
}

/// The n-grams as they are defined, with no regard to cost.
fn plainly(excerpt: &TextExcerpt) -> Ngrams {
    let text: String = excerpt.parts(MAX_CHARS).concat().chars().flat_map(char::to_lowercase).collect();
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let pairs = words.windows(2).map(|pair| hash(2, pair.join(" ").as_bytes()));
    let words = words.iter().map(|word| hash(1, word.as_bytes())).chain(pairs).collect();
    let (mut pieces, mut hashes) = (Vec::new(), Vec::new());
    for word in text.split_whitespace() {
        let padded: Vec<char> = [" ", word, " "].concat().chars().collect();
        for length in 3..=5 {
            for piece in padded.windows(length) {
                let hash = hash(length as u64, String::from_iter(piece).as_bytes());
                pieces.push(hash);
                if length == 4 && piece.iter().all(|c| *c == ' ' || c.is_alphabetic()) {
                    hashes.push(hash);
                }
            }
        }
    }
    let mut entries = [scaled(words), scaled(pieces)].concat();
    entries.sort_by_key(|(bucket, _)| *bucket);
    let entries = entries.chunk_by(|a, b| a.0 == b.0);
    Ngrams { entries: entries.map(|run| (run[0].0, run.iter().map(|(_, value)| value).sum())).collect(), hashes }
}

fn scaled(mut hashes: Vec<u64>) -> Vec<(u32, f32)> {
    hashes.sort_unstable();
    let runs = || hashes.chunk_by(|a, b| a == b);
    let weight = |run: &[u64]| 1.0 + (run.len() as f32).ln();
    let length = runs().map(|run| weight(run).powi(2)).sum::<f32>().sqrt().max(1.0);
    let sign = |run: &[u64]| if run[0] >> 63 == 0 { 1.0 } else { -1.0 };
    runs().map(|run| ((run[0] % WIDTH as u64) as u32, sign(run) * weight(run) / length)).collect()
}

fn check(excerpt: &TextExcerpt) {
    let (found, expected) = (Ngrams::of(excerpt), plainly(excerpt));
    let buckets = |ngrams: &Ngrams| ngrams.entries.iter().map(|(bucket, _)| *bucket).collect::<Vec<_>>();
    assert_eq!((buckets(&found), &found.hashes), (buckets(&expected), &expected.hashes));
    for (found, expected) in found.entries.iter().zip(&expected.entries) {
        assert!((found.1 - expected.1).abs() < 1e-6, "{found:?} {expected:?}");
    }
}

/// Letters that change in lower case, white space, marks, and phrases that come again.
const TEXTS: &str = "(\\PC|[a-e \n\t\u{a0}\u{3000}.,?1éßİẞΣ]|the |step by step ){0,200}";

proptest! {
    #[test]
    fn any_text_has_the_ngrams_that_are_defined(text in TEXTS) {
        check(&excerpt(&text));
    }

    #[test]
    fn both_ends_of_a_long_text_are_counted(text in "([a-f]{1,6}[ \n]|[é你ß]{1,4} ){600,900}") {
        check(&excerpt(&text));
    }
}
