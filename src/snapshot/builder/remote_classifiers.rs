//! The servers of a snapshot's classifiers: what they are asked with, whether their contracts hold, and which of them
//! are taken over.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use pointsman_core::config::{
    Config, ConfigProblem, KeyPath, Name, RemoteClassifierConfig, RemoteProtocol, SecretSource,
};
use pointsman_core::policy::PolicySet;
use pointsman_http_client::ServerTrust;
use pointsman_remote_classifier::{
    ContractFlaw, FlawSign, RemoteAccess, RemoteClassifier, RemoteContract, RemoteFailure, RemoteTerms,
};

use super::SnapshotBuilder;
use crate::snapshot::Snapshot;
use crate::snapshot::state::ClassifierState;
use crate::upstream::TrustedAuthorities;

/// The things that a load knows of servers before it asks them.
pub(super) struct RemoteContext<'c> {
    pub(super) config: &'c Config,
    pub(super) access: &'c BTreeMap<Name, RemoteAccess>,
    /// Tells whether the files of secrets and authorities are those of the snapshot that serves.
    pub(super) has_same_keys: bool,
    pub(super) previous: Option<&'c Snapshot>,
}

impl SnapshotBuilder {
    /// Reads the keys and authorities of the servers of classifiers.
    pub(super) fn remote_access(&self, config: &Config) -> Result<BTreeMap<Name, RemoteAccess>, Vec<ConfigProblem>> {
        let (mut access, mut problems) = (BTreeMap::new(), Vec::new());
        for (name, section) in &config.classifiers {
            let Some(remote) = &section.remote else { continue };
            let path = KeyPath::root().key("classifiers").key(name).key("remote");
            if cfg!(not(feature = "grpc")) && remote.protocol == RemoteProtocol::OipGrpc {
                let message = "`oip_grpc` is not in this build (allowed: a build with the feature `grpc`, or oip_http)";
                problems.extend(config.problem(&path.key("protocol"), message));
            }
            match self.access_of(&path, remote) {
                Ok(own) => drop(access.insert(name.clone(), own)),
                Err((path, message)) => problems.extend(config.problem(&path, message)),
            }
        }
        if problems.is_empty() { Ok(access) } else { Err(problems) }
    }

    fn access_of(&self, path: &KeyPath, remote: &RemoteClassifierConfig) -> Result<RemoteAccess, (KeyPath, String)> {
        let mut fields = HeaderMap::new();
        let mut add = |path: KeyPath, name: HeaderName, source: &SecretSource, scheme: &str| {
            let secret = source.resolve(&*self.environment, self.base_dir()).map_err(|error| (path.clone(), error))?;
            let value = HeaderValue::from_str(&format!("{scheme}{}", secret.expose()));
            let mut value = value.map_err(|_| (path, "holds what a header field cannot carry".to_owned()))?;
            value.set_sensitive(true);
            fields.insert(name, value);
            Ok(())
        };
        if let Some(source) = &remote.credential {
            add(path.key("credential"), header::AUTHORIZATION, source, "Bearer ")?;
        }
        for (name, source) in &remote.headers {
            let path = path.key("headers").key(name);
            // Validation refuses other names.
            let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
            add(path, name, source, "")?;
        }
        let tls = remote.tls.clone().unwrap_or_default();
        let ca = tls.ca.map(|file| TrustedAuthorities::read(&self.base_dir().join(file))).transpose();
        let ca = ca.map_err(|message| (path.key("tls").key("ca"), message))?;
        let trust = match tls.verify {
            true => ServerTrust::in_authorities(ca.map(|ca| ca.authorities().clone())),
            false => ServerTrust::Unverified,
        };
        Ok(RemoteAccess { fields, trust })
    }

    /// Makes the classifier of a server, or takes the one over that is asked on the same terms, and asks the server
    /// whether it gives what policies read.
    ///
    /// # Errors
    /// What does not hold of a contract that a server showed, or what a server refuses where a snapshot serves. A server that
    /// is away is none.
    pub(super) fn remote(
        &self,
        name: &Name,
        section: &RemoteClassifierConfig,
        context: &RemoteContext<'_>,
        policies: &PolicySet,
    ) -> Result<RemoteClassifier, Vec<ConfigProblem>> {
        let classifier = context.config.classifiers[name].clone();
        let access = context.access[name].clone();
        let terms = RemoteTerms { section: section.clone(), classifier, access };
        let kept = context.kept(name, &terms);
        let make = || RemoteClassifier::new(name, terms.clone(), &self.metrics);
        match self.contract_of(make()) {
            Ok(contract) => {
                let problems = policies.check_labels(name, contract.heads());
                if !problems.is_empty() {
                    return Err(problems);
                }
                let is_same = |kept: &&RemoteClassifier| kept.contract().is_none_or(|known| known.is_same(&contract));
                let remote = kept.filter(is_same).cloned().unwrap_or_else(make);
                remote.adopt(&contract);
                Ok(remote)
            }
            // A process that starts has nothing better, and the server may be about to load its model.
            Err(RemoteFailure { flaw: Some(flaw), .. })
                if flaw.shown_by == FlawSign::Answer || context.previous.is_some() =>
            {
                Err(problem_of(context.config, name, &flaw))
            }
            Err(failure) => {
                if failure.flaw.is_none() {
                    tracing::warn!(classifier = %name, %failure, "The remote classifier is away, and its contract is checked when it comes back");
                }
                let remote = kept.cloned().unwrap_or_else(make);
                remote.note_away(&failure);
                Ok(remote)
            }
        }
    }

    /// Asks servers over connections of their own, which end with the load.
    fn contract_of(&self, remote: RemoteClassifier) -> Result<RemoteContract, RemoteFailure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(async move { remote.check().await }),
            Err(error) => Err(RemoteFailure::unasked(&error)),
        }
    }
}

impl<'c> RemoteContext<'c> {
    /// Returns the classifier that serves and is asked on the same terms.
    fn kept(&self, name: &Name, terms: &RemoteTerms) -> Option<&'c RemoteClassifier> {
        let ClassifierState::Ready(before) = self.previous?.classifiers.get(name)? else { return None };
        let server = before.server()?;
        let old = server.terms();
        let is_same_access =
            old.access.fields == terms.access.fields && (old.access.trust == terms.access.trust || self.has_same_keys);
        (old.section == terms.section && old.classifier.asks_like(&terms.classifier) && is_same_access)
            .then_some(server)
    }
}

/// Says what policies ask of servers that come back later.
pub(super) fn require_contracts(classifiers: &BTreeMap<Name, ClassifierState>, policies: &Arc<PolicySet>) {
    for (name, state) in classifiers {
        let ClassifierState::Ready(classifier) = state else { continue };
        let Some(server) = classifier.server() else { continue };
        let (policies, name) = (Arc::clone(policies), name.clone());
        server.require(move |contract| {
            let problems = policies.check_labels(&name, contract.heads());
            problems.into_iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
        });
    }
}

/// Returns the problem of a contract that does not hold, at the keys that ask for what is not there.
fn problem_of(config: &Config, name: &Name, flaw: &ContractFlaw) -> Vec<ConfigProblem> {
    let remote = KeyPath::root().key("classifiers").key(name).key("remote");
    let path =
        flaw.keys.iter().fold(remote, |path, key| match key.strip_suffix(']').and_then(|key| key.split_once('[')) {
            Some((list, index)) => path.key(list).index(index.parse().unwrap_or_default()),
            None => path.key(key),
        });
    let problem = config.problem(&path, flaw.message.as_str());
    vec![problem.unwrap_or_else(|| ConfigProblem::new(&path, flaw.message.as_str()))]
}
