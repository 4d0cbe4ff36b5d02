//! The listener: its socket, its threads and its end.
//!
//! It has a runtime of its own, as large bodies are read beside the threads that serve, which a runtime of one thread
//! cannot do.

mod connection;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pointsman_core::config::{ExtProcConfig, TrafficLimits};
use pointsman_protocols::envoy::ext_proc::external_processor_server::ExternalProcessorServer;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic_health::server::HealthReporter;

use self::connection::ConnectionSource;
use super::service::{EnvoyService, GrpcServices};
use crate::proxy::Proxy;

/// Connections that wait to be served.
const WAITING: usize = 64;

/// The time for the last answers once no request is open any more.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// The pause before a quiet connection is asked whether it is still there, and the time for the answer to that.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The windows of a stream and of a connection, in bytes: a large body does not wait for round trips.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;

/// The reason why the listener does not serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("cannot listen on {address} (ext_proc.address)")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("cannot start the threads of the listener for Envoy")]
    Thread(#[source] io::Error),
}

/// A bound listener that nobody serves yet.
pub(crate) struct ExtProcListener {
    socket: std::net::TcpListener,
    address: SocketAddr,
    bounds: ListenerBounds,
}

/// The most that may be open or come at once.
#[derive(Clone, Copy)]
struct ListenerBounds {
    message_bytes: usize,
    streams: usize,
    connections: usize,
}

/// A listener that is served, on threads of its own.
pub(crate) struct RunningExtProc {
    address: SocketAddr,
    runtime: Runtime,
    health: HealthReporter,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl ExtProcListener {
    /// Binds the address of a configuration's section.
    ///
    /// # Errors
    /// When the address is not to be had.
    pub(crate) fn bind(section: &ExtProcConfig, limits: &TrafficLimits) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Bind { address: section.address, source };
        let socket = std::net::TcpListener::bind(section.address).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let bounds = ListenerBounds {
            message_bytes: section.message_bytes(limits),
            streams: limits.max_requests,
            connections: limits.max_connections,
        };
        Ok(Self { socket, address, bounds })
    }

    /// Serves `proxy` on threads of its own.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn serve(self, proxy: Proxy) -> Result<RunningExtProc, ListenError> {
        let Self { socket, address, bounds } = self;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.thread_name("ext-proc").enable_all().build().map_err(ListenError::Thread)?;
        let socket = {
            let _here = runtime.enter();
            TcpListener::from_std(socket).map_err(ListenError::Thread)?
        };
        let (stop, stopped) = watch::channel(false);
        let health = HealthReporter::new();
        let (proxy, places) = (Arc::new(proxy), Arc::new(Semaphore::new(bounds.connections)));
        let source = ConnectionSource { socket, router: Arc::clone(proxy.router()), places };
        let service = EnvoyService { proxy, places: Arc::new(Semaphore::new(bounds.streams)) };
        let task = runtime.spawn(serve(source, service, (health.clone(), bounds), stopped));
        Ok(RunningExtProc { address, runtime, health, stop, task })
    }
}

async fn serve(
    source: ConnectionSource,
    service: EnvoyService,
    (health, bounds): (HealthReporter, ListenerBounds),
    stopped: watch::Receiver<bool>,
) {
    health.set_serving::<ExternalProcessorServer<EnvoyService>>().await;
    let health_server = tonic_health::pb::health_server::HealthServer::new(
        tonic_health::server::HealthService::from_health_reporter(health),
    );
    let services = GrpcServices::new(service, health_server, bounds.message_bytes);
    let (connections, accepted) = mpsc::channel(WAITING);
    let accepting = tokio::spawn(source.accept(connections, stopped.clone()));
    let streams = u32::try_from(bounds.streams).unwrap_or(u32::MAX);
    let served = Server::builder()
        .max_concurrent_streams(streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
        .serve_with_incoming_shutdown(services, ReceiverStream::new(accepted), is_stopped(stopped))
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "The listener for Envoy has ended");
    }
    accepting.abort();
}

async fn is_stopped(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await; // one that is gone has stopped
}

impl RunningExtProc {
    /// Returns where Envoy connects.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells those who look that another one should be asked. What comes all the same is answered.
    pub(crate) async fn leave(&self) {
        let status = tonic_health::ServingStatus::NotServing;
        self.health.set_service_status("", status).await;
        self.health.set_not_serving::<ExternalProcessorServer<EnvoyService>>().await;
    }

    /// Takes no more connections, and tells the others to go.
    pub(crate) fn close(&self) {
        let _ = self.stop.send(true); // one that ended by itself hears nothing
    }

    /// Stops, once no request is open any more: what is left of answers has two seconds.
    pub(crate) async fn stop(self) {
        self.close();
        let _ = tokio::time::timeout(LAST_ANSWERS, self.task).await;
        self.runtime.shutdown_background();
    }
}
