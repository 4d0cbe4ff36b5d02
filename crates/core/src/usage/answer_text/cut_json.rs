//! JSON whose end was cut: what came before, with the brackets closed that are open.

use serde_json::Value;

/// The brackets that may be open; what is nested deeper is no answer.
const MAX_DEPTH: usize = 64;

/// The state of looking for the places at which a document could end.
#[derive(Debug, Default)]
struct CutSearch {
    /// The brackets that close what is open, the outermost first.
    closing: Vec<u8>,
    /// The length up to which everything is whole.
    whole: usize,
    /// True where the next text is a member's name.
    expects_name: bool,
    text: Option<OpenText>,
}

/// A text whose end has not come.
#[derive(Debug, Clone, Copy)]
struct OpenText {
    is_name: bool,
    /// The length up to which its characters are whole.
    whole: usize,
    escape: EscapeState,
    /// True after the first half of a character that two escapes write.
    is_half: bool,
}

/// The place within an escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EscapeState {
    None,
    Begun,
    /// So many digits are still to come.
    Digits(u8),
}

/// Returns the JSON that `prefix` begins, without its last, half-written value; of a text that is a value as much as came.
pub(super) fn opened(prefix: &[u8]) -> Option<Value> {
    let mut search = CutSearch::default();
    for (at, byte) in prefix.iter().enumerate() {
        search.step(at, *byte);
        if search.closing.len() > MAX_DEPTH {
            return None;
        }
    }
    let in_text = search.text.filter(|text| !text.is_name).map(|text| (text.whole, &b"\""[..]));
    let ends = in_text.into_iter().chain([(search.whole, &b""[..])]);
    let mut closed = ends.map(|(length, quote)| {
        let closing = search.closing.iter().rev().copied();
        prefix[..length].iter().chain(quote).copied().chain(closing).collect::<Vec<u8>>()
    });
    closed.find_map(|document| serde_json::from_slice(&document).ok())
}

impl CutSearch {
    fn step(&mut self, at: usize, byte: u8) {
        if let Some(text) = &mut self.text {
            if text.step(at, byte) {
                if !text.is_name {
                    self.whole = at + 1;
                }
                self.text = None;
            }
            return;
        }
        match byte {
            b'"' => {
                let is_name = std::mem::take(&mut self.expects_name);
                self.text = Some(OpenText { is_name, whole: at + 1, escape: EscapeState::None, is_half: false });
            }
            b'{' | b'[' => {
                self.expects_name = byte == b'{';
                self.closing.push(if byte == b'{' { b'}' } else { b']' });
                self.whole = at + 1;
            }
            b'}' | b']' => {
                self.closing.pop();
                self.expects_name = false;
                self.whole = at + 1;
            }
            b',' => {
                self.whole = at;
                self.expects_name = self.closing.last() == Some(&b'}');
            }
            _ => {}
        }
    }
}

impl OpenText {
    /// Takes a byte; returns whether the text ends with it.
    fn step(&mut self, at: usize, byte: u8) -> bool {
        match self.escape {
            EscapeState::None => match byte {
                b'"' => return true,
                b'\\' => self.escape = EscapeState::Begun,
                ..0x80 => self.whole = at + 1,
                // A character of several bytes is known to be whole when the next one begins.
                0xC0.. => self.whole = at,
                _ => {}
            },
            EscapeState::Begun if byte == b'u' => self.escape = EscapeState::Digits(4),
            EscapeState::Begun => self.escaped(at),
            EscapeState::Digits(left) => {
                self.is_half = match left {
                    4 => byte.eq_ignore_ascii_case(&b'd'),
                    3 => self.is_half && matches!(byte, b'8' | b'9' | b'a' | b'b' | b'A' | b'B'),
                    _ => self.is_half,
                };
                self.escape = EscapeState::Digits(left - 1);
                if left == 1 {
                    self.escaped(at);
                }
            }
        }
        false
    }

    fn escaped(&mut self, at: usize) {
        self.escape = EscapeState::None;
        if !self.is_half {
            self.whole = at + 1;
        }
    }
}
