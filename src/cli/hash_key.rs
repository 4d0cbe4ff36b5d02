//! `pointsman hash-key`: a client key on stdin, its hash for `clients.<name>.keys` on stdout.

use std::io::{self, Read};
use std::process::ExitCode;

use super::{USAGE, fail};
use crate::clients::hash_key;

/// Longer than any key; a file that was piped in by mistake is not read whole.
const MAX_KEY: u64 = 4096;

/// The reason why there is no hash.
#[derive(Debug, thiserror::Error)]
enum KeyError {
    #[error("cannot read the key from stdin")]
    Read(#[from] io::Error),
    #[error("stdin must hold one key of 1 to {MAX_KEY} visible ASCII characters")]
    NotAKey,
}

pub(super) fn run() -> ExitCode {
    match read(io::stdin().lock()) {
        Ok(key) => {
            println!("{}", hash_key(&key));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, USAGE),
    }
}

/// Reads a key; white space around it, such as the end of the line, is no part of it.
fn read(input: impl Read) -> Result<Vec<u8>, KeyError> {
    let mut text = Vec::new();
    input.take(MAX_KEY + 1).read_to_end(&mut text)?;
    let key = text.trim_ascii();
    if key.is_empty() || text.len() as u64 > MAX_KEY || !key.iter().all(u8::is_ascii_graphic) {
        return Err(KeyError::NotAKey);
    }
    Ok(key.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_line_is_no_part_of_the_key() {
        assert_eq!(read(&b"sk-1\n"[..]).expect("a key"), b"sk-1");
    }

    #[test]
    fn what_no_header_can_carry_is_no_key() {
        for bad in ["", "\n", "two words", "é", &"x".repeat(4097)] {
            assert!(read(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
