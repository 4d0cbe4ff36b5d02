//! The generations that served in this process, and the reloads that were refused: the latest few, for people.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use pointsman_core::config::Config;
use pointsman_telemetry::ReloadOutcome;

use crate::source::ConfigVersion;

/// The records that are kept.
const KEPT: usize = 40;

/// A generation that began to serve, or a reload that was refused.
#[derive(Debug, Clone)]
pub(crate) struct GenerationRecord {
    /// The generation that served afterwards.
    pub(crate) generation: u64,
    /// The time of the change.
    pub(crate) at: SystemTime,
    /// The outcome of the reload; `None` for the start of the process.
    pub(crate) outcome: Option<ReloadOutcome>,
    /// The one who asked: a signal, the admin plane, a changed file, what a source has.
    pub(crate) trigger: &'static str,
    /// The reason why the reload was refused.
    pub(crate) error: Option<String>,
    /// The configuration that serves since; `None` where the reload was refused.
    pub(crate) config: Option<Arc<Config>>,
    /// The version of its text; `None` where the reload was refused.
    pub(crate) version: Option<Arc<ConfigVersion>>,
}

/// The records, the oldest first.
#[derive(Debug, Default)]
pub(super) struct GenerationHistory(Mutex<VecDeque<GenerationRecord>>);

impl GenerationHistory {
    pub(super) fn note(&self, record: GenerationRecord) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() == KEPT {
            records.pop_front();
        }
        records.push_back(record);
    }

    pub(super) fn records(&self) -> Vec<GenerationRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
