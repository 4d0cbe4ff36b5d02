//! The metrics of what serves classifiers: queue, batches, cache, device, and which bundle runs.

use std::sync::Arc;
use std::time::Duration;

use pointsman_core::config::Name;
use prometheus::{Counter, Histogram, IntCounter, IntGauge};

use super::definitions as define;
use super::family::{Family, LabelValue, Registry};
use super::{CacheOutcome, DriftMetrics, Metrics};

/// The queues of classifiers, and the batches that are taken from them.
pub(super) struct QueueFamilies {
    pub(super) depth: Family<IntGauge, 1>,
    wait: Family<Histogram, 1>,
    run: Family<Histogram, 1>,
    batch_size: Family<Histogram, 1>,
    padding: Family<Histogram, 1>,
}

impl QueueFamilies {
    pub(super) fn register(r: &Registry) -> Self {
        Self {
            depth: Family::register(r, define::QUEUE_DEPTH),
            wait: Family::register(r, define::QUEUE_WAIT),
            run: Family::register(r, define::RUN_TIME),
            batch_size: Family::register(r, define::BATCH_SIZE),
            padding: Family::register(r, define::PADDING),
        }
    }
}

/// The metrics of one classifier, looked up once: its worker touches them without a look-up.
#[derive(Clone)]
pub struct ClassifierMetrics {
    depth: IntGauge,
    wait: Histogram,
    run: Histogram,
    batch_size: Histogram,
    padding: Histogram,
    truncated_tokens: Histogram,
    cache: [IntCounter; CacheOutcome::ALL.len()],
    device_fallbacks: IntCounter,
    cost: Counter,
    usd_per_second: f64,
    drift: DriftMetrics,
}

/// Which bundle a classifier runs, for `pointsman_model_info`.
#[derive(Debug, Clone)]
pub struct ModelInfo {
    /// The classifier's name in the configuration.
    pub classifier: Name,
    /// The bundle's version.
    pub version: Arc<str>,
    /// The bundle's checksum.
    pub sha256: Arc<str>,
    /// The device that the model runs on.
    pub device: Arc<str>,
}

impl Metrics {
    /// Returns the metrics that a classifier's worker touches. Two workers of one name, as during a swap, share them.
    #[must_use]
    pub fn classifier(&self, name: &Name) -> ClassifierMetrics {
        ClassifierMetrics {
            depth: self.queues.depth.with([name.into()]),
            wait: self.queues.wait.with([name.into()]),
            run: self.queues.run.with([name.into()]),
            batch_size: self.queues.batch_size.with([name.into()]),
            padding: self.queues.padding.with([name.into()]),
            truncated_tokens: self.truncated_tokens.with([name.into()]),
            cache: CacheOutcome::ALL.map(|outcome| self.cache.with([name.into(), outcome.as_str().into()])),
            device_fallbacks: self.device_fallbacks.with([name.into()]),
            cost: self.quality.classifier_cost.with([name.into()]),
            usd_per_second: 0.0,
            drift: self.drift(name),
        }
    }

    /// Replaces what is said about the bundles that run: those of a former generation disappear.
    pub fn set_models(&self, models: &[ModelInfo]) {
        self.queues.depth.retain(|[name]| models.iter().any(|model| *model.classifier == **name));
        self.model_info.retain(|labels| models.iter().any(|model| model.labels() == *labels));
        self.device_info.retain(|labels| models.iter().any(|model| model.device_labels() == *labels));
        for model in models {
            self.device_info.with(model.device_labels()).set(1);
            self.model_info.with(model.labels()).set(1);
        }
    }
}

impl ClassifierMetrics {
    /// Returns the metrics of its drift; those of a bundle before it disappear.
    #[must_use]
    pub fn drift(&self) -> DriftMetrics {
        self.drift.begin();
        self.drift.clone()
    }

    /// Notes that a prompt was counted as queued and found no place.
    pub fn turned_away(&self) {
        self.depth.dec();
    }

    /// Returns them for runs that cost so much an hour.
    #[must_use]
    pub fn priced(self, usd_per_hour: f64) -> Self {
        Self { usd_per_second: usd_per_hour / 3600.0, ..self }
    }

    /// Notes that a prompt joined the queue.
    pub fn queued(&self) {
        self.depth.inc();
    }

    /// Notes that a prompt left the queue, to be scored or because its caller had gone.
    pub fn dequeued(&self, waited: Duration) {
        self.depth.dec();
        self.wait.observe(waited.as_secs_f64());
    }

    /// Notes one run of the model over a batch.
    #[expect(clippy::cast_precision_loss, reason = "a batch has fewer than 2^52 prompts")]
    pub fn ran(&self, batch: usize, took: Duration) {
        self.batch_size.observe(batch as f64);
        self.run.observe(took.as_secs_f64());
        if self.usd_per_second > 0.0 {
            self.cost.inc_by(took.as_secs_f64() * self.usd_per_second);
        }
    }

    /// Notes which share of a run's tokens was padding, from 0 to 1.
    pub fn padded(&self, ratio: f64) {
        self.padding.observe(ratio);
    }

    /// Counts a start on another device than the wanted one.
    pub fn fell_back(&self) {
        self.device_fallbacks.inc();
    }

    /// Counts where a prompt's scores came from.
    pub fn cached(&self, outcome: CacheOutcome) {
        self.cache[outcome as usize].inc();
    }

    /// Notes how many tokens of a prompt were cut; 0 when it fit.
    pub fn truncated(&self, tokens: u32) {
        self.truncated_tokens.observe(f64::from(tokens));
    }
}

impl std::fmt::Debug for ClassifierMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClassifierMetrics").finish_non_exhaustive()
    }
}

impl ModelInfo {
    fn labels(&self) -> [LabelValue; 3] {
        [(&self.classifier).into(), (&self.version).into(), (&self.sha256).into()]
    }

    fn device_labels(&self) -> [LabelValue; 2] {
        [(&self.classifier).into(), (&self.device).into()]
    }
}
