use pointsman_core::features::Features;

use super::*;
use crate::scoring::inputs::FeatureInputs;
use crate::scoring::tokenize::TokenBudget;

const LEARNT: &str =
    "what is the difference between a lease and a licence, and which one do people need for a house by the lake";

fn input(text: &str) -> ScorerInput {
    ScorerInput::new(text, &Features::default(), TokenBudget::of_tokens(64), &FeatureInputs::default())
}

fn record(text: &str, probes: u32) -> NgramFilter {
    let mut bits = vec![0; 1 << 12];
    for hash in input(text).ngrams().hashes() {
        for probe in 0..u64::from(probes) {
            let place = hash.wrapping_add(probe.wrapping_mul((hash >> 32) | 1)) % (8 << 12);
            bits[(place / 8) as usize] |= 1 << (place % 8);
        }
    }
    let spec = NgramsSpec { file: "n".into(), probes, sure: 0.8, least: 0.6 };
    NgramFilter::parse(&spec, bits).expect("a power of two")
}

fn scope(languages: &[&str], scripts: &[&str], record: Option<NgramFilter>) -> TrainingScope {
    let scripts = scripts.iter().filter_map(|name| script(name)).collect();
    TrainingScope { languages: languages.iter().map(|&code| code.to_owned()).collect(), scripts, record }
}

fn english() -> TrainingScope {
    scope(&["en", "de"], &["latin"], Some(record(LEARNT, 4)))
}

fn verdict(scope: &TrainingScope, text: &str) -> (Option<UnfamiliarPart>, bool) {
    let known = scope.acquaintance(&input(text), || Language::of(text));
    (known.familiarity.unfamiliar, known.is_lexical)
}

#[test]
fn what_training_saw_is_familiar_and_what_it_never_saw_is_not() {
    for (text, expected) in [
        ("Which lease do people need?", (None, true)),
        ("WHICH LEASE DO PEOPLE NEED?", (None, true)),
        // A declared language decides, though not by n-grams that nobody saw.
        ("Was ist die Hauptstadt von Frankreich und wo liegt sie?", (None, false)),
        ("¿Cuáles son los pasos para renovar un pasaporte?", (Some(UnfamiliarPart::Language), false)),
        ("zxqj vwkp qqzx jjkw pvxz wqkz", (Some(UnfamiliarPart::Ngrams), false)),
        ("请用三句话解释为什么海水是咸的。", (Some(UnfamiliarPart::Script), false)),
        ("이 버그를 고쳐줘", (Some(UnfamiliarPart::Script), false)),
        ("Напиши стихотворение", (Some(UnfamiliarPart::Script), false)),
    ] {
        assert_eq!(verdict(&english(), text), expected, "{text}");
    }
}

#[test]
fn a_text_of_few_words_numbers_or_code_is_not_unfamiliar() {
    for text in [
        "",
        "hi",
        "ok",
        "2+2?",
        "10082928273728202828282",
        "fix foo.rs",
        "git rebase -i HEAD~3",
        "👍",
        "x^2 + 3x - 4 = 0",
        "{\"a\": [1, 2]}",
    ] {
        assert_eq!(verdict(&english(), text).0, None, "{text}");
    }
}

#[test]
fn a_foreign_name_or_quotation_does_not_make_a_text_unfamiliar() {
    for text in
        ["which people need a licence for the house of Александр", "what is the difference between 你好 and a lease"]
    {
        assert_eq!(verdict(&english(), text).0, None, "{text}");
    }
}

#[test]
fn a_scope_that_declares_nothing_excludes_nothing_but_lexical_forms_know_latin_letters_alone() {
    let silent = TrainingScope::default();

    assert!(silent.is_silent() && !english().is_silent());
    assert_eq!(verdict(&silent, "zxqj vwkp qqzx jjkw pvxz wqkz"), (None, true));
    assert_eq!(verdict(&silent, "이 버그를 고쳐줘"), (None, false));
}

#[test]
fn declared_scripts_and_languages_hold_without_a_record_of_n_grams() {
    let korean = scope(&["ko"], &["hangul"], None);

    assert_eq!(verdict(&korean, "이 버그를 고쳐줘"), (None, true));
    assert_eq!(verdict(&korean, "What is the difference between both?"), (Some(UnfamiliarPart::Script), false));
    assert_eq!(
        verdict(&scope(&["de"], &[], None), "What is the difference between both?"),
        (Some(UnfamiliarPart::Language), false)
    );
}

#[test]
fn the_language_is_asked_for_only_where_n_grams_leave_a_doubt() {
    let asked = |text: &str| {
        let mut asked = false;
        english().acquaintance(&input(text), || {
            asked = true;
            Language::default()
        });
        asked
    };

    assert!(!asked("Which lease do people need?") && !asked("请用三句话解释为什么海水是咸的。"));
    assert!(asked("Wie kann man einen Döner gesünder zubereiten?"));
}

#[test]
fn a_record_finds_all_that_it_holds_and_hardly_anything_else() {
    for probes in [1, 4, 16] {
        let record = record(LEARNT, probes);

        assert_eq!(record.share(input(LEARNT).ngrams().hashes()), Some(1.0));
        assert!(record.share(input("zxqj vwkp qqzx jjkw pvxz wqkz").ngrams().hashes()) < Some(0.1));
        assert_eq!(record.share(&[]), None);
    }
}

#[test]
fn a_record_that_grows_holds_what_it_held_and_what_was_added() {
    let mut grown = record(LEARNT, 4);
    let added = input("zxqj vwkp qqzx jjkw pvxz wqkz").ngrams().hashes().to_vec();
    let many = (0..20_000_u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15)).chain(added.iter().copied()).collect();

    grown.add(many);

    let shares = [LEARNT, "zxqj vwkp qqzx jjkw pvxz wqkz"].map(|text| grown.share(input(text).ngrams().hashes()));
    assert_eq!((shares, grown.share(&added), grown.into_bits().len()), ([Some(1.0); 2], Some(1.0), 1 << 16));
}

#[test]
fn the_main_script_of_a_text_is_that_of_most_of_its_letters_in_bytes() {
    for (text, script) in
        [("Hello, Мир", Some("cyrillic")), ("你好 abcd", Some("han")), ("abc", Some("latin")), ("12 :)", None)]
    {
        assert_eq!(main_script(text).as_deref(), script, "{text}");
    }
}

#[test]
fn a_record_of_another_size_is_refused() {
    let spec = NgramsSpec { file: "n.bloom".into(), probes: 4, sure: 0.8, least: 0.6 };

    for bytes in [0, 512, 1023, 1025, 3072, 1 << 19] {
        let error = NgramFilter::parse(&spec, vec![0; bytes]).expect_err("a wrong size").to_string();

        assert!(error.contains(&format!("n.bloom of {bytes} bytes")), "{error}");
    }
    assert!(NgramFilter::parse(&spec, vec![0; 1 << 10]).is_ok() && NgramFilter::parse(&spec, vec![0; 1 << 18]).is_ok());
}
