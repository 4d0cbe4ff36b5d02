//! What one request remembers between Pingora's phases.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pointsman_core::config::Name;
use pointsman_core::policy::Denial;
use pointsman_telemetry::{Kept, RequestTrace};
use tokio::time::Instant;

use super::answer::meter::Meter;
use super::answer::rejection::Rejection;
use super::attempt::body_adapter::Swap;
use super::attempt::original::Original;
use super::downstream::admission::Held;
use super::downstream::clients::ClientUse;
use super::downstream::drain::OpenRequest;
use crate::router::{Refusal, Routing};
use crate::snapshot::{Snapshot, Ticket};
use crate::upstream::{Lease, PeerId, Provider, Target};

/// Tries that Pingora is allowed in all; `retry.max_attempts` is at most 16, and each may meet a closed connection first.
pub(super) const MAX_TRIES: u32 = 32;

/// What one request remembers between Pingora's phases.
pub struct RequestContext {
    /// When its header was read.
    pub(super) started: Instant,
    /// The snapshot that it was decided against; pinned for its whole life.
    pub(super) snapshot: Arc<Snapshot>,
    /// Tells it apart in logs and to the client.
    pub(super) request_id: String,
    /// Where it goes; `None` until it was decided, or when it was refused.
    pub(super) route: Option<Route>,
    /// What requests of the same conversation have in common, if a provider chooses its peers by it.
    pub(super) prefix: Option<u64>,
    /// The place at the current attempt's peer.
    pub(super) lease: Option<Lease>,
    /// The body as the client meant it, when it was read: what another attempt's body is made from.
    pub(super) original: Option<Original>,
    /// The body to send, when it was read; otherwise Pingora streams the client's.
    pub(super) body: Option<Bytes>,
    /// The stand-in for the downstream session that sends `body`.
    pub(super) swap: Swap,
    /// Whether the current attempt speaks HTTP/2 to the upstream.
    pub(super) upstream_is_h2: bool,
    /// The models that are left to fall back on.
    pub(super) fallbacks: VecDeque<Arc<Target>>,
    /// Models of the policy with a larger window, for a prompt that may turn out to be too long where no fallback is configured.
    pub(super) wider: Vec<Arc<Target>>,
    /// Peers that were tried.
    pub(super) tried: Vec<PeerId>,
    /// How often an upstream was tried.
    pub(super) attempts: u32,
    /// When it was last tried.
    pub(super) attempt_started: Instant,
    /// Whether earlier attempts left this one less time than its provider may take: its silence is no fault.
    pub(super) is_hurried: bool,
    /// What Pointsman added before the first attempt: everything but the wait for the client's own bytes.
    pub(super) overhead: Duration,
    /// When the last byte of a body that is read had come.
    pub(super) received: Option<Instant>,
    /// When the answer's first byte came.
    pub(super) first_byte: Option<Instant>,
    /// Whether Pointsman asked for the stream's usage event and the client did not.
    pub(super) usage_injected: bool,
    /// What is measured of the answer; `None` until a successful one has begun.
    pub(super) meter: Option<Meter>,
    /// Who asks, when clients have keys.
    pub(super) client: Option<ClientUse>,
    /// Why a policy refused it, or would have if it did more than watch.
    pub(super) refusal: Option<Box<Refusal>>,
    /// What the decision log keeps of its prompt.
    pub(super) kept: Kept,
    /// The memory that its body takes.
    pub(super) held: Option<Held>,
    /// Its spans, where requests are traced.
    pub(super) trace: Option<Box<RequestTrace>>,
    /// Why Pointsman itself answered.
    pub(super) rejected: Option<&'static str>,
    /// Keeps a shutdown waiting, for as long as it has time.
    pub(super) open: OpenRequest,
}

/// Where a request goes.
pub(super) enum Route {
    /// To a model that a policy chose.
    Model {
        /// The model.
        target: Arc<Target>,
        /// The decision behind it.
        routing: Box<Routing>,
    },
    /// To the default provider, as it is.
    Pass {
        /// The provider.
        provider: Arc<Provider>,
        /// What a policy that only watches would have done.
        shadow: Option<Box<Routing>>,
    },
}

impl RequestContext {
    pub(super) fn new(snapshot: Arc<Snapshot>, request_id: String, open: OpenRequest) -> Self {
        Self {
            started: Instant::now(),
            snapshot,
            request_id,
            route: None,
            prefix: None,
            lease: None,
            body: None,
            swap: Swap::new(open.cut()),
            upstream_is_h2: false,
            original: None,
            fallbacks: VecDeque::new(),
            wider: Vec::new(),
            tried: Vec::new(),
            attempts: 0,
            attempt_started: Instant::now(),
            is_hurried: false,
            overhead: Duration::ZERO,
            received: None,
            first_byte: None,
            usage_injected: false,
            meter: None,
            client: None,
            refusal: None,
            kept: Kept::default(),
            held: None,
            trace: None,
            rejected: None,
            open,
        }
    }

