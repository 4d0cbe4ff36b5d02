//! The classes of the words of a reply, looked up in `words.txt`.

use std::sync::LazyLock;

use rustc_hash::{FxHashMap, FxHashSet};

pub(super) const COURTESY: u16 = 1;
pub(super) const GO: u16 = 1 << 1;
pub(super) const REVISE: u16 = 1 << 2;
pub(super) const POINTING: u16 = 1 << 3;
pub(super) const LEAD: u16 = 1 << 4;
pub(super) const NEUTRAL: u16 = 1 << 5;
pub(super) const FUNCTION: u16 = 1 << 6;
/// Counts as content although it is listed, such as a word that looks like a stem of the list.
pub(super) const CONTENT: u16 = 1 << 7;
pub(super) const ASKING: u16 = 1 << 8;
pub(super) const NUMBER: u16 = 1 << 9;
/// A pointing word that may belong to the noun after it.
pub(super) const DETERMINER: u16 = 1 << 10;

/// A word that goes on from what was said, also behind a courtesy.
pub(super) const CONNECTIVE: u16 = 1 << 11;
/// Praise, which is consent where something was asked.
pub(super) const PRAISE: u16 = 1 << 12;

const SECTIONS: [(&str, u16); 12] = [
    ("courtesy", COURTESY),
    ("go", GO),
    ("revise", REVISE),
    ("pointing", POINTING),
    ("lead", LEAD),
    ("neutral", NEUTRAL),
    ("function", FUNCTION),
    ("content", CONTENT),
    ("asking", ASKING),
    ("determiner", DETERMINER),
    ("connective", CONNECTIVE),
    ("praise", PRAISE),
];

/// The most words of a phrase.
const PHRASE: usize = 5;

/// The words by class. The keys are lower case; a phrase's words are joined by `-`.
#[derive(Default)]
struct WordClasses {
    exact: FxHashMap<&'static str, u16>,
    /// Beginnings of words.
    stems: FxHashMap<&'static str, u16>,
    /// Pieces of texts that put no spaces between words.
    pieces: FxHashMap<&'static str, u16>,
    longest_piece: usize,
    /// Words that phrases begin with: others are not joined to look them up.
    phrase_starts: FxHashSet<&'static str>,
}

static WORDS: LazyLock<WordClasses> = LazyLock::new(|| WordClasses::read(include_str!("../words.txt")));

