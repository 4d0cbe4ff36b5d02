//! Connections of the gRPC listener: as many as are bounded, and none that a client may hold without a word.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

/// The time that a client may take over its first byte.
const FIRST_BYTE: Duration = Duration::from_secs(5);

/// The pause after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that have spoken and wait for the server to take them.
const WAITING: usize = 16;

/// A connection whose client has spoken; its place is free when it is dropped.
pub(super) struct SpokenStream {
    inner: TcpStream,
    _place: OwnedSemaphorePermit,
}

/// Accepts connections for as long as the stream is kept; one above the bound is closed at once.
pub(super) fn accepted(listener: TcpListener, max: usize) -> ReceiverStream<io::Result<SpokenStream>> {
    let (taken, spoken) = mpsc::channel(WAITING);
    tokio::spawn(accept(listener, Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))), taken));
    ReceiverStream::new(spoken)
}

async fn accept(listener: TcpListener, places: Arc<Semaphore>, taken: mpsc::Sender<io::Result<SpokenStream>>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = taken.closed() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                tokio::spawn(listen(SpokenStream { inner: stream, _place: place }, taken.clone()));
            }
            Err(error) => {
                tracing::debug!(%error, "The gRPC listener cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Hands a connection on as soon as its client has sent something.
async fn listen(stream: SpokenStream, taken: mpsc::Sender<io::Result<SpokenStream>>) {
    let _ = stream.inner.set_nodelay(true); // a connection that is gone says so below
    let mut first = [0; 1];
    if matches!(timeout(FIRST_BYTE, stream.inner.peek(&mut first)).await, Ok(Ok(1))) {
        let _ = taken.send(Ok(stream)).await; // the listener ends
    }
}

impl Connected for SpokenStream {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for SpokenStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, read: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, read)
    }
}

impl AsyncWrite for SpokenStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
