//! The watches on folders, renewed at every look: the kernel's queue of events, and which names in them matter.
//!
//! A watch is put on the folder that a path means now, whatever it meant before. Putting one on a folder that is watched
//! gives the same number again, and on one that took its place another, so that a lost watch shows without an event.
//! Where the system gives no events, waiting only lets time pass.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::chain::FolderChain;

/// The pause after events that say nothing: a busy folder is read from time to time, not at every event.
const BUSY: Duration = Duration::from_millis(50);

/// The events that are asked for. Writing shows when the file is closed; one that stays open is found by its stamp.
const EVENTS: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// Events that end a watch.
const ENDS: ReadFlags =
    ReadFlags::IGNORED.union(ReadFlags::UNMOUNT).union(ReadFlags::DELETE_SELF).union(ReadFlags::MOVE_SELF);

/// The watches of the folders on a chain.
#[derive(Debug)]
pub(super) struct FolderWatches {
    /// The queue of events, or why there is none.
    queue: Result<OwnedFd, Errno>,
    watches: BTreeMap<PathBuf, i32>,
    /// The names that matter, by watch.
    names: HashMap<i32, BTreeSet<OsString>>,
    /// The folders that give no events, and why.
    unwatched: BTreeMap<PathBuf, Errno>,
    /// What happened since it was last asked.
    incidents: WatchIncidents,
}

/// Counts of what went wrong with watches.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct WatchIncidents {
    /// Watches that ended because the folder was moved, replaced, deleted or unmounted.
    pub(super) lost: u64,
    /// Folders that the system would not watch, and overflows of its queue.
    pub(super) errors: u64,
}

/// The reason why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitEnd {
    /// A name that matters changed, or a watch ended.
    Event,
    /// The time is over.
    Timeout,
    /// The watcher was told to stop.
    Stop,
}

impl FolderWatches {
    pub(super) fn new() -> Self {
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC);
        let incidents = WatchIncidents { errors: u64::from(queue.is_err()), ..WatchIncidents::default() };
        let (watches, names, unwatched) = (BTreeMap::new(), HashMap::new(), BTreeMap::new());
        Self { queue, watches, names, unwatched, incidents }
    }

    /// Watches the folders of `chain` as they are now, and no others.
    pub(super) fn follow(&mut self, chain: &FolderChain) {
        self.names.clear();
        let mut ended = Vec::new();
        for (folder, names) in &chain.folders {
            let watch = match &self.queue {
                Ok(queue) => inotify::add_watch(queue, folder, EVENTS),
                Err(error) => Err(*error),
            };
            match watch {
                Ok(watch) => {
                    self.unwatched.remove(folder);
                    self.names.entry(watch).or_default().extend(names.iter().cloned());
                    ended.extend(self.watches.insert(folder.clone(), watch).filter(|before| *before != watch));
                }
                Err(error) => {
                    ended.extend(self.watches.remove(folder));
                    self.refused(folder.clone(), error);
                }
            }
        }
        self.incidents.lost += ended.len() as u64;
        self.unwatched.retain(|folder, _| chain.folders.contains_key(folder));
        for (folder, watch) in self.watches.extract_if(.., |folder, _| !chain.folders.contains_key(folder)) {
            // One that nobody needs any more is not lost; one that is gone is, though its event was not read yet.
            self.incidents.lost += u64::from(!folder.exists());
            ended.push(watch);
        }
        for watch in ended.into_iter().filter(|watch| !self.names.contains_key(watch)) {
            self.end(watch);
        }
    }

    /// Waits for an event that matters, for `patience` at most.
    pub(super) fn wait(&mut self, stop: &PipeReader, patience: Duration) -> WaitEnd {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let watched = [PollFd::new(stop, PollFlags::IN)];
            let mut watched: Vec<_> = watched.into_iter().chain(self.queue.iter().map(readable)).collect();
            poll_for(&mut watched, left);
            let is_ready = |at: usize| watched.get(at).is_some_and(|fd| !fd.revents().is_empty());
            let (is_stopped, has_events) = (is_ready(0), is_ready(1));
            drop(watched);
            if is_stopped {
                return WaitEnd::Stop;
            }
            if has_events && self.read() {
                return WaitEnd::Event;
            }
            if left.is_zero() {
                return WaitEnd::Timeout;
            }
            // Nothing that matters, so there is time: the next events come together.
            if has_events && poll_for(&mut [PollFd::new(stop, PollFlags::IN)], BUSY.min(left)) {
                return WaitEnd::Stop;
            }
        }
    }

    /// Returns what went wrong since it was last asked.
    pub(super) fn take_incidents(&mut self) -> WatchIncidents {
        std::mem::take(&mut self.incidents)
    }

    /// Returns the number of folders that give events.
    pub(super) fn watched(&self) -> usize {
        self.watches.len()
    }

    /// Returns the folders that give no events, each with the reason.
    pub(super) fn unwatched(&self) -> impl Iterator<Item = String> {
        self.unwatched.iter().map(|(folder, error)| format!("`{}` ({})", folder.display(), io::Error::from(*error)))
    }

    /// Reads every event that waits; returns whether one of them matters.
    fn read(&mut self) -> bool {
        let Ok(queue) = &self.queue else { return false };
        let (mut buffer, mut matters, mut ended) = ([MaybeUninit::uninit(); 4096], false, Vec::new());
        let mut events = inotify::Reader::new(queue, &mut buffer);
        while let Ok(event) = events.next() {
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            let names = self.names.get(&event.wd());
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                self.incidents.errors += 1;
                matters = true;
            } else if event.events().intersects(ENDS) && names.is_some() {
                ended.push(event.wd());
            } else if names.zip(name).is_some_and(|(names, name)| names.contains(name)) {
                matters = true;
            }
        }
        matters |= !ended.is_empty();
        for watch in ended {
            if self.names.remove(&watch).is_some() {
                self.watches.retain(|_, known| *known != watch);
                self.incidents.lost += 1;
                self.end(watch);
            }
        }
        matters
    }

    fn end(&self, watch: i32) {
        if let Ok(queue) = &self.queue {
            let _ = inotify::remove_watch(queue, watch); // fails where the kernel has ended it
        }
    }

    fn refused(&mut self, folder: PathBuf, error: Errno) {
        if self.unwatched.get(&folder) == Some(&error) {
            return; // was said before
        }
        // Without a queue no folder gives events: that is one error, and was counted.
        if self.queue.is_ok() {
            self.incidents.errors += 1;
            tracing::warn!(folder = %folder.display(), %error, "Folder gives no events; its files are looked at instead");
        }
        self.unwatched.insert(folder, error);
    }
}

fn readable(queue: &OwnedFd) -> PollFd<'_> {
    PollFd::new(queue, PollFlags::IN)
}

/// Waits until one of `watched` is ready; returns whether one is.
fn poll_for(watched: &mut [PollFd<'_>], patience: Duration) -> bool {
    let patience = Timespec {
        tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: patience.subsec_nanos().into(),
    };
    poll(watched, Some(&patience)).is_ok_and(|ready| ready > 0)
}
