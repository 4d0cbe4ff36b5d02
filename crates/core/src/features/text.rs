//! The structure of one text: its lines sort it into prose and code, and each measure looks for its own marks in them.
//!
//! What has no mark is skipped at memory speed: characters are counted by the block, and braces, angle brackets and
//! backslashes are searched for. Only words are looked at one by one.

mod blocks;
mod characters;
mod math;
mod passages;
mod steps;
mod tags;
mod words;

use self::blocks::JsonBlocks;
use self::characters::CharacterCounts;
use self::math::MathMarks;
use self::passages::{Passage, PassageKind, Passages};
use self::steps::StepMarks;
use self::tags::TagScan;
pub use self::words::Words;

/// The bytes of a text whose structure is read; the rest counts only towards [`TextStructure::chars`].
pub const MAX_SCANNED_BYTES: usize = 64 * 1024;

const QUESTION_WORDS: [&str; 9] = ["who", "whom", "whose", "what", "which", "when", "where", "why", "how"];

/// The structure of a text; [`FEATURE_TABLE`](super::FEATURE_TABLE) defines each measure.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TextStructure {
    /// `text_chars`, of the whole text.
    pub chars: u64,
    /// `text_words`.
    pub words: u32,
    /// `text_lines`.
    pub lines: u32,
    /// `code_blocks`.
    pub code_blocks: u32,
    /// `code_lines`.
    pub code_lines: u32,
    /// `xml_tags`.
    pub xml_tags: u32,
    /// `json_blocks`.
    pub json_blocks: u32,
    /// `math`.
    pub math: u32,
    /// `digits_ratio`.
    pub digits_ratio: f64,
    /// `upper_ratio`.
    pub upper_ratio: f64,
    /// `non_ascii_ratio`.
    pub non_ascii_ratio: f64,
    /// `question_words`.
    pub question_words: u32,
    /// `question_marks`.
    pub question_marks: u32,
    /// `steps`.
    pub steps: u32,
}

impl TextStructure {
    /// Reads the structure of the first [`MAX_SCANNED_BYTES`] of `text`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let (head, rest) = text.split_at(text.floor_char_boundary(MAX_SCANNED_BYTES));
        if head.is_empty() {
            return Self::default();
        }
        let mut scan = TextScan::default();
        let mut passages = Passages::of(head);
        for passage in passages.by_ref() {
            scan.passage(passage);
        }
        let lines = passages.counts();
        let chars = CharacterCounts::of(head);
        Self {
            chars: u64::from(chars.all) + rest.chars().count() as u64,
            words: scan.words,
            lines: lines.lines,
            code_blocks: lines.blocks,
            code_lines: lines.code,
            xml_tags: scan.tags.count(),
            json_blocks: JsonBlocks::in_text(head),
            math: scan.math.count(),
            digits_ratio: ratio(chars.digits, chars.all),
            upper_ratio: ratio(chars.upper, chars.letters),
            non_ascii_ratio: ratio(chars.non_ascii, chars.all),
            question_words: scan.question_words,
            question_marks: chars.question_marks,
            steps: lines.list_items + scan.steps.count(),
        }
    }
}

#[derive(Default)]
struct TextScan {
    words: u32,
    question_words: u32,
    tags: TagScan,
    steps: StepMarks,
    math: MathMarks,
}

impl TextScan {
    fn passage(&mut self, passage: Passage<'_>) {
        let Passage { text, kind } = passage;
        match kind {
            PassageKind::Prose => {
                self.tags.read(text);
                self.math.read(text);
                for word in Words::of(text).map(words::bare) {
                    self.word(word);
                    self.steps.word(word);
                }
            }
            PassageKind::Code => Words::of(text).map(words::bare).for_each(|word| self.word(word)),
        }
    }

    /// Takes a word without the punctuation around it.
    fn word(&mut self, word: &str) {
        self.words += 1;
        if words::may_ask(word) {
            let asks = QUESTION_WORDS.iter().any(|known| word.eq_ignore_ascii_case(known));
            self.question_words += u32::from(asks);
        }
    }
}

fn ratio(part: u32, whole: u32) -> f64 {
    if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
