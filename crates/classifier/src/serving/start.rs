//! The start of a classifier: a verified bundle, its sessions, a warm-up, the golden inputs, the threads.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use pointsman_core::config;
use pointsman_core::config::Name;
use pointsman_telemetry::Metrics;

use super::golden_check::GoldenCheckError;
use super::handle::{Classifier, EncoderOutage, EncoderState};
use super::state::ServingState;
use super::worker::Worker;
use super::{golden_check, queue, watchdog};
use crate::bundle::{Bundle, BundleError};
use crate::manifest::FILE;
use crate::onnx::device;
use crate::onnx::device::{DevicePlacement, SessionDevice};
use crate::onnx::error::SessionError;
use crate::onnx::runtime::OnnxRuntime;
use crate::onnx::session::{OnnxEncoder, SessionOptions};
use crate::scoring::encoder::Encoder;
use crate::scoring::error::{InferenceError, ModelRunError};
use crate::scoring::lexical::LexicalHeads;
use crate::scoring::scorer::Scorer;
use crate::scoring::tokenize::Tokenizer;

/// The things that a process lends to every classifier that it starts.
#[derive(Debug, Clone)]
pub struct ClassifierHost {
    /// The folder that bundles are relative to: the configuration file's.
    pub base_dir: PathBuf,
    /// The library that runs the models.
    pub runtime: Arc<OnnxRuntime>,
    /// The metrics that queues and runs are counted in.
    pub metrics: Arc<Metrics>,
}

