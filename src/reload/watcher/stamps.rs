//! The stamps of files: what tells, without reading a file, that it is not what it was.
//!
//! Size and time of writing alone miss a file that was replaced by one of the same size and time (`rsync -t`, `cp -p`,
//! images). So a stamp also holds which file it is and when that was last changed in any way; where only these differ,
//! or the change is so young that another could have the same time, the hash of the content decides.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pointsman_core::config::RegularFile;
use sha2::{Digest as _, Sha256};

/// The age from which a change's time is its own: file systems keep time by ticks, some by two seconds.
const SETTLED: Duration = Duration::from_secs(3);

/// The largest file that is hashed. A larger one takes longer to write than a tick, and its stamp has to do.
const MAX_HASHED: u64 = 1 << 20;

/// The stamps of files at one time; `None` for a file that is not there.
#[derive(Debug, Default, Clone)]
pub(super) struct FileStamps(BTreeMap<PathBuf, Option<FileStamp>>);

/// The stamp of a file.
#[derive(Debug, Clone)]
pub(super) struct FileStamp {
    inode: FileInode,
    len: u64,
    /// The time of the last writing.
    written: SystemTime,
    /// The hash of the content of a file that is not too large.
    digest: Option<[u8; 32]>,
    /// The time when it was hashed.
    taken: SystemTime,
}

/// The file that a name stands for, and when that file was last changed in any way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileInode {
    device: u64,
    number: u64,
    changed: SystemTime,
}

/// The difference between two looks at files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileChange {
    /// The files are what they were.
    Nothing,
    /// A file is gone, perhaps only for as long as its replacement takes.
    Gone,
    /// A file came, or holds something else.
    Content,
}

impl FileStamps {
    /// Looks at `files`; reads only those whose stamps in `before` leave a doubt.
    pub(super) fn take(files: impl IntoIterator<Item = PathBuf>, before: &Self) -> Self {
        let stamp = |path: PathBuf| {
            let stamp = FileStamp::take(&path, before.of(&path));
            (path, stamp)
        };
        Self(files.into_iter().map(stamp).collect())
    }

    /// Returns how they differ from `before`. A file that is looked at for the first time has changed when that was
    /// after `loaded`, the beginning of the load that serves.
    pub(super) fn change_since(&self, before: &Self, loaded: SystemTime) -> FileChange {
        let mut change = FileChange::Nothing;
        for (path, now) in &self.0 {
            match (now, before.0.get(path)) {
                (None, Some(Some(_))) => return FileChange::Gone,
                (Some(now), Some(Some(before))) if !now.differs(before) => {}
                (Some(now), None) if now.changed() < loaded => {}
                (None, None | Some(None)) => {}
                (Some(_), _) => change = FileChange::Content,
            }
        }
        change
    }

    /// Returns the stamp of the file at `path`, if it was there.
    pub(super) fn of(&self, path: &Path) -> Option<&FileStamp> {
        self.0.get(path)?.as_ref()
    }

    /// Returns the files that are not there.
    pub(super) fn missing(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().filter(|(_, stamp)| stamp.is_none()).map(|(path, _)| path.as_path())
    }
}

impl FileStamp {
    fn take(path: &Path, before: Option<&Self>) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        let (len, written) = (found.len(), found.modified().unwrap_or(SystemTime::UNIX_EPOCH));
        let inode = FileInode::of(&found);
        let is_same = |before: &&Self| before.inode == inode && before.len == len && before.written == written;
        if let Some(before) = before.filter(is_same).filter(|before| before.is_settled()) {
            return Some(before.clone());
        }
        let taken = SystemTime::now(); // before the content is read, so that a change beside the reading is in doubt
        let digest = if found.is_file() && len <= MAX_HASHED { digest(path) } else { None };
        Some(Self { inode, len, written, digest, taken })
    }

    /// Returns when the file was last changed in any way.
    fn changed(&self) -> SystemTime {
        self.written.max(self.inode.changed)
    }

    /// Returns whether a later change would have a later time.
    fn is_settled(&self) -> bool {
        self.taken >= self.changed() + SETTLED
    }

    /// Returns whether the file may hold something else than it did.
    pub(super) fn differs(&self, before: &Self) -> bool {
        let content = match (&self.digest, &before.digest) {
            (Some(now), Some(before)) => now != before,
            (None, None) => self.inode != before.inode,
            _ => true,
        };
        content || self.len != before.len || self.written != before.written
    }
}

