//! Decision logs as they were written: decisions and the feedback on them, one file after another, as a stream.
//!
//! Only what feedback says of a request is held in memory, about 40 bytes each, because it comes after the decision and
//! often in another file. Lines that a crash cut, or that are of another kind, are counted and passed over.

pub mod rows;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::dataset::DatasetError;
use crate::features::Features;
use crate::scores::{Degraded, HeadScores, Scores, Source};

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
    /// What a client said of an answer.
    Feedback(LoggedFeedback),
}

/// A request that was decided.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct LoggedDecision {
    /// The answer's `x-request-id`.
    pub request_id: String,
    /// When the request was over, as RFC 3339.
    #[serde(default)]
    pub time: String,
    /// Who asked, when clients have keys.
    #[serde(default)]
    pub client: Option<String>,
    /// The policy that decided.
    pub policy: String,
    /// The classifier that was asked.
    #[serde(default)]
    pub classifier: Option<String>,
    /// The bundle that it ran.
    #[serde(default)]
    pub bundle: Option<LoggedBundle>,
    /// The strategy that chose, unless a rule did.
    #[serde(default)]
    pub strategy: Option<String>,
    /// Why this model.
    #[serde(default)]
    pub reason: String,
    /// What affinity did, where the policy has it.
    #[serde(default)]
    pub pin: Option<LoggedPin>,
    /// The parameters that rules set.
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
    /// Why the classifier gave no scores.
    #[serde(default)]
    pub degraded: Option<String>,
    /// The best label.
    #[serde(default)]
    pub label: Option<String>,
    /// Head to label to probability.
    #[serde(default)]
    pub scores: Option<BTreeMap<String, BTreeMap<String, f32>>>,
    /// Tokens of the newest turn that the encoder did not read.
    #[serde(default)]
    pub truncated_tokens: Option<u32>,
    /// Every feature by its name.
    #[serde(default)]
    pub features: Map<String, Value>,
    /// The model that was chosen.
    pub model: String,
    /// The model that answered, after fallbacks; `None` when the policy only watched.
    #[serde(default)]
    pub answered_by: Option<String>,
    /// What the client got.
    #[serde(default)]
    pub status: Option<u16>,
    /// Tokens of the prompt.
    #[serde(default)]
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    #[serde(default)]
    pub output_tokens: Option<u64>,
    /// What the answer cost.
    #[serde(default)]
    pub cost_usd: Option<f64>,
    /// Milliseconds until the answer began.
    #[serde(default)]
    pub first_byte_ms: Option<f64>,
    /// What the requests of one conversation have in common, in hexadecimal digits.
    #[serde(default)]
    pub conversation: Option<String>,
    /// The newest user turn's keyed hash.
    #[serde(default)]
    pub text_hash: Option<String>,
    /// Bytes of the whole newest user turn.
    #[serde(default)]
    pub text_bytes: usize,
    /// The newest user turn, where the operator asked for it; its end may be cut.
    #[serde(default)]
    pub text: Option<String>,
}

/// The bundle behind a decision.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LoggedBundle {
    /// The manifest's sha256.
    pub sha256: String,
}

/// What affinity did with a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LoggedPin {
    /// What became of the pin.
    pub outcome: String,
    /// The model that the strategy had chosen, where the pin was stronger.
    #[serde(default)]
    pub instead_of: Option<String>,
}

/// What a client said of an answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct LoggedFeedback {
    /// The answer's `x-request-id`.
    pub request_id: String,
    /// When, as RFC 3339.
    #[serde(default)]
    pub time: String,
    /// How good it was, 0 to 1.
    #[serde(default)]
    pub rating: Option<f64>,
    /// How right it was, 0 to 1.
    #[serde(default)]
    pub correct: Option<f64>,
}

/// What clients said of answers: the last word on each request.
#[derive(Debug, Default)]
pub struct Outcomes {
    by_request: HashMap<u128, (u64, f32)>,
}

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

    /// Reads what clients said.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn outcomes(&self) -> Result<Outcomes, DatasetError> {
        let mut outcomes = Outcomes::default();
        self.each(|line| {
            if let LogLine::Feedback(feedback) = line {
                outcomes.add(&feedback);
            }
            Ok::<_, DatasetError>(())
        })?;
        Ok(outcomes)
    }
}

impl LogLines<'_> {
    /// Returns how many lines so far are no JSON of a known kind.
    #[must_use]
    pub const fn passed_over(&self) -> u64 {
        self.passed_over
    }

    fn read(&mut self) -> Result<Option<LogLine>, DatasetError> {
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
            match LogLine::parse(&self.line) {
                Some(parsed) => return Ok(Some(parsed)),
                None => self.passed_over += u64::from(!self.line.trim_ascii().is_empty()),
            }
        }
    }
}

impl Iterator for LogLines<'_> {
    type Item = Result<LogLine, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.read().transpose();
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
        struct Kind<'l> {
            #[serde(borrow)]
            kind: std::borrow::Cow<'l, str>,
        }
        match &*serde_json::from_slice::<Kind<'_>>(line).ok()?.kind {
            "decision" => serde_json::from_slice(line).ok().map(|decision| Self::Decision(Box::new(decision))),
            "feedback" => serde_json::from_slice(line).ok().map(Self::Feedback),
            _ => None,
        }
    }
}

impl LoggedDecision {
    /// Returns the features.
    #[must_use]
    pub fn features(&self) -> Features {
        Features::from_logged(&self.features)
    }

    /// Returns why the classifier gave no scores, if it was asked.
    #[must_use]
    pub fn degraded(&self) -> Option<Degraded> {
        Degraded::ALL.into_iter().find(|degraded| Some(degraded.as_str()) == self.degraded.as_deref())
    }

