//! The structure of one text: one pass over its lines, each line one pass over its characters.

mod blocks;
mod steps;
mod tags;

use self::blocks::JsonBlocks;
use self::steps::StepMarks;
use self::tags::TagScan;

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
        let mut scan = TextScan::default();
        let head = &text[..text.floor_char_boundary(MAX_SCANNED_BYTES)];
        if !head.is_empty() {
            head.split('\n').for_each(|line| scan.line(line));
            // Line feeds are characters too, if not of any line.
            scan.chars.all += scan.found.lines - 1;
        }
        Self { chars: text.chars().count() as u64, ..scan.finish() }
    }
}

#[derive(Default)]
struct TextScan {
    found: TextStructure,
    chars: CharCounts,
    /// The fence that opened the block the scan is in.
    fence: Option<&'static str>,
    json: JsonBlocks,
    tags: TagScan,
    steps: StepMarks,
    latex_commands: u32,
    dollars: u32,
    operators: u32,
}

/// Characters by class.
#[derive(Default)]
struct CharCounts {
    all: u32,
    letters: u32,
    upper: u32,
    digits: u32,
    non_ascii: u32,
}

impl TextScan {
    fn line(&mut self, line: &str) {
        self.found.lines += 1;
        let prose = !self.is_code(line);
        if prose {
            self.steps.line(line);
        }
        self.tags.new_line();
        let mut word_start = None;
        let mut backslash = false;
        for (index, c) in line.char_indices() {
            self.chars.push(c);
            self.json.push(c);
            self.found.question_marks += u32::from(matches!(c, '?' | '？' | '؟'));
            if prose {
                self.tags.push(c);
                self.math(c, backslash);
                backslash = c == '\\' && !backslash;
            }
            if !c.is_whitespace() {
                word_start.get_or_insert(index);
            } else if let Some(start) = word_start.take() {
                self.word(&line[start..index], prose);
            }
        }
        if let Some(start) = word_start {
            self.word(&line[start..], prose);
        }
    }

    /// Follows the fences; a fence is code, whether it opens or closes.
    fn is_code(&mut self, line: &str) -> bool {
        let start = line.trim_start_matches([' ', '\t']);
        let fence = ["```", "~~~"].into_iter().find(|fence| start.starts_with(fence));
        match (self.fence, fence) {
            (None, None) => return false,
            (None, Some(_)) => {
                self.found.code_blocks += 1;
                self.fence = fence;
            }
            (Some(open), Some(close)) if open == close => self.fence = None,
            (Some(_), _) => self.found.code_lines += 1,
        }
        true
    }

    fn math(&mut self, c: char, after_backslash: bool) {
        match c {
            '$' => self.dollars += 1,
            '=' | '^' | '±' | '×' | '÷' | '√' | '∑' | '∏' | '∫' | '∂' | '∞' | '≈' | '≠' | '≤' | '≥' =>
            {
                self.operators += 1;
            }
            c if after_backslash && c.is_ascii_alphabetic() => self.latex_commands += 1,
            _ => {}
        }
    }

    fn word(&mut self, word: &str, prose: bool) {
        self.found.words += 1;
        let bare = word.trim_matches(|c: char| c.is_ascii_punctuation());
        let asks = QUESTION_WORDS.iter().any(|known| bare.eq_ignore_ascii_case(known));
        self.found.question_words += u32::from(asks);
        if prose {
            self.steps.word(bare);
        }
    }

    fn finish(self) -> TextStructure {
        TextStructure {
            xml_tags: self.tags.count(),
            json_blocks: self.json.count(),
            math: self.latex_commands + self.dollars / 2 + self.operators,
            digits_ratio: ratio(self.chars.digits, self.chars.all),
            upper_ratio: ratio(self.chars.upper, self.chars.letters),
            non_ascii_ratio: ratio(self.chars.non_ascii, self.chars.all),
            steps: self.steps.count(),
            ..self.found
        }
    }
}

impl CharCounts {
    fn push(&mut self, c: char) {
        self.all += 1;
        if c.is_ascii() {
            self.letters += u32::from(c.is_ascii_alphabetic());
            self.upper += u32::from(c.is_ascii_uppercase());
            self.digits += u32::from(c.is_ascii_digit());
        } else {
            self.non_ascii += 1;
            self.letters += u32::from(c.is_alphabetic());
            self.upper += u32::from(c.is_alphabetic() && c.is_uppercase());
        }
    }
}

fn ratio(part: u32, whole: u32) -> f64 {
    if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) }
}

#[cfg(test)]
mod tests;
