//! Connections of Envoy: accepted within a bound, and encrypted where the listener speaks TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::transport::server::Connected;

use super::socket::{AcceptedSocket, BoundSocket};
use super::threads::ThreadWay;
use crate::certificates::GrpcServerTls;
use crate::router::Router;

/// The time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The pause after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The source of connections.
pub(super) struct ConnectionSource {
    /// The router, whose snapshot has the certificate of now.
    pub(super) router: Arc<Router>,
    /// Places for connections.
    pub(super) places: Arc<Semaphore>,
    /// The threads that serve them.
    pub(super) ways: Vec<ThreadWay>,
}

/// The bytes of a connection: plain, or those within TLS.
trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// A connection, and its place among those that are open.
pub(super) struct AcceptedConnection {
    inner: Box<dyn ByteStream>,
    _place: ConnectionPlace,
}

/// The place of a connection, among all and on its thread.
struct ConnectionPlace {
    _all: OwnedSemaphorePermit,
    _thread: Arc<()>,
}

impl ConnectionSource {
    /// Accepts connections until it is told to stop. One more than there are places for waits in the socket's backlog.
    pub(super) async fn accept(self, socket: BoundSocket, mut stopped: watch::Receiver<bool>) {
        let socket = match socket.into_acceptor() {
            Ok(socket) => socket,
            Err(error) => return tracing::error!(%error, "The listener for Envoy cannot serve"),
        };
        loop {
            let accepted = async {
                let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
                Some((place, socket.accept().await))
            };
            let accepted = tokio::select! {
                accepted = accepted => accepted,
                _ = stopped.wait_for(|stopped| *stopped) => return,
            };
            let Some((place, stream)) = accepted else { return };
            match stream {
                Ok(stream) => self.hand_out(stream, place),
                Err(error) => {
                    tracing::debug!(%error, "The listener for Envoy cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Gives a connection to the thread that has the fewest.
    fn hand_out(&self, stream: AcceptedSocket, place: OwnedSemaphorePermit) {
        let Some(way) = self.ways.iter().min_by_key(|way| Arc::strong_count(&way.open)) else { return };
        let (tls, accepted) = (self.router.snapshot().ext_proc_tls.clone(), way.connections.clone());
        let place = ConnectionPlace { _all: place, _thread: Arc::clone(&way.open) };
        way.runtime.spawn(async move {
            if let Some(inner) = prepared(stream, tls).await {
                let _ = accepted.send(Ok(AcceptedConnection { inner, _place: place })).await; // it has stopped
            }
        });
    }
}

/// Puts a connection on the current runtime, and makes the handshake where there is one to make.
async fn prepared(stream: AcceptedSocket, tls: Option<Arc<GrpcServerTls>>) -> Option<Box<dyn ByteStream>> {
    // Only a runtime that ends takes none.
    match stream {
        AcceptedSocket::Tcp(stream) => {
            let _ = stream.set_nodelay(true); // it serves all the same
            within_tls(TcpStream::from_std(stream).ok()?, tls).await
        }
        AcceptedSocket::Unix(stream) => within_tls(UnixStream::from_std(stream).ok()?, tls).await,
    }
}

async fn within_tls<S: ByteStream + 'static>(
    stream: S,
    tls: Option<Arc<GrpcServerTls>>,
) -> Option<Box<dyn ByteStream>> {
    let Some(tls) = tls else { return Some(Box::new(stream)) };
    match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some(Box::new(stream)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "No handshake with the listener for Envoy");
            None
        }
        Err(_) => {
            tracing::debug!("A handshake with the listener for Envoy took too long");
            None
        }
    }
}

impl Connected for AcceptedConnection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for AcceptedConnection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, read: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, read)
    }
}

impl AsyncWrite for AcceptedConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
