//! WebSockets that pass through to a provider, such as `/v1/realtime`: they are not read, but their number, bytes and
//! time are bounded.

use std::time::Duration;

use http::header;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use pointsman_core::config::WebSocketLimits;
use pointsman_core::prompt::Dialect;
use pointsman_telemetry::{ClosedWebSocket, WebSocketKind};
use tokio::time::Instant;

use super::handshake;
use super::open_sockets::OpenSocket;
use crate::proxy::Proxy;
use crate::proxy::answer::rejection::Rejection;
use crate::proxy::context::RequestContext;
use crate::proxy::downstream::intake;

/// A WebSocket that passes through.
#[derive(Debug)]
pub(in crate::proxy) struct PassedSocket {
    socket: OpenSocket,
    limits: WebSocketLimits,
    since: Instant,
    sent: usize,
    received: usize,
}

impl PassedSocket {
    /// Counts the WebSocket that a request asks for, where it asks for one that passes through.
    ///
    /// # Errors
    /// When too many are open, or a web page of another origin asks.
    pub(in crate::proxy) fn of(
        proxy: &Proxy,
        session: &mut Session,
        ctx: &RequestContext,
    ) -> std::result::Result<Option<Self>, Rejection> {
        let header = session.req_header();
        let is_upgrade = session.as_downstream().is_upgrade_req() && intake::is_websocket(header);
        if !is_upgrade || Dialect::of_path(header.uri.path()).is_some() || header.headers.get(header::UPGRADE).is_none()
        {
            return Ok(None);
        }
        handshake::refuse_foreign(header, ctx)?;
        let limits = ctx.snapshot.config.limits.websocket.clone();
        let socket = proxy.sockets.open(WebSocketKind::PassThrough, handshake::owner(session, ctx), &limits)?;
        session.as_downstream_mut().set_read_timeout(Some(limits.idle.0));
        Ok(Some(Self { socket, limits, since: Instant::now(), sent: 0, received: 0 }))
    }

    /// Returns how long either side may be silent.
    pub(in crate::proxy) const fn idle(&self) -> Duration {
        self.limits.idle.0
    }

    /// Counts bytes of the client's.
    ///
    /// # Errors
    /// When they are too many, or the WebSocket is too old.
    pub(in crate::proxy) fn note_sent(&mut self, bytes: usize) -> Result<()> {
        self.sent = self.sent.saturating_add(bytes);
        self.check(self.sent)
    }

    /// Counts bytes of the provider's.
    ///
    /// # Errors
    /// As [`Self::note_sent`].
    pub(in crate::proxy) fn note_received(&mut self, bytes: usize) -> Result<()> {
        self.received = self.received.saturating_add(bytes);
        self.check(self.received)
    }

    fn check(&mut self, bytes: usize) -> Result<()> {
        let reason = if bytes > self.limits.max_bytes {
            ClosedWebSocket::TooLarge
        } else if self.since.elapsed() > self.limits.max_session.0 {
            ClosedWebSocket::MaxSession
        } else {
            return Ok(());
        };
        self.socket.ends_by(reason);
        Err(Error::explain(ErrorType::ReadTimedout, "a WebSocket is beyond its limits").into_down())
    }

    /// Notes how it ended.
    pub(in crate::proxy) fn ended(&mut self, error: Option<&Error>) {
        let is_timeout = error.is_some_and(|error| matches!(error.etype(), ErrorType::ReadTimedout));
        let is_said =
            self.sent.max(self.received) > self.limits.max_bytes || self.since.elapsed() > self.limits.max_session.0;
        if is_timeout && !is_said {
            self.socket.ends_by(ClosedWebSocket::Idle);
        }
    }
}
