//! The `classifiers` section: bundles and how to run them, and classifiers that run elsewhere.

mod remote;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::remote::{
    HedgeConfig, RemoteActivation, RemoteBreaker, RemoteClassifierConfig, RemoteHead, RemoteProtocol, RemoteQuestion,
    RemoteQuestionKind, RemoteTerm,
};
use super::values::{Ratio, TimeSpan};

/// A classifier: a bundle and how to run it, a server that is asked, or a server with a bundle behind it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierConfig {
    /// The bundle's folder, relative to the configuration file's. Required without `remote`; beside it the bundle answers
    /// where the server does not.
    #[serde(default)]
    pub bundle: Option<PathBuf>,
    /// A server that is asked first.
    #[serde(default)]
    pub remote: Option<RemoteClassifierConfig>,
    /// The longest that a request waits for its scores. Default 20ms.
    #[serde(default = "ClassifierConfig::default_deadline")]
    pub deadline: TimeSpan,
    /// The longest that a request with several texts waits for all of their scores: the classify API, and the Open Inference
    /// Protocol as a server. One with a single text has `deadline`. Default 60s.
    #[serde(default = "ClassifierConfig::default_batch_deadline")]
    pub batch_deadline: TimeSpan,
    /// Requests that may wait for the worker; one more is not scored. Default 128.
    #[serde(default = "ClassifierConfig::default_queue")]
    pub queue: usize,
    /// Threads that ONNX Runtime uses for one run. Default 1.
    #[serde(default = "ClassifierConfig::default_threads")]
    pub threads: usize,
    /// Sessions that share the queue, each with a thread and a copy of the weights of its own. Default 1.
    #[serde(default = "ClassifierConfig::default_workers")]
    pub workers: usize,
    /// Limits by which prompts are put together into one run.
    #[serde(default)]
    pub batch: BatchLimits,
    /// Limits of the cache of scores.
    #[serde(default)]
    pub cache: ScoreCacheLimits,
    /// The rule by which lexical heads are enough.
    #[serde(default)]
    pub cascade: LexicalCascade,
    /// The device that the model runs on. Default `auto`.
    #[serde(default)]
    pub device: DeviceChoice,
    /// Refuses to start, or to reload, when the model cannot run on exactly that device. Default false.
    #[serde(default)]
    pub require: bool,
    /// The most memory that a GPU's sessions may take, in bytes each; by default what the device has.
    #[serde(default)]
    pub memory_limit: Option<usize>,
    /// Another bundle that scores some of the same prompts, for comparison only.
    #[serde(default)]
    pub shadow: Option<ShadowConfig>,
    /// US dollars for an hour in which the classifier works, on what it works on: its threads' cores, or a GPU. Counted as
    /// `pointsman_classifier_cost_usd_total`. Default 0.
    #[serde(default)]
    pub usd_per_hour: f64,
    /// The window over which live traffic is compared with the bundle's reference, if there is one.
    #[serde(default)]
    pub drift: DriftWindow,
    /// Set where a strategy compares the classifier's embeddings; follows from the policies.
    #[serde(skip)]
    pub embeds: bool,
}

/// Another bundle that scores some of a classifier's prompts after they were decided, and decides nothing.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowConfig {
    /// The bundle's folder, relative to the configuration file's.
    pub bundle: PathBuf,
    /// The share of the prompts that it scores, above 0. Default 0.1.
    #[serde(default = "ShadowConfig::default_sample")]
    pub sample: Ratio,
}

/// The window over which live traffic is compared with a bundle's reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriftWindow {
    /// Prompts older than this do not count. Default 1h.
    pub window: TimeSpan,
    /// The most prompts that count. Default 10000.
    pub max_prompts: u64,
}

/// The rule by which the heads that need no encoder are enough, so that it does not run.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LexicalCascade {
    /// Lets lexical heads answer alone where they are sure. Default true; they always answer when the encoder cannot.
    pub enabled: bool,
    /// The probability of the best label from which on lexical heads are enough, above 0.5; by default the bundle's for
    /// each head.
    pub confidence: Option<Ratio>,
}

