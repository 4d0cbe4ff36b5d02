//! The files of a bundle's folder: regular ones within bounds, each read whole and used only if its hash is right.
//!
//! What is hashed are the bytes that are used, so a folder that changes meanwhile cannot slip through. A large file is
//! hashed piece by piece first: a wrong one must not take memory from the process that serves.

use std::collections::BTreeMap;
use std::path::Path;

use pointsman_core::config::RegularFile;
use sha2::{Digest as _, Sha256};

use super::{BundleError, hex};
use crate::manifest::{FILE, Manifest};

/// The largest manifest.
const MAX_MANIFEST: u64 = 1 << 20;

/// The largest file that is read into memory before its hash is known.
const HASHED_IN_MEMORY: u64 = 64 << 20;

/// The bytes of every file of the manifest, hashes checked.
pub(super) struct VerifiedFiles(BTreeMap<String, Vec<u8>>);

/// A file that a manifest lists.
struct ListedFile<'m> {
    folder: &'m Path,
    name: &'m str,
    sha256: &'m str,
    max_bytes: u64,
}

impl VerifiedFiles {
    /// Reads every file but the model's graph.
    pub(super) fn read(folder: &Path, manifest: &Manifest) -> Result<Self, BundleError> {
        let read = |file: ListedFile<'_>| Ok((file.name.to_owned(), file.read()?));
        let files = listed(folder, manifest).filter(|file| file.name != manifest.encoder.file);
        files.map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Reads the model's graph, which is most of a bundle.
    pub(super) fn read_model(folder: &Path, manifest: &Manifest) -> Result<Vec<u8>, BundleError> {
        let file = listed(folder, manifest).find(|file| file.name == manifest.encoder.file);
        file.map(|file| file.read()).transpose().map(Option::unwrap_or_default)
    }

    /// Checks the hash of every file, and keeps nothing.
    pub(super) fn check(folder: &Path, manifest: &Manifest) -> Result<(), BundleError> {
        listed(folder, manifest).try_for_each(|file| file.check())
    }

    /// Takes a file's bytes out.
    pub(super) fn take(&mut self, file: &str) -> Vec<u8> {
        self.0.remove(file).unwrap_or_default()
    }

    /// Returns the files that were not taken out.
    pub(super) fn rest(self) -> BTreeMap<String, Vec<u8>> {
        self.0
    }
}

/// Reads the manifest's bytes.
pub(super) fn manifest(folder: &Path) -> Result<Vec<u8>, BundleError> {
    let path = folder.join(FILE);
    let bytes = RegularFile::open(&path, MAX_MANIFEST).and_then(RegularFile::bytes);
    bytes.map_err(|problem| BundleError::Read { path, problem })
}

fn listed<'m>(folder: &'m Path, manifest: &'m Manifest) -> impl Iterator<Item = ListedFile<'m>> {
    let file = move |(name, sha256): (&'m String, &'m String)| ListedFile {
        folder,
        name,
        sha256,
        max_bytes: max_bytes(manifest, name),
    };
    manifest.files.iter().map(file)
}

/// Returns the most bytes of a file, by what the manifest has it for.
fn max_bytes(manifest: &Manifest, name: &str) -> u64 {
    let is = |file: &Option<String>| file.as_deref() == Some(name);
    if name == manifest.golden_file {
        16 << 20
    } else if is(&manifest.features_file) || is(&manifest.reference_file) {
        4 << 20
    } else if manifest.ngrams.as_ref().is_some_and(|ngrams| ngrams.file == name) {
        1 << 20
    } else if name == manifest.tokenizer.file {
        256 << 20
    } else if is(&manifest.heads_file) {
        1 << 30
    } else if name == manifest.encoder.file {
        2 << 30 // no message of protobuf is larger
    } else {
        32 << 30
    }
}

impl ListedFile<'_> {
    fn read(&self) -> Result<Vec<u8>, BundleError> {
        if self.open()?.len() > HASHED_IN_MEMORY {
            self.check()?;
        }
        let path = self.folder.join(self.name);
        let bytes = self.open()?.bytes().map_err(|problem| BundleError::Read { path, problem })?;
        self.compare(Sha256::digest(&bytes).into(), bytes.len() as u64)?;
        Ok(bytes)
    }

    fn check(&self) -> Result<(), BundleError> {
        let mut hash = Sha256::new();
        let path = self.folder.join(self.name);
        let bytes = self.open()?.pieces(|piece| hash.update(piece));
        self.compare(hash.finalize().into(), bytes.map_err(|problem| BundleError::Read { path, problem })?)
    }

    fn open(&self) -> Result<RegularFile, BundleError> {
        let path = self.folder.join(self.name);
        RegularFile::open(&path, self.max_bytes).map_err(|problem| BundleError::Read { path, problem })
    }

    fn compare(&self, digest: [u8; 32], bytes: u64) -> Result<(), BundleError> {
        let actual = hex(&digest);
        if actual.eq_ignore_ascii_case(self.sha256) {
            return Ok(());
        }
        let (file, expected) = (self.name.to_owned(), self.sha256.to_owned());
        Err(BundleError::Hash { file, bytes, expected, actual })
    }
}
