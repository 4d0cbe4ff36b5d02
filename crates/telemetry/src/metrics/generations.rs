//! The metrics of loads and reloads: which generation and which file serve.

use std::sync::Arc;
use std::time::SystemTime;

use prometheus::{IntCounter, IntGauge};

use super::family::{Family, Registry};
use super::labels::ReloadOutcome;
use super::{Metrics, definitions as define, each};

/// The metric families of loads.
pub(super) struct GenerationFamilies {
    reloads: [IntCounter; ReloadOutcome::ALL.len()],
    last_reload_successful: IntGauge,
    last_reload_success_time: IntGauge,
    generation: IntGauge,
    config_info: Family<IntGauge, 1>,
}

impl GenerationFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            reloads: each(registry, define::RELOADS, ReloadOutcome::ALL.map(ReloadOutcome::as_str)),
            last_reload_successful: Family::register(registry, define::LAST_RELOAD_SUCCESSFUL).with([]),
            last_reload_success_time: Family::register(registry, define::LAST_RELOAD_SUCCESS_TIME).with([]),
            generation: Family::register(registry, define::GENERATION).with([]),
            config_info: Family::register(registry, define::CONFIG_INFO),
        }
    }
}

impl Metrics {
    /// Notes the first load of the configuration, which is no reload.
    pub fn started(&self, generation: u64, at: SystemTime) {
        self.loaded(generation, at);
    }

    /// Shows which configuration serves: that of a former generation disappears.
    pub fn set_config(&self, sha256: &Arc<str>) {
        self.generations.config_info.retain(|[serving]| **serving == **sha256);
        self.generations.config_info.with([sha256.into()]).set(1);
    }

    /// Counts a reload. `generation` is the one that serves from now on, whatever the outcome.
    pub fn reloaded(&self, outcome: ReloadOutcome, generation: u64, at: SystemTime) {
        self.generations.reloads[outcome as usize].inc();
        match outcome {
            ReloadOutcome::Applied | ReloadOutcome::Unchanged | ReloadOutcome::RolledBack => {
                self.loaded(generation, at);
            }
            ReloadOutcome::Rejected => self.generations.last_reload_successful.set(0),
        }
    }

    fn loaded(&self, generation: u64, at: SystemTime) {
        let since_epoch = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.generations.last_reload_successful.set(1);
        self.generations.last_reload_success_time.set(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX));
        self.generations.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
    }
}
