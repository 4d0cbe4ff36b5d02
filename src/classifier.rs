//! Classifiers: bundles of weights that judge prompts, each behind a bounded queue on threads of its own.
//!
//! [`Classifier`] is the handle that the router keeps; behind it workers own a tokenizer, an ONNX Runtime session and heads
//! each, and share one queue. What was judged before comes out of a cache, and what is being judged is judged once. No proxy thread ever runs a model or waits longer than its deadline. What goes wrong is a
//! [`Degraded`], never an error to the client.
//!
//! A [`Bundle`] is verified as a whole before it serves: hashes, shapes, the graph, a warm-up, the golden inputs. `ort` is
//! used in `runtime` and `session` only.

mod bundle;
mod cache;
mod device;
mod embedder;
mod encoder;
mod flight;
mod golden;
mod heads;
mod inputs;
mod manifest;
mod ngrams;
mod queue;
mod reference;
mod repeats;
mod runtime;
mod scorer;
mod session;
mod strikes;
mod tokenize;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::{Instant, timeout_at};

pub use self::bundle::{Bundle, BundleError, Identity};
use self::cache::{Found, Key};
pub use self::device::Device;
pub use self::embedder::Embedder;
use self::encoder::Encoder;
pub use self::encoder::InferenceError;
use self::flight::Waiting;
pub use self::heads::{Blocks, Heads};
pub use self::inputs::FeatureInputs;
pub use self::manifest::{
    Activation, Block, EncoderSpec, FormError, HeadKind, HeadSpec, Kind, Manifest, Precision, TokenizerSpec,
};
pub use self::ngrams::{Ngrams, WIDTH as NGRAM_PLACES};
use self::queue::{Entry, Queue};
pub use self::reference::{Reference, ReferenceError, Signal};
pub use self::runtime::{Runtime, RuntimeError};
use self::scorer::{Input, Scorer};
use self::session::OnnxEncoder;
pub use self::tokenize::{Budget, Excerpt, Tokenizer, Tokens};
use self::worker::{Ground, Record, Worker};
use crate::config::{self, Name};
use crate::features::Features;
use crate::scores::{Degraded, Scores};
use crate::telemetry::{CacheOutcome, Metrics};

/// A handle to a running classifier; clones share it. When the last one is dropped, the workers finish what is queued
/// and end.
#[derive(Debug, Clone)]
pub struct Classifier(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    identity: Identity,
    budget: Budget,
    inputs: FeatureInputs,
    heads: Arc<Heads>,
    queue: Queue,
    record: Arc<Record>,
}

/// Where a caller's scores are.
enum Place {
    /// There.
    Known(Arc<Scores>),
    /// With a worker.
    Waiting(Waiting),
}

/// What a process lends every classifier that it starts.
#[derive(Debug, Clone)]
pub struct Host {
    /// The folder that bundles are relative to: the configuration file's.
    pub base_dir: PathBuf,
    /// The library that runs the models.
    pub runtime: Arc<Runtime>,
    /// Where queues and runs are counted.
    pub metrics: Arc<Metrics>,
}

/// What a classifier has been through since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Prompts that wait.
    pub waiting: usize,
    /// Prompts that were skipped: their caller had left, or their deadline had passed.
    pub skipped: u64,
    /// Runs that failed, panics included.
    pub failures: u64,
    /// Runs that panicked.
    pub panics: u64,
    /// Threads that run.
    pub workers: usize,
    /// Whether the last run failed.
    pub failing: bool,
}

impl Classifier {
    /// Loads the bundle that `config` names and starts it: verify, create the sessions, warm up, check the golden inputs,
    /// start the workers. Takes a good part of a second, so call it off the proxy's threads.
    ///
    /// # Errors
    /// The first thing that is wrong with the bundle.
    pub fn start(name: &Name, config: &config::Classifier, host: &Host) -> Result<Self, BundleError> {
        let bundle = Bundle::open(&host.base_dir.join(&config.bundle))?;
        Self::start_bundle(name, config, host, bundle)
    }

    /// Starts a bundle that was opened before.
    ///
    /// # Errors
    /// When the graph is not what the manifest says, the first runs fail, or golden inputs score differently.
    pub fn start_bundle(
        name: &Name,
        config: &config::Classifier,
        host: &Host,
        mut bundle: Bundle,
    ) -> Result<Self, BundleError> {
        let runtime = &host.runtime;
        let encoders = |device| {
            let encoder = |_| OnnxEncoder::new(runtime, &bundle, config.threads, device);
            (0..config.workers.max(1)).map(encoder).collect::<Result<Vec<_>, _>>()
        };
        let opened = device::open(name, config, runtime.has_cuda(), encoders)?;
        // Every session has its own copy.
        bundle.model = Vec::new();
        let metrics = host.metrics.classifier(name);
        if opened.fell_back.is_some() {
            metrics.fell_back();
        }
        let ground = Ground { device: opened.device, fell_back: opened.fell_back };
        Self::serve(bundle, opened.content, config, Record::new(name, config, metrics, ground))
    }

