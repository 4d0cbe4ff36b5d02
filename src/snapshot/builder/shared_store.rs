//! The store that a snapshot's replicas share: taken over from the one before when nothing about it changed.

use pointsman_core::config;
use pointsman_core::config::{Config, ConfigProblem, KeyPath, NamesFiles as _, ServerTls};

use super::{BuildError, SnapshotBuilder};
use crate::snapshot::Snapshot;
use crate::snapshot::prepared::StoreSecrets;
use crate::store::{SharedStore, StoreError};
use crate::upstream::TrustedAuthorities;

impl SnapshotBuilder {
    pub(super) fn store_url(&self, config: &Config) -> Result<Option<String>, ConfigProblem> {
        let Some(config::StoreConfig::Redis(redis)) = &config.store else { return Ok(None) };
        if cfg!(not(feature = "redis")) {
            return Err(at(config, &["store", "redis"], StoreError::Absent.to_string()));
        }
        redis
            .url
            .resolve(&*self.environment, self.base_dir())
            .map(Some)
            .map_err(|message| at_store_url(config, message))
    }

    /// Takes the store over that is the same; a URL in a file may have become another.
    pub(super) fn store(
        &self,
        config: &Config,
        secrets: &StoreSecrets,
        previous: Option<&Snapshot>,
    ) -> Result<Option<SharedStore>, BuildError> {
        let Some(config::StoreConfig::Redis(redis)) = &config.store else { return Ok(None) };
        let same =
            previous.filter(|snapshot| snapshot.config.store == config.store && !config.store.names_key_material());
        if let Some(store) = same.and_then(|snapshot| snapshot.store.clone()) {
            return Ok(Some(store));
        }
        let url = secrets.url.as_deref().unwrap_or_default();
        let authorities = secrets.trust.as_ref().map(|trust| trust.authorities().clone());
        match SharedStore::start(url, authorities, redis, self.metrics.store()) {
            Ok(store) => Ok(Some(store)),
            Err(StoreError::Thread(error)) => Err(error.into()),
            Err(error @ StoreError::Absent) => {
                Err(self.problems(vec![at(config, &["store", "redis"], error.to_string())]).into())
            }
            Err(error @ StoreError::Url) => Err(self.problems(vec![at_store_url(config, error.to_string())]).into()),
            Err(error @ StoreError::Tls) => {
                Err(self.problems(vec![at(config, &["store", "redis", "tls"], error.to_string())]).into())
            }
        }
    }

    /// Reads the authorities that the store is trusted by.
    pub(super) fn store_trust(&self, config: &Config) -> Result<Option<TrustedAuthorities>, ConfigProblem> {
        let Some(config::StoreConfig::Redis(redis)) = &config.store else { return Ok(None) };
        self.trust(redis.tls.as_ref()).map_err(|message| at(config, &["store", "redis", "tls", "ca"], message))
    }

    pub(super) fn trust(&self, tls: Option<&ServerTls>) -> Result<Option<TrustedAuthorities>, String> {
        let ca = tls.and_then(|tls| tls.ca.as_ref());
        ca.map(|file| TrustedAuthorities::read(&self.base_dir().join(file))).transpose()
    }
}

fn at_store_url(config: &Config, message: String) -> ConfigProblem {
    at(config, &["store", "redis", "url"], message)
}

pub(super) fn at(config: &Config, keys: &[&str], message: String) -> ConfigProblem {
    let path = keys.iter().fold(KeyPath::root(), |path, key| path.key(key));
    config.problem(&path, message.as_str()).unwrap_or_else(|| ConfigProblem::new(&path, message))
}
