//! The start of a classifier: a verified bundle, its sessions, a warm-up, the golden inputs, the threads.

use std::path::PathBuf;
use std::sync::Arc;

use pointsman_core::config;
use pointsman_core::config::Name;
use pointsman_core::scores::Degraded;
use pointsman_telemetry::Metrics;

use super::handle::{Classifier, Engine};
use super::worker::{Ground, Record, Worker};
use super::{queue, watchdog};
use crate::bundle::{Bundle, BundleError, golden};
use crate::onnx::device;
use crate::onnx::device::Device;
use crate::onnx::runtime::Runtime;
use crate::onnx::session::{OnnxEncoder, Terms};
use crate::scoring::encoder::Encoder;
use crate::scoring::lexical::Lexical;
use crate::scoring::scorer::Scorer;

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
        watchdog::spawn(&classifier.0.record, watched)
            .map_err(|source| BundleError::Thread { source })?;
        for worker in workers {
            worker.spawn().map_err(|source| BundleError::Thread { source })?;
        }
        Ok(classifier)
    }

    /// Ties a handle to workers that do not run yet.
    pub(super) fn assemble<E: Encoder>(
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
}
