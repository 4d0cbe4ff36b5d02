//! Connections of the admin plane: as many as are bounded, and none that a client may hold by being slow.
//!
//! Half a header, an answer that is left unread and silence between requests each end the connection. One connection
//! above the bound takes the place of the oldest that has brought no whole header, or that leaves its answer unread;
//! where all are being answered it waits until one ends. So no number of idle or slow ones keeps a probe waiting.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{AcquireError, Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Sleep, sleep, timeout};

use super::caller::PeerConnection;
use super::state::AdminPlane;

/// Open connections: operators, scrapers and probes are few.
pub(super) const MAX_CONNECTIONS: usize = 256;

/// The time that a client may take over a header that it has begun.
pub(super) const HEADER_DEADLINE: Duration = Duration::from_secs(5);

/// The time that a connection may wait for its next request.
const IDLE_DEADLINE: Duration = Duration::from_secs(20);

/// The time that a client may take over the rest of an answer, once it has stopped reading.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// The time that answers on their way may take once the process stops.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);

/// The pause after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The largest header.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// The connections that are open, by the order in which they came.
#[derive(Debug, Default)]
struct OpenConnections {
    newest: AtomicU64,
    open: Mutex<BTreeMap<u64, Arc<ConnectionStage>>>,
}

/// The stage of one connection: which part of a request or an answer it is at.
#[derive(Debug, Default)]
struct ConnectionStage {
    stage: AtomicU8,
    given_up: Notify,
}

/// No whole header has come.
const WAITS: u8 = 0;

/// A request is being answered.
const ANSWERS: u8 = 1;

/// The answer is being written.
const WRITES: u8 = 2;

/// The client does not read the answer.
const UNREAD: u8 = 3;

/// A place among the open connections.
struct ConnectionPlace {
    number: u64,
    all: Arc<OpenConnections>,
    stage: Arc<ConnectionStage>,
    _slot: OwnedSemaphorePermit,
}

/// The routes of the plane, and the process that says whether its listener speaks TLS.
#[derive(Clone)]
pub(super) struct AdminSite {
    pub(super) router: Router,
    pub(super) plane: Arc<dyn AdminPlane>,
}

/// The bytes of a connection: plain, or those within TLS.
trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// A connection whose other side has to end a header, and to take an answer, in time.
struct AnsweringStream {
    inner: Box<dyn ByteStream>,
    stage: Arc<ConnectionStage>,
    /// The end of a header's time; there is one from its first bytes until a request is read.
    header_due: Option<Pin<Box<Sleep>>>,
    /// The end of an answer's time; there is one while its client does not read.
    overdue: Option<Pin<Box<Sleep>>>,
}

/// Serves `site` until `shutdown` completes and answers on their way have ended, or five seconds have passed.
pub(super) async fn serve(listener: TcpListener, site: AdminSite, shutdown: impl Future<Output = ()>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stopping, stopped) = watch::channel(false);
    tokio::select! {
        () = accept(&listener, &site, Arc::clone(&slots), &stopped) => {}
        () = shutdown => {}
    }
    drop(listener);
    let _ = stopping.send(true); // nobody listens where no connection is open
    let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
    let _ = timeout(DRAIN_DEADLINE, slots.acquire_many(all)).await;
}

async fn accept(listener: &TcpListener, site: &AdminSite, slots: Arc<Semaphore>, stopped: &watch::Receiver<bool>) {
    let all = Arc::<OpenConnections>::default();
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let Ok(place) = all.place(&slots).await else { return };
                tokio::spawn(serve_one((stream, address), site.clone(), place, stopped.clone()));
            }
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

/// Makes the handshake, where there is one to make, and answers the requests of a connection.
async fn serve_one(
    (stream, address): (TcpStream, SocketAddr),
    site: AdminSite,
    place: ConnectionPlace,
    stopped: watch::Receiver<bool>,
) {
    let mut peer = PeerConnection { address: Some(address), certificate: None };
    let Some(tls) = site.plane.terms().tls.clone() else {
        return answer((Box::new(stream), peer), site.router, place, stopped).await;
    };
    let accepted = tokio::select! {
        accepted = timeout(HEADER_DEADLINE, Box::pin(tls.accept(stream))) => accepted,
        () = place.stage.given_up.notified() => return,
    };
    match accepted {
        Ok(Ok((stream, certificate))) => {
            peer.certificate = certificate.map(Arc::new);
            answer((Box::new(stream), peer), site.router, place, stopped).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, %address, "No handshake with the admin listener"),
        Err(_) => tracing::debug!(%address, "A handshake with the admin listener took too long"),
    }
}

