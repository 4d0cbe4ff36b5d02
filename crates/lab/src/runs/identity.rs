//! Files by what they hold.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::RunFile;

/// Returns a file's hash and rows; `None` for what is no readable file, such as a pipe that was read already.
pub(super) fn file(path: &Path) -> Option<RunFile> {
    let file = File::open(path).ok().filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))?;
    let (mut reader, mut hash, mut line, mut rows) = (BufReader::new(file), Sha256::new(), Vec::new(), 0);
    while reader.read_until(b'\n', &mut line).ok()? > 0 {
        hash.update(&line);
        rows += u64::from(!line.trim_ascii().is_empty());
        line.clear();
    }
    Some(RunFile { path: path.display().to_string(), sha256: hex(&hash.finalize()), rows: Some(rows) })
}

/// Returns four hexadecimal digits of a text's hash.
pub(super) fn short_hash(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes())[..2])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