impl FileInode {
    fn of(found: &Metadata) -> Self {
        let since = Duration::new(
            u64::try_from(found.ctime()).unwrap_or_default(),
            u32::try_from(found.ctime_nsec()).unwrap_or_default(),
        );
        let changed = SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH);
        Self { device: found.dev(), number: found.ino(), changed }
    }
}

fn digest(path: &Path) -> Option<[u8; 32]> {
    let mut hash = Sha256::new();
    RegularFile::open(path, MAX_HASHED).ok()?.pieces(|piece| hash.update(piece)).ok()?;
    Some(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::fs::File;

    use super::*;

    const LONG_AGO: SystemTime = SystemTime::UNIX_EPOCH;

    fn look(path: &Path, before: &FileStamps) -> FileStamps {
        FileStamps::take([path.to_owned()], before)
    }

    fn set_time(path: &Path, time: SystemTime) {
        File::options().write(true).open(path).expect("it exists").set_modified(time).expect("a time");
    }

    #[test]
    fn other_content_of_the_same_size_and_time_is_a_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, next) = (folder.path().join("f"), folder.path().join("next"));
        let time = SystemTime::now() - Duration::from_hours(1);
        fs::write(&file, "one").expect("written");
        set_time(&file, time);
        let first = look(&file, &FileStamps::default());

        fs::write(&next, "two").expect("written");
        set_time(&next, time);
        fs::rename(&next, &file).expect("renamed");
        let replaced = look(&file, &first);
        fs::write(&file, "six").expect("written");
        set_time(&file, time);
        let rewritten = look(&file, &replaced);

        assert_eq!(replaced.change_since(&first, LONG_AGO), FileChange::Content);
        assert_eq!(rewritten.change_since(&replaced, LONG_AGO), FileChange::Content);
        assert_eq!(look(&file, &rewritten).change_since(&rewritten, LONG_AGO), FileChange::Nothing);
    }

    #[test]
    fn the_same_content_in_another_inode_and_other_rights_are_no_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, next) = (folder.path().join("f"), folder.path().join("next"));
        let time = SystemTime::now() - Duration::from_hours(1);
        for path in [&file, &next] {
            fs::write(path, "one").expect("written");
            set_time(path, time);
        }
        let first = look(&file, &FileStamps::default());

        fs::rename(&next, &file).expect("renamed");
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("own file");

        assert_eq!(look(&file, &first).change_since(&first, LONG_AGO), FileChange::Nothing);
    }

    #[test]
    fn a_file_that_is_gone_is_told_from_one_that_was_never_there_and_one_that_came() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("f");
        let never = look(&file, &FileStamps::default());
        fs::write(&file, "one").expect("written");
        let there = look(&file, &never);
        fs::remove_file(&file).expect("it exists");
        let gone = look(&file, &there);

        assert_eq!(never.change_since(&FileStamps::default(), LONG_AGO), FileChange::Nothing);
        assert_eq!(there.change_since(&never, LONG_AGO), FileChange::Content);
        assert_eq!(gone.change_since(&there, LONG_AGO), FileChange::Gone);
        assert_eq!(gone.missing().collect::<Vec<_>>(), [file.as_path()]);
    }

    #[test]
    fn a_first_look_finds_what_changed_since_the_load_began() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("f");
        fs::write(&file, "one").expect("written");
        let first = look(&file, &FileStamps::default());
        let (before, after) = (SystemTime::now() - Duration::from_mins(1), SystemTime::now() + Duration::from_mins(1));

        assert_eq!(first.change_since(&FileStamps::default(), before), FileChange::Content);
        assert_eq!(first.change_since(&FileStamps::default(), after), FileChange::Nothing);
    }
}
