//! Counting JSON-like blocks by their brackets.

/// Counts outermost blocks that start like JSON and whose brackets balance.
#[derive(Default)]
pub(super) struct JsonBlocks {
    count: u32,
    state: State,
    /// Brackets that are open, from the block's first.
    depth: u32,
}

#[derive(Default, Clone, Copy)]
enum State {
    #[default]
    Outside,
    /// The state after a bracket that starts a block if this character follows.
    Opened(char),
    Inside,
    Quoted,
    Escaped,
}

impl JsonBlocks {
    pub(super) fn push(&mut self, c: char) {
        self.state = match (self.state, c) {
            (State::Escaped, _) => State::Quoted,
            (State::Quoted, '\\') => State::Escaped,
            (State::Quoted, '"') => State::Inside,
            (State::Quoted, _) => State::Quoted,
            (State::Opened(needed), _) if c == needed => self.start(c),
            (State::Opened(needed), _) if c.is_ascii_whitespace() => State::Opened(needed),
            (State::Outside | State::Opened(_), '{') => State::Opened('"'),
            (State::Outside | State::Opened(_), '[') => State::Opened('{'),
            (State::Outside | State::Opened(_), _) => State::Outside,
            (State::Inside, '"') => State::Quoted,
            (State::Inside, '{' | '[') => self.open(),
            (State::Inside, '}' | ']') => self.close(),
            (State::Inside, _) => State::Inside,
        };
    }

    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// Enters a block by the character that proves it: a quote in its first bracket, or a second bracket.
    const fn start(&mut self, proof: char) -> State {
        if proof == '"' {
            self.depth = 1;
            return State::Quoted;
        }
        self.depth = 2;
        State::Inside
    }

    const fn open(&mut self) -> State {
        self.depth += 1;
        State::Inside
    }

    const fn close(&mut self) -> State {
        self.depth -= 1;
        if self.depth > 0 {
            return State::Inside;
        }
        self.count += 1;
        State::Outside
    }
}
