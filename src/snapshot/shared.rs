//! The store that a snapshot's replicas share: taken over from the one before when nothing about it changed.

use super::{BuildError, Builder, Snapshot};
use crate::config::{self, Config, KeyPath, Problem, StoreUrl};
use crate::store::{Store, StoreError};

impl Builder {
    pub(super) fn store_url(&self, config: &Config) -> Result<Option<String>, Problem> {
        let Some(config::Store::Redis(redis)) = &config.store else { return Ok(None) };
        redis
            .url
            .resolve(&*self.environment, self.base_dir())
            .map(Some)
            .map_err(|message| at_store_url(config, message))
    }

    /// Takes the store over that is the same; a URL in a file may have become another.
    pub(super) fn store(&self, config: &Config, previous: Option<&Snapshot>) -> Result<Option<Store>, BuildError> {
        let Some(config::Store::Redis(redis)) = &config.store else { return Ok(None) };
        let same = previous.filter(|snapshot| snapshot.config.store == config.store && !has_store_file(config));
        if let Some(store) = same.and_then(|snapshot| snapshot.store.clone()) {
            return Ok(Some(store));
        }
        let url = self.store_url(config).map_err(|problem| self.problems(vec![problem]))?.unwrap_or_default();
        match Store::start(&url, redis, self.metrics.store()) {
            Ok(store) => Ok(Some(store)),
            Err(StoreError::Thread(error)) => Err(error.into()),
            Err(error @ StoreError::Url) => Err(self.problems(vec![at_store_url(config, error.to_string())]).into()),
        }
    }
}

/// Returns whether the store's URL is in a file, which may hold another one by now.
pub(super) fn has_store_file(config: &Config) -> bool {
    matches!(&config.store, Some(config::Store::Redis(redis)) if matches!(redis.url, StoreUrl::File { .. }))
}

fn at_store_url(config: &Config, message: String) -> Problem {
    let path = KeyPath::root().key("store").key("redis").key("url");
    config.problem(&path, message.as_str()).unwrap_or_else(|| Problem::new(&path, message))
}
