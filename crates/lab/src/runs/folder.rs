//! The folder of runs.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::{FILE, OpenRun, RunRecord, RunsError, name};

/// Attempts at a name that no other run has.
const ATTEMPTS: u32 = 100;

/// A folder with a folder for each run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

/// The runs of a folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunList {
    /// The records, the oldest first.
    pub records: Vec<RunRecord>,
    /// Folders whose record cannot be read.
    pub unreadable: Vec<PathBuf>,
}

impl RunFolder {
    /// Names the folder; nothing is read or made.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Makes the folder, if need be.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn init(path: &Path) -> Result<Self, RunsError> {
        fs::create_dir_all(path).map_err(|source| RunsError::Write { path: path.to_owned(), source })?;
        Ok(Self::at(path))
    }

    /// Returns the folder's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a run: its folder and its record, without an end, are there from now on.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn start(&self, command: &str, arguments: &[String]) -> Result<OpenRun, RunsError> {
        let mut record = RunRecord::new(command, arguments);
        for salt in 1..=ATTEMPTS {
            let folder = self.path.join(&record.id);
            match fs::create_dir(&folder) {
                Ok(()) => {
                    let run = OpenRun { record, folder: Some(folder), artifacts: Vec::new() };
                    run.write()?;
                    return Ok(run);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && salt < ATTEMPTS => {
                    record.id = name(&record.started, command, salt);
                }
                Err(source) => return Err(RunsError::Write { path: folder, source }),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Reads every run.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<RunList, RunsError> {
        let refuse = |source| RunsError::Read { path: self.path.clone(), source };
        let mut list = RunList::default();
        for entry in fs::read_dir(&self.path).map_err(refuse)? {
            let folder = entry.map_err(refuse)?.path();
            let Ok(text) = fs::read(folder.join(FILE)) else { continue };
            match serde_json::from_slice::<RunRecord>(&text) {
                Ok(record) if !record.id.is_empty() => list.records.push(record),
                _ => list.unreadable.push(folder),
            }
        }
        list.records.sort_by(|a, b| (&a.started, &a.id).cmp(&(&b.started, &b.id)));
        Ok(list)
    }

    /// Returns the run called `wanted`: `latest`, its id, or a part that no other id has.
    ///
    /// # Errors
    /// When the folder cannot be read, or not one run has the name.
    pub fn find(&self, wanted: &str) -> Result<RunRecord, RunsError> {
        let RunList { records, .. } = self.list()?;
        let unknown = || RunsError::Unknown { name: wanted.to_owned() };
        if wanted == "latest" {
            return records.into_iter().next_back().ok_or_else(unknown);
        }
        let mut found: Vec<RunRecord> = records.into_iter().filter(|record| record.id.contains(wanted)).collect();
        if let Some(exact) = found.iter().position(|record| record.id == wanted) {
            return Ok(found.swap_remove(exact));
        }
        match found.len() {
            0 => Err(unknown()),
            1 => Ok(found.swap_remove(0)),
            _ => {
                let found = found.iter().map(|record| &*record.id).collect::<Vec<_>>().join(", ");
                Err(RunsError::Ambiguous { name: wanted.to_owned(), found })
            }
        }
    }
}
