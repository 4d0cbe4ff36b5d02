//! The upstream's side of a request: one attempt after another, until an answer begins or nothing is left to try.
//!
//! [`UpstreamAttempts`] owns where the request goes, the body that goes there, the place at a peer, and what is left to
//! fall back on. It counts and logs nothing: `record` does.

mod alternatives;
mod attempt_body;
pub(super) mod body_adapter;
pub(super) mod body_wait;
pub(in crate::proxy) mod client_account;
pub(super) mod cloud;
pub(super) mod context_length;
mod credential;
pub(super) mod earlier_failure;
pub(super) mod escalation;
pub(super) mod fallback;
pub(super) mod forward;
mod informational;
mod missing_model;
pub(super) mod original;
mod refused_parameter;
mod retry_after;
pub(super) mod retry_budget;
pub(super) mod shadow_body;
pub(super) mod stale;
pub(super) mod translated;
pub(super) mod withheld;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use pingora::Result;
use pingora::proxy::Session;
use pointsman_core::config::{Name, RetriedTimeouts, RetryConfig};
use pointsman_core::usage::AnswerError;
use tokio::time::Instant;

use self::alternatives::FallbackModels;
use self::attempt_body::AttemptBody;
use self::body_adapter::SessionSwap;
use self::body_wait::BodyWait;
use self::context_length::{ErrorSearch, LengthSearch, WithheldAnswer};
use self::credential::AttemptCredential;
use self::earlier_failure::EarlierFailure;
use self::original::AnswerKind;
use self::refused_parameter::FoundRefusals;
use self::stale::ConnectionUse;
use super::downstream::drain::CutSignal;
use super::websocket::RoutedMessage;
use crate::router::Routing;
use crate::upstream::{AttemptFailure, Deployment, PeerId, PeerLease, PeerOutcome, Provider, Upstreams};

/// Tries that Pingora is allowed in all; `retry.max_attempts` is at most 16, and each may meet a closed connection
/// first; a change of the key is none of them.
pub(super) const MAX_TRIES: u32 = 40;

/// The upstream's side of one request: where it goes, what is sent there, and what was tried.
pub(super) struct UpstreamAttempts {
    /// The destination of the next attempt; `None` until it is known, and for a request that goes nowhere.
    destination: Option<AttemptDestination>,
    /// The longest silence of the upstream, where it is not the provider's own.
    silence: Option<Duration>,
    /// The message of a WebSocket that the request was made of, if it was.
    message: Option<Arc<RoutedMessage>>,
    /// The key that requests of one conversation share, if a provider chooses its peers by it.
    pub(super) peer_key: Option<u64>,
    /// The only peer that has what the request names, if the provider has several.
    kept_at: Option<Arc<str>>,
    /// The place at the current attempt's peer.
    lease: Option<PeerLease>,
    /// The credential of the current attempt.
    pub(super) credential: AttemptCredential,
    /// The informational answers of the current attempt.
    informed: u32,
    /// The peers that were tried.
    tried: Vec<PeerId>,
    /// The number of attempts so far.
    count: u32,
    /// The attempts before the answer of one of them failed a check, which failures may repeat.
    uncounted: u32,
    /// The peers whose kept connection broke, which says nothing about them: once for each.
    excused: Vec<PeerId>,
    /// The connection of the current attempt.
    connection: ConnectionUse,
    /// True once the current attempt has a connection, over which the request goes.
    is_sent: bool,
    /// True once something of the current attempt's answer has come, other than informational ones.
    has_answer: bool,
    /// The start of the last attempt.
    started: Instant,
    /// The pause before the next attempt.
    pause: Duration,
    /// The failure of the first model that was asked, once another one is.
    earlier: Option<EarlierFailure>,
    /// The error that the current attempt's answer turned out to be.
    pub(super) answer_error: Option<AnswerError>,
    /// The wait that the answer that is held back asks for, should it turn out to be an error.
    told_to_wait: Option<Duration>,
    /// The search for that wait in an error that is withheld.
    pub(super) body_wait: Option<BodyWait>,
    /// True while the current attempt speaks HTTP/2 to the upstream.
    pub(super) upstream_is_h2: bool,
    /// The body to send, when it was read; otherwise Pingora streams the client's.
    pub(super) body: AttemptBody,
    /// The stand-in for the downstream session that sends `body`.
    pub(super) adapter: SessionSwap,
    /// The models that are left to try.
    alternatives: FallbackModels,
    /// The parameters that the last answer refused.
    refused: FoundRefusals,
    /// The search in an error that is translated: what the client gets of it is in other words.
    error_search: ErrorSearch,
    limit: RetryLimit,
}

/// The destination of an attempt.
enum AttemptDestination {
    /// A model that a policy chose, or one that it falls back on.
    Model(Arc<Deployment>),
    /// The default provider, which gets the request as the client sent it.
    DefaultProvider(Arc<Provider>),
}

