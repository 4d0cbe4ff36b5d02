//! Classifiers: bundles of weights that judge prompts, each behind a bounded queue on threads of its own.
//!
//! [`Classifier`] is the handle that the router keeps; behind it workers own a tokenizer, an ONNX Runtime session and heads
//! each, and share one queue. What was judged before comes out of a cache, and what is being judged is judged once. No
//! proxy thread ever runs an encoder or waits longer than its deadline; the heads that need none are scored at once, and
//! answer when they are sure or when the encoder cannot. What goes wrong is a [`Degraded`], never an error to the client.
//!
//! A [`Bundle`] is verified as a whole before it serves: hashes, shapes, the graph, a warm-up, the golden inputs. `ort` is
//! used in `runtime` and `session` only.

mod bundle;
mod cache;
mod device;
mod drift;
mod embedder;
mod encoder;
mod exemplars;
mod flight;
mod golden;
mod heads;
mod inputs;
mod judge;
mod ladder;
mod lexical;
mod manifest;
mod ngrams;
mod queue;
mod reference;
mod repeats;
mod runtime;
mod scope;
mod scorer;
mod session;
mod shadow;
mod strikes;
mod tokenize;
mod watchdog;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pointsman_core::config;
use pointsman_core::config::Name;
use pointsman_core::scores::{Degraded, Source};
use pointsman_telemetry::Metrics;

use self::bundle::Watched;
pub use self::bundle::{Bundle, BundleError, Identity};
pub use self::device::Device;
use self::drift::Drift;
pub use self::embedder::Embedder;
use self::encoder::Encoder;
pub use self::encoder::InferenceError;
pub use self::exemplars::{Exemplars, Texts};
pub use self::heads::{Blocks, Calibration, Heads};
pub use self::inputs::FeatureInputs;
pub use self::judge::Ask;
use self::lexical::Lexical;
pub use self::manifest::{
    Activation, Block, Curve, EncoderSpec, FormError, Gate, GateError, HeadKind, HeadSpec, Kind, Manifest, MixError,
    Neighbours, NgramsSpec, Precision, ScopeError, Share, TokenizerSpec, Trees,
};
pub use self::ngrams::{Ngrams, WIDTH as NGRAM_PLACES};
use self::queue::Queue;
pub use self::reference::{Collector, Reference, ReferenceError, Signal};
pub use self::runtime::{Runtime, RuntimeError};
use self::scope::TrainingScope;
pub use self::scope::{NgramRecord, main_script};
use self::scorer::Scorer;
use self::session::{OnnxEncoder, Terms};
pub use self::shadow::{Decided, Shadow, Ticket};
pub use self::tokenize::{Budget, Excerpt, Tokenizer, Tokens};
use self::worker::{Ground, Record, Worker};

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
    /// The heads that need no encoder, if the bundle has any.
    lexical: Option<Lexical>,
    engine: Engine,
    makes_embeddings: bool,
    /// The texts that the bundle was trained for.
    scope: TrainingScope,
    /// Compares live traffic with the bundle's reference, if it brings one.
    drift: Option<Drift>,
    record: Arc<Record>,
}

