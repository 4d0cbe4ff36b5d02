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

    /// Returns true for what may stand before the lower case of a word.
    pub(super) const fn begins_word(self) -> bool {
        matches!(self, Self::Upper | Self::Caseless | Self::Mark)
    }

    /// Returns true for what may end a word.
    pub(super) const fn ends_word(self) -> bool {
        matches!(self, Self::Lower | Self::Caseless | Self::Mark)
    }

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
