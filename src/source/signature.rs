//! Detached signatures as `minisign` makes them: one key, one signature beside the text, with a comment that is signed too.
//!
//! Only signatures of the text's hash count (`minisign`'s own since 2021), not the former kind.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use minisign_verify::{PublicKey, Signature};
use pointsman_core::config::{RegularFile, RegularFileError};

use super::version::SignatureFacts;

/// The largest file of a key or a signature; real ones have some 300 bytes.
pub(super) const MAX_BYTES: u64 = 16 << 10;

/// The end of the name of a signature's file.
pub(super) const SUFFIX: &str = ".minisig";

/// The key that a text has to be signed with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TrustedKey {
    key: PublicKey,
    id: String,
}

/// The reason why something is no public key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("cannot read `{path}`: {error}")]
    File { path: String, error: RegularFileError },
    #[error(
        "`{0}` holds no public key (allowed: a file that `minisign -G` wrote, or the key itself, such as RWQf6LRC...)"
    )]
    Key(String),
}

/// The reason why a signature does not hold.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignatureError {
    #[error("no signature: cannot read {path}: {error} (wanted: one by key {key})")]
    File { path: String, error: RegularFileError, key: String },
    #[error("the signature is none that minisign writes: {0}")]
    Format(minisign_verify::Error),
    #[error("the signature is by another key (wanted: {0})")]
    OtherKey(String),
    #[error(
        "the signature is of the former kind, over the text itself (allowed: over its hash; sign with minisign 0.10 or newer)"
    )]
    Legacy,
    #[error("the signature does not hold for this text (key {0})")]
    Broken(String),
}

impl TrustedKey {
    /// Reads a key, or the file that holds one.
    pub(crate) fn read(key_or_path: &str) -> Result<Self, KeyError> {
        if let Some(key) = Self::of_line(key_or_path.trim()) {
            return Ok(key);
        }
        let path = Path::new(key_or_path);
        let text = RegularFile::open(path, MAX_BYTES).and_then(RegularFile::text);
        let text = text.map_err(|error| KeyError::File { path: key_or_path.to_owned(), error })?;
        // A file with a comment, or the key alone, as it is often handed out.
        let key = text.lines().map(str::trim).filter(|line| !line.is_empty()).find_map(Self::of_line);
        key.ok_or_else(|| KeyError::Key(key_or_path.to_owned()))
    }

    fn of_line(line: &str) -> Option<Self> {
        let key = PublicKey::from_base64(line).ok()?;
        let bytes = BASE64_STANDARD.decode(line).ok()?;
        let id: [u8; 8] = bytes.get(2..10)?.try_into().ok()?;
        Some(Self { key, id: format!("{:016X}", u64::from_le_bytes(id)) })
    }

    /// Returns the key's id, as `minisign` shows it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Verifies a text by a signature, and returns what the signature says.
    pub(super) fn verify(&self, text: &[u8], signature: &str) -> Result<SignatureFacts, SignatureError> {
        use minisign_verify::Error;
        let signature = Signature::decode(signature).map_err(SignatureError::Format)?;
        self.key.verify(text, &signature, false).map_err(|error| match error {
            Error::UnexpectedKeyId => SignatureError::OtherKey(self.id.clone()),
            Error::UnexpectedAlgorithm => SignatureError::Legacy,
            _ => SignatureError::Broken(self.id.clone()),
        })?;
        let comment = signature.trusted_comment().to_owned();
        Ok(SignatureFacts { key_id: self.id.clone(), signed_at: time_in(&comment), comment })
    }

    /// Verifies the text of a file by the signature beside it.
    pub(super) fn verify_beside(&self, path: &Path, text: &[u8]) -> Result<SignatureFacts, SignatureError> {
        let beside = signature_beside(path);
        let signature = RegularFile::open(&beside, MAX_BYTES).and_then(RegularFile::text);
        let signature = signature.map_err(|error| {
            let path = beside.display().to_string();
            SignatureError::File { path, error, key: self.id.clone() }
        })?;
        self.verify(text, &signature)
    }
}

impl fmt::Debug for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustedKey({})", self.id)
    }
}

/// Returns the path of a file's signature.
pub(super) fn signature_beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}

