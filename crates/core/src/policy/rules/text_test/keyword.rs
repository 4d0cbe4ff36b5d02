//! Words as patterns: whole, in any case, with any white space between several.

use std::collections::BTreeMap;

/// The characters that may stand beside a word: no letter, digit or mark of a script that sets words apart. `_` may, as
/// in `_emphasis_`.
const BESIDE: &str = r"[\W_\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]";

/// Code points of scripts that do not set words apart, or hang particles onto them: a word of theirs is found within
/// others.
const RUNNING: [(u32, u32); 11] = [
    (0x0e00, 0x0fff),   // Thai, Lao, Tibetan
    (0x1000, 0x109f),   // Myanmar
    (0x1100, 0x11ff),   // Hangul
    (0x1780, 0x17ff),   // Khmer
    (0x2e80, 0x9fff),   // Han and kana
    (0xa960, 0xa97f),   // Hangul
    (0xac00, 0xd7ff),   // Hangul
    (0xf900, 0xfaff),   // Han
    (0xff66, 0xffdc),   // kana and Hangul of half width
    (0x1b000, 0x1b16f), // kana
    (0x20000, 0x3ffff), // Han
];

/// Returns the pattern that finds any of `words`, none of which is empty, also within other words.
pub(super) fn anywhere(words: &[String]) -> String {
    let mut pattern = String::from("(?i:");
    push_words(words.iter().map(|word| word.trim()), &mut pattern);
    pattern.push(')');
    pattern
}

/// Returns the pattern that finds any of `words` whole: one alternative for each combination of ends that are set
/// apart.
pub(super) fn whole(words: &[String]) -> String {
    let mut groups: BTreeMap<[bool; 2], Vec<&str>> = BTreeMap::new();
    for word in words.iter().map(|word| word.trim()) {
        let ends = [word.chars().next(), word.chars().next_back()].map(|end| end.is_some_and(is_set_apart));
        groups.entry(ends).or_default().push(word);
    }
    let mut pattern = String::new();
    for ([first, last], words) in groups {
        pattern.push_str(if pattern.is_empty() { "" } else { "|" });
        if first {
            pattern.push_str(&format!(r"(?:\A|{BESIDE})"));
        }
        pattern.push_str("(?i:");
        push_words(words.into_iter(), &mut pattern);
        pattern.push(')');
        if last {
            pattern.push_str(&format!(r"(?:\z|{BESIDE})"));
        }
    }
    pattern
}

fn push_words<'w>(words: impl Iterator<Item = &'w str>, pattern: &mut String) {
    for (index, word) in words.enumerate() {
        if index > 0 {
            pattern.push('|');
        }
        push_word(word, pattern);
    }
}

/// Writes a word, or several with white space between them.
fn push_word(word: &str, pattern: &mut String) {
    for (index, word) in word.split_whitespace().enumerate() {
        if index > 0 {
            pattern.push_str(r"\s+");
        }
        word.chars().for_each(|character| push_literal(character, pattern));
    }
}

/// Tells whether a word that begins or ends with `character` does so at a boundary; punctuation is a boundary itself.
fn is_set_apart(character: char) -> bool {
    let code = u32::from(character);
    character.is_alphanumeric() && !RUNNING.iter().any(|(from, to)| (*from..=*to).contains(&code))
}

fn push_literal(character: char, pattern: &mut String) {
    // `\<` and `\>` would be boundaries.
    if character.is_ascii_punctuation() && !matches!(character, '<' | '>' | '_') {
        pattern.push('\\');
    }
    pattern.push(character);
}