/// A run of a text: a word, or a stretch of a script without spaces.
enum TextRun<'t> {
    Word(&'t str),
    Unspaced(&'t str),
}

/// Returns the classes of each word, phrase or piece of a text, 0 for content.
pub(super) fn classes(text: &str) -> Vec<u16> {
    let lower = text.to_lowercase().replace('\u{2019}', "'");
    let runs = runs(&lower);
    let (mut items, mut at) = (Vec::new(), 0);
    while let Some(run) = runs.get(at) {
        match run {
            TextRun::Unspaced(stretch) => {
                WORDS.add_pieces(stretch, &mut items);
                at += 1;
            }
            TextRun::Word(word) => match WORDS.phrase(&runs[at..]) {
                Some((length, class)) => {
                    items.push(class);
                    at += length;
                }
                None => {
                    WORDS.add_word(word, &mut items);
                    at += 1;
                }
            },
        }
    }
    items
}

impl WordClasses {
    fn read(text: &'static str) -> Self {
        let (mut words, mut english, mut class) = (Self::default(), FxHashMap::default(), 0);
        for line in text.lines() {
            let section = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            if let Some((name, _)) = section {
                class = SECTIONS.iter().find(|(known, _)| *known == name).map_or(0, |(_, class)| *class);
            } else if let Some((language, list)) = line.split_once(": ").filter(|(language, _)| language.len() == 2) {
                for word in list.split_whitespace() {
                    words.add(word, class);
                    if language == "en" && words.exact.contains_key(word) {
                        *english.entry(word).or_default() |= class;
                    }
                }
            }
        }
        // Elsewhere a spelling that both points and only joins is taken to join.
        for class in words.exact.values_mut().filter(|class| **class & FUNCTION != 0 && **class & POINTING != 0) {
            *class &= !POINTING;
        }
        words.exact.extend(english);
        words
    }

    fn add(&mut self, word: &'static str, class: u16) {
        let (table, key) = match word.strip_suffix('*') {
            _ if word.chars().any(is_unspaced) => (&mut self.pieces, word.trim_end_matches('*')),
            Some(stem) => (&mut self.stems, stem),
            None => (&mut self.exact, word),
        };
        *table.entry(key).or_default() |= class;
        self.phrase_starts.extend(key.split_once('-').map(|(first, _)| first));
        if word.chars().any(is_unspaced) {
            self.longest_piece = self.longest_piece.max(key.chars().count());
        }
    }

    /// Returns the longest phrase that runs begin with, of two words at least.
    fn phrase(&self, runs: &[TextRun<'_>]) -> Option<(usize, u16)> {
        let Some(TextRun::Word(first)) = runs.first() else { return None };
        if !self.phrase_starts.contains(first) {
            return None;
        }
        let words = runs.iter().map_while(|run| if let TextRun::Word(word) = run { Some(*word) } else { None });
        let words: Vec<&str> = words.take(PHRASE).collect();
        (2..=words.len()).rev().find_map(|length| Some((length, *self.exact.get(&*words[..length].join("-"))?)))
    }

    fn add_word(&self, word: &str, items: &mut Vec<u16>) {
        match (self.look_up(word), word.split_once('\'')) {
            (Some(class), _) => items.push(class),
            (None, Some((head, tail))) => {
                for (part, with) in [(head, format!("{head}'")), (tail, tail.to_owned())] {
                    let class = self.look_up(&with).or_else(|| self.look_up(part));
                    let is_content = class.is_none() && part.chars().count() > 1;
                    items.push(if is_content { 0 } else { class.unwrap_or(FUNCTION) });
                }
            }
            (None, None) => items.push(0),
        }
    }

    fn look_up(&self, word: &str) -> Option<u16> {
        if let Some(class) = self.exact.get(word) {
            return Some(*class);
        }
        let ends = word.char_indices().map(|(at, c)| at + c.len_utf8()).collect::<Vec<_>>();
        if let Some(class) = ends.iter().rev().find_map(|end| self.stems.get(&word[..*end])) {
            return Some(*class);
        }
        let is_number =
            word.chars().all(|c| c.is_numeric() || matches!(c, '.' | ',')) && word.chars().any(char::is_numeric);
        if is_number {
            return Some(NUMBER);
        }
        (ends.len() == 1).then_some(NEUTRAL)
    }

    /// Adds the pieces of a stretch without spaces; two characters that are in none are about one word.
    fn add_pieces(&self, stretch: &str, items: &mut Vec<u16>) {
        let chars: Vec<(usize, char)> = stretch.char_indices().collect();
        let end = |at: usize| chars.get(at).map_or(stretch.len(), |(offset, _)| *offset);
        let (mut at, mut unknown) = (0, 0_usize);
        while at < chars.len() {
            let longest = self.longest_piece.min(chars.len() - at);
            let piece = (1..=longest).rev().find_map(|n| Some((n, *self.pieces.get(&stretch[end(at)..end(at + n)])?)));
            let Some((length, class)) = piece else {
                (at, unknown) = (at + 1, unknown + 1);
                continue;
            };
            items.extend(std::iter::repeat_n(0, unknown.div_ceil(2)));
            items.push(class);
            (at, unknown) = (at + length, 0);
        }
        items.extend(std::iter::repeat_n(0, unknown.div_ceil(2)));
    }
}

/// Splits a text into words and stretches without spaces.
fn runs(text: &str) -> Vec<TextRun<'_>> {
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum RunKind {
        Word,
        Unspaced,
    }
    let mut runs = Vec::new();
    let mut open: Option<(RunKind, usize)> = None;
    let mut before = ' ';
    let mut close = |open: Option<(RunKind, usize)>, end: usize| match open {
        Some((RunKind::Unspaced, start)) => runs.push(TextRun::Unspaced(&text[start..end])),
        Some((RunKind::Word, start)) => {
            let word = text[start..end].trim_matches(['\'', '.', ',']);
            runs.extend((!word.is_empty()).then_some(TextRun::Word(word)));
        }
        None => {}
    };
    for (at, c) in text.char_indices() {
        let is_inner = open.is_some() && (c == '\'' || is_mark(c) || (matches!(c, '.' | ',') && before.is_numeric()));
        let kind = match c {
            c if is_unspaced(c) => Some(RunKind::Unspaced),
            c if c.is_alphanumeric() || is_inner => Some(RunKind::Word),
            _ => None,
        };
        if kind != open.map(|(kind, _)| kind) {
            close(open, at);
            open = kind.map(|kind| (kind, at));
        }
        before = c;
    }
    close(open, text.len());
    runs
}

/// Tells whether a character is of a script without spaces between words: Thai, kana, Han.
const fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{e7f}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

/// Tells whether a character is a mark on the one before it.
const fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}'
        | '\u{900}'..='\u{963}' | '\u{970}'..='\u{dff}')
}
