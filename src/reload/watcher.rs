//! Notices that the configuration file or a bundle changed.
//!
//! Folders are watched, not files: editors and Kubernetes replace the inode. An event only says that something may have
//! changed; what decides is a stamp of the files' sizes and times (a ConfigMap's change shows on a symbolic link beside
//! the file, and writing one file makes several events).

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::Reloader;

/// The time that the folders must be quiet before a change is acted upon: a bundle is several files.
const QUIET: Duration = Duration::from_millis(100);

/// Events that may wait; when there are more, the thread is going to look anyway.
const EVENTS: usize = 64;

/// The reason why files cannot be watched.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch files for changes")]
pub(crate) struct WatchError(#[from] notify::Error);

/// Watches on a thread of its own until it is dropped.
#[derive(Debug)]
pub(crate) struct FileWatcher {
    wake: SyncSender<WatchEvent>,
    thread: Option<JoinHandle<()>>,
}

/// The reason why the thread wakes up.
#[derive(Debug)]
enum WatchEvent {
    Changed,
    Stop,
}

/// The thread's side.
struct WatchThread {
    events: Receiver<WatchEvent>,
    watching: RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
    unwatched: BTreeSet<PathBuf>,
    reloader: Arc<Reloader>,
}

/// The sizes and times of the files.
type FileStamps = Vec<(PathBuf, u64, Option<SystemTime>)>;

impl FileWatcher {
    /// Starts to watch what `reloader` reads.
    ///
    /// # Errors
    /// When the operating system gives no watch or no thread; SIGHUP and `POST /reload` work without.
    pub(crate) fn start(reloader: Arc<Reloader>) -> Result<Self, WatchError> {
        let (wake, events) = sync_channel(EVENTS);
        let sender = wake.clone();
        let watching = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading the files is an event too; answering it with a look at the files would never end.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = sender.try_send(WatchEvent::Changed); // full: the thread will look anyway; closed: it has ended
            }
        })?;
        let mut watch =
            WatchThread { events, watching, folders: BTreeSet::new(), unwatched: BTreeSet::new(), reloader };
        watch.follow();
        let before = watch.stamp();
        let thread = std::thread::Builder::new().name("watch".into()).spawn(move || watch.run(before));
        Ok(Self { wake, thread: Some(thread.map_err(notify::Error::io)?) })
    }
}

impl Drop for FileWatcher {
    fn drop(&mut self) {
        let _ = self.wake.send(WatchEvent::Stop); // fails when the thread has ended
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // its panic was reported when it happened
        }
    }
}

impl WatchThread {
    fn run(mut self, mut before: FileStamps) {
        while let Ok(WatchEvent::Changed) = self.events.recv() {
            if !self.settle() {
                return;
            }
            let now = self.stamp();
            if now != before {
                self.reloader.reload("file");
                self.follow(); // the new configuration may name other bundles
                before = if self.same_files(&now) { now } else { self.stamp() };
            }
        }
    }

    /// Waits until nothing has changed for a while; false when it is time to stop.
    fn settle(&self) -> bool {
        loop {
            match self.events.recv_timeout(QUIET) {
                Ok(WatchEvent::Changed) => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Ok(WatchEvent::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Watches the folders that are read now and not watched yet. One that is gone from the configuration stays
    /// watched: its events change no stamp.
    fn follow(&mut self) {
        for folder in self.folders_read() {
            if self.folders.contains(&folder) {
                continue;
            }
            match self.watching.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.unwatched.remove(&folder);
                    self.folders.insert(folder);
                }
                Err(error) if self.unwatched.insert(folder.clone()) => {
                    tracing::warn!(folder = %folder.display(), %error, "Folder is not watched");
                }
                Err(_) => {} // was said before
            }
        }
    }

    fn folders_read(&self) -> Vec<PathBuf> {
        let parent = |file: PathBuf| match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => ".".into(),
        };
        let folders = self.reloader.watched_files().into_iter().map(parent);
        self.reloader.bundle_folders().into_iter().chain(folders).collect()
    }

    /// Returns whether the files that are read are those of `stamp`: a change that came while they were being read is
    /// then still seen as one.
    fn same_files(&self, stamp: &FileStamps) -> bool {
        self.stamp().iter().map(|(path, ..)| path).eq(stamp.iter().map(|(path, ..)| path))
    }

    fn stamp(&self) -> FileStamps {
        let mut files = self.reloader.watched_files();
        for folder in self.reloader.bundle_folders() {
            files.extend(fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
        files.sort();
        files
            .into_iter()
            .map(|path| match fs::metadata(&path) {
                Ok(file) => (path, file.len(), file.modified().ok()),
                Err(_) => (path, 0, None),
            })
            .collect()
    }
}
