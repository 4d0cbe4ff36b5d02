//! One provider: its peers in turn, their addresses, its key and its patience.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;

use super::UpstreamError;
use super::address::{BaseUrl, HostPort};
use crate::config::{self, Name, Timeouts};

/// How long a resolved name is used before it is asked for again.
const RESOLVED_FOR: Duration = Duration::from_secs(30);

/// A service that answers prompts.
#[derive(Debug)]
pub struct Provider {
    /// Its name in the configuration.
    pub name: Name,
    /// Where it is.
    pub base: BaseUrl,
    /// Whose key goes to it.
    pub credential: Credential,
    /// How long to wait for it.
    pub timeouts: Timeouts,
    peers: Vec<Peer>,
    turn: AtomicUsize,
}

/// Whose key goes upstream, resolved.
pub enum Credential {
    /// No key; the client's is removed.
    None,
    /// The client's own.
    Passthrough,
    /// This `Authorization` value, which is marked sensitive.
    Bearer(HeaderValue),
}

/// An address to connect to now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The peer, as the operator wrote it.
    pub peer: HostPort,
    /// What its name resolved to.
    pub address: SocketAddr,
}

/// Why a peer has no address.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve `{host}`")]
pub struct ResolveError {
    /// The name.
    host: String,
    /// What the resolver said.
    #[source]
    source: io::Error,
}

#[derive(Debug)]
struct Peer {
    name: HostPort,
    resolved: Mutex<Option<(SocketAddr, Instant)>>,
}

impl Provider {
    pub(super) fn build(
        name: &Name,
        config: &config::Provider,
        environment: &dyn Fn(&str) -> Option<String>,
        base_dir: &Path,
    ) -> Result<Self, UpstreamError> {
        let base: BaseUrl = config
            .base_url
            .parse()
            .map_err(|problem| UpstreamError::BaseUrl { provider: name.clone(), problem })?;
        let mut peers = Vec::new();
        for (index, peer) in config.peers.iter().enumerate() {
            let peer = peer
                .parse()
                .map_err(|problem| UpstreamError::Peer { provider: name.clone(), index, problem })?;
            peers.push(Peer::new(peer));
        }
        if peers.is_empty() {
            peers.push(Peer::new(base.address.clone()));
        }
        let credential = Credential::resolve(&config.credential, environment, base_dir)
            .map_err(|problem| UpstreamError::Credential { provider: name.clone(), problem })?;
        Ok(Self { name: name.clone(), base, credential, timeouts: config.timeouts, peers, turn: AtomicUsize::new(0) })
    }

    /// Returns the next peer in turn with its address, resolving its name when the last answer is old.
    ///
    /// # Errors
    /// When the name does not resolve and never did; an old answer is better than none.
    pub async fn endpoint(&self) -> Result<Endpoint, ResolveError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let peer = &self.peers[turn % self.peers.len()];
        Ok(Endpoint { peer: peer.name.clone(), address: peer.address().await? })
    }

    /// Returns how many peers it has.
    #[must_use]
    pub fn peer_count(&self) -> usize {
        self.peers.len()
    }
}

impl Peer {
    fn new(name: HostPort) -> Self {
        Self { name, resolved: Mutex::new(None) }
    }

    async fn address(&self) -> Result<SocketAddr, ResolveError> {
        if let Ok(address) = self.name.host.parse::<IpAddr>() {
            return Ok(SocketAddr::new(address, self.name.port));
        }
        let known = *self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((address, at)) = known
            && at.elapsed() < RESOLVED_FOR
        {
            return Ok(address);
        }
        match self.look_up().await {
            Ok(address) => {
                *self.resolved.lock().unwrap_or_else(PoisonError::into_inner) = Some((address, Instant::now()));
                Ok(address)
            }
            Err(source) => known
                .map(|(address, _)| address)
                .ok_or_else(|| ResolveError { host: self.name.host.clone(), source }),
        }
    }

    /// Asks the resolver, off the runtime's threads. An IPv4 address is preferred: many hosts publish IPv6 addresses
    /// that the operator's network cannot reach, and there is one attempt.
    async fn look_up(&self) -> io::Result<SocketAddr> {
        let found: Vec<_> = tokio::net::lookup_host((self.name.host.as_str(), self.name.port)).await?.collect();
        let best = found.iter().find(|address| address.is_ipv4()).or_else(|| found.first());
        best.copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
    }
}

impl Credential {
    fn resolve(
        config: &config::Credential,
        environment: &dyn Fn(&str) -> Option<String>,
        base_dir: &Path,
    ) -> Result<Self, String> {
        match config {
            config::Credential::None => Ok(Self::None),
            config::Credential::Passthrough => Ok(Self::Passthrough),
            config::Credential::Env(variable) => {
                let key = environment(variable)
                    .ok_or_else(|| format!("the environment variable `{variable}` is not set"))?;
                Self::bearer(&key, &format!("the environment variable `{variable}`"))
            }
            config::Credential::File(path) => {
                let path = base_dir.join(path);
                let key = std::fs::read_to_string(&path)
                    .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
                Self::bearer(&key, &format!("`{}`", path.display()))
            }
        }
    }

    fn bearer(key: &str, origin: &str) -> Result<Self, String> {
        let key = key.trim();
        if key.is_empty() {
            return Err(format!("{origin} is empty"));
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| format!("{origin} holds a character that no header can carry"))?;
        value.set_sensitive(true);
        Ok(Self::Bearer(value))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Passthrough => "Passthrough",
            Self::Bearer(_) => "Bearer(***)",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn name() -> Name {
        Name::new("vllm").expect("a name")
    }

    fn provider(config: serde_json::Value) -> Result<Provider, UpstreamError> {
        let config: config::Provider = serde_json::from_value(config).expect("a provider");
        let environment = |variable: &str| (variable == "KEY").then(|| "s3cret\n".to_owned());
        Provider::build(&name(), &config, &environment, Path::new("."))
    }

    #[tokio::test]
    async fn peers_take_turns() {
        let provider = provider(json!({"base_url": "http://llm:1", "peers": ["127.0.0.1:1", "127.0.0.1:2"]})).expect("builds");

        let mut ports = Vec::new();
        for _ in 0..4 {
            ports.push(provider.endpoint().await.expect("an address needs no resolver").address.port());
        }

        assert_eq!(ports, [1, 2, 1, 2]);
    }

    #[test]
    fn a_key_from_the_environment_is_trimmed_and_never_printed() {
        let provider = provider(json!({"base_url": "http://llm:1", "credential": {"env": "KEY"}})).expect("builds");

        let Credential::Bearer(value) = &provider.credential else { panic!("{:?}", provider.credential) };
        assert_eq!(value.as_bytes(), b"Bearer s3cret");
        assert!(!format!("{provider:?}").contains("s3cret"));
    }

    #[test]
    fn a_missing_key_is_named() {
        let error = provider(json!({"base_url": "http://llm:1", "credential": {"env": "OTHER"}})).expect_err("no such variable");

        assert_eq!(error.to_string(), "providers.vllm.credential: the environment variable `OTHER` is not set");
    }
}
