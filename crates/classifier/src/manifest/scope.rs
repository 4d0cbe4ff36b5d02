//! What texts a bundle says that it was trained for: languages, scripts, and the n-grams that its training saw.

use serde::{Deserialize, Serialize};
use unicode_script::Script;

use super::Manifest;

/// The numbers of bits of the record that an n-gram may set.
const PROBES: std::ops::RangeInclusive<u32> = 1..=16;

/// The record of the n-grams that training saw.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NgramsSpec {
    /// The file with a bit for each n-gram that was seen: a Bloom filter.
    pub file: String,
    /// The bits that each n-gram sets; 1 to 16.
    pub probes: u32,
    /// The least share of known n-grams of a text that a lexical form is sure of, or stands in for the encoder on.
    pub sure: f32,
    /// The least share of known n-grams of a familiar text, unless its language is declared; at most `sure`.
    pub least: f32,
}

/// An error of the training scope that a bundle declares.
#[derive(Debug, thiserror::Error, PartialEq)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum ScopeError {
    /// A script is not one of Unicode's.
    #[error("`scripts` has `{value}`, which is no script of Unicode (such as latin, cyrillic, han)")]
    Script { value: String },
    /// A language is no code.
    #[error("`languages` has `{value}`, must be a code of ISO 639 (such as en, de, zh)")]
    Language { value: String },
    /// The shares are no shares, or the wrong way round.
    #[error("`ngrams` has least {least} and sure {sure}, must be 0 <= least <= sure <= 1")]
    Shares { least: f32, sure: f32 },
    /// The record of n-grams has a size that its bits cannot be found in.
    #[error("`ngrams` names {file} of {bytes} bytes, must have a power of two from 1024 to 262144")]
    Record { file: String, bytes: usize },
    /// No n-gram sets so many bits.
    #[error("`ngrams` has {value} probes, must have {} to {}", PROBES.start(), PROBES.end())]
    Probes { value: u32 },
}

/// Returns the script with this name: Unicode's, in lower case and with `_` between words.
pub(crate) fn script(name: &str) -> Option<Script> {
    let word = |word: &str| {
        let (first, rest) = word.split_at_checked(1)?;
        Some(first.to_ascii_uppercase() + rest)
    };
    let full = name.split('_').map(word).collect::<Option<Vec<_>>>()?.join("_");
    Script::from_full_name(&full).filter(|_| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
}

/// Checks what needs no other file.
pub(super) fn check(manifest: &Manifest) -> Result<(), ScopeError> {
    let is_code = |code: &str| matches!(code.len(), 2 | 3) && code.bytes().all(|byte| byte.is_ascii_lowercase());
    if let Some(value) = manifest.scripts.iter().find(|name| script(name).is_none()) {
        return Err(ScopeError::Script { value: value.clone() });
    }
    if let Some(value) = manifest.languages.iter().find(|code| !is_code(code)) {
        return Err(ScopeError::Language { value: value.clone() });
    }
    let Some(NgramsSpec { probes, sure, least, .. }) = manifest.ngrams else { return Ok(()) };
    if !PROBES.contains(&probes) {
        return Err(ScopeError::Probes { value: probes });
    }
    if !(0.0 <= least && least <= sure && sure <= 1.0) {
        return Err(ScopeError::Shares { least, sure });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADS: &str =
        "\n- {name: tier, kind: multinomial, labels: [simple, complex], inputs: [ngrams], temperature: 1}\n";

    #[test]
    fn each_way_a_scope_can_be_wrong_is_told() {
        let sound =
            "languages: [en, haw]\nscripts: [latin, han]\nngrams: {file: g, probes: 4, sure: 0.8, least: 0.6}\n";
        let parse = |scope: &str| Manifest::of_heads(&format!("{HEADS}{scope}"));
        assert!(parse(sound).is_ok());

        for (from, to, expected) in [
            ("latin", "Latin", "`scripts` has `Latin`, which is no script of Unicode"),
            ("latin", "english", "`scripts` has `english`, which is no script of Unicode"),
            ("haw", "English", "`languages` has `English`, must be a code of ISO 639"),
            ("haw", "e", "`languages` has `e`, must be a code of ISO 639"),
            ("probes: 4", "probes: 0", "`ngrams` has 0 probes, must have 1 to 16"),
            ("probes: 4", "probes: 17", "`ngrams` has 17 probes, must have 1 to 16"),
            ("least: 0.6", "least: 0.9", "`ngrams` has least 0.9 and sure 0.8, must be 0 <= least <= sure <= 1"),
            ("least: 0.6", "least: -0.1", "`ngrams` has least -0.1 and sure 0.8"),
            ("sure: 0.8", "sure: 1.1", "`ngrams` has least 0.6 and sure 1.1"),
            ("sure: 0.8", "sure: .nan", "`ngrams` has least 0.6 and sure NaN"),
            ("file: g", "file: other.bloom", "other.bloom has no sha256 under `files`"),
            ("probes: 4", "probes: 4, salt: 1", "salt"),
        ] {
            let error = parse(&sound.replacen(from, to, 1)).expect_err(to).to_string();

            assert!(error.starts_with("bundle.yaml: ") && error.contains(expected), "{to}: {error}");
        }
    }

    #[test]
    fn scripts_have_unicode_s_names() {
        assert_eq!(script("latin"), Some(Script::Latin));
        assert_eq!(script("canadian_aboriginal"), Some(Script::Canadian_Aboriginal));
        for name in ["Latin", "latn", "", "_", "english", "latin ", "ltn_", "žž"] {
            assert_eq!(script(name), None, "{name}");
        }
    }
}
