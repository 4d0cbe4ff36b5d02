//! The file that is written, and the full ones beside it.
//!
//! `decisions.jsonl` that is full becomes `decisions.2026-11-21T23-20-44.123456Z.jsonl`: names sort by age, and nothing
//! that is full is ever touched again but to be removed. Several writers may have the same path, in one process or in
//! several: they take turns.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pointsman_core::config;

/// The least difference between the times in two files' names.
const TICK: Duration = Duration::from_micros(1);

/// The number of times that the file may be found moved before a write is given up.
const MOST_MOVES: u32 = 100;

/// The file that is written, and the full ones beside it.
pub(super) struct LogFiles {
    path: PathBuf,
    max_bytes: u64,
    max_age: Duration,
    max_files: usize,
    open: Option<OpenLogFile>,
    /// The time in the newest full file's name.
    latest: SystemTime,
    now: fn() -> SystemTime,
}

struct OpenLogFile {
    file: File,
    since: SystemTime,
    /// Device and inode of the path's file at the time when it was opened.
    identity: (u64, u64),
}

/// The file with the right to write to it: another writer of the same path (the one before a reload, another process)
/// waits.
struct AppendLock {
    open: OpenLogFile,
    /// The offset of the next line.
    end: u64,
    /// True when the lock was granted: not every file system can.
    alone: bool,
}

impl LogFiles {
    pub(super) fn new(section: &config::DecisionLogConfig, base_dir: &Path) -> Self {
        Self {
            path: base_dir.join(&section.path),
            max_bytes: section.max_bytes,
            max_age: section.max_age.0,
            max_files: section.max_files,
            open: None,
            latest: SystemTime::UNIX_EPOCH,
            now: SystemTime::now,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends whole lines, to a new file if the current one is full. After an error the file is as it was before, as
    /// far as the disk allows, and the next call opens it anew.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.append_by(lines, File::write_all)
    }

    fn append_by(&mut self, lines: &[u8], write: impl FnOnce(&mut File, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut turn = self.turn(lines.len() as u64)?;
        let written = write(&mut turn.open.file, lines);
        if written.is_err() && turn.alone {
            let _ = turn.open.file.set_len(turn.end); // half a line is worse than none, but none may be possible
        }
        let _ = turn.open.file.unlock(); // closing it does as well
        self.open = written.is_ok().then_some(turn.open);
        written
    }

    /// Brings what was written to the disk itself.
    pub(super) fn sync(&self) {
        if let Some(open) = &self.open {
            let _ = open.file.sync_data(); // the next write says what is wrong
        }
    }

    /// Waits for the turn to write `more` bytes. What somebody else moved or removed is not written any more.
    fn turn(&mut self, more: u64) -> io::Result<AppendLock> {
        for _ in 0..MOST_MOVES {
            let open = self.open.take().map_or_else(|| self.open(), Ok)?;
            let alone = open.file.lock().is_ok();
            if identity(&self.path) != Some(open.identity) {
                continue;
            }
            let end = end_line(&open.file)?;
            let age = (self.now)().duration_since(open.since).unwrap_or_default();
            if end == 0 || (end + more <= self.max_bytes && age < self.max_age) {
                return Ok(AppendLock { open, end, alone });
            }
            let full = self.full_name();
            fs::rename(&self.path, full)?;
            self.prune();
        }
        Err(io::Error::other("the file is moved again and again"))
    }

    fn open(&self) -> io::Result<OpenLogFile> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Only the owner may read it: it may hold prompts.
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)?;
        let metadata = file.metadata()?;
        let since =
            if metadata.len() == 0 { (self.now)() } else { metadata.created().or_else(|_| metadata.modified())? };
        Ok(OpenLogFile { file, since, identity: (metadata.dev(), metadata.ino()) })
    }

    /// Returns a name that nobody has, by the time; of two files that fill at once the later one has the later name.
    fn full_name(&mut self) -> PathBuf {
        let (stem, extension) = self.parts();
        let mut time = (self.now)().max(self.latest + TICK);
        loop {
            let name = humantime::format_rfc3339_micros(time).to_string().replace(':', "-");
            let path = self.path.with_file_name(format!("{stem}.{name}{extension}"));
            if !path.exists() {
                self.latest = time;
                return path;
            }
            time += TICK;
        }
    }

    /// Removes the oldest full files, so that with the one to come there are no more than are kept.
    fn prune(&self) {
        let (stem, extension) = self.parts();
        let is_full = |name: &str| {
            let middle = name.strip_prefix(&stem).and_then(|rest| rest.strip_prefix('.'))?.strip_suffix(&extension)?;
            (middle.len() >= 24 && middle.as_bytes()[10] == b'T' && middle.contains('Z')).then_some(())
        };
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut full: Vec<PathBuf> =
            entries.map(|entry| entry.path()).filter(|path| is_full(&file_name(path)).is_some()).collect();
        full.sort_unstable();
        let surplus = (full.len() + 1).saturating_sub(self.max_files);
        for path in &full[..surplus.min(full.len())] {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "An old decision log cannot be removed");
            }
        }
    }

    /// Returns the file's name before its extension, and the extension with its dot.
    fn parts(&self) -> (String, String) {
        let stem = self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let extension = self.path.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
        (stem, extension.unwrap_or_default())
    }
}

