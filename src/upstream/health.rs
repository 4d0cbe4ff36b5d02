//! Health checks of peers: one task for all providers that have a `health_check`.
//!
//! The task looks at the upstreams that serve, so that a reload need not tell it; a peer that stays keeps its schedule.
//! Checks of one peer never overlap, and each has a deadline. They go to the peer on the terms on which requests go
//! there: the same TLS, the same HTTP version, the provider's key. Each check connects anew, so that it also finds out
//! whether the peer still accepts connections.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use pointsman_core::config::HealthCheck;
use pointsman_http_client::{ExchangeLimits, HttpClient, HttpError};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{CallError, NoPeerError, Peer, PeerId, Provider, Upstreams};

/// The pause between two looks at the configuration for new peers.
const LOOK: Duration = Duration::from_millis(250);

/// The `User-Agent` of checks, for the logs of providers.
const USER_AGENT: &str = concat!("pointsman/", env!("CARGO_PKG_VERSION"), " (health check)");

/// The checks that run, and when the next ones are due.
#[derive(Default)]
struct CheckSchedule {
    due: HashMap<PeerId, Instant>,
    running: HashSet<PeerId>,
    checks: JoinSet<PeerId>,
}

/// Checks the peers of the upstreams that `serving` returns, for as long as the future is polled. Dropping it ends
/// every check.
pub(crate) async fn watch(serving: impl Fn() -> Arc<Upstreams>) {
    let mut schedule = CheckSchedule::default();
    loop {
        let next = schedule.start_due(&serving());
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            Some(Ok(peer)) = schedule.checks.join_next() => drop(schedule.running.remove(&peer)),
        }
    }
}

impl CheckSchedule {
    /// Starts every check that is due; returns when to look again.
    fn start_due(&mut self, upstreams: &Upstreams) -> Instant {
        let now = Instant::now();
        let mut next = now + LOOK;
        let mut seen = HashSet::new();
        for provider in upstreams.providers() {
            let Some(check) = provider.health_check() else { continue };
            for peer in provider.peers() {
                seen.insert(peer.id());
                let due = self.due.entry(peer.id()).or_insert(now);
                if *due <= now && self.running.insert(peer.id()) {
                    *due = now + check.interval.0;
                    self.checks.spawn(run(Arc::clone(provider), Arc::clone(peer), check.clone()));
                }
                if *due > now {
                    next = next.min(*due);
                }
            }
        }
        self.due.retain(|peer, _| seen.contains(peer));
        next
    }
}

async fn run(provider: Arc<Provider>, peer: Arc<Peer>, check: HealthCheck) -> PeerId {
    let answered = tokio::time::timeout(check.timeout.0, ask(&provider, &peer, &check)).await;
    let passed = match answered {
        Ok(Ok(status)) => check.expects(status),
        Ok(Err(error)) => {
            tracing::debug!(provider = %provider.name, peer = %peer.label(), %error, "Health check failed");
            false
        }
        Err(_) => false,
    };
    peer.checked(passed, &check);
    peer.id()
}

/// Returns the status of the peer's answer.
async fn ask(provider: &Provider, peer: &Peer, check: &HealthCheck) -> Result<u16, CallError> {
    let address = peer.resolve(check.timeout.0).await.map_err(NoPeerError::from)?;
    let limits = ExchangeLimits { connect: provider.timeouts.connect.0, read: check.timeout.0, max_bytes: 0 };
    let request = request(provider, check).map_err(HttpError::Request)?;
    Ok(HttpClient::closing().status(&provider.destination(address), request, limits).await?.as_u16())
}

fn request(provider: &Provider, check: &HealthCheck) -> Result<Request<Bytes>, http::Error> {
    let mut request = Request::get(&*check.path).header(header::USER_AGENT, USER_AGENT);
    let first = provider.credential.ring().and_then(|ring| ring.keys().next());
    let first = first.map(|key| (key.field(), key.value()));
    if let Some((field, key)) = first.or_else(|| provider.credential.key()) {
        request = request.header(field, key);
    }
    request.body(Bytes::new())
}
