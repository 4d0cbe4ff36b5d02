//! Notices that the configuration or a file that it names changed, however that came about.
//!
//! Every folder on the way to every file is watched, links followed, and the watches are put up anew at each look. An
//! event only says that something may have changed: what decides is a look at the files' [stamps]. The same look
//! is taken every two seconds without an event, because events can be lost and some file systems (NFS, overlays) give
//! none. So a lost watch makes a change show later, never not at all.

mod bundles;
mod chain;
#[cfg_attr(not(target_os = "linux"), path = "watcher/folders_elsewhere.rs")]
mod folders;
mod stamps;

use std::io::{self, PipeReader, PipeWriter};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pointsman_telemetry::FileLook;

use self::bundles::BundleFiles;
use self::chain::FolderChain;
use self::folders::{FolderWatches, WaitEnd};
use self::stamps::{FileChange, FileStamps};
use super::Reloader;
use super::health::WatchHealth;

/// The time between two looks without an event.
const INTERVAL: Duration = Duration::from_secs(2);

/// The time that the files must be quiet before a change is acted upon: a bundle is several files.
const QUIET: Duration = Duration::from_millis(100);

/// The longest wait for quiet: a file that is written all the time must not hold up what is said by others.
const RESTLESS: Duration = Duration::from_secs(1);

/// The time that a file may be gone before that counts as a change: some replace a file in two steps.
const ABSENCE: Duration = Duration::from_secs(2);

/// The time between two looks while a file is gone.
const RETURN: Duration = Duration::from_millis(200);

/// The time that the thread may take to end: a file system that hangs must not hold up the end of the process.
const END: Duration = Duration::from_secs(1);

/// The stack of the thread, which reads manifests.
const STACK: usize = 16 << 20;

/// The reason why files cannot be watched.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch files for changes")]
pub(crate) struct WatchError(#[from] io::Error);

/// Watches on a thread of its own until it is dropped.
#[derive(Debug)]
pub(crate) struct FileWatcher {
    /// Closed to stop the thread.
    stop: Option<PipeWriter>,
    /// Closed by the thread's end.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

/// The thread's side.
struct WatchThread {
    stop: PipeReader,
    reloader: Arc<Reloader>,
    folders: FolderWatches,
    bundles: BundleFiles,
    before: FileStamps,
    /// The time since when a file is gone.
    gone: Option<Instant>,
    _ended: SyncSender<()>,
}

impl FileWatcher {
    /// Starts to watch what `reloader` reads. What changed since the load that serves began is found too.
    ///
    /// # Errors
    /// When the operating system gives no thread; SIGHUP and `POST /reload` work without.
    pub(crate) fn start(reloader: Arc<Reloader>) -> Result<Self, WatchError> {
        let (stopped, stop) = io::pipe()?;
        let (ending, ended) = sync_channel(1);
        let builder = std::thread::Builder::new().name("watch".into()).stack_size(STACK);
        let thread = builder.spawn(move || {
            let (folders, bundles, before) = (FolderWatches::new(), BundleFiles::default(), FileStamps::default());
            WatchThread { stop: stopped, reloader, folders, bundles, before, gone: None, _ended: ending }.run();
        })?;
        Ok(Self { stop: Some(stop), ended, thread: Some(thread) })
    }
}

impl Drop for FileWatcher {
    fn drop(&mut self) {
        self.stop = None;
        let _ = self.ended.recv_timeout(END); // nothing is ever sent: an error either way
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            let _ = thread.join(); // its panic was reported when it happened
        }
    }
}

impl WatchThread {
    fn run(mut self) {
        let mut cause = FileLook::Interval;
        loop {
            // A load that panics must not be the end of the watch.
            if catch_unwind(AssertUnwindSafe(|| self.look(cause))).is_err() {
                self.reloader.metrics.files().failed(1);
                tracing::error!("A look at the watched files failed; there will be others");
            }
            let patience = if self.gone.is_some() { RETURN } else { INTERVAL };
            cause = match self.folders.wait(&self.stop, patience) {
                WaitEnd::Event if self.settle() => FileLook::Event,
                WaitEnd::Timeout => FileLook::Interval,
                WaitEnd::Event | WaitEnd::Stop => return,
            };
        }
    }

    /// Waits until nothing has changed for a while; false when it is time to stop.
    fn settle(&mut self) -> bool {
        let restless = Instant::now() + RESTLESS;
        loop {
            match self.folders.wait(&self.stop, QUIET) {
                WaitEnd::Event if Instant::now() < restless => {}
                WaitEnd::Event | WaitEnd::Timeout => return true,
                WaitEnd::Stop => return false,
            }
        }
    }

    /// Looks whether a file changed, and reloads if one did.
    fn look(&mut self, cause: FileLook) {
        self.reloader.metrics.files().looked(cause);
        let files = self.files();
        // Before the look: what changes from here on makes an event.
        self.folders.follow(&FolderChain::of(&files));
        let now = FileStamps::take(files, &self.before);
        match now.change_since(&self.before, self.reloader.loaded_since()) {
            FileChange::Nothing => self.gone = None,
            FileChange::Gone if self.gone.get_or_insert_with(Instant::now).elapsed() < ABSENCE => return,
            FileChange::Gone | FileChange::Content => {
                self.gone = None;
                self.before = now;
                self.report();
                self.reloader.metrics.files().changed(cause);
                self.reloader.reload("file");
                if self.reloader.source().is_busy() {
                    self.before = FileStamps::default(); // nothing may change once the checkout is at rest
                }
                // The new configuration may name other files; their stamps are taken at the next look.
                let files = self.files();
                self.folders.follow(&FolderChain::of(&files));
                return self.report();
            }
        }
        self.before = now;
        self.report();
    }

    /// Returns every file whose change matters, those of the bundles included.
    fn files(&mut self) -> Vec<PathBuf> {
        let mut files = self.reloader.watched_files();
        for folder in self.reloader.bundle_folders() {
            files.extend(self.bundles.of(&folder));
        }
        files
    }

    /// Shows how the watch stands, and counts what went wrong with it.
    fn report(&mut self) {
        let (incidents, metrics) = (self.folders.take_incidents(), self.reloader.metrics.files());
        metrics.lost(incidents.lost);
        metrics.failed(incidents.errors);
        let unwatched: Vec<String> = self.folders.unwatched().collect();
        metrics.stand_at(self.folders.watched(), unwatched.len());
        let missing = self.before.missing().map(|file| file.display().to_string()).collect();
        self.reloader.set_watch(WatchHealth::Watching { folders: self.folders.watched(), unwatched, missing });
    }
}

impl Drop for WatchThread {
    fn drop(&mut self) {
        self.reloader.metrics.files().stand_at(0, 0);
        self.reloader.set_watch(WatchHealth::Ended);
    }
}
