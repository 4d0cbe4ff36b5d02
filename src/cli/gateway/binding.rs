//! The listeners of a gateway, bound before anything is served, or taken over from the process that served before.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use pointsman_core::config::{Config, ExtProcConfig, ListenerConfig, TrafficLimits};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::ext_proc::ExtProcListener;
use super::grpc_listener::BoundGrpcListener;
use super::{ADMIN_RELEASE, ADMIN_RETRY, ListenerSource, StartError, blocking, ext_proc, grpc_listener};
use crate::proxy::Listeners;

/// The listeners that a configuration wants.
pub(super) struct WantedListeners {
    listen: Vec<ListenerConfig>,
    admin: SocketAddr,
    envoy: Option<ExtProcConfig>,
    grpc: Option<SocketAddr>,
    limits: TrafficLimits,
    /// The folder at which relative paths start.
    folder: PathBuf,
}

/// Listeners that nobody serves yet.
pub(super) struct BoundListeners {
    pub(super) listeners: Listeners,
    pub(super) envoy: Option<ExtProcListener>,
    pub(super) grpc: BoundGrpcListener,
    pub(super) admin: TcpListener,
}

impl WantedListeners {
    /// Reads them out of a configuration whose relative paths start at `folder`.
    pub(super) fn of(source: ListenerSource, config: &Config, folder: &Path) -> Self {
        Self {
            listen: match source {
                ListenerSource::Fresh | ListenerSource::Upgrade => config.listen.to_vec(),
                ListenerSource::ExtProc => Vec::new(),
            },
            admin: config.admin.address,
            envoy: source.ext_proc(config),
            grpc: config.grpc.as_ref().map(|grpc| grpc.address),
            limits: config.limits.clone(),
            folder: folder.to_owned(),
        }
    }

    /// Returns the index of the first listener for clients that speaks no TLS.
    pub(super) fn plain(&self) -> Option<usize> {
        self.listen.iter().position(|own| own.tls.is_none())
    }

    /// Binds them all.
    ///
    /// # Errors
    /// When an address is in use or not to be had.
    pub(super) async fn bind(self) -> Result<BoundListeners, StartError> {
        Ok(BoundListeners {
            listeners: Listeners::bind(&self.listen)?,
            envoy: ext_proc::bind(self.envoy.as_ref(), &self.folder, &self.limits, None)?,
            grpc: BoundGrpcListener::bind(self.grpc, None)?,
            admin: bind_admin(self.admin).await?,
        })
    }

    /// Waits until the process that serves sends its sockets over the Unix socket at `socket`, and binds what does not come.
    ///
    /// # Errors
    /// When nothing comes, or an address is not to be had in time.
    pub(super) async fn take_over(self, socket: PathBuf) -> Result<BoundListeners, StartError> {
        let Self { listen, admin, envoy, grpc, limits, folder } = self;
        let envoy_name = ext_proc::socket_name(envoy.as_ref(), &folder);
        let grpc_name = grpc_listener::socket_name(grpc);
        let names: Vec<_> = envoy_name.iter().chain(&grpc_name).cloned().collect();
        let taken = blocking(move || Listeners::take_over(&socket, &listen, &names)).await?;
        let (listeners, mut others) = taken??;
        let admin = wait_for_admin(admin).await?;
        let handed = others.take(envoy_name.as_deref());
        let envoy = ext_proc::bind_in_time(envoy.as_ref(), &folder, &limits, handed).await?;
        let handed = others.take(grpc_name.as_deref());
        let grpc = BoundGrpcListener::bind_in_time(grpc, handed, ADMIN_RELEASE).await?;
        Ok(BoundListeners { listeners, envoy, grpc, admin })
    }
}

async fn bind_admin(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::BindAdmin { address, source })
}

/// Binds the admin listener as soon as the former process lets go of it.
async fn wait_for_admin(address: SocketAddr) -> Result<TcpListener, StartError> {
    let deadline = Instant::now() + ADMIN_RELEASE;
    loop {
        match bind_admin(address).await {
            Err(StartError::BindAdmin { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline =>
            {
                tokio::time::sleep(ADMIN_RETRY).await;
            }
            other => return other,
        }
    }
}
