//! The git checkout around a file: which commit is checked out, and whether somebody changes it just now.
//!
//! Read from git's own files, so that no `git` is needed: `HEAD`, the ref that it names, `packed-refs`, and the file `.git` of a
//! linked worktree, which is what git-sync makes. Of a repository that keeps its refs in another way the commit is not known.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pointsman_core::config::RegularFile;

/// The folders that are looked through upwards for `.git`.
const MAX_DEPTH: usize = 64;

/// The largest file of git's that is read: `packed-refs` of a repository with some hundred thousand refs.
const MAX_BYTES: u64 = 32 << 20;

/// The age from which a lock on the index is nobody's any more: of a git that was killed, or that waits for an editor.
const STALE_LOCK: Duration = Duration::from_mins(1);

/// The state of a checkout at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkout {
    /// The folder with `HEAD` and the index: `.git`, or a folder below it for a linked worktree.
    folder: PathBuf,
    /// The folder with the refs: `.git`.
    common: PathBuf,
    /// The ref that `HEAD` names; `None` where it names a commit.
    branch: Option<String>,
    /// The commit's whole hash.
    pub(super) commit: Option<String>,
}

impl Checkout {
    /// Finds the checkout that the file at `path` is in, links followed.
    pub(super) fn around(path: &Path) -> Option<Self> {
        let file = path.canonicalize().ok()?;
        let folder = file.ancestors().skip(1).take(MAX_DEPTH).find_map(git_folder)?;
        let head = small_text(&folder.join("HEAD"))?;
        let common = match small_text(&folder.join("commondir")) {
            Some(relative) => folder.join(relative.trim()),
            None => folder.clone(),
        };
        let head = head.trim();
        let branch = head.strip_prefix("ref:").map(|name| name.trim().to_owned()).filter(|name| is_ref(name));
        let commit = match &branch {
            Some(name) => commit_of(name, &folder, &common),
            None => Some(head.to_owned()),
        };
        Some(Self { folder, common, branch, commit: commit.filter(|text| is_hash(text)) })
    }

    /// Returns whether git changes the checkout, or was killed while it did a short time ago.
    pub(super) fn is_locked(&self) -> bool {
        let Ok(lock) = std::fs::metadata(self.folder.join("index.lock")) else { return false };
        // A clock that was set back, or another machine's, may have written a time that is still to come.
        let age = lock.modified().ok().map(|at| at.elapsed().unwrap_or_else(|ahead| ahead.duration()));
        age.is_none_or(|age| age < STALE_LOCK)
    }

    /// Returns the files that say which commit is checked out, as far as they are there.
    pub(super) fn head_files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.folder.join("HEAD")];
        if let Some(name) = &self.branch {
            files.extend([self.common.join(name), self.common.join("packed-refs")]);
        }
        files.retain(|file| file.is_file());
        files
    }
}

/// Returns git's folder of the checkout whose top is `top`.
fn git_folder(top: &Path) -> Option<PathBuf> {
    let dot = top.join(".git");
    let found = std::fs::metadata(&dot).ok()?;
    if found.is_dir() {
        return Some(dot);
    }
    let text = small_text(&dot)?;
    Some(top.join(text.lines().next()?.strip_prefix("gitdir:")?.trim()))
}

fn commit_of(name: &str, folder: &Path, common: &Path) -> Option<String> {
    let loose = |place: &Path| Some(small_text(&place.join(name))?.trim().to_owned());
    loose(folder).or_else(|| loose(common)).or_else(|| {
        let refs = small_text(&common.join("packed-refs"))?;
        let found = refs.lines().filter_map(|line| line.split_once(' ')).find(|(_, own)| own.trim() == name);
        found.map(|(hash, _)| hash.to_owned())
    })
}

fn small_text(path: &Path) -> Option<String> {
    RegularFile::open(path, MAX_BYTES).and_then(RegularFile::text).ok()
}

