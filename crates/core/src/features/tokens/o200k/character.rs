//! The classes of characters that `o200k_base` splits by.

use super::layout::BLOCK;

static BLOCKS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/character_blocks"));
static CLASSES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/character_classes"));

/// A class of characters, in the order of the build script's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Neither white space, letter, number nor mark.
    Symbol,
    /// White space that ends no line.
    Space,
    /// CR and LF.
    LineEnd,
    /// A number.
    Number,
    /// A letter in upper or title case.
    Upper,
    /// A letter in lower case.
    Lower,
    /// A letter without case.
    Caseless,
    /// A mark on the character before it.
    Mark,
}

impl Class {
    const ALL: [Self; 8] =
        [Self::Symbol, Self::Space, Self::LineEnd, Self::Number, Self::Upper, Self::Lower, Self::Caseless, Self::Mark];

    /// Returns true for white space.
    pub(super) const fn is_space(self) -> bool {
        matches!(self, Self::Space | Self::LineEnd)
    }
}

/// The classes of ASCII, which most characters are.
static ASCII: [Class; 128] = {
    let mut classes = [Class::Symbol; 128];
    let mut byte = 0_u8;
    while byte < 128 {
        classes[byte as usize] = match byte {
            b'\r' | b'\n' => Class::LineEnd,
            b'\t' | b' ' | 0x0b | 0x0c => Class::Space,
            b'0'..=b'9' => Class::Number,
            b'A'..=b'Z' => Class::Upper,
            b'a'..=b'z' => Class::Lower,
            _ => Class::Symbol,
        };
        byte += 1;
    }
    classes
};

/// A set of classes, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClassSet(u8);

impl ClassSet {
    /// What may stand before the lower case of a word.
    pub(super) const WORD_BEGIN: Self = Self::of(&[Class::Upper, Class::Caseless, Class::Mark]);
    /// What may end a word.
    pub(super) const WORD_END: Self = Self::of(&[Class::Lower, Class::Caseless, Class::Mark]);
    /// What is neither white space, letter nor number.
    pub(super) const SYMBOL: Self = Self::of(&[Class::Symbol, Class::Mark]);

    const fn of(classes: &[Class]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < classes.len() {
            bits |= 1 << classes[index] as u8;
            index += 1;
        }
        Self(bits)
    }

    /// Returns whether a class is in the set.
    #[inline]
    pub(super) const fn has(self, class: Class) -> bool {
        self.0 & (1 << class as u8) != 0
    }

    /// Returns how many bytes at the beginning are ASCII of these classes.
    #[inline]
    pub(super) fn ascii_run(self, bytes: &[u8]) -> usize {
        let is_other = |byte: &u8| self.0 & ASCII_BITS[usize::from(*byte)] == 0;
        bytes.iter().position(is_other).unwrap_or(bytes.len())
    }
}

/// The set of each byte's class; an empty one for what is no ASCII.
static ASCII_BITS: [u8; 256] = {
    let mut bits = [0; 256];
    let mut byte = 0;
    while byte < ASCII.len() {
        bits[byte] = 1 << ASCII[byte] as u8;
        byte += 1;
    }
    bits
};

/// Returns the class of a byte of ASCII; nothing for others.
#[inline]
pub(super) fn ascii_class(byte: u8) -> Option<Class> {
    ASCII.get(usize::from(byte)).copied()
}

/// Returns the class of a character.
pub(super) fn class(character: char) -> Class {
    let character = character as usize;
    let block = BLOCKS[character / BLOCK] as usize;
    Class::ALL[CLASSES[block * BLOCK + character % BLOCK] as usize]
}
