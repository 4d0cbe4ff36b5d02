//! One provider: how it is called, its key, its patience, and its peers.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pointsman_core::config;
use pointsman_core::config::{
    HealthCheck, KeyHeader, LoadBalancing, Name, PeerProtocol, PeerTls, ProviderTimeouts, SpokenDialects,
};
use pointsman_telemetry::Metrics;
use pointsman_translation::DialectFamily;
use tokio::time::Instant;

use super::ConfigSurroundings;
use super::address::{BaseUrl, HostPort};
use super::cloud::CloudService;
use super::credential::{ResolvedCredential, UpstreamCredential, wanted_by};
use super::lease::{NoPeerError, PeerHold, PeerLease, PeerOutcome, ProviderLoad};
use super::peer::{Peer, PeerId};
use super::pool::{PeerPreference, PeerSet};
use super::trust::TrustedAuthorities;

/// A service that answers prompts.
#[derive(Debug)]
pub(crate) struct Provider {
    /// The provider's name in the configuration.
    pub name: Name,
    /// The URL that paths are below.
    pub base: BaseUrl,
    /// The key that goes to the provider.
    pub credential: UpstreamCredential,
    pub timeouts: ProviderTimeouts,
    /// The APIs that it speaks, whatever the model: of a cloud those of one that is not known.
    pub dialects: SpokenDialects,
    /// The cloud that it is, if it is one.
    pub cloud: Option<CloudService>,
    /// The HTTP version to speak.
    pub http: PeerProtocol,
    /// True where it speaks the responses API over WebSocket too.
    pub websocket: bool,
    /// The TLS terms on which peers prove who they are.
    pub tls: PeerTls,
    /// The authorities that vouch for peers; `None` for the system's.
    pub trust: Option<TrustedAuthorities>,
    /// Keeps its connections apart from those that were made under other terms.
    pub connection_group: u64,
    section: config::ProviderConfig,
    pool: PeerSet,
    load: Arc<ProviderLoad>,
}

/// A provider's section with its addresses parsed and its files read.
#[derive(Debug)]
pub(super) struct ResolvedProvider {
    base: BaseUrl,
    peers: Vec<HostPort>,
    cloud: Option<CloudService>,
    credential: ResolvedCredential,
    trust: Option<TrustedAuthorities>,
}

