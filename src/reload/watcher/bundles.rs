//! The files of a bundle's folder that matter: its manifest, and those that the manifest names.
//!
//! Anything else in the folder may change as it likes. Of a manifest that cannot be read every file counts, because its
//! next change may be the one that mends it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pointsman_classifier::Bundle;

use super::stamps::{FileStamp, FileStamps};

/// The manifest's name within a bundle's folder.
const MANIFEST: &str = "bundle.yaml";

/// The files of bundles, by folder; a manifest is read again when its stamp says so.
#[derive(Debug, Default)]
pub(super) struct BundleFiles {
    known: BTreeMap<PathBuf, KnownManifest>,
}

/// A manifest that was read.
#[derive(Debug)]
struct KnownManifest {
    stamps: FileStamps,
    /// The names of its files; `None` for one that is missing or no manifest.
    names: Option<Vec<String>>,
}

impl BundleFiles {
    /// Returns the files of the bundle in `folder`.
    pub(super) fn of(&mut self, folder: &Path) -> Vec<PathBuf> {
        let manifest = folder.join(MANIFEST);
        let known = self.known.get(folder);
        let before = known.map(|known| known.stamps.clone()).unwrap_or_default();
        let stamps = FileStamps::take([manifest.clone()], &before);
        let is_same = |known: &&KnownManifest| match (stamps.of(&manifest), known.stamps.of(&manifest)) {
            (Some(now), Some(before)) => !FileStamp::differs(now, before),
            _ => false,
        };
        let names = match known.filter(is_same) {
            Some(known) => known.names.clone(),
            None => names(folder),
        };
        let files = match &names {
            Some(names) => names.iter().map(|name| folder.join(name)).chain([manifest]).collect(),
            None => entries(folder).into_iter().chain([manifest]).collect(),
        };
        self.known.insert(folder.to_owned(), KnownManifest { stamps, names });
        files
    }
}

fn names(folder: &Path) -> Option<Vec<String>> {
    Some(Bundle::read_manifest(folder).ok()?.files.into_keys().collect())
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
