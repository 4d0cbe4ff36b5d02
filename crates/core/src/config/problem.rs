//! Problems of a configuration file, said so that an operator can fix them without looking anything up.

use std::fmt;
use std::sync::Arc;

use super::concealment::{path_without_secrets, without_secrets};

/// The most problems of one file that are looked for and shown: a file with more is not a configuration.
pub(crate) const MAX_PROBLEMS: usize = 200;
/// The most names that a problem lists.
const MAX_LISTED: usize = 50;

/// One thing that is wrong: where in the configuration, what, and what is allowed instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The key's path, such as `policies[0].rules[1].use`; empty for the file as a whole.
    pub path: String,
    /// The fault, and what is allowed instead.
    pub message: String,
    /// The place in the file; `None` when the problem is about something that is not there or about no file.
    pub place: Option<SourceLocation>,
}

/// A place in a file, with the line that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLocation {
    /// The file's name as the operator gave it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line's text; what may be a secret is cut off, and of a long line what is far away.
    pub snippet: String,
    /// The number of the snippet's characters before what is wrong.
    pub indent: usize,
    /// The number of characters to underline, at least 1.
    pub width: usize,
}

/// Everything that is wrong with one file, in the order of its lines. Never empty as an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigProblems {
    file: Arc<str>,
    list: Vec<ConfigProblem>,
    /// The number of problems that were found and are not listed.
    left_out: usize,
}

/// A path of keys and list positions from the file's root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyPath(Vec<KeyStep>);

/// One step of a [`KeyPath`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStep {
    /// Into a mapping's value.
    Key(String),
    /// Into a list's element, from 0.
    Index(usize),
}

impl ConfigProblem {
    /// Makes a problem that has no place in a file.
    #[must_use]
    pub fn new(path: &KeyPath, message: impl Into<String>) -> Self {
        let path = path_without_secrets(path);
        Self { path, message: without_secrets(&message.into()).into_owned(), place: None }
    }
}

impl ConfigProblems {
    /// The most problems of one file that are shown; whoever found more need not look on.
    pub const MAX_SHOWN: usize = MAX_PROBLEMS;

    /// Sorts `list` by place and wraps it as the problems of `file`.
    #[must_use]
    pub fn new(file: &str, mut list: Vec<ConfigProblem>) -> Self {
        list.sort_by_key(|problem| problem.place.as_ref().map_or((0, 0), |place| (place.line, place.column)));
        let left_out = list.len().saturating_sub(MAX_PROBLEMS);
        list.truncate(MAX_PROBLEMS);
        Self { file: file.into(), list, left_out }
    }

    /// Tells whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Counts the problems.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Iterates in the order of the file's lines.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigProblem> {
        self.list.iter()
    }

    /// Adds problems that a later stage found in the same file, such as the policies' rules.
    #[must_use]
    pub fn and(mut self, more: Vec<ConfigProblem>) -> Self {
        self.list.extend(more);
        let all = Self::new(&self.file, self.list);
        Self { left_out: self.left_out + all.left_out, ..all }
    }
}

impl KeyPath {
    /// The path of the file's root.
    #[must_use]
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// Returns the path of the value of `key` under this one.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.join(KeyStep::Key(key.to_owned()))
    }

    /// Returns the path of the element `index` under this one.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.join(KeyStep::Index(index))
    }

    /// Returns the steps from the root.
    #[must_use]
    pub fn steps(&self) -> &[KeyStep] {
        &self.0
    }

    fn join(&self, step: KeyStep) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

/// Lists names for a problem, the first of them where there are very many.
pub(crate) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let mut names = names.into_iter();
    let first = names.by_ref().take(MAX_LISTED).collect::<Vec<_>>().join(", ");
    match names.count() {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

impl FromIterator<KeyStep> for KeyPath {
    fn from_iter<I: IntoIterator<Item = KeyStep>>(steps: I) -> Self {
        Self(steps.into_iter().collect())
    }
}

impl<'p> IntoIterator for &'p ConfigProblems {
    type Item = &'p ConfigProblem;
    type IntoIter = std::slice::Iter<'p, ConfigProblem>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for ConfigProblem {}

impl std::error::Error for ConfigProblems {}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                KeyStep::Key(key) if position == 0 => f.write_str(key)?,
                KeyStep::Key(key) => write!(f, ".{key}")?,
                KeyStep::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// ```text
/// models.small.price.input: must be 0 or more, got -1
///   --> pointsman.yaml:12:30
///    |
/// 12 |     price: {input: -1, output: 0}
///    |                    ^^
/// ```
impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        self.place.as_ref().map_or(Ok(()), |place| write!(f, "\n{place}"))
    }
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gutter = self.line.to_string().len();
        // Tabs stay tabs, so that the caret lands under what it points at.
        let indent: String =
            self.snippet.chars().take(self.indent).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        writeln!(f, "{:gutter$}--> {}:{}:{}", "", self.file, self.line, self.column)?;
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{} | {}", self.line, self.snippet)?;
        write!(f, "{:gutter$} | {indent}{}", "", "^".repeat(self.width))
    }
}

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            writeln!(f, "{problem}\n")?;
        }
        let plural = if self.list.len() == 1 { "" } else { "s" };
        let more = if self.left_out > 0 { ", and more that are not shown," } else { "" };
        write!(f, "{} problem{plural}{more} in {}", self.list.len(), self.file)
    }
}
