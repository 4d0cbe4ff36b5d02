//! The one reader of files that a configuration or a bundle names.
//!
//! Regular files only, and never more than a bound of bytes: a pipe, a socket or a device would hold the reader up for as
//! long as it likes, and an endless file would take all memory. A file system that does not answer still holds the
//! reader up; whoever reads has a deadline for that.

use std::fmt;
use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// An open file that is known to be regular, and not to be larger than it may be.
#[derive(Debug)]
pub struct RegularFile {
    file: File,
    len: u64,
    max_bytes: u64,
}

/// An error of reading a file. The message does not name the file.
#[derive(Debug, thiserror::Error)]
pub enum RegularFileError {
    /// The operating system refuses.
    #[error(transparent)]
    System(#[from] io::Error),
    /// The path leads to something else than a file.
    #[error("is {kind} (allowed: a regular file of at most {})", ByteCount(*.max_bytes))]
    Kind {
        /// The kind, with its article.
        kind: &'static str,
        /// The bound for a file in this place.
        max_bytes: u64,
    },
    /// The file is larger than it may be.
    #[error("has more bytes than are read (allowed: a regular file of at most {})", ByteCount(*.max_bytes))]
    Size {
        /// The bound.
        max_bytes: u64,
    },
    /// The file is no text.
    #[error("is not UTF-8 (allowed: text)")]
    Text,
}

/// A number of bytes, as people write a bound.
struct ByteCount(u64);

impl RegularFile {
    /// Opens the file at `path`, links followed, of which at most `max_bytes` will be read.
    ///
    /// # Errors
    /// When there is none, it is no regular file, or it is larger than that.
    pub fn open(path: &Path, max_bytes: u64) -> Result<Self, RegularFileError> {
        // Before it is opened, because opening some devices does something.
        check(&std::fs::metadata(path)?, max_bytes)?;
        // A pipe that takes its place in between must not wait for its other end.
        let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        check(&metadata, max_bytes)?;
        Ok(Self { file, len: metadata.len(), max_bytes })
    }

    /// Returns the file's size at the time when it was opened.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Returns whether the file was empty at the time when it was opened.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Hands the content to `take` piece by piece, without ever holding all of it.
    ///
    /// # Errors
    /// When a read fails, or the file has grown beyond its bound.
    pub fn pieces(self, mut take: impl FnMut(&[u8])) -> Result<u64, RegularFileError> {
        let Self { mut file, max_bytes, .. } = self;
        let (mut piece, mut total) = (vec![0; 64 << 10], 0_u64);
        loop {
            let read = match file.read(&mut piece) {
                Ok(0) => return Ok(total),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            total += read as u64;
            if total > max_bytes {
                return Err(RegularFileError::Size { max_bytes });
            }
            take(&piece[..read]);
        }
    }

    /// Reads the whole file.
    ///
    /// # Errors
    /// When a read fails, or the file has grown beyond its bound.
    pub fn bytes(self) -> Result<Vec<u8>, RegularFileError> {
        let Self { file, len, max_bytes } = self;
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or_default());
        file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max_bytes { Err(RegularFileError::Size { max_bytes }) } else { Ok(bytes) }
    }

    /// Reads the whole file as text.
    ///
    /// # Errors
    /// As [`RegularFile::bytes`], and when it is no text.
    pub fn text(self) -> Result<String, RegularFileError> {
        String::from_utf8(self.bytes()?).map_err(|_| RegularFileError::Text)
    }
}

fn check(found: &Metadata, max_bytes: u64) -> Result<(), RegularFileError> {
    match kind(found.file_type()) {
        Some(kind) => Err(RegularFileError::Kind { kind, max_bytes }),
        None if found.len() > max_bytes => Err(RegularFileError::Size { max_bytes }),
        None => Ok(()),
    }
}

/// Returns the kind of what is no regular file.
fn kind(found: FileType) -> Option<&'static str> {
    let kinds = [
        (found.is_dir(), "a folder"),
        (found.is_fifo(), "a pipe"),
        (found.is_socket(), "a socket"),
        (found.is_char_device() || found.is_block_device(), "a device"),
        (!found.is_file(), "no file"),
    ];
    kinds.into_iter().find(|(is_kind, _)| *is_kind).map(|(_, kind)| kind)
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 3] = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let exact =
            UNITS.into_iter().find(|(shift, _)| self.0 >= 1 << shift && self.0.trailing_zeros() as u64 >= *shift);
        match exact {
            Some((shift, unit)) => write!(f, "{} {unit}", self.0 >> shift),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use super::*;

    fn refusal(path: &Path) -> String {
        RegularFile::open(path, 1 << 10).and_then(RegularFile::bytes).expect_err("no file to read").to_string()
    }

    #[test]
    fn a_pipe_a_socket_a_device_and_a_folder_are_refused_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let (pipe, socket) = (folder.path().join("pipe"), folder.path().join("socket"));
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .expect("a pipe");
        let _listener = UnixListener::bind(&socket).expect("a socket");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&pipe, &link).expect("a link");

        for (path, kind) in [
            (&pipe, "a pipe"),
            (&link, "a pipe"),
            (&socket, "a socket"),
            (&PathBuf::from("/dev/zero"), "a device"),
            (&folder.path().to_owned(), "a folder"),
        ] {
            assert_eq!(refusal(path), format!("is {kind} (allowed: a regular file of at most 1 KiB)"));
        }
    }

    #[test]
    fn a_file_beyond_its_bound_is_refused_unread_and_one_within_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("f");
        let created = File::create(&file).expect("written");
        created.set_len(1 << 10).expect("a sparse file");

        let whole = RegularFile::open(&file, 1 << 10).and_then(RegularFile::bytes).expect("it fits");
        created.set_len(1 << 50).or_else(|_| created.set_len(1 << 40)).expect("a sparse file");

        assert_eq!(whole.len(), 1 << 10);
        assert_eq!(refusal(&file), "has more bytes than are read (allowed: a regular file of at most 1 KiB)");
    }

    #[test]
    fn a_file_that_says_nothing_of_its_size_is_read_up_to_its_bound() {
        let text = RegularFile::open(Path::new("/proc/self/stat"), 1 << 16).and_then(RegularFile::text);
        let cut = RegularFile::open(Path::new("/proc/self/stat"), 4).and_then(RegularFile::text);

        if Path::new("/proc/self/stat").exists() {
            assert!(text.expect("a line").ends_with('\n'));
            assert!(matches!(cut, Err(RegularFileError::Size { max_bytes: 4 })), "{cut:?}");
        }
    }

    #[test]
    fn pieces_are_the_whole_and_no_text_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("f");
        let content = vec![0xff; 200_000];
        std::fs::write(&file, &content).expect("written");

        let mut read = Vec::new();
        let total = RegularFile::open(&file, 200_000).expect("a file").pieces(|piece| read.extend_from_slice(piece));

        assert_eq!((total.expect("read"), read), (200_000, content));
        let text = RegularFile::open(&file, 200_000).and_then(RegularFile::text);
        assert_eq!(text.expect_err("no text").to_string(), "is not UTF-8 (allowed: text)");
    }

    #[test]
    fn a_bound_is_shown_as_people_write_it() {
        let shown = [1 << 30, 3 << 20, 64 << 10, 1000, (1 << 20) + 1].map(|bytes| ByteCount(bytes).to_string());

        assert_eq!(shown, ["1 GiB", "3 MiB", "64 KiB", "1000 bytes", "1048577 bytes"]);
    }
}
