//! What clients have open now.

use std::fmt;

use prometheus::IntGauge;

use super::family::{Family, Registry};
use super::{Metrics, definitions as define};

/// The gauges of what clients have open; several proxies of one [`Metrics`] add up.
#[derive(Clone)]
pub struct EdgeMetrics {
    connections: IntGauge,
    body_bytes: IntGauge,
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
        Self {
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
