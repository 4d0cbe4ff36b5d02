//! Decision logs as they were written: decisions, refusals and the feedback on them, one file after another, as a
//! stream.
//!
//! Only what feedback says of a request is held in memory, about 50 bytes each, because it comes after the decision and
//! often in another file. Lines that a crash cut, or that are of another kind, are counted and passed over.

mod answers;
mod decision;
mod outcomes;
pub(crate) mod rated;
pub mod rows;

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use pointsman_telemetry::decision_log::record::{RecordKind, ShadowAnswerRecord};
use serde::Deserialize;
use serde_json::Value;

pub use self::answers::{AnswerCounts, ExportedMarks, export_answers};
pub use self::decision::{LoggedDecision, prompt_group};
pub use self::outcomes::{FeedbackOutcomes, LoggedFeedback};
use super::dataset::DatasetError;
use super::dataset::lines::without_mark;

/// Decision logs: every file is read as often as needed, never as a whole.
#[derive(Debug, Clone)]
pub struct DecisionLogs {
    paths: Vec<PathBuf>,
}

/// A line of a decision log.
#[derive(Debug, Clone, PartialEq)]
pub enum LogLine {
    /// A request that was decided.
    Decision(Box<LoggedDecision>),
    /// A request that a policy refused, or would have if it did more than watch: no model answered it, so that nothing
    /// is learned from it.
    Denial,
    /// A client's feedback on an answer.
    Feedback(LoggedFeedback),
    /// Another model's answer to a request, which its client did not get.
    ShadowAnswer(Box<LoggedShadowAnswer>),
    /// The operator's word on such an answer.
    ShadowFeedback(LoggedFeedback),
}

/// Another model's answer to a request, which its client did not get.
pub type LoggedShadowAnswer = ShadowAnswerRecord<'static>;

/// An iterator over the lines of decision logs.
#[derive(Debug)]
pub struct LogLines<'l> {
    paths: std::slice::Iter<'l, PathBuf>,
    open: Option<(&'l PathBuf, BufReader<File>)>,
    line: Vec<u8>,
    passed_over: u64,
}

impl DecisionLogs {
    /// Names the files, in any order.
    #[must_use]
    pub const fn new(paths: Vec<PathBuf>) -> Self {
        Self { paths }
    }

    /// Visits every line of every file; returns how many were passed over.
    ///
    /// # Errors
    /// When a file cannot be read, or `visit` fails.
    pub fn each<E: From<DatasetError>>(&self, mut visit: impl FnMut(LogLine) -> Result<(), E>) -> Result<u64, E> {
        let mut lines = self.lines();
        for line in &mut lines {
            visit(line?)?;
        }
        Ok(lines.passed_over())
    }

    /// Returns an iterator over every line of every file, which ends with the first error.
    #[must_use]
    pub fn lines(&self) -> LogLines<'_> {
        LogLines { paths: self.paths.iter(), open: None, line: Vec::new(), passed_over: 0 }
    }

    /// Reads what was said, and which decisions it could be about.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn outcomes(&self) -> Result<FeedbackOutcomes, DatasetError> {
        self.outcomes_of(|line| match line {
            LogLine::Feedback(feedback) => Some(feedback),
            _ => None,
        })
    }

    /// Reads what was said of shadow answers, and which decisions these could belong to.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn shadow_outcomes(&self) -> Result<FeedbackOutcomes, DatasetError> {
        self.outcomes_of(|line| match line {
            LogLine::ShadowFeedback(feedback) => Some(feedback),
            _ => None,
        })
    }

    fn outcomes_of(&self, word: impl Fn(LogLine) -> Option<LoggedFeedback>) -> Result<FeedbackOutcomes, DatasetError> {
        let mut outcomes = FeedbackOutcomes::default();
        self.each(|line| {
            if let Some(feedback) = word(line) {
                outcomes.add(&feedback);
            }
            Ok::<_, DatasetError>(())
        })?;
        if !outcomes.is_empty() {
            let mut lines = self.lines();
            let mut note = |line: &[u8]| {
                outcomes.note(&serde_json::from_slice(line).ok()?);
                Some(())
            };
            while lines.read(&mut note)?.is_some() {}
        }
        Ok(outcomes)
    }
}

