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
    /// Builds the provider of a section; an error is the key at fault and what is wrong with its value.
    pub(super) fn build(
        name: &Name,
        section: &config::Provider,
        environment: &dyn Fn(&str) -> Option<String>,
        base_dir: &Path,
    ) -> Result<Self, (&'static str, String)> {
        let base: BaseUrl = section.base_url.parse().map_err(|problem| ("base_url", problem))?;
        let peers: Result<Vec<HostPort>, _> = section.peers.iter().map(|peer| peer.parse()).collect();
        let mut peers = peers.map_err(|problem| ("peers", problem))?;
        if peers.is_empty() {
            peers.push(base.address.clone());
        }
        let credential = Credential::resolve(&section.credential, environment, base_dir);
        Ok(Self {
            name: name.clone(),
            base,
            credential: credential.map_err(|problem| ("credential", problem))?,
            timeouts: section.timeouts,
            peers: peers.into_iter().map(Peer::new).collect(),
            turn: AtomicUsize::new(0),
        })
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
            Err(source) => {
                known.map(|(address, _)| address).ok_or_else(|| ResolveError { host: self.name.host.clone(), source })
            }
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
        section: &config::Credential,
        environment: &dyn Fn(&str) -> Option<String>,
        base_dir: &Path,
    ) -> Result<Self, String> {
        let Some(key) = section.resolve(environment, base_dir)? else {
            return Ok(if *section == config::Credential::Passthrough { Self::Passthrough } else { Self::None });
        };
        // A secret is printable ASCII, which is what a header value may hold.
        let value = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
        let mut value = value.map_err(|_| "the key holds a character that no header can carry".to_owned())?;
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

    fn provider(config: serde_json::Value) -> Result<Provider, (&'static str, String)> {
        let config: config::Provider = serde_json::from_value(config).expect("a provider");
        let environment = |variable: &str| (variable == "KEY").then(|| "s3cret".to_owned());
        Provider::build(&name(), &config, &environment, Path::new("."))
    }

    #[tokio::test]
    async fn peers_take_turns() {
        let provider =
            provider(json!({"base_url": "http://llm:1", "peers": ["127.0.0.1:1", "127.0.0.1:2"]})).expect("builds");

        let mut ports = Vec::new();
        for _ in 0..4 {
            ports.push(provider.endpoint().await.expect("an address needs no resolver").address.port());
        }

        assert_eq!(ports, [1, 2, 1, 2]);
    }

    #[test]
    fn a_key_from_the_environment_is_never_printed() {
        let provider = provider(json!({"base_url": "http://llm:1", "credential": {"env": "KEY"}})).expect("builds");

        let Credential::Bearer(value) = &provider.credential else { panic!("{:?}", provider.credential) };
        assert_eq!(value.as_bytes(), b"Bearer s3cret");
        assert!(!format!("{provider:?}").contains("s3cret"));
    }

    #[test]
    fn a_missing_key_is_named() {
        let error = provider(json!({"base_url": "http://llm:1", "credential": {"env": "OTHER"}}))
            .expect_err("no such variable");

        assert_eq!(error, ("credential", "environment variable `OTHER` is not set".to_owned()));
    }
}
