//! One peer: its addresses, what is known of how it fares, and what it is doing.
//!
//! Health checks and the breaker judge independently: a peer is used while neither ejects it. What every pick reads is
//! atomic; the locks are taken to report, for a few instructions, and to pick while the peer is ejected.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pointsman_core::config;
use pointsman_core::config::{HealthCheck, Name};
use pointsman_telemetry::{EjectionCause, Metrics, PeerMetrics};
use tokio::time::Instant;

use super::address::HostPort;
use super::breaker::{BreakerTicket, CircuitBreaker, CircuitStand};
use super::clock::EPOCH;
use super::resolver::{PeerResolver, ResolveError};

/// Tells a peer apart from every other of this process, those of other providers included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PeerId(u64);

/// An address behind a provider.
pub(crate) struct Peer {
    id: PeerId,
    provider: Name,
    label: Arc<str>,
    resolver: PeerResolver,
    in_flight: AtomicUsize,
    checks: Mutex<HealthCheckRun>,
    down: AtomicBool,
    breaker: Mutex<CircuitBreaker>,
    /// Twice the breaker's epoch, and one more while the breaker is closed.
    phase: AtomicU64,
    /// Milliseconds of the process's clock, and one more, at which it last answered; 0 while it has not.
    answered_at: AtomicU64,
    metrics: PeerMetrics,
}

/// Health checks in a row that contradicted the verdict.
#[derive(Debug, Default)]
struct HealthCheckRun {
    run: u32,
}

impl PeerId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Peer {
    pub(super) fn new(provider: &Name, address: HostPort, metrics: &Metrics) -> Self {
        let label: Arc<str> = address.to_string().into();
        let metrics = metrics.peer(provider, &label);
        metrics.usable(true);
        let breaker = CircuitBreaker::new();
        Self {
            id: PeerId::next(),
            provider: provider.clone(),
            label,
            resolver: PeerResolver::new(address),
            in_flight: AtomicUsize::new(0),
            checks: Mutex::default(),
            down: AtomicBool::new(false),
            phase: AtomicU64::new(phase(&breaker)),
            answered_at: AtomicU64::new(0),
            breaker: Mutex::new(breaker),
            metrics,
        }
    }

    /// Returns what tells it apart.
    #[must_use]
    pub(crate) const fn id(&self) -> PeerId {
        self.id
    }

    /// Returns its host and port, as the operator wrote them.
    #[must_use]
    pub(crate) const fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// Returns whether neither health checks nor the breaker eject it.
    #[must_use]
    pub(crate) fn is_healthy(&self) -> bool {
        !self.is_down() && self.closed_epoch().is_some()
    }

    /// Returns how many requests it is answering now.
    #[must_use]
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Returns how its circuit stands.
    #[must_use]
    pub(crate) fn circuit(&self) -> CircuitStand {
        self.breaker().stand()
    }

    /// Notes the result of a health check.
    pub(crate) fn checked(&self, passed: bool, check: &HealthCheck) {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        if passed != self.is_down() {
            checks.run = 0;
            return;
        }
        checks.run += 1;
        let needed = if passed { check.healthy_after } else { check.unhealthy_after };
        if checks.run < needed {
            return;
        }
        checks.run = 0;
        self.down.store(!passed, Ordering::Relaxed);
        drop(checks);
        if passed {
            self.note_return();
        } else {
            self.note_ejection(EjectionCause::HealthCheck);
        }
    }

    /// Resolves its name, for a health check: to the first of its addresses.
    ///
    /// # Errors
    /// When the name does not resolve and never did.
    pub(crate) async fn resolve(&self, patience: Duration) -> Result<SocketAddr, ResolveError> {
        self.address(None, 0, patience).await
    }

