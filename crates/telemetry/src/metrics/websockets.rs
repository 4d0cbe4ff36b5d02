//! The metrics of WebSockets, looked up once.

use std::fmt;
use std::sync::Arc;

use prometheus::{IntCounter, IntGauge};

use super::family::{Family, Registry};
use super::{Metrics, definitions as define};

/// The kinds of WebSockets that clients open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebSocketKind {
    /// Their messages are requests for responses, each of which is routed.
    Responses,
    /// They pass through to a provider.
    PassThrough,
}

/// The reasons for which a client's WebSocket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedWebSocket {
    /// The client said so, or its connection ended.
    Client,
    /// The other side said so, or its connection ended.
    Upstream,
    /// Nothing happened for `limits.websocket.idle`.
    Idle,
    /// It was open for `limits.websocket.max_session`.
    MaxSession,
    /// The client answered no ping.
    HalfOpen,
    /// The client did not read its answers for `limits.write_idle`.
    Unread,
    /// A message was larger than `limits.max_body_bytes`, or all of them than `limits.websocket.max_bytes`.
    TooLarge,
    /// A message took longer than `limits.body`.
    TooSlow,
    /// What came was no WebSocket's.
    Protocol,
    /// There is no memory left for what came.
    Overloaded,
    /// The proxy is being shut down.
    Drain,
}

/// The limits that refuse a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedWebSocket {
    /// `limits.websocket.max_open` are open.
    MaxOpen,
    /// The client has `limits.websocket.max_open_per_client` open.
    MaxOpenPerClient,
}

/// The messages that are counted on a routed WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebSocketMessage {
    /// A request of the client's.
    Request,
    /// Another message of the client's.
    OtherRequest,
    /// An event of an answer.
    Event,
    /// An error.
    Error,
}

/// The connection that a request went to a provider by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamWebSocket {
    /// A new one.
    New,
    /// One that had served a request before.
    Kept,
    /// A new one, as the kept one had ended.
    Reopened,
    /// None: the provider refused the upgrade.
    Refused,
}

/// The metrics of WebSockets.
#[derive(Clone)]
pub struct WebSocketMetrics(Arc<WebSocketSeries>);

struct WebSocketSeries {
    open: [IntGauge; 2],
    closed: [[IntCounter; 11]; 2],
    refused: [IntCounter; 2],
    messages: [IntCounter; 4],
    upstream: [IntCounter; 4],
}

impl WebSocketKind {
    const ALL: [Self; 2] = [Self::Responses, Self::PassThrough];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Responses => "responses",
            Self::PassThrough => "pass_through",
        }
    }
}

impl ClosedWebSocket {
    const ALL: [Self; 11] = [
        Self::Client,
        Self::Upstream,
        Self::Idle,
        Self::MaxSession,
        Self::HalfOpen,
        Self::Unread,
        Self::TooLarge,
        Self::TooSlow,
        Self::Protocol,
        Self::Overloaded,
        Self::Drain,
    ];

    /// Returns the reason as the metric's label says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::Idle => "idle",
            Self::MaxSession => "max_session",
            Self::HalfOpen => "half_open",
            Self::Unread => "unread",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::Protocol => "protocol",
            Self::Overloaded => "overloaded",
            Self::Drain => "drain",
        }
    }
}

impl RefusedWebSocket {
    const ALL: [Self; 2] = [Self::MaxOpen, Self::MaxOpenPerClient];

    const fn as_str(self) -> &'static str {
        match self {
            Self::MaxOpen => "max_open",
            Self::MaxOpenPerClient => "max_open_per_client",
        }
    }
}

impl WebSocketMessage {
    const ALL: [Self; 4] = [Self::Request, Self::OtherRequest, Self::Event, Self::Error];

    const fn labels(self) -> [&'static str; 2] {
        match self {
            Self::Request => ["in", "request"],
            Self::OtherRequest => ["in", "other"],
            Self::Event => ["out", "event"],
            Self::Error => ["out", "error"],
        }
    }
}

impl UpstreamWebSocket {
    const ALL: [Self; 4] = [Self::New, Self::Kept, Self::Reopened, Self::Refused];

    const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Kept => "kept",
            Self::Reopened => "reopened",
            Self::Refused => "refused",
        }
    }
}

impl Metrics {
    /// Returns the metrics of WebSockets.
    #[must_use]
    pub fn websockets(&self) -> WebSocketMetrics {
        self.websockets.clone()
    }
}

impl WebSocketMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        let open = Family::register(registry, define::WEBSOCKETS);
        let closed = Family::register(registry, define::WEBSOCKETS_CLOSED);
        let refused = Family::register(registry, define::WEBSOCKETS_REFUSED);
        let messages = Family::register(registry, define::WEBSOCKET_MESSAGES);
        let upstream = Family::register(registry, define::WEBSOCKET_UPSTREAM);
        Self(Arc::new(WebSocketSeries {
            open: WebSocketKind::ALL.map(|kind| open.with([kind.as_str().into()])),
            closed: WebSocketKind::ALL.map(|kind| {
                ClosedWebSocket::ALL.map(|reason| closed.with([kind.as_str().into(), reason.as_str().into()]))
            }),
            refused: RefusedWebSocket::ALL.map(|reason| refused.with([reason.as_str().into()])),
            messages: WebSocketMessage::ALL.map(|message| messages.with(message.labels().map(Into::into))),
            upstream: UpstreamWebSocket::ALL.map(|connection| upstream.with([connection.as_str().into()])),
        }))
    }

    /// Notes a WebSocket that was opened.
    pub fn opened(&self, kind: WebSocketKind) {
        self.0.open[kind as usize].inc();
    }

    /// Notes that a WebSocket is over, and why.
    pub fn closed(&self, kind: WebSocketKind, reason: ClosedWebSocket) {
        self.0.open[kind as usize].dec();
        self.0.closed[kind as usize][reason as usize].inc();
    }

    /// Counts a WebSocket that was not opened.
    pub fn refused(&self, reason: RefusedWebSocket) {
        self.0.refused[reason as usize].inc();
    }

    /// Counts a message.
    pub fn message(&self, message: WebSocketMessage) {
        self.0.messages[message as usize].inc();
    }

    /// Counts a request that went to a provider by WebSocket.
    pub fn sent(&self, connection: UpstreamWebSocket) {
        self.0.upstream[connection as usize].inc();
    }
}

impl fmt::Debug for WebSocketMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketMetrics").finish_non_exhaustive()
    }
}
