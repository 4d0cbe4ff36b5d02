//! The builder of snapshots: what lives as long as the process, and the way from a file to the next [`Snapshot`].
//!
//! Two steps: [`SnapshotBuilder::prepare`] reads and compiles the file and everything that it names,
//! [`SnapshotBuilder::build`] loads weights and starts what serves. The second step takes what the first one made, so
//! that a load compiles each policy once.

mod advisers;
mod again;
mod answer_advisers;
mod classifiers;
mod clients;
mod listener_tls;
mod remote_classifiers;
mod response_caches;
mod shadow_askers;
mod shared_store;
mod sinks;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use pointsman_classifier::{ClassifierError, OnnxRuntime};
use pointsman_core::config;
use pointsman_core::config::{Config, ConfigProblem, ConfigProblems, KeyPath, Name, OtlpMetricsConfig};
use pointsman_core::model_family;
use pointsman_core::policy::PolicySet;
use pointsman_core::prompt::{Envelopes, OwnEnvelope};
use pointsman_core::scores::ClassifierFailure;
use pointsman_telemetry::{Metrics, MetricsExporterError, TracerError};

use self::remote_classifiers::{RemoteContext, require_contracts};
use super::Snapshot;
use super::admin_terms::AdminTerms;
use super::advisers::check_judges;
use super::key_material::KeyMaterial;
use super::load_threads::{LoadError, LoadThreads};
use super::memory;
use super::prepared::{CollectorSecrets, PreparedConfig, SinkSecrets, StoreSecrets};
use crate::response_cache::CacheMemory;
use crate::shadow_answers::ShadowSpending;
use crate::source::{ConfigSource, SourceError, SourceText};
use crate::upstream::{ConfigSurroundings, ProviderCaller, Upstreams};

/// The longest time for reading a configuration and the files that it names, weights apart, and compiling it.
const READING: Duration = Duration::from_secs(30);

/// The longest time for reading weights, starting sessions and checking them: engines for a GPU are built for minutes.
const BUILDING: Duration = Duration::from_mins(15);

/// Looks an environment variable up.
pub type EnvironmentLookup = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The builder of snapshots; lives as long as the process.
pub struct SnapshotBuilder {
    /// The configuration file; relative paths in it start at its folder. Of a configuration that is fetched, the file that it
    /// would be.
    pub path: PathBuf,
    /// The source of the text.
    pub(crate) source: Arc<ConfigSource>,
    /// The variables that keys come from.
    pub environment: EnvironmentLookup,
    /// The metrics that classifiers, peers and sinks count in.
    pub metrics: Arc<Metrics>,
    /// The time when it was made, which is before it read any file.
    created: SystemTime,
    /// ONNX Runtime, or why it did not load; loaded for the first classifier, not before.
    runtime: OnceLock<Result<Arc<OnnxRuntime>, String>>,
    /// Asks judges; made for the first one, because it loads the system's certificate authorities.
    caller: OnceLock<Arc<ProviderCaller>>,
    /// The spending on shadow answers, which no configuration makes undone.
    spending: ShadowSpending,
    /// The answers that are given again; made for the first policy that does.
    answers: OnceLock<Arc<CacheMemory>>,
    loads: LoadThreads,
}

