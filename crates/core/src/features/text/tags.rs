//! Counting opening XML and HTML tags.

/// Counts opening tags; a tag ends on the line it starts on.
#[derive(Default)]
pub(super) struct Tags {
    count: u32,
    state: State,
}

#[derive(Default, Clone, Copy)]
enum State {
    #[default]
    Outside,
    /// The state after `<`.
    Opened,
    Name,
    Attributes,
    /// The state after the `/` that must be followed by `>`.
    SelfClosing,
}

impl Tags {
    pub(super) const fn new_line(&mut self) {
        self.state = State::Outside;
    }

    pub(super) const fn push(&mut self, c: char) {
        self.state = match (self.state, c) {
            (_, '<') => State::Opened,
            (State::Opened, 'a'..='z' | 'A'..='Z') => State::Name,
            (State::Name, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' | ':') => State::Name,
            (State::Name, ' ' | '\t' | '\r') => State::Attributes,
            (State::Name, '/') => State::SelfClosing,
            (State::Name | State::Attributes | State::SelfClosing, '>') => {
                self.count += 1;
                State::Outside
            }
            (State::Attributes, _) => State::Attributes,
            _ => State::Outside,
        };
    }

    pub(super) const fn count(&self) -> u32 {
        self.count
    }
}
