//! Garbled texts: what no person asks, left by a broken encoding, a binary file or a stuck key.
//!
//! A text is garbled where one of five shares is beyond its bound. The bounds are wide: of the prompts of the project's
//! own data sets next to none is dropped ([answers](../../../../docs/answers.md) has the figures).

use std::collections::HashSet;

/// The most replacement characters and characters of private use, as a share of all.
const MOST_REPLACED: f64 = 0.005;
/// The most characters that belong to text of one encoding read as another (`Ã©` for `é`).
const MOST_MISREAD: f64 = 0.01;
/// The least letters and digits among all characters that are not blank.
const LEAST_WORDS: f64 = 0.2;
/// The least different runs among all runs of [`RUN`] characters.
const LEAST_DIFFERENT: f64 = 0.08;
/// The most characters in words of more than [`LONG_WORD`] letters and digits of ASCII: keys, hashes, base64.
const MOST_UNBROKEN: f64 = 0.5;

/// The least characters that shares are told from, for each of the last three.
const LEAST_CHARACTERS: usize = 40;
/// Characters of a run that may be repeated.
const RUN: usize = 8;
/// Characters of runs that are enough to tell repetition from emphasis.
const LEAST_RUNS: usize = 200;
/// Letters and digits that no word of a person has.
const LONG_WORD: usize = 60;

/// Returns whether a text is garbled.
pub(super) fn is_garbled(text: &str) -> bool {
    let characters: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    if characters.is_empty() {
        return false;
    }
    let share = |count: usize| count as f64 / characters.len() as f64;
    let replaced = characters.iter().filter(|c| is_replaced(**c)).count();
    if share(replaced) > MOST_REPLACED || share(2 * misread(&characters)) > MOST_MISREAD {
        return true;
    }
    if characters.len() < LEAST_CHARACTERS {
        return false;
    }
    let words = characters.iter().filter(|c| c.is_alphanumeric()).count();
    share(words) < LEAST_WORDS || different(&characters) < LEAST_DIFFERENT || share(unbroken(text)) > MOST_UNBROKEN
}

const fn is_replaced(character: char) -> bool {
    matches!(character, '\u{fffd}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10fffd}')
}

/// Counts pairs that UTF-8 leaves where it is read as Latin-1 or Windows-1252.
fn misread(characters: &[char]) -> usize {
    let is_pair = |pair: &[char]| match pair[0] {
        'Ã' | 'Â' => matches!(pair[1], '\u{80}'..='\u{bf}' | '€' | '™' | 'œ' | '‰' | 'š'),
        'â' => matches!(pair[1], '€' | '\u{80}'),
        'ð' => pair[1] == 'Ÿ',
        _ => false,
    };
    let pairs = characters.windows(2).filter(|pair| is_pair(pair)).count();
    if pairs > 1 { pairs } else { 0 } // one may be meant
}

/// Returns the share of different runs among all; 1 for a text that is too short to tell.
fn different(characters: &[char]) -> f64 {
    let runs = characters.len().saturating_sub(RUN - 1);
    if runs < LEAST_RUNS {
        return 1.0;
    }
    let distinct: HashSet<&[char]> = characters.windows(RUN).collect();
    // A long text repeats itself more: what counts is whether it goes on to say anything new.
    distinct.len() as f64 / runs.min(10 * LEAST_RUNS) as f64
}

/// Counts the characters of words that are too long for any.
fn unbroken(text: &str) -> usize {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')));
    words.map(str::len).filter(|length| *length > LONG_WORD).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_encodings_binary_text_keys_and_stuck_keys_are_garbled() {
        let blob = "aGVsbG8gd29ybGQsIHRoaXMgaXMgYSBsb25nIGJhc2U2NCBibG9iIG9mIG5vIHVzZSB0byBhbnlib2R5IGF0IGFsbA==";
        for text in [
            "What is th\u{fffd} cap\u{fffd}tal?",
            "DÃ©jÃ\u{a0} vu, quâ€™est-ce que c'est\u{a0}?",
            "%$#@!^&*()_+{}|:<>?-=[];',./~`%$#@!^&*()_+{}|:<>?",
            &"ha".repeat(300),
            blob,
        ] {
            assert!(is_garbled(text), "{text}");
        }
    }

    #[test]
    fn what_people_ask_is_not() {
        for text in [
            "hi",
            "???",
            "2+2=?",
            "Wat is het café au lait?",
            "「今日の天気は？」を英語にしてください。",
            "नमस्ते, आप कैसे हैं? मुझे बताइए कि भारत की राजधानी क्या है।",
            "สวัสดีครับ ช่วยแปลประโยคนี้เป็นภาษาอังกฤษให้หน่อยได้ไหมครับ",
            "for (int i = 0; i < n; ++i) { a[i] = b[i] + c[i]; } // what does this do?",
            "Solve $$\\int_0^1 x^2 \\, dx = \\frac{1}{3}$$ step by step.",
            "https://example.org/a/very/long/path/that/goes/on/and/on?with=query&and=more is this link safe?",
            "nooooooooooooooo please help me",
        ] {
            assert!(!is_garbled(text), "{text}");
        }
        assert!(!is_garbled(""));
    }
}
