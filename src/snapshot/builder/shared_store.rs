//! The store that a snapshot's replicas share: taken over from the one before when nothing about it changed.

use pointsman_core::config;
use pointsman_core::config::{Config, ConfigProblem, KeyPath, NamesFiles as _, ServerTls, StoreAccess};

use super::{BuildError, SnapshotBuilder};
use crate::snapshot::Snapshot;
use crate::snapshot::prepared::StoreSecrets;
use crate::store::{SharedStore, StoreError};
use crate::upstream::TrustedAuthorities;

impl SnapshotBuilder {
    /// Looks up where the store is, and with which passwords it is spoken to.
    pub(super) fn store_access(&self, config: &Config) -> Result<Option<StoreAccess>, Vec<ConfigProblem>> {
        let Some(config::StoreConfig::Redis(redis)) = &config.store else { return Ok(None) };
        if cfg!(not(feature = "redis")) {
            return Err(vec![at(config, &["store", "redis"], StoreError::Absent.to_string())]);
        }
        let access = redis.access(&*self.environment, self.base_dir());
        access
            .map(Some)
            .map_err(|wrong| wrong.into_iter().map(|(path, message)| at_path(config, &path, message)).collect())
    }

    /// Takes the store over that is the same; a URL or password in a file may have become another.
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
        let Some(access) = secrets.access.clone() else { return Ok(None) };
        let authorities = secrets.trust.as_ref().map(|trust| trust.authorities().clone());
        match SharedStore::start(access, authorities, redis, self.metrics.store()) {
            Ok(store) => Ok(Some(store)),
            Err(StoreError::Thread(error)) => Err(error.into()),
            Err(error @ StoreError::Absent) => {
                Err(self.problems(vec![at(config, &["store", "redis"], error.to_string())]).into())
            }
            Err(error @ StoreError::Url) => {
                let keys = if redis.url.is_some() { &["store", "redis", "url"][..] } else { &["store", "redis"] };
                Err(self.problems(vec![at(config, keys, error.to_string())]).into())
            }
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

pub(super) fn at(config: &Config, keys: &[&str], message: String) -> ConfigProblem {
    at_path(config, &keys.iter().fold(KeyPath::root(), |path, key| path.key(key)), message)
}

fn at_path(config: &Config, path: &KeyPath, message: String) -> ConfigProblem {
    config.problem(path, message.as_str()).unwrap_or_else(|| ConfigProblem::new(path, message))
}
