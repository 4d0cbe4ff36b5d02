//! A client's connection: how long it may take over a request's header, and over reading an answer.
//!
//! Pingora 0.9.1 bounds each read of a header, not the header: one byte every 59 seconds keeps a connection forever,
//! and one that sends nothing at all where HTTP/2 without TLS is allowed is waited for without end. So the stream is
//! wrapped: between requests, a clock runs from the first byte until the proxy has the whole header. HTTP/2 connections
//! are left to the idle timeout of Pingora, which counts a header that does not end as idle. Once a drain is over,
//! connections that wait for a request end: `quiet`.
//!
//! Under TLS, the handshake and the first header share one limit.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::{HttpPersistentSettings, ReusedHttpStream};
use pingora::listeners::tls::Acceptor;
use pingora::protocols::http::ServerSession as HttpSession;
use pingora::protocols::l4::stream::Stream as TcpConnection;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
};
use pingora::proxy::Session;
use pointsman_core::config::TrafficLimits;
use pointsman_telemetry::RefusedConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::admission::{Admission, OpenH2Connection};
use super::quiet::{ConnectionState, KnownConnection, QuietClose};
use crate::proxy::websocket::UpgradedConnection;

/// The first bytes of an HTTP/2 connection without TLS.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0";

tokio::task_local! {
    /// Set in the task of an HTTP/1 connection; requests of an HTTP/2 connection have tasks of their own.
    static STATE: Arc<ConnectionState>;
}

/// A connection that was accepted.
pub(in crate::proxy) struct AcceptedStream<'a> {
    pub(in crate::proxy) inner: Stream,
    /// The other side of its TLS handshake, where the listener speaks TLS.
    pub(in crate::proxy) tls: Option<&'a Acceptor>,
    /// The time that the header of a request may take, with the handshake before it.
    pub(in crate::proxy) limit: Duration,
}

/// A stream whose reads end when a header takes too long.
#[derive(Debug)]
struct TimedStream {
    inner: Stream,
    state: Arc<ConnectionState>,
    limit: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    /// The turn of the connection that what follows was set in.
    turn: u32,
    /// True when some of a header has come.
    has_part: bool,
    close: QuietClose,
    admission: Arc<Admission>,
    _known: KnownConnection,
    /// The connection's place in the count of those that speak HTTP/2.
    h2: Option<OpenH2Connection>,
}

/// Runs `serve` on the stream, which gives a request's header its limit to arrive; `None` where the TLS handshake fails.
pub(in crate::proxy) async fn timed<F: Future>(
    accepted: AcceptedStream<'_>,
    admission: &Arc<Admission>,
    serve: impl FnOnce(Stream) -> F,
) -> Option<F::Output> {
    let AcceptedStream { inner, tls, limit } = accepted;
    let due = Instant::now() + limit;
    let inner = match tls {
        Some(acceptor) => shake_hands(acceptor, inner, due, admission).await?,
        None => inner,
    };
    let state = Arc::new(ConnectionState::default());
    let is_h2 = matches!(inner.selected_alpn_proto(), Some(ALPN::H2));
    let stream = TimedStream {
        inner,
        state: Arc::clone(&state),
        limit,
        deadline: Some(Box::pin(tokio::time::sleep_until(due))),
        turn: state.turns(),
        has_part: false,
        close: QuietClose::default(),
        _known: admission.quiet_end().know(&state),
        h2: is_h2.then(|| admission.speaks_h2()),
        admission: Arc::clone(admission),
    };
    Some(STATE.scope(state, serve(Box::new(stream))).await)
}

/// Makes the TLS handshake; counts one that fails, or is not over when it is due.
async fn shake_hands(acceptor: &Acceptor, stream: Stream, due: Instant, admission: &Admission) -> Option<Stream> {
    let plain = stream.into_any().downcast::<TcpConnection>().ok()?; // as Pingora's listener makes them
    match tokio::time::timeout_at(due, acceptor.tls_handshake(*plain)).await {
        Ok(Ok(encrypted)) => return Some(Box::new(encrypted)),
        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake took too long"),
    }
    admission.refused(RefusedConnection::Handshake);
    None
}

/// Stops the header's clock and sets the timeouts of what follows.
pub(in crate::proxy) fn request_began(session: &mut Session, limits: &TrafficLimits) {
    let _ = STATE.try_with(|state| state.request_began()); // HTTP/2 has none
    let downstream = session.as_downstream_mut();
    downstream.set_read_timeout(Some(limits.body_idle.0));
    downstream.set_write_timeout(Some(limits.write_idle.0));
    if downstream.get_keepalive().is_some() {
        downstream.set_keepalive(Some(limits.keep_alive.0.as_secs().max(1)));
    }
}

