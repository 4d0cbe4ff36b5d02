//! The router for programs that have a request's body and want to know its model, and nothing else.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use pointsman_core::config::Name;
use pointsman_core::policy::{Decision, DecisionDetail, Denial};
use pointsman_core::prompt::{Dialect, ParseError};
use pointsman_telemetry::Metrics;

use super::{IncomingRequest, JudgeMode, QuotaMode, Router, Verdict};
use crate::snapshot::{BuildError, SnapshotBuilder};

/// The reason why there is no decision.
#[derive(Debug, thiserror::Error)]
pub enum NoDecision {
    /// The body is no chat completion.
    #[error(transparent)]
    Unreadable(#[from] ParseError),
    /// No policy is for it, or the policy changes nothing: the request is meant to go on as it is.
    #[error("no policy decides this request")]
    Passed {
        /// The policy that matched, if one did.
        policy: Option<Name>,
    },
    /// A policy refuses it.
    #[error("{}", denial.message)]
    Denied {
        /// Which, how and why.
        denial: Box<Denial>,
    },
}

impl Router {
    /// Reads a configuration file, starts its classifiers, and makes a router; keys come from the environment.
    ///
    /// Blocks for as long as loading the weights takes, about a tenth of a second.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BuildError> {
        let metrics = Arc::new(Metrics::new());
        let builder = SnapshotBuilder::new(path.as_ref(), Arc::clone(&metrics));
        let snapshot = builder.build(builder.prepare()?, None)?;
        Ok(Self::new(snapshot, metrics))
    }

    /// Decides which model is to answer a chat completion, by its body alone: without headers and without a client.
    ///
    /// The same as a request to the proxy gets; it is not counted. [`Router::route`] takes everything else, and
    /// explains what it decides when [`IncomingRequest::detail`] says so.
    ///
    /// # Errors
    /// When the body cannot be read, no policy decides it, or one refuses it.
    pub async fn decide(&self, body: &[u8]) -> Result<Decision, NoDecision> {
        let body = Bytes::copy_from_slice(body);
        let snapshot = self.snapshot();
        let prompt = snapshot.read(Dialect::ChatCompletions, &body)?;
        let (path, judging, detail) = (Dialect::ChatCompletions.path(), JudgeMode::Ask, DecisionDetail::Decision);
        let incoming = IncomingRequest {
            path,
            header: &|_| None,
            client: None,
            prompt: &prompt,
            body: &body,
            state: None,
            at: None,
            judging,
            key: None,
            quotas: QuotaMode::Look,
            detail,
        };
        match self.route(&snapshot, &incoming).await {
            Verdict::Route(routing) => Ok(routing.decision),
            Verdict::Pass { shadow: Some(routing), .. } => Ok(routing.decision),
            Verdict::Pass { denied: Some(refusal), .. } | Verdict::Deny(refusal) => {
                Err(NoDecision::Denied { denial: Box::new(refusal.denial) })
            }
            Verdict::Pass { policy, .. } => Err(NoDecision::Passed { policy }),
        }
    }
}
