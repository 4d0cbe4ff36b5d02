//! The labels' file: appended row by row, each on the disk before the next; read at the start for what is known.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::UnlabelledRow;
use crate::judge::VerdictQuestionKey;

/// The labels' file. Of its rows only ids are kept, and where the answer to each question stands.
#[derive(Debug)]
pub(super) struct LabelFile {
    file: File,
    end: u64,
    ids: HashSet<String>,
    answers: HashMap<VerdictQuestionKey, RowPosition>,
    judge_answers: bool,
}

/// The position of a row in the file.
#[derive(Debug, Clone, Copy)]
struct RowPosition {
    from: u64,
    bytes: usize,
}

#[derive(Deserialize)]
struct LabelledRow {
    id: String,
    #[serde(default)]
    question: String,
    #[serde(default)]
    judge: String,
    #[serde(default)]
    rubric: String,
}

impl LabelFile {
    /// Opens or makes the file. A row that a killed run left half is cut off and asked again.
    pub(super) fn open(path: &Path, judge: &str, rubric: &str) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let (mut ids, mut answers, mut judge_answers) = (HashSet::new(), HashMap::new(), false);
        let (mut reader, mut line, mut end) = (BufReader::new(&file), Vec::new(), 0);
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            if read == 0 || line.last() != Some(&b'\n') {
                break;
            }
            if let Ok(known) = serde_json::from_slice::<LabelledRow>(&line) {
                if let Some(key) = parse(&known.question) {
                    answers.entry(key).or_insert(RowPosition { from: end, bytes: read });
                }
                judge_answers |= known.judge == judge && known.rubric == rubric;
                ids.insert(known.id);
            }
            end += read as u64;
        }
        file.set_len(end)?;
        Ok(Self { file, end, ids, answers, judge_answers })
    }

    /// Returns whether a row has its label.
    pub(super) fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Returns whether the answer to a question is known.
    pub(super) fn answers(&self, question: &VerdictQuestionKey) -> bool {
        self.answers.contains_key(question)
    }

    /// Returns whether the judge has ever answered under the rubric.
    pub(super) const fn judge_answers(&self) -> bool {
        self.judge_answers
    }

    /// Appends the row that answers a question and waits until the disk has it: it was paid for.
    pub(super) fn append(&mut self, row: &Value, question: VerdictQuestionKey) -> io::Result<()> {
        let mut row = row.clone();
        row["question"] = json!(super::hex(&question));
        let bytes = self.write(&row)?;
        self.answers.insert(question, RowPosition { from: self.end - bytes as u64, bytes });
        self.judge_answers = true;
        Ok(())
    }

    /// Appends a row with the known answer to its question: it cost nothing, and says whose answer it is.
    pub(super) fn share(&mut self, question: &VerdictQuestionKey, id: &str, of: &UnlabelledRow) -> io::Result<()> {
        let RowPosition { from, bytes } = self.answers[question];
        let mut line = vec![0; bytes];
        self.file.read_exact_at(&mut line, from)?;
        let mut row: Value = serde_json::from_slice(&line)?;
        row["answer_of"] = row["id"].take();
        row["id"] = json!(id);
        of.write_asked(&mut row);
        (row["input_tokens"], row["output_tokens"]) = (Value::Null, Value::Null);
        self.write(&row).map(drop)
    }

    fn write(&mut self, row: &Value) -> io::Result<usize> {
        let line = format!("{row}\n");
        self.file.write_all(line.as_bytes())?;
        self.file.sync_data()?;
        self.end += line.len() as u64;
        self.ids.extend(row["id"].as_str().map(str::to_owned));
        Ok(line.len())
    }
}

/// Reads a key that stands in hexadecimal digits.
fn parse(text: &str) -> Option<VerdictQuestionKey> {
    u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32).map(u128::to_be_bytes)
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

        let mut output = LabelFile::open(&path, "judge", "rubric").expect("a file");
        output.append(&json!({"id": "c"}), [0; 16]).expect("written");

        assert!(output.has("a") && !output.has("b") && output.has("c"));
        let text = fs::read_to_string(path).expect("a file");
        assert!(text.starts_with("{\"id\":\"a\"}\n{\"id\":\"c\"") && text.lines().count() == 2, "{text}");
    }

    #[test]
    fn an_answer_is_shared_with_rows_of_the_same_question_also_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("labels.jsonl");
        let open = || LabelFile::open(&path, "judge", "rubric").expect("a file");
        let row = json!({"id": "a", "prompt": "p", "judge": "judge", "rubric": "rubric", "label": "simple", "input_tokens": 9});
        let mut first = open();
        assert!(!first.judge_answers());
        first.append(&row, [7; 16]).expect("written");

        let mut second = open();
        let row = UnlabelledRow { prompt: "p".into(), messages: None, id: None, rest: serde_json::Map::new() };
        second.share(&[7; 16], "b", &row).expect("shared");

        assert!(second.judge_answers() && second.answers(&[7; 16]) && !second.answers(&[8; 16]));
        let text = fs::read_to_string(&path).expect("a file");
        let shared: Value = serde_json::from_str(text.lines().last().expect("a row")).expect("JSON");
        assert_eq!(
            (&shared["id"], &shared["answer_of"], &shared["label"]),
            (&json!("b"), &json!("a"), &json!("simple"))
        );
        assert_eq!(shared["input_tokens"], Value::Null);
        assert!(open().has("b"));
    }
}
