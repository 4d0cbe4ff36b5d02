//! Counting mathematical marks.

use memchr::memchr_iter;

use super::characters::{BLOCK, each_beyond_ascii};

/// Counts commands of LaTeX, pairs of `$`, and operators.
#[derive(Default)]
pub(super) struct MathMarks {
    commands: u32,
    dollars: u32,
    operators: u32,
}

impl MathMarks {
    /// Reads a passage of whole lines.
    pub(super) fn read(&mut self, text: &str) {
        let bytes = text.as_bytes();
        for block in bytes.chunks(BLOCK) {
            let (mut dollars, mut operators) = (0_u8, 0_u8);
            for byte in block {
                dollars += u8::from(*byte == b'$');
                operators += u8::from((*byte == b'=') | (*byte == b'^'));
            }
            self.dollars += u32::from(dollars);
            self.operators += u32::from(operators);
        }
        self.commands(bytes);
        if !text.is_ascii() {
            each_beyond_ascii(text, |c| self.operators += u32::from(is_operator(c)));
        }
    }

    pub(super) const fn count(&self) -> u32 {
        self.commands + self.dollars / 2 + self.operators
    }

    /// Counts backslashes before a letter; one that another backslash escapes begins no command.
    fn commands(&mut self, bytes: &[u8]) {
        let mut escaped = None;
        for at in memchr_iter(b'\\', bytes).filter(|at| bytes.get(at + 1).is_some()) {
            if escaped == Some(at) {
                continue;
            }
            let next = bytes[at + 1];
            self.commands += u32::from(next.is_ascii_alphabetic());
            escaped = (next == b'\\').then_some(at + 1);
        }
    }
}

const fn is_operator(c: char) -> bool {
    matches!(c, '±' | '×' | '÷' | '√' | '∑' | '∏' | '∫' | '∂' | '∞' | '≈' | '≠' | '≤' | '≥')
}
