//! Everything that a reload replaces, as one immutable value with one generation number.
//!
//! A request pins one [`Snapshot`] and never looks again, so it cannot see half of a reload. [`Builder`] prepares the
//! next one beside the one that serves; whoever holds the old one keeps it alive until its last request ends.

mod advisers;
mod classifiers;
mod log;
mod shared;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use pointsman_classifier::{Classifier, ClassifierError, Runtime};
pub use pointsman_classifier::{Decided, Exemplars, Shadow, Ticket};
use pointsman_core::config;
use pointsman_core::config::{Config, KeyPath, Name, NamesFiles as _, Problem, Problems};
use pointsman_core::policy::PolicySet;
use pointsman_core::prompt::{Dialect, Envelopes, OwnEnvelope, ParseError, Prompt};
use pointsman_core::scores::Degraded;
use pointsman_telemetry::{DecisionLog, Metrics, Tracer, TracerError};

pub use self::advisers::Advisers;
use crate::certificates::Certificate;
use crate::clients::Clients;
use crate::store::Store;
use crate::upstream::{Caller, Surroundings, Upstreams};

/// Looks an environment variable up.
pub type Environment = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Policies, upstreams and classifiers that belong together.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts the snapshots that served in this process, from 1.
    pub generation: u64,
    /// The file it was built from.
    pub config: Arc<Config>,
    /// What is not a person's ask in a prompt.
    pub envelopes: Envelopes,
    /// How models are chosen.
    pub policies: Arc<PolicySet>,
    /// Who answers.
    pub upstreams: Arc<Upstreams>,
    /// Who may ask.
    pub clients: Arc<Clients>,
    /// What the listeners with TLS show, by the listener's index.
    pub certificates: Vec<Option<Certificate>>,
    /// Where decisions are written, if anywhere.
    pub decision_log: Option<DecisionLog>,
    /// What replicas share, if they do.
    pub store: Option<Store>,
    /// Where spans go, if anywhere.
    pub tracer: Option<Tracer>,
    /// Who judges.
    pub classifiers: BTreeMap<Name, ClassifierState>,
    /// Who judges beside them, for comparison.
    pub shadows: BTreeMap<Name, Arc<Shadow>>,
    /// Who else knows something that strategies ask for.
    pub advisers: Arc<Advisers>,
}

/// A classifier that serves, or why it does not.
#[derive(Debug, Clone)]
pub enum ClassifierState {
    /// It was verified, warmed up and scores.
    Ready(Classifier),
    /// It could not be loaded; policies fall to `otherwise`, and say so.
    Unavailable {
        /// The reason that decisions show.
        reason: Degraded,
        /// What an operator has to mend.
        detail: String,
    },
}

/// What snapshots are built with; lives as long as the process.
pub struct Builder {
    /// The configuration file; relative paths in it start at its folder.
    pub path: PathBuf,
    /// Where keys come from.
    pub environment: Environment,
    /// Where classifiers count.
    pub metrics: Arc<Metrics>,
    /// ONNX Runtime, or why it did not load; loaded for the first classifier, not before.
    runtime: OnceLock<Result<Arc<Runtime>, String>>,
    /// Asks judges; made for the first one, because it loads the system's certificate authorities.
    caller: OnceLock<Arc<Caller>>,
}

