//! What a text is made of, as far as tokenizers differ over it.
//!
//! One look at each character of the pieces that were counted anyway. Classes, not languages: a class has one rate in
//! each family of tokenizers ([`super::family`]).

use std::ops::{Add, AddAssign};

/// A class of characters that tokenizers take differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CharClass {
    /// ASCII digits.
    Digit,
    /// Digits, three of a run at a time: a token of o200k each.
    DigitGroup,
    /// ASCII punctuation and controls.
    Punctuation,
    /// ASCII white space.
    Space,
    /// Latin letters beyond ASCII, and combining marks.
    Accented,
    /// Cyrillic.
    Cyrillic,
    /// Greek, Hebrew, Arabic, Syriac.
    NearEastern,
    /// The scripts of India, Thai and Lao.
    Indic,
    /// Every other alphabet: Armenian, Georgian, Khmer, Burmese, Ethiopic and rarer ones.
    Rare,
    /// Chinese and Japanese.
    Cjk,
    /// Korean.
    Hangul,
    /// Symbols, lines, emoji.
    Symbol,
}

/// The number of characters of each [`CharClass`]; ASCII letters are in none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::features) struct TextMakeup([u64; CharClass::COUNT]);

impl CharClass {
    pub(super) const COUNT: usize = 12;

    /// Every class, in the order of the rates.
    pub(super) const ALL: [Self; Self::COUNT] = [
        Self::Digit,
        Self::DigitGroup,
        Self::Punctuation,
        Self::Space,
        Self::Accented,
        Self::Cyrillic,
        Self::NearEastern,
        Self::Indic,
        Self::Rare,
        Self::Cjk,
        Self::Hangul,
        Self::Symbol,
    ];

    /// Returns the class of a character beyond ASCII.
    const fn of(c: char) -> Self {
        match c {
            '\u{400}'..='\u{52f}' => Self::Cyrillic,
            '\u{370}'..='\u{3ff}' | '\u{590}'..='\u{77f}' | '\u{1f00}'..='\u{1fff}' => Self::NearEastern,
            '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' => Self::NearEastern,
            '\0'..='\u{36f}' | '\u{1e00}'..='\u{1eff}' => Self::Accented,
            '\u{900}'..='\u{eff}' => Self::Indic,
            '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7af}' => Self::Hangul,
            '\u{2e80}'..='\u{9fff}' => Self::Cjk,
            '\u{f900}'..='\u{fb1c}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}' => Self::Cjk,
            '\u{2000}'..='\u{2bff}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' => Self::Symbol,
            '\u{fff0}'..='\u{ffff}' | '\u{1f000}'..='\u{1ffff}' | '\u{40000}'.. => Self::Symbol,
            _ => Self::Rare,
        }
    }
}

/// Where each byte of ASCII is counted: its class, or behind the classes for a letter.
static ASCII_PLACES: [u8; 128] = {
    let mut places = [CharClass::Punctuation as u8; 128];
    let mut byte = 0_u8;
    while byte < 128 {
        places[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' => CharClass::COUNT as u8,
            b' ' | b'\t' | b'\r' | b'\n' => CharClass::Space as u8,
            b'0'..=b'9' => CharClass::Digit as u8,
            _ => CharClass::Punctuation as u8,
        };
        byte += 1;
    }
    places
};

impl TextMakeup {
    /// Looks at every character of `text`.
    pub(super) fn of(text: &str) -> Self {
        let mut counts = [0_u32; CharClass::COUNT + 1];
        let mut run = 0_u32;
        let mut bytes = text.as_bytes().iter().enumerate();
        while let Some((at, byte)) = bytes.next() {
            let Some(place) = ASCII_PLACES.get(usize::from(*byte)) else {
                let c = text[at..].chars().next().expect("a character starts here");
                counts[CharClass::of(c) as usize] += 1;
                run = 0;
                // The other bytes of the character.
                bytes.nth(c.len_utf8() - 2);
                continue;
            };
            counts[usize::from(*place)] += 1;
            if usize::from(*place) == CharClass::Digit as usize {
                counts[CharClass::DigitGroup as usize] += u32::from(run == 0);
                run = (run + 1) % 3;
            } else {
                run = 0;
            }
        }
        let mut makeup = Self::default();
        for (total, count) in makeup.0.iter_mut().zip(counts) {
            *total = u64::from(count);
        }
        makeup
    }

    /// Returns how many characters of `class` there are.
    pub(super) const fn get(&self, class: CharClass) -> u64 {
        self.0[class as usize]
    }

    /// Takes a sample of `part` bytes for the whole of `whole`.
    pub(super) fn scaled(self, whole: u64, part: u64) -> Self {
        Self(self.0.map(|count| count.saturating_mul(whole) / part.max(1)))
    }
}

impl Add for TextMakeup {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl AddAssign for TextMakeup {
    fn add_assign(&mut self, other: Self) {
        for (own, more) in self.0.iter_mut().zip(other.0) {
            *own = own.saturating_add(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str) -> Vec<(CharClass, u64)> {
        let makeup = TextMakeup::of(text);
        CharClass::ALL.into_iter().map(|class| (class, makeup.get(class))).filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn every_character_but_an_ascii_letter_is_in_a_class() {
        for (text, class) in [
            ("!", CharClass::Punctuation),
            ("\u{7}", CharClass::Punctuation),
            ("\n", CharClass::Space),
            ("é", CharClass::Accented),
            ("ễ", CharClass::Accented),
            ("Ж", CharClass::Cyrillic),
            ("λ", CharClass::NearEastern),
            ("ש", CharClass::NearEastern),
            ("م", CharClass::NearEastern),
            ("ह", CharClass::Indic),
            ("ไ", CharClass::Indic),
            ("ქ", CharClass::Rare),
            ("ខ", CharClass::Rare),
            ("模", CharClass::Cjk),
            ("か", CharClass::Cjk),
            ("한", CharClass::Hangul),
            ("，", CharClass::Cjk),
            ("🚀", CharClass::Symbol),
            ("─", CharClass::Symbol),
            ("\u{fffd}", CharClass::Symbol),
        ] {
            assert_eq!(counts(text), [(class, 1)], "{text}");
        }
        assert_eq!(counts("Word"), []);
    }

    #[test]
    fn digits_are_counted_each_and_by_three_of_a_run() {
        for (text, digits, groups) in [("1", 1, 1), ("123", 3, 1), ("1234", 4, 2), ("1234567", 7, 3), ("12a34", 4, 2)] {
            let makeup = TextMakeup::of(text);

            assert_eq!((makeup.get(CharClass::Digit), makeup.get(CharClass::DigitGroup)), (digits, groups), "{text}");
        }
    }

    #[test]
    fn a_sample_stands_for_the_whole() {
        let sample = TextMakeup::of("12 λ");

        let whole = sample.scaled(500, 5);

        assert_eq!((whole.get(CharClass::Digit), whole.get(CharClass::NearEastern)), (200, 100));
        assert_eq!(sample + sample, sample.scaled(2, 1));
    }
}