/// Lets the clock start at the next request's first byte.
pub(in crate::proxy) fn request_ended() {
    let _ = STATE.try_with(|state| state.request_ended()); // HTTP/2 has none
}

/// Keeps the connection of a request that failed after its error was written whole: Pingora closes it. Over HTTP/2 there
/// is nothing to keep, as a failed stream is not the connection's end.
pub(in crate::proxy) async fn keep(session: &mut Session) {
    if !matches!(*session.downstream_session, HttpSession::H1(_)) {
        return;
    }
    let settings = HttpPersistentSettings::for_session(&session.downstream_session);
    let vacant = Box::new(HttpSession::Custom(Box::new(())));
    let answered = std::mem::replace(&mut session.downstream_session, vacant);
    // What does not say that it is kept is closed here, by its own end.
    if let Ok(Some(stream)) = answered.finish().await {
        let _ = STATE.try_with(|state| state.keep(ReusedHttpStream::from_reusable_stream(stream, settings)));
    }
}

/// Takes the connection that [`keep`] kept.
pub(in crate::proxy) fn take_kept() -> Option<ReusedHttpStream> {
    STATE.try_with(|state| state.take_kept()).ok().flatten()
}

/// Keeps a connection on which HTTP is over for those who speak by WebSocket. No header is due on it any more.
pub(in crate::proxy) fn keep_upgraded(connection: UpgradedConnection) {
    let _ = STATE.try_with(|state| {
        state.request_began();
        state.keep_upgraded(connection);
    });
}

/// Takes the connection that [`keep_upgraded`] kept.
pub(in crate::proxy) fn take_upgraded() -> Option<Box<UpgradedConnection>> {
    STATE.try_with(|state| state.take_upgraded()).ok().flatten()
}

fn sleep(limit: Duration) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep_until(Instant::now() + limit))
}

impl TimedStream {
    /// Reads between two requests, in which a header may come or the connection end.
    fn poll_header(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.close.is_closing() {
            return self.close.poll_close(cx, &mut self.inner).map(Ok);
        }
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            self.admission.refused(RefusedConnection::HeaderTimeout);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        match Pin::new(&mut self.inner).poll_read(cx, buf) {
            Poll::Ready(read) => {
                read?;
                if buf.filled().len() > before {
                    self.has_part = true;
                    self.close.reset();
                    self.deadline.get_or_insert_with(|| sleep(self.limit));
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending if self.has_part => Poll::Pending,
            Poll::Pending => {
                ready!(self.close.poll_quiet(cx, self.admission.quiet_end(), &self.state));
                self.close.poll_close(cx, &mut self.inner).map(Ok)
            }
        }
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.h2.is_some() {
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        }
        let turn = this.state.turns();
        if turn != this.turn {
            (this.turn, this.deadline, this.has_part) = (turn, None, false);
            this.close.reset();
        }
        if this.state.has_request() { Pin::new(&mut this.inner).poll_read(cx, buf) } else { this.poll_header(cx, buf) }
    }
}

#[async_trait]
impl Peek for TimedStream {
    /// Pingora looks for the HTTP/2 preface, once and before anything else, and would wait for it without end.
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        let peeked = tokio::select! {
            biased;
            peeked = tokio::time::timeout(self.limit, self.inner.try_peek(buf)) => peeked.ok(),
            () = self.admission.quiet_end().of_silent() => return Err(io::ErrorKind::TimedOut.into()),
        };
        let peeked = peeked.ok_or_else(|| {
            self.admission.refused(RefusedConnection::HeaderTimeout);
            io::Error::from(io::ErrorKind::TimedOut)
        })??;
        if peeked && buf.starts_with(H2_PREFACE) {
            self.h2 = Some(self.admission.speaks_h2());
        }
        Ok(peeked)
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for TimedStream {
    async fn shutdown(&mut self) {
        Shutdown::shutdown(&mut *self.inner).await;
    }
}

impl UniqueID for TimedStream {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl Ssl for TimedStream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }
}

impl GetTimingDigest for TimedStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }
}

impl GetProxyDigest for TimedStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.inner.get_proxy_digest()
    }
}

impl GetSocketDigest for TimedStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }
}
