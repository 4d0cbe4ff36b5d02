//! From a file's text to a [`Config`], with every problem in it.
//!
//! serde stops at the first error, so the file is read again and again: each error is noted and repaired in the tree, until
//! the rest reads. A wrong value is cut out, a mistyped key gets the name that was meant, a required value that is missing
//! or cut is replaced by a stand-in. The repaired configuration serves only to find more problems: a file with any problem
//! is refused.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::problem::{KeyPath, Place, Problem, Problems, Step};
use super::read::{Aim, Fault, Reader};
use super::tree::{self, Entry, Flaw, Kind, Mark, Node};
use super::{Config, validate};

/// The largest file that is read.
const MAX_FILE_BYTES: usize = 1 << 20;
/// Problems of shape after which reading stops: a file with more is not a configuration.
const MAX_REPAIRS: usize = 100;

/// Keys below which a secret could stand that somebody wrote into the file.
const SECRETS: [&str; 4] = ["credential", "hash_key", "otlp", "redis"];

/// A valid value for each key that is required somewhere, so that one missing value does not hide other problems.
static STAND_INS: LazyLock<Node> = LazyLock::new(|| {
    let text =
        "{version: 1, listen: {address: '127.0.0.1:0'}, providers: {}, address: '127.0.0.1:0', base_url: 'http://x', url: 'redis://x',
        provider: x, input: 0, output: 0, bundle: x, name: x, when: 'true', use: x, kind: tiers, classifier: x,
        tiers: {x: x}, otherwise: x, path: x, strong: x, weak: x, threshold: 0, at_least: 0, model: x, message: x, expect: {model: x}, cert: x, key: x, socket: x, endpoint: 'http://x', otlp: {endpoint: 'http://x'}, keys: [], sha256: 
        '0000000000000000000000000000000000000000000000000000000000000000', strategy: {kind: tiers, classifier: x, tiers: {x: x}, otherwise: x}}";
    let (root, _) = tree::parse(text);
    root.expect("a literal that a test reads").stand_in()
});

/// The file that a [`Config`] was read from: its name, text and the places of its keys.
#[derive(Clone, Default)]
pub(super) struct Source(Option<Arc<File>>);

