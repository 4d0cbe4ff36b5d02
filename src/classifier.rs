//! Classifiers: bundles of weights that judge prompts, each behind a bounded queue on a thread of its own.
//!
//! [`Classifier`] is the handle that the router keeps; behind it a worker owns the tokenizer, the ONNX Runtime session and
//! the heads. No proxy thread ever runs a model or waits longer than its deadline. What goes wrong is a
//! [`Degraded`], never an error to the client.
//!
//! A [`Bundle`] is verified as a whole before it serves: hashes, shapes, the graph, a warm-up, the golden inputs. `ort` is
//! used in `runtime` and `session` only.

mod bundle;
mod encoder;
mod golden;
mod heads;
mod inputs;
mod manifest;
mod runtime;
mod scorer;
mod session;
mod tokenize;
mod worker;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

pub use self::bundle::{Bundle, BundleError, Identity};
use self::encoder::Encoder;
pub use self::encoder::InferenceError;
pub use self::heads::Heads;
pub use self::inputs::FeatureInputs;
pub use self::manifest::{Activation, Block, EncoderSpec, HeadKind, HeadSpec, Manifest, Precision, TokenizerSpec};
pub use self::runtime::{Runtime, RuntimeError};
use self::scorer::{Input, Scorer};
use self::session::OnnxEncoder;
pub use self::tokenize::{Budget, Excerpt, Tokenizer, Tokens};
use self::worker::{Counts, Entry, Worker};
use crate::config::{self, Name};
use crate::features::Features;
use crate::scores::{Degraded, Scores};

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
}

/// What a classifier has been through since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Prompts that wait.
    pub waiting: usize,
    /// Runs that gave scores; `scored / runs` is the mean batch.
    pub runs: u64,
    /// Prompts that got scores.
    pub scored: u64,
    /// Prompts that were skipped: their caller had left, or their deadline had passed.
    pub skipped: u64,
    /// Runs that failed, panics included.
    pub failures: u64,
    /// Runs that panicked.
    pub panics: u64,
}

impl Classifier {
    /// Loads the bundle that `config` names, relative to `base_dir`, and starts it: verify, create the session, warm up,
    /// check the golden inputs, start the worker. Takes a good part of a second, so call it off the proxy's threads.
    ///
    /// # Errors
    /// The first thing that is wrong with the bundle.
    pub fn start(
        name: &Name,
        config: &config::Classifier,
        base_dir: &Path,
        runtime: &Arc<Runtime>,
    ) -> Result<Self, BundleError> {
        let bundle = Bundle::open(&base_dir.join(&config.bundle))?;
        Self::start_bundle(name, config, bundle, runtime)
    }

    /// Starts a bundle that was opened before.
    ///
    /// # Errors
    /// When the graph is not what the manifest says, the first runs fail, or golden inputs score differently.
    pub fn start_bundle(
        name: &Name,
        config: &config::Classifier,
        mut bundle: Bundle,
        runtime: &Arc<Runtime>,
    ) -> Result<Self, BundleError> {
        let encoder = OnnxEncoder::new(runtime, &bundle.manifest.encoder, &bundle.model, config.threads)?;
        // The session has its own copy.
        bundle.model = Vec::new();
        Self::serve(name, bundle, encoder, config.queue)
    }

    /// Judges a text: the scores of every head, or why there are none, at the latest at `deadline`.
    ///
    /// Dropping the future takes the text out of the queue.
    ///
    /// # Errors
    /// `NoText` for a blank text, `QueueFull` at once, `Deadline` in time, `Inference` and `WorkerGone` as they happen.
    pub async fn classify(&self, text: String, features: &Features, deadline: Instant) -> Result<Scores, Degraded> {
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
            runs: counts.runs.load(Ordering::Relaxed),
            scored: counts.scored.load(Ordering::Relaxed),
            skipped: counts.skipped.load(Ordering::Relaxed),
            failures: counts.failures.load(Ordering::Relaxed),
            panics: counts.panics.load(Ordering::Relaxed),
        }
    }

    fn serve<E: Encoder>(name: &Name, bundle: Bundle, encoder: E, queue: usize) -> Result<Self, BundleError> {
        let mut scorer = Scorer::new(&bundle, encoder);
        let file = &bundle.manifest.encoder.file;
        scorer.warm_up().map_err(|source| BundleError::Run { file: file.clone(), source })?;
        golden::check(&bundle, &mut scorer)?;
        let (classifier, worker) = Self::assemble(name, bundle, scorer, queue);
        worker.spawn().map_err(|source| BundleError::Thread { source })?;
        Ok(classifier)
    }

    /// Ties a handle to a worker that does not run yet.
    fn assemble<E: Encoder>(name: &Name, bundle: Bundle, scorer: Scorer<E>, queue: usize) -> (Self, Worker<E>) {
        let (queue, worker) = Worker::new(name, scorer, queue);
        let shared = Shared {
            name: name.clone(),
            budget: bundle.tokenizer.budget(),
            identity: bundle.identity,
            inputs: bundle.inputs,
            heads: bundle.heads,
            queue,
            counts: worker.counts(),
        };
        (Self(Arc::new(shared)), worker)
    }

    fn enqueue(
        &self,
        text: String,
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
        self.0.queue.try_send(Entry { input, deadline, reply }).map_err(|error| match error {
            TrySendError::Full(_) => Degraded::QueueFull,
            TrySendError::Closed(_) => Degraded::WorkerGone,
        })?;
        Ok(scores)
    }
}

#[cfg(test)]
mod tests;