/// The seconds from which on a time has a year of five digits, which RFC 3339 does not spell. Milliseconds in their place
/// are far beyond.
const YEAR_10000: u64 = 253_402_300_800;

/// Returns the time that a comment says: `timestamp:1700000000`, as `minisign` writes it unless it is given another comment.
fn time_in(comment: &str) -> Option<SystemTime> {
    let words = comment.split(|c: char| c.is_whitespace() || c == ',');
    let mut seconds = words.filter_map(|word| word.strip_prefix("timestamp:")?.parse().ok());
    let seconds = seconds.find(|seconds| *seconds < YEAR_10000)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::super::signer::Signer;
    use super::*;

    #[test]
    fn a_time_in_milliseconds_or_beyond_all_years_is_none() {
        let seconds =
            |text| time_in(text).map(|at| at.duration_since(SystemTime::UNIX_EPOCH).expect("after").as_secs());

        assert_eq!(seconds("release 7, timestamp:1700000000"), Some(1_700_000_000));
        for wrong in ["timestamp:1700000000000", "timestamp:18446744073709551615", "timestamp:soon", "timestamp 5"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    /// What `minisign` 0.11 wrote, with a key that was thrown away.
    const KEY: &str = include_str!("../../tests/fixtures/signature/minisign.pub");
    const TEXT: &[u8] = include_bytes!("../../tests/fixtures/signature/text.yaml");
    const SIGNATURE: &str = include_str!("../../tests/fixtures/signature/text.yaml.minisig");
    const LEGACY: &str = include_str!("../../tests/fixtures/signature/text.yaml.legacy.minisig");

    fn key() -> TrustedKey {
        TrustedKey::of_line(KEY.lines().nth(1).expect("two lines")).expect("a key")
    }

    #[test]
    fn a_signature_that_minisign_made_holds_and_tells_key_comment_and_time() {
        let facts = key().verify(TEXT, SIGNATURE).expect("it holds");

        assert!(KEY.contains(&facts.key_id), "{} as in the key's own comment", facts.key_id);
        assert!(facts.comment.contains("release 7"), "{}", facts.comment);
        assert!(facts.signed_at.is_some());
    }

    #[test]
    fn another_text_another_comment_another_key_and_the_former_kind_do_not_hold() {
        let other = Signer::new(2);
        let refusal = |text: &[u8], signature: &str| key().verify(text, signature).expect_err("refused").to_string();

        assert!(refusal(b"version: 2", SIGNATURE).contains("does not hold"));
        assert!(refusal(TEXT, &SIGNATURE.replace("release 7", "release 8")).contains("does not hold"));
        assert!(refusal(TEXT, &other.sign(TEXT, "timestamp:1")).contains("by another key"));
        assert!(refusal(TEXT, LEGACY).contains("former kind"));
        assert!(refusal(TEXT, "").contains("none that minisign writes"));
    }

    #[test]
    fn a_key_is_read_from_text_and_from_files_with_and_without_a_comment() {
        let folder = tempfile::tempdir().expect("a folder");
        let line = KEY.lines().nth(1).expect("two lines");
        let (whole, bare, none) = (folder.path().join("a"), folder.path().join("b"), folder.path().join("c"));
        std::fs::write(&whole, KEY).expect("written");
        std::fs::write(&bare, format!("{line}\n")).expect("written");
        std::fs::write(&none, "nothing").expect("written");
        let read = |path: &Path| TrustedKey::read(path.to_str().expect("text"));

        assert_eq!(TrustedKey::read(line).expect("a key"), key());
        assert_eq!(read(&whole).expect("a key"), key());
        assert_eq!(read(&bare).expect("a key"), key());
        assert!(read(&none).expect_err("no key").to_string().contains("holds no public key"));
        assert!(TrustedKey::read("/no/such").expect_err("no file").to_string().starts_with("cannot read"));
    }

    #[test]
    fn the_time_of_a_comment_is_found_wherever_it_stands() {
        let time =
            |comment| time_in(comment).map(|at| at.duration_since(SystemTime::UNIX_EPOCH).expect("after").as_secs());

        assert_eq!(time("timestamp:1700000000\tfile:p.yaml\thashed"), Some(1_700_000_000));
        assert_eq!(time("release 7, timestamp:5"), Some(5));
        assert_eq!(time("timestamp:soon"), None);
        assert_eq!(time(""), None);
    }
}