    /// Judges a text: the scores of every head, or why there are none, at the latest at `deadline`.
    ///
    /// Dropping the future takes the text out of the queue.
    ///
    /// # Errors
    /// `NoText` for a blank text, `Poisoned` and `QueueFull` at once, `Deadline` in time, `Inference` and `WorkerGone` as
    /// they happen.
    pub async fn classify(&self, text: &str, features: &Features, deadline: Instant) -> Result<Scores, Degraded> {
        let waiting = match self.ask(text, features, deadline)? {
            Place::Known(scores) => return Ok(Scores::clone(&scores)),
            Place::Waiting(waiting) => waiting,
        };
        match timeout_at(deadline, waiting).await {
            Ok(Ok(scores)) => scores.map(Arc::unwrap_or_clone),
            Ok(Err(_worker_dropped_the_entry)) => Err(Degraded::WorkerGone),
            Err(_elapsed) => Err(Degraded::Deadline),
        }
    }

    /// Returns the labels of the head called `head`, in the order of its scores.
    #[must_use]
    pub fn labels(&self, head: &str) -> Option<&[Arc<str>]> {
        self.0.heads.labels(head)
    }

    /// Returns what the configuration calls it.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.0.record.name
    }

    /// Returns whether `other` is a handle to the same running classifier.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns which bundle it runs.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Returns what it runs on.
    #[must_use]
    pub fn device(&self) -> Device {
        self.0.record.ground.device
    }

    /// Returns why it serves worse than it should: a lower device, a session that fails, threads that ended.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let Record { ground, counts, sessions, .. } = &*self.0.record;
        let workers = counts.workers.load(Ordering::Relaxed);
        if counts.failing.load(Ordering::Relaxed) {
            return Some("inference: the last run failed".to_owned());
        }
        if workers < *sessions {
            return Some(format!("worker_gone: {workers} of {sessions} workers run"));
        }
        ground.fell_back.as_ref().map(|cause| format!("device: runs on {}, {cause}", ground.device))
    }

    /// Returns what it has been through.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let Shared { queue, record, .. } = &*self.0;
        Stats {
            waiting: queue.waiting(),
            skipped: record.counts.skipped.load(Ordering::Relaxed),
            failures: record.counts.failures.load(Ordering::Relaxed),
            panics: record.counts.panics.load(Ordering::Relaxed),
            workers: record.counts.workers.load(Ordering::Relaxed),
            failing: record.counts.failing.load(Ordering::Relaxed),
        }
    }

    fn serve<E: Encoder>(
        bundle: Bundle,
        encoders: Vec<E>,
        config: &config::Classifier,
        record: Record,
    ) -> Result<Self, BundleError> {
        let mut scorers: Vec<_> =
            encoders.into_iter().map(|encoder| Scorer::new(&bundle, encoder, config.batch.max_size)).collect();
        let file = &bundle.manifest.encoder.file;
        for scorer in &mut scorers {
            scorer.warm_up().map_err(|source| BundleError::Run { file: file.clone(), source })?;
            golden::check(&bundle, scorer)?;
        }
        let (classifier, workers) = Self::assemble(bundle, scorers, config.queue, record);
        for worker in workers {
            worker.spawn().map_err(|source| BundleError::Thread { source })?;
        }
        Ok(classifier)
    }

    /// Ties a handle to workers that do not run yet.
    fn assemble<E: Encoder>(
        bundle: Bundle,
        scorers: Vec<Scorer<E>>,
        capacity: usize,
        record: Record,
    ) -> (Self, Vec<Worker<E>>) {
        let record = Arc::new(record);
        let (queue, intake) = queue::queue(capacity);
        let workers = scorers.into_iter().map(|scorer| Worker::new(scorer, &intake, &record)).collect();
        let shared = Shared {
            budget: bundle.tokenizer.budget(),
            identity: bundle.identity,
            inputs: bundle.inputs,
            heads: bundle.heads,
            queue,
            record,
        };
        (Self(Arc::new(shared)), workers)
    }

    /// Finds the scores, or who is about to have them, or brings the text to the workers.
    fn ask(&self, text: &str, features: &Features, deadline: Instant) -> Result<Place, Degraded> {
        if text.trim_start().is_empty() {
            return Err(Degraded::NoText);
        }
        let queued = Instant::now();
        if deadline <= queued {
            return Err(Degraded::Deadline);
        }
        let Shared { queue, record, .. } = &*self.0;
        let input = Input::new(text, features, self.0.budget, &self.0.inputs);
        let key = Key::of(&input, &self.0.identity);
        if record.strikes.is_poisoned(key) {
            return Err(Degraded::Poisoned);
        }
        let place = queue.place();
        match record.cache.find(key, deadline, place.is_some()) {
            Found::Hit(scores) => {
                record.metrics.cached(CacheOutcome::Hit);
                Ok(Place::Known(scores))
            }
            Found::Joined(waiting) => {
                record.metrics.cached(CacheOutcome::Joined);
                Ok(Place::Waiting(waiting))
            }
            Found::Lead(flight, waiting) => {
                record.metrics.cached(CacheOutcome::Miss);
                self.send(Entry { key, input, queued, flight, place })?;
                Ok(Place::Waiting(waiting))
            }
            Found::Nothing => Err(Degraded::QueueFull),
        }
    }

    fn send(&self, entry: Entry) -> Result<(), Degraded> {
        let Shared { queue, record, .. } = &*self.0;
        // Counted before it is sent, so that the depth never dips below zero.
        record.metrics.queued();
        queue.send(entry).map_err(|entry| {
            record.metrics.dequeued(entry.queued.elapsed());
            record.cache.forget(entry.key, &entry.flight);
            Degraded::WorkerGone
        })
    }
}

#[cfg(test)]
mod tests;
