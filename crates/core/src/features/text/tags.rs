//! Counting opening XML and HTML tags.

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
    pub(super) const fn new_line(&mut self) {
        self.state = TagScanState::Outside;
    }

    pub(super) const fn push(&mut self, c: char) {
        self.state = match (self.state, c) {
            (_, '<') => TagScanState::Opened,
            (TagScanState::Opened, 'a'..='z' | 'A'..='Z') => TagScanState::Name,
            (TagScanState::Name, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' | ':') => TagScanState::Name,
            (TagScanState::Name, ' ' | '\t' | '\r') => TagScanState::Attributes,
            (TagScanState::Name, '/') => TagScanState::SelfClosing,
            (TagScanState::Name | TagScanState::Attributes | TagScanState::SelfClosing, '>') => {
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
