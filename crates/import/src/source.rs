//! A foreign file as a tree that knows where each value stands, and which values were taken over.
//!
//! YAML, JSON with comments and TOML become one kind of tree. Whoever reads a value takes it; [`SourceNode::leftovers`]
//! finds what nobody took, so that no line of a file is passed over in silence.

mod json;
mod toml;
mod yaml;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use crate::finding::{Finding, FindingKind, FindingLog};

/// The format of a foreign file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileFormat {
    Yaml,
    Json,
    Toml,
}

/// A value and where it stands.
#[derive(Debug)]
pub(crate) struct SourceNode {
    /// The first byte in the file: a value that an alias repeats has the same as the anchor.
    pub(crate) start: usize,
    pub(crate) line: usize,
    pub(crate) last_line: usize,
    pub(crate) content: SourceContent,
    taken: Cell<bool>,
}

/// The content of a [`SourceNode`].
#[derive(Debug)]
pub(crate) enum SourceContent {
    /// A text, a number, a truth value; the empty text that nobody quoted is nothing.
    Scalar {
        text: String,
        is_plain: bool,
    },
    Map(Vec<SourceEntry>),
    List(Vec<SourceNode>),
}

/// One key of a mapping.
#[derive(Debug)]
pub(crate) struct SourceEntry {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) value: SourceNode,
}

/// A foreign file that cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceFault {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) message: String,
}

/// Reads `text`, whose format follows from the `file` name and from how it begins. Duplicate keys are noted.
pub(crate) fn read(file: &str, text: &str, findings: &FindingLog) -> Result<SourceNode, SourceFault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match FileFormat::of(file, text) {
        FileFormat::Yaml => yaml::read(text, findings),
        FileFormat::Json => yaml::read(&json::as_yaml(text), findings),
        FileFormat::Toml => toml::read(text),
    }
}

impl FileFormat {
    fn of(file: &str, text: &str) -> Self {
        let extension = file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
        match extension.as_deref() {
            Some("yaml" | "yml") => Self::Yaml,
            Some("json" | "jsonc" | "json5") => Self::Json,
            Some("toml") => Self::Toml,
            _ => Self::guessed(text),
        }
    }

    fn guessed(text: &str) -> Self {
        let said = |line: &&str| !line.is_empty() && !line.starts_with(['#', '/']);
        let Some(first) = text.lines().map(str::trim).find(said) else { return Self::Yaml };
        let is_assignment = first.split_once('=').is_some_and(|(key, _)| !key.contains([':', '"', '{']));
        match first.chars().next() {
            Some('{') => Self::Json,
            Some('[') if first.ends_with(']') => Self::Toml,
            _ if is_assignment => Self::Toml,
            _ => Self::Yaml,
        }
    }
}

impl SourceNode {
    pub(crate) const fn new(start: usize, line: usize, content: SourceContent) -> Self {
        Self { start, line, last_line: line, content, taken: Cell::new(false) }
    }

    /// Notes that the value is in the configuration now, or has a finding of its own.
    pub(crate) fn take(&self) {
        self.taken.set(true);
        match &self.content {
            SourceContent::Scalar { .. } => {}
            SourceContent::Map(entries) => entries.iter().for_each(|entry| entry.value.take()),
            SourceContent::List(nodes) => nodes.iter().for_each(Self::take),
        }
    }

    /// Returns whether nothing is said: `null`, `~`, no value, an empty mapping or list.
    pub(crate) fn is_nothing(&self) -> bool {
        match &self.content {
            SourceContent::Scalar { text, is_plain } => {
                *is_plain && matches!(text.as_str(), "" | "~" | "null" | "Null")
            }
            SourceContent::Map(entries) => entries.is_empty(),
            SourceContent::List(nodes) => nodes.is_empty(),
        }
    }

    /// Notes a finding for every key that nobody took.
    pub(crate) fn leftovers(&self, findings: &FindingLog) {
        let mut taken = HashSet::new();
        self.collect_taken(&mut taken);
        let search = LeftoverSearch { taken, reported: RefCell::default(), findings };
        self.report(&LeftoverPlace { path: String::new(), line: self.line }, &search);
    }

    /// Collects where taken values stand: of a value that aliases repeat it is enough that one was taken.
    fn collect_taken(&self, taken: &mut HashSet<usize>) {
        match &self.content {
            SourceContent::Scalar { .. } if self.taken.get() => {
                taken.insert(self.start);
            }
            SourceContent::Scalar { .. } => {}
            SourceContent::Map(entries) => entries.iter().for_each(|entry| entry.value.collect_taken(taken)),
            SourceContent::List(nodes) => nodes.iter().for_each(|node| node.collect_taken(taken)),
        }
    }

    fn has_taken(&self, taken: &HashSet<usize>) -> bool {
        match &self.content {
            SourceContent::Scalar { .. } => taken.contains(&self.start),
            SourceContent::Map(entries) => entries.iter().any(|entry| entry.value.has_taken(taken)),
            SourceContent::List(nodes) => nodes.iter().any(|node| node.has_taken(taken)),
        }
    }

    fn report(&self, place: &LeftoverPlace, search: &LeftoverSearch<'_>) {
        if self.is_nothing() || self.taken.get() {
            return;
        }
        if !self.has_taken(&search.taken) {
            return search.note(self, place);
        }
        match &self.content {
            SourceContent::Scalar { .. } => {}
            SourceContent::Map(entries) => {
                for entry in entries {
                    let path = key_path(&place.path, &entry.key);
                    entry.value.report(&LeftoverPlace { path, line: entry.line }, search);
                }
            }
            SourceContent::List(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    let path = format!("{}[{index}]", place.path);
                    node.report(&LeftoverPlace { path, line: node.line }, search);
                }
            }
        }
    }

    /// Works out the last line of every mapping and list from those below it.
    fn close(mut self) -> Self {
        let last = match &self.content {
            SourceContent::Scalar { .. } => self.last_line,
            SourceContent::Map(entries) => entries.iter().map(|entry| entry.value.last_line).max().unwrap_or(self.line),
            SourceContent::List(nodes) => nodes.iter().map(|node| node.last_line).max().unwrap_or(self.line),
        };
        self.last_line = last.max(self.line);
        self
    }
}

/// The key under which a value that nobody took is reported.
struct LeftoverPlace {
    path: String,
    line: usize,
}

/// A search for values that nobody took.
struct LeftoverSearch<'f> {
    /// Where values stand that somebody took.
    taken: HashSet<usize>,
    /// Where values stand that have been reported: aliases repeat them.
    reported: RefCell<HashSet<usize>>,
    findings: &'f FindingLog,
}

impl LeftoverSearch<'_> {
    fn note(&self, node: &SourceNode, place: &LeftoverPlace) {
        if self.reported.borrow_mut().insert(node.start) {
            let LeftoverPlace { path, line } = place;
            self.findings.note(Finding {
                line: *line,
                last_line: node.last_line.max(*line),
                path: path.clone(),
                kind: FindingKind::LeftOut,
                message: "nothing here stands for it".to_owned(),
            });
        }
    }
}

/// Returns the path of `key` below `path`.
pub(crate) fn key_path(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The number of the line in which the byte `at` of `text` stands, from 1.
fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests;
