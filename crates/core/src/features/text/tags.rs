//! Counting opening XML and HTML tags.

use memchr::memchr;

/// Counts opening tags; a tag ends on the line it starts on.
#[derive(Default)]
pub(super) struct TagScan {
    count: u32,
    state: TagScanState,
}

#[derive(Default, Clone, Copy)]
enum TagScanState {
    #[default]
    Outside,
    /// The state after `<`.
    Opened,
    Name,
    Attributes,
    /// The state after the `/` that must be followed by `>`.
    SelfClosing,
}

impl TagScan {
    /// Reads a passage of whole lines.
    pub(super) fn read(&mut self, text: &str) {
        self.state = TagScanState::Outside;
        let mut rest = text.as_bytes();
        while let Some(at) = memchr(b'<', rest) {
            rest = &rest[at..];
            let read = rest.iter().position(|byte| {
                self.push(*byte);
                matches!(self.state, TagScanState::Outside)
            });
            let Some(read) = read else { break };
            rest = &rest[read + 1..];
        }
    }

    const fn push(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (_, b'\n') => TagScanState::Outside,
            (_, b'<') => TagScanState::Opened,
            (TagScanState::Opened, b'a'..=b'z' | b'A'..=b'Z') => TagScanState::Name,
            (TagScanState::Name, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b':') => {
                TagScanState::Name
            }
            (TagScanState::Name, b' ' | b'\t' | b'\r') => TagScanState::Attributes,
            (TagScanState::Name, b'/') => TagScanState::SelfClosing,
            (TagScanState::Name | TagScanState::Attributes | TagScanState::SelfClosing, b'>') => {
                self.count += 1;
                TagScanState::Outside
            }
            (TagScanState::Attributes, _) => TagScanState::Attributes,
            _ => TagScanState::Outside,
        };
    }

    pub(super) const fn count(&self) -> u32 {
        self.count
    }
}
