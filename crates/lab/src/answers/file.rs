//! Files of answers: read as a stream with the place of every error, appended to row by row.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::AnswerRow;
use crate::dataset::DatasetError;
use crate::dataset::lines::RowLines;

/// The rows of a file: an iterator that stops after the first error.
#[derive(Debug)]
pub struct AnswerRows<R = BufReader<File>> {
    lines: RowLines<R>,
    ended: bool,
}

/// A file that rows are appended to.
#[derive(Debug)]
pub struct AnswerFile {
    path: PathBuf,
    file: File,
}

/// Errors of files of answers.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum AnswersError {
    /// The file cannot be opened or read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A line is no answer.
    #[error("`{}` line {line}, column {column}: {message} (expected an answer: an object with `id`, `asked`, `prompt` or `messages`, and `answer` or `error`)", path.display())]
    Shape {
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column, from 1; 0 for a line that is empty.
        column: usize,
        message: String,
    },
    /// The file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// Another run writes the file.
    #[error("another run writes `{}`", path.display())]
    Taken { path: PathBuf },
}

impl AnswerRows {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(path: &Path) -> Result<Self, AnswersError> {
        Ok(Self { lines: RowLines::open(path)?, ended: false })
    }
}

impl<R: BufRead> AnswerRows<R> {
    /// Reads rows from `reader`; `path` is the name in errors.
    pub fn new(path: &Path, reader: R) -> Self {
        Self { lines: RowLines::new(path, reader), ended: false }
    }

    /// Returns the sha256 of what was read so far: of the whole file once the rows have ended.
    #[must_use]
    pub fn sha256(&self) -> String {
        self.lines.sha256()
    }

    /// Returns the number of the line that was read last, from 1.
    #[must_use]
    pub const fn line(&self) -> u64 {
        self.lines.number()
    }

    fn read(&mut self) -> Result<Option<AnswerRow>, AnswersError> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        let row: AnswerRow = self.lines.parse()?;
        let lacks = if row.id.is_empty() {
            "missing field `id`"
        } else if row.asked.is_empty() {
            "missing field `asked`"
        } else if row.prompt.is_none() && row.messages.is_none() {
            "missing field `prompt`"
        } else if row.answer.is_none() && row.error.is_none() && row.tool_calls.is_empty() {
            "missing field `answer`"
        } else {
            return check(row).map(Some).map_err(|message| self.lines.incomplete(message).into());
        };
        Err(self.lines.incomplete(lacks).into())
    }
}

/// Refuses grades that are out of bounds.
fn check(row: AnswerRow) -> Result<AnswerRow, &'static str> {
    let sound = row.grades.iter().all(|grade| (0.0..=1.0).contains(&grade.score));
    if sound { Ok(row) } else { Err("a grade whose `score` is not from 0 to 1") }
}

impl<R: BufRead> Iterator for AnswerRows<R> {
    type Item = Result<AnswerRow, AnswersError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.read().transpose();
        self.ended = !matches!(row, Some(Ok(_)));
        row
    }
}

impl AnswerFile {
    /// Opens or makes the file, and shows `known` the rows that stand there. A row that a killed run left half is cut
    /// off; a whole one without its line end, as editors leave it, gets one. What is no file of answers stays as it is.
    ///
    /// # Errors
    /// When the file cannot be used, another run writes it, or a row in it is no answer.
    pub fn open(path: &Path, mut known: impl FnMut(AnswerRow)) -> Result<Self, AnswersError> {
        let refuse = |source| AnswersError::Write { path: path.to_owned(), source };
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(refuse)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(AnswersError::Taken { path: path.to_owned() }),
            Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => return Err(refuse(error)),
            Ok(()) | Err(TryLockError::Error(_)) => {} // not every file system has locks
        }
        let end = RowsEnd::of(&file).map_err(refuse)?;
        let whole = File::open(path).map_err(|source| AnswersError::Read { path: path.to_owned(), source })?;
        for row in AnswerRows::new(path, BufReader::new(whole.take(end.bytes))) {
            known(row?);
        }
        let mended = if end.lacks_line_end { file.write_all(b"\n") } else { file.set_len(end.bytes) };
        mended.map_err(refuse)?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Appends a row and waits until the disk has it: it was paid for.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&mut self, row: &AnswerRow) -> Result<(), AnswersError> {
        let written = serde_json::to_string(row).map_err(io::Error::from).and_then(|line| {
            self.file.write_all(format!("{line}\n").as_bytes())?;
            self.file.sync_data()
        });
        written.map_err(|source| AnswersError::Write { path: self.path.clone(), source })
    }
}

/// The end of the rows of a file.
#[derive(Debug, Clone, Copy)]
struct RowsEnd {
    /// The bytes up to there.
    bytes: u64,
    /// True where the last row is whole, but for the end of its line.
    lacks_line_end: bool,
}

