//! The pieces that `o200k_base` splits a text into; no token reaches beyond one.
//!
//! The encoding says it by a regular expression of seven alternatives, the first that fits wins. Here each is a scan:
//! word (with one character before it and an English ending), up to three digits, symbols, line ends, white space.

use super::character::{Class, ascii_class, class};

/// The endings of a word after an apostrophe.
const ENDINGS: [&str; 8] = ["s", "t", "re", "ve", "m", "ll", "d", "\u{17f}"];

/// The pieces of a text, in order and without gaps.
pub(super) struct Pieces<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Pieces<'t> {
    pub(super) const fn of(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// Returns the class of the character at a byte and the byte after it; nothing at the end of the text.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "called for each byte of each prompt; a fifth of the instructions of a count"
    )]
    fn character(&self, at: usize) -> Option<(Class, usize)> {
        let first = *self.text.as_bytes().get(at)?;
        match ascii_class(first) {
            Some(class) => Some((class, at + 1)),
            None => self.wide_character(at),
        }
    }

    #[cold]
    fn wide_character(&self, at: usize) -> Option<(Class, usize)> {
        let character = self.text[at..].chars().next()?;
        Some((class(character), at + character.len_utf8()))
    }

    /// Returns the end of the piece from `start` on where it is what most pieces are: a space, if any, and a word of ASCII
    /// letters, of which at most the first is upper case. What decides by more than a byte is left to the alternatives.
    fn plain_word(&self, start: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = start + usize::from(bytes[start] == b' ');
        at += usize::from(bytes.get(at)?.is_ascii_uppercase());
        let word = at;
        while bytes.get(at).is_some_and(u8::is_ascii_lowercase) {
            at += 1;
        }
        let ends = bytes.get(at).is_none_or(|next| next.is_ascii() && *next != b'\'');
        (ends && at > word).then_some(at)
    }

    /// Returns the end of the characters from `at` on that `within` holds for.
    #[inline]
    fn run(&self, mut at: usize, within: impl Fn(Class) -> bool) -> usize {
        while let Some((class, next)) = self.character(at)
            && within(class)
        {
            at = next;
        }
        at
    }

    fn piece_end(&self, start: usize, first: Class, next: usize) -> usize {
        match first {
            Class::Upper | Class::Lower | Class::Caseless => self.word(start).unwrap_or(next),
            // The character before a word may be a mark, which is a word of its own where none follows.
            Class::Mark => self.cased(next).or_else(|| self.cased(start)).unwrap_or(next),
            Class::Number => self.digits(next),
            Class::Symbol => self.word(next).unwrap_or_else(|| self.symbols(next)),
            Class::Space => self.word(next).unwrap_or_else(|| self.after_space(start, next)),
            Class::LineEnd => self.white_space(start),
        }
    }

    /// Returns the end of a word that starts at `at`.
    fn word(&self, at: usize) -> Option<usize> {
        self.cased(at).or_else(|| {
            let end = self.run(at, Class::begins_word);
            (end > at).then(|| self.ending(end))
        })
    }

    /// Returns the end of upper case, if any, and then at least one character that may end a word.
    fn cased(&self, at: usize) -> Option<usize> {
        let (mut end, mut last) = (at, None);
        while let Some((class, next)) = self.character(end)
            && class.begins_word()
        {
            end = next;
            if class.ends_word() {
                last = Some(end);
            }
        }
        match self.run(end, Class::ends_word) {
            lower if lower > end => Some(self.ending(lower)),
            // Without lower case behind it, the run gives back what only begins words.
            _ => last.map(|end| self.ending(end)),
        }
    }

    /// Returns the end of `'s` and its like at `at`.
    fn ending(&self, at: usize) -> usize {
        let bytes = &self.text.as_bytes()[at..];
        if bytes.first() != Some(&b'\'') {
            return at;
        }
        let fits =
            |ending: &&&str| bytes[1..].get(..ending.len()).is_some_and(|b| b.eq_ignore_ascii_case(ending.as_bytes()));
        ENDINGS.iter().find(fits).map_or(at, |ending| at + 1 + ending.len())
    }

    /// Returns the end of up to three digits, the first of which ends at `at`.
    fn digits(&self, mut at: usize) -> usize {
        for _ in 0..2 {
            match self.character(at) {
                Some((Class::Number, next)) => at = next,
                _ => break,
            }
        }
        at
    }

    /// Returns the end of symbols up to `at` and on, and of the line ends and slashes behind them.
    fn symbols(&self, at: usize) -> usize {
        let end = self.run(at, |class| matches!(class, Class::Symbol | Class::Mark));
        let tail = self.text.as_bytes()[end..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n' | b'/'));
        end + tail.count()
    }

    fn after_space(&self, start: usize, next: usize) -> usize {
        let blank = self.text.as_bytes()[start] == b' ';
        match self.character(next) {
            Some((Class::Symbol, _)) if blank => self.symbols(next),
            _ => self.white_space(start),
        }
    }

    /// Returns the end of white space: up to its last line end; else all of it but the character before a word.
    fn white_space(&self, start: usize) -> usize {
        let (mut end, mut line, mut before) = (start, None, start);
        while let Some((class, next)) = self.character(end)
            && class.is_space()
        {
            if class == Class::LineEnd {
                line = Some(next);
            }
            before = end;
            end = next;
        }
        match line {
            Some(line) => line,
            None if end < self.text.len() && before > start => before,
            None => end,
        }
    }
}

impl<'t> Iterator for Pieces<'t> {
    type Item = &'t [u8];

    fn next(&mut self) -> Option<&'t [u8]> {
        let start = self.at;
        let (first, next) = self.character(start)?;
        self.at = self.plain_word(start).unwrap_or_else(|| self.piece_end(start, first, next));
        Some(&self.text.as_bytes()[start..self.at])
    }
}
