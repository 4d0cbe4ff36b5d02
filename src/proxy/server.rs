//! Serves the proxy: listeners that are bound before Pingora starts, and ends that wait for requests.
//!
//! Pingora binds late and panics when it cannot. Here the sockets are bound first, so that an address in use is an
//! error with a name, and port 0 has a number before the first request; Pingora then gets them through the table in
//! which it takes over sockets from a process that it replaces. The same table goes to the next process in an upgrade:
//! both hold the same listening socket, so no connection that waits in it is lost.
//!
//! Two ways to end. A shutdown keeps accepting until the open requests are over, because load balancers need time to
//! notice. An upgrade stops accepting at once, because the next process does it. Both close connections as their
//! requests end: HTTP/1 by `Connection: close`, HTTP/2 by GOAWAY. `end` has the details.

mod backlog;
mod end;
mod handover;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::listeners;
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession as HttpSession;
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;
use pingora::server::{Fds, ListenFds, RunArgs, Server, ShutdownWatch};
use pingora::services::{Service, listening};
use pointsman_core::config::ListenerConfig;
use tokio::sync::watch;

use self::backlog::ListenerHandles;
use self::end::{DrainPhases, DrainSignal, ServerEnd};
pub(crate) use self::handover::OtherSocket;
use self::handover::OtherSockets;
use super::Proxy;
use super::attempt::MAX_TRIES;
use super::downstream::admission::Admission;
use super::downstream::connection::{self, AcceptedStream};
#[cfg(feature = "grpc")]
use super::downstream::drain::OpenRequest;
use super::downstream::drain::OpenRequests;
use super::downstream::tls::{self, TlsAcceptors};
use super::websocket::{self, SessionServices};
use crate::router::Router;

/// An address in use, or not ours to use.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub(crate) struct BindError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

/// Listeners that did not change hands.
#[derive(Debug, thiserror::Error)]
#[error("no listeners came or went through `{}`: {message}", socket.display())]
pub(crate) struct TakeOverError {
    socket: PathBuf,
    message: String,
}

/// Bound sockets that nobody serves yet.
pub(crate) struct Listeners {
    fds: Fds,
    endpoints: Vec<ListenEndpoint>,
    handles: ListenerHandles,
}

/// A proxy that serves on threads of its own, until it is shut down.
pub(crate) struct RunningProxy {
    addresses: Vec<SocketAddr>,
    fds: ListenFds,
    ends: watch::Sender<ServerEnd>,
    open: Arc<OpenRequests>,
    thread: JoinHandle<()>,
}

/// Tells whether a proxy is being shut down; it serves until then, and new traffic should go elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct DrainState(Arc<OpenRequests>);

#[derive(Debug, Clone, Copy)]
struct ListenEndpoint {
    address: SocketAddr,
    has_tls: bool,
}

/// The way to hurry a proxy that is being shut down.
#[derive(Debug, Clone)]
pub(crate) struct ShutdownUrge(watch::Sender<ServerEnd>);

/// The reason why a proxy is shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShutdownReason {
    /// An orchestrator ends it, whose load balancers are still to notice.
    Ordered,
    /// Someone waits for the end.
    Interrupted,
}

/// The proxy as Pingora's listeners see it: connections are counted and timed before it gets them.
struct ListenerApp {
    proxy: Arc<HttpProxy<Proxy>>,
    router: Arc<Router>,
    admission: Arc<Admission>,
    acceptors: TlsAcceptors,
    /// Tells connections that a drain has begun.
    closing: ShutdownWatch,
    /// Tells those that came later.
    last_call: ShutdownWatch,
}

/// Listeners that are about to be served.
struct BoundListeners {
    endpoints: Vec<ListenEndpoint>,
    handles: ListenerHandles,
    fds: ListenFds,
}

/// Pingora's service with the sockets that were bound for it.
struct BoundService {
    inner: listening::Service<ListenerApp>,
    fds: ListenFds,
    retired: ShutdownWatch,
}

impl Listeners {
    /// Binds every address; port 0 takes a free one.
    ///
    /// # Errors
    /// When an address is in use or not to be had.
    pub(crate) fn bind(listen: &[ListenerConfig]) -> Result<Self, BindError> {
        Self::complete(Fds::new(), listen)
    }

    /// Waits until the process that serves sends its sockets over the Unix socket at `socket`, a few seconds at most,
    /// and binds what it did not have. Returns besides what came of `others`, the names of other listeners' sockets. Blocks.
    ///
    /// # Errors
    /// When nothing came; what came is closed when an address is not to be had.
    pub(crate) fn take_over(
        socket: &Path,
        listen: &[ListenerConfig],
        others: &[String],
    ) -> Result<Result<(Self, OtherSockets), BindError>, TakeOverError> {
        let mut fds = Fds::new();
        let taken = fds.get_from_sock(&*socket.to_string_lossy());
        taken.map_err(|error| TakeOverError { socket: socket.to_owned(), message: error.to_string() })?;
        let wanted = listen.iter().map(|listen| listen.address.to_string()).collect();
        let others = OtherSockets::of(&fds, others);
        for closed in fds.close_unclaimed(&wanted).into_iter().filter(|closed| !others.contain(closed)) {
            tracing::warn!(address = closed, "The former process listened there, this one does not");
        }
        Ok(Self::complete(fds, listen).map(|own| (own, others)))
    }