/// Returns whether a name stays below git's folder.
fn is_ref(name: &str) -> bool {
    name.starts_with("refs/") && name.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

/// Returns whether a text is the hash of a commit, by SHA-1 or SHA-256.
fn is_hash(text: &str) -> bool {
    [40, 64].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::process::Command;
    use std::time::SystemTime;

    use super::*;

    /// A repository with a commit of `p.yaml`, made by git itself.
    fn repository() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("p.yaml"), "version: 1\n").expect("written");
        git(folder.path(), &["init", "--quiet", "--initial-branch=main"]);
        git(folder.path(), &["add", "."]);
        git(folder.path(), &["commit", "--quiet", "--message=first"]);
        folder
    }

    fn git(folder: &Path, arguments: &[&str]) -> String {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
        let ran = Command::new("git").arg("-C").arg(folder).args(identity).args(arguments).output().expect("git runs");
        assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("text").trim().to_owned()
    }

    fn commit(file: &Path) -> Option<String> {
        Checkout::around(file)?.commit
    }

    #[test]
    fn the_commit_is_that_of_a_loose_ref_a_packed_one_and_a_detached_head() {
        let folder = repository();
        let file = folder.path().join("p.yaml");
        let hash = git(folder.path(), &["rev-parse", "HEAD"]);

        assert_eq!(commit(&file).as_ref(), Some(&hash), "loose");
        git(folder.path(), &["pack-refs", "--all"]);
        assert!(!folder.path().join(".git/refs/heads/main").exists());
        assert_eq!(commit(&file).as_ref(), Some(&hash), "packed");
        git(folder.path(), &["checkout", "--quiet", "--detach"]);
        assert_eq!(commit(&file).as_ref(), Some(&hash), "detached");
    }

    #[test]
    fn the_commit_of_a_linked_worktree_behind_a_link_is_its_own() {
        let folder = repository();
        let tree = folder.path().join("trees/second");
        git(folder.path(), &["worktree", "add", "--quiet", "-b", "second", tree.to_str().expect("text")]);
        git(&tree, &["commit", "--quiet", "--allow-empty", "--message=second"]);
        symlink("trees/second", folder.path().join("current")).expect("a link");

        let hash = commit(&folder.path().join("current/p.yaml"));

        assert_eq!(hash, Some(git(&tree, &["rev-parse", "HEAD"])));
        assert_ne!(hash, commit(&folder.path().join("p.yaml")));
    }

    #[test]
    fn a_young_lock_holds_readers_up_and_an_old_one_does_not() {
        let folder = repository();
        let file = folder.path().join("p.yaml");
        let is_locked = || Checkout::around(&file).expect("a checkout").is_locked();
        assert!(!is_locked());

        let lock = fs::File::create(folder.path().join(".git/index.lock")).expect("written");
        assert!(is_locked());
        lock.set_modified(SystemTime::now() + STALE_LOCK / 2).expect("a time");
        assert!(is_locked(), "by a clock that is a little ahead");
        lock.set_modified(SystemTime::now() + 2 * STALE_LOCK).expect("a time");
        assert!(!is_locked(), "by nobody who still works: a clock was set back since");
        lock.set_modified(SystemTime::now() - 2 * STALE_LOCK).expect("a time");

        assert!(!is_locked());
    }

    #[test]
    fn outside_of_a_checkout_and_of_refs_that_climb_there_is_no_commit() {
        let folder = repository();
        let file = folder.path().join("p.yaml");
        let elsewhere = tempfile::tempdir().expect("a folder");
        fs::write(elsewhere.path().join("p.yaml"), "x").expect("written");

        fs::write(folder.path().join(".git/HEAD"), "ref: refs/../../p.yaml\n").expect("written");

        assert_eq!(commit(&file), None);
        assert_eq!(Checkout::around(&elsewhere.path().join("p.yaml")), None);
    }
}