struct File {
    name: Arc<str>,
    text: Box<str>,
    root: Node,
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with the file, at once.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let name = path.display().to_string();
        let refuse = |message: String| Problems::new(&name, vec![Problem::new(&KeyPath::root(), message)]);
        let text = std::fs::read_to_string(path).map_err(|error| refuse(format!("cannot read {name}: {error}")))?;
        Self::parse(&text, &name)
    }

    /// Reads and checks `text`, which problems call `file_name`.
    ///
    /// # Errors
    /// Everything that is wrong with the text, at once.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, Problems> {
        match Self::inspect(text, file_name) {
            (Some(config), problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(problems),
        }
    }

    /// Like [`Config::parse`], and returns what could be read of a bad file: for stages that look for more problems.
    ///
    /// Such a configuration holds stand-ins for what was wrong; [`Config::problem`] drops problems about them. Never serve it.
    #[must_use]
    pub fn inspect(text: &str, file_name: &str) -> (Option<Self>, Problems) {
        let name: Arc<str> = file_name.into();
        if text.len() > MAX_FILE_BYTES {
            let message = format!("the file has {} bytes (allowed: {MAX_FILE_BYTES})", text.len());
            return (None, Problems::new(file_name, vec![Problem::new(&KeyPath::root(), message)]));
        }
        let (root, flaws) = tree::parse(text);
        let mut found: Vec<Problem> = flaws.into_iter().map(|flaw| flaw.into_problem(text, &name)).collect();
        let Some(mut root) = root else {
            if found.is_empty() {
                found.push(Problem::new(&KeyPath::root(), "the file is empty"));
            }
            return (None, Problems::new(file_name, found));
        };
        let config = repair(&mut root, |flaw| found.push(flaw.into_problem(text, &name)));
        let config = config.map(|config| {
            let file = File { name: Arc::clone(&name), text: text.into(), root };
            Self { source: Source(Some(Arc::new(file))), ..config }.with_embedders()
        });
        if let Some(config) = &config {
            found.extend(validate::check(config));
        }
        (config, Problems::new(file_name, found))
    }

    /// Makes a problem that points at the value of `path`, or at the nearest key above it that exists.
    ///
    /// `None` when the value is a stand-in for one that has been reported already.
    #[must_use]
    pub fn problem(&self, path: &KeyPath, message: impl Into<String>) -> Option<Problem> {
        self.source.problem(path, message.into(), None)
    }

    /// Like [`Config::problem`], and points at `width` characters from character `offset` of the value's text.
    ///
    /// Where the file spells the text differently (escapes, folded lines) it points at the whole value and says the
    /// character's number instead.
    #[must_use]
    pub fn problem_within(
        &self,
        path: &KeyPath,
        message: impl Into<String>,
        offset: usize,
        width: usize,
    ) -> Option<Problem> {
        self.source.problem(path, message.into(), Some((offset, width)))
    }

    /// Returns the bytes of the file that spell the scalar value of `path`; `None` when the key is not in the file.
    #[must_use]
    pub fn span_of(&self, path: &KeyPath) -> Option<Range<usize>> {
        let found = self.source.0.as_ref()?.root.locate(path);
        let is_scalar = matches!(found.node.kind, Kind::Scalar { .. });
        (is_scalar && found.path == *path).then_some(found.node.at.start..found.node.at.end)
    }

    /// Returns the text that it was read from.
    #[must_use]
    pub fn text(&self) -> &str {
        self.source.0.as_ref().map_or("", |file| &file.text)
    }

    /// Returns whether both were read from the same text.
    #[must_use]
    pub fn same_text(&self, other: &Self) -> bool {
        let text = |config: &Self| config.source.0.as_ref().map(|file| file.text.clone());
        text(self).is_some_and(|mine| text(other) == Some(mine))
    }

    /// Returns what tells this configuration from others across a fleet: 16 hexadecimal digits of its text's SHA-256, comments
    /// included. Empty when it was read from no text.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = self.source.0.as_ref().map(|file| Sha256::digest(file.text.as_bytes()));
        digest.iter().flat_map(|digest| &digest[..8]).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns the names declared in `section`, also those whose values are wrong.
    pub(super) fn declared(&self, section: &str) -> Vec<&str> {
        self.source.0.as_ref().map_or_else(Vec::new, |file| file.root.keys_of(section))
    }
}

/// Returns the places of everything in `text`, if it is YAML.
pub(super) fn yaml_tree(text: &str) -> Option<Node> {
    tree::parse(text).0
}

impl Source {
    fn problem(&self, path: &KeyPath, message: String, within: Option<(usize, usize)>) -> Option<Problem> {
        let Some(file) = &self.0 else { return Some(Problem::new(path, message)) };
        let found = file.root.locate(path);
        if found.node.is_stand_in() {
            return None;
        }
        // A mapping is best shown by its key.
        let whole = matches!(found.node.kind, Kind::Map(_) | Kind::List(_)).then_some(found.key).flatten();
        let mark = whole.unwrap_or(found.node.at);
        let mut flaw = Flaw { path: found.path, at: mark, message };
        if let (Some((offset, width)), Kind::Scalar { text, .. }) = (within, &found.node.kind) {
            match inner_mark(&file.text, mark, text, offset, width) {
                Some(inner) => flaw.at = inner,
                None => flaw.message = format!("{} (at character {})", flaw.message, offset + 1),
            }
        }
        Some(flaw.into_problem(&file.text, &file.name))
    }
}

/// Finds the mark of `width` characters at `offset` of a value that the file may spell in quotes.
fn inner_mark(source: &str, mark: Mark, value: &str, offset: usize, width: usize) -> Option<Mark> {
    let written = source.get(mark.start..mark.end)?;
    let quote = usize::from(written.starts_with(['\'', '"']));
    let spelled = |chars: usize| {
        let text: String = value.chars().take(chars).collect();
        if written.starts_with('\'') { text.replace('\'', "''") } else { text }
    };
    let (before, whole) = (spelled(offset), spelled(offset + width));
    if whole.contains('\n') || !written.get(quote..)?.starts_with(&whole) {
        return None;
    }
    let start = mark.start + quote;
    let column = mark.column + quote + before.chars().count();
    Some(Mark { line: mark.line, column, start: start + before.len(), end: start + whole.len() })
}

