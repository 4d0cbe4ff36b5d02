//! The copy of the last text that served, so that a process starts while the source is away.
//!
//! One file holds the text, its signature and its validators, so that they belong together whenever the process ends. It is
//! written beside and renamed, for the owner alone to read. A copy is believed no more than the network: its signature is verified
//! when it is read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ::http::Uri;
use pointsman_core::config::{Config, RegularFile, RegularFileError};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::fetch::{FetchedText, Validators, without_query};
use super::signature::{SignatureError, TrustedKey};

/// The largest copy: a text of the largest size, as JSON spells the worst of it, and its signature.
const MAX_BYTES: u64 = 8 * Config::MAX_FILE_BYTES as u64;

/// The form of the file.
const FORMAT: u32 = 1;

/// The place of a copy.
#[derive(Debug)]
pub(super) struct KeptCopy {
    folder: PathBuf,
    path: PathBuf,
    /// The URL without its query, for people who look into the file.
    url: String,
}

/// The file's content.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CopyContent {
    format: u32,
    url: String,
    etag: Option<String>,
    last_modified: Option<String>,
    signature: Option<String>,
    text: String,
}

/// The reason why there is no copy to start from.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error("no copy is kept")]
    None,
    #[error("cannot read `{}`: {error}", path.display())]
    File { path: PathBuf, error: RegularFileError },
    #[error("`{}` is no copy of a configuration", .0.display())]
    Format(PathBuf),
    #[error("`{}`: {error}", path.display())]
    Signature { path: PathBuf, error: SignatureError },
    #[error("`{}` holds no signature, and one is wanted now", .0.display())]
    Unsigned(PathBuf),
}

impl KeptCopy {
    /// Returns the place of the copy of what is at `url`; each URL has its own.
    pub(super) fn of(folder: &Path, url: &Uri) -> Self {
        let digest = Sha256::digest(url.to_string().as_bytes());
        let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let path = folder.join(format!("configuration-{name}.json"));
        Self { folder: folder.to_owned(), path, url: without_query(url) }
    }

    /// Reads the copy and verifies it.
    pub(super) fn read(&self, key: Option<&TrustedKey>) -> Result<FetchedText, CopyError> {
        let bytes = RegularFile::open(&self.path, MAX_BYTES).and_then(RegularFile::bytes);
        let bytes = bytes.map_err(|error| match error {
            RegularFileError::System(error) if error.kind() == io::ErrorKind::NotFound => CopyError::None,
            error => CopyError::File { path: self.path.clone(), error },
        })?;
        let content: CopyContent = serde_json::from_slice(&bytes).map_err(|_| CopyError::Format(self.path.clone()))?;
        if content.format != FORMAT {
            return Err(CopyError::Format(self.path.clone()));
        }
        let CopyContent { etag, last_modified, signature, text, .. } = content;
        let facts = match (key, &signature) {
            (None, _) => None,
            (Some(_), None) => return Err(CopyError::Unsigned(self.path.clone())),
            (Some(key), Some(signature)) => {
                let verified = key.verify(text.as_bytes(), signature);
                Some(verified.map_err(|error| CopyError::Signature { path: self.path.clone(), error })?)
            }
        };
        Ok(FetchedText { text, signature, facts, validators: Validators { etag, last_modified } })
    }

    /// Puts a text in the place of the copy in one step.
    pub(super) fn keep(&self, fetched: &FetchedText) -> io::Result<()> {
        let FetchedText { text, signature, validators, .. } = fetched;
        let Validators { etag, last_modified } = validators.clone();
        let (text, signature) = (text.clone(), signature.clone());
        let content = CopyContent { format: FORMAT, url: self.url.clone(), etag, last_modified, signature, text };
        let bytes = serde_json::to_vec(&content).map_err(io::Error::other)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let next = self.path.with_extension("next");
        let _ = fs::remove_file(&next); // of a process that ended amid this
        let written = write_whole(&next, &bytes).and_then(|()| fs::rename(&next, &self.path));
        if written.is_err() {
            let _ = fs::remove_file(&next); // the first failure says more
        }
        written?;
        File::open(&self.folder)?.sync_all()
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::signer::Signer;
    use super::*;

    fn fetched(text: &str, signature: Option<String>) -> FetchedText {
        let validators = Validators { etag: Some("\"1\"".to_owned()), last_modified: None };
        FetchedText { text: text.to_owned(), signature, facts: None, validators }
    }

    #[test]
    fn a_copy_is_read_as_it_was_kept_by_its_owner_alone_and_each_url_has_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("a/b");
        let at = |url: &str| KeptCopy::of(&deep, &url.parse().expect("a URL"));
        let (one, two) = (at("https://h.example/1?token=secret"), at("https://h.example/2"));

        one.keep(&fetched("version: 1\n", None)).expect("kept");
        one.keep(&fetched("version: 1 # again\n", None)).expect("kept again");
        let read = one.read(None).expect("a copy");

        assert_eq!((read.text.as_str(), read.validators.etag.as_deref()), ("version: 1 # again\n", Some("\"1\"")));
        assert!(matches!(two.read(None), Err(CopyError::None)));
        assert_eq!(fs::metadata(&one.path).expect("it is there").permissions().mode() & 0o777, 0o600);
        assert!(!fs::read_to_string(&one.path).expect("text").contains("secret"));
        assert_eq!(fs::read_dir(&deep).expect("a folder").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_copy_that_somebody_changed_or_nobody_signed_does_not_count() {
        let folder = tempfile::tempdir().expect("a folder");
        let copy = KeptCopy::of(folder.path(), &"https://h.example/1".parse().expect("a URL"));
        let signer = Signer::new(1);
        let key = TrustedKey::read(&signer.public_key()).expect("a key");
        let signature = signer.sign(b"version: 1\n", "timestamp:5");

        copy.keep(&fetched("version: 1\n", Some(signature.clone()))).expect("kept");
        assert!(copy.read(Some(&key)).expect("it holds").facts.is_some());
        copy.keep(&fetched("version: 1 # changed\n", Some(signature))).expect("kept");
        assert!(matches!(copy.read(Some(&key)), Err(CopyError::Signature { .. })));
        copy.keep(&fetched("version: 1\n", None)).expect("kept");
        assert!(matches!(copy.read(Some(&key)), Err(CopyError::Unsigned(_))));
        fs::write(&copy.path, "{").expect("written");
        assert!(matches!(copy.read(None), Err(CopyError::Format(_))));
    }
}
