//! The WebSockets that are open: how many there are, and whose they are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use pointsman_core::config::{Name, WebSocketLimits};
use pointsman_telemetry::{ClosedWebSocket, RefusedWebSocket, WebSocketKind, WebSocketMetrics};

use crate::proxy::answer::rejection::Rejection;

/// The WebSockets of all clients.
#[derive(Debug)]
pub(in crate::proxy) struct OpenSockets {
    open: Mutex<SocketCounts>,
    metrics: WebSocketMetrics,
}

/// The client that a WebSocket is counted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum SocketOwner {
    /// The client of a key.
    Client(Name),
    /// Whoever comes from an address.
    Address(IpAddr),
    /// Somebody whose address is not known.
    Unknown,
}

/// An open WebSocket; dropping it closes it.
#[derive(Debug)]
pub(in crate::proxy) struct OpenSocket {
    sockets: Arc<OpenSockets>,
    owner: SocketOwner,
    kind: WebSocketKind,
    reason: ClosedWebSocket,
}

#[derive(Debug, Default)]
struct SocketCounts {
    all: usize,
    by_owner: HashMap<SocketOwner, usize>,
}

impl OpenSockets {
    pub(in crate::proxy) fn new(metrics: WebSocketMetrics) -> Self {
        Self { open: Mutex::default(), metrics }
    }

    /// Returns the metrics of WebSockets.
    pub(super) const fn metrics(&self) -> &WebSocketMetrics {
        &self.metrics
    }

    /// Counts a WebSocket.
    ///
    /// # Errors
    /// [`Rejection::Overloaded`] or [`Rejection::TooManyWebSockets`] when as many are open as may be.
    pub(super) fn open(
        self: &Arc<Self>,
        kind: WebSocketKind,
        owner: SocketOwner,
        limits: &WebSocketLimits,
    ) -> Result<OpenSocket, Rejection> {
        let mut counts = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= limits.max_open {
            self.metrics.refused(RefusedWebSocket::MaxOpen);
            return Err(Rejection::Overloaded);
        }
        let of_owner = counts.by_owner.get(&owner).copied().unwrap_or_default();
        if of_owner >= limits.max_open_per_client {
            self.metrics.refused(RefusedWebSocket::MaxOpenPerClient);
            return Err(Rejection::TooManyWebSockets { limit: limits.max_open_per_client });
        }
        counts.all += 1;
        counts.by_owner.insert(owner.clone(), of_owner + 1);
        drop(counts);
        self.metrics.opened(kind);
        Ok(OpenSocket { sockets: Arc::clone(self), owner, kind, reason: ClosedWebSocket::Client })
    }
}

impl OpenSocket {
    /// Returns all WebSockets.
    pub(super) const fn sockets(&self) -> &Arc<OpenSockets> {
        &self.sockets
    }

    /// Notes why it ends; its client ends it unless something else is said.
    pub(in crate::proxy) const fn ends_by(&mut self, reason: ClosedWebSocket) {
        self.reason = reason;
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        let mut counts = self.sockets.open.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(count) = counts.by_owner.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                counts.by_owner.remove(&self.owner);
            }
        }
        drop(counts);
        self.sockets.metrics.closed(self.kind, self.reason);
    }
}

#[cfg(test)]
mod tests {
    use pointsman_telemetry::Metrics;

    use super::*;

    #[test]
    fn the_number_of_all_and_of_one_client_is_bounded_and_given_back() {
        let metrics = Metrics::new();
        let sockets = Arc::new(OpenSockets::new(metrics.websockets()));
        let limits = WebSocketLimits { max_open: 3, max_open_per_client: 2, ..WebSocketLimits::default() };
        let owner = |last: u8| SocketOwner::Address(IpAddr::from([127, 0, 0, last]));
        let open = |last| sockets.open(WebSocketKind::Responses, owner(last), &limits);
        let (first, _second) = (open(1).expect("the first"), open(1).expect("the second"));

        assert_eq!(open(1).err(), Some(Rejection::TooManyWebSockets { limit: 2 }));
        let other = open(2).expect("of another client");
        assert_eq!(open(3).err(), Some(Rejection::Overloaded));
        drop((first, other));

        assert!(open(1).is_ok());
        let text = metrics.render();
        for line in [
            r#"pointsman_websockets{kind="responses"} 1"#,
            r#"pointsman_websockets_refused_total{reason="max_open"} 1"#,
            r#"pointsman_websockets_closed_total{kind="responses",reason="client"} 3"#,
        ] {
            assert!(text.contains(line), "{line}");
        }
        assert_eq!(sockets.open.lock().expect("nobody panics").by_owner.len(), 1);
    }
}
