//! Counting the marks of a task in several steps.

use super::words;

/// Words that go on with a sequence that `first` began.
const FOLLOWING: [&str; 5] = ["then", "next", "afterwards", "finally", "lastly"];
const STEP_BY_STEP: [&str; 3] = ["step", "by", "step"];

/// Counts `first … then` and `step by step`.
#[derive(Default)]
pub(super) struct StepMarks {
    count: u32,
    first_said: bool,
    /// The number of words of `step by step` that the text has just said.
    phrase: usize,
}

impl StepMarks {
    /// Takes a word without the punctuation around it.
    pub(super) fn word(&mut self, word: &str) {
        if !words::may_be_step(word) {
            self.phrase = 0;
            return;
        }
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

    pub(super) const fn count(&self) -> u32 {
        self.count
    }
}

/// Returns whether a line begins with a number and a full stop or bracket after it.
pub(super) fn is_list_item(line: &str) -> bool {
    let start = line.trim_start_matches([' ', '\t']);
    let after_digits = start.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = start.len() - after_digits.len();
    let mut rest = after_digits.chars();
    (1..=3).contains(&digits) && matches!(rest.next(), Some('.' | ')')) && rest.next().is_some_and(char::is_whitespace)
}
