//! The lines of a file of JSON rows: a byte order mark before the first and lines without a row are passed over.
//!
//! Every byte is hashed as it passes, those that are passed over too, so that the hash names the very file.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::DatasetError;

/// The byte order mark of UTF-8, which some editors and spreadsheets write.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The byte order marks of UTF-16, which is no JSON.
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// The lines of a file.
#[derive(Debug)]
pub(crate) struct RowLines<R = BufReader<File>> {
    path: PathBuf,
    reader: R,
    hash: Sha256,
    buffer: Vec<u8>,
    line: u64,
    bytes: u64,
}

impl RowLines {
    /// Opens the file at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, DatasetError> {
        let file = File::open(path).map_err(|source| DatasetError::Read { path: path.to_owned(), source })?;
        Ok(Self::new(path, BufReader::new(file)))
    }

    /// Returns the file's size; 0 for what has none, such as a pipe.
    pub(crate) fn size(&self) -> u64 {
        self.reader.get_ref().metadata().map_or(0, |metadata| metadata.len())
    }
}

impl<R: BufRead> RowLines<R> {
    pub(crate) fn new(path: &Path, reader: R) -> Self {
        let (path, hash, buffer) = (path.to_owned(), Sha256::new(), Vec::new());
        Self { path, reader, hash, buffer, line: 0, bytes: 0 }
    }

    /// Goes on to the next line with a row; false at the end.
    pub(crate) fn advance(&mut self) -> Result<bool, DatasetError> {
        loop {
            self.buffer.clear();
            let read = self.reader.read_until(b'\n', &mut self.buffer);
            if read.map_err(|source| DatasetError::Read { path: self.path.clone(), source })? == 0 {
                return Ok(false);
            }
            self.hash.update(&self.buffer);
            self.line += 1;
            self.bytes += self.buffer.len() as u64;
            if self.line == 1 && UTF_16.iter().any(|mark| self.buffer.starts_with(mark)) {
                return Err(self.refuse(1, "the file is UTF-16, not UTF-8"));
            }
            if !self.row().is_empty() {
                return Ok(true);
            }
        }
    }

    /// Returns the bytes of the line's row.
    pub(crate) fn row(&self) -> &[u8] {
        let row = if self.line == 1 { without_mark(&self.buffer) } else { &self.buffer };
        row.trim_ascii()
    }

    /// Reads the line's row.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, DatasetError> {
        serde_json::from_slice(self.row()).map_err(|error| {
            // The parser saw one line, so the line that it names is always the first.
            let message = error.to_string().split(" at line ").next().unwrap_or_default().to_owned();
            self.refuse(self.indent() + error.column(), &message)
        })
    }

    /// Returns the error of a row that lacks something.
    pub(crate) fn incomplete(&self, message: &str) -> DatasetError {
        self.refuse(self.indent() + self.row().len(), message)
    }

    /// Returns the number of the line, from 1.
    pub(crate) const fn number(&self) -> u64 {
        self.line
    }

    /// Returns the number of bytes up to the line's end.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the sha256 of what was read so far.
    pub(crate) fn sha256(&self) -> String {
        self.hash.clone().finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes what is written");
            text
        })
    }

    fn refuse(&self, column: usize, message: &str) -> DatasetError {
        DatasetError::Shape { path: self.path.clone(), line: self.line, column, message: message.to_owned() }
    }

    /// Returns the number of blanks before the row.
    fn indent(&self) -> usize {
        let line = if self.line == 1 { without_mark(&self.buffer) } else { &self.buffer };
        line.len() - line.trim_ascii_start().len()
    }
}

/// Returns the first line of a file without a byte order mark.
pub(crate) fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
}
