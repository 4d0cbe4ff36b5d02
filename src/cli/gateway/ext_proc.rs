//! The listener for Envoy among those of the gateway; a binary without the feature `grpc` has none.

use std::io;
use std::path::Path;

use pointsman_core::config::{Config, ExtProcConfig, TrafficLimits};
use tokio::time::Instant;

use super::{ADMIN_RELEASE, ADMIN_RETRY, ListenerSource};
#[cfg(feature = "grpc")]
pub(super) use crate::ext_proc::{ExtProcListener, ListenError, RunningExtProc};

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

/// Binds the listener, if there is to be one.
pub(super) fn bind(
    section: Option<&ExtProcConfig>,
    folder: &Path,
    limits: &TrafficLimits,
) -> Result<Option<ExtProcListener>, ListenError> {
    section.map(|section| ExtProcListener::bind(section, folder, limits)).transpose()
}

/// Binds the listener as soon as the former process lets go of its address.
pub(super) async fn wait_for(
    section: Option<&ExtProcConfig>,
    folder: &Path,
    limits: &TrafficLimits,
) -> Result<Option<ExtProcListener>, ListenError> {
    let deadline = Instant::now() + ADMIN_RELEASE;
    loop {
        match bind(section, folder, limits) {
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
