//! The text that a configuration was read from, with the place of each key: what problems point into.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::problem::{ConfigProblem, KeyPath, KeyStep, SourceLocation};
use super::tree::{NodeContent, SourceFlaw, SourceMark, YamlNode};

/// Keys below which a secret could stand that somebody wrote into the file.
const SECRETS: [&str; 4] = ["credential", "hash_key", "otlp", "redis"];

/// The file that a [`Config`](super::Config) was read from: its name, text and the places of its keys.
#[derive(Clone, Default)]
pub(super) struct ConfigSource(Option<Arc<SourceFile>>);

struct SourceFile {
    name: Arc<str>,
    text: Box<str>,
    root: YamlNode,
}

impl ConfigSource {
    /// Wraps the text of the file called `name`, and the places in it.
    pub(super) fn new(name: Arc<str>, text: &str, root: YamlNode) -> Self {
        Self(Some(Arc::new(SourceFile { name, text: text.into(), root })))
    }

    /// Returns the text; `None` for a configuration that was read from none.
    pub(super) fn text(&self) -> Option<&str> {
        self.0.as_ref().map(|file| &*file.text)
    }

    /// Returns the names declared in `section`, also those whose values are wrong.
    pub(super) fn keys_of(&self, section: &str) -> Vec<&str> {
        self.0.as_ref().map_or_else(Vec::new, |file| file.root.keys_of(section))
    }

    /// Returns the bytes that spell the scalar value of `path`; `None` when the key is not in the file.
    pub(super) fn span_of(&self, path: &KeyPath) -> Option<Range<usize>> {
        let found = self.0.as_ref()?.root.locate(path);
        let is_scalar = matches!(found.node.kind, NodeContent::Scalar { .. });
        (is_scalar && found.path == *path).then_some(found.node.at.start..found.node.at.end)
    }

    /// Makes a problem that points at the value of `path`, or at some `characters` of its text.
    pub(super) fn problem(
        &self,
        path: &KeyPath,
        message: String,
        characters: Option<Range<usize>>,
    ) -> Option<ConfigProblem> {
        let Some(file) = &self.0 else { return Some(ConfigProblem::new(path, message)) };
        let found = file.root.locate(path);
        if found.node.is_stand_in() {
            return None;
        }
        // A mapping is best shown by its key.
        let whole =
            matches!(found.node.kind, NodeContent::Map(_) | NodeContent::List(_)).then_some(found.key).flatten();
        let mark = whole.unwrap_or(found.node.at);
        let mut flaw = SourceFlaw { path: found.path, at: mark, message };
        if let (Some(characters), NodeContent::Scalar { text, .. }) = (characters, &found.node.kind) {
            match inner_mark(&file.text, mark, text, &characters) {
                Some(inner) => flaw.at = inner,
                None => flaw.message = format!("{} (at character {})", flaw.message, characters.start + 1),
            }
        }
        Some(flaw.into_problem(&file.text, &file.name))
    }
}

/// Finds the mark of some `characters` of a value that the file may spell in quotes.
fn inner_mark(source: &str, mark: SourceMark, value: &str, characters: &Range<usize>) -> Option<SourceMark> {
    let written = source.get(mark.start..mark.end)?;
    let quote = usize::from(written.starts_with(['\'', '"']));
    let spelled = |chars: usize| {
        let text: String = value.chars().take(chars).collect();
        if written.starts_with('\'') { text.replace('\'', "''") } else { text }
    };
    let (before, whole) = (spelled(characters.start), spelled(characters.end));
    if whole.contains('\n') || !written.get(quote..)?.starts_with(&whole) {
        return None;
    }
    let start = mark.start + quote;
    let column = mark.column + quote + before.chars().count();
    Some(SourceMark { line: mark.line, column, start: start + before.len(), end: start + whole.len() })
}

impl SourceFlaw {
    /// Shows the flaw in its place in `text`, which `file` names.
    pub(super) fn into_problem(self, text: &str, file: &Arc<str>) -> ConfigProblem {
        let line = text.lines().nth(self.at.line.saturating_sub(1)).unwrap_or_default();
        let marked = text.get(self.at.start..self.at.end).unwrap_or_default();
        let width = marked.lines().next().unwrap_or_default().trim_end().chars().count().max(1);
        let place = SourceLocation {
            file: Arc::clone(file),
            line: self.at.line,
            column: self.at.column,
            snippet: self.presentable(line, width),
            width,
        };
        ConfigProblem { path: self.path.to_string(), message: self.message, place: Some(place) }
    }

    /// Cuts `line` where a secret could stand that somebody wrote into the file: problems are logged.
    fn presentable(&self, line: &str, width: usize) -> String {
        let is_credential = |step: &KeyStep| matches!(step, KeyStep::Key(key) if SECRETS.contains(&key.as_str()));
        let shown = if self.path.steps().iter().any(is_credential) {
            self.at.column - 1
        } else if self.message.starts_with("unknown key") {
            self.at.column - 1 + width
        } else {
            // In a mapping on one line a credential may follow what is wrong.
            let places = SECRETS.iter().filter_map(|key| Some(line.find(key)? + key.len()));
            places.min().map_or(usize::MAX, |end| line[..end].chars().count())
        };
        let cut = line.chars().count() > shown;
        line.chars().take(shown).chain(if cut { "..." } else { "" }.chars()).collect()
    }
}

impl fmt::Debug for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_ref().map_or("unknown", |file| &file.name))
    }
}
