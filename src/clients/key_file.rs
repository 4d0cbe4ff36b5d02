//! A registry of client keys in a file: a record a line, replaced as a whole.
//!
//! Whoever changes it holds a lock beside it, so that the command line and a running gateway do not undo each other's
//! changes. The file is its owner's alone.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pointsman_core::config::{RegularFile, RegularFileError};

use super::issued_key::IssuedKey;
use super::registry::KeyRegistryError;

/// The largest file that is read: some hundred thousand keys.
const MAX_BYTES: u64 = 64 << 20;

/// The longest wait for whoever changes the file.
const PATIENCE: Duration = Duration::from_secs(2);

/// The pause between two looks at a lock.
const PAUSE: Duration = Duration::from_millis(10);

/// A registry of client keys in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyFile {
    path: PathBuf,
    max_bytes: u64,
}

/// The mark of a file's content that tells one from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileStamp {
    changed: Option<std::time::SystemTime>,
    bytes: u64,
    inode: u64,
}

impl KeyFile {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, max_bytes: MAX_BYTES }
    }

    /// Returns the mark of what the file holds now; `None` where there is no file.
    pub(super) fn stamp(&self) -> Option<FileStamp> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = fs::metadata(&self.path).ok()?;
        Some(FileStamp { changed: metadata.modified().ok(), bytes: metadata.len(), inode: metadata.ino() })
    }

    /// Reads every record; a file that is not there has none.
    ///
    /// # Errors
    /// When it cannot be read, or a line is no record.
    pub(super) fn read(&self) -> Result<Vec<IssuedKey>, KeyRegistryError> {
        let unreadable = |error: RegularFileError| KeyRegistryError::Unreadable { message: error.to_string() };
        if let Err(error) = fs::metadata(&self.path)
            && error.kind() == io::ErrorKind::NotFound
        {
            return Ok(Vec::new());
        }
        let text = RegularFile::open(&self.path, self.max_bytes).and_then(RegularFile::text).map_err(unreadable)?;
        parse(&text)
    }

    /// Changes the records, while nobody else does. Blocks for as long as that takes, which is bounded.
    ///
    /// # Errors
    /// When the file cannot be read or written, is being changed for too long or has no room, or `change` refuses.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<IssuedKey>) -> Result<T, KeyRegistryError>,
    ) -> Result<(T, Vec<IssuedKey>), KeyRegistryError> {
        let _lock = self.lock()?;
        let mut records = self.read()?;
        let changed = change(&mut records)?;
        let text = lines(&records);
        // A larger one could not be read any more, and nobody's key would be good after a restart.
        if text.len() as u64 > self.max_bytes {
            return Err(KeyRegistryError::Full);
        }
        self.write(&text).map_err(|source| KeyRegistryError::Unwritable { source })?;
        Ok((changed, records))
    }

    /// Tries whether the file could be replaced, by writing one beside it and taking that away again. Leaves nothing behind,
    /// a lock least of all: whose it is, others could not take.
    ///
    /// # Errors
    /// When it could not.
    pub(super) fn try_writing(&self) -> Result<(), KeyRegistryError> {
        let unwritable = |source: io::Error| KeyRegistryError::Unwritable { source };
        let lock = OpenOptions::new().write(true).open(beside(&self.path, "lock"));
        if let Err(error) = lock.map(drop)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(unwritable(error));
        }
        let trial = beside(&self.path, &format!("trial-{}", std::process::id()));
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&trial).map_err(unwritable)?;
        fs::remove_file(&trial).map_err(unwritable)
    }

    fn lock(&self) -> Result<File, KeyRegistryError> {
        let unwritable = |source: io::Error| KeyRegistryError::Unwritable { source };
        let beside = beside(&self.path, "lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(beside);
        let file = file.map_err(unwritable)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::park_timeout(PAUSE),
                Err(TryLockError::WouldBlock) => return Err(KeyRegistryError::Busy),
                Err(TryLockError::Error(source)) => return Err(unwritable(source)),
            }
        }
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let next = beside(&self.path, "next");
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&next)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&next, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

/// Returns records as text, one a line.
pub(super) fn lines(records: &[IssuedKey]) -> String {
    records.iter().filter_map(|record| serde_json::to_string(record).ok()).map(|line| line + "\n").collect()
}

/// Reads records, one a line.
///
/// # Errors
/// Names the first line that is none, and repeats nothing of it.
pub(super) fn parse(text: &str) -> Result<Vec<IssuedKey>, KeyRegistryError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let record = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|_| KeyRegistryError::BadRecord { line: index + 1 })
    };
    lines.map(record).collect()
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

#[cfg(test)]
mod tests {
    use pointsman_core::config::Name;

    use super::super::NewKey;
    use super::*;

    #[test]
    fn a_file_that_could_not_be_replaced_is_found_out_and_a_trial_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let in_it = |name: &str| KeyFile::at(folder.path().join(name));

        assert!(in_it("keys.jsonl").try_writing().is_ok());
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
        let nowhere = in_it("no/such/keys.jsonl").try_writing().expect_err("there is no folder");
        assert!(matches!(nowhere, KeyRegistryError::Unwritable { .. }), "{nowhere}");
        fs::create_dir(folder.path().join("keys.jsonl.lock")).expect("a folder");
        assert!(in_it("keys.jsonl").try_writing().is_err(), "nobody can take the lock");
    }

    fn made(client: &str) -> IssuedKey {
        let order = NewKey { client: Name::new(client).expect("a name"), expires: None, note: None };
        IssuedKey::make(order, 7).expect("random bytes").0
    }

    fn add(file: &KeyFile) {
        let changed = file.change(|records| {
            records.push(made("web"));
            Ok(())
        });
        changed.expect("changed");
    }

    #[test]
    fn changes_at_once_are_all_kept_and_the_file_is_its_owner_s() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = KeyFile::at(folder.path().join("keys.jsonl"));

        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        add(&file);
                    }
                });
            }
        });

        assert_eq!(file.read().expect("records").len(), 40);
        let mode = fs::metadata(&file.path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }

    #[test]
    fn a_file_that_is_not_there_is_empty_and_a_bad_line_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = KeyFile::at(folder.path().join("keys.jsonl"));

        assert_eq!((file.read().expect("none"), file.stamp()), (Vec::new(), None));
        fs::write(&file.path, lines(&[made("web")]) + "\n{\"id\": \"pm-secret\"}\n").expect("written");

        let error = file.read().expect_err("a bad line").to_string();
        assert_eq!(error, "line 3 is no record of a client key");
    }

    #[test]
    fn a_file_that_could_not_be_read_any_more_is_not_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = KeyFile::at(folder.path().join("keys.jsonl"));
        add(&file);
        let bytes = fs::metadata(&file.path).expect("it is there").len();
        let file = KeyFile { max_bytes: 2 * bytes - 1, ..file };

        let second = file.change(|records| {
            records.push(made("web"));
            Ok(())
        });

        assert!(matches!(second, Err(KeyRegistryError::Full)), "{second:?}");
        assert_eq!(file.read().expect("records").len(), 1);
    }

    #[test]
    fn a_change_that_is_refused_leaves_the_file_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = KeyFile::at(folder.path().join("keys.jsonl"));
        add(&file);

        let refused = file.change(|records| {
            records.clear();
            Err::<(), _>(KeyRegistryError::Busy)
        });

        assert!(refused.is_err());
        assert_eq!(file.read().expect("records").len(), 1);
    }
}
