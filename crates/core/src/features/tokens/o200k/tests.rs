use std::fmt::Write as _;

use proptest::prelude::*;
use tiktoken_rs::o200k_base_singleton;

use super::*;

fn pieces(text: &str) -> Vec<&str> {
    Pieces::of(text).map(|piece| std::str::from_utf8(piece).expect("pieces end between characters")).collect()
}

fn agrees(text: &str) {
    assert_eq!(count(text), o200k_base_singleton().count_ordinary(text), "{text:?}");
}

#[test]
fn words_take_what_is_before_them_and_an_english_ending_behind_them() {
    for (text, expected) in [
        ("Hello world", &["Hello", " world"][..]),
        ("don't DON'T it's we'LL", &["don't", " DON'T", " it's", " we'LL"]),
        ("getHTTPResponse", &["get", "HTTPResponse"]),
        ("(word) \tword", &["(word", ")", " ", "\tword"]),
        ("12345 12", &["123", "45", " ", "12"]),
        ("a  b\n\n  c", &["a", " ", " b", "\n\n", " ", " c"]),
        ("end. \n//x", &["end", ".", " \n", "//", "x"]),
        ("a  ", &["a", "  "]),
        ("", &[]),
    ] {
        assert_eq!(pieces(text), expected, "{text:?}");
    }
}

#[test]
fn every_token_counts_as_its_own_text_does() {
    let encoding = o200k_base_singleton();
    let mut all = String::new();
    for rank in (0..199_998_u32).step_by(7) {
        if let Ok(token) = encoding.decode(&[rank]) {
            agrees(&token);
            all.push_str(&token);
        }
    }
    agrees(&all[..all.floor_char_boundary(200_000)]);
}

#[test]
fn every_character_splits_as_the_encoding_splits_it() {
    for first in (0..0x3_0000_u32).step_by(96) {
        let mut text = String::new();
        for character in (first..first + 96).filter_map(char::from_u32) {
            let _ = writeln!(text, "{character}a {character}A{character}'s1{character}");
        }
        agrees(&text);
    }
}

#[test]
fn long_pieces_merge_as_short_ones_do() {
    for unit in ["a", "ab", "-=", "あ", "\u{301}", "xyzzy", " "] {
        for length in [1, 2, 50, 99, 100, 101, 250, 3000] {
            agrees(&unit.repeat(length));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_counts_as_the_encoding_counts_it(text in "\\PC{0,40}") {
        agrees(&text);
    }

    #[test]
    fn texts_of_all_classes_count_as_the_encoding_counts_them(
        text in proptest::collection::vec(
            prop_oneof![
                Just("A"), Just("b"), Just("Hello"), Just("\u{1c5}"), Just("\u{2b0}"), Just("字"), Just("\u{301}"), Just("\u{903}"),
                Just("1"), Just("½"), Just(" "), Just("  "), Just("\t"), Just("\u{a0}"), Just("\u{3000}"), Just("\u{85}"),
                Just("\n"), Just("\r\n"), Just("'"), Just("'s"), Just("'\u{17f}"), Just("'LL"), Just("/"), Just("!"), Just("🚀"),
            ],
            0..14,
        ).prop_map(|parts| parts.concat())
    ) {
        agrees(&text);
    }
}
