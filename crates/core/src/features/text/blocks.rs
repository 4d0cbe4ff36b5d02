//! Counting JSON-like blocks by their brackets.

use memchr::memchr2;

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
    /// The state after a bracket that starts a block if this byte follows.
    Opened(u8),
    Inside,
    Quoted,
    Escaped,
}

impl JsonBlocks {
    /// Returns the number of blocks in a text; its line feeds do not count as characters.
    pub(super) fn in_text(text: &str) -> u32 {
        let (mut blocks, mut rest) = (Self::default(), text.as_bytes());
        while let Some(at) = memchr2(b'{', b'[', rest) {
            rest = &rest[at..];
            let read = rest.iter().position(|byte| {
                blocks.push(*byte);
                matches!(blocks.state, JsonScanState::Outside)
            });
            let Some(read) = read else { break };
            rest = &rest[read + 1..];
        }
        blocks.count
    }

    fn push(&mut self, byte: u8) {
        if byte == b'\n' {
            return;
        }
        self.state = match (self.state, byte) {
            (JsonScanState::Escaped, _) => JsonScanState::Quoted,
            (JsonScanState::Quoted, b'\\') => JsonScanState::Escaped,
            (JsonScanState::Quoted, b'"') => JsonScanState::Inside,
            (JsonScanState::Quoted, _) => JsonScanState::Quoted,
            (JsonScanState::Opened(needed), _) if byte == needed => self.start(byte),
            (JsonScanState::Opened(needed), _) if byte.is_ascii_whitespace() => JsonScanState::Opened(needed),
            (JsonScanState::Outside | JsonScanState::Opened(_), b'{') => JsonScanState::Opened(b'"'),
            (JsonScanState::Outside | JsonScanState::Opened(_), b'[') => JsonScanState::Opened(b'{'),
            (JsonScanState::Outside | JsonScanState::Opened(_), _) => JsonScanState::Outside,
            (JsonScanState::Inside, b'"') => JsonScanState::Quoted,
            (JsonScanState::Inside, b'{' | b'[') => self.open(),
            (JsonScanState::Inside, b'}' | b']') => self.close(),
            (JsonScanState::Inside, _) => JsonScanState::Inside,
        };
    }

    /// Enters a block by the character that proves it: a quote in its first bracket, or a second bracket.
    const fn start(&mut self, proof: u8) -> JsonScanState {
        if proof == b'"' {
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
