//! Connections of the gRPC listener: as many as are bounded, and none that a client may hold without a word.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;

use crate::grpc_connection::GrpcConnection;
use crate::router::Router;

/// The time that a client may take over its first byte.
const FIRST_BYTE: Duration = Duration::from_secs(5);

/// The pause after an accept that failed for want of something, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that have spoken and wait for the server to take them.
const WAITING: usize = 16;

/// A connection whose client has spoken.
pub(super) type SpokenConnection = GrpcConnection<OwnedSemaphorePermit>;

/// Accepts connections for as long as the stream is kept; one above the bound is closed at once. They speak TLS where the
/// snapshot of `router` says so.
pub(super) fn accepted(
    listener: TcpListener,
    router: Arc<Router>,
    max: usize,
) -> ReceiverStream<io::Result<SpokenConnection>> {
    let (taken, spoken) = mpsc::channel(WAITING);
    let places = Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
    tokio::spawn(accept(listener, router, places, taken));
    ReceiverStream::new(spoken)
}

async fn accept(
    listener: TcpListener,
    router: Arc<Router>,
    places: Arc<Semaphore>,
    taken: mpsc::Sender<io::Result<SpokenConnection>>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = taken.closed() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                tokio::spawn(listen(stream, Arc::clone(&router), place, taken.clone()));
            }
            Err(error) => {
                tracing::debug!(%error, "The gRPC listener cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Hands a connection on as soon as its client has sent something, within TLS where there is a handshake to make.
async fn listen(
    stream: TcpStream,
    router: Arc<Router>,
    place: OwnedSemaphorePermit,
    taken: mpsc::Sender<io::Result<SpokenConnection>>,
) {
    let _ = stream.set_nodelay(true); // a connection that is gone says so below
    let mut first = [0; 1];
    if !matches!(timeout(FIRST_BYTE, stream.peek(&mut first)).await, Ok(Ok(1))) {
        return;
    }
    let tls = router.snapshot().grpc_tls.grpc.clone();
    drop(router);
    if let Some(connection) = GrpcConnection::open(stream, place, tls.as_deref()).await {
        let _ = taken.send(Ok(connection)).await; // the listener ends
    }
}
