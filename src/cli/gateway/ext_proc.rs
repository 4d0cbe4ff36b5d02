//! The listener for Envoy among those of the gateway; a binary without the feature `grpc` has none.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use pointsman_core::config::{Config, ExtProcConfig, TrafficLimits};
use tokio::time::Instant;

use super::{ADMIN_RELEASE, ADMIN_RETRY, ListenerSource};
#[cfg(feature = "grpc")]
pub(super) use crate::ext_proc::{ExtProcListener, ListenError, RunningExtProc};

use crate::proxy::OtherSocket;

#[cfg(not(feature = "grpc"))]
pub(super) use self::absent::{ExtProcListener, ListenError, RunningExtProc};

impl ListenerSource {
    /// Returns the section of the listener for Envoy, if there is to be one.
    pub(super) fn ext_proc(self, config: &Config) -> Option<ExtProcConfig> {
        match self {
            Self::ExtProc => Some(config.ext_proc.clone().unwrap_or_default()),
            Self::Fresh | Self::Upgrade => config.ext_proc.clone(),
        }
    }
}

/// The listener's section of a configuration.
const SECTION: &str = "ext_proc";

/// Returns the name of the listener's socket in a hand-over, if there is to be a listener.
pub(super) fn socket_name(section: Option<&ExtProcConfig>, folder: &Path) -> Option<String> {
    OtherSocket::name(SECTION, section?.place(folder))
}

/// Returns the socket of a listener that serves, for the next process; without it that one binds the address anew.
pub(super) fn socket(running: &RunningExtProc) -> Option<OtherSocket> {
    OtherSocket::new(SECTION, running.place(), running.socket().ok()?)
}

/// Binds the listener, if there is to be one.
pub(super) fn bind(
    section: Option<&ExtProcConfig>,
    folder: &Path,
    limits: &TrafficLimits,
    handed: Option<OwnedFd>,
) -> Result<Option<ExtProcListener>, ListenError> {
    section.map(|section| ExtProcListener::bind(section, folder, limits, handed)).transpose()
}

/// Takes the socket that was handed over, or binds the listener as soon as the former process lets go of its address.
pub(super) async fn bind_in_time(
    section: Option<&ExtProcConfig>,
    folder: &Path,
    limits: &TrafficLimits,
    mut handed: Option<OwnedFd>,
) -> Result<Option<ExtProcListener>, ListenError> {
    let deadline = Instant::now() + ADMIN_RELEASE;
    loop {
        match bind(section, folder, limits, handed.take()) {
            Err(ListenError::Bind { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline =>
            {
                tokio::time::sleep(ADMIN_RETRY).await;
            }
            other => return other,
        }
    }
}

/// What stands in for the listener where there can be none.
#[cfg(not(feature = "grpc"))]
mod absent {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use pointsman_core::config::{ExtProcConfig, ExtProcPlace, TrafficLimits};

    use crate::proxy::Proxy;

    /// The reason why there is no listener.
    #[derive(Debug, thiserror::Error)]
    pub(in crate::cli) enum ListenError {
        #[error("cannot listen on {place} (ext_proc): this binary was built without the feature `grpc`")]
        Bind { place: ExtProcPlace, source: io::Error },
    }

    /// No listener.
    pub(in crate::cli) enum ExtProcListener {}

    /// No listener that is served.
    pub(in crate::cli) enum RunningExtProc {}

    impl ExtProcListener {
        pub(in crate::cli) fn bind(
            section: &ExtProcConfig,
            folder: &Path,
            _limits: &TrafficLimits,
            _handed: Option<OwnedFd>,
        ) -> Result<Self, ListenError> {
            Err(ListenError::Bind { place: section.place(folder), source: io::ErrorKind::Unsupported.into() })
        }

        pub(in crate::cli) fn serve(self, _proxy: Proxy) -> Result<RunningExtProc, ListenError> {
            match self {}
        }
    }

    impl RunningExtProc {
        pub(in crate::cli) const fn place(&self) -> &ExtProcPlace {
            match *self {}
        }

        pub(in crate::cli) const fn socket(&self) -> io::Result<OwnedFd> {
            match *self {}
        }

        pub(in crate::cli) async fn leave(&self) {
            match *self {}
        }

        pub(in crate::cli) fn close(&self) {
            match *self {}
        }

        pub(in crate::cli) async fn stop(self) {
            match self {}
        }
    }
}
