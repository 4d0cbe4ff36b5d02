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
    AttemptFailure, AwsCredentials, KeyRequest, NoCredentialError, Provider, RequestCredential, UpstreamKey,
    limit_reset,
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
    /// The credential of the answer that failed a check, which the client may get after all.
    of_failed_answer: RequestCredential,
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

    /// Returns the keys that were refused or limited with this request.
    pub(super) fn refused(&self) -> &[Arc<UpstreamKey>] {
        &self.refused
    }

    /// Returns whether another key may be tried.
    pub(super) const fn may_change(&self) -> bool {
        self.changes < MOST_CHANGES
    }

    /// Forgets the credential of the attempt before, which is none of the next one's: that may fail before it has one.
    pub(super) fn forget(&mut self) {
        self.current = RequestCredential::default();
    }

    /// Keeps the credential of an answer that has failed a check.
    pub(super) fn set_aside(&mut self) {
        self.of_failed_answer = std::mem::take(&mut self.current);
    }

    /// Goes back to the credential that was set aside.
    pub(super) fn take_back(&mut self) {
        self.current = std::mem::take(&mut self.of_failed_answer);
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
        let target = self.target().cloned();
        let model = target.as_ref().map(|target| &*target.upstream_name);
        let request = KeyRequest { conversation: self.peer_key, model, refused: &self.credential.refused };
        let ready = RequestCredential::of(provider, request).await;
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
        let is_refusal = matches!(status, 401..=403);
        if is_refusal && self.body.asks_for().is_none() {
            return;
        }
        let model = self.target().map(|target| &*target.upstream_name);
        self.credential.current.answered(status, self.told_to_wait, model);
    }

    /// Returns whether a failure is the key's, of a provider that has several.
    pub(in crate::proxy) fn is_of_key(&self, failure: AttemptFailure) -> bool {
        self.credential.key().is_some()
            && match failure {
                AttemptFailure::Status(429) => true,
                AttemptFailure::Status(401..=403) => self.body.asks_for().is_some(),
                AttemptFailure::NoModelForKey => true,
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
        let model = self.target().map(|target| &*target.upstream_name);
        let request = KeyRequest { model, refused: &self.credential.refused, ..KeyRequest::default() };
        let ring = self.provider().and_then(|provider| provider.credential.ring());
        self.credential.may_change() && ring.is_some_and(|ring| ring.has_ready(request))
    }

    /// Notes that the next attempt goes with another key.
    pub(super) const fn note_change(&mut self) {
        self.credential.changes += 1;
    }
}