/// The key at fault and what is wrong with its value.
pub(super) type ProviderFault = (&'static str, String);

impl ResolvedProvider {
    pub(super) fn of(section: &config::ProviderConfig, place: &ConfigSurroundings<'_>) -> Result<Self, ProviderFault> {
        let mut base: BaseUrl = section.base_url.parse().map_err(|problem| ("base_url", problem))?;
        let peers: Result<Vec<HostPort>, _> = section.peers.iter().map(|peer| peer.parse()).collect();
        let mut peers = peers.map_err(|problem| ("peers", problem))?;
        if peers.is_empty() {
            peers.push(base.address.clone());
        }
        let credential = ResolvedCredential::of(section, &base, place)?;
        let cloud = CloudService::of(section, &mut base);
        let ca = section.tls.as_ref().and_then(|tls| tls.ca.as_ref());
        let trust = ca
            .map(|file| TrustedAuthorities::read(&place.base_dir.join(file)))
            .transpose()
            .map_err(|problem| ("tls", problem))?;
        Ok(Self { base, peers, cloud, credential, trust })
    }

    /// Returns the labels that its peers will have.
    pub(super) fn labels(&self) -> impl Iterator<Item = Arc<str>> {
        self.peers.iter().map(|address| address.to_string().into())
    }
}

impl Provider {
    /// Makes the provider of `section`. Peers that `previous` had already, and that are called in the same way, keep
    /// what is known of them; requests in flight go on counting.
    pub(super) fn new(
        name: &Name,
        section: &config::ProviderConfig,
        resolved: ResolvedProvider,
        previous: Option<&Self>,
        metrics: &Metrics,
    ) -> Self {
        let ResolvedProvider { base, peers, cloud, credential, trust } = resolved;
        let credential = credential.begin(name, previous.map(|old| &old.credential), metrics);
        let load =
            previous.map_or_else(|| Arc::new(ProviderLoad::new(metrics.provider(name))), |old| Arc::clone(&old.load));
        let similar = previous.filter(|old| is_called_alike(&old.section, section));
        let before: HashMap<&str, &Arc<Peer>> =
            similar.into_iter().flat_map(Self::peers).map(|peer| (&**peer.label(), peer)).collect();
        let known = |address: &HostPort| before.get(&*address.to_string()).copied().cloned();
        let peers = peers.into_iter();
        let peers = peers.map(|address| known(&address).unwrap_or_else(|| Arc::new(Peer::new(name, address, metrics))));
        let pool = PeerSet {
            peers: peers.collect(),
            balance: section.balance,
            breaker: section.breaker,
            fail_open: section.health_check.as_ref().is_none_or(|check| check.fail_open),
            turn: AtomicUsize::new(previous.map_or(0, |old| old.pool.turn.load(Ordering::Relaxed))),
        };
        let tls = section.tls.clone().unwrap_or_default();
        Self {
            name: name.clone(),
            connection_group: connection_group(name, &tls, trust.as_ref(), section.http),
            base,
            credential,
            timeouts: section.timeouts,
            dialects: section.spoken_dialects(""),
            cloud,
            http: section.http,
            websocket: section.websocket,
            tls,
            trust,
            section: section.clone(),
            pool,
            load,
        }
    }

    /// Returns its name in OpenTelemetry's conventions: theirs for a vendor that they know, else the configuration's.
    #[must_use]
    pub(crate) fn gen_ai_name(&self) -> &str {
        self.section.gen_ai_name().unwrap_or(&self.name)
    }

    /// Picks a peer and takes a place at it.
    ///
    /// The peer that is `wanted` comes first, as long as it can be used. With `balance: prefix_hash` equal `key`s get the
    /// same peer, as long as it can be used. Peers that were `tried` come last. A name that does not resolve counts as a failure of its peer, and the next peer is taken.
    ///
    /// Cancel-safe: dropping the future gives the place back.
    ///
    /// # Errors
    /// When there is no place or no peer; nothing was sent then.
    pub(crate) async fn pick(
        &self,
        key: Option<u64>,
        wanted: Option<&str>,
        tried: &[PeerId],
    ) -> Result<PeerLease, NoPeerError> {
        let limit = self.section.max_concurrent.unwrap_or(usize::MAX);
        let place = self.load.enter(limit).ok_or(NoPeerError::AtLimit)?;
        let key = key.filter(|_| self.hashes_prefixes());
        let (mut unreachable, mut last) = (Vec::new(), NoPeerError::AllEjected);
        while let Some(choice) = self.pool.choose(PeerPreference { key, wanted, tried, unreachable: &unreachable }) {
            let hold = PeerHold::new(choice.peer, choice.ticket, self.pool.breaker);
            match hold.peer().address(key, choice.turn, self.timeouts.connect.0).await {
                Ok(address) => return Ok(PeerLease::new(address, hold, place)),
                Err(error) => {
                    hold.report(PeerOutcome::ConnectFailed);
                    unreachable.push(hold.peer().id());
                    last = error.into();
                }
            }
        }
        Err(last)
    }

    /// Returns its URL as it is configured.
    #[must_use]
    pub(crate) fn base_url(&self) -> &str {
        &self.section.base_url
    }

    /// Returns the APIs in which it can be asked for the model that it calls `model`.
    #[must_use]
    pub(crate) fn spoken_dialects(&self, model: &str) -> SpokenDialects {
        self.section.spoken_dialects(model)
    }

    /// Returns the field in which it looks for keys, when it is asked in this API.
    #[must_use]
    pub(crate) fn key_header(&self, dialect: DialectFamily) -> KeyHeader {
        let stated = self.section.key_header.or_else(|| wanted_by(&self.base));
        stated.unwrap_or(match dialect {
            DialectFamily::Chat | DialectFamily::Responses => KeyHeader::Authorization,
            DialectFamily::Messages => KeyHeader::XApiKey,
            DialectFamily::Gemini => KeyHeader::XGoogApiKey,
        })
    }

    /// Returns whether it is asked for the usage of streams.
    #[must_use]
    pub(crate) fn asks_for_usage(&self) -> bool {
        self.section.asks_for_usage()
    }

    /// Returns whether its peers, or its keys, are chosen by what the requests of a conversation share.
    #[must_use]
    pub(crate) fn wants_key(&self) -> bool {
        self.hashes_prefixes() || self.credential.ring().is_some()
    }

    /// Returns whether its peers are chosen by what the requests of a conversation share.
    fn hashes_prefixes(&self) -> bool {
        self.section.balance == LoadBalancing::PrefixHash
    }

    /// Returns whether it has a peer that is not among `tried`.
    #[must_use]
    pub(crate) fn has_untried(&self, tried: &[PeerId]) -> bool {
        self.peers().any(|peer| !tried.contains(&peer.id()))
    }

    /// Returns whether a peer can be used: it is well, or may be tried again after its backoff. Without those trials
    /// nobody would find out that it is well again.
    #[must_use]
    pub(crate) fn is_up(&self) -> bool {
        let now = Instant::now();
        self.peers().any(|peer| peer.is_usable(now, &self.pool.breaker))
    }

    /// Returns whether as many requests are in flight as are allowed.
    #[must_use]
    pub(crate) fn is_full(&self) -> bool {
        self.section.max_concurrent.is_some_and(|limit| self.load.in_flight() >= limit)
    }

    /// Returns how many requests are in flight, and how many may be; `None` where there is no limit.
    #[must_use]
    pub(crate) fn load(&self) -> (usize, Option<usize>) {
        (self.load.in_flight(), self.section.max_concurrent)
    }

    /// Returns its peers, at least one, in the order of the configuration.
    pub(crate) fn peers(&self) -> impl Iterator<Item = &Arc<Peer>> {
        self.pool.peers.iter()
    }

    /// Returns how its peers are checked.
    #[must_use]
    pub(crate) const fn health_check(&self) -> Option<&HealthCheck> {
        self.section.health_check.as_ref()
    }
}

/// Tells whether what was learnt about a peer under the one section still holds under the other.
fn is_called_alike(old: &config::ProviderConfig, new: &config::ProviderConfig) -> bool {
    let terms = |section: &config::ProviderConfig| {
        (section.base_url.clone(), section.http, section.tls.clone(), section.health_check.clone())
    };
    terms(old) == terms(new)
}

/// Pingora's own key for connections knows the address, the name and whether it is checked, but no authority and no
/// HTTP version.
fn connection_group(name: &Name, tls: &PeerTls, trust: Option<&TrustedAuthorities>, http: PeerProtocol) -> u64 {
    let mut hasher = DefaultHasher::new();
    (name, tls, trust, http).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
