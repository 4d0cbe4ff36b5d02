//! The threads that serve: a connection stays with one of them, so nothing is handed over between a message and its answer.
//!
//! Each has a runtime with a worker of its own. A runtime that shared its work among several would wake another worker for
//! most messages, to find nothing to do; one without workers could not lend its thread out, as large bodies want it (see
//! `proxy::large_work`). Envoy has a connection for each of its own threads, so there is work for all.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pointsman_protocols::envoy::ext_proc::external_processor_server::ExternalProcessorServer;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use super::ListenerBounds;
use super::connection::AcceptedConnection;
use crate::ext_proc::service::{EnvoyService, GrpcServices};

/// Connections that wait to be served.
const WAITING: usize = 64;

/// The time for the last answers once no request is open any more.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// The pause before a quiet connection is asked whether it is still there, and the time for the answer to that.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The windows of a stream and of a connection, in bytes: a large body does not wait for round trips.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;

/// A thread that serves connections.
pub(super) struct ServingThread {
    runtime: Runtime,
    way: ThreadWay,
    served: JoinHandle<()>,
}

/// The way of a connection to the thread that serves it.
#[derive(Clone)]
pub(super) struct ThreadWay {
    pub(super) runtime: Handle,
    pub(super) connections: mpsc::Sender<io::Result<AcceptedConnection>>,
    /// Held by each connection of the thread.
    pub(super) open: Arc<()>,
}

/// The services of all threads.
pub(super) struct ServedParts {
    pub(super) service: EnvoyService,
    pub(super) health: HealthReporter,
    pub(super) bounds: ListenerBounds,
    pub(super) stopped: watch::Receiver<bool>,
}

impl ServingThread {
    /// Starts as many threads as there are cores.
    ///
    /// # Errors
    /// When one cannot be started.
    pub(super) fn start_all(parts: &ServedParts) -> io::Result<Vec<Self>> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        (0..count).map(|_| Self::start(parts)).collect()
    }

    fn start(parts: &ServedParts) -> io::Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("ext-proc").enable_all().build()?;
        let (connections, accepted) = mpsc::channel(WAITING);
        let way = ThreadWay { runtime: runtime.handle().clone(), connections, open: Arc::default() };
        let served = runtime.spawn(serve(parts.services(), parts.bounds, accepted, parts.stopped.clone()));
        Ok(Self { runtime, way, served })
    }

    /// Returns the way to this thread.
    pub(super) fn way(&self) -> ThreadWay {
        self.way.clone()
    }

    /// Runs a task on this thread.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// Stops all of them, once they were told to: what is left of answers has two seconds.
    pub(super) async fn stop_all(threads: Vec<Self>) {
        let deadline = tokio::time::Instant::now() + LAST_ANSWERS;
        for Self { runtime, way, served } in threads {
            drop(way);
            let _ = tokio::time::timeout_at(deadline, served).await; // what is left outstayed its time
            runtime.shutdown_background();
        }
    }
}

impl ServedParts {
    fn services(&self) -> GrpcServices<HealthService> {
        let health = HealthServer::new(HealthService::from_health_reporter(self.health.clone()));
        GrpcServices::new(self.service.clone(), health, self.bounds.message_bytes)
    }
}

/// Says that the listener serves.
pub(super) async fn say_serving(health: &HealthReporter) {
    health.set_serving::<ExternalProcessorServer<EnvoyService>>().await;
}

async fn serve(
    services: GrpcServices<HealthService>,
    bounds: ListenerBounds,
    accepted: mpsc::Receiver<io::Result<AcceptedConnection>>,
    stopped: watch::Receiver<bool>,
) {
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
}

async fn is_stopped(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await; // one that is gone has stopped
}
