//! The gRPC listener of a gateway: there where the configuration has one, and the build knows gRPC.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use pointsman_telemetry::Metrics;

use crate::proxy::{DrainState, OtherSocket};
use crate::router::Router;

/// The listener's section of a configuration.
const SECTION: &str = "grpc";

/// Returns the name of the listener's socket in a hand-over, if there is to be a listener.
pub(super) fn socket_name(address: Option<SocketAddr>) -> Option<String> {
    OtherSocket::name(SECTION, address?)
}

#[cfg(feature = "grpc")]
mod present {
    use std::io;

    use tokio::time::{Instant, sleep};

    use super::{Arc, DrainState, Duration, Metrics, OtherSocket, OwnedFd, Router, SECTION, SocketAddr};
    use crate::grpc::{GrpcError, GrpcListener, GrpcProcess, RunningGrpc};

    /// The pause between two tries of an address that the former process holds.
    const RETRY: Duration = Duration::from_millis(20);

    /// The reason why gRPC is not served.
    pub(in crate::cli) type GrpcStartError = GrpcError;

    /// A bound socket, if the configuration has one.
    pub(in crate::cli) struct BoundGrpcListener(Option<GrpcListener>);

    /// A listener that serves, if the configuration has one.
    pub(in crate::cli) struct ServingGrpcListener(Option<RunningGrpc>);

    impl BoundGrpcListener {
        pub(in crate::cli) fn bind(address: Option<SocketAddr>, handed: Option<OwnedFd>) -> Result<Self, GrpcError> {
            address.map(|address| GrpcListener::bind(address, handed)).transpose().map(Self)
        }

        /// Takes the socket that was handed over, or binds the address as soon as the former process lets go of it.
        pub(in crate::cli) async fn bind_in_time(
            address: Option<SocketAddr>,
            mut handed: Option<OwnedFd>,
            patience: Duration,
        ) -> Result<Self, GrpcError> {
            let deadline = Instant::now() + patience;
            loop {
                match Self::bind(address, handed.take()) {
                    Err(GrpcError::Bind { source, .. })
                        if source.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline =>
                    {
                        sleep(RETRY).await;
                    }
                    other => return other,
                }
            }
        }

        pub(in crate::cli) fn serve(
            self,
            router: Arc<Router>,
            metrics: &Arc<Metrics>,
            draining: DrainState,
        ) -> Result<ServingGrpcListener, GrpcError> {
            let process = GrpcProcess { router, metrics: Arc::clone(metrics), draining };
            self.0.map(|listener| listener.serve(process)).transpose().map(ServingGrpcListener)
        }
    }

    impl ServingGrpcListener {
        pub(in crate::cli) fn address(&self) -> Option<SocketAddr> {
            self.0.as_ref().map(RunningGrpc::address)
        }

        /// Returns the listening socket, for the next process; without it that one binds the address anew.
        pub(in crate::cli) fn socket(&self) -> Option<OtherSocket> {
            let running = self.0.as_ref()?;
            OtherSocket::new(SECTION, running.address(), running.socket().ok()?)
        }

        pub(in crate::cli) fn start_draining(&self) {
            self.0.iter().for_each(RunningGrpc::start_draining);
        }

        /// Lets open calls end and stops. Blocks.
        pub(in crate::cli) fn stop(self) {
            self.0.into_iter().for_each(RunningGrpc::stop);
        }
    }
}

#[cfg(not(feature = "grpc"))]
mod absent {
    use super::{Arc, DrainState, Duration, Metrics, OtherSocket, OwnedFd, Router, SocketAddr};

    /// The reason why gRPC is not served.
    #[derive(Debug, thiserror::Error)]
    #[error("`grpc`: this build of Pointsman has no gRPC (allowed: a build with the feature `grpc`)")]
    pub(in crate::cli) struct GrpcStartError;

    /// No listener: the build has none.
    pub(in crate::cli) struct BoundGrpcListener;

    /// No listener: the build has none.
    pub(in crate::cli) struct ServingGrpcListener;

    impl BoundGrpcListener {
        pub(in crate::cli) fn bind(
            address: Option<SocketAddr>,
            _handed: Option<OwnedFd>,
        ) -> Result<Self, GrpcStartError> {
            if address.is_some() { Err(GrpcStartError) } else { Ok(Self) }
        }

        pub(in crate::cli) async fn bind_in_time(
            address: Option<SocketAddr>,
            handed: Option<OwnedFd>,
            _patience: Duration,
        ) -> Result<Self, GrpcStartError> {
            Self::bind(address, handed)
        }

        pub(in crate::cli) fn serve(
            self,
            _router: Arc<Router>,
            _metrics: &Arc<Metrics>,
            _draining: DrainState,
        ) -> Result<ServingGrpcListener, GrpcStartError> {
            Ok(ServingGrpcListener)
        }
    }

    impl ServingGrpcListener {
        pub(in crate::cli) fn address(&self) -> Option<SocketAddr> {
            None
        }

        pub(in crate::cli) fn socket(&self) -> Option<OtherSocket> {
            None
        }

        pub(in crate::cli) fn start_draining(&self) {}

        pub(in crate::cli) fn stop(self) {}
    }
}

#[cfg(not(feature = "grpc"))]
pub(in crate::cli) use self::absent::{BoundGrpcListener, GrpcStartError, ServingGrpcListener};
#[cfg(feature = "grpc")]
pub(in crate::cli) use self::present::{BoundGrpcListener, GrpcStartError, ServingGrpcListener};