/// Answers the requests of a connection, one after another.
async fn answer(
    (stream, peer): (Box<dyn ByteStream>, PeerConnection),
    router: Router,
    place: ConnectionPlace,
    mut stopped: watch::Receiver<bool>,
) {
    let stage = Arc::clone(&place.stage);
    let stream = AnsweringStream { inner: stream, stage: Arc::clone(&stage), header_due: None, overdue: None };
    let service = TowerToHyperService::new(router);
    let staged = service_fn(|mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer.clone());
        stage.set(ANSWERS);
        let (answer, stage) = (service.call(request), Arc::clone(&stage));
        async move {
            let answer = answer.await;
            stage.set(WRITES);
            answer
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(IDLE_DEADLINE).max_buf_size(MAX_HEADER_BYTES);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), staged));
    tokio::select! {
        _ = connection.as_mut() => return, // its errors are the client's
        () = place.stage.given_up.notified() => return,
        _ = stopped.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

impl OpenConnections {
    /// Returns a place, for which another connection may have to go.
    async fn place(self: &Arc<Self>, slots: &Arc<Semaphore>) -> Result<ConnectionPlace, AcquireError> {
        let slot = match Arc::clone(slots).try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) => {
                self.give_one_up();
                Arc::clone(slots).acquire_owned().await?
            }
        };
        let (number, stage) = (self.newest.fetch_add(1, Ordering::Relaxed), Arc::<ConnectionStage>::default());
        self.all().insert(number, Arc::clone(&stage));
        Ok(ConnectionPlace { number, all: Arc::clone(self), stage, _slot: slot })
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<ConnectionStage>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the oldest connection that has brought no whole header, else the oldest whose answer is left unread.
    fn give_one_up(&self) {
        let open = self.all();
        let oldest = |at: u8| open.values().find(|connection| connection.stage.load(Ordering::Relaxed) == at);
        if let Some(connection) = oldest(WAITS).or_else(|| oldest(UNREAD)) {
            connection.given_up.notify_one();
        }
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.all.all().remove(&self.number);
    }
}

impl ConnectionStage {
    fn set(&self, stage: u8) {
        self.stage.store(stage, Ordering::Relaxed);
    }

    fn is_at(&self, stage: u8) -> bool {
        self.stage.load(Ordering::Relaxed) == stage
    }
}

impl AnsweringStream {
    /// Fails once a header's time is over; notes its beginning when the first bytes are `read`.
    fn header_in_time(&mut self, cx: &mut Context<'_>, has_begun: ReadState) -> Poll<io::Result<()>> {
        if !self.stage.is_at(WAITS) {
            self.header_due = None;
            return Poll::Pending;
        }
        if has_begun == ReadState::Bytes {
            self.header_due.get_or_insert_with(|| Box::pin(sleep(HEADER_DEADLINE)));
        }
        let due = self.header_due.as_mut().map_or(Poll::Pending, |due| due.as_mut().poll(cx));
        due.map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Fails once the answer's time is over; notes its beginning when `written` has to wait.
    fn in_time<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_pending() {
            self.stage.set(UNREAD);
            self.overdue.get_or_insert_with(|| Box::pin(sleep(ANSWER_DEADLINE)));
        }
        match self.overdue.as_mut().map(|overdue| overdue.as_mut().poll(cx)) {
            Some(Poll::Ready(())) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            _ => written,
        }
    }
}

/// The state of a read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReadState {
    /// Bytes have come.
    Bytes,
    /// None have.
    Nothing,
}

impl AsyncRead for AnsweringStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, read: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = read.filled().len();
        let taken = Pin::new(&mut self.inner).poll_read(cx, read);
        let state = if read.filled().len() > before { ReadState::Bytes } else { ReadState::Nothing };
        match self.header_in_time(cx, state) {
            Poll::Ready(failed) => Poll::Ready(failed),
            Poll::Pending => taken,
        }
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
        if self.stage.is_at(WRITES) || self.stage.is_at(UNREAD) {
            self.stage.set(WAITS);
        }
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