    /// Resolves its name; one of several addresses is chosen by `key`, else by `turn`.
    pub(super) async fn address(
        &self,
        key: Option<u64>,
        turn: usize,
        patience: Duration,
    ) -> Result<SocketAddr, ResolveError> {
        let addresses = self.resolver.addresses(patience).await?;
        let by_key = key.and_then(|key| addresses.iter().max_by_key(|address| weight(key, address)));
        Ok(*by_key.unwrap_or(&addresses[turn % addresses.len()]))
    }

    /// Returns whether health checks eject it.
    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Tells whether a request may be sent to it now: it is well, or its backoff is over and a trial is left.
    pub(super) fn is_usable(&self, now: Instant, settings: &config::PeerBreaker) -> bool {
        !self.is_down() && (self.closed_epoch().is_some() || self.breaker().would_admit(now, settings))
    }

    pub(super) fn admit(&self, now: Instant, settings: &config::PeerBreaker) -> Option<BreakerTicket> {
        if let Some(epoch) = self.closed_epoch() {
            return Some(BreakerTicket { epoch, trial: false });
        }
        self.change(|breaker| breaker.admit(now, settings))
    }

    pub(super) fn force(&self) -> BreakerTicket {
        self.breaker().force()
    }

    /// Returns whether it answered a request that recently.
    pub(super) fn has_answered_within(&self, time: Duration) -> bool {
        let at = self.answered_at.load(Ordering::Relaxed);
        at > 0 && milliseconds_now().saturating_sub(u128::from(at)) <= time.as_millis()
    }

    pub(super) fn succeeded(&self, ticket: BreakerTicket, settings: &config::PeerBreaker) {
        self.answered_at.store(u64::try_from(milliseconds_now()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.change(|breaker| breaker.succeeded(ticket, Instant::now(), settings));
    }

    pub(super) fn failed(&self, ticket: BreakerTicket, settings: &config::PeerBreaker) {
        let cause = self.change(|breaker| breaker.failed(ticket, Instant::now(), settings));
        if let Some(cause) = cause {
            self.note_ejection(cause);
        }
    }

    pub(super) fn cancelled(&self, ticket: BreakerTicket) {
        self.change(|breaker| breaker.cancelled(ticket));
    }

    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns the breaker's epoch while it is closed.
    fn closed_epoch(&self) -> Option<u64> {
        let phase = self.phase.load(Ordering::Acquire);
        (phase % 2 == 1).then_some(phase / 2)
    }

    fn breaker(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut CircuitBreaker) -> T) -> T {
        let mut breaker = self.breaker();
        let was_closed = breaker.is_closed();
        let result = change(&mut breaker);
        self.phase.store(phase(&breaker), Ordering::Release);
        let closed = !was_closed && breaker.is_closed();
        drop(breaker);
        if closed {
            self.note_return();
        }
        result
    }

    fn note_ejection(&self, cause: EjectionCause) {
        self.metrics.ejected(cause);
        self.metrics.usable(self.is_healthy());
        tracing::warn!(provider = %self.provider, peer = %self.label, cause = cause.as_str(), "Peer ejected");
    }

    fn note_return(&self) {
        let healthy = self.is_healthy();
        self.metrics.usable(healthy);
        if healthy {
            tracing::info!(provider = %self.provider, peer = %self.label, "Peer is back");
        }
    }
}

/// Returns the milliseconds since the process began, counted from 1.
fn milliseconds_now() -> u128 {
    EPOCH.elapsed().as_millis() + 1
}

fn phase(breaker: &CircuitBreaker) -> u64 {
    breaker.epoch() * 2 + u64::from(breaker.is_closed())
}

/// Returns how much `of` wants `key`. Whoever wants it most gets it, so when one goes, only its own keys move.
///
/// The same in every process of one build: several proxies in front of one pool agree.
pub(super) fn weight(key: u64, of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new(); // has no random keys, unlike `RandomState`
    key.hash(&mut hasher);
    of.hash(&mut hasher);
    hasher.finish()
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("label", &self.label).field("healthy", &self.is_healthy()).finish_non_exhaustive()
    }
}