    fn complete(fds: Fds, listen: &[ListenerConfig]) -> Result<Self, BindError> {
        let mut listeners = Self { fds, endpoints: Vec::new(), handles: ListenerHandles::default() };
        for ListenerConfig { address, tls, .. } in listen {
            let address = match listeners.fds.get(&address.to_string()) {
                Some(descriptor) => {
                    listeners.handles.hold_descriptor(*descriptor);
                    *address
                }
                None => listeners.bind_one(*address).map_err(|source| BindError { address: *address, source })?,
            };
            listeners.endpoints.push(ListenEndpoint { address, has_tls: tls.is_some() });
        }
        Ok(listeners)
    }

    /// Adds a socket to the table and returns its address.
    fn bind_one(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let socket = TcpListener::bind(address)?;
        socket.set_nonblocking(true)?; // Pingora takes it as it is
        let address = socket.local_addr()?;
        self.handles.hold(&socket);
        self.fds.add(address.to_string(), socket.into_raw_fd());
        Ok(address)
    }

    /// Serves `proxy` on threads of its own.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn serve(self, proxy: Proxy) -> io::Result<RunningProxy> {
        let Self { fds, endpoints, handles } = self;
        let addresses = endpoints.iter().map(|endpoint| endpoint.address).collect();
        let fds: ListenFds = Arc::new(fds.into());
        let (ends, asked) = watch::channel(ServerEnd::NotYet);
        let open = Arc::clone(&proxy.open);
        let bound = BoundListeners { endpoints, handles, fds: Arc::clone(&fds) };
        let run = move || run(proxy, bound, asked);
        let thread = std::thread::Builder::new().name("pingora".into()).spawn(run)?;
        Ok(RunningProxy { addresses, fds, ends, open, thread })
    }
}

fn run(proxy: Proxy, bound: BoundListeners, asked: watch::Receiver<ServerEnd>) {
    let BoundListeners { endpoints, handles, fds } = bound;
    let ((closing, is_closing), (last_call, is_last_call)) = (watch::channel(false), watch::channel(false));
    let (retired, is_retired) = watch::channel(false);
    let (router, admission) = (Arc::clone(&proxy.router), Arc::clone(&proxy.admission));
    // `run` drops `DrainSignal` before it ends the accept loops, and a loop whose channel closes logs an error.
    let channels = (closing.clone(), last_call.clone(), retired.clone());
    let drained = DrainSignal {
        asked,
        open: Arc::clone(&proxy.open),
        admission: Arc::clone(&admission),
        router: Arc::clone(&router),
        listeners: handles,
        has_tls: endpoints.iter().any(|endpoint| endpoint.has_tls),
        phases: DrainPhases { closing, last_call, retired },
    };

    let mut server = Server::new_with_opt_and_conf(None, configuration());
    server.bootstrap();
    let mut http = http_proxy(&server.configuration, proxy);
    let mut options = HttpServerOptions::default();
    options.h2c = true; // where there is no TLS; with it, ALPN decides
    options.h2_idle_timeout = Some(router.snapshot().config.limits.keep_alive.0);
    http.server_options = Some(options);
    let mut acceptors = TlsAcceptors::default();
    for (index, endpoint) in endpoints.iter().enumerate() {
        let settings = endpoint.has_tls.then(|| tls::settings(Arc::clone(&router), index));
        acceptors.add(endpoint.address, settings.map(|tls| tls.expect("settings without files cannot fail")));
    }
    let proxy = Arc::new(http);
    let edge = ListenerApp { proxy, router, admission, acceptors, closing: is_closing, last_call: is_last_call };
    let mut inner = listening::Service::new("proxy".to_owned(), edge);
    for endpoint in &endpoints {
        inner.add_listener(listeners::ListenerConfig::tcp(endpoint.address.to_string()));
    }
    server.add_service(BoundService { inner, fds, retired: is_retired });
    server.run(RunArgs { shutdown_signal: Box::new(drained) });
    drop(channels);
}

fn configuration() -> ServerConf {
    ServerConf {
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        max_retries: MAX_TRIES as usize, // `retry` bounds them
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0), // `DrainSignal` has waited already
        ..ServerConf::default()
    }
}

impl RunningProxy {
    /// Returns where clients connect, in the order of the configuration.
    #[must_use]
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns what tells whether it is being shut down.
    #[must_use]
    pub(crate) fn draining(&self) -> DrainState {
        DrainState(Arc::clone(&self.open))
    }

