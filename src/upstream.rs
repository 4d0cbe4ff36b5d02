//! Who answers prompts: providers, their peers, the models they serve, and the keys they want.
//!
//! Built with a snapshot and immutable, except for what must be remembered between requests: whose turn it is among a
//! provider's peers, and what their names resolved to. Knows nothing of Pingora: `proxy` turns an [`Endpoint`] into a
//! peer.

mod address;
mod provider;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub use address::{BaseUrl, HostPort};
pub use provider::{Credential, Endpoint, Provider, ResolveError};

use crate::config::{Capability, Config, Name, Price};

/// Every provider, and every model of the catalog with the provider that serves it.
#[derive(Debug)]
pub struct Upstreams {
    providers: BTreeMap<Name, Arc<Provider>>,
    models: BTreeMap<Name, Arc<Target>>,
    default_provider: Option<Arc<Provider>>,
}

/// A model of the catalog, ready to be called.
#[derive(Debug)]
pub struct Target {
    /// Its name in the catalog.
    pub model: Name,
    /// What its provider calls it.
    pub upstream_name: String,
    /// Who serves it.
    pub provider: Arc<Provider>,
    /// US dollars per million tokens, if the catalog says.
    pub price: Option<Price>,
    /// What it can take; `None` means everything.
    pub supports: Option<Vec<Capability>>,
}

/// Why upstreams cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// A provider's address is unusable.
    #[error("providers.{provider}.base_url: {problem}")]
    BaseUrl {
        /// The provider.
        provider: Name,
        /// What is wrong, and what is allowed.
        problem: String,
    },
    /// A peer's address is unusable.
    #[error("providers.{provider}.peers[{index}]: {problem}")]
    Peer {
        /// The provider.
        provider: Name,
        /// The peer's place in the list.
        index: usize,
        /// What is wrong, and what is allowed.
        problem: String,
    },
    /// A key cannot be read.
    #[error("providers.{provider}.credential: {problem}")]
    Credential {
        /// The provider.
        provider: Name,
        /// What is wrong; never the key.
        problem: String,
    },
    /// A model or the default names a provider that does not exist.
    #[error("{path}: there is no provider `{provider}`")]
    UnknownProvider {
        /// The configuration key.
        path: String,
        /// The provider.
        provider: Name,
    },
}

impl Upstreams {
    /// Builds what `config` describes. `environment` looks environment variables up; relative files start at `base_dir`.
    ///
    /// # Errors
    /// Every problem found, not only the first.
    pub fn build(
        config: &Config,
        environment: &dyn Fn(&str) -> Option<String>,
        base_dir: &Path,
    ) -> Result<Self, Vec<UpstreamError>> {
        let mut errors = Vec::new();
        let mut providers = BTreeMap::new();
        for (name, provider) in &config.providers {
            match Provider::build(name, provider, environment, base_dir) {
                Ok(provider) => drop(providers.insert(name.clone(), Arc::new(provider))),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors); // a model of a broken provider is not a second problem
        }
        let find = |path: String, name: &Name| {
            providers
                .get(name)
                .cloned()
                .ok_or_else(|| UpstreamError::UnknownProvider { path, provider: name.clone() })
        };
        let mut models = BTreeMap::new();
        for (name, model) in &config.models {
            match find(format!("models.{name}.provider"), &model.provider) {
                Ok(provider) => drop(models.insert(name.clone(), Arc::new(Target::new(name, model, provider)))),
                Err(error) => errors.push(error),
            }
        }
        let default = config.default_provider.as_ref().map(|name| find("default_provider".into(), name)).transpose();
        match default {
            Ok(default_provider) if errors.is_empty() => Ok(Self { providers, models, default_provider }),
            Ok(_) => Err(errors),
            Err(error) => Err(errors.into_iter().chain([error]).collect()),
        }
    }

    /// Returns the model called `name` in the catalog.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&Arc<Target>> {
        self.models.get(name)
    }

    /// Returns where requests go that no policy matches.
    #[must_use]
    pub fn default_provider(&self) -> Option<&Arc<Provider>> {
        self.default_provider.as_ref()
    }

    /// Returns the catalog's models in the order of their names.
    pub fn models(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.models.values()
    }

    /// Returns the providers in the order of their names.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }
}

impl Target {
    fn new(name: &Name, model: &crate::config::Model, provider: Arc<Provider>) -> Self {
        Self {
            model: name.clone(),
            upstream_name: model.name.clone().unwrap_or_else(|| name.to_string()),
            provider,
            price: model.price,
            supports: model.supports.clone(),
        }
    }
}
