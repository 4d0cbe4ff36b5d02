//! The language of a prompt: which one, where a short text lets one be sure of it.
//!
//! Trigrams and alphabets decide (`whatlang`), among languages that people write to models in: languages that are rare
//! there would only be mistaken for others. A text of a few words often is in no one language for sure; then none is
//! said, as a wrong one would mislead more than none.

use std::sync::LazyLock;

use whatlang::{Detector, Lang};

/// The most bytes of a text that are looked at.
pub const MAX_LANGUAGE_BYTES: usize = 512;

/// The confidence from which on a language is told: below it one text in a dozen would be of another language.
const SURE: f64 = 0.4;

/// The languages that are told apart, with their codes: of ISO 639-1.
const LANGUAGES: [(Lang, &str); 58] = [
    (Lang::Amh, "am"),
    (Lang::Ara, "ar"),
    (Lang::Aze, "az"),
    (Lang::Bel, "be"),
    (Lang::Bul, "bg"),
    (Lang::Ben, "bn"),
    (Lang::Cat, "ca"),
    (Lang::Ces, "cs"),
    (Lang::Dan, "da"),
    (Lang::Deu, "de"),
    (Lang::Ell, "el"),
    (Lang::Eng, "en"),
    (Lang::Spa, "es"),
    (Lang::Est, "et"),
    (Lang::Pes, "fa"),
    (Lang::Fin, "fi"),
    (Lang::Fra, "fr"),
    (Lang::Guj, "gu"),
    (Lang::Heb, "he"),
    (Lang::Hin, "hi"),
    (Lang::Hrv, "hr"),
    (Lang::Hun, "hu"),
    (Lang::Hye, "hy"),
    (Lang::Ind, "id"),
    (Lang::Ita, "it"),
    (Lang::Jpn, "ja"),
    (Lang::Kat, "ka"),
    (Lang::Khm, "km"),
    (Lang::Kan, "kn"),
    (Lang::Kor, "ko"),
    (Lang::Lit, "lt"),
    (Lang::Lav, "lv"),
    (Lang::Mkd, "mk"),
    (Lang::Mal, "ml"),
    (Lang::Mar, "mr"),
    (Lang::Mya, "my"),
    (Lang::Nob, "nb"),
    (Lang::Nep, "ne"),
    (Lang::Nld, "nl"),
    (Lang::Ori, "or"),
    (Lang::Pan, "pa"),
    (Lang::Pol, "pl"),
    (Lang::Por, "pt"),
    (Lang::Ron, "ro"),
    (Lang::Rus, "ru"),
    (Lang::Sin, "si"),
    (Lang::Slk, "sk"),
    (Lang::Slv, "sl"),
    (Lang::Srp, "sr"),
    (Lang::Swe, "sv"),
    (Lang::Tam, "ta"),
    (Lang::Tel, "te"),
    (Lang::Tha, "th"),
    (Lang::Tur, "tr"),
    (Lang::Ukr, "uk"),
    (Lang::Urd, "ur"),
    (Lang::Vie, "vi"),
    (Lang::Cmn, "zh"),
];

static DETECTOR: LazyLock<Detector> =
    LazyLock::new(|| Detector::with_allowlist(LANGUAGES.iter().map(|(lang, _)| *lang).collect()));

/// The language of a text, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Language(&'static str);

impl Language {
    /// Tells the language of the beginning of `text`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let start = &text[..text.floor_char_boundary(MAX_LANGUAGE_BYTES)];
        let found = DETECTOR.detect(start).filter(|found| found.confidence() >= SURE);
        found.map(|found| Self::named(found.lang())).unwrap_or_default()
    }

    /// Returns the language with this code; of any other word none.
    #[must_use]
    pub fn from_code(code: &str) -> Self {
        let known = LANGUAGES.iter().find(|(_, own)| *own == code);
        known.map(|(_, code)| Self(code)).unwrap_or_default()
    }

    /// Returns the code of ISO 639-1; empty when no language is known.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.0
    }

    /// Returns whether no language is known.
    #[must_use]
    pub const fn is_unknown(self) -> bool {
        self.0.is_empty()
    }

    /// Iterates over the codes of all languages that are told apart.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        LANGUAGES.iter().map(|(_, code)| *code)
    }

    fn named(lang: Lang) -> Self {
        LANGUAGES.iter().find(|(own, _)| *own == lang).map(|(_, code)| Self(code)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_prompts_have_the_language_that_they_are_in_or_none() {
        for (text, code) in [
            ("What is the difference between a lease and a licence?", "en"),
            ("Was ist die Hauptstadt von Frankreich?", "de"),
            ("¿Cuáles son los pasos para renovar un pasaporte?", "es"),
            ("Расскажи, пожалуйста, почему море солёное и откуда берётся соль.", "ru"),
            ("请用三句话解释为什么海水是咸的。", "zh"),
            ("東京から京都まで一番安い行き方を教えてください。", "ja"),
            ("안녕하세요", "ko"),
            ("เมืองหลวงของฝรั่งเศสคืออะไร?", "th"),
            ("Thủ đô của Pháp là gì?", "vi"),
            ("hi", ""),
            ("2+2?", ""),
            ("fix foo.rs", ""),
            ("git rebase -i HEAD~3", ""),
            ("...", ""),
            ("", ""),
        ] {
            assert_eq!(Language::of(text).code(), code, "{text}");
        }
    }

    #[test]
    fn the_beginning_of_a_text_decides_and_may_end_within_a_character() {
        let german = "Grüße aus dem schönen München an alle, die dort wohnen. ".repeat(20);
        let text = format!("{german}{}", "請用三句話解釋為什麼海水是鹹的。".repeat(100));

        for cut in 0..4 {
            assert_eq!(Language::of(&format!("{}{text}", "ß".repeat(cut))).code(), "de");
        }
    }

    #[test]
    fn codes_ascend_are_found_again_and_have_two_letters() {
        assert!(Language::codes().is_sorted_by(|a, b| a < b));
        for code in Language::codes() {
            assert_eq!((Language::from_code(code).code(), code.len()), (code, 2));
        }
        assert!(Language::from_code("low").is_unknown() && Language::from_code("").is_unknown());
    }
}
