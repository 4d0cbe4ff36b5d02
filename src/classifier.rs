//! Classifiers: bundles of weights that judge prompts, each behind a bounded queue on a thread of its own.
//!
//! [`Classifier`] is the handle that the router keeps; behind it a worker owns the tokenizer, the ONNX Runtime session and
//! the heads. No proxy thread ever runs a model or waits longer than its deadline. What goes wrong is a
//! [`Degraded`], never an error to the client.
//!
//! A [`Bundle`] is verified as a whole before it serves: hashes, shapes, the graph, a warm-up, the golden inputs. `ort` is
//! used in `runtime` and `session` only.

mod bundle;
mod embedder;
mod encoder;
mod golden;
mod heads;
mod inputs;
mod manifest;
mod ngrams;
mod runtime;
mod scorer;
mod session;
mod tokenize;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

pub use self::bundle::{Bundle, BundleError, Identity};
pub use self::embedder::Embedder;
use self::encoder::Encoder;
pub use self::encoder::InferenceError;
pub use self::heads::{Blocks, Heads};
pub use self::inputs::FeatureInputs;
pub use self::manifest::{Activation, Block, EncoderSpec, HeadKind, HeadSpec, Manifest, Precision, TokenizerSpec};
pub use self::ngrams::{Ngrams, WIDTH as NGRAM_PLACES};
pub use self::runtime::{Runtime, RuntimeError};
use self::scorer::{Input, Scorer};
use self::session::OnnxEncoder;
pub use self::tokenize::{Budget, Excerpt, Tokenizer, Tokens};
use self::worker::{Counts, Entry, Queue, Worker};
use crate::config::{self, Name};
use crate::features::Features;
use crate::scores::{Degraded, Scores};
use crate::telemetry::{ClassifierMetrics, Metrics};

/// A handle to a running classifier; clones share it. When the last one is dropped, the worker finishes what is queued
/// and ends.
#[derive(Debug, Clone)]
pub struct Classifier(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    name: Name,
    identity: Identity,
    budget: Budget,
    inputs: FeatureInputs,
    heads: Arc<Heads>,
    queue: mpsc::Sender<Entry>,
    counts: Arc<Counts>,
    metrics: ClassifierMetrics,
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
}

impl Classifier {
    /// Loads the bundle that `config` names and starts it: verify, create the session, warm up, check the golden inputs,
    /// start the worker. Takes a good part of a second, so call it off the proxy's threads.
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
        let encoder = OnnxEncoder::new(&host.runtime, &bundle.manifest.encoder, &bundle.model, config.threads)?;
        // The session has its own copy.
        bundle.model = Vec::new();
        let queue = Queue { capacity: config.queue, metrics: host.metrics.classifier(name) };
        Self::serve(name, bundle, encoder, queue)
    }

    /// Judges a text: the scores of every head, or why there are none, at the latest at `deadline`.
    ///
    /// Dropping the future takes the text out of the queue.
    ///
    /// # Errors
    /// `NoText` for a blank text, `QueueFull` at once, `Deadline` in time, `Inference` and `WorkerGone` as they happen.
    pub async fn classify(&self, text: &str, features: &Features, deadline: Instant) -> Result<Scores, Degraded> {
        let scores = self.enqueue(text, features, deadline)?;
        match timeout_at(deadline, scores).await {
            Ok(Ok(scores)) => scores,
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
        &self.0.name
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

    /// Returns what it has been through.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let Shared { queue, counts, .. } = &*self.0;
        Stats {
            waiting: queue.max_capacity() - queue.capacity(),
            skipped: counts.skipped.load(Ordering::Relaxed),
            failures: counts.failures.load(Ordering::Relaxed),
            panics: counts.panics.load(Ordering::Relaxed),
        }
    }

    fn serve<E: Encoder>(name: &Name, bundle: Bundle, encoder: E, queue: Queue) -> Result<Self, BundleError> {
        let mut scorer = Scorer::new(&bundle, encoder);
        let file = &bundle.manifest.encoder.file;
        scorer.warm_up().map_err(|source| BundleError::Run { file: file.clone(), source })?;
        golden::check(&bundle, &mut scorer)?;
        let (classifier, worker) = Self::assemble(name, bundle, scorer, queue);
        worker.spawn().map_err(|source| BundleError::Thread { source })?;
        Ok(classifier)
    }

    /// Ties a handle to a worker that does not run yet.
    fn assemble<E: Encoder>(name: &Name, bundle: Bundle, scorer: Scorer<E>, queue: Queue) -> (Self, Worker<E>) {
        let metrics = queue.metrics.clone();
        let (queue, worker) = Worker::new(name, scorer, queue);
        let shared = Shared {
            name: name.clone(),
            budget: bundle.tokenizer.budget(),
            identity: bundle.identity,
            inputs: bundle.inputs,
            heads: bundle.heads,
            queue,
            counts: worker.counts(),
            metrics,
        };
        (Self(Arc::new(shared)), worker)
    }

    fn enqueue(
        &self,
        text: &str,
        features: &Features,
        deadline: Instant,
    ) -> Result<oneshot::Receiver<Result<Scores, Degraded>>, Degraded> {
        if text.trim_start().is_empty() {
            return Err(Degraded::NoText);
        }
        if deadline <= Instant::now() {
            return Err(Degraded::Deadline);
        }
        let (reply, scores) = oneshot::channel();
        let input = Input { excerpt: self.0.budget.excerpt(text), features: self.0.inputs.scale(features) };
        let entry = Entry { input, queued: Instant::now(), deadline, reply };
        let place = self.0.queue.try_reserve().map_err(|error| match error {
            TrySendError::Full(()) => Degraded::QueueFull,
            TrySendError::Closed(()) => Degraded::WorkerGone,
        })?;
        // Counted before it is sent, so that the depth never dips below zero.
        self.0.metrics.queued();
        place.send(entry);
        Ok(scores)
    }
}

#[cfg(test)]
mod tests;
