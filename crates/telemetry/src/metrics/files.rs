//! The metrics of the watch on files.

use std::fmt;

use prometheus::{IntCounter, IntGauge};

use super::family::{Family, Registry};
use super::{FileLook, definitions as define, each};

/// The metrics of the watch on files.
pub struct FileWatchMetrics {
    looks: [IntCounter; FileLook::ALL.len()],
    changes: [IntCounter; FileLook::ALL.len()],
    watches: IntGauge,
    missing: IntGauge,
    lost: IntCounter,
    errors: IntCounter,
}

impl FileWatchMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        let causes = FileLook::ALL.map(FileLook::as_str);
        Self {
            looks: each(registry, define::FILE_LOOKS, causes),
            changes: each(registry, define::FILE_CHANGES, causes),
            watches: Family::register(registry, define::FILE_WATCHES).with([]),
            missing: Family::register(registry, define::FILE_WATCHES_MISSING).with([]),
            lost: Family::register(registry, define::FILE_WATCHES_LOST).with([]),
            errors: Family::register(registry, define::FILE_WATCH_ERRORS).with([]),
        }
    }

    /// Counts a look at the stamps.
    pub fn looked(&self, cause: FileLook) {
        self.looks[cause as usize].inc();
    }

    /// Counts a change that a look found.
    pub fn changed(&self, cause: FileLook) {
        self.changes[cause as usize].inc();
    }

    /// Shows how many folders give events, and how many should and do not.
    pub fn stand_at(&self, watches: usize, missing: usize) {
        self.watches.set(i64::try_from(watches).unwrap_or(i64::MAX));
        self.missing.set(i64::try_from(missing).unwrap_or(i64::MAX));
    }

    /// Counts watches that ended.
    pub fn lost(&self, watches: u64) {
        self.lost.inc_by(watches);
    }

    /// Counts what the system refused or lost.
    pub fn failed(&self, times: u64) {
        self.errors.inc_by(times);
    }
}

impl fmt::Debug for FileWatchMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileWatchMetrics").finish_non_exhaustive()
    }
}
