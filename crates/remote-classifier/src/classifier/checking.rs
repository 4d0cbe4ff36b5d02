//! The check of a contract: at a load, at each reload, and when a server comes back that was away then.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use pointsman_core::config::RemoteProtocol;
use pointsman_core::scores::ClassifierFailure;
use tokio::time::Instant;

use super::{RemoteClassifier, RemoteInner};
use crate::contract::{ContractFlaw, RemoteContract};
use crate::failure::RemoteFailure;
use crate::protocol::{self, ModelMetadata, TextInput};
use crate::server::RemoteServer;

/// The text of a probe: nobody's.
const PROBE: &str = "What is the capital of Australia?";

/// The longest that a probe waits for a server.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of the contract.
#[derive(Debug, Default)]
pub(super) enum ContractState {
    /// No server has answered.
    #[default]
    Unknown,
    /// A server's contract holds.
    Holds,
    /// A server's contract does not hold; it is looked at again after a while.
    Broken { failure: RemoteFailure, until: Instant },
}

impl RemoteClassifier {
    /// Asks every server for its contract, with a text of our own. The classifier itself stays as it is; see
    /// [`Self::adopt`].
    ///
    /// A server that is away is no mistake as long as another one answers. One that is there and refuses what it is asked
    /// is: its contract does not hold.
    ///
    /// # Errors
    /// The first server's contract that does not hold or is another than that of the one before; else, where no server
    /// answers, why the first one does not.
    pub async fn check(&self) -> Result<RemoteContract, RemoteFailure> {
        let deadline = Instant::now() + PATIENCE;
        let probes = self.0.servers.iter().map(|server| async move { (server, self.0.probe(server, deadline).await) });
        let (mut agreed, mut away): (Option<RemoteContract>, Option<RemoteFailure>) = (None, None);
        for (server, probed) in join_all(probes).await {
            match (probed, &agreed) {
                (Ok(contract), None) => agreed = Some(contract),
                (Ok(contract), Some(before)) if before.is_same(&contract) => {}
                (Ok(_), Some(_)) => {
                    let shown = server.shown();
                    let message =
                        format!("{shown} has other heads, labels or versions than those before it (allowed: the same)");
                    return Err(ContractFlaw::of(&["urls"], message).into());
                }
                (Err(failure), _) if failure.flaw.is_some() => return Err(failure),
                (Err(failure), _) => {
                    let detail = format!("{}: {}", server.shown(), failure.detail);
                    away.get_or_insert(RemoteFailure { detail, ..failure });
                }
            }
        }
        agreed.ok_or_else(|| away.unwrap_or_else(RemoteFailure::resting))
    }

    /// Takes a contract that holds.
    pub fn adopt(&self, contract: &RemoteContract) {
        self.0.adopt(contract);
    }

    /// Notes that no server answered a check, for whoever asks what is wrong. A server that refused what it was asked is
    /// not away, and is looked at again after a while.
    pub fn note_away(&self, failure: &RemoteFailure) {
        self.0.spell.failed(failure);
        if failure.flaw.is_some() {
            self.0.broken(failure);
        }
    }

    /// Returns whether a server answered, and its contract does not hold.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let state = self.0.contract.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(&*state, ContractState::Broken { .. })
    }
}

impl RemoteInner {
    /// Returns the tensor that takes texts.
    pub(super) fn input(&self) -> TextInput {
        let known = self.known.get().and_then(|contract| contract.input.clone());
        known.unwrap_or_else(|| self.terms.section.input.as_ref().map_or_else(TextInput::default, TextInput::named))
    }

    pub(super) fn contract_trouble(&self) -> Option<String> {
        match &*self.contract.lock().unwrap_or_else(PoisonError::into_inner) {
            ContractState::Unknown => {
                let silent = || "remote_unreachable: no server has answered yet".to_owned();
                Some(self.spell.trouble().unwrap_or_else(silent))
            }
            ContractState::Holds => None,
            ContractState::Broken { failure, .. } => Some(failure.to_string()),
        }
    }

    pub(super) fn contract_failure(&self) -> Option<ClassifierFailure> {
        match &*self.contract.lock().unwrap_or_else(PoisonError::into_inner) {
            ContractState::Unknown => Some(ClassifierFailure::RemoteUnreachable),
            ContractState::Holds => None,
            ContractState::Broken { failure, .. } => Some(failure.reason),
        }
    }

