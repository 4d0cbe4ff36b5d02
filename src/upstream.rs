//! The providers that answer prompts: their peers, the models they serve, and the keys they want.
//!
//! Built with a snapshot and immutable, except for what must be remembered between requests: how each peer fares, what
//! its name resolved to, and how much is in flight. That outlives the snapshot: the next one takes it over for every
//! peer that is still called in the same way. `proxy` connects requests over a [`PeerLease`]; [`health`] checks peers;
//! a [`ProviderCaller`] sends requests of our own.

mod address;
mod azure;
mod bedrock;
mod breaker;
mod clock;
mod cloud;
mod connect;
mod credential;
mod deployment;
mod failure;
mod google;
pub(crate) mod health;
mod key_ring;
mod lease;
mod model_call;
mod peer;
mod pool;
mod provider;
mod rate_limit;
mod recent;
mod refused_parameters;
mod renewal;
mod request_credential;
mod resolver;
mod translation;
mod trust;
mod vertex;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub(crate) use address::BaseUrl;
pub(crate) use azure::AskedUrl;
pub(crate) use bedrock::{AwsCredentials, EventFrames, FrameError, RequestSigner};
pub(crate) use breaker::CircuitStand;
pub(crate) use cloud::{CloudCall, CloudService};
pub(crate) use connect::{CallError, ProviderAnswer, ProviderCall, ProviderCaller};
#[cfg(feature = "grpc")]
pub(crate) use credential::wanted_by;
pub(crate) use credential::{UpstreamCredential, key_field};
pub(crate) use deployment::{Deployment, UsageRequest};
pub(crate) use failure::{
    AttemptFailure, CONTEXT_LENGTH, CUT_OFF, ERROR_IN_ANSWER, ESCALATED, NO_MODEL_FOR_KEY, PROVIDER_BUSY,
    REFUSED_PARAMETER, SILENT, is_of_upstream,
};
pub(crate) use key_ring::{KeyRequest, KeyRing, UpstreamKey};
pub(crate) use lease::{NoPeerError, PeerLease, PeerOutcome};
pub(crate) use model_call::{ANTHROPIC_VERSION, ChatCall, ModelCall};
pub(crate) use peer::{Peer, PeerId};
use pointsman_core::config::{Config, ConfigProblem, ConfigProblems, KeyPath, KnownModel, Name, TokenPrice};
use pointsman_core::usage::UsageBounds;
use pointsman_telemetry::Metrics;
pub(crate) use provider::Provider;
use provider::ResolvedProvider;
pub(crate) use rate_limit::limit_reset;
pub(crate) use recent::RecentAnswers;
pub(crate) use refused_parameters::RefusedParameters;
pub(crate) use renewal::NoCredentialError;
pub(crate) use request_credential::RequestCredential;
pub(crate) use translation::{
    EarlyTranslation, TranslationPreview, is_spoken_by, passed_translation_for, translation_for,
};
pub(crate) use trust::TrustedAuthorities;

/// Every provider, and every model of the catalog with the provider that serves it.
#[derive(Debug)]
pub(crate) struct Upstreams {
    providers: BTreeMap<Name, Arc<Provider>>,
    models: BTreeMap<Name, Arc<Deployment>>,
    default_provider: Option<Arc<Provider>>,
}

/// The providers of a configuration, with their addresses parsed and their keys and authorities read.
#[derive(Debug)]
pub(crate) struct ResolvedProviders(BTreeMap<Name, ResolvedProvider>);

/// The environment variables and the folder that keys and files come from.
pub(crate) struct ConfigSurroundings<'s> {
    /// Looks environment variables up.
    pub environment: &'s dyn Fn(&str) -> Option<String>,
    /// The folder that relative paths start at.
    pub base_dir: &'s Path,
}

impl Upstreams {
    /// Parses the addresses of `config`'s providers and reads their keys and authorities.
    ///
    /// # Errors
    /// Every problem found, not only the first.
    pub(crate) fn resolve(
        config: &Config,
        place: &ConfigSurroundings<'_>,
    ) -> Result<ResolvedProviders, Vec<ConfigProblem>> {
        let (mut providers, mut problems) = (BTreeMap::new(), Vec::new());
        for (name, section) in &config.providers {
            if problems.len() > ConfigProblems::MAX_SHOWN {
                break;
            }
            match ResolvedProvider::of(section, place) {
                Ok(resolved) => drop(providers.insert(name.clone(), resolved)),
                Err((key, message)) => {
                    let path = KeyPath::root().key("providers").key(name).key(key);
                    problems.extend(config.problem(&path, message));
                }
            }
        }
        if problems.is_empty() { Ok(ResolvedProviders(providers)) } else { Err(problems) }
    }

