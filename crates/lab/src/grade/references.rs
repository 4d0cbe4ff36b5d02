//! References in a file of their own, for answers that bring none: by the prompt's id, else by its words.
//!
//! The file is one of prompts, as `collect` reads it, benchmarks included. A row of it that has no reference says nothing.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::answers::AnswerRow;
use crate::dataset::DatasetError;
use crate::dataset::prompts::PromptRows;

/// The references of a file.
#[derive(Debug, Default)]
pub(super) struct ReferenceTable {
    path: PathBuf,
    rows: Vec<GivenReference>,
    by_id: HashMap<String, usize>,
    by_prompt: HashMap<String, usize>,
}

/// A reference, and its place in the file.
#[derive(Debug)]
pub(super) struct GivenReference {
    pub(super) line: u64,
    pub(super) reference: Map<String, Value>,
    is_used: Cell<bool>,
}

impl ReferenceTable {
    /// Reads a file of prompts with references. Of two with one id, or of the same words, the first counts.
    pub(super) fn read(path: &Path) -> Result<Self, DatasetError> {
        let mut table = Self { path: path.to_owned(), ..Self::default() };
        let mut rows = PromptRows::open(path)?;
        while let Some(row) = rows.next().transpose()? {
            let Some(Value::Object(reference)) = row.keys.get("reference") else { continue };
            let place = table.rows.len();
            let given = GivenReference { line: rows.line(), reference: reference.clone(), is_used: Cell::new(false) };
            table.rows.push(given);
            table.by_id.entry(row.id).or_insert(place);
            if !row.is_reply {
                table.by_prompt.entry(row.text.trim().to_owned()).or_insert(place);
            }
        }
        Ok(table)
    }

    /// Returns the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the reference of an answer's prompt, and notes that it was of use.
    pub(super) fn of(&self, row: &AnswerRow) -> Option<&GivenReference> {
        let request = row.other.get("request_id").and_then(Value::as_str);
        let by_id = || [Some(&*row.id), request].into_iter().flatten().find_map(|id| self.by_id.get(id));
        let by_prompt = || self.by_prompt.get(row.prompt.as_deref()?.trim());
        let given = &self.rows[*by_id().or_else(by_prompt)?];
        given.is_used.set(true);
        Some(given)
    }

    /// Counts the references that were of no use.
    pub(super) fn left(&self) -> u64 {
        self.rows.iter().filter(|given| !given.is_used.get()).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reference_is_found_by_the_prompt_s_id_by_the_request_s_and_by_its_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("references.jsonl");
        let lines = [
            json!({"id": "a", "prompt": "one", "reference": {"number": 1}}),
            json!({"id": "b", "prompt": "nothing is known"}),
            json!({"question": "1 + 1?", "answer": "#### 2"}),
            json!({"id": "never", "prompt": "asked", "reference": {"number": 3}}),
        ];
        std::fs::write(&path, lines.map(|line| format!("{line}\n")).concat()).expect("written");
        let table = ReferenceTable::read(&path).expect("references");
        let number = |row: Value| {
            let row: AnswerRow = serde_json::from_value(row).expect("a row");
            table.of(&row).map(|given| (given.line, given.reference["number"].clone()))
        };

        assert_eq!(number(json!({"id": "a", "asked": "m", "prompt": "x"})), Some((1, json!(1))));
        assert_eq!(number(json!({"id": "t:a", "request_id": "a", "asked": "m", "prompt": "x"})), Some((1, json!(1))));
        assert_eq!(number(json!({"id": "c", "asked": "m", "prompt": " 1 + 1?\n"})), Some((3, json!("2"))));
        assert_eq!(number(json!({"id": "b", "asked": "m", "prompt": "nothing is known"})), None);
        assert_eq!(table.left(), 1);
    }
}