/// Why a snapshot cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The file holds mistakes.
    #[error(transparent)]
    Config(#[from] Problems),
    /// A classifier that must run on its device does not run.
    #[error("classifiers.{name}.require: {}: {detail}", reason.as_str())]
    Required {
        /// The classifier.
        name: Name,
        /// Why it does not.
        reason: Degraded,
        /// What an operator has to mend.
        detail: String,
    },
    /// Spans cannot be sent.
    #[error("tracing.otlp: {0}")]
    Tracer(#[from] TracerError),
    /// The decision log's writer does not start.
    #[error("cannot start a thread")]
    Thread(#[from] std::io::Error),
    /// A classifier that serves now would be lost.
    #[error("classifiers.{name}.bundle: {source}")]
    Classifier {
        /// The classifier.
        name: Name,
        /// What is wrong with its bundle.
        source: ClassifierError,
    },
}

impl Snapshot {
    /// Returns whether `next` would serve exactly as this snapshot does: the same text, the same weights and certificates, and
    /// no file that is read without a watch, which may hold another key by now.
    #[must_use]
    pub fn serves_like(&self, next: &Self) -> bool {
        self.config.same_text(&next.config)
            && !next.config.reads_unwatched_files()
            && self.certificates == next.certificates
            && next.classifiers.iter().all(|(name, state)| match (state, self.classifiers.get(name)) {
                (ClassifierState::Ready(next), Some(ClassifierState::Ready(serving))) => next.serves_like(serving),
                (ClassifierState::Unavailable { .. }, Some(ClassifierState::Unavailable { .. })) => true,
                _ => false,
            })
            && next
                .shadows
                .iter()
                .all(|(name, shadow)| self.shadows.get(name).is_some_and(|serving| shadow.serves_like(serving)))
            && next.advisers.serve_like(&self.advisers)
    }

    /// Returns the snapshot that brings this one back after `serving`: the same policies, peers, clients and running
    /// classifiers under the next generation, and the certificates that serve, which nobody wants older.
    #[must_use]
    pub fn again(&self, serving: &Self) -> Self {
        let Self { config, envelopes, policies, upstreams, clients, classifiers, shadows, advisers, .. } = self;
        let (decision_log, tracer, store) = (&self.decision_log, &self.tracer, &self.store);
        Self {
            generation: serving.generation + 1,
            config: Arc::clone(config),
            envelopes: envelopes.clone(),
            policies: Arc::clone(policies),
            upstreams: Arc::clone(upstreams),
            clients: Arc::clone(clients),
            certificates: serving.certificates.clone(),
            decision_log: decision_log.clone(),
            store: store.clone(),
            tracer: tracer.clone(),
            classifiers: classifiers.clone(),
            shadows: shadows.clone(),
            advisers: Arc::clone(advisers),
        }
    }

    /// Reads a request's body, with the configuration's envelopes.
    ///
    /// # Errors
    /// As [`Prompt::parse`].
    pub fn read<'b>(&self, dialect: Dialect, body: &'b [u8]) -> Result<Prompt<'b>, ParseError> {
        Prompt::parse_with(dialect, body, &self.envelopes)
    }

    /// Returns whether every classifier serves.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.classifiers.values().all(|state| matches!(state, ClassifierState::Ready(_)))
    }
}

/// Returns the envelopes that are known, and the configuration's. Of a tag and an opening validation lets one stand.
fn envelopes(config: &Config) -> Envelopes {
    let own = |envelope: &config::Envelope| match (&envelope.tag, &envelope.begins_with) {
        (Some(tag), _) => Some(OwnEnvelope::Tag { name: tag.clone(), holds_ask: envelope.holds_ask }),
        (None, Some(begins)) => {
            Some(OwnEnvelope::Opening { begins: begins.clone(), ask_after: envelope.ask_after.clone() })
        }
        (None, None) => None,
    };
    Envelopes::new(&config.prompt.envelopes.iter().filter_map(own).collect::<Vec<_>>())
}

impl Builder {
    /// Makes a builder for the file at `path`, which takes keys from the process's environment.
    #[must_use]
    pub fn new(path: &Path, metrics: Arc<Metrics>) -> Self {
        let environment = Box::new(|name: &str| std::env::var(name).ok());
        Self { path: path.to_owned(), environment, metrics, runtime: OnceLock::new(), caller: OnceLock::new() }
    }

    /// Reads the file and reports whatever is wrong with it, rules and keys included, in one go.
    ///
    /// # Errors
    /// Every problem, with its place.
    pub fn load(&self) -> Result<Config, Problems> {
        let Ok(text) = std::fs::read_to_string(&self.path) else { return Config::load(&self.path) };
        let (config, mut problems) = Config::inspect(&text, &self.path.display().to_string());
        if let Some(config) = &config {
            let mut more = PolicySet::compile(config).err().unwrap_or_default();
            more.extend(Upstreams::check(config, &self.surroundings()));
            more.extend(self.certificates(config).err().unwrap_or_default());
            more.extend(self.log_secret(config).err());
            more.extend(self.store_url(config).err());
            more.extend(self.store_trust(config).err());
            more.extend(self.trace_secrets(config).err());
            more.extend(self.trace_trust(config).err());
            more.extend(advisers::check_judges(config));
            // What validation found wrong with an address, building it finds again.
            more.retain(|problem| problems.iter().all(|known| known.path != problem.path));
            problems = problems.and(more);
        }
        config.filter(|_| problems.is_empty()).ok_or(problems)
    }

