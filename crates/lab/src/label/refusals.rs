//! The file of prompts that the judge refuses, beside the labels: they are not asked again unless that is wanted.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::LabelError;

/// The file of refused prompts.
pub(super) struct RefusalFile {
    path: PathBuf,
    ids: HashSet<String>,
    /// Rows that are not in the file yet.
    noted: Vec<Value>,
}

impl RefusalFile {
    /// Reads the file beside `out`, unless what was refused is to be asked again.
    pub(super) fn open(out: &Path, retry: bool) -> Result<Self, LabelError> {
        let path = out.with_extension("errors.jsonl");
        let text = match fs::read_to_string(&path) {
            Ok(text) if !retry => text,
            Ok(_) => String::new(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(LabelError::output(&path)(error)),
        };
        let id = |line: &str| Some(serde_json::from_str::<Value>(line).ok()?["id"].as_str()?.to_owned());
        Ok(Self { ids: text.lines().filter_map(id).collect(), path, noted: Vec::new() })
    }

    /// Returns whether a row was refused in a run before.
    pub(super) fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Takes a row that may go to the file.
    pub(super) fn note(&mut self, row: Value) {
        self.noted.push(row);
    }

    /// Returns how many rows wait for it.
    pub(super) fn noted(&self) -> usize {
        self.noted.len()
    }

    /// Writes the noted rows to the file.
    pub(super) fn record(&mut self) -> Result<(), LabelError> {
        if self.noted.is_empty() {
            return Ok(());
        }
        let lines: String = self.noted.drain(..).map(|row| format!("{row}\n")).collect();
        let append = |path: &Path| {
            let mut file = OpenOptions::new().append(true).create(true).open(path)?;
            file.write_all(lines.as_bytes())?;
            file.sync_data()
        };
        append(&self.path).map_err(LabelError::output(&self.path))
    }
}
