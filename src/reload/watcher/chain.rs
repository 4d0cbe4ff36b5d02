//! The folders on the way to files: every folder that a path leads through, links followed as the system follows them.
//!
//! A file changes for its readers when any name on that way comes to mean something else: the file's own, a link's, a
//! folder's. So each folder is listed with the names in it that the way goes through.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Links that a path may lead through before it counts as a circle; Linux has the same bound.
const MAX_LINKS: usize = 40;

/// The folders on the way to some files, each with the names in it that matter. No folder's path leads through a link.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct FolderChain {
    pub(super) folders: BTreeMap<PathBuf, BTreeSet<OsString>>,
}

/// The names that are still to be followed; the next one is the last.
#[derive(Debug)]
struct NamesAhead(Vec<OsString>);

impl FolderChain {
    /// Returns the folders on the way to `files`, as far as they exist.
    pub(super) fn of<'p>(files: impl IntoIterator<Item = &'p PathBuf>) -> Self {
        let mut chain = Self::default();
        for file in files {
            chain.add(file);
        }
        chain
    }

    fn add(&mut self, path: &Path) {
        let Ok(path) = std::path::absolute(path) else { return }; // the working folder is gone
        let (mut folder, mut ahead) = (PathBuf::from("/"), NamesAhead(Vec::new()));
        ahead.put(&path);
        let mut links = 0;
        while let Some(name) = ahead.0.pop() {
            if name == ".." {
                folder.pop();
                continue;
            }
            let entry = folder.join(&name);
            self.folders.entry(folder.clone()).or_default().insert(name);
            // What is missing shows in this folder when it comes.
            let Ok(found) = fs::symlink_metadata(&entry) else { return };
            if !found.is_symlink() {
                folder = entry;
                continue;
            }
            links += 1;
            let Ok(target) = fs::read_link(&entry) else { return };
            if links > MAX_LINKS {
                return;
            }
            if target.is_absolute() {
                folder = PathBuf::from("/");
            }
            ahead.put(&target);
        }
    }
}

impl NamesAhead {
    fn put(&mut self, path: &Path) {
        let names = path.components().rev().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        });
        self.0.extend(names);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(chain: &FolderChain, folder: &Path) -> Vec<String> {
        let names = chain.folders.get(folder).into_iter().flatten();
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn every_folder_that_links_lead_through_is_on_the_chain() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("it exists");
        fs::create_dir_all(root.join("store/v1")).expect("written");
        fs::create_dir(root.join("etc")).expect("written");
        fs::write(root.join("store/v1/real.yaml"), "x").expect("written");
        symlink("real.yaml", root.join("store/v1/p.yaml")).expect("a link");
        symlink("../store/v1", root.join("etc/current")).expect("a link");

        let chain = FolderChain::of([&root.join("etc/current/p.yaml")]);

        assert_eq!(names(&chain, &root.join("etc")), ["current"]);
        assert_eq!(names(&chain, &root), ["etc", "store"]);
        assert_eq!(names(&chain, &root.join("store")), ["v1"]);
        assert_eq!(names(&chain, &root.join("store/v1")), ["p.yaml", "real.yaml"]);
        assert!(chain.folders.contains_key(Path::new("/")));
    }

    #[test]
    fn a_missing_folder_ends_the_chain_where_it_will_appear_and_a_circle_ends_it_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("it exists");
        symlink("b", root.join("a")).expect("a link");
        symlink("a", root.join("b")).expect("a link");

        let missing = FolderChain::of([&root.join("gone/deeper/p.yaml")]);
        let circle = FolderChain::of([&root.join("a/p.yaml")]);

        assert_eq!(names(&missing, &root), ["gone"]);
        assert!(!missing.folders.contains_key(&root.join("gone")));
        assert_eq!(names(&circle, &root), ["a", "b"]);
    }
}
