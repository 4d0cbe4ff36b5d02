//! The files of a command: what it writes is none of what it reads, so that a slip in an argument destroys nothing.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The files that a command reads and writes, by the arguments that name them.
#[derive(Debug, Default)]
pub(super) struct CommandFiles {
    inputs: Vec<ArgumentFile>,
    outputs: Vec<ArgumentFile>,
}

/// A file, and the argument that names it.
#[derive(Debug)]
struct ArgumentFile {
    argument: &'static str,
    path: PathBuf,
}

/// An output that is another file of the command as well.
#[derive(Debug, thiserror::Error)]
#[error("`{}` of {output} is the file of {other} as well (allowed: a file of its own)", path.display())]
pub(super) struct SharedFileError {
    output: &'static str,
    path: PathBuf,
    other: &'static str,
}

/// What tells a file from all others, whatever path leads to it.
#[derive(Debug, PartialEq, Eq)]
enum FileIdentity {
    /// The device and the inode of a file that is there.
    Inode(u64, u64),
    /// The place of a file that is not there yet.
    Place(PathBuf),
}

impl CommandFiles {
    /// Names files that are read.
    pub(super) fn reads<P: AsRef<Path>>(mut self, argument: &'static str, paths: impl IntoIterator<Item = P>) -> Self {
        self.inputs.extend(ArgumentFile::all(argument, paths));
        self
    }

    /// Names files that are written.
    pub(super) fn writes<P: AsRef<Path>>(mut self, argument: &'static str, paths: impl IntoIterator<Item = P>) -> Self {
        self.outputs.extend(ArgumentFile::all(argument, paths));
        self
    }

    /// Checks that each output is a file of its own: none that is read, and none that another argument writes.
    pub(super) fn check(&self) -> Result<(), SharedFileError> {
        let mut known: Vec<(FileIdentity, &'static str)> = self.inputs.iter().filter_map(ArgumentFile::known).collect();
        for output in &self.outputs {
            let Some((identity, argument)) = output.known() else { continue };
            if let Some((_, other)) = known.iter().find(|(known, _)| *known == identity) {
                return Err(SharedFileError { output: argument, path: output.path.clone(), other });
            }
            known.push((identity, argument));
        }
        Ok(())
    }
}

impl ArgumentFile {
    fn all<P: AsRef<Path>>(argument: &'static str, paths: impl IntoIterator<Item = P>) -> impl Iterator<Item = Self> {
        paths.into_iter().map(move |path| Self { argument, path: path.as_ref().to_owned() })
    }

    fn known(&self) -> Option<(FileIdentity, &'static str)> {
        Some((FileIdentity::of(&self.path)?, self.argument))
    }
}

impl FileIdentity {
    /// Returns what `path` leads to; `None` for pipes, devices and folders, which writing does not destroy.
    fn of(path: &Path) -> Option<Self> {
        match fs::metadata(path) {
            Ok(file) if file.is_file() => Some(Self::Inode(file.dev(), file.ino())),
            Ok(_) => None,
            Err(_) => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                Some(Self::Place(fs::canonicalize(folder).ok()?.join(path.file_name()?)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_no_input_by_whatever_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("rows"), "row").expect("written");
        fs::create_dir(at("inner")).expect("a folder");
        fs::hard_link(at("rows"), at("hard")).expect("a link");
        std::os::unix::fs::symlink(at("rows"), at("soft")).expect("a link");
        let check = |out: PathBuf| CommandFiles::default().reads("IN", [at("rows")]).writes("--out", [out]).check();

        for same in ["rows", "./rows", "inner/../rows", "hard", "soft"] {
            let refused = check(at(same)).expect_err(same).to_string();
            assert!(refused.contains("of --out is the file of IN as well"), "{refused}");
        }
        check(at("other")).expect("a file of its own");
    }

    #[test]
    fn two_outputs_are_two_files_also_before_they_are_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let check = |rows: PathBuf| {
            CommandFiles::default()
                .writes("--out", [at("a")])
                .writes("--rows", [rows])
                .check()
                .map_err(|it| it.to_string())
        };

        assert!(check(at("./a")).expect_err("the same").contains("of --rows is the file of --out"));
        assert_eq!(check(at("b")), Ok(()));
    }

    #[test]
    fn a_device_may_take_whatever_comes() {
        let null = || [Path::new("/dev/null")];

        CommandFiles::default()
            .reads("IN", null())
            .writes("--out", null())
            .writes("--rows", null())
            .check()
            .expect("no file");
    }
}
