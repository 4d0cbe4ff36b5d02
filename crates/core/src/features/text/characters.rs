//! Counting the characters of a text by class.

/// The bytes that are counted in one go: no count of them is beyond a byte.
pub(super) const BLOCK: usize = 240;

/// Characters by class.
#[derive(Default)]
pub(super) struct CharacterCounts {
    pub(super) all: u32,
    pub(super) letters: u32,
    pub(super) upper: u32,
    pub(super) digits: u32,
    pub(super) non_ascii: u32,
    pub(super) question_marks: u32,
}

/// The bytes of a block by class.
#[derive(Default)]
struct ByteCounts {
    upper: u8,
    lower: u8,
    digits: u8,
    question_marks: u8,
    /// Bytes that go on with a character beyond ASCII.
    continued: u8,
    beyond: u8,
}

impl CharacterCounts {
    pub(super) fn of(text: &str) -> Self {
        let mut counts = Self::default();
        for block in text.as_bytes().chunks(BLOCK) {
            counts.block(block);
        }
        if counts.non_ascii > 0 {
            each_beyond_ascii(text, |c| counts.beyond_ascii(c));
        }
        counts
    }

    fn block(&mut self, block: &[u8]) {
        let mut bytes = ByteCounts::default();
        for byte in block {
            bytes.upper += u8::from(byte.wrapping_sub(b'A') < 26);
            bytes.lower += u8::from(byte.wrapping_sub(b'a') < 26);
            bytes.digits += u8::from(byte.wrapping_sub(b'0') < 10);
            bytes.question_marks += u8::from(*byte == b'?');
            bytes.continued += u8::from(byte & 0xC0 == 0x80);
            bytes.beyond += u8::from(*byte >= 0x80);
        }
        self.all += block.len() as u32 - u32::from(bytes.continued);
        self.upper += u32::from(bytes.upper);
        self.letters += u32::from(bytes.upper) + u32::from(bytes.lower);
        self.digits += u32::from(bytes.digits);
        self.question_marks += u32::from(bytes.question_marks);
        self.non_ascii += u32::from(bytes.beyond) - u32::from(bytes.continued);
    }

    fn beyond_ascii(&mut self, c: char) {
        let is_letter = c.is_alphabetic();
        self.letters += u32::from(is_letter);
        self.upper += u32::from(is_letter && c.is_uppercase());
        self.question_marks += u32::from(matches!(c, '？' | '؟'));
    }
}

/// Hands over each character beyond ASCII.
pub(super) fn each_beyond_ascii(text: &str, mut found: impl FnMut(char)) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| !byte.is_ascii()) {
        let mut chars = rest[at..].chars();
        while let Some(c) = chars.clone().next().filter(|c| !c.is_ascii()) {
            found(c);
            chars.next();
        }
        rest = chars.as_str();
    }
}