    /// Makes what `config` describes of its `resolved` providers. What `previous` knows of peers that stay is taken
    /// over.
    #[must_use]
    pub(crate) fn new(
        config: &Config,
        resolved: ResolvedProviders,
        metrics: &Metrics,
        previous: Option<&Self>,
    ) -> Self {
        let labels = |(name, own): (_, &ResolvedProvider)| own.labels().map(|label| (name, label)).collect::<Vec<_>>();
        metrics.add_peers(&resolved.0.iter().flat_map(labels).collect::<Vec<_>>());
        let provider = |(name, resolved): (Name, ResolvedProvider)| {
            let section = config.providers.get(&name)?;
            let before = previous.and_then(|upstreams| upstreams.providers.get(&name)).map(|before| &**before);
            let provider = Arc::new(Provider::new(&name, section, resolved, before, metrics));
            Some((name, provider))
        };
        let providers: BTreeMap<Name, Arc<Provider>> = resolved.0.into_iter().filter_map(provider).collect();
        // Validation has refused references to providers that do not exist.
        let models = config.models.iter().filter_map(|(name, model)| {
            let provider = Arc::clone(providers.get(&model.provider)?);
            let before = previous.and_then(|upstreams| upstreams.model(name)).map(|before| &**before);
            Some((name.clone(), Arc::new(Deployment::new(name, model, provider, before))))
        });
        let default_provider = config.default_provider.as_ref().and_then(|name| providers.get(name)).cloned();
        Self { models: models.collect(), providers, default_provider }
    }

    /// Returns the model called `name` in the catalog.
    #[must_use]
    pub(crate) fn model(&self, name: &str) -> Option<&Arc<Deployment>> {
        self.models.get(name)
    }

    /// Returns what `provider` charges for the model that it calls `name`: by the catalog, else by the built-in list.
    #[must_use]
    pub(crate) fn price_of(&self, provider: &Provider, name: &str) -> Option<TokenPrice> {
        let is_it = |model: &&Arc<Deployment>| model.provider.name == provider.name && model.upstream_name == name;
        let listed = || Some(KnownModel::find(provider.base_url(), name)?.price);
        self.models().find(is_it).and_then(|model| model.price).or_else(listed)
    }

    /// Returns the most that an answer of the model is believed to have used that `provider` calls `name`: by the catalog,
    /// else by the built-in list.
    #[must_use]
    pub(crate) fn bounds_of(&self, provider: &Provider, name: &str) -> UsageBounds {
        let is_it = |model: &&Arc<Deployment>| model.provider.name == provider.name && model.upstream_name == name;
        let listed = || {
            let known = KnownModel::find(provider.base_url(), name)?;
            Some(UsageBounds::of_model(known.context, known.max_output, Some(&known.price)))
        };
        let bounds = self.models().find(is_it).map(|model| model.usage_bounds()).or_else(listed);
        bounds.unwrap_or(UsageBounds::UNKNOWN_MODEL)
    }

    /// Returns the longest answer of the model that `provider` calls `name`: by the catalog, else by the built-in list.
    #[must_use]
    pub(crate) fn output_limit_of(&self, provider: &Provider, name: &str) -> Option<u64> {
        let is_it = |model: &&Arc<Deployment>| model.provider.name == provider.name && model.upstream_name == name;
        let listed = || KnownModel::find(provider.base_url(), name)?.max_output;
        self.models().find(is_it).and_then(|model| model.output_limit).or_else(listed)
    }

    /// Returns the provider called `name`.
    #[must_use]
    pub(crate) fn provider(&self, name: &Name) -> Option<&Arc<Provider>> {
        self.providers.get(name)
    }

    /// Returns where requests go that no policy matches.
    #[must_use]
    pub(crate) fn default_provider(&self) -> Option<&Arc<Provider>> {
        self.default_provider.as_ref()
    }

    /// Returns the catalog's models in the order of their names.
    pub(crate) fn models(&self) -> impl Iterator<Item = &Arc<Deployment>> {
        self.models.values()
    }

    /// Returns the providers in the order of their names.
    pub(crate) fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }

    /// Returns whether any provider chooses its peers by a key.
    #[must_use]
    pub(crate) fn want_key(&self) -> bool {
        self.providers().any(|provider| provider.wants_key())
    }

    /// Makes `metrics` show these peers and no others.
    pub(crate) fn announce(&self, metrics: &Metrics) {
        let peers = self.providers().flat_map(|provider| provider.peers().map(|peer| (&provider.name, peer.label())));
        metrics.set_peers(&peers.collect::<Vec<_>>());
        let rings = self.providers().filter_map(|provider| Some((&provider.name, provider.credential.ring()?)));
        let keys = rings.flat_map(|(provider, ring)| ring.keys().map(move |key| (provider, key.name())));
        let renewed = self.providers().filter(|provider| provider.credential.is_renewed());
        let renewed = renewed.map(|provider| &provider.name);
        metrics.set_credentials(&keys.collect::<Vec<_>>(), &renewed.collect::<Vec<_>>());
    }
}