/// The limit of how often, and for how long, a request may be tried.
struct RetryLimit {
    attempts: u32,
    time: Duration,
    /// The start of that time: a client's slow upload is no upstream's fault.
    since: Instant,
    /// The mean of the first pause.
    pause: Duration,
    /// The requests that may be sent again after an upstream took them and stayed silent.
    after_timeout: RetriedTimeouts,
    /// True when a model is asked again without a parameter that it refuses.
    without_refused: bool,
}

impl UpstreamAttempts {
    /// Makes those of a request that has just begun and that ends when `cut` says so.
    pub(super) fn new(retry: &RetryConfig, cut: CutSignal, message: Option<Arc<RoutedMessage>>) -> Self {
        let now = Instant::now();
        Self {
            destination: None,
            silence: None,
            message,
            peer_key: None,
            kept_at: None,
            lease: None,
            credential: AttemptCredential::default(),
            informed: 0,
            tried: Vec::new(),
            count: 0,
            uncounted: 0,
            excused: Vec::new(),
            connection: ConnectionUse::New,
            is_sent: false,
            has_answer: false,
            started: now,
            pause: Duration::ZERO,
            earlier: None,
            answer_error: None,
            told_to_wait: None,
            body_wait: None,
            upstream_is_h2: false,
            body: AttemptBody::default(),
            adapter: SessionSwap::new(cut),
            alternatives: FallbackModels::default(),
            refused: FoundRefusals::default(),
            error_search: ErrorSearch::default(),
            limit: RetryLimit {
                attempts: retry.max_attempts,
                time: retry.deadline.0,
                since: now,
                pause: retry.pause.0,
                after_timeout: retry.after_timeout,
                without_refused: retry.without_refused,
            },
        }
    }

    /// Starts the time that the request may be tried for: its body has come.
    pub(super) const fn start_retry_time(&mut self, now: Instant) {
        self.limit.since = now;
    }

    /// Sends the request to the default provider, as it is.
    pub(super) fn pass_to(&mut self, provider: Arc<Provider>) {
        self.destination = Some(AttemptDestination::DefaultProvider(provider));
    }

    /// Sends the request to a model that `routing` chose, once its body is prepared ([`Self::prepare`]), with the policy's other models to fall
    /// back on.
    pub(super) fn route_to(&mut self, target: &Arc<Deployment>, routing: &Routing, upstreams: &Upstreams) {
        self.alternatives = FallbackModels::new(target, routing, upstreams);
        self.destination = Some(AttemptDestination::Model(Arc::clone(target)));
    }

    /// Lets the upstream be silent for so long.
    pub(super) const fn wait_in_silence(&mut self, silence: Duration) {
        self.silence = Some(silence);
    }

    /// Makes every attempt go to this peer, as long as it can be used.
    pub(super) fn keep_to_peer(&mut self, peer: Option<Arc<str>>) {
        self.kept_at = peer;
    }

    /// Returns the peer that is asked, as the operator wrote it.
    pub(super) fn peer_label(&self) -> Option<&Arc<str>> {
        self.lease.as_ref().map(|lease| &lease.endpoint.peer)
    }

    /// Returns whether another peer of the provider may be asked: not where only the one that was asked has what the
    /// request names, since another would say that there is no such thing.
    fn has_other_peer(&self) -> bool {
        let is_kept_here = self.kept_at.is_some() && self.kept_at.as_ref() == self.peer_label();
        !is_kept_here && self.provider().is_some_and(|provider| provider.has_untried(&self.tried))
    }

    /// Begins an attempt.
    pub(super) fn begin(&mut self) {
        self.count += 1;
        self.credential.forget();
        self.informed = 0;
        self.started = Instant::now();
        self.has_answer = false;
        self.body_wait = None;
        self.is_sent = false;
    }

    /// Marks that the attempt has its connection.
    pub(super) const fn connected(&mut self, connection: ConnectionUse) {
        self.connection = connection;
        self.is_sent = true;
    }

    /// Returns whether the request, or a part of it, may have reached the current attempt's upstream.
    pub(super) const fn is_sent(&self) -> bool {
        self.is_sent
    }

    /// Marks that something of the attempt's answer has come, which informational ones are not.
    pub(super) const fn note_answer(&mut self) {
        self.has_answer = true;
    }

    /// Returns how often an upstream was tried.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// Returns the provider that is to answer.
    pub(super) fn provider(&self) -> Option<&Arc<Provider>> {
        self.destination.as_ref().map(|destination| match destination {
            AttemptDestination::Model(target) => &target.provider,
            AttemptDestination::DefaultProvider(provider) => provider,
        })
    }