/// An error of starting a classifier.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum ClassifierError {
    /// The folder is no sound bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The model gets no session on the configuration's device.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The model runs and is not the one that was trained.
    #[error(transparent)]
    Golden(#[from] GoldenCheckError),
    /// The model fails while it is warmed up.
    #[error(transparent)]
    Run(#[from] ModelRunError),
    /// Every head needs the encoder, which cannot run.
    #[error("{FILE}: no head can do without the encoder")]
    NoLexicalHead,
    /// The system gives no thread.
    #[error("cannot start the classifier's thread")]
    Thread { source: io::Error },
}

impl Classifier {
    /// Loads the bundle that `config` names and starts it: verify, create the sessions, warm up, check the golden
    /// inputs, start the workers. Takes a good part of a second, so call it off the proxy's threads.
    ///
    /// # Errors
    /// The first thing that is wrong with the bundle.
    pub fn start(
        name: &Name,
        config: &config::ClassifierConfig,
        host: &ClassifierHost,
    ) -> Result<Self, ClassifierError> {
        let bundle = Bundle::open(&config.folder(&host.base_dir).unwrap_or_default())?;
        Self::start_bundle(name, config, host, bundle)
    }

    /// Starts a bundle that was opened before.
    ///
    /// # Errors
    /// When the graph is not what the manifest says, the first runs fail, or golden inputs score differently.
    pub fn start_bundle(
        name: &Name,
        config: &config::ClassifierConfig,
        host: &ClassifierHost,
        mut bundle: Bundle,
    ) -> Result<Self, ClassifierError> {
        if !(bundle.needs_encoder() || config.embeds) {
            return Self::start_lexical(name, config, &host.metrics, bundle, None);
        }
        let runtime = &host.runtime;
        let encoders = |device| {
            let options = SessionOptions { device, threads: config.threads, memory_limit: config.memory_limit };
            let encoder = |_| {
                let mut encoder = OnnxEncoder::new(runtime, &bundle, options)?;
                // Some devices fail only when they run.
                let file = bundle.manifest.encoder.file.clone();
                try_out(&mut encoder, &bundle.tokenizer).map_err(|source| ModelRunError { file, source })?;
                Ok(encoder)
            };
            (0..config.workers.max(1)).map(encoder).collect::<Result<Vec<_>, SessionError>>()
        };
        let (encoders, placement) = device::open(name, config, runtime.has_cuda(), encoders)?;
        // Every session has its own copy.
        (bundle.model, bundle.weights) = (Vec::new(), BTreeMap::new());
        let metrics = host.metrics.classifier(name);
        if placement.fell_back.is_some() {
            metrics.fell_back();
        }
        Self::serve(bundle, encoders, config, ServingState::new(name, config, metrics, placement))
    }

    /// Starts a bundle without its encoder: because no head needs it, or because of an `outage`, and the lexical heads
    /// stand in. Needs no ONNX Runtime.
    ///
    /// # Errors
    /// When golden inputs score differently, or no head can do without the encoder.
    pub fn start_lexical(
        name: &Name,
        config: &config::ClassifierConfig,
        metrics: &Metrics,
        bundle: Bundle,
        outage: Option<EncoderOutage>,
    ) -> Result<Self, ClassifierError> {
        let lexical =
            LexicalHeads::new(&bundle.manifest, &bundle.heads, config.cascade).ok_or(ClassifierError::NoLexicalHead)?;
        golden_check::check_lexical(&bundle, &lexical)?;
        let engine = outage.map_or(EncoderState::Unneeded, EncoderState::Down);
        let placement = DevicePlacement { device: SessionDevice::Cpu, fell_back: None };
        let state = ServingState::new(name, config, metrics.classifier(name), placement).without_sessions();
        Ok(Self::of(bundle, Some(lexical), engine, Arc::new(state)))
    }

    fn serve<E: Encoder>(
        bundle: Bundle,
        encoders: Vec<E>,
        config: &config::ClassifierConfig,
        state: ServingState,
    ) -> Result<Self, ClassifierError> {
        let mut scorers: Vec<_> = encoders
            .into_iter()
            .map(|encoder| Scorer::new(&bundle.tokenizer, &bundle.heads, encoder, config.batch.max_size))
            .collect();
        let file = &bundle.manifest.encoder.file;
        for scorer in &mut scorers {
            scorer.warm_up().map_err(|source| ModelRunError { file: file.clone(), source })?;
            scorer.tune().map_err(|source| ModelRunError { file: file.clone(), source })?;
            golden_check::check(&bundle, scorer)?; // alone, and in the batches that serve
            if config.embeds {
                scorer.return_embeddings();
            }
        }
        let (classifier, workers) = Self::assemble(bundle, scorers, config, state);
        let watched = workers.iter().map(Worker::watched).collect();
        watchdog::spawn(&classifier.0.state, watched).map_err(|source| ClassifierError::Thread { source })?;
        for worker in workers {
            worker.spawn().map_err(|source| ClassifierError::Thread { source })?;
        }
        Ok(classifier)
    }

    /// Ties a handle to workers that do not run yet.
    pub(super) fn assemble<E: Encoder>(
        bundle: Bundle,
        scorers: Vec<Scorer<E>>,
        config: &config::ClassifierConfig,
        state: ServingState,
    ) -> (Self, Vec<Worker<E>>) {
        let state = Arc::new(state);
        let (queue, intake) = queue::queue(config.queue);
        let workers = scorers.into_iter().map(|scorer| Worker::new(scorer, &intake, &state)).collect();
        let lexical = LexicalHeads::new(&bundle.manifest, &bundle.heads, config.cascade);
        (Self::of(bundle, lexical, EncoderState::Workers(queue), state), workers)
    }
}

/// Runs a shortest input, and where the graph does not show how many ids it knows, one with the largest: no request
/// should be the first to try that.
fn try_out(encoder: &mut OnnxEncoder, tokenizer: &Tokenizer) -> Result<(), InferenceError> {
    encoder.embed(&[tokenizer.dummy(1)])?;
    if encoder.is_vocabulary_checked() {
        return Ok(());
    }
    let largest = tokenizer.largest_id();
    let failed = |source| InferenceError::Vocabulary { largest, source: Box::new(source) };
    encoder.embed(&[tokenizer.largest()]).map(drop).map_err(failed)
}
