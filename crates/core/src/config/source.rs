//! The text that a configuration was read from, with the place of each key: what problems point into.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use memchr::{memchr2, memrchr2};

use super::concealment::{concealed, path_without_secrets, without_secrets, without_value};
use super::problem::{ConfigProblem, KeyPath, KeyStep, SourceLocation};
use super::tree::{NodeContent, SourceFlaw, SourceMark, YamlNode};

/// Keys below which a secret could stand that somebody wrote into the file.
const SECRETS: [&str; 4] = ["credential", "hash_key", "otlp", "redis"];
/// The characters of a line that are shown before and behind what is wrong.
const SHOWN_AROUND: usize = 200;

/// The file that a [`Config`](super::Config) was read from: its name, text and the places of its keys.
#[derive(Clone, Default)]
pub(super) struct ConfigSource(Option<Arc<SourceFile>>);

struct SourceFile {
    name: Arc<str>,
    text: Box<str>,
    root: YamlNode,
    /// The bytes of the text that must not be shown; found when the first problem is.
    secrets: OnceLock<Vec<Range<usize>>>,
}

/// The text that a flaw is shown in.
#[derive(Clone, Copy)]
pub(super) struct ShownText<'t> {
    pub(super) file: &'t Arc<str>,
    pub(super) text: &'t str,
    /// The bytes that must not be shown.
    pub(super) secrets: &'t [Range<usize>],
}

impl ConfigSource {
    /// Wraps the text of the file called `name`, and the places in it; `secrets` are the bytes that must not be shown,
    /// where somebody has looked for them.
    pub(super) fn new(name: Arc<str>, text: &str, root: YamlNode, secrets: Option<Vec<Range<usize>>>) -> Self {
        let secrets = secrets.map_or_else(OnceLock::new, OnceLock::from);
        Self(Some(Arc::new(SourceFile { name, text: text.into(), root, secrets })))
    }

    /// Returns the text; `None` for a configuration that was read from none.
    pub(super) fn text(&self) -> Option<&str> {
        self.0.as_ref().map(|file| &*file.text)
    }

    /// Returns the names declared in `section`, also those whose values are wrong.
    pub(super) fn keys_of(&self, section: &str) -> Vec<&str> {
        self.0.as_ref().map_or_else(Vec::new, |file| file.root.keys_of(section))
    }

    /// Returns whether the file says a value at `path`.
    pub(super) fn has_key(&self, path: &KeyPath) -> bool {
        self.0.as_ref().is_some_and(|file| file.root.has(path))
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
        let secrets = file.secrets.get_or_init(|| concealed(Some(&file.root), &file.text));
        let flaw = flaw.without_value_of(found.node, secrets);
        Some(flaw.into_problem(ShownText { file: &file.name, text: &file.text, secrets }))
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
    /// Takes the value of `node` out of the message, where it must not be shown.
    pub(super) fn without_value_of(mut self, node: &YamlNode, secrets: &[Range<usize>]) -> Self {
        if let NodeContent::Scalar { text, .. } = &node.kind
            && secrets.iter().any(|secret| secret.start < node.at.end && secret.end > node.at.start)
        {
            self.message = without_value(&self.message, text);
        }
        self
    }

    /// Shows the flaw in its place.
    pub(super) fn into_problem(self, shown: ShownText<'_>) -> ConfigProblem {
        let ShownText { file, text, .. } = shown;
        let start = text.floor_char_boundary(self.at.start);
        let marked = text.get(start..self.at.end).unwrap_or_default();
        let width = marked.lines().next().unwrap_or_default().trim_end().chars().count().clamp(1, SHOWN_AROUND);
        let (indent, snippet) = self.presentable(shown, line_around(text, start), width);
        let place = SourceLocation {
            file: Arc::clone(file),
            line: self.at.line,
            column: self.at.column,
            snippet,
            indent,
            width,
        };
        let path = path_without_secrets(&self.path);
        ConfigProblem { path, message: without_secrets(&self.message).into_owned(), place: Some(place) }
    }

    /// Returns what may be shown of the line that has these bytes, and the number of characters in it before the flaw.
    ///
    /// Cut where a secret could stand that somebody wrote into the file, since problems are logged; a long line is cut
    /// around the flaw.
    fn presentable(&self, shown: ShownText<'_>, line: Range<usize>, width: usize) -> (usize, String) {
        let whole = &shown.text[line.clone()];
        let own = shown.text.floor_char_boundary(self.at.start).clamp(line.start, line.end) - line.start;
        let is_credential = |step: &KeyStep| matches!(step, KeyStep::Key(key) if SECRETS.contains(&key.as_str()));
        let limit = if self.path.steps().iter().any(is_credential) {
            own
        } else if self.message.starts_with("unknown key") {
            whole[own..].char_indices().nth(width).map_or(whole.len(), |(length, _)| own + length)
        } else {
            whole.len()
        };
        let hidden = shown.secrets.iter().filter(|secret| secret.start < line.end && secret.end > line.start);
        let hidden = hidden.map(|secret| secret.start.max(line.start) - line.start).min().unwrap_or(whole.len());
        let limit = limit.min(hidden);
        let (from, to) = if whole.len() <= 4 * SHOWN_AROUND {
            (0, whole.len())
        } else {
            let from = whole.floor_char_boundary(own.saturating_sub(SHOWN_AROUND));
            (from, whole.floor_char_boundary(own + 2 * SHOWN_AROUND))
        };
        let to = to.min(limit).max(from);
        let cut = if to < whole.len() { "..." } else { "" };
        (whole[from..own].chars().count(), format!("{}{cut}", &whole[from..to]))
    }
}

/// Returns the bytes of the line in which `at` stands.
fn line_around(text: &str, at: usize) -> Range<usize> {
    let at = text.floor_char_boundary(at);
    let start = memrchr2(b'\n', b'\r', &text.as_bytes()[..at]).map_or(0, |before| before + 1);
    start..memchr2(b'\n', b'\r', &text.as_bytes()[at..]).map_or(text.len(), |length| at + length)
}

impl fmt::Debug for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_ref().map_or("unknown", |file| &file.name))
    }
}