    /// Returns at once where the contract holds; else asks a server for it first.
    ///
    /// # Errors
    /// When no server answers, or what it answers is not what policies ask for.
    pub(super) async fn hold_to_contract(&self, deadline: Instant) -> Result<(), RemoteFailure> {
        match &*self.contract.lock().unwrap_or_else(PoisonError::into_inner) {
            ContractState::Holds => return Ok(()),
            ContractState::Broken { failure, until } if Instant::now() < *until => return Err(failure.clone()),
            ContractState::Broken { .. } | ContractState::Unknown => {}
        }
        let server = self.servers.choose().ok_or_else(RemoteFailure::resting)?;
        let probed = Box::pin(self.probe(server, deadline)).await;
        let contract = match probed {
            Ok(contract) => contract,
            Err(failure) => {
                server.breaker.failed();
                if failure.flaw.is_some() {
                    self.broken(&failure);
                }
                return Err(failure);
            }
        };
        let requirement = self.requirement.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let missing = requirement.map(|requirement| requirement(&contract)).unwrap_or_default();
        if let Some(first) = missing.into_iter().next() {
            let failure = RemoteFailure::answer(first);
            self.broken(&failure);
            return Err(failure);
        }
        server.breaker.succeeded();
        self.adopt(&contract);
        tracing::info!(classifier = %self.name, server = server.shown(), "The remote classifier's contract holds");
        Ok(())
    }

    fn broken(&self, failure: &RemoteFailure) {
        tracing::error!(classifier = %self.name, "The remote classifier's contract does not hold: {}", failure.detail);
        let until = Instant::now() + self.terms.section.breaker.rest.0;
        let broken = ContractState::Broken { failure: failure.clone(), until };
        *self.contract.lock().unwrap_or_else(PoisonError::into_inner) = broken;
    }

    fn adopt(&self, contract: &RemoteContract) {
        self.known.get_or_init(|| contract.clone());
        *self.contract.lock().unwrap_or_else(PoisonError::into_inner) = ContractState::Holds;
    }

    /// Asks a server for its metadata, where the protocol has some, and for the scores of a text.
    async fn probe(&self, server: &Arc<RemoteServer>, deadline: Instant) -> Result<RemoteContract, RemoteFailure> {
        let probed = self.probe_openly(server, deadline).await;
        probed.map_err(|failure| failure.of_contract(&self.terms.section, &server.shown()))
    }

    async fn probe_openly(
        &self,
        server: &Arc<RemoteServer>,
        deadline: Instant,
    ) -> Result<RemoteContract, RemoteFailure> {
        let section = &self.terms.section;
        let metadata = self.metadata(server, deadline).await?;
        let input = metadata.as_ref().map(|metadata| metadata.text_input(section.input.as_deref())).transpose();
        let named = input.map_err(|message| ContractFlaw::of(&["input"], message))?;
        let input = named.clone().unwrap_or_else(|| self.input());
        let answers = if section.protocol == RemoteProtocol::OipGrpc {
            self.exchange(server, &input, &[PROBE], deadline).await?
        } else {
            let body = server.ask_openly(protocol::question(section, &input, &[PROBE]), deadline).await?;
            protocol::answers(section, &body, 1).map_err(RemoteFailure::answer)?
        };
        let mut answer = answers.into_iter().next().ok_or_else(|| RemoteFailure::answer("no answer to the probe"))?;
        let ModelMetadata { versions, labels, .. } = metadata.unwrap_or_default();
        answer.names.extend(labels); // behind those of the answer itself
        let mut contract = self.mapping.contract(&answer)?;
        let newest = versions.into_iter().next_back();
        contract.version = contract.version.or(newest).or_else(|| section.version.clone());
        contract.input = named;
        Ok(contract)
    }

    async fn metadata(
        &self,
        server: &Arc<RemoteServer>,
        deadline: Instant,
    ) -> Result<Option<ModelMetadata>, RemoteFailure> {
        let section = &self.terms.section;
        #[cfg(feature = "grpc")]
        if section.protocol == RemoteProtocol::OipGrpc {
            return server.grpc_metadata(section, deadline).await.map(Some);
        }
        let Some(question) = protocol::metadata_question(section) else { return Ok(None) };
        let body = server.ask_openly(question, deadline).await?;
        protocol::read_metadata(&body).map(Some).map_err(RemoteFailure::answer)
    }
}
