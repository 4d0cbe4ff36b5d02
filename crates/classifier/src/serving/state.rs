//! The state that the handle and all workers of a classifier share.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::time::Duration;

use pointsman_core::config;
use pointsman_core::config::Name;
use pointsman_telemetry::ClassifierMetrics;

use super::batch_lane::BatchLane;
use super::cache::ScoreCache;
use super::degrade_ladder::DegradeLadder;
use super::quarantine::InputQuarantine;
use crate::onnx::device::DevicePlacement;

/// A run that takes this long has stalled, whatever the deadline was.
const STALLED: Duration = Duration::from_secs(1);

/// ... and so has one that takes this many deadlines.
const STALLED_DEADLINES: u32 = 10;

/// The state that the handle and all workers of a classifier share.
#[derive(Debug)]
pub(crate) struct ServingState {
    pub(crate) name: Name,
    pub(crate) cache: ScoreCache,
    pub(crate) quarantine: InputQuarantine,
    pub(crate) counts: ServingCounts,
    pub(crate) metrics: ClassifierMetrics,
    pub(crate) batch: config::BatchLimits,
    pub(crate) drift: config::DriftWindow,
    pub(crate) placement: DevicePlacement,
    pub(crate) degrade_ladder: DegradeLadder,
    /// The number of workers that should run.
    pub(crate) sessions: usize,
    /// A run that takes longer counts against its input.
    pub(crate) stall: Duration,
    /// The longest that a prompt waits for its scores.
    pub(crate) patience: Duration,
    pub(crate) batch_lane: BatchLane,
}

/// The counts of all workers since their start.
#[derive(Debug, Default)]
pub(crate) struct ServingCounts {
    /// Prompts that were skipped: their caller had left, or their deadline had passed.
    pub(crate) skipped: AtomicU64,
    /// Runs that failed, panics included.
    pub(crate) failures: AtomicU64,
    /// Runs that panicked.
    pub(crate) panics: AtomicU64,
    /// Threads whose run does not end.
    pub(crate) stuck: AtomicUsize,
    /// Threads that run.
    pub(crate) workers: AtomicUsize,
    /// True where the last run failed.
    pub(crate) failing: AtomicBool,
}

impl ServingState {
    /// Returns the state of a classifier that has done nothing yet.
    pub(crate) fn new(
        name: &Name,
        config: &config::ClassifierConfig,
        metrics: ClassifierMetrics,
        placement: DevicePlacement,
    ) -> Self {
        Self {
            name: name.clone(),
            cache: ScoreCache::new(config.cache),
            quarantine: InputQuarantine::default(),
            counts: ServingCounts::default(),
            metrics: metrics.priced(config.usd_per_hour),
            batch: config.batch,
            drift: config.drift,
            placement,
            degrade_ladder: DegradeLadder::default(),
            sessions: config.workers.max(1),
            stall: STALLED.max(config.deadline.0 * STALLED_DEADLINES),
            patience: config.deadline.0,
            batch_lane: BatchLane::new(config),
        }
    }

    /// Expects no worker.
    pub(crate) fn without_sessions(self) -> Self {
        Self { sessions: 0, ..self }
    }
}
