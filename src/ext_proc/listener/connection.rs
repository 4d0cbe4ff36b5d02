//! Connections of Envoy: accepted within a bound, and encrypted where the listener speaks TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tonic::transport::server::Connected;

use crate::certificates::GrpcServerTls;
use crate::router::Router;

/// The time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The pause after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The source of connections.
pub(super) struct ConnectionSource {
    pub(super) socket: TcpListener,
    /// The router, whose snapshot has the certificate of now.
    pub(super) router: Arc<Router>,
    /// Places for connections.
    pub(super) places: Arc<Semaphore>,
}

/// The bytes of a connection: plain, or those within TLS.
trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// A connection, and its place among those that are open.
pub(super) struct AcceptedConnection {
    inner: Box<dyn ByteStream>,
    _place: OwnedSemaphorePermit,
}

impl ConnectionSource {
    /// Accepts connections until it is told to stop. One more than there are places for waits in the socket's backlog.
    pub(super) async fn accept(
        self,
        accepted: mpsc::Sender<io::Result<AcceptedConnection>>,
        mut stopped: watch::Receiver<bool>,
    ) {
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            let stream = tokio::select! {
                stream = self.socket.accept() => stream,
                _ = stopped.wait_for(|stopped| *stopped) => return,
            };
            match stream {
                Ok((stream, _)) => {
                    let (tls, accepted) = (self.router.snapshot().ext_proc_tls.clone(), accepted.clone());
                    tokio::spawn(async move {
                        if let Some(inner) = prepared(stream, tls).await {
                            let _ = accepted.send(Ok(AcceptedConnection { inner, _place: place })).await; // it has stopped
                        }
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "The listener for Envoy cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Makes the handshake, where there is one to make.
async fn prepared(stream: TcpStream, tls: Option<Arc<GrpcServerTls>>) -> Option<Box<dyn ByteStream>> {
    let _ = stream.set_nodelay(true); // it serves all the same
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
