//! The text of a configuration as those see it who may not change it: without what looks like a secret, and with the
//! beginning alone of every hash of a key or token, so that guesses of a weak one cannot be tested.

use pointsman_core::config::without_secrets;

/// The digits of a SHA-256.
const DIGEST: usize = 64;

/// The digits that are shown: enough to tell keys apart, as `/config` has it.
const SHOWN: usize = 4;

/// Returns what readers see of a text.
pub(super) fn reader_text(text: &str) -> String {
    let text = without_secrets(text);
    let mut shown = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let (before, word) = rest.split_at(start);
        let length = word.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(word.len());
        let (word, after) = word.split_at(length);
        let follows = before.ends_with(|c: char| c.is_ascii_alphanumeric());
        let is_digest = length == DIGEST && !follows && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        shown.push_str(before);
        shown.push_str(if is_digest { &word[..SHOWN] } else { word });
        shown.push_str(if is_digest { "***" } else { "" });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hash_the_beginning_is_shown_and_the_rest_of_a_text_stays() {
        let hash = "0f".repeat(32);

        for (text, expected) in [
            (format!("sha256: {hash}, role: view"), "sha256: 0f0f***, role: view".to_owned()),
            (hash.clone(), "0f0f***".to_owned()),
            (format!("{hash}a"), format!("{hash}a")),
            (format!("x{hash}"), format!("x{hash}")),
            ("models: {é: abc, face: 0}".to_owned(), "models: {é: abc, face: 0}".to_owned()),
        ] {
            assert_eq!(reader_text(&text), expected);
        }
    }
}
