//! The escape that a string is amid of.

/// The escape that a string is amid of.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) enum StringEscape {
    #[default]
    None,
    Begun,
    Hex {
        digits: u8,
        value: u32,
    },
}

impl StringEscape {
    /// Returns whether no escape is open.
    pub(in super::super) const fn is_over(self) -> bool {
        matches!(self, Self::None)
    }

    /// Reads a byte of the escape; returns the character that it ends with, if it does.
    pub(in super::super) fn read(&mut self, byte: u8) -> Option<char> {
        let (escape, character) = match *self {
            Self::Hex { digits, value } => {
                let value = value << 4 | char::from(byte).to_digit(16).unwrap_or_default();
                if digits == 3 { (Self::None, Some(value)) } else { (Self::Hex { digits: digits + 1, value }, None) }
            }
            _ if byte == b'u' => (Self::Hex { digits: 0, value: 0 }, None),
            _ => (Self::None, Some(u32::from(unescaped(byte)))),
        };
        *self = escape;
        // Of a surrogate pair the second half counts, as one character that is not the right one.
        let character = character.filter(|value| !(0xd800..0xdc00).contains(value))?;
        Some(char::from_u32(character).unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}

fn unescaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' | b'b' | b'f' => b' ',
        other => other,
    }
}
