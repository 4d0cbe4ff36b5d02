//! The versions of the configuration file that were replaced here, kept beside it: the latest few, each listed and read
//! again under its name.
//!
//! A file is replaced in one step, by one with the same permissions, so that whoever reads it meanwhile reads one or the
//! other. Nothing outside the file's own folder is named by what a page sends.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use pointsman_core::config::Config;
use sha2::{Digest as _, Sha256};

/// The versions that are kept.
const KEPT: usize = 50;

/// The longest name of a version.
const MAX_NAME: usize = 64;

/// A configuration file and the versions beside it.
pub(super) struct VersionedFile {
    /// The file itself, not a link to it.
    path: PathBuf,
    folder: PathBuf,
}

/// A version that was replaced.
pub(super) struct FileVersion {
    /// The time when it was replaced and the beginning of its hash.
    pub(super) name: String,
    pub(super) bytes: u64,
}

impl VersionedFile {
    /// Finds the file that `path` leads to.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(path)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let folder = path.with_file_name(format!(".{name}.versions"));
        Ok(Self { path, folder })
    }

    /// Reads the file's text.
    pub(super) fn text(&self) -> io::Result<String> {
        Config::read_text(&self.path).map_err(io::Error::other)
    }

    /// Keeps the text that stands there as a version, and puts `text` in its place.
    pub(super) fn replace(&self, text: &str) -> io::Result<()> {
        self.keep(&self.text()?)?;
        self.put(text)
    }

    /// Puts `text` in the file's place in one step.
    pub(super) fn put(&self, text: &str) -> io::Result<()> {
        let permissions = fs::metadata(&self.path)?.permissions();
        let next = self.path.with_extension("pointsman-next");
        let _ = fs::remove_file(&next); // of a process that ended amid this
        let written = write_new(&next, text, Some(permissions)).and_then(|()| fs::rename(&next, &self.path));
        if written.is_err() {
            let _ = fs::remove_file(&next); // the first failure says more
        }
        written
    }

    /// Returns the versions, the newest first.
    pub(super) fn versions(&self) -> Vec<FileVersion> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let versions = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let bytes = entry.metadata().ok().filter(fs::Metadata::is_file)?.len();
            is_name(&name).then_some(FileVersion { name, bytes })
        });
        let mut versions: Vec<_> = versions.collect();
        versions.sort_by(|one, other| other.name.cmp(&one.name));
        versions
    }

    /// Reads the version called `name`; `None` where there is none.
    pub(super) fn version(&self, name: &str) -> Option<String> {
        let path = self.folder.join(Some(name).filter(|name| is_name(name))?);
        Config::read_text(&path).ok()
    }

    fn keep(&self, text: &str) -> io::Result<()> {
        let known = self.versions();
        let fingerprint = fingerprint(text);
        if known.first().is_some_and(|newest| newest.name.ends_with(&fingerprint)) {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let at = humantime::format_rfc3339_nanos(SystemTime::now()).to_string().replace([':', '.'], "-");
        write_new(&self.folder.join(format!("{at}-{fingerprint}")), text, None)?;
        for old in known.iter().skip(KEPT - 1) {
            fs::remove_file(self.folder.join(&old.name))?;
        }
        Ok(())
    }
}

/// Returns the beginning of a text's SHA-256, as the configuration's fingerprint is.
pub(super) fn fingerprint(text: &str) -> String {
    Sha256::digest(text.as_bytes())[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns whether a text could be the name of a version: no path leads out of the folder by it.
fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(is_part)
}

/// Writes a file that was not there, for its owner alone unless `permissions` say otherwise.
fn write_new(path: &Path, text: &str, permissions: Option<Permissions>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    if let Some(permissions) = permissions {
        file.set_permissions(permissions)?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(folder: &Path, text: &str) -> VersionedFile {
        let path = folder.join("p.yaml");
        fs::write(&path, text).expect("written");
        VersionedFile::at(&path).expect("it is there")
    }

    #[test]
    fn a_text_that_is_replaced_is_listed_and_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = file(folder.path(), "one");

        file.replace("two").expect("replaced");
        file.replace("three").expect("replaced");

        let versions = file.versions();
        assert_eq!(file.text().expect("a text"), "three");
        assert_eq!(versions.iter().map(|own| own.bytes).collect::<Vec<_>>(), [3, 3]);
        assert_eq!(file.version(&versions[1].name).as_deref(), Some("one"));
    }

    #[test]
    fn no_more_versions_are_kept_than_fifty() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = file(folder.path(), "0");

        (1..70).for_each(|text| file.replace(&text.to_string()).expect("replaced"));

        let versions = file.versions();
        assert_eq!(versions.len(), KEPT);
        assert_eq!(file.version(&versions[0].name).as_deref(), Some("68"));
    }

    #[test]
    fn the_file_keeps_its_permissions_and_versions_are_their_owner_s() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = file(folder.path(), "one");
        fs::set_permissions(&file.path, Permissions::from_mode(0o640)).expect("set");

        file.replace("two").expect("replaced");

        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode(&file.path), 0o640);
        assert_eq!(mode(&file.folder.join(&file.versions()[0].name)), 0o600);
    }

    #[test]
    fn a_link_stays_and_the_file_that_it_leads_to_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let (real, link) = (folder.path().join("real.yaml"), folder.path().join("link.yaml"));
        fs::write(&real, "one").expect("written");
        std::os::unix::fs::symlink("real.yaml", &link).expect("linked");

        VersionedFile::at(&link).expect("it is there").replace("two").expect("replaced");

        assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
        assert_eq!(fs::read_to_string(&real).expect("a text"), "two");
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_no_version() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = file(folder.path(), "one");
        file.replace("two").expect("replaced");

        for name in ["", "..", "../p.yaml", "/etc/hostname", ".", "a/b", "%2e%2e"] {
            assert_eq!(file.version(name), None, "{name:?}");
        }
    }
}
