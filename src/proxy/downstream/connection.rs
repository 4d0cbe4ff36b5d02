//! A client's connection: how long it may take over a request's header, and over reading an answer.
//!
//! Pingora 0.9.1 bounds each read of a header, not the header: one byte every 59 seconds keeps a connection forever,
//! and one that sends nothing at all where HTTP/2 without TLS is allowed is waited for without end. So the stream is
//! wrapped: between requests, a clock runs from the first byte until the proxy has the whole header. HTTP/2 connections
//! are left to the idle timeout of Pingora, which counts a header that does not end as idle.
//!
//! Not bounded: the TLS handshake (Pingora gives it 60 seconds), and the pauses of a client that sends a body by HTTP/2
//! to a path that is not read but passed on; there the upstream's own timeouts hold.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
};
use pingora::proxy::Session;
use pointsman_core::config::TrafficLimits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::admission::{Admission, OpenH2Connection};

/// The first bytes of an HTTP/2 connection without TLS.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0";

tokio::task_local! {
    /// Set in the task of an HTTP/1 connection; requests of an HTTP/2 connection have tasks of their own.
    static STATE: Arc<HeaderState>;
}

/// The state of a connection that its requests share with its stream.
#[derive(Debug, Default)]
struct HeaderState {
    has_request: AtomicBool,
}

/// A stream whose reads end when a header takes too long.
#[derive(Debug)]
struct TimedStream {
    inner: Stream,
    state: Arc<HeaderState>,
    limit: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    admission: Arc<Admission>,
    /// The connection's place in the count of those that speak HTTP/2.
    h2: Option<OpenH2Connection>,
}

/// Runs `serve` on the stream, which gives a request's header `limit` to arrive.
pub(in crate::proxy) async fn timed<F: Future>(
    inner: Stream,
    limit: Duration,
    admission: &Arc<Admission>,
    serve: impl FnOnce(Stream) -> F,
) -> F::Output {
    let state = Arc::new(HeaderState::default());
    let is_h2 = matches!(inner.selected_alpn_proto(), Some(ALPN::H2));
    let h2 = is_h2.then(|| admission.speaks_h2());
    let admission = Arc::clone(admission);
    let stream = TimedStream { inner, state: Arc::clone(&state), limit, deadline: Some(sleep(limit)), admission, h2 };
    STATE.scope(state, serve(Box::new(stream))).await
}

/// Stops the header's clock and sets the timeouts of what follows.
pub(in crate::proxy) fn request_began(session: &mut Session, limits: &TrafficLimits) {
    let _ = STATE.try_with(|state| state.has_request.store(true, Ordering::Relaxed)); // HTTP/2 has none
    let downstream = session.as_downstream_mut();
    downstream.set_read_timeout(Some(limits.body_idle.0));
    downstream.set_write_timeout(Some(limits.write_idle.0));
    if downstream.get_keepalive().is_some() {
        downstream.set_keepalive(Some(limits.keep_alive.0.as_secs().max(1)));
    }
}

/// Lets the clock start at the next request's first byte.
pub(in crate::proxy) fn request_ended() {
    let _ = STATE.try_with(|state| state.has_request.store(false, Ordering::Relaxed)); // HTTP/2 has none
}

fn sleep(limit: Duration) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep_until(Instant::now() + limit))
}

impl AsyncRead for TimedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.h2.is_some() || this.state.has_request.load(Ordering::Relaxed) {
            this.deadline = None;
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        }
        if let Some(deadline) = &mut this.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        if buf.filled().len() > before && this.deadline.is_none() {
            this.deadline = Some(sleep(this.limit));
        }
        Poll::Ready(Ok(()))
    }
}

#[async_trait]
impl Peek for TimedStream {
    /// Pingora looks for the HTTP/2 preface, once and before anything else, and would wait for it without end.
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        let peeked = tokio::time::timeout(self.limit, self.inner.try_peek(buf)).await;
        let peeked = peeked.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
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
