//! Files of what people think of answers, marks and votes: JSON lines with the place of every error.

use std::io;
use std::path::{Path, PathBuf};

use crate::dataset::DatasetError;
use crate::dataset::lines::RowLines;

/// Errors of files of marks and votes.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum OpinionsError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A line is no mark, or no vote.
    #[error("`{}` line {line}, column {column}: {message} (expected {expected})", path.display())]
    Shape {
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: usize,
        message: String,
        expected: &'static str,
    },
}

/// The lines of a file, whose rows are of one kind.
pub(super) struct OpinionLines {
    lines: RowLines,
    expected: &'static str,
}

impl OpinionLines {
    /// Opens a file; `expected` says in errors what a row is.
    pub(super) fn open(path: &Path, expected: &'static str) -> Result<Self, OpinionsError> {
        let lines = RowLines::open(path).map_err(|error| OpinionsError::of(error, expected))?;
        Ok(Self { lines, expected })
    }

    /// Reads the next row, with what makes an error out of what is wrong with it.
    pub(super) fn next<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>, OpinionsError> {
        let expected = self.expected;
        let error = |error| OpinionsError::of(error, expected);
        if !self.lines.advance().map_err(error)? {
            return Ok(None);
        }
        self.lines.parse().map(Some).map_err(error)
    }

    /// Returns the error of a row that was read and cannot be used.
    pub(super) fn refuse(&self, message: &str) -> OpinionsError {
        OpinionsError::of(self.lines.incomplete(message), self.expected)
    }
}

impl OpinionsError {
    fn of(error: DatasetError, expected: &'static str) -> Self {
        match error {
            DatasetError::Read { path, source } => Self::Read { path, source },
            DatasetError::Shape { path, line, column, message } => {
                Self::Shape { path, line, column, message, expected }
            }
        }
    }
}
