//! The metrics of loads and reloads: which generation and which file serve.

use std::sync::Arc;
use std::time::SystemTime;

use super::Metrics;
use super::labels::ReloadOutcome;

impl Metrics {
    /// Notes the first load of the configuration, which is no reload.
    pub fn started(&self, generation: u64, at: SystemTime) {
        self.loaded(generation, at);
    }

    /// Shows which configuration serves: that of a former generation disappears.
    pub fn set_config(&self, sha256: &Arc<str>) {
        self.config_info.retain(|[serving]| **serving == **sha256);
        self.config_info.with([sha256.into()]).set(1);
    }

    /// Counts a reload. `generation` is the one that serves from now on, whatever the outcome.
    pub fn reloaded(&self, outcome: ReloadOutcome, generation: u64, at: SystemTime) {
        self.reloads[outcome as usize].inc();
        match outcome {
            ReloadOutcome::Applied | ReloadOutcome::Unchanged | ReloadOutcome::RolledBack => {
                self.loaded(generation, at);
            }
            ReloadOutcome::Rejected => self.last_reload_successful.set(0),
        }
    }

    fn loaded(&self, generation: u64, at: SystemTime) {
        let since_epoch = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.last_reload_successful.set(1);
        self.last_reload_success_time.set(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX));
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
    }
}