    /// Returns when the request was over, in seconds since 1970; 0 where the line does not say.
    #[must_use]
    pub fn at(&self) -> u64 {
        let at = humantime::parse_rfc3339(&self.time).ok();
        at.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default().as_secs()
    }

    /// Returns what the requests of its conversation have in common, where the line says so.
    #[must_use]
    pub fn conversation(&self) -> Option<u64> {
        u64::from_str_radix(self.conversation.as_deref()?, 16).ok()
    }

    /// Returns the text, if all of it was written.
    #[must_use]
    pub fn whole_text(&self) -> Option<&str> {
        self.text.as_deref().filter(|text| text.len() == self.text_bytes)
    }

    /// Returns the scores with labels in the bundle's order, which `labels` knows by head; `None` when there are none, or a
    /// head lacks one of its labels.
    #[must_use]
    pub fn scores(&self, labels: impl Fn(&str) -> Option<Vec<Arc<str>>>) -> Option<Scores> {
        let head = |(head, probabilities): (&String, &BTreeMap<String, f32>)| {
            let labels = labels(head)?;
            let in_order = labels.iter().map(|label| probabilities.get(&**label).copied());
            let probabilities = in_order.collect::<Option<Vec<f32>>>()?;
            Some(HeadScores { head: head.as_str().into(), labels: labels.into(), probabilities })
        };
        let heads = self.scores.as_ref()?.iter().filter_map(head).collect();
        let truncated_tokens = self.truncated_tokens.unwrap_or_default();
        Some(Scores { source: Source::Encoder, heads, tokens: 0, truncated_tokens, embedding: None })
    }

    /// Returns what equal prompts have in common: the hash, else the text, else the request itself.
    #[must_use]
    pub fn group(&self) -> u128 {
        key(self.text_hash.as_deref().or(self.text.as_deref()).unwrap_or(&self.request_id))
    }
}

impl Outcomes {
    /// Notes a word; the last one counts, and correctness before ratings.
    pub fn add(&mut self, feedback: &LoggedFeedback) {
        let Some(quality) = feedback.correct.or(feedback.rating).filter(|quality| (0.0..=1.0).contains(quality)) else {
            return;
        };
        let at = humantime::parse_rfc3339(&feedback.time).ok();
        let at = at.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
        let at = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let known = self.by_request.entry(key(&feedback.request_id)).or_insert((0, 0.0));
        if at >= known.0 {
            #[expect(clippy::cast_possible_truncation, reason = "a rating has few digits")]
            let word = (at, quality as f32);
            *known = word;
        }
    }

    /// Returns how good the answer to a request was, 0 to 1, if a client said so.
    #[must_use]
    pub fn of(&self, request_id: &str) -> Option<f64> {
        self.by_request.get(&key(request_id)).map(|(_, quality)| f64::from(*quality))
    }

    /// Returns how many requests somebody spoke of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_request.len()
    }

    /// Returns whether nobody said anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_request.is_empty()
    }
}

/// Two hashes of a text: one would meet itself among millions.
fn key(text: &str) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, text).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feedback(time: &str, rest: &str) -> LoggedFeedback {
        let line = format!("{{\"kind\":\"feedback\",\"request_id\":\"a\",\"time\":\"{time}\",{rest}}}");
        match LogLine::parse(line.as_bytes()) {
            Some(LogLine::Feedback(feedback)) => feedback,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_last_word_counts_in_whatever_order_files_are_read() {
        let (early, late) = ("2026-11-21T10:00:00.000Z", "2026-11-21T11:00:00.000Z");
        for order in [[early, late], [late, early]] {
            let mut outcomes = Outcomes::default();
            for time in order {
                outcomes.add(&feedback(time, if time == late { "\"rating\":0.25" } else { "\"correct\":1.0" }));
            }

            assert_eq!(outcomes.of("a"), Some(0.25), "{order:?}");
            assert_eq!(outcomes.of("b"), None);
        }
    }

    #[test]
    fn correctness_says_more_than_a_rating_and_a_comment_nothing() {
        let mut outcomes = Outcomes::default();

        outcomes.add(&feedback("", "\"rating\":1.0,\"correct\":0.0"));
        outcomes.add(&feedback("", "\"comment\":\"fine\""));

        assert_eq!((outcomes.of("a"), outcomes.len()), (Some(0.0), 1));
    }

    #[test]
    fn what_affinity_did_and_rules_set_is_read_back_and_old_lines_lack_it() {
        let old = r#"{"kind":"decision","request_id":"a","policy":"p","model":"m","answered_by":"m"}"#;
        let new = r#"{"kind":"decision","request_id":"a","policy":"p","model":"m","time":"1970-01-02T00:00:00.000Z",
            "conversation":"00000000000000ff","pin":{"model":"m","last":"m","age_seconds":1,"idle_seconds":1,
            "in_tool_loop":false,"outcome":"kept","instead_of":"n"},"set":{"seed":7}}"#;
        let read = |line: &str| match LogLine::parse(line.as_bytes()) {
            Some(LogLine::Decision(decision)) => *decision,
            other => panic!("{other:?}"),
        };

        let (old, new) = (read(old), read(new));

        assert_eq!((old.pin, old.set.len(), old.conversation, old.answered_by.as_deref()), (None, 0, None, Some("m")));
        assert_eq!(new.pin, Some(LoggedPin { outcome: "kept".to_owned(), instead_of: Some("n".to_owned()) }));
        assert_eq!((&new.set["seed"], new.at(), new.conversation()), (&Value::from(7), 86_400, Some(255)));
        assert_eq!(new.answered_by, None);
    }

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
}
