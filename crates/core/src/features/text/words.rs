//! The words of a text.

/// What a byte may be of: most are of words, and only a few bytes begin white space beyond ASCII.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ByteClass {
    Word,
    Blank,
    /// The first byte of a character that may be white space.
    Doubtful,
}

static CLASSES: [ByteClass; 256] = {
    let mut classes = [ByteClass::Word; 256];
    let blanks = b"\t\n\x0b\x0c\r ";
    let mut index = 0;
    while index < blanks.len() {
        classes[blanks[index] as usize] = ByteClass::Blank;
        index += 1;
    }
    // U+0085 and U+00A0; U+1680; U+2000 to U+205F; U+3000.
    let doubtful = [0xC2, 0xE1, 0xE2, 0xE3];
    let mut index = 0;
    while index < doubtful.len() {
        classes[doubtful[index]] = ByteClass::Doubtful;
        index += 1;
    }
    classes
};

/// Iterates over the words of a text: longest runs of characters that are not white space.
#[derive(Debug, Clone)]
pub struct Words<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Words<'t> {
    /// Begins with the first word of `text`.
    #[inline]
    #[must_use]
    pub const fn of(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// Returns the length of the white space at `at`; 0 where there is a character of a word, or a part of one.
    #[inline]
    fn blank(&self, at: usize) -> usize {
        match CLASSES[usize::from(self.text.as_bytes()[at])] {
            ByteClass::Word => 0,
            ByteClass::Blank => 1,
            ByteClass::Doubtful => self.doubtful(at),
        }
    }

    #[cold]
    fn doubtful(&self, at: usize) -> usize {
        self.text[at..].chars().next().filter(|c| c.is_whitespace()).map_or(0, char::len_utf8)
    }
}

impl<'t> Iterator for Words<'t> {
    type Item = &'t str;

    #[inline]
    fn next(&mut self) -> Option<&'t str> {
        let len = self.text.len();
        let mut start = self.at;
        while start < len {
            match self.blank(start) {
                0 => break,
                blank => start += blank,
            }
        }
        let mut end = start;
        while end < len {
            match self.blank(end) {
                0 => end += 1,
                blank => {
                    self.at = end + blank;
                    return Some(&self.text[start..end]);
                }
            }
        }
        self.at = len;
        (start < len).then(|| &self.text[start..])
    }
}

/// Returns a word without the ASCII punctuation around it, which may be all of it.
pub(super) fn bare(word: &str) -> &str {
    let bytes = word.as_bytes();
    let (mut start, mut end) = (0, bytes.len());
    while start < end && bytes[start].is_ascii_punctuation() {
        start += 1;
    }
    while start < end && bytes[end - 1].is_ascii_punctuation() {
        end -= 1;
    }
    &word[start..end]
}

/// Returns whether a word may be one of those that questions begin with, by its length and first letter.
pub(super) fn may_ask(word: &str) -> bool {
    matches!(word.as_bytes(), [b'w' | b'W' | b'h' | b'H', rest @ ..] if (2..=4).contains(&rest.len()))
}

/// Returns whether a word may belong to a sequence of steps, by its length and first letter.
pub(super) fn may_be_step(word: &str) -> bool {
    let Some(first) = word.as_bytes().first() else { return false };
    matches!(
        (first.to_ascii_lowercase(), word.len()),
        (b't' | b'n' | b's', 4) | (b'a', 10) | (b'f', 5 | 7) | (b'l', 6) | (b's', 12) | (b'b', 2)
    )
}
