//! From a file's text to a [`Config`], with every problem in it.
//!
//! serde stops at the first error, so the file is read again and again: each error is noted and repaired in the tree,
//! until the rest reads. A wrong value is cut out, a mistyped key gets the name that was meant, a required value that
//! is missing or cut is replaced by a stand-in. The repaired configuration serves only to find more problems: a file
//! with any problem is refused.

use std::cell::OnceCell;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use super::concealment::{concealed, in_blocks};
use super::document::Config;
use super::problem::{ConfigProblem, ConfigProblems, KeyPath, KeyStep, MAX_PROBLEMS};
use super::read::{FaultAim, NodeReader, ReadFault};
use super::regular_file::{RegularFile, RegularFileError};
use super::source::{ConfigSource, ShownText};
use super::tree::{self, MapEntry, NodeContent, SourceFlaw, SourceMark, YamlNode};
use super::validate;

/// The largest file that is read.
const MAX_FILE_BYTES: usize = 1 << 20;
/// The most faults that are repaired; then reading stops: a file with more is not a configuration.
const MAX_REPAIRS: usize = 100;

/// A valid value for each key that is required somewhere, so that one missing value does not hide other problems.
static STAND_INS: LazyLock<YamlNode> = LazyLock::new(|| {
    let (root, _) = tree::parse(include_str!("stand_ins.yaml"));
    root.expect("a file of ours that a test reads").stand_in()
});

impl Config {
    /// The largest text of a configuration that is read, in bytes.
    pub const MAX_FILE_BYTES: usize = MAX_FILE_BYTES;

    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with the file, at once.
    pub fn load(path: &Path) -> Result<Self, ConfigProblems> {
        let name = path.display().to_string();
        let refuse = |message: String| ConfigProblems::new(&name, vec![ConfigProblem::new(&KeyPath::root(), message)]);
        let text = Self::read_text(path).map_err(|error| refuse(format!("cannot read {name}: {error}")))?;
        Self::parse(&text, &name)
    }

    /// Reads the text of the file at `path`, which a configuration may be.
    ///
    /// # Errors
    /// When there is no regular file of a configuration's size, or it is no text.
    pub fn read_text(path: &Path) -> Result<String, RegularFileError> {
        RegularFile::open(path, MAX_FILE_BYTES as u64).and_then(RegularFile::text)
    }

    /// Reads and checks `text`, which problems call `file_name`.
    ///
    /// # Errors
    /// Everything that is wrong with the text, at once.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, ConfigProblems> {
        match Self::inspect(text, file_name) {
            (Some(config), problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(problems),
        }
    }

    /// Like [`Config::parse`], and returns what could be read of a bad file: for stages that look for more problems.
    ///
    /// Such a configuration holds stand-ins for what was wrong; [`Config::problem`] drops problems about them. Never
    /// serve it.
    #[must_use]
    pub fn inspect(text: &str, file_name: &str) -> (Option<Self>, ConfigProblems) {
        let name: Arc<str> = file_name.into();
        if text.len() > MAX_FILE_BYTES {
            let message = format!("the file has {} bytes (allowed: {MAX_FILE_BYTES})", text.len());
            return (None, ConfigProblems::new(file_name, vec![ConfigProblem::new(&KeyPath::root(), message)]));
        }
        let (root, flaws) = tree::parse(text);
        let secrets_found: OnceCell<Vec<Range<usize>>> = OnceCell::new();
        let whole = root.clone();
        // A key that stands there twice is in the tree once.
        let is_partial = !flaws.is_empty();
        let secrets = || {
            secrets_found.get_or_init(|| {
                let mut found = concealed(whole.as_ref(), text);
                if is_partial {
                    in_blocks(text, &mut found);
                }
                found
            })
        };
        let place = |flaw: SourceFlaw| flaw.into_problem(ShownText { file: &name, text, secrets: secrets() });
        let mut found: Vec<ConfigProblem> = flaws.into_iter().take(MAX_PROBLEMS).map(place).collect();
        let Some(mut root) = root else {
            if found.is_empty() {
                found.push(ConfigProblem::new(&KeyPath::root(), "the file is empty"));
            }
            return (None, ConfigProblems::new(file_name, found));
        };
        let config = repair(&mut root, |flaw, node| found.push(place(flaw.without_value_of(node, secrets()))));
        let config = config.map(|config| {
            let source = ConfigSource::new(Arc::clone(&name), text, root, secrets_found.get().cloned());
            Self { source, ..config }.with_embedders().with_cloud_addresses().with_known_models()
        });
        if let Some(config) = &config {
            found.extend(validate::check(config));
        }
        (config, ConfigProblems::new(file_name, found))
    }
}

