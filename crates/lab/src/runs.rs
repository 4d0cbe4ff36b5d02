//! Runs: what a command of the laboratory read, with which seed and versions, and the figures that came of it, so that
//! another run can be set beside it.
//!
//! Each run has a folder of its own with `run.json`. Owns these files and their comparison; [`mlflow`] sends a record to a
//! tracking server as well. Keeps no prompts and no answers: a file is named by its path and its hash.

mod artifact;
mod difference;
mod figures;
mod folder;
mod identity;
pub mod mlflow;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};

use humantime::format_rfc3339_millis;
use pointsman_classifier::{Bundle, BundleIdentity, Manifest};
use serde::{Deserialize, Serialize};

pub use self::artifact::RunArtifact;
pub use self::difference::{RunDifference, RunFact, RunFigure};
pub use self::folder::{RunFolder, RunList};

/// The file of a record in its run's folder.
const FILE: &str = "run.json";

/// The record of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunRecord {
    /// The run's name: its start, its command and four digits of its own.
    pub id: String,
    /// The command, such as `eval`.
    pub command: String,
    /// The arguments of the command line, passwords in URLs left out.
    pub arguments: Vec<String>,
    /// The start, UTC.
    pub started: String,
    /// The end, UTC; `None` of a run that was killed or still runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// The error that ended the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Versions by program.
    pub versions: BTreeMap<String, String>,
    /// The configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<RunFile>,
    /// The bundles that were used or made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bundles: Vec<RunBundle>,
    /// The files that were read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<RunFile>,
    /// The seed of every draw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The figures by their paths in the command's report.
    pub figures: BTreeMap<String, f64>,
    /// The files and folders that were written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub out: Vec<String>,
}

/// A file that a run read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunFile {
    /// The path, as the command line has it.
    pub path: String,
    /// The sha256 of the file's bytes.
    pub sha256: String,
    /// The lines that are not blank, of a file of rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// A bundle that a run used or made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunBundle {
    /// The manifest's name.
    pub name: String,
    /// The manifest's version.
    pub version: String,
    /// The manifest's sha256.
    pub sha256: String,
}

/// A run under way. Its record is written at the start, without an end, and again at the end.
#[derive(Debug)]
pub struct OpenRun {
    record: RunRecord,
    /// The run's own folder; `None` where records go elsewhere.
    folder: Option<PathBuf>,
    /// The files that belong to the record.
    artifacts: Vec<RunArtifact>,
}

/// Errors of records.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum RunsError {
    /// The folder cannot be made or written.
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// The folder cannot be read.
    #[error("cannot read `{}` (`pointsman runs init` makes it)", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// No run has the name.
    #[error("there is no run `{name}` (allowed: `latest`, an id or a part of one; `pointsman runs list` lists them)")]
    Unknown { name: String },
    /// Several runs have the name.
    #[error("`{name}` is a part of several runs: {found}")]
    Ambiguous { name: String, found: String },
}

impl OpenRun {
    /// Starts a run whose record is kept in no folder.
    #[must_use]
    pub fn unkept(command: &str, arguments: &[String]) -> Self {
        Self { record: RunRecord::new(command, arguments), folder: None, artifacts: Vec::new() }
    }

    /// Names a program's version.
    pub fn version(&mut self, program: &str, version: &str) {
        self.record.versions.insert(program.to_owned(), version.to_owned());
    }

    /// Names the configuration.
    pub fn config(&mut self, path: &Path) {
        self.record.config = identity::file(path).map(|file| RunFile { rows: None, ..file });
        self.artifacts.extend(RunArtifact::kept("config", path));
    }

    /// Names a file of rows that was read; its hash and its rows are taken now.
    pub fn data(&mut self, path: &Path) {
        self.record.data.extend(identity::file(path));
    }

    /// Names a bundle.
    pub fn bundle(&mut self, bundle: &BundleIdentity) {
        let BundleIdentity { name, version, sha256 } = bundle;
        let bundle = RunBundle { name: name.to_string(), version: version.to_string(), sha256: sha256.to_string() };
        if !self.record.bundles.contains(&bundle) {
            self.record.bundles.push(bundle);
        }
    }

    /// Names the bundle in a folder, if there is a sound one.
    pub fn bundle_in(&mut self, folder: &Path) {
        if let Ok(identity) = Bundle::verify(folder) {
            self.bundle(&identity);
            let kind = format!("bundles/{}-{}", identity.name, identity.version);
            let manifest = RunArtifact::kept(&kind, &folder.join(Manifest::FILE));
            self.artifacts.extend(manifest.filter(|manifest| !self.artifacts.contains(manifest)));
        }
    }

    /// Names a page that was written for people to read.
    pub fn report(&mut self, page: &Path) {
        self.artifacts.push(RunArtifact::file("report", page));
    }

    /// Returns the files that belong to the record: the configuration and the manifests of bundles as they were, and the
    /// page.
    #[must_use]
    pub fn artifacts(&self) -> &[RunArtifact] {
        &self.artifacts
    }

    /// Names the seed.
    pub const fn seed(&mut self, seed: u64) {
        self.record.seed = Some(seed);
    }

    /// Names a figure.
    pub fn figure(&mut self, name: &str, value: f64) {
        if value.is_finite() {
            self.record.figures.insert(name.to_owned(), value);
        }
    }

    /// Takes every number of a report, by its path.
    pub fn figures(&mut self, report: &impl Serialize) {
        let report = serde_json::to_value(report).unwrap_or_default();
        figures::each(&report, &mut |name, value| self.figure(name, value));
    }

    /// Names a file or folder that was written.
    pub fn out(&mut self, path: &Path) {
        self.record.out.push(path.display().to_string());
    }

    /// Ends the run, with the error that ended it if there was one; returns its record.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn end(mut self, error: Option<String>) -> Result<RunRecord, RunsError> {
        self.record.ended = Some(now());
        self.record.error = error;
        self.write()?;
        Ok(self.record)
    }

    /// Writes the record in one step, so that a reader sees the old one or the new one.
    fn write(&self) -> Result<(), RunsError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let (path, next) = (folder.join(FILE), folder.join(format!("{FILE}.next")));
        let text = serde_json::to_string_pretty(&self.record).expect("a record is plain data") + "\n";
        let written = fs::write(&next, text).and_then(|()| fs::rename(&next, &path));
        written.map_err(|source| RunsError::Write { path, source })
    }
}

impl RunRecord {
    fn new(command: &str, arguments: &[String]) -> Self {
        let arguments = arguments.iter().map(|argument| without_password(argument)).collect();
        let started = now();
        let id = name(&started, command, 0);
        Self { id, command: command.to_owned(), arguments, started, ..Self::default() }
    }
}

/// Returns the name of a run; `salt` tells runs of one moment apart.
fn name(started: &str, command: &str, salt: u32) -> String {
    let compact: String = started.chars().filter(char::is_ascii_alphanumeric).collect();
    let (time, millis) = compact.split_at(compact.len().min(15));
    let own = identity::short_hash(&format!("{started} {} {millis} {salt}", std::process::id()));
    format!("{time}Z-{command}-{own}")
}

fn now() -> String {
    format_rfc3339_millis(SystemTime::now()).to_string()
}

/// Returns an argument without the user and password of a URL in it.
fn without_password(argument: &str) -> String {
    let Some((before, rest)) = argument.split_once("://") else { return argument.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{before}://{}", &rest[at + 1..]),
        None => argument.to_owned(),
    }
}

#[cfg(test)]
mod tests;
