//! The depth of JSON text that comes in pieces.

/// The depth of a JSON object that is open, over pieces of its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonDepth {
    depth: u32,
    is_in_string: bool,
    is_escaped: bool,
    is_whole: bool,
}

impl JsonDepth {
    pub(super) const fn new() -> Self {
        Self { depth: 0, is_in_string: false, is_escaped: false, is_whole: false }
    }

    /// Reads a piece.
    pub(super) fn push(&mut self, text: &str) {
        for letter in text.bytes() {
            if self.is_in_string {
                self.in_string(letter);
                continue;
            }
            match letter {
                b'"' => self.is_in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.is_whole |= self.depth == 0;
                }
                _ => {}
            }
        }
    }

    fn in_string(&mut self, letter: u8) {
        match (self.is_escaped, letter) {
            (true, _) => self.is_escaped = false,
            (false, b'\\') => self.is_escaped = true,
            (false, b'"') => self.is_in_string = false,
            (false, _) => {}
        }
    }

    /// Tells whether an object has come to its end.
    pub(super) const fn is_whole(&self) -> bool {
        self.is_whole
    }
}