/// Reads the tree, reporting and repairing one fault after another.
fn repair(root: &mut YamlNode, mut report: impl FnMut(SourceFlaw, &YamlNode)) -> Option<Config> {
    for _ in 0..MAX_REPAIRS {
        let fault = match Config::deserialize(NodeReader::new(root)) {
            Ok(config) => return Some(config),
            Err(fault) => fault,
        };
        let ReadFault { message, aim, mut steps } = fault;
        steps.reverse();
        let path: KeyPath = steps.iter().cloned().collect();
        let found = root.locate(&path);
        let flaw = match &aim {
            FaultAim::Value => SourceFlaw { path: found.path, at: found.node.at, message },
            FaultAim::Key { .. } => SourceFlaw { path: found.path, at: found.key.unwrap_or(found.node.at), message },
            FaultAim::Missing(key) => {
                let at = found.key.unwrap_or_else(|| first_line(found.node.at));
                SourceFlaw { path: found.path.key(key), at, message: "is required".into() }
            }
        };
        // What was cut out has been reported; so has everything about a stand-in.
        let known = matches!((&aim, &found.node.kind), (FaultAim::Missing(key), NodeContent::Map(entries))
            if entries.iter().any(|entry| entry.key == *key && entry.value.is_hole()));
        if !known && !found.node.is_stand_in() {
            report(flaw, found.node);
        }
        if !mend(root, &steps, &aim) {
            return None;
        }
    }
    None
}

/// Changes the tree so that the same fault cannot come again. False when nothing is left to change.
fn mend(root: &mut YamlNode, steps: &[KeyStep], aim: &FaultAim) -> bool {
    match (aim, steps.split_last()) {
        (FaultAim::Missing(key), _) => {
            let supplied = match root.get_mut(steps) {
                Some(YamlNode { kind: NodeContent::Map(entries), .. }) => supply(entries, key),
                _ => false,
            };
            supplied || mend(root, steps, &FaultAim::Value)
        }
        (FaultAim::Key { meant }, Some((KeyStep::Key(key), above))) => {
            let Some(YamlNode { kind: NodeContent::Map(entries), .. }) = root.get_mut(above) else { return false };
            rename(entries, key, meant.as_deref());
            true
        }
        (_, Some(_)) => root.get_mut(steps).is_some_and(|node| {
            let fresh = !node.is_hole();
            node.kind = NodeContent::Hole;
            fresh
        }),
        (_, None) => false,
    }
}

/// Puts a stand-in under `key`. False when there is none, or one is there already.
fn supply(entries: &mut Vec<MapEntry>, key: &str) -> bool {
    let NodeContent::Map(known) = &STAND_INS.kind else { return false };
    let Some(stand_in) = known.iter().find(|entry| entry.key == key) else { return false };
    if entries.iter().any(|entry| entry.key == key && !entry.value.is_hole()) {
        return false;
    }
    entries.retain(|entry| entry.key != key);
    entries.push(stand_in.clone());
    true
}

/// Gives the entry `key` the name that was `meant`, or removes it.
fn rename(entries: &mut Vec<MapEntry>, key: &str, meant: Option<&str>) {
    match meant.filter(|meant| !entries.iter().any(|entry| entry.key == **meant)) {
        Some(meant) => {
            for entry in entries.iter_mut().filter(|entry| entry.key == key) {
                meant.clone_into(&mut entry.key);
            }
        }
        None => entries.retain(|entry| entry.key != key),
    }
}

fn first_line(mark: SourceMark) -> SourceMark {
    SourceMark { end: mark.start, ..mark }
}