    /// Returns the model that is asked, unless the request passes through; a fallback may have made it another than the
    /// decision's.
    pub(super) fn target(&self) -> Option<&Arc<Deployment>> {
        match &self.destination {
            Some(AttemptDestination::Model(target)) => Some(target),
            Some(AttemptDestination::DefaultProvider(_)) | None => None,
        }
    }

    /// Returns the name of [`Self::target`].
    pub(super) fn model(&self) -> Option<&Name> {
        self.target().map(|target| &target.model)
    }

    /// Makes Pingora send the body, if it was read, and keep the provider's times; else `pause` is the longest that an
    /// HTTP/2 client may pause in it.
    pub(super) fn install_body(&mut self, session: &mut Session, pause: Duration) {
        let Some(body) = self.body.bytes().cloned() else {
            let downstream = session.as_downstream_mut();
            let is_empty = downstream.is_body_empty();
            if downstream.is_http2() && !is_empty {
                self.adapter.pass(session, pause);
            } else if is_empty && downstream.is_upgrade_req() {
                self.adapter.pass_switch(session);
            }
            return;
        };
        let Some(timeouts) = self.provider().map(|provider| provider.timeouts) else { return };
        let Some(wait) = self.provider().map(|provider| self.wait_for(provider)) else { return };
        self.adapter.install(session, body, wait, timeouts.total.map(|total| total.0));
    }

    /// Watches over the answer that has just begun: over its pauses and its end, or, where it may say that the prompt
    /// is too long and another model has a larger window, over whether the client is to see it.
    pub(super) fn watch_answer(&mut self, session: &mut Session, status: StatusCode, is_stream: bool) {
        let looks_for_length = status == StatusCode::BAD_REQUEST && self.may_try_again() && self.has_larger_window();
        let length = looks_for_length.then_some(LengthSearch);
        let search = ErrorSearch { length, refusal: self.refusal_search(status), model: self.model_search(status) };
        if search.is_any() {
            let withheld = if self.body.translation().is_some() {
                self.error_search = search;
                WithheldAnswer::default()
            } else {
                WithheldAnswer::new(search)
            };
            self.adapter.withhold(session, withheld);
        } else if self.body.bytes().is_some() {
            self.adapter.watch(session, self.shorter_idle(), is_stream);
        }
    }

    /// Looks through an error that is translated, as its upstream wrote it.
    ///
    /// # Errors
    /// As [`WithheldAnswer::push`].
    pub(super) fn look_through(&mut self, error: &Bytes) -> Result<()> {
        std::mem::take(&mut self.error_search).look_through(error)
    }

    /// Keeps the answer that has just begun from the client until it has shown that it is one, and watches over it.
    pub(super) fn hold_answer(&mut self, session: &mut Session, is_stream: bool) {
        self.adapter.hold(session, self.shorter_idle(), is_stream);
    }

    /// Returns whether another attempt could send the whole body: what was passed on unread is gone.
    pub(super) fn can_resend(&self, session: &mut Session) -> bool {
        self.body.may_be_sent_again() || session.as_downstream_mut().is_body_empty()
    }

    /// Returns whether attempts and time are left for another try.
    pub(super) fn may_try_again(&self) -> bool {
        let tries = self.count.saturating_sub(self.uncounted);
        let counted = (tries.saturating_sub(self.credential.changes()) as usize).saturating_sub(self.excused.len());
        counted < self.limit.attempts as usize && !self.time_left().is_zero()
    }

    /// Tells the peer's breaker and the credential what became of the attempt.
    pub(super) fn report(&self, outcome: PeerOutcome) {
        if let PeerOutcome::Answered(status) = outcome {
            self.note_status(status);
        }
        if let Some(lease) = &self.lease {
            lease.report(outcome);
        }
    }

    /// Returns what the peer's breaker is to be told of a failure: silence where a whole answer is due says less than
    /// where a stream is.
    pub(super) fn peer_outcome(&self, failure: AttemptFailure) -> PeerOutcome {
        match (failure, self.body.asks_for()) {
            (AttemptFailure::Timeout, kind) if kind != Some(AnswerKind::Stream) => {
                PeerOutcome::SlowAnswer { waited: self.started.elapsed() }
            }
            _ => failure.peer_outcome(),
        }
    }

    /// Remembers how long the model took to begin a successful answer.
    pub(super) fn answer_began(&self) {
        if let Some(target) = self.target() {
            let now = Instant::now();
            target.recent.began(now - self.started, now);
        }
    }

    /// Returns whether a model that is left has a larger context window than the one that is asked.
    fn has_larger_window(&self) -> bool {
        self.target().is_some_and(|target| self.alternatives.have_wider_than(target))
    }

    /// Returns how much longer the request may be tried.
    fn time_left(&self) -> Duration {
        self.limit.time.saturating_sub(self.limit.since.elapsed())
    }
}
