//! The store of a build without the feature `redis`: there is none.

use std::sync::Arc;
use std::time::Duration;

use pointsman_core::config;
use pointsman_core::config::StoreAccess;
use pointsman_http_client::CertificateAuthorities;
use pointsman_telemetry::metrics::StoreMetrics;

use super::{StoreError, StoreScript, StoreUnavailable};

/// A store that no build without the feature `redis` can make.
#[derive(Debug, Clone)]
pub(crate) enum SharedStore {}

impl SharedStore {
    /// Refuses to make a store.
    ///
    /// # Errors
    /// Always [`StoreError::Absent`].
    pub(crate) fn start(
        _access: impl Into<StoreAccess>,
        _authorities: Option<CertificateAuthorities>,
        _section: &config::RedisConfig,
        _metrics: StoreMetrics,
    ) -> Result<Self, StoreError> {
        Err(StoreError::Absent)
    }

    /// Returns the value of a key.
    ///
    /// # Errors
    /// Never: there is no store.
    pub(crate) async fn get(&self, _key: &str) -> Result<Option<Vec<u8>>, StoreUnavailable> {
        match *self {}
    }

    /// Returns a copy of the value of a key.
    ///
    /// # Errors
    /// Never: there is no store.
    pub(crate) async fn get_near(&self, _key: &str) -> Result<Option<Vec<u8>>, StoreUnavailable> {
        match *self {}
    }

    /// Sets a key.
    pub(crate) fn put(&self, _key: &str, _value: Vec<u8>, _keep: Duration) {
        match *self {}
    }

    /// Replaces a value.
    ///
    /// # Errors
    /// Never: there is no store.
    pub(crate) async fn replace(
        &self,
        _key: &str,
        _before: Option<Vec<u8>>,
        _value: Vec<u8>,
        _keep: Duration,
    ) -> Result<bool, StoreUnavailable> {
        match *self {}
    }

    /// Runs a script.
    ///
    /// # Errors
    /// Never: there is no store.
    pub(crate) async fn run(
        &self,
        _script: &'static StoreScript,
        _keys: &[impl AsRef<str>],
        _arguments: Vec<i64>,
    ) -> Result<Vec<i64>, StoreUnavailable> {
        match *self {}
    }

    /// Returns the store's number.
    #[must_use]
    pub(crate) fn number(&self) -> u64 {
        match *self {}
    }

    /// Returns the store's trouble.
    #[must_use]
    pub(crate) fn trouble(&self) -> Option<Arc<str>> {
        match *self {}
    }

    /// Returns the part of the store that does not answer.
    #[must_use]
    pub(crate) fn shortfall(&self) -> Option<Arc<str>> {
        match *self {}
    }

    /// Tries the store.
    ///
    /// # Errors
    /// Never: there is no store.
    pub(crate) async fn examine(&self, _patience: Duration) -> Result<(), String> {
        match *self {}
    }

    /// Looks for the server.
    pub(crate) fn look(&self) {
        match *self {}
    }
}