/// The reason why a snapshot cannot be built.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum BuildError {
    /// The file holds mistakes.
    #[error(transparent)]
    Config(#[from] ConfigProblems),
    /// A classifier that must run on its device does not run.
    #[error("classifiers.{name}.require: {}: {detail}", reason.as_str())]
    Required { name: Name, reason: ClassifierFailure, detail: String },
    /// Spans cannot be sent.
    #[error("tracing.otlp: {0}")]
    Tracer(#[from] TracerError),
    /// Metrics cannot be sent.
    #[error("metrics.otlp: {0}")]
    MetricsExporter(#[from] MetricsExporterError),
    /// The decision log's writer does not start.
    #[error("cannot start a thread")]
    Thread(#[from] std::io::Error),
    /// The load hangs, panicked or was not started.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A classifier that serves now would be lost.
    #[error("classifiers.{name}.bundle: {source}")]
    Classifier { name: Name, source: ClassifierError },
}

/// The mistakes that were found so far.
#[derive(Default)]
struct ConfigMistakes(Vec<ConfigProblem>);

impl SnapshotBuilder {
    /// Makes a builder for the file at `path`, which takes keys from the process's environment.
    #[must_use]
    pub fn new(path: &Path, metrics: Arc<Metrics>) -> Self {
        Self::of(ConfigSource::file(path, None), metrics)
    }

    /// Makes a builder for the text that `source` gives, which takes keys from the process's environment.
    #[must_use]
    pub(crate) fn of(source: impl Into<Arc<ConfigSource>>, metrics: Arc<Metrics>) -> Self {
        let source = source.into();
        let path = source.path().to_owned();
        let environment = Box::new(|name: &str| std::env::var(name).ok());
        let (created, runtime, caller, answers) =
            (SystemTime::now(), OnceLock::new(), OnceLock::new(), OnceLock::new());
        let (spending, loads) = (ShadowSpending::default(), LoadThreads::default());
        Self { path, source, environment, metrics, created, runtime, caller, spending, answers, loads }
    }

    /// Like [`SnapshotBuilder::prepare`], on a thread of its own that is left behind when a file system hangs.
    ///
    /// # Errors
    /// As [`SnapshotBuilder::prepare`], or when it takes longer than half a minute or panics.
    pub fn prepare_in_time(self: &Arc<Self>) -> Result<PreparedConfig, BuildError> {
        let builder = Arc::clone(self);
        Ok(self.loads.run(READING, move || builder.prepare())??)
    }

    /// Like [`SnapshotBuilder::build`], on a thread of its own that is left behind when it does not end.
    ///
    /// # Errors
    /// As [`SnapshotBuilder::build`], or when it takes longer than a quarter of an hour or panics.
    pub fn build_in_time(
        self: &Arc<Self>,
        prepared: PreparedConfig,
        previous: Option<Arc<Snapshot>>,
    ) -> Result<Snapshot, BuildError> {
        let builder = Arc::clone(self);
        self.loads.run(BUILDING, move || builder.build(prepared, previous.as_deref()))?
    }

    /// Returns when it was made; it read no file before.
    #[must_use]
    pub const fn created(&self) -> SystemTime {
        self.created
    }

    /// Reads the file and everything that it names, and compiles its policies; reports whatever is wrong in one go.
    ///
    /// # Errors
    /// Every problem, with its place.
    pub fn prepare(&self) -> Result<PreparedConfig, ConfigProblems> {
        let refuse = |error: SourceError| self.problems(vec![ConfigProblem::new(&KeyPath::root(), error.to_string())]);
        let prepare = || match self.source.read() {
            Ok(SourceText { text, version }) => Ok(PreparedConfig { version, ..self.prepare_text(&text)? }),
            Err(error) => Err(refuse(error)),
        };
        self.source.at_rest(prepare).unwrap_or_else(|error| Err(refuse(error)))
    }

    /// Like [`SnapshotBuilder::prepare`], of a text that could stand in the file.
    ///
    /// # Errors
    /// Every problem, with its place.
    pub fn prepare_text(&self, text: &str) -> Result<PreparedConfig, ConfigProblems> {
        let (config, problems) = Config::inspect(text, self.source.name());
        self.compile(config, problems)
    }

    fn compile(&self, config: Option<Config>, problems: ConfigProblems) -> Result<PreparedConfig, ConfigProblems> {
        let Some(config) = config else { return Err(problems) };
        let mut mistakes = ConfigMistakes::default();
        let key_material = KeyMaterial::read(&config, self.base_dir());
        let policies = mistakes.collect(PolicySet::compile(&config));
        let providers = mistakes.collect(Upstreams::resolve(&config, &self.surroundings()));
        let certificates = mistakes.collect(self.certificates(&config));
        let admin_tls = mistakes.collect(self.admin_tls(&config).map_err(Some));
        let grpc_tls = mistakes.collect(self.grpc_tls(&config));
        let secrets = self.secrets(&config, &mut mistakes);
        mistakes.0.extend(check_judges(&config));
        mistakes.0.extend(model_family::catalog_problems(&config));
        // What validation found wrong with an address, resolving it finds again.
        mistakes.0.retain(|mistake| problems.iter().all(|known| known.path != mistake.path));
        let problems = problems.and(mistakes.0);
        let parts = (policies, providers, certificates, admin_tls.zip(grpc_tls), secrets);
        let (Some(policies), Some(providers), Some(certificates), Some((admin_tls, grpc_tls)), Some(secrets)) = parts
        else {
            return Err(problems);
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        let version = Arc::default();
        Ok(PreparedConfig {
            config,
            version,
            policies,
            providers,
            certificates,
            admin_tls,
            grpc_tls,
            key_material,
            secrets,
        })
    }

    /// Builds the snapshot that follows `previous` from a configuration that was prepared: loads and warms up
    /// classifiers, and starts the threads that write.
    ///
    /// Takes as long as loading the weights does (about a tenth of a second), so it runs on a thread of its own. A
    /// classifier whose bundle did not change is taken over from `previous`, queue and all. Without a `previous`, a
    /// bundle that cannot be loaded leaves its classifier unavailable: requests are served by
    /// `otherwise`. With one, weights that serve are not given up for weights that do not.
    ///
    /// # Errors
    /// Says everything that is wrong; `previous` is not touched.
    pub fn build(&self, prepared: PreparedConfig, previous: Option<&Snapshot>) -> Result<Snapshot, BuildError> {
        let PreparedConfig { mut config, policies, providers, certificates, key_material, secrets, .. } = prepared;
        let (admin_tls, grpc_tls, version) = (prepared.admin_tls, prepared.grpc_tls, prepared.version);
        config.limits.max_bytes_in_flight.get_or_insert_with(memory::default_bytes_in_flight);
        let has_same_keys = previous.is_some_and(|snapshot| snapshot.key_material.is_same(&key_material));
        let remotes = RemoteContext { config: &config, access: &secrets.remotes, has_same_keys, previous };
        let classifiers = self.classifiers(&config, &policies, &remotes, previous)?;
        let clients = self.clients(&config, previous)?;
        let decision_log = self.decision_log(&config, secrets.decision_log.as_ref(), previous)?;
        let store = self.store(&config, &secrets.store, previous)?;
        let tracer = self.tracer(&config, &secrets.tracing, previous)?;
        let metrics_exporter = self.metrics_exporter(&config, &secrets.metrics, previous)?;
        let before = previous.map(|snapshot| &*snapshot.upstreams);
        // Last, because new peers show in the metrics from here on.
        let upstreams = Upstreams::new(&config, providers, &self.metrics, before);
        let shadows = self.shadows(&config, &policies, &classifiers, previous);
        let advisers = self.advisers(&config, &upstreams, &classifiers, previous.map(|snapshot| &*snapshot.advisers));
        let advisers = Arc::new(advisers.map_err(|problems| self.problems(problems))?);
        let shadow_askers = Arc::new(self.shadow_askers(&config, &upstreams, store.as_ref(), previous));
        let response_caches = self.response_caches(&config, &classifiers, store.as_ref());
        let response_caches = Arc::new(response_caches.map_err(|problems| self.problems(problems))?);
        let generation = previous.map_or(1, |snapshot| snapshot.generation + 1);
        let admin = Arc::new(AdminTerms { section: config.admin.clone(), tls: admin_tls });
        let config = Arc::new(config);
        let (policies, upstreams, clients) = (Arc::new(policies), Arc::new(upstreams), Arc::new(clients));
        require_contracts(&classifiers, &policies);
        Ok(Snapshot {
            generation,
            envelopes: envelopes_of(&config),
            config,
            version,
            policies,
            upstreams,
            clients,
            certificates,
            admin,
            grpc_tls,
            key_material,
            decision_log,
            store,
            tracer,
            metrics_exporter,
            classifiers,
            shadows,
            advisers,
            shadow_askers,
            response_caches,
        })
    }

    /// Returns the folder that relative paths start at.
    #[must_use]
    pub fn base_dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    fn surroundings(&self) -> ConfigSurroundings<'_> {
        ConfigSurroundings { environment: &*self.environment, base_dir: self.base_dir() }
    }

    fn secrets(&self, config: &Config, mistakes: &mut ConfigMistakes) -> Option<SinkSecrets> {
        let decision_log = mistakes.collect(self.log_secret(config).map_err(Some));
        let store_access = mistakes.collect(self.store_access(config));
        let store_trust = mistakes.collect(self.store_trust(config).map_err(Some));
        let spans = config.tracing.as_ref().map(|tracing| tracing.otlp.collector());
        let numbers = config.metrics.otlp.as_ref().map(OtlpMetricsConfig::collector);
        let [tracing, metrics] = [("tracing", spans), ("metrics", numbers)].map(|(section, collector)| {
            let headers = mistakes.collect(self.collector_headers(config, section, collector).map_err(Some));
            let trust = mistakes.collect(self.collector_trust(config, section, collector).map_err(Some));
            headers.zip(trust).map(|(headers, trust)| CollectorSecrets { headers, trust })
        });
        let remotes = mistakes.collect(self.remote_access(config));
        Some(SinkSecrets {
            decision_log: decision_log?,
            remotes: remotes?,
            store: StoreSecrets { access: store_access?, trust: store_trust? },
            tracing: tracing?,
            metrics: metrics?,
        })
    }

    fn problems(&self, problems: Vec<ConfigProblem>) -> ConfigProblems {
        ConfigProblems::new(self.source.name(), problems)
    }
}

impl ConfigMistakes {
    /// Returns the part, or remembers what is wrong with it.
    fn collect<T>(&mut self, part: Result<T, impl IntoIterator<Item = ConfigProblem>>) -> Option<T> {
        part.map_err(|mistakes| self.0.extend(mistakes)).ok()
    }
}

/// Returns the envelopes that are known, and the configuration's. Of a tag and an opening validation lets one stand.
fn envelopes_of(config: &Config) -> Envelopes {
    let own = |envelope: &config::EnvelopeConfig| match (&envelope.tag, &envelope.begins_with) {
        (Some(tag), _) => Some(OwnEnvelope::Tag { name: tag.clone(), holds_ask: envelope.holds_ask }),
        (None, Some(begins)) => {
            Some(OwnEnvelope::Opening { begins: begins.clone(), ask_after: envelope.ask_after.clone() })
        }
        (None, None) => None,
    };
    Envelopes::new(&config.prompt.envelopes.iter().filter_map(own).collect::<Vec<_>>())
}
