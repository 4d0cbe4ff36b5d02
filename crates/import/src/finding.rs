//! Findings: lines of a foreign file that did not carry over as they stand there.

use std::cell::RefCell;
use std::fmt;

use pointsman_core::config::without_secrets;
use serde::Serialize;

/// One line, or block of lines, that did not carry over as it stands there, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The line of the key, from 1.
    pub line: usize,
    /// The last line of its value.
    pub last_line: usize,
    /// The key's path, such as `model_list[0].litellm_params.rpm`.
    pub path: String,
    /// The kind of difference.
    pub kind: FindingKind,
    /// The reason, and what to do instead.
    pub message: String,
}

/// A difference between a line and what it became.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Nothing in the configuration stands for it.
    LeftOut,
    /// Something that does not mean quite the same stands for it.
    Changed,
    /// A secret stood there, which the configuration names and does not hold.
    Secret,
}

/// The findings of one import, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct FindingLog(RefCell<Vec<Finding>>);

impl FindingLog {
    /// Notes a finding; what looks like a secret in its path or message is hidden.
    pub(crate) fn note(&self, finding: Finding) {
        let hidden = |text: &str| without_secrets(text).into_owned();
        let Finding { line, last_line, path, kind, message } = finding;
        let finding = Finding { line, last_line, path: hidden(&path), kind, message: hidden(&message) };
        let mut list = self.0.borrow_mut();
        if !list.contains(&finding) {
            list.push(finding);
        }
    }

    /// Tells whether there is a finding about the value at `path`, or about something in it.
    pub(crate) fn is_about(&self, path: &str) -> bool {
        let within =
            |own: &str| own.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        self.0.borrow().iter().any(|finding| within(&finding.path))
    }

    /// Returns the findings in the order of the file.
    pub(crate) fn into_sorted(self) -> Vec<Finding> {
        let mut list = self.0.into_inner();
        list.sort_by(|a, b| (a.line, &a.path, a.kind).cmp(&(b.line, &b.path, b.kind)));
        list
    }
}

impl FindingKind {
    /// Returns the word by which lists of findings name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeftOut => "left out",
            Self::Changed => "changed",
            Self::Secret => "secret",
        }
    }
}

/// `12: model_list[0].rpm: left out: why`; whoever shows it knows the file's name.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.line)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}: {}", self.kind.as_str(), self.message)?;
        if self.last_line > self.line {
            write!(f, " (to line {})", self.last_line)?;
        }
        Ok(())
    }
}
