//! The labels' file: appended row by row, each on the disk before the next; read at the start for what is known.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// The labels' file.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    ids: HashSet<String>,
}

#[derive(Deserialize)]
struct Known {
    id: String,
}

impl Output {
    /// Opens or makes the file. A row that a killed run left half is cut off and asked again.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut ids = HashSet::new();
        let (mut reader, mut line, mut whole) = (BufReader::new(&file), Vec::new(), 0);
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)? as u64;
            if read == 0 || line.last() != Some(&b'\n') {
                break;
            }
            whole += read;
            if let Ok(known) = serde_json::from_slice::<Known>(&line) {
                ids.insert(known.id);
            }
        }
        file.set_len(whole)?;
        Ok(Self { file, ids })
    }

    /// Returns the ids of the rows that were there.
    pub(super) const fn ids(&self) -> &HashSet<String> {
        &self.ids
    }

    /// Appends a row and waits until the disk has it: it was paid for.
    pub(super) fn append(&mut self, row: &Value) -> io::Result<()> {
        self.file.write_all(format!("{row}\n").as_bytes())?;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_killed_run_left_half_is_cut_off_and_the_rest_is_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("labels.jsonl");
        fs::write(&path, "{\"id\":\"a\"}\n{\"id\":\"b\",\"lab").expect("written");

        let mut output = Output::open(&path).expect("a file");
        output.append(&json!({"id": "c"})).expect("written");

        assert!(output.ids().contains("a") && !output.ids().contains("b"));
        assert_eq!(fs::read_to_string(path).expect("a file"), "{\"id\":\"a\"}\n{\"id\":\"c\"}\n");
    }
}