impl LogLines<'_> {
    /// Returns how many lines so far are no JSON of a known kind.
    #[must_use]
    pub const fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// Reads the next line of which `parse` makes something.
    fn read<T>(&mut self, mut parse: impl FnMut(&[u8]) -> Option<T>) -> Result<Option<T>, DatasetError> {
        loop {
            let Some((path, reader)) = &mut self.open else {
                let Some(path) = self.paths.next() else { return Ok(None) };
                let file = File::open(path).map_err(|source| DatasetError::Read { path: path.clone(), source })?;
                self.open = Some((path, BufReader::new(file)));
                continue;
            };
            self.line.clear();
            let read = reader.read_until(b'\n', &mut self.line);
            if read.map_err(|source| DatasetError::Read { path: path.clone(), source })? == 0 {
                self.open = None;
                continue;
            }
            // A log that was opened and saved by hand may begin with a byte order mark; it is no part of its first line.
            match parse(without_mark(&self.line)) {
                Some(parsed) => return Ok(Some(parsed)),
                None => self.passed_over += u64::from(!self.line.trim_ascii().is_empty()),
            }
        }
    }
}

impl Iterator for LogLines<'_> {
    type Item = Result<LogLine, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.read(LogLine::parse).transpose();
        if matches!(line, Some(Err(_))) {
            (self.open, self.paths) = (None, [].iter());
        }
        line
    }
}

impl LogLine {
    /// Reads a line; `None` for what is none of a decision log.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct AnyRecord {
            kind: RecordKind,
        }
        match serde_json::from_slice::<AnyRecord>(line).ok()?.kind {
            RecordKind::Decision => {
                let decision: LoggedDecision = serde_json::from_slice(line).ok()?;
                let is_whole =
                    !decision.request_id.is_empty() && !decision.policy.is_empty() && decision.model.is_some();
                is_whole.then(|| Self::Decision(Box::new(decision)))
            }
            RecordKind::Denial => Some(Self::Denial),
            RecordKind::Feedback => feedback(line).map(Self::Feedback),
            RecordKind::ShadowAnswer => {
                let answer: LoggedShadowAnswer = serde_json::from_slice(line).ok()?;
                let is_whole = !answer.request_id.is_empty() && answer.model.is_some();
                is_whole.then(|| Self::ShadowAnswer(Box::new(answer)))
            }
            RecordKind::ShadowFeedback => feedback(line).map(Self::ShadowFeedback),
        }
    }
}

/// Reads a client's word; `correct` may be true or false, as clients say it and other programs write it.
fn feedback(line: &[u8]) -> Option<LoggedFeedback> {
    let mut record: Value = serde_json::from_slice(line).ok()?;
    if let Some(correct) = record["correct"].as_bool() {
        record["correct"] = f64::from(u8::from(correct)).into();
    }
    serde_json::from_value(record).ok()
}

/// Two hashes of what is one thing: one would meet itself among millions.
fn key(of: impl Hash) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, &of).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_cut_or_of_another_kind_are_counted_and_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("d.jsonl");
        let good =
            "{\"kind\":\"decision\",\"request_id\":\"a\",\"policy\":\"p\",\"model\":\"m\",\"answered_by\":\"m\"}";
        std::fs::write(&file, format!("{{\"half\n{good}\n\n{{\"kind\":\"other\"}}\n")).expect("written");
        let mut seen = 0;

        let passed = DecisionLogs::new(vec![file]).each(|_| {
            seen += 1;
            Ok::<_, DatasetError>(())
        });

        assert_eq!((seen, passed.expect("readable")), (1, 2));
    }

    #[test]
    fn a_byte_order_mark_and_blank_lines_are_no_lines_and_correctness_may_be_true_or_false() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("d.jsonl");
        let word = |id: &str, correct: &str| {
            format!("{{\"kind\":\"feedback\",\"request_id\":\"{id}\",\"correct\":{correct}}}")
        };
        let text = format!("\u{feff}{}\r\n\r\n{}\n", word("a", "true"), word("b", "0"));
        std::fs::write(&file, text).expect("written");
        let logs = DecisionLogs::new(vec![file]);

        let passed = logs.each(|_| Ok::<_, DatasetError>(())).expect("readable");
        let outcomes = logs.outcomes().expect("readable");

        let of = |id: &'static str| outcomes.of(&LoggedDecision { request_id: id.into(), ..LoggedDecision::default() });
        assert_eq!((passed, of("a"), of("b")), (0, Some(1.0), Some(0.0)));
    }
}
