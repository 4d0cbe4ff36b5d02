//! WebSockets that pass through to a provider, such as `/v1/realtime`: they are not read, but their number, bytes and
//! time are bounded.

mod ruled;

use bytes::Bytes;
use http::header;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use pointsman_core::config::WebSocketLimits;
use pointsman_core::prompt::Dialect;
use pointsman_telemetry::{ClosedWebSocket, WebSocketKind};
use tokio::time::Instant;

use self::ruled::route_by_rule;
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

/// Counts the WebSocket that a request asks for, where it asks for one that passes through, and sends it where a rule says;
/// returns whether one did.
///
/// # Errors
/// When too many are open, a web page of another origin asks, or a policy refuses it.
pub(in crate::proxy) async fn pass(
    proxy: &Proxy,
    session: &mut Session,
    ctx: &mut RequestContext,
) -> std::result::Result<bool, Rejection> {
    let Some(socket) = PassedSocket::of(proxy, session, ctx)? else { return Ok(false) };
    ctx.attempts.wait_in_silence(socket.limits.idle.0);
    ctx.passed_socket = Some(Box::new(socket));
    route_by_rule(proxy, session, ctx).await
}

/// Counts what the client sends by a WebSocket that passes through.
///
/// # Errors
/// When that is too much, or the WebSocket is too old.
pub(in crate::proxy) fn note_sent(ctx: &mut RequestContext, bytes: Option<&Bytes>) -> Result<()> {
    let Some(socket) = &mut ctx.passed_socket else { return Ok(()) };
    socket.sent = socket.sent.saturating_add(bytes.map_or(0, Bytes::len));
    socket.check(socket.sent)
}

/// Counts what the provider sends by a WebSocket that passes through.
///
/// # Errors
/// As [`note_sent`].
pub(in crate::proxy) fn note_received(ctx: &mut RequestContext, bytes: Option<&Bytes>) -> Result<()> {
    let Some(socket) = &mut ctx.passed_socket else { return Ok(()) };
    socket.received = socket.received.saturating_add(bytes.map_or(0, Bytes::len));
    socket.check(socket.received)
}

impl PassedSocket {
    fn of(proxy: &Proxy, session: &mut Session, ctx: &RequestContext) -> std::result::Result<Option<Self>, Rejection> {
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
