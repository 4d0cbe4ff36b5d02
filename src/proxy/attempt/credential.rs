//! The credential of an attempt, and the keys that it was tried with.
//!
//! A key that the provider refuses, or limits, is changed for another of the same provider, before another model is asked:
//! once for each key, and beside the attempts that `retry` counts.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use pingora::http::ResponseHeader;
use pingora::{Error, ErrorType, Result};
use pointsman_http_client::retry_after;

use super::UpstreamAttempts;
use crate::upstream::{
    AttemptFailure, AwsCredentials, NoCredentialError, Provider, RequestCredential, UpstreamKey, limit_reset,
};

/// The keys that one request is tried with beside the first.
const MOST_CHANGES: u32 = 8;

/// The credential of the current attempt, where it is not the provider's only key.
#[derive(Default)]
pub(in crate::proxy) struct AttemptCredential {
    current: RequestCredential,
    /// The keys that were refused or limited with this request.
    refused: Vec<Arc<UpstreamKey>>,
    /// The attempts that followed on a change of the key.
    changes: u32,
}

impl AttemptCredential {
    /// Returns the key of the attempt, where its provider has several.
    pub(in crate::proxy) const fn key(&self) -> Option<&Arc<UpstreamKey>> {
        self.current.key()
    }

    /// Returns the credentials that sign the request, where it is to be signed.
    pub(in crate::proxy) fn aws(&self) -> Option<&AwsCredentials> {
        self.current.aws()
    }

    /// Returns the field that the attempt's credential goes in, and its value; `None` where it goes in none.
    pub(in crate::proxy) fn field<'c>(&'c self, provider: &'c Provider) -> Option<(&'c HeaderName, &'c HeaderValue)> {
        self.current.field(provider)
    }

    /// Returns how many attempts followed on a change of the key.
    pub(super) const fn changes(&self) -> u32 {
        self.changes
    }
}

impl UpstreamAttempts {
    /// Gets the credential of the attempt ready: chooses the key, or waits for a token where there is none yet.
    ///
    /// # Errors
    /// When there is no credential; nothing was sent then.
    pub(super) async fn ready_credential(&mut self, provider: &Provider) -> Result<()> {
        let ready = RequestCredential::of(provider, self.peer_key, &self.credential.refused).await;
        self.credential.current = ready.map_err(|error| self.no_credential(provider, error))?;
        Ok(())
    }

    /// Returns the error of an attempt without a credential: no peer of the provider is worth another one.
    fn no_credential(&mut self, provider: &Provider, error: NoCredentialError) -> Box<Error> {
        self.tried.extend(provider.peers().map(|peer| peer.id()));
        Error::because(ErrorType::ConnectNoRoute, "while getting a credential", error)
    }

    /// Notes how long an answer asks to wait, should it be a failure.
    pub(in crate::proxy) fn note_wait(&mut self, answer: &ResponseHeader) {
        let is_limited = answer.status.as_u16() == 429 && self.credential.key().is_some();
        let reset = || if is_limited { limit_reset(&answer.headers) } else { None };
        self.told_to_wait = retry_after(&answer.headers).or_else(reset);
    }

    /// Tells the attempt's credential what status it came to. What an answer to a request that is not read means nobody
    /// knows, but for a limit.
    pub(super) fn note_status(&self, status: u16) {
        let is_refusal = matches!(status, 401 | 403);
        if is_refusal && self.body.asks_for().is_none() {
            return;
        }
        self.credential.current.answered(status, self.told_to_wait);
    }

    /// Returns whether a failure is the key's, of a provider that has several.
    pub(in crate::proxy) fn is_of_key(&self, failure: AttemptFailure) -> bool {
        self.credential.key().is_some()
            && match failure {
                AttemptFailure::Status(429) => true,
                AttemptFailure::Status(401 | 403) => self.body.asks_for().is_some(),
                _ => false,
            }
    }

    /// Prepares to ask the same provider with another key, after a failure of the one that was taken; false when none is
    /// ready.
    pub(super) fn may_change_key(&mut self, failure: AttemptFailure) -> bool {
        if !self.is_of_key(failure) {
            return false;
        }
        self.credential.refused.extend(self.credential.key().cloned());
        let ring = self.provider().and_then(|provider| provider.credential.ring());
        self.credential.changes < MOST_CHANGES && ring.is_some_and(|ring| ring.has_ready(&self.credential.refused))
    }

    /// Notes that the next attempt goes with another key.
    pub(super) const fn note_change(&mut self) {
        self.credential.changes += 1;
    }
}
