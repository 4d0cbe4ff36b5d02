//! The listener: its socket, its threads and its end.

mod connection;
mod socket;
mod threads;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use pointsman_core::config::{ExtProcConfig, ExtProcPlace, TrafficLimits};
use pointsman_protocols::envoy::ext_proc::external_processor_server::ExternalProcessorServer;
use tokio::sync::{Semaphore, watch};
use tonic_health::server::HealthReporter;

use self::connection::ConnectionSource;
use self::socket::BoundSocket;
use self::threads::{ServedParts, ServingThread};
use super::service::EnvoyService;
use crate::proxy::Proxy;

/// The reason why the listener does not serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("cannot listen on {place} (ext_proc)")]
    Bind { place: ExtProcPlace, source: io::Error },
    #[error("cannot start the threads of the listener for Envoy")]
    Thread(#[source] io::Error),
}

/// A bound listener that nobody serves yet.
pub(crate) struct ExtProcListener {
    socket: BoundSocket,
    place: ExtProcPlace,
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
    place: ExtProcPlace,
    /// The listening socket, for the next process.
    held: OwnedFd,
    health: HealthReporter,
    stop: watch::Sender<bool>,
    threads: Vec<ServingThread>,
}

impl ExtProcListener {
    /// Binds the place that a configuration's section names, or takes the socket that was handed over; relative paths start at
    /// `folder`.
    ///
    /// # Errors
    /// When it is not to be had.
    pub(crate) fn bind(
        section: &ExtProcConfig,
        folder: &Path,
        limits: &TrafficLimits,
        handed: Option<OwnedFd>,
    ) -> Result<Self, ListenError> {
        let place = section.place(folder);
        let bound = BoundSocket::bind(&place, handed);
        let (socket, place) = bound.map_err(|source| ListenError::Bind { place, source })?;
        let bounds = ListenerBounds {
            message_bytes: section.message_bytes(limits),
            streams: limits.max_requests,
            connections: limits.max_connections,
        };
        Ok(Self { socket, place, bounds })
    }

    /// Serves `proxy` on threads of its own.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn serve(self, proxy: Proxy) -> Result<RunningExtProc, ListenError> {
        let Self { socket, place, bounds } = self;
        let held = socket.hold().map_err(ListenError::Thread)?;
        let (stop, stopped) = watch::channel(false);
        let health = HealthReporter::new();
        let (proxy, places) = (Arc::new(proxy), Arc::new(Semaphore::new(bounds.connections)));
        let router = Arc::clone(proxy.router());
        let service = EnvoyService { proxy, places: Arc::new(Semaphore::new(bounds.streams)) };
        let parts = ServedParts { service, health: health.clone(), bounds, stopped: stopped.clone() };
        let threads = ServingThread::start_all(&parts).map_err(ListenError::Thread)?;
        let ways = threads.iter().map(ServingThread::way).collect();
        let (serving, source) = (health.clone(), ConnectionSource { router, places, ways });
        if let Some(first) = threads.first() {
            first.spawn(async move {
                threads::say_serving(&serving).await;
                source.accept(socket, stopped).await;
            });
        }
        Ok(RunningExtProc { place, held, health, stop, threads })
    }
}

impl RunningExtProc {
    /// Returns where Envoy connects.
    pub(crate) const fn place(&self) -> &ExtProcPlace {
        &self.place
    }

    /// Returns the listening socket once more, for the next process.
    ///
    /// # Errors
    /// When the process has no place for it.
    pub(crate) fn socket(&self) -> io::Result<OwnedFd> {
        self.held.try_clone()
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
        drop(self.held); // who comes now is refused
        ServingThread::stop_all(self.threads).await;
    }
}
