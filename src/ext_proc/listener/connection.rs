//! Connections of Envoy: accepted within a bound, and encrypted where the listener speaks TLS.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::socket::{AcceptedSocket, BoundSocket};
use super::threads::ThreadWay;
use crate::certificates::GrpcServerTls;
use crate::grpc_connection::GrpcConnection;
use crate::router::Router;

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

/// A connection, and its place among those that are open.
pub(super) type AcceptedConnection = GrpcConnection<ConnectionPlace>;

/// The place of a connection, among all and on its thread.
pub(super) struct ConnectionPlace {
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
        let (tls, accepted) = (self.router.snapshot().grpc_tls.ext_proc.clone(), way.connections.clone());
        let place = ConnectionPlace { _all: place, _thread: Arc::clone(&way.open) };
        way.runtime.spawn(async move {
            if let Some(connection) = prepared(stream, place, tls.as_deref()).await {
                let _ = accepted.send(Ok(connection)).await; // it has stopped
            }
        });
    }
}

/// Puts a connection on the current runtime, and makes the handshake where there is one to make.
async fn prepared(
    stream: AcceptedSocket,
    place: ConnectionPlace,
    tls: Option<&GrpcServerTls>,
) -> Option<AcceptedConnection> {
    // Only a runtime that ends takes none.
    match stream {
        AcceptedSocket::Tcp(stream) => {
            let _ = stream.set_nodelay(true); // it serves all the same
            GrpcConnection::open(TcpStream::from_std(stream).ok()?, place, tls).await
        }
        AcceptedSocket::Unix(stream) => GrpcConnection::open(UnixStream::from_std(stream).ok()?, place, tls).await,
    }
}
