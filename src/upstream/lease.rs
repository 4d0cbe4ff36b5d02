//! A request's place at a peer: counted until it is dropped, and the way back for what became of the request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use pointsman_core::config::PeerBreaker;
use pointsman_telemetry::ProviderMetrics;

use super::breaker::BreakerTicket;
use super::peer::{Peer, PeerId};
use super::resolver::ResolveError;

/// The time for which an answer of the peer's to another request vouches for it, beside the wait for a slow one.
const GRACE: Duration = Duration::from_secs(60);

/// An address to connect to now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerEndpoint {
    /// The peer, as the operator wrote it.
    pub peer: Arc<str>,
    /// The address that the peer's name resolved to.
    pub address: SocketAddr,
}

/// A request's place at a peer. Dropping it gives the place back; without a report it says nothing about the peer.
#[derive(Debug)]
pub(crate) struct PeerLease {
    /// The address to connect to.
    pub endpoint: PeerEndpoint,
    hold: PeerHold,
    _place: RequestSlot,
}

/// The end of a request, as far as its peer is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerOutcome {
    /// An answer with this status; 500 and above are failures of the peer.
    Answered(u16),
    /// No connection: refused, unreachable, or a handshake failed.
    ConnectFailed,
    /// The peer was silent for too long.
    Timeout,
    /// The peer did not give the whole of an answer that takes as long as the model writes.
    SlowAnswer {
        /// The time that the peer had.
        waited: Duration,
    },
    /// The connection broke, before the answer or within it.
    Broken,
    /// An end that says nothing about the peer: the client left, or a reused connection had been closed meanwhile.
    Cancelled,
}

/// The reason why there is no peer to ask.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPeerError {
    /// Health checks say that all are down, and `fail_open` is false.
    #[error("every peer is down")]
    AllEjected,
    /// As many requests are in flight as `max_concurrent` allows.
    #[error("as many requests are in flight as are allowed")]
    AtLimit,
    /// No peer's name resolves.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
}

/// A request at a peer whose address may not be known yet.
#[derive(Debug)]
pub(super) struct PeerHold {
    peer: Arc<Peer>,
    ticket: BreakerTicket,
    breaker: PeerBreaker,
    reported: AtomicBool,
}

/// The count of requests that a provider is answering.
#[derive(Debug)]
pub(super) struct ProviderLoad {
    in_flight: AtomicUsize,
    metrics: ProviderMetrics,
}

/// One of a provider's requests in flight.
#[derive(Debug)]
pub(super) struct RequestSlot(Arc<ProviderLoad>);

impl PeerLease {
    pub(super) fn new(address: SocketAddr, hold: PeerHold, place: RequestSlot) -> Self {
        Self { endpoint: PeerEndpoint { peer: Arc::clone(hold.peer.label()), address }, hold, _place: place }
    }

    /// Returns the peer, to be passed to the next pick when it failed this request.
    #[must_use]
    pub(crate) fn peer(&self) -> PeerId {
        self.hold.peer.id()
    }

    /// Tells the peer's breaker what became of the request. A failure counts although an answer had begun; anything
    /// else counts once.
    pub(crate) fn report(&self, outcome: PeerOutcome) {
        self.hold.report(outcome);
    }
}

impl PeerHold {
    pub(super) fn new(peer: Arc<Peer>, ticket: BreakerTicket, breaker: PeerBreaker) -> Self {
        peer.begin();
        Self { peer, ticket, breaker, reported: AtomicBool::new(false) }
    }

    pub(super) fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    pub(super) fn report(&self, outcome: PeerOutcome) {
        let is_first = !self.reported.swap(true, Ordering::Relaxed);
        // The first report gives a trial's place back.
        let ticket = BreakerTicket { trial: self.ticket.trial && is_first, ..self.ticket };
        match outcome {
            // Slow is not broken: whoever answers others meanwhile is well.
            PeerOutcome::SlowAnswer { waited } if self.peer.has_answered_within(waited + GRACE) => {
                if is_first {
                    self.peer.cancelled(ticket);
                }
            }
            PeerOutcome::Answered(..500) if is_first => self.peer.succeeded(ticket, &self.breaker),
            PeerOutcome::Cancelled if is_first => self.peer.cancelled(ticket),
            PeerOutcome::Answered(..500) | PeerOutcome::Cancelled => {}
            PeerOutcome::Answered(_)
            | PeerOutcome::ConnectFailed
            | PeerOutcome::Timeout
            | PeerOutcome::SlowAnswer { .. }
            | PeerOutcome::Broken => self.peer.failed(ticket, &self.breaker),
        }
    }
}

impl Drop for PeerHold {
    fn drop(&mut self) {
        self.peer.end();
        if !*self.reported.get_mut() {
            self.report(PeerOutcome::Cancelled);
        }
    }
}

impl ProviderLoad {
    pub(super) fn new(metrics: ProviderMetrics) -> Self {
        Self { in_flight: AtomicUsize::new(0), metrics }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Takes a place, unless `limit` places are taken.
    pub(super) fn enter(self: &Arc<Self>, limit: usize) -> Option<RequestSlot> {
        if self.in_flight.fetch_add(1, Ordering::Relaxed) >= limit {
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        self.metrics.began();
        Some(RequestSlot(Arc::clone(self)))
    }
}

impl Drop for RequestSlot {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.ended();
    }
}