/// Ends a line that a crash cut; returns where the next one begins.
fn end_line(mut file: &File) -> io::Result<u64> {
    let end = file.metadata()?.len();
    let mut last = [b'\n'];
    if end > 0 {
        file.read_exact_at(&mut last, end - 1)?;
    }
    if last == [b'\n'] {
        return Ok(end);
    }
    file.write_all(b"\n")?;
    Ok(end + 1)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use pointsman_core::config::TimeSpan;

    use super::*;

    fn section(path: &Path) -> config::DecisionLogConfig {
        config::DecisionLogConfig {
            path: path.to_owned(),
            text: false,
            max_text_bytes: 100,
            hash_key: None,
            max_bytes: 10,
            max_age: TimeSpan::from_secs(3600),
            max_files: 3,
            queue: 4,
            answers: None,
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).expect("a folder").map(|entry| file_name(&entry.expect("an entry").path())).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_full_file_makes_way_and_the_oldest_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut files = LogFiles::new(&section(Path::new("logs/d.jsonl")), folder.path());

        for line in 0..6 {
            files.append(format!("line {line}\n").as_bytes()).expect("written");
        }

        let logs = folder.path().join("logs");
        let names = names(&logs);
        assert_eq!(names.len(), 3, "{names:?}");
        assert_eq!(fs::read_to_string(logs.join("d.jsonl")).expect("a file"), "line 5\n");
        assert_eq!(fs::read_to_string(logs.join(&names[0])).expect("a file"), "line 3\n", "{names:?}");
    }

    #[test]
    fn lines_that_fit_share_a_file_and_files_of_others_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut section = section(Path::new("d.jsonl"));
        section.max_files = 1;
        fs::write(folder.path().join("d.notes.jsonl"), "mine").expect("written");
        let mut files = LogFiles::new(&section, folder.path());

        for line in ["1234\n", "6789\n", "x\n"] {
            files.append(line.as_bytes()).expect("written");
        }

        assert_eq!(names(folder.path()), ["d.jsonl", "d.notes.jsonl"]);
        assert_eq!(fs::read_to_string(folder.path().join("d.jsonl")).expect("a file"), "x\n");
    }

    #[test]
    fn an_old_file_makes_way_whatever_its_size() {
        static NOW: AtomicU64 = AtomicU64::new(0);
        let folder = tempfile::tempdir().expect("a folder");
        let start = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
        NOW.store(start, Ordering::Relaxed);
        let mut section = section(Path::new("d.jsonl"));
        section.max_bytes = 1000;
        let mut files = LogFiles::new(&section, folder.path());
        files.now = || SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.load(Ordering::Relaxed));

        files.append(b"a\n").expect("written");
        NOW.store(start + 3599, Ordering::Relaxed);
        files.append(b"b\n").expect("written");
        NOW.store(start + 3601, Ordering::Relaxed);
        files.append(b"c\n").expect("written");

        assert_eq!(fs::read_to_string(folder.path().join("d.jsonl")).expect("a file"), "c\n");
        assert_eq!(names(folder.path()).len(), 2);
    }

    #[test]
    fn a_line_that_a_crash_cut_is_ended_before_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("d.jsonl");
        fs::write(&path, "{\"half").expect("written");
        let mut section = section(Path::new("d.jsonl"));
        section.max_bytes = 1000;

        LogFiles::new(&section, folder.path()).append(b"{}\n").expect("written");

        assert_eq!(fs::read_to_string(path).expect("a file"), "{\"half\n{}\n");
    }

    #[test]
    fn a_folder_that_was_removed_is_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let logs = folder.path().join("logs");
        let mut files = LogFiles::new(&section(Path::new("logs/d.jsonl")), folder.path());
        files.append(b"a\n").expect("written");

        fs::remove_dir_all(&logs).expect("removed");
        files.append(b"b\n").expect("written");

        assert_eq!(fs::read_to_string(logs.join("d.jsonl")).expect("a file"), "b\n");
    }

    #[test]
    fn a_write_that_fails_takes_back_its_own_bytes_and_no_other_writer_s() {
        let folder = tempfile::tempdir().expect("a folder");
        let section = section(Path::new("d.jsonl"));
        let [mut one, mut other] = [(); 2].map(|()| LogFiles::new(&section, folder.path()));
        one.append(b"a\n").expect("written");
        other.append(b"b\n").expect("written");

        let failed = one.append_by(b"half\n", |file, lines| {
            file.write_all(&lines[..2])?;
            Err(io::ErrorKind::StorageFull.into())
        });
        one.append(b"c\n").expect("written");

        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(folder.path().join("d.jsonl")).expect("a file"), "a\nb\nc\n");
    }

    #[test]
    fn several_writers_lose_no_line_while_files_fill() {
        let folder = tempfile::tempdir().expect("a folder");
        let section = config::DecisionLogConfig { max_bytes: 100, max_files: 1000, ..section(Path::new("d.jsonl")) };
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let mut files = LogFiles::new(&section, folder.path());
                scope.spawn(move || {
                    for line in 0..100 {
                        files.append(format!("{writer} {line:03}\n").as_bytes()).expect("written");
                    }
                });
            }
        });

        let read = |name: &String| fs::read_to_string(folder.path().join(name)).expect("a file");
        let text: String = names(folder.path()).iter().map(read).collect();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!((lines.len(), text.len()), (400, 400 * 6));
    }
}
