//! A string of a document, as far as it is told apart from others.

/// The longest name or type that is told apart.
const MAX_NAME: usize = 24;

/// A short string; a longer one, or one with escapes, equals nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ShortString {
    bytes: [u8; MAX_NAME],
    length: usize,
    spoilt: bool,
}

impl ShortString {
    /// Makes it empty.
    pub(super) fn clear(&mut self) {
        (self.length, self.spoilt) = (0, false);
    }

    /// Makes it equal nothing.
    pub(super) fn spoil(&mut self) {
        self.spoilt = true;
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        match self.bytes.get_mut(self.length..self.length + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.length += bytes.len();
            }
            None => self.spoilt = true,
        }
    }

    /// Returns the whole string, unless it is too long or has escapes.
    pub(super) fn known(&self) -> Option<&[u8]> {
        (!self.spoilt).then(|| &self.bytes[..self.length])
    }

    pub(super) fn is(&self, text: &str) -> bool {
        !self.spoilt && &self.bytes[..self.length] == text.as_bytes()
    }

    pub(super) fn text(&self) -> &str {
        if self.spoilt { "" } else { std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default() }
    }
}
