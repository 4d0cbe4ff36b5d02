//! The `usage` object of a document, which is kept as it comes and read when it is whole.

use super::DocumentScan;

/// The largest `usage` object that is read; the largest of today's has 600 bytes.
pub(super) const MAX_USAGE: usize = 4096;

/// A `usage` object that is being kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct UsageCapture {
    /// The depth within the object.
    pub(super) depth: u32,
    /// Tells whether the object is on the document's top level, or that of its envelope.
    pub(super) is_outer: bool,
}

impl DocumentScan {
    /// Keeps a piece of the `usage` object, and reads it when that was the last.
    pub(super) fn capture_piece(&mut self, capture: UsageCapture, piece: &[u8]) {
        if self.captured.len() + piece.len() > MAX_USAGE {
            self.capture = None;
            return;
        }
        self.captured.extend_from_slice(piece);
        if self.depth < capture.depth {
            self.capture = None;
            if capture.is_outer || !self.usage_is_outer {
                self.usage = serde_json::from_slice(&self.captured).ok();
                self.usage_is_outer = capture.is_outer;
            }
        }
    }
}
