//! Connections of the admin plane: as many as are bounded, and none that a client may hold by being slow.
//!
//! Half a header, an answer that is left unread and silence between requests each end the connection. One connection
//! above the bound waits in the backlog until another ends.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Sleep, sleep, timeout};

/// Open connections: operators, scrapers and probes are few.
pub(super) const MAX_CONNECTIONS: usize = 256;

/// The time that a client may take over a header, and that a connection may wait for its next request.
pub(super) const HEADER_DEADLINE: Duration = Duration::from_secs(20);

/// The time that a client may take over the rest of an answer, once it has stopped reading.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// The time that answers on their way may take once the process stops.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);

/// The pause after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The largest header.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// A connection whose other side has to take an answer in time.
struct AnsweringStream {
    inner: TcpStream,
    /// The end of an answer's time; there is one while its client does not read.
    overdue: Option<Pin<Box<Sleep>>>,
}

/// Serves `router` until `shutdown` completes and answers on their way have ended, or five seconds have passed.
pub(super) async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stopping, stopped) = watch::channel(false);
    tokio::select! {
        () = accept(&listener, &router, Arc::clone(&slots), &stopped) => {}
        () = shutdown => {}
    }
    drop(listener);
    let _ = stopping.send(true); // nobody listens where no connection is open
    let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
    let _ = timeout(DRAIN_DEADLINE, slots.acquire_many(all)).await;
}

async fn accept(listener: &TcpListener, router: &Router, slots: Arc<Semaphore>, stopped: &watch::Receiver<bool>) {
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(answer(stream, router.clone(), slot, stopped.clone()))),
            // The client left before its turn.
            Err(error) if is_of_client(&error) => {}
            Err(error) => {
                tracing::error!(%error, "The admin plane cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Answers the requests of a connection, one after another.
async fn answer(stream: TcpStream, router: Router, _slot: OwnedSemaphorePermit, mut stopped: watch::Receiver<bool>) {
    let stream = TokioIo::new(AnsweringStream { inner: stream, overdue: None });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_DEADLINE).max_buf_size(MAX_HEADER_BYTES);
    let mut connection = std::pin::pin!(http.serve_connection(stream, TowerToHyperService::new(router)));
    tokio::select! {
        _ = connection.as_mut() => return, // its errors are the client's
        _ = stopped.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

impl AnsweringStream {
    /// Fails once the answer's time is over; notes its beginning when `written` has to wait.
    fn in_time<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_pending() {
            self.overdue.get_or_insert_with(|| Box::pin(sleep(ANSWER_DEADLINE)));
        }
        match self.overdue.as_mut().map(|overdue| overdue.as_mut().poll(cx)) {
            Some(Poll::Ready(())) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            _ => written,
        }
    }
}

impl AsyncRead for AnsweringStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, read: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, read)
    }
}

impl AsyncWrite for AnsweringStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.in_time(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.in_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// Hyper flushes once it has written an answer, or the part that it has, whole.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.inner).poll_flush(cx));
        self.overdue = None;
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
