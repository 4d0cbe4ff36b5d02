//! The n-grams of a text by their hashes: words, pairs of words, and pieces of words.

use memchr::memchr_iter;

use super::counts::HashCounts;
use super::hash::{finish, first_bytes, start, step};
use super::normal::utf8;

/// The kinds of pieces: of three, four and five characters.
pub(super) const PIECE_KINDS: usize = 3;

/// Characters in a piece that is looked up among those that training saw: three are in any language's texts, five are
/// rare.
const RECORDED: usize = 4;

/// The kinds of n-grams of words.
const WORD: u64 = start(1);
const PAIR: u64 = start(2);

static THREE: [u64; 256] = first_bytes(3);
static FOUR: [u64; 256] = first_bytes(4);
static FIVE: [u64; 256] = first_bytes(5);

/// Counts the words of a normal text, and the pairs of those that follow each other. Words end at anything that is
/// neither letter nor digit.
pub(super) fn count_words(text: &[u8], counts: &mut HashCounts) {
    let mut words = WordHashes::default();
    if text.is_ascii() {
        for byte in text {
            if byte.is_ascii_lowercase() | byte.is_ascii_digit() {
                words.push(*byte);
            } else {
                words.end(counts);
            }
        }
        return;
    }
    for c in utf8(text).chars() {
        if c.is_alphanumeric() {
            c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| words.push(byte));
        } else {
            words.end(counts);
        }
    }
}

/// The states of the n-grams that a word is in.
struct WordHashes {
    is_open: bool,
    /// The word itself.
    word: u64,
    /// The word before, a blank, and this word; `None` for the first.
    pair: Option<u64>,
    /// This word as the first of a pair.
    first: u64,
}

impl Default for WordHashes {
    fn default() -> Self {
        Self { is_open: false, word: WORD, pair: None, first: PAIR }
    }
}

impl WordHashes {
    #[inline]
    fn push(&mut self, byte: u8) {
        self.is_open = true;
        self.word = step(self.word, byte);
        self.pair = self.pair.map(|pair| step(pair, byte));
        self.first = step(self.first, byte);
    }

    #[inline]
    fn end(&mut self, counts: &mut HashCounts) {
        if !self.is_open {
            return;
        }
        counts.add(finish(self.word));
        if let Some(pair) = self.pair {
            counts.add(finish(pair));
        }
        *self = Self { pair: Some(step(self.first, b' ')), ..Self::default() };
    }
}

/// Counts the pieces of each word of a normal text, blanks at its ends included, and those that are recorded.
#[derive(Debug, Default)]
pub(super) struct PieceCounter {
    /// The characters of the word at hand, where not all are ASCII.
    characters: Vec<PlacedCharacter>,
}

#[derive(Debug, Clone, Copy)]
struct PlacedCharacter {
    at: usize,
    /// Characters up to this one that follow each other and are neither digits nor marks, which are of no language.
    plain: usize,
}

impl PieceCounter {
    pub(super) fn count(&mut self, text: &[u8], counts: &mut HashCounts, recorded: &mut Vec<u64>) {
        let mut before = 0;
        for blank in memchr_iter(b' ', text).skip(1) {
            let padded = &text[before..=blank];
            before = blank;
            if padded.len() == 2 {
                continue;
            }
            recorded.reserve(padded.len());
            if padded.is_ascii() {
                count_ascii(padded, counts, recorded);
            } else {
                self.count_any(padded, counts, recorded);
            }
        }
    }

    fn count_any(&mut self, padded: &[u8], counts: &mut HashCounts, recorded: &mut Vec<u64>) {
        let mut plain = 0;
        self.characters.clear();
        for (at, c) in utf8(padded).char_indices() {
            plain = if c == ' ' || c.is_alphabetic() { plain + 1 } else { 0 };
            self.characters.push(PlacedCharacter { at, plain });
        }
        self.characters.push(PlacedCharacter { at: padded.len(), plain: 0 });
        for length in RECORDED - 1..=RECORDED + 1 {
            for piece in self.characters.windows(length + 1) {
                let bytes = &padded[piece[0].at..piece[length].at];
                let hash = finish(bytes.iter().fold(start(length as u64), |state, byte| step(state, *byte)));
                counts.add(hash);
                if length == RECORDED && piece[length - 1].plain >= RECORDED {
                    recorded.push(hash);
                }
            }
        }
    }
}

fn count_ascii(padded: &[u8], counts: &mut HashCounts, recorded: &mut Vec<u64>) {
    let is_plain = padded[1..padded.len() - 1].iter().all(u8::is_ascii_lowercase);
    let mut four = |piece: [u8; 4], counts: &mut HashCounts| {
        let hash = four(piece);
        counts.add(hash);
        if is_plain || piece.iter().all(|byte| *byte == b' ' || byte.is_ascii_lowercase()) {
            recorded.push(hash);
        }
    };
    for piece in padded.windows(5) {
        let &[a, b, c, d, e] = piece else { continue };
        counts.add(three([a, b, c]));
        four([a, b, c, d], counts);
        counts.add(five([a, b, c, d, e]));
    }
    if let [.., a, b, c, d] = *padded {
        counts.add(three([a, b, c]));
        four([a, b, c, d], counts);
    }
    if let [.., a, b, c] = *padded {
        counts.add(three([a, b, c]));
    }
}

#[inline]
fn three([a, b, c]: [u8; 3]) -> u64 {
    finish(step(step(THREE[usize::from(a)], b), c))
}

#[inline]
fn four([a, b, c, d]: [u8; 4]) -> u64 {
    finish(step(step(step(FOUR[usize::from(a)], b), c), d))
}

#[inline]
fn five([a, b, c, d, e]: [u8; 5]) -> u64 {
    finish(step(step(step(step(FIVE[usize::from(a)], b), c), d), e))
}
