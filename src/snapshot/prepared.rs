//! A configuration whose parts are read and compiled: everything that a snapshot is built from, but for weights.
//!
//! Reports every mistake that the file, its rules and the files and variables that it names hold, in one go. Opens no
//! connection and starts nothing.

#[cfg(feature = "lab")]
mod secluded;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pointsman_core::config::{Config, Name, Secret, StoreAccess, TimeSpan};
use pointsman_core::policy::PolicySet;
use pointsman_remote_classifier::RemoteAccess;

use super::key_material::KeyMaterial;
use crate::certificates::{AdminServerTls, GrpcListenersTls, ListenerCertificate};
use crate::source::ConfigVersion;
use crate::upstream::{ResolvedProviders, TrustedAuthorities};

/// A sound configuration and the parts that were read and compiled to find that out.
#[derive(Debug)]
pub struct PreparedConfig {
    pub(super) config: Config,
    /// The version of the text that it was read from.
    pub(super) version: Arc<ConfigVersion>,
    pub(super) policies: PolicySet,
    pub(super) providers: ResolvedProviders,
    pub(super) certificates: Vec<Option<ListenerCertificate>>,
    pub(super) admin_tls: Option<AdminServerTls>,
    pub(super) grpc_tls: GrpcListenersTls,
    pub(super) key_material: KeyMaterial,
    pub(super) secrets: SinkSecrets,
}

/// The keys and authorities of the servers and files that a process writes to, and of the servers of classifiers.
#[derive(Debug)]
pub(super) struct SinkSecrets {
    /// The key of the decision log's hashes.
    pub(super) decision_log: Option<Secret>,
    pub(super) store: StoreSecrets,
    pub(super) tracing: CollectorSecrets,
    pub(super) metrics: CollectorSecrets,
    /// What the servers of classifiers are asked with.
    pub(super) remotes: BTreeMap<Name, RemoteAccess>,
}

/// The servers of the store with their passwords, and the authorities that they are trusted by.
pub(super) struct StoreSecrets {
    pub(super) access: Option<StoreAccess>,
    pub(super) trust: Option<TrustedAuthorities>,
}

/// The keys that a collector asks for, and the authorities that it is trusted by.
#[derive(Debug)]
pub(super) struct CollectorSecrets {
    /// The header fields that go with every export.
    pub(super) headers: Vec<(String, Secret)>,
    pub(super) trust: Option<TrustedAuthorities>,
}

impl PreparedConfig {
    /// Returns the configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Gives every classifier at least `patience` for an answer: for programs that ask what is decided, not how fast.
    pub fn extend_deadlines(&mut self, patience: Duration) {
        for classifier in self.config.classifiers.values_mut() {
            classifier.deadline = classifier.deadline.max(TimeSpan(patience));
        }
    }

    /// Leaves the policies out, and what only they ask: then every name is that of a model.
    #[must_use]
    pub fn without_policies(mut self) -> Self {
        self.config.policies.clear();
        self.config.classifiers.clear();
        self.recompiled()
    }

    fn recompiled(mut self) -> Self {
        self.policies = PolicySet::compile(&self.config).expect("its policies compiled before");
        self
    }
}

impl fmt::Debug for StoreSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreSecrets").field("trust", &self.trust).finish_non_exhaustive()
    }
}
