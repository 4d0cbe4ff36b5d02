//! Counting JSON-like blocks by their brackets.

/// Counts outermost blocks that start like JSON and whose brackets balance.
#[derive(Default)]
pub(super) struct JsonBlocks {
    count: u32,
    state: JsonScanState,
    /// Brackets that are open, from the block's first.
    depth: u32,
}

#[derive(Default, Clone, Copy)]
enum JsonScanState {
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
            (JsonScanState::Escaped, _) => JsonScanState::Quoted,
            (JsonScanState::Quoted, '\\') => JsonScanState::Escaped,
            (JsonScanState::Quoted, '"') => JsonScanState::Inside,
            (JsonScanState::Quoted, _) => JsonScanState::Quoted,
            (JsonScanState::Opened(needed), _) if c == needed => self.start(c),
            (JsonScanState::Opened(needed), _) if c.is_ascii_whitespace() => JsonScanState::Opened(needed),
            (JsonScanState::Outside | JsonScanState::Opened(_), '{') => JsonScanState::Opened('"'),
            (JsonScanState::Outside | JsonScanState::Opened(_), '[') => JsonScanState::Opened('{'),
            (JsonScanState::Outside | JsonScanState::Opened(_), _) => JsonScanState::Outside,
            (JsonScanState::Inside, '"') => JsonScanState::Quoted,
            (JsonScanState::Inside, '{' | '[') => self.open(),
            (JsonScanState::Inside, '}' | ']') => self.close(),
            (JsonScanState::Inside, _) => JsonScanState::Inside,
        };
    }

    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// Enters a block by the character that proves it: a quote in its first bracket, or a second bracket.
    const fn start(&mut self, proof: char) -> JsonScanState {
        if proof == '"' {
            self.depth = 1;
            return JsonScanState::Quoted;
        }
        self.depth = 2;
        JsonScanState::Inside
    }

    const fn open(&mut self) -> JsonScanState {
        self.depth += 1;
        JsonScanState::Inside
    }

    const fn close(&mut self) -> JsonScanState {
        self.depth -= 1;
        if self.depth > 0 {
            return JsonScanState::Inside;
        }
        self.count += 1;
        JsonScanState::Outside
    }
}
