//! Asks peers how they are: one task for all providers that have a `health_check`.
//!
//! It looks at the snapshot that serves, so a reload needs no word to it; a peer that stays keeps its schedule. Checks of
//! one peer never overlap, and each has a deadline. They go to the peer by Pingora's own connector, on the terms on which
//! requests go there: the same TLS, the same HTTP version, the provider's key.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use http::header;
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use pingora::{ErrorType, OrErr, Result};
use pointsman_core::config::HealthCheck;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::answer::headers;
use super::attempt::forward;
use crate::router::Router;
use crate::upstream::{Peer, PeerId, Provider};

/// The pause between two looks at the configuration for new peers.
const LOOK: Duration = Duration::from_millis(250);

/// The `User-Agent` of checks, for the logs of providers.
const USER_AGENT: &str = concat!("pointsman/", env!("CARGO_PKG_VERSION"), " (health check)");

/// The checks that run, and when the next ones are due.
#[derive(Default)]
struct Schedule {
    due: HashMap<PeerId, Instant>,
    running: HashSet<PeerId>,
    checks: JoinSet<PeerId>,
    /// Made for the first check: it loads the system's certificate authorities.
    connector: Option<Arc<Connector>>,
}

/// Checks the peers of whatever snapshot serves, for as long as the future is polled. Dropping it ends every check.
pub async fn watch(router: Arc<Router>) {
    let mut schedule = Schedule::default();
    loop {
        let next = schedule.start_due(&router);
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            Some(Ok(peer)) = schedule.checks.join_next() => drop(schedule.running.remove(&peer)),
        }
    }
}

impl Schedule {
    /// Starts every check that is due; returns when to look again.
    fn start_due(&mut self, router: &Router) -> Instant {
        let now = Instant::now();
        let mut next = now + LOOK;
        let mut seen = HashSet::new();
        for provider in router.snapshot().upstreams.providers() {
            let Some(check) = provider.health_check() else { continue };
            for peer in provider.peers() {
                seen.insert(peer.id());
                let due = self.due.entry(peer.id()).or_insert(now);
                if *due <= now && self.running.insert(peer.id()) {
                    *due = now + check.interval.0;
                    let connector = Arc::clone(self.connector.get_or_insert_with(|| Arc::new(Connector::new(None))));
                    self.checks.spawn(run(connector, Arc::clone(provider), Arc::clone(peer), check.clone()));
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

async fn run(connector: Arc<Connector>, provider: Arc<Provider>, peer: Arc<Peer>, check: HealthCheck) -> PeerId {
    let answered = tokio::time::timeout(check.timeout.0, ask(&connector, &provider, &peer, &check)).await;
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

/// Returns the status of the peer's answer. A connection that was kept may have been closed meanwhile: then once more.
async fn ask(connector: &Connector, provider: &Provider, peer: &Peer, check: &HealthCheck) -> Result<u16> {
    let address = peer.resolve(check.timeout.0).await.or_err(ErrorType::ConnectNoRoute, "while resolving the peer")?;
    let target = provider.http_peer(address);
    let (mut session, reused) = connector.get_http_session(&target).await?;
    match exchange(&mut session, provider, check).await {
        Err(_) if reused => {
            drop(session);
            let (mut session, _) = connector.get_http_session(&target).await?;
            let status = exchange(&mut session, provider, check).await;
            keep(connector, session, &target).await;
            status
        }
        status => {
            keep(connector, session, &target).await;
            status
        }
    }
}

async fn exchange(session: &mut HttpSession, provider: &Provider, check: &HealthCheck) -> Result<u16> {
    let is_h2 = matches!(session, HttpSession::H2(_));
    let mut request = RequestHeader::build("GET", check.path.as_bytes(), Some(3))?;
    if is_h2 {
        request.set_version(http::Version::HTTP_2);
    }
    headers::edit_request(&mut request, |request| forward::set_authority(request, provider, &check.path))?;
    request.insert_header(header::USER_AGENT, USER_AGENT)?;
    if let Some((field, key)) = provider.credential.key() {
        request.insert_header(field.clone(), key.clone())?;
    }
    if is_h2 {
        request.remove_header(&header::HOST);
    }
    session.write_request_header(Box::new(request)).await?;
    session.finish_request_body().await?;
    session.read_response_header().await?;
    Ok(session.response_header().map_or(0, |answer| answer.status.as_u16()))
}

/// Gives an HTTP/2 connection back, which the connector would not forget; an HTTP/1 connection is closed, so that the
/// next check connects anew.
async fn keep(connector: &Connector, mut session: HttpSession, target: &HttpPeer) {
    session.shutdown().await;
    if matches!(session, HttpSession::H2(_)) {
        connector.release_http_session(session, target, None).await;
    }
}