/// Reads the tree, reporting and repairing one fault after another.
fn repair(root: &mut Node, mut report: impl FnMut(Flaw)) -> Option<Config> {
    for _ in 0..MAX_REPAIRS {
        let fault = match Config::deserialize(Reader::new(root)) {
            Ok(config) => return Some(config),
            Err(fault) => fault,
        };
        let Fault { message, aim, mut steps } = fault;
        steps.reverse();
        let path: KeyPath = steps.iter().cloned().collect();
        let found = root.locate(&path);
        let flaw = match &aim {
            Aim::Value => Flaw { path: found.path, at: found.node.at, message },
            Aim::Key { .. } => Flaw { path: found.path, at: found.key.unwrap_or(found.node.at), message },
            Aim::Missing(key) => {
                let at = found.key.unwrap_or_else(|| first_line(found.node.at));
                Flaw { path: found.path.key(key), at, message: "is required".into() }
            }
        };
        // What was cut out has been reported; so has everything about a stand-in.
        let known = matches!((&aim, &found.node.kind), (Aim::Missing(key), Kind::Map(entries))
            if entries.iter().any(|entry| entry.key == *key && entry.value.is_hole()));
        if !known && !found.node.is_stand_in() {
            report(flaw);
        }
        if !mend(root, &steps, &aim) {
            return None;
        }
    }
    None
}

/// Changes the tree so that the same fault cannot come again. False when nothing is left to change.
fn mend(root: &mut Node, steps: &[Step], aim: &Aim) -> bool {
    match (aim, steps.split_last()) {
        (Aim::Missing(key), _) => {
            let supplied = match root.get_mut(steps) {
                Some(Node { kind: Kind::Map(entries), .. }) => supply(entries, key),
                _ => false,
            };
            supplied || mend(root, steps, &Aim::Value)
        }
        (Aim::Key { meant }, Some((Step::Key(key), above))) => {
            let Some(Node { kind: Kind::Map(entries), .. }) = root.get_mut(above) else { return false };
            rename(entries, key, meant.as_deref());
            true
        }
        (_, Some(_)) => root.get_mut(steps).is_some_and(|node| {
            let fresh = !node.is_hole();
            node.kind = Kind::Hole;
            fresh
        }),
        (_, None) => false,
    }
}

/// Puts a stand-in under `key`. False when there is none, or one is there already.
fn supply(entries: &mut Vec<Entry>, key: &str) -> bool {
    let Kind::Map(known) = &STAND_INS.kind else { return false };
    let Some(stand_in) = known.iter().find(|entry| entry.key == key) else { return false };
    if entries.iter().any(|entry| entry.key == key && !entry.value.is_hole()) {
        return false;
    }
    entries.retain(|entry| entry.key != key);
    entries.push(stand_in.clone());
    true
}

/// Gives the entry `key` the name that was `meant`, or removes it.
fn rename(entries: &mut Vec<Entry>, key: &str, meant: Option<&str>) {
    match meant.filter(|meant| !entries.iter().any(|entry| entry.key == **meant)) {
        Some(meant) => {
            for entry in entries.iter_mut().filter(|entry| entry.key == key) {
                meant.clone_into(&mut entry.key);
            }
        }
        None => entries.retain(|entry| entry.key != key),
    }
}

fn first_line(mark: Mark) -> Mark {
    Mark { end: mark.start, ..mark }
}

impl Flaw {
    fn into_problem(self, text: &str, file: &Arc<str>) -> Problem {
        let line = text.lines().nth(self.at.line.saturating_sub(1)).unwrap_or_default();
        let marked = text.get(self.at.start..self.at.end).unwrap_or_default();
        let width = marked.lines().next().unwrap_or_default().trim_end().chars().count().max(1);
        let place = Place {
            file: Arc::clone(file),
            line: self.at.line,
            column: self.at.column,
            snippet: self.presentable(line, width),
            width,
        };
        Problem { path: self.path.to_string(), message: self.message, place: Some(place) }
    }

    /// Cuts `line` where a secret could stand that somebody wrote into the file: problems are logged.
    fn presentable(&self, line: &str, width: usize) -> String {
        let is_credential = |step: &Step| matches!(step, Step::Key(key) if SECRETS.contains(&key.as_str()));
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

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_ref().map_or("unknown", |file| &file.name))
    }
}