/// What runs the encoder.
#[derive(Debug)]
enum Engine {
    /// Workers behind a queue.
    Workers(Queue),
    /// Nothing: no head reads an embedding.
    Unneeded,
    /// Nothing, though there should be something.
    Down {
        /// What decisions say.
        reason: Degraded,
        /// What an operator has to mend.
        detail: String,
    },
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
        if !(bundle.needs_encoder() || config.embeds) {
            return Self::start_lexical(name, config, &host.metrics, bundle, None);
        }
        let runtime = &host.runtime;
        let encoders = |device| {
            let terms = Terms { device, threads: config.threads, memory_limit: config.memory_limit };
            let encoder = |_| {
                let mut encoder = OnnxEncoder::new(runtime, &bundle, terms)?;
                // Some devices fail only when they run.
                let file = bundle.manifest.encoder.file.clone();
                encoder.embed(&[bundle.tokenizer.dummy(1)]).map_err(|source| BundleError::Run { file, source })?;
                Ok(encoder)
            };
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

    /// Starts a bundle without its encoder: because no head needs it, or because it is `down` and the lexical heads
    /// stand in. Needs no ONNX Runtime.
    ///
    /// # Errors
    /// When golden inputs score differently, or no head can do without the encoder.
    pub fn start_lexical(
        name: &Name,
        config: &config::Classifier,
        metrics: &Metrics,
        bundle: Bundle,
        down: Option<(Degraded, String)>,
    ) -> Result<Self, BundleError> {
        let lexical = Lexical::new(&bundle.manifest, &bundle.heads, config.cascade).ok_or(BundleError::NoLexical)?;
        golden::check_lexical(&bundle, &lexical)?;
        let engine = match down {
            Some((reason, detail)) => Engine::Down { reason, detail },
            None => Engine::Unneeded,
        };
        let ground = Ground { device: Device::Cpu, fell_back: None };
        let record = Record::new(name, config, metrics.classifier(name), ground).without_sessions();
        Ok(Self::of(bundle, Some(lexical), engine, Arc::new(record)))
    }

    /// Iterates over the names of its heads and their labels, in the order of the scores.
    pub fn heads(&self) -> impl Iterator<Item = (&str, &[Arc<str>])> {
        self.0.heads.iter()
    }

    /// Returns the labels of the head called `head`, in the order of its scores.
    #[must_use]
    pub fn labels(&self, head: &str) -> Option<&[Arc<str>]> {
        self.0.heads.labels(head)
    }

    /// Returns how the scores of `head` that came from `source` are calibrated.
    #[must_use]
    pub fn calibration(&self, head: &str, source: Source) -> Option<Calibration> {
        let lexical = self.0.lexical.as_ref().filter(|_| source != Source::Encoder);
        let form = lexical.and_then(|lexical| lexical.form_of(head));
        self.0.heads.calibration(form.unwrap_or(head))
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

    /// Returns whether replacing `other` by it would change nothing: it is the same, or neither gets its encoder to run.
    #[must_use]
    pub fn serves_like(&self, other: &Self) -> bool {
        self.is(other) || (self.is_down() && other.is_down() && self.identity() == other.identity())
    }

    /// Returns which bundle it runs.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Returns whether its encoder runs, and makes embeddings rather than logits.
    #[must_use]
    pub fn can_embed(&self) -> bool {
        self.0.makes_embeddings && matches!(self.0.engine, Engine::Workers(_))
    }

    /// Returns what it runs on.
    #[must_use]
    pub fn device(&self) -> Device {
        self.0.record.ground.device
    }

    /// Returns why it serves worse than it should: a lower device, a session that fails, threads that ended.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let Record { ground, counts, sessions, ladder, .. } = &*self.0.record;
        if let Engine::Down { reason, detail } = &self.0.engine {
            return Some(format!("{}: the lexical heads decide: {detail}", reason.as_str()));
        }
        let workers = counts.workers.load(Ordering::Relaxed);
        if counts.failing.load(Ordering::Relaxed) {
            return Some("inference: the last run failed".to_owned());
        }
        if workers < *sessions {
            return Some(format!("worker_gone: {workers} of {sessions} workers run"));
        }
        if let stuck @ 1.. = counts.stuck.load(Ordering::Relaxed) {
            return Some(format!("worker_stuck: {stuck} of {sessions} workers are in a run that does not end"));
        }
        let device = || ground.fell_back.as_ref().map(|cause| format!("device: runs on {}, {cause}", ground.device));
        ladder.trouble().or_else(device)
    }

    /// Returns whether a fresh start could help: its sessions fail, or threads of it have ended.
    #[must_use]
    pub fn is_sick(&self) -> bool {
        let Record { counts, sessions, .. } = &*self.0.record;
        let able = counts.workers.load(Ordering::Relaxed).saturating_sub(counts.stuck.load(Ordering::Relaxed));
        counts.failing.load(Ordering::Relaxed) || able < *sessions
    }

    /// Returns whether the encoder should run and does not, so that only the lexical heads answer.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.down().is_some()
    }

    /// Returns why the encoder does not run although it should.
    #[must_use]
    pub fn down(&self) -> Option<Degraded> {
        match &self.0.engine {
            Engine::Down { reason, .. } => Some(*reason),
            Engine::Workers(_) | Engine::Unneeded => None,
        }
    }

    /// Returns what it has been through.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let Shared { engine, record, .. } = &*self.0;
        Stats {
            waiting: if let Engine::Workers(queue) = engine { queue.waiting() } else { 0 },
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
            scorer.tune().map_err(|source| BundleError::Run { file: file.clone(), source })?;
            scorer.keep_embeddings(config.embeds);
        }
        let (classifier, workers) = Self::assemble(bundle, scorers, config, record);
        let watched = workers.iter().map(Worker::watched).collect();
        watchdog::spawn(&classifier.0.record, watched).map_err(|source| BundleError::Thread { source })?;
        for worker in workers {
            worker.spawn().map_err(|source| BundleError::Thread { source })?;
        }
        Ok(classifier)
    }

    /// Ties a handle to workers that do not run yet.
    fn assemble<E: Encoder>(
        bundle: Bundle,
        scorers: Vec<Scorer<E>>,
        config: &config::Classifier,
        record: Record,
    ) -> (Self, Vec<Worker<E>>) {
        let record = Arc::new(record);
        let (queue, intake) = queue::queue(config.queue);
        let workers = scorers.into_iter().map(|scorer| Worker::new(scorer, &intake, &record)).collect();
        let lexical = Lexical::new(&bundle.manifest, &bundle.heads, config.cascade);
        (Self::of(bundle, lexical, Engine::Workers(queue), record), workers)
    }

    fn of(bundle: Bundle, lexical: Option<Lexical>, engine: Engine, record: Arc<Record>) -> Self {
        let budget = bundle.tokenizer.budget();
        let makes_embeddings = bundle.manifest.kind == Kind::Encoder;
        let Bundle { identity, inputs, heads, reference, scope, .. } = bundle;
        let drift = reference
            .map(|Watched { reference, probe }| Drift::new(probe, &reference, record.drift, record.metrics.drift()));
        Self(Arc::new(Shared {
            identity,
            budget,
            inputs,
            heads,
            lexical,
            engine,
            makes_embeddings,
            scope,
            drift,
            record,
        }))
    }
}

#[cfg(test)]
mod tests;
