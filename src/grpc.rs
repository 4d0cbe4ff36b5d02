//! The listener for programs that ask classifiers over gRPC: the classify API, the Open Inference Protocol, health and
//! reflection.
//!
//! It runs on threads of its own, ends with the process and reads each call by the snapshot that serves. A call is
//! admitted by its metadata, before any of its message is read: see [`admission`].

mod admission;
mod bodies;
mod classify;
mod connections;
mod inference;
mod status;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use pointsman_protocols::classify::classify_service_server::ClassifyServiceServer;
use pointsman_protocols::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use pointsman_telemetry::Metrics;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;

use self::admission::{CallGate, MAX_MESSAGE_BYTES};
use self::bodies::{BoundedBodies, MAX_OPEN_MESSAGE_BYTES, open_places};
use self::classify::ClassifyCalls;
use self::inference::InferenceCalls;
use crate::proxy::DrainState;
use crate::router::Router;

/// The longest time for a call: its message and the classifier's answer; of one that needs no key its messages.
const CALL: Duration = Duration::from_secs(60);

/// The silence after which a connection is asked whether its client is there, and the time that the client has to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(10);

/// Calls that one connection may have open.
const MAX_STREAMS: u32 = 128;

/// The longest time that open calls have at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// The reason why the listener does not serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrpcError {
    #[error("cannot listen on {address} (grpc.address)")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("cannot start the threads for gRPC")]
    Thread(#[from] io::Error),
    #[error("the descriptions of the protocols cannot be read")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A bound socket that nobody serves yet.
pub(crate) struct GrpcListener {
    socket: std::net::TcpListener,
    address: SocketAddr,
}

/// The process behind the listener.
#[derive(Clone)]
pub(crate) struct GrpcProcess {
    pub router: Arc<Router>,
    pub metrics: Arc<Metrics>,
    /// The proxy's open requests, among which calls count.
    pub draining: DrainState,
}

/// A listener that serves on threads of its own, until it is stopped.
pub(crate) struct RunningGrpc {
    address: SocketAddr,
    /// The listening socket, for the next process.
    held: OwnedFd,
    phases: watch::Sender<GrpcPhase>,
    thread: JoinHandle<()>,
}

/// The phase of the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GrpcPhase {
    /// Calls are answered.
    Serving,
    /// Calls are answered still; health says that they should go elsewhere.
    Draining,
    /// Open calls end, and no other is taken.
    Ending,
}

impl GrpcListener {
    /// Binds the address, or takes the socket that was handed over; port 0 takes a free one.
    ///
    /// # Errors
    /// When it is in use or not to be had.
    pub(crate) fn bind(address: SocketAddr, handed: Option<OwnedFd>) -> Result<Self, GrpcError> {
        let failed = |source| GrpcError::Bind { address, source };
        let socket = handed.map(std::net::TcpListener::from).map_or_else(|| std::net::TcpListener::bind(address), Ok);
        let socket = socket.map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address })
    }

    /// Serves on threads of its own.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn serve(self, process: GrpcProcess) -> Result<RunningGrpc, GrpcError> {
        let Self { socket, address } = self;
        let held = OwnedFd::from(socket.try_clone()?);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("grpc").build()?;
        let places = open_places();
        let descriptions = ProtocolDescriptions::new(&process, &places)?;
        let (phases, phase) = watch::channel(GrpcPhase::Serving);
        let run = move || {
            runtime.block_on(serve(socket, process, (descriptions, places), phase));
            runtime.shutdown_timeout(Duration::ZERO); // what is left outstayed its time
        };
        let thread = std::thread::Builder::new().name("grpc-listener".to_owned()).spawn(run)?;
        Ok(RunningGrpc { address, held, phases, thread })
    }
}

impl RunningGrpc {
    /// Returns where programs connect.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the listening socket once more, for the next process.
    ///
    /// # Errors
    /// When the process has no place for it.
    pub(crate) fn socket(&self) -> io::Result<OwnedFd> {
        self.held.try_clone()
    }

    /// From now on health says that calls should go elsewhere.
    pub(crate) fn start_draining(&self) {
        let _ = self.phases.send(GrpcPhase::Draining); // a listener that ended by itself hears nothing
    }

    /// Takes no more calls, lets open ones end, five seconds at most, and stops. Blocks.
    pub(crate) fn stop(self) {
        drop(self.held); // who comes now is refused
        let _ = self.phases.send(GrpcPhase::Ending);
        if self.thread.join().is_err() {
            tracing::error!("The thread for gRPC panicked");
        }
    }
}

/// What reflection tells of the protocols, in both of its versions.
struct ProtocolDescriptions(tonic::service::Routes);

impl ProtocolDescriptions {
    fn new(process: &GrpcProcess, places: &Arc<Semaphore>) -> Result<Self, tonic_reflection::server::Error> {
        let described = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(pointsman_protocols::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let new = described().build_v1()?.max_decoding_message_size(MAX_OPEN_MESSAGE_BYTES);
        let old = described().build_v1alpha()?.max_decoding_message_size(MAX_OPEN_MESSAGE_BYTES);
        let new = BoundedBodies::open(new, process.clone(), Arc::clone(places));
        let old = BoundedBodies::open(old, process.clone(), Arc::clone(places));
        Ok(Self(tonic::service::Routes::new(new).add_service(old)))
    }
}

async fn serve(
    socket: std::net::TcpListener,
    process: GrpcProcess,
    (ProtocolDescriptions(routes), places): (ProtocolDescriptions, Arc<Semaphore>),
    phase: watch::Receiver<GrpcPhase>,
) {
    let listener = match TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "The gRPC listener cannot serve"),
    };
    let router = Arc::clone(&process.router);
    let limits = &router.snapshot().config.limits;
    let (max_connections, max_bytes) = (limits.max_connections, limits.max_body_bytes.min(MAX_MESSAGE_BYTES));
    let (reporter, health) = tonic_health::server::health_reporter();
    let health = health.max_decoding_message_size(MAX_OPEN_MESSAGE_BYTES);
    let gate = CallGate::new(process.clone());
    let classify = ClassifyServiceServer::new(ClassifyCalls(process.clone())).max_decoding_message_size(max_bytes);
    let inference =
        GrpcInferenceServiceServer::new(InferenceCalls(process.clone())).max_decoding_message_size(max_bytes);
    let routes = routes
        .add_service(BoundedBodies::open(health, process.clone(), places))
        .add_service(BoundedBodies::admitted(InterceptedService::new(classify, gate.clone()), process.clone()))
        .add_service(BoundedBodies::admitted(InterceptedService::new(inference, gate), process.clone()));
    status::tell(&reporter, &process, GrpcPhase::Serving).await;
    let health = tokio::spawn(status::report(reporter, process, phase.clone()));
    let incoming = connections::accepted(listener, router, max_connections);
    let mut server = Server::builder()
        .timeout(CALL)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_ANSWER));
    let served =
        server.add_routes(routes).serve_with_incoming_shutdown(incoming, reached(phase.clone(), GrpcPhase::Ending));
    let overdue = async {
        reached(phase, GrpcPhase::Ending).await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        served = served => if let Err(error) = served {
            tracing::error!(%error, "The gRPC listener ended");
        },
        () = overdue => tracing::warn!("Open calls over gRPC are cut off"),
    }
    health.abort();
}

/// Waits until the listener has reached a phase; for ever is the end of the process.
async fn reached(mut phases: watch::Receiver<GrpcPhase>, phase: GrpcPhase) {
    let _ = phases.wait_for(|now| *now == phase).await; // who held the listener is gone
}