    /// Returns the way to hurry a shutdown once it has begun.
    #[must_use]
    pub(crate) fn urge(&self) -> ShutdownUrge {
        ShutdownUrge(self.ends.clone())
    }

    /// Lets open requests end, `limits.drain` at most, tells those that are left, and stops. Blocks.
    pub(crate) fn shut_down(self, reason: ShutdownReason) {
        self.end(match reason {
            ShutdownReason::Ordered => ServerEnd::Shutdown,
            ShutdownReason::Interrupted => ServerEnd::Interrupt,
        });
    }

    /// Sends the listeners, and those of `others`, to the process that waits for them at `socket`, a few seconds at most.
    /// Goes on serving: what follows is [`RunningProxy::retire`]. Blocks.
    ///
    /// # Errors
    /// When nobody waits there.
    pub(crate) fn hand_over(&self, socket: &Path, others: &[OtherSocket]) -> Result<(), TakeOverError> {
        handover::send(&self.fds.lock(), others, socket)
    }

    /// Accepts no more connections, lets the open ones end, `limits.drain` at most, and stops. Blocks.
    pub(crate) fn retire(self) {
        self.end(ServerEnd::Upgrade);
    }

    fn end(self, end: ServerEnd) {
        self.open.start_draining();
        let _ = self.ends.send(end); // a server that ended by itself hears nothing
        if self.thread.join().is_err() {
            tracing::error!("The proxy's thread panicked");
        }
    }
}

impl ShutdownUrge {
    /// Ends what is open now, and the proxy with it.
    pub(crate) fn end_at_once(&self) {
        let _ = self.0.send(ServerEnd::AtOnce); // a server that ended by itself hears nothing
    }
}

/// A request at another listener that counts among the proxy's open ones; dropping it closes it.
#[cfg(feature = "grpc")]
#[derive(Debug)]
pub(crate) struct CountedRequest(#[expect(dead_code, reason = "held for its drop")] OpenRequest);

#[cfg(feature = "grpc")]
impl DrainState {
    /// Counts a request at another listener, unless `limit` are open already.
    pub(crate) fn count_request(&self, limit: usize) -> Option<CountedRequest> {
        let request = self.0.enter();
        (self.0.count() <= limit).then_some(CountedRequest(request))
    }
}

impl DrainState {
    /// Returns whether the proxy is being shut down.
    #[must_use]
    pub(crate) fn is_draining(&self) -> bool {
        self.0.is_draining()
    }
}

impl ListenerApp {
    /// Serves the requests that follow on a connection over HTTP/1, as Pingora does after one that did not fail.
    async fn go_on(&self, kept: ReusedHttpStream, shutdown: &ShutdownWatch) {
        let mut next = Some(kept);
        while let Some((stream, settings)) = next.map(ReusedHttpStream::consume) {
            let mut session = HttpSession::new_http1(stream);
            if let Some(settings) = settings {
                settings.apply_to_session(&mut session);
            }
            next = self.proxy.process_new_http(session, shutdown).await;
        }
    }
}

#[async_trait]
impl ServerApp for ListenerApp {
    async fn process_new(self: &Arc<Self>, stream: Stream, _shutdown: &ShutdownWatch) -> Option<Stream> {
        let snapshot = self.router.snapshot();
        let (limit, header) = (snapshot.config.limits.max_connections, snapshot.config.limits.header.0);
        drop(snapshot); // a connection outlives many
        let Some(_open) = self.admission.connect(limit) else {
            tracing::debug!(limit, "Connection refused");
            return None;
        };
        // Who comes while the server drains is served; the first GOAWAY is for those who were here before.
        let shutdown = if *self.closing.borrow() { &self.last_call } else { &self.closing };
        let serve = |stream| async move {
            let left = self.proxy.process_new(stream, shutdown).await;
            while let Some(kept) = connection::take_kept() {
                self.go_on(kept, shutdown).await;
            }
            if let Some(upgraded) = connection::take_upgraded() {
                let services = SessionServices {
                    proxy: Arc::clone(&self.proxy),
                    router: Arc::clone(&self.router),
                    admission: Arc::clone(&self.admission),
                };
                Box::pin(websocket::serve(*upgraded, &services, shutdown)).await;
            }
            left
        };
        let accepted = AcceptedStream { tls: self.acceptors.of(&stream), inner: stream, limit: header };
        connection::timed(accepted, &self.admission, serve).await?
    }

    // No cleanup: Pingora's would close idle connections just as a client sends a request on one.
}

#[async_trait]
impl Service for BoundService {
    async fn start_service(&mut self, _fds: Option<ListenFds>, _shutdown: ShutdownWatch, listeners_per_fd: usize) {
        self.inner.start_service(Some(Arc::clone(&self.fds)), self.retired.clone(), listeners_per_fd).await;
    }

    fn name(&self) -> &'static str {
        "proxy"
    }
}
