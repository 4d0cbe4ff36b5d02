//! Serves the proxy: a listener that is bound before Pingora starts, and a shutdown that waits for requests to end.
//!
//! Pingora binds late and panics when it cannot. Here the socket is bound first, so that an address in use is an error
//! with a name, and port 0 has a number before the first request; Pingora then gets it through the table in which it
//! takes over sockets from a process that it replaces.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::HttpServerOptions;
use pingora::proxy::{HttpProxy, http_proxy_service_with_name};
use pingora::server::configuration::ServerConf;
use pingora::server::{Fds, ListenFds, RunArgs, Server, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora::services::Service;
use pingora::services::listening;
use tokio::sync::watch;

use super::Proxy;
use super::context::MAX_TRIES;
use super::drain::OpenRequests;

/// How long open requests may go on after a shutdown was asked for.
const DRAIN: Duration = Duration::from_secs(30);

/// An address in use, or not ours to use.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

/// A bound socket that nobody serves yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// A proxy that serves on threads of its own, until it is shut down.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    shutdown: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

/// Pingora's service with the socket that was bound for it.
struct Bound {
    inner: listening::Service<HttpProxy<Proxy>>,
    fds: ListenFds,
}

/// Ends the server once it was told to and the open requests are over.
struct Drained {
    asked: watch::Receiver<bool>,
    open: Arc<OpenRequests>,
}

impl Listener {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is in use or not to be had.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let bind = || {
            let socket = TcpListener::bind(address)?;
            socket.set_nonblocking(true)?; // Pingora takes it as it is
            let address = socket.local_addr()?;
            Ok(Self { socket, address })
        };
        bind().map_err(|source| BindError { address, source })
    }

    /// Returns where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `proxy` on threads of its own.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn serve(self, proxy: Proxy) -> io::Result<Served> {
        let (shutdown, asked) = watch::channel(false);
        let drained = Drained { asked, open: Arc::clone(&proxy.open) };
        let address = self.address;
        let thread = std::thread::Builder::new().name("pingora".into()).spawn(move || self.run(proxy, drained))?;
        Ok(Served { address, shutdown, thread })
    }

    fn run(self, proxy: Proxy, drained: Drained) {
        let conf = configuration();
        let mut server = Server::new_with_opt_and_conf(None, conf);
        server.bootstrap();
        let mut inner = http_proxy_service_with_name(&server.configuration, proxy, "proxy");
        if let Some(app) = inner.app_logic_mut() {
            let mut options = HttpServerOptions::default();
            options.h2c = true;
            app.server_options = Some(options);
        }
        let name = self.address.to_string();
        inner.add_tcp(&name);
        let mut fds = Fds::new();
        fds.add(name, self.socket.into_raw_fd());
        server.add_service(Bound { inner, fds: Arc::new(fds.into()) });
        server.run(RunArgs { shutdown_signal: Box::new(drained) });
    }
}

fn configuration() -> ServerConf {
    ServerConf {
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        max_retries: MAX_TRIES as usize, // `retry` bounds them
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0), // `Drained` has waited already
        ..ServerConf::default()
    }
}

impl Served {
    /// Returns where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets open requests end, 30 seconds at most, and stops.
    pub fn shut_down(self) {
        let _ = self.shutdown.send(true); // a server that ended by itself hears nothing
        if self.thread.join().is_err() {
            tracing::error!("The proxy's thread panicked");
        }
    }
}

#[async_trait]
impl Service for Bound {
    async fn start_service(&mut self, _fds: Option<ListenFds>, shutdown: ShutdownWatch, listeners_per_fd: usize) {
        self.inner.start_service(Some(Arc::clone(&self.fds)), shutdown, listeners_per_fd).await;
    }

    fn name(&self) -> &'static str {
        "proxy"
    }
}

#[async_trait]
impl ShutdownSignalWatch for Drained {
    async fn recv(&self) -> ShutdownSignal {
        // An error means that `Served` was dropped, and nobody is left who could ask.
        let _ = self.asked.clone().wait_for(|asked| *asked).await;
        if tokio::time::timeout(DRAIN, self.open.drain()).await.is_err() {
            tracing::warn!(open = self.open.count(), "Requests were still open at the end of the drain");
        }
        ShutdownSignal::FastShutdown
    }
}
