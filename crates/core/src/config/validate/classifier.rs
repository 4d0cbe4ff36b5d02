//! Classifiers: what scores, its bounds, what watches it.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::ConfigChecker;
use crate::config::problem::KeyPath;
use crate::config::{ClassifierConfig, DeviceChoice, Ratio};

const QUEUE: RangeInclusive<usize> = 1..=65_536;
const THREADS: RangeInclusive<usize> = 1..=64;
const WORKERS: RangeInclusive<usize> = 1..=64;
const BATCH_SIZE: RangeInclusive<usize> = 1..=1024;
const BATCH_WAIT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(1);
const CACHE_ENTRIES: RangeInclusive<usize> = 0..=10_000_000;
const CACHE_BYTES: RangeInclusive<usize> = 0..=1 << 30;
const MEMORY: RangeInclusive<usize> = 64 << 20..=1 << 40;
const DRIFT_WINDOW: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(168);
const DRIFT_PROMPTS: RangeInclusive<u64> = 1000..=1_000_000;
const CUDA_DEVICES: RangeInclusive<u32> = 0..=255;
const DEADLINE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(10);
const BATCH_DEADLINE: Duration = Duration::from_hours(1);

impl ConfigChecker<'_> {
    pub(super) fn classifier(&mut self, path: &KeyPath, classifier: &ClassifierConfig) {
        match (&classifier.bundle, &classifier.remote) {
            (Some(bundle), _) if bundle.as_os_str().is_empty() => {
                self.wrong(&path.key("bundle"), "must be the path of a folder");
            }
            (None, None) => self.wrong(&path.key("bundle"), "is required, unless `remote` names a server"),
            _ => {}
        }
        if let Some(remote) = &classifier.remote {
            self.remote_classifier(&path.key("remote"), remote, classifier);
        }
        self.span(&path.key("deadline"), classifier.deadline, &DEADLINE);
        let batches = classifier.deadline.0.min(*DEADLINE.end())..=BATCH_DEADLINE;
        self.span(&path.key("batch_deadline"), classifier.batch_deadline, &batches);
        self.within(&path.key("queue"), &classifier.queue, &QUEUE);
        self.within(&path.key("threads"), &classifier.threads, &THREADS);
        self.within(&path.key("workers"), &classifier.workers, &WORKERS);
        let (batch, cache) = (path.key("batch"), path.key("cache"));
        self.within(&batch.key("max_size"), &classifier.batch.max_size, &BATCH_SIZE);
        self.span(&batch.key("max_wait"), classifier.batch.max_wait, &BATCH_WAIT);
        self.within(&cache.key("max_entries"), &classifier.cache.max_entries, &CACHE_ENTRIES);
        if classifier.require && classifier.device == DeviceChoice::Auto {
            self.wrong(&path.key("require"), "needs a `device` by name (allowed: cpu, {cuda: N}, tensorrt)");
        }
        if let DeviceChoice::Cuda(number) = classifier.device {
            self.within(&path.key("device").key("cuda"), &number, &CUDA_DEVICES);
        }
        self.within(&cache.key("max_bytes"), &classifier.cache.max_bytes, &CACHE_BYTES);
        if let Some(bytes) = classifier.memory_limit {
            self.within(&path.key("memory_limit"), &bytes, &MEMORY);
        }
        if !(0.0..=1e6).contains(&classifier.usd_per_hour) {
            self.wrong(&path.key("usd_per_hour"), "is out of bounds (allowed: 0 to 1000000 US dollars)");
        }
        self.observers(path, classifier);
    }

    fn observers(&mut self, path: &KeyPath, classifier: &ClassifierConfig) {
        if let Some(confidence) = classifier.cascade.confidence.map(Ratio::get)
            && confidence <= 0.5
        {
            let message = format!("{confidence} is out of bounds (allowed: above 0.5, at most 1)");
            self.wrong(&path.key("cascade").key("confidence"), message);
        }
        if let Some(shadow) = &classifier.shadow {
            let path = path.key("shadow");
            if classifier.bundle.is_none() {
                self.wrong(&path, "has nothing to be compared with (allowed: beside a `bundle`)");
            }
            if shadow.bundle.as_os_str().is_empty() {
                self.wrong(&path.key("bundle"), "must be the path of a folder");
            }
            if shadow.sample.get() <= 0.0 {
                self.wrong(&path.key("sample"), "0 is out of bounds (allowed: above 0, at most 1)");
            }
        }
        let drift = path.key("drift");
        self.span(&drift.key("window"), classifier.drift.window, &DRIFT_WINDOW);
        self.within(&drift.key("max_prompts"), &classifier.drift.max_prompts, &DRIFT_PROMPTS);
    }
}