    /// Builds the snapshot that follows `previous`: compiles, resolves keys, loads and warms up classifiers.
    ///
    /// Takes as long as loading the weights does (about a tenth of a second), so it runs on a thread of its own. A
    /// classifier whose bundle did not change is taken over from `previous`, queue and all. Without a `previous`, a
    /// bundle that cannot be loaded leaves its classifier [`ClassifierState::Unavailable`]: requests are served by
    /// `otherwise`. With one, weights that serve are not given up for weights that do not.
    ///
    /// # Errors
    /// Says everything that is wrong; `previous` is not touched.
    pub fn build(&self, config: Config, previous: Option<&Snapshot>) -> Result<Snapshot, BuildError> {
        let policies = PolicySet::compile(&config).map_err(|problems| self.problems(problems))?;
        let mut classifiers = BTreeMap::new();
        let mut problems = Vec::new();
        for (name, section) in &config.classifiers {
            let state = self.classifier(name, section, previous)?;
            if let (true, ClassifierState::Unavailable { reason, detail }) = (section.require, &state) {
                let (name, reason, detail) = (name.clone(), *reason, detail.clone());
                return Err(BuildError::Required { name, reason, detail });
            }
            if let ClassifierState::Ready(classifier) = &state {
                problems.extend(policies.check_labels(name, classifier.heads()));
            }
            classifiers.insert(name.clone(), state);
        }
        if !problems.is_empty() {
            return Err(self.problems(problems).into());
        }
        let clients = Clients::build(config.clients.as_ref(), previous.map(|snapshot| &*snapshot.clients));
        let certificates = self.certificates(&config).map_err(|problems| self.problems(problems))?;
        let decision_log = self.decision_log(&config, previous)?;
        let store = self.store(&config, previous)?;
        let tracer = self.tracer(&config, previous)?;
        let before = previous.map(|snapshot| &*snapshot.upstreams);
        // Last, because new peers show in the metrics from here on.
        let upstreams = Upstreams::build(&config, &self.surroundings(), &self.metrics, before)
            .map_err(|problems| self.problems(problems))?;
        let shadows = self.shadows(&config, &policies, &classifiers, previous);
        let advisers = self.advisers(&config, &upstreams, &classifiers, previous);
        let advisers = Arc::new(advisers.map_err(|problems| self.problems(problems))?);
        let generation = previous.map_or(1, |snapshot| snapshot.generation + 1);
        let config = Arc::new(config);
        let (policies, upstreams, clients) = (Arc::new(policies), Arc::new(upstreams), Arc::new(clients));
        Ok(Snapshot {
            generation,
            envelopes: envelopes(&config),
            config,
            policies,
            upstreams,
            clients,
            certificates,
            decision_log,
            store,
            tracer,
            classifiers,
            shadows,
            advisers,
        })
    }

    /// Returns the folder that relative paths start at.
    #[must_use]
    pub fn base_dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    fn surroundings(&self) -> Surroundings<'_> {
        Surroundings { environment: &*self.environment, base_dir: self.base_dir() }
    }

    fn certificates(&self, config: &Config) -> Result<Vec<Option<Certificate>>, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut certificates = Vec::new();
        for (index, listen) in config.listen.iter().enumerate() {
            let loaded = listen.tls.as_ref().map(|tls| Certificate::load(tls, self.base_dir())).transpose();
            certificates.push(loaded.unwrap_or_else(|error| {
                let path = KeyPath::root().key("listen").index(index).key("tls");
                problems.extend(config.problem(&path, error.to_string()));
                None
            }));
        }
        if problems.is_empty() { Ok(certificates) } else { Err(problems) }
    }

    fn problems(&self, problems: Vec<Problem>) -> Problems {
        Problems::new(&self.path.display().to_string(), problems)
    }
}