impl RowsEnd {
    fn of(file: &File) -> io::Result<Self> {
        let (mut reader, mut line, mut bytes) = (BufReader::new(file), Vec::new(), 0);
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)? as u64;
            if line.last() == Some(&b'\n') {
                bytes += read;
                continue;
            }
            // An object that was cut off has no end.
            let lacks_line_end = serde_json::from_slice::<Map<String, Value>>(&line).is_ok();
            return Ok(Self { bytes: if lacks_line_end { bytes + read } else { bytes }, lacks_line_end });
        }
    }
}

impl From<DatasetError> for AnswersError {
    fn from(error: DatasetError) -> Self {
        match error {
            DatasetError::Read { path, source } => Self::Read { path, source },
            DatasetError::Shape { path, line, column, message } => Self::Shape { path, line, column, message },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> AnswerRows<&[u8]> {
        AnswerRows::new(Path::new("answers.jsonl"), text.as_bytes())
    }

    #[test]
    fn what_is_no_answer_is_refused_with_its_place_and_ends_the_rows() {
        let good = r#"{"id":"a","asked":"m","prompt":"p","answer":"x"}"#;
        let refused = [
            (r#"{"asked":"m","prompt":"p","answer":"x"}"#, "column 39: missing field `id`"),
            (r#"{"id":"a","prompt":"p","answer":"x"}"#, "missing field `asked`"),
            (r#"{"id":"a","asked":"m","answer":"x"}"#, "missing field `prompt`"),
            (r#"{"id":"a","asked":"m","prompt":"p"}"#, "missing field `answer`"),
            (r#"{"id":"a","asked":"m","prompt":"p","answer":1}"#, "column 45: invalid type: integer `1`"),
            (
                r#"{"id":"a","asked":"m","prompt":"p","answer":"x","grades":[{"grader":"g","score":2}]}"#,
                "a grade whose `score` is not from 0 to 1",
            ),
        ];

        for (line, expected) in refused {
            let text = format!("{good}\n{line}\n{good}\n");
            let mut rows = rows(&text);
            assert!(rows.next().is_some_and(|row| row.is_ok()));

            let error = rows.next().expect("a second line").expect_err(line).to_string();

            assert!(error.starts_with("`answers.jsonl` line 2, ") && error.contains(expected), "{error}");
            assert!(rows.next().is_none());
        }
    }

    #[test]
    fn a_failed_request_and_calls_of_tools_are_answers() {
        let text = concat!(
            r#"{"id":"a","asked":"m","prompt":"p","error":{"code":"timeout","message":"late"}}"#,
            "\n\n",
            r#"{"id":"a","asked":"m","messages":[],"tool_calls":[{"id":"c"}]}"#,
        );

        assert_eq!(rows(text).filter_map(Result::ok).count(), 2);
    }

    #[test]
    fn what_a_killed_run_left_half_is_cut_off_and_the_rest_is_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("answers.jsonl");
        let whole = r#"{"id":"a","asked":"m","prompt":"p","answer":"x"}"#;
        std::fs::write(&path, format!("{whole}\n{{\"id\":\"b\",\"as")).expect("written");
        let mut known = Vec::new();

        let mut file = AnswerFile::open(&path, |row| known.push(row)).expect("a file");
        file.append(&AnswerRow { id: "c".into(), ..known[0].clone() }).expect("written");

        let ids: Vec<String> = AnswerRows::open(&path).expect("a file").map(|row| row.expect("a row").id).collect();
        assert_eq!((known.len(), ids), (1, vec!["a".to_owned(), "c".to_owned()]));
    }

    #[test]
    fn a_whole_row_without_its_line_end_is_kept_and_gets_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("answers.jsonl");
        let whole = r#"{"id":"a","asked":"m","prompt":"p","answer":"x"}"#;
        std::fs::write(&path, whole).expect("written");
        let mut known = Vec::new();

        let mut file = AnswerFile::open(&path, |row| known.push(row)).expect("a file");
        file.append(&AnswerRow { id: "c".into(), ..known[0].clone() }).expect("written");

        let ids: Vec<String> = AnswerRows::open(&path).expect("a file").map(|row| row.expect("a row").id).collect();
        assert_eq!(ids, ["a", "c"]);
    }

    #[test]
    fn a_file_that_holds_something_else_stays_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "first\nthe last line has no end").expect("written");

        let refused = AnswerFile::open(&path, |_| {}).expect_err("no answers").to_string();

        assert!(refused.contains("line 1"), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), "first\nthe last line has no end");
    }

    #[test]
    fn two_runs_do_not_write_one_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("answers.jsonl");

        let first = AnswerFile::open(&path, |_| {}).expect("a file");
        let second = AnswerFile::open(&path, |_| {});

        assert!(matches!(second, Err(AnswersError::Taken { .. })), "{second:?}");
        drop(first);
        assert!(AnswerFile::open(&path, |_| {}).is_ok());
    }
}
