//! The id of the message or response that events are about, which the last of them has to repeat.

/// The longest id that is kept.
const MAX_ID: usize = 128;

/// The first id that came, as far as it has.
#[derive(Debug, Default)]
pub(super) struct EnvelopeId {
    bytes: Vec<u8>,
    /// True from the key until the end of its value.
    is_open: bool,
    is_known: bool,
}

impl EnvelopeId {
    /// Takes the next string for the id, unless one is known.
    pub(super) fn expect(&mut self) {
        self.is_open = !self.is_known;
        self.bytes.truncate(if self.is_known { self.bytes.len() } else { 0 });
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        if self.is_open && self.bytes.len() + bytes.len() <= MAX_ID {
            self.bytes.extend_from_slice(bytes);
        }
    }

    pub(super) fn end(&mut self) {
        self.is_known |= std::mem::take(&mut self.is_open);
    }

    /// Takes no string of the next document for the id that this one ought to have.
    pub(super) fn abandon(&mut self) {
        self.is_open = false;
    }

    /// Returns the id; empty while there is none.
    pub(super) fn text(&self) -> &str {
        if self.is_known { std::str::from_utf8(&self.bytes).unwrap_or_default() } else { "" }
    }
}
