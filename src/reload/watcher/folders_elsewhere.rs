//! Folders where the system has no inotify: nothing gives events, and waiting only lets time pass.

use std::collections::BTreeSet;
use std::io::PipeReader;
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::chain::FolderChain;

/// The folders on a chain, none of which is watched.
#[derive(Debug, Default)]
pub(super) struct FolderWatches {
    unwatched: BTreeSet<PathBuf>,
}

/// Counts of what went wrong with watches: there are none.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct WatchIncidents {
    pub(super) lost: u64,
    pub(super) errors: u64,
}

/// The reason why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitEnd {
    /// A name that matters changed; never here.
    #[expect(dead_code, reason = "only Linux has events")]
    Event,
    /// The time is over.
    Timeout,
    /// The watcher was told to stop.
    Stop,
}

impl FolderWatches {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Remembers the folders of `chain`.
    pub(super) fn follow(&mut self, chain: &FolderChain) {
        self.unwatched = chain.folders.keys().cloned().collect();
    }

    /// Waits for `patience`, or until the watcher is told to stop.
    pub(super) fn wait(&mut self, stop: &PipeReader, patience: Duration) -> WaitEnd {
        let patience = Timespec {
            tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: patience.subsec_nanos().into(),
        };
        let stopped = poll(&mut [PollFd::new(stop, PollFlags::IN)], Some(&patience)).is_ok_and(|ready| ready > 0);
        if stopped { WaitEnd::Stop } else { WaitEnd::Timeout }
    }

    /// Returns what went wrong: nothing.
    pub(super) fn take_incidents(&mut self) -> WatchIncidents {
        WatchIncidents::default()
    }

    /// Returns the number of folders that give events.
    pub(super) fn watched(&self) -> usize {
        0
    }

    /// Returns the folders that give no events, each with the reason.
    pub(super) fn unwatched(&self) -> impl Iterator<Item = String> {
        self.unwatched.iter().map(|folder| format!("`{}` (this system has no inotify)", folder.display()))
    }
}