    /// Notes that an upstream is tried.
    pub(super) fn attempt_begins(&mut self) {
        self.attempts += 1;
        self.attempt_started = Instant::now();
    }

    /// Returns who is to answer.
    pub(super) fn provider(&self) -> Option<&Arc<Provider>> {
        self.route.as_ref().map(|route| match route {
            Route::Model { target, .. } => &target.provider,
            Route::Pass { provider, .. } => provider,
        })
    }

    /// Returns the model that is asked, unless the request passes through.
    pub(super) fn target(&self) -> Option<&Target> {
        match &self.route {
            Some(Route::Model { target, .. }) => Some(target),
            _ => None,
        }
    }

    /// Returns the name of [`Self::target`].
    pub(super) fn answering_model(&self) -> Option<&Name> {
        self.target().map(|target| &target.model)
    }

    /// Returns the decision, if a policy made one.
    pub(super) fn routing(&self) -> Option<&Routing> {
        match &self.route {
            Some(Route::Model { routing, .. }) => Some(routing),
            _ => None,
        }
    }

    /// Returns what a policy that only watches would have done.
    pub(super) fn watched(&self) -> Option<&Routing> {
        match &self.route {
            Some(Route::Pass { shadow, .. }) => shadow.as_deref(),
            _ => None,
        }
    }

    /// Returns why a policy refused it.
    pub(super) fn refused(&self) -> Option<&Denial> {
        self.refusal.as_ref().filter(|_| self.route.is_none()).map(|refusal| &refusal.denial)
    }

    /// Returns why a policy that only watches would have refused what passes through.
    pub(super) fn would_refuse(&self) -> Option<&Denial> {
        self.refusal.as_ref().filter(|_| self.route.is_some()).map(|refusal| &refusal.denial)
    }

    /// Takes what the classifier's shadow is to judge.
    pub(super) fn take_shadow(&mut self) -> Option<Ticket> {
        match &mut self.route {
            Some(Route::Model { routing, .. }) => routing.shadow.take(),
            _ => None,
        }
    }

    /// Makes the next attempt's body the one that `target` is to get.
    pub(super) fn prepare_for(&mut self, target: &Target) {
        let Some(original) = &self.original else { return };
        self.body = Some(original.body_for(target));
        self.usage_injected = original.gets_usage_unasked(target);
    }

    /// Keeps the client's own body only for a model to fall back on, and counts the memory that both take.
    ///
    /// # Errors
    /// [`Rejection::Overloaded`] when two do not fit.
    pub(super) fn hold_bodies(&mut self) -> Result<(), Rejection> {
        if self.fallbacks.is_empty() && self.wider.is_empty() {
            self.original = None;
        }
        let (Some(original), Some(body), Some(held)) = (&self.original, &self.body, &mut self.held) else {
            return Ok(());
        };
        if original.body.as_ptr() == body.as_ptr() { Ok(()) } else { held.cover(original.body.len() + body.len()) }
    }

    /// Goes back to the peer whose kept connection was closed; once for each of its attempts.
    pub(super) fn again_after_stale(&mut self) -> bool {
        self.tried.pop();
        self.attempts < MAX_TRIES
    }

    /// Returns whether a model that is left has a larger context window than the one that is asked.
    pub(super) fn has_larger_window(&self) -> bool {
        let mut left = self.fallbacks.iter().chain(&self.wider);
        self.target().is_some_and(|target| left.any(|next| next.is_wider_than(target)))
    }

    /// Leaves only models with a larger context window to fall back on: those of the fallback, or else any of the policy's.
    pub(super) fn drop_smaller_windows(&mut self) {
        let Some(Route::Model { target, .. }) = &self.route else { return };
        self.fallbacks.retain(|next| next.is_wider_than(target));
        if self.fallbacks.is_empty() {
            let wider = std::mem::take(&mut self.wider);
            self.fallbacks.extend(wider.into_iter().filter(|next| next.is_wider_than(target)));
        }
    }

    /// Returns how much longer the request may be tried. A client's slow upload is no upstream's fault.
    pub(super) fn patience(&self) -> Duration {
        self.snapshot.config.retry.deadline.0.saturating_sub(self.received.unwrap_or(self.started).elapsed())
    }

    /// Returns whether attempts and time are left for another try.
    pub(super) fn may_try_again(&self) -> bool {
        self.attempts < self.snapshot.config.retry.max_attempts && !self.patience().is_zero()
    }

    /// Returns the model that is asked, which a fallback may have made another than the decision's.
    pub(super) fn model(&self) -> Option<&Name> {
        match &self.route {
            Some(Route::Model { target, .. }) => Some(&target.model),
            _ => None,
        }
    }

    /// Remembers that Pointsman itself answers.
    pub(super) fn reject(&mut self, rejection: &Rejection) {
        self.rejected = Some(rejection.code());
    }
}
