//! Everything that a reload replaces, as one immutable value with one generation number.
//!
//! A request pins one [`Snapshot`] and never looks again, so it cannot see half of a reload. [`SnapshotBuilder`]
//! prepares the next one beside the one that serves; whoever holds the old one keeps it alive until its last request
//! ends.

mod admin_terms;
mod advisers;
mod answer_advisers;
mod builder;
mod classifier_handle;
mod key_material;
mod load_threads;
mod memory;
mod prepared;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use pointsman_classifier::{DecidedPrompt, ShadowClassifier, ShadowTicket};
use pointsman_core::config::{Config, KeyCase, Name};
use pointsman_core::policy::PolicySet;
use pointsman_core::prompt::{Dialect, Envelopes, GooglePath, ParseError, Prompt, PromptReader, ReadingLimits};
use pointsman_telemetry::{DecisionLog, MetricsExporter, Tracer};

pub(crate) use self::admin_terms::AdminTerms;
pub(crate) use self::advisers::StrategyAdvisers;
pub(crate) use self::answer_advisers::{AnswerAdvisers, UNAVAILABLE};
pub use self::builder::{BuildError, EnvironmentLookup, SnapshotBuilder};
pub(crate) use self::classifier_handle::ClassifierHandle;
use self::key_material::KeyMaterial;
pub use self::load_threads::LoadError;
pub use self::prepared::PreparedConfig;
pub(crate) use self::state::ClassifierState;
use crate::certificates::{GrpcListenersTls, ListenerCertificate};
use crate::clients::Clients;
use crate::response_cache::ResponseCaches;
use crate::shadow_answers::ShadowAskers;
use crate::source::ConfigVersion;
use crate::store::SharedStore;
use crate::upstream::Upstreams;

/// Policies, upstreams and classifiers that belong together.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts the snapshots that served in this process, from 1.
    pub(crate) generation: u64,
    /// The file it was built from.
    pub(crate) config: Arc<Config>,
    /// The version of that file, as its source tells it.
    pub(crate) version: Arc<ConfigVersion>,
    /// The envelopes around a person's ask, which are no part of the ask.
    pub(crate) envelopes: Envelopes,
    /// The policies that choose models.
    pub(crate) policies: Arc<PolicySet>,
    /// The providers and models that answer.
    pub(crate) upstreams: Arc<Upstreams>,
    /// The clients that may ask.
    pub(crate) clients: Arc<Clients>,
    /// The certificates of the listeners with TLS, by the listener's index.
    pub(crate) certificates: Vec<Option<ListenerCertificate>>,
    /// The terms on which the admin plane serves.
    pub(crate) admin: Arc<AdminTerms>,
    /// TLS of the listeners that speak gRPC.
    pub(crate) grpc_tls: GrpcListenersTls,
    /// The secrets and authorities that it was made of.
    pub(crate) key_material: KeyMaterial,
    /// The log that decisions are written to, if there is one.
    pub(crate) decision_log: Option<DecisionLog>,
    /// The store that replicas share, if they do.
    pub(crate) store: Option<SharedStore>,
    /// The exporter of spans, if there is one.
    pub(crate) tracer: Option<Tracer>,
    /// The exporter of metrics, if there is one.
    pub(crate) metrics_exporter: Option<MetricsExporter>,
    /// The classifiers that score prompts.
    pub(crate) classifiers: BTreeMap<Name, ClassifierState>,
    /// The classifiers that score prompts a second time, for comparison.
    pub(crate) shadows: BTreeMap<Name, Arc<ShadowClassifier>>,
    /// The judges and exemplars that strategies ask.
    pub(crate) advisers: Arc<StrategyAdvisers>,
    /// The askers of other models, by the policies whose requests they repeat.
    pub(crate) shadow_askers: Arc<ShadowAskers>,
    /// The caches of the policies that give answers again.
    pub(crate) response_caches: Arc<ResponseCaches>,
}

impl Snapshot {
    /// Returns whether `next` would serve exactly as this snapshot does: the same text, weights, certificates, secrets
    /// and authorities.
    #[must_use]
    pub fn serves_like(&self, next: &Self) -> bool {
        self.routes_like(next)
            && self.key_material.is_same(&next.key_material)
            && self.certificates == next.certificates
            && self.admin == next.admin
            && self.grpc_tls == next.grpc_tls
    }

    /// Returns whether `next` would decide and send as this snapshot does: at most certificates, secrets and authorities
    /// were changed, which nobody wants back.
    #[must_use]
    pub fn routes_like(&self, next: &Self) -> bool {
        self.config.same_text(&next.config)
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
    /// classifiers under the next generation. Certificates, and who may use the admin plane, stay: nobody wants those older.
    #[must_use]
    pub fn again(&self, serving: &Self) -> Self {
        let Self { config, envelopes, policies, upstreams, clients, classifiers, shadows, advisers, .. } = self;
        let (decision_log, tracer, store) = (&self.decision_log, &self.tracer, &self.store);
        Self {
            generation: serving.generation + 1,
            config: Arc::clone(config),
            version: Arc::clone(&self.version),
            envelopes: envelopes.clone(),
            policies: Arc::clone(policies),
            upstreams: Arc::clone(upstreams),
            clients: Arc::clone(clients),
            certificates: serving.certificates.clone(),
            admin: Arc::clone(&serving.admin),
            grpc_tls: serving.grpc_tls.clone(),
            key_material: self.key_material.clone(),
            decision_log: decision_log.clone(),
            store: store.clone(),
            tracer: tracer.clone(),
            metrics_exporter: self.metrics_exporter.clone(),
            classifiers: classifiers.clone(),
            shadows: shadows.clone(),
            advisers: Arc::clone(advisers),
            shadow_askers: Arc::clone(&self.shadow_askers),
            response_caches: Arc::clone(&self.response_caches),
        }
    }

    /// Reads a request's body, with the configuration's envelopes and within its limits.
    ///
    /// # Errors
    /// As [`Prompt::parse_by`].
    pub fn read<'b>(&self, dialect: Dialect, body: &'b [u8]) -> Result<Prompt<'b>, ParseError> {
        self.read_asked(dialect, None, body)
    }

    /// Reads a request's body as [`Self::read`] does, whose path may be one of Google's that names the model.
    ///
    /// # Errors
    /// As [`Prompt::parse_by`].
    pub fn read_asked<'b>(
        &self,
        dialect: Dialect,
        path: Option<&GooglePath>,
        body: &'b [u8],
    ) -> Result<Prompt<'b>, ParseError> {
        let limits = &self.config.limits;
        let limits = ReadingLimits {
            messages: limits.max_messages,
            parts: limits.max_parts,
            depth: limits.max_depth,
            is_case_exact: limits.key_case == KeyCase::Exact,
        };
        let prompt = Prompt::parse_by(dialect, body, &PromptReader { envelopes: &self.envelopes, limits })?;
        Ok(match path {
            Some(path) => prompt.for_model(path.model.clone()),
            None => prompt,
        })
    }

    /// Returns whether every classifier serves.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.classifiers.values().all(|state| matches!(state, ClassifierState::Ready(_)))
    }
}