/// A device that a model runs on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceChoice {
    /// The first CUDA device if there is one that works, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of that number; the CPU if it does not work.
    Cuda(u32),
    /// The first CUDA device by TensorRT; by CUDA alone if that does not work, else the CPU.
    Tensorrt,
}

/// Limits by which prompts are put together into one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchLimits {
    /// The most prompts of one run. Default 32; the oldest prompt's deadline often allows fewer, and on a device where
    /// company gains nothing, as on the CPUs that were measured, a start finds out and prompts run alone.
    pub max_size: usize,
    /// The age that the oldest prompt may reach while a run that is not full waits for more; only prompts that had to
    /// wait for a busy worker anyway wait for that. Default 1ms.
    pub max_wait: TimeSpan,
}

/// The cache of scores, so that a text that comes again is not scored again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreCacheLimits {
    /// The most texts whose scores are kept; 0 turns the cache off. Default 10000.
    pub max_entries: usize,
    /// The most memory that the cache takes. Default 8 MiB.
    pub max_bytes: usize,
}

impl BatchLimits {
    /// Runs prompts alone: what a float sum comes to depends on its company, and an evaluation must not depend on the
    /// moment.
    #[must_use]
    pub fn of_one() -> Self {
        Self { max_size: 1, ..Self::default() }
    }
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { max_size: 32, max_wait: TimeSpan::from_millis(1) }
    }
}

impl ShadowConfig {
    fn default_sample() -> Ratio {
        Ratio::new(0.1).expect("a tenth is a ratio")
    }
}

impl Default for DriftWindow {
    fn default() -> Self {
        Self { window: TimeSpan::from_secs(3600), max_prompts: 10_000 }
    }
}

impl Default for LexicalCascade {
    fn default() -> Self {
        Self { enabled: true, confidence: None }
    }
}

impl Default for ScoreCacheLimits {
    fn default() -> Self {
        Self { max_entries: 10_000, max_bytes: 8 << 20 }
    }
}

impl ClassifierConfig {
    /// Returns the section that names only the bundle's folder.
    #[must_use]
    pub fn of(bundle: impl Into<PathBuf>) -> Self {
        Self {
            bundle: Some(bundle.into()),
            remote: None,
            deadline: Self::default_deadline(),
            batch_deadline: Self::default_batch_deadline(),
            queue: Self::default_queue(),
            threads: Self::default_threads(),
            workers: Self::default_workers(),
            batch: BatchLimits::default(),
            cache: ScoreCacheLimits::default(),
            cascade: LexicalCascade::default(),
            device: DeviceChoice::default(),
            require: false,
            memory_limit: None,
            shadow: None,
            usd_per_hour: 0.0,
            drift: DriftWindow::default(),
            embeds: false,
        }
    }

    /// Returns whether a bundle that runs as `other` says runs as this says: all but the shadow, the server and the
    /// deadline of batches is the same.
    #[must_use]
    pub fn runs_like(&self, other: &Self) -> bool {
        let batch_deadline = Self::default_batch_deadline();
        let own = |section: &Self| Self { shadow: None, remote: None, batch_deadline, ..section.clone() };
        own(self) == own(other)
    }

    /// Returns whether a server that is asked as `other` says is asked as this says.
    #[must_use]
    pub fn asks_like(&self, other: &Self) -> bool {
        let own = |section: &Self| (section.queue, section.batch, section.cache, section.remote_patience());
        own(self) == own(other)
    }

    /// Returns the bundle's folder below `base_dir`, if it has one.
    #[must_use]
    pub fn folder(&self, base_dir: &Path) -> Option<PathBuf> {
        self.bundle.as_ref().map(|bundle| base_dir.join(bundle))
    }

    /// Returns the longest that a text waits for the server that is asked first.
    #[must_use]
    pub fn remote_patience(&self) -> TimeSpan {
        let remote = self.remote.as_ref();
        remote.map_or(self.deadline, |remote| remote.patience(self.deadline, self.bundle.is_some()))
    }

    fn default_deadline() -> TimeSpan {
        TimeSpan::from_millis(20)
    }

    fn default_batch_deadline() -> TimeSpan {
        TimeSpan::from_secs(60)
    }

    fn default_queue() -> usize {
        128
    }

    fn default_threads() -> usize {
        1
    }

    fn default_workers() -> usize {
        1
    }
}
