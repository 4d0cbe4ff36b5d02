//! What clients have open now, and the connections that were not served.

use std::fmt;

use prometheus::{IntCounter, IntGauge};

use super::family::{Family, Registry};
use super::{Metrics, definitions as define};

/// The reason why a client's connection was closed before it brought a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedConnection {
    /// As many were open as `limits.max_connections` allows.
    TooMany,
    /// Its TLS handshake failed, or took too long.
    Handshake,
    /// Its header took longer than `limits.header`.
    HeaderTimeout,
}

/// The gauges of what clients have open; several proxies of one [`Metrics`] add up.
#[derive(Clone)]
pub struct EdgeMetrics {
    connections: IntGauge,
    body_bytes: IntGauge,
    refused: [IntCounter; 3],
}

impl RefusedConnection {
    const ALL: [Self; 3] = [Self::TooMany, Self::Handshake, Self::HeaderTimeout];

    /// Returns the reason as the metric's label says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooMany => "max_connections",
            Self::Handshake => "tls_handshake",
            Self::HeaderTimeout => "header_timeout",
        }
    }
}

impl Metrics {
    /// Returns the gauges of what clients have open.
    #[must_use]
    pub fn edge(&self) -> EdgeMetrics {
        self.edge.clone()
    }
}

impl EdgeMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        let refused = Family::register(registry, define::CONNECTIONS_REFUSED);
        Self {
            refused: RefusedConnection::ALL.map(|reason| refused.with([reason.as_str().into()])),
            connections: Family::register(registry, define::CONNECTIONS).with([]),
            body_bytes: Family::register(registry, define::BODY_BYTES).with([]),
        }
    }

    /// Notes a connection that was accepted.
    pub fn connected(&self) {
        self.connections.inc();
    }

    /// Notes that a connection is over.
    pub fn disconnected(&self) {
        self.connections.dec();
    }

    /// Counts a connection that was closed before it brought a request.
    pub fn refused(&self, reason: RefusedConnection) {
        self.refused[reason as usize].inc();
    }

    /// Notes that a request's body takes so many bytes more.
    pub fn held(&self, bytes: usize) {
        self.body_bytes.add(signed(bytes));
    }

    /// Notes that a request's body gave so many bytes back.
    pub fn released(&self, bytes: usize) {
        self.body_bytes.sub(signed(bytes));
    }
}

/// Memory is never so large that this loses anything.
fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl fmt::Debug for EdgeMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeMetrics").finish_non_exhaustive()
    }
}
