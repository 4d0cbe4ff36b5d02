//! The files whose change starts a reload.

use std::path::PathBuf;

use pointsman_core::config::{FileRole, NamesFiles as _};

use super::Reloader;

impl Reloader {
    /// Returns the folders of the bundles that serve, shadows included.
    pub(super) fn bundle_folders(&self) -> Vec<PathBuf> {
        self.named_files(|role| role == FileRole::BundleFolder)
    }

    /// Returns the files whose change starts a reload: the configuration and those that it names, bundles apart.
    pub(super) fn watched_files(&self) -> Vec<PathBuf> {
        let mut files = self.named_files(|role| role.is_watched() && role != FileRole::BundleFolder);
        if self.source().as_http().is_none() {
            files.push(self.path().to_owned());
        }
        files.extend(self.source().watched_files());
        files
    }

    /// Returns the files that the snapshot names which serves, and those of one that is held back: its certificates serve,
    /// and its weights may change.
    fn named_files(&self, is_wanted: impl Fn(FileRole) -> bool) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for snapshot in [Some(self.router.snapshot()), self.load.held()].into_iter().flatten() {
            let named = snapshot.config.files().into_iter().filter(|file| is_wanted(file.role));
            files.extend(named.map(|file| self.builder.base_dir().join(file.path)));
        }
        files.sort();
        files.dedup();
        files
    }
}
