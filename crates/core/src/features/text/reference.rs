//! The structure of a text as it is defined: one pass, character by character, with no regard to cost.

use super::{MAX_SCANNED_BYTES, QUESTION_WORDS, TextStructure, ratio};

/// Returns what [`TextStructure::of`] must find.
pub(super) fn structure(text: &str) -> TextStructure {
    let mut scan = TextScan::default();
    let head = &text[..text.floor_char_boundary(MAX_SCANNED_BYTES)];
    if !head.is_empty() {
        head.split('\n').for_each(|line| scan.line(line));
        // Line feeds are characters too, if not of any line.
        scan.chars.all += scan.found.lines - 1;
    }
    TextStructure { chars: text.chars().count() as u64, ..scan.finish() }
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

/// Counts outermost blocks that start like JSON and whose brackets balance.
#[derive(Default)]
struct JsonBlocks {
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
    fn push(&mut self, c: char) {
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

    const fn count(&self) -> u32 {
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

/// Counts opening tags; a tag ends on the line it starts on.
#[derive(Default)]
struct TagScan {
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
    const fn new_line(&mut self) {
        self.state = TagScanState::Outside;
    }

    const fn push(&mut self, c: char) {
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

    const fn count(&self) -> u32 {
        self.count
    }
}

/// Words that go on with a sequence that `first` began.
const FOLLOWING: [&str; 5] = ["then", "next", "afterwards", "finally", "lastly"];
const STEP_BY_STEP: [&str; 3] = ["step", "by", "step"];

/// Counts list items, `first … then` and `step by step`.
#[derive(Default)]
struct StepMarks {
    count: u32,
    first_said: bool,
    /// The number of words of `step by step` that the text has just said.
    phrase: usize,
}

impl StepMarks {
    fn line(&mut self, line: &str) {
        self.count += u32::from(is_list_item(line));
    }

    /// Takes a word without the punctuation around it.
    fn word(&mut self, word: &str) {
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        let follows = self.first_said && FOLLOWING.iter().any(|following| is(following));
        self.count += u32::from(follows || is("step-by-step"));
        self.first_said |= is("first") || is("firstly");
        self.phrase = if is(STEP_BY_STEP[self.phrase]) { self.phrase + 1 } else { is("step").into() };
        if self.phrase == STEP_BY_STEP.len() {
            self.count += 1;
            self.phrase = 0;
        }
    }

    const fn count(&self) -> u32 {
        self.count
    }
}

fn is_list_item(line: &str) -> bool {
    let start = line.trim_start_matches([' ', '\t']);
    let after_digits = start.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = start.len() - after_digits.len();
    let mut rest = after_digits.chars();
    (1..=3).contains(&digits) && matches!(rest.next(), Some('.' | ')')) && rest.next().is_some_and(char::is_whitespace)
}
