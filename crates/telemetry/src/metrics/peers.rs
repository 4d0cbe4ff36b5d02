//! The metrics of providers and their peers, looked up once: requests touch them without a look-up.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use pointsman_core::config::Name;
use prometheus::{IntCounter, IntGauge};

use super::{EjectionCause, Metrics};

/// The metrics of one peer.
#[derive(Clone)]
pub struct PeerMetrics {
    healthy: IntGauge,
    ejections: [IntCounter; EjectionCause::ALL.len()],
}

/// The metrics of one provider.
#[derive(Clone)]
pub struct ProviderMetrics {
    in_flight: IntGauge,
}

impl Metrics {
    /// Returns the metrics of a provider's peer; `peer` is what the operator calls it. Its counters start at zero.
    #[must_use]
    pub fn peer(&self, provider: &Name, peer: &Arc<str>) -> PeerMetrics {
        let ejections =
            |cause: EjectionCause| self.ejections.with([provider.into(), peer.into(), cause.as_str().into()]);
        PeerMetrics {
            healthy: self.healthy.with([provider.into(), peer.into()]),
            ejections: EjectionCause::ALL.map(ejections),
        }
    }

    /// Returns the metrics of a provider. Two of one name, as during a reload, share them.
    #[must_use]
    pub fn provider(&self, name: &Name) -> ProviderMetrics {
        ProviderMetrics { in_flight: self.in_flight.with([name.into()]) }
    }

    /// Makes room for the metrics of all these peers at once: one after another, each would copy those before it.
    pub fn add_peers(&self, peers: &[(&Name, Arc<str>)]) {
        let causes = |(provider, peer): &(&Name, Arc<str>)| {
            EjectionCause::ALL.map(|cause| [(*provider).into(), peer.into(), cause.as_str().into()])
        };
        self.ejections.add(peers.iter().flat_map(causes));
        self.healthy.add(peers.iter().map(|(provider, peer)| [(*provider).into(), peer.into()]));
        self.in_flight.add(peers.iter().map(|(provider, _)| [(*provider).into()]));
    }

    /// Shows these peers only: those of a former generation disappear.
    pub fn set_peers(&self, peers: &[(&Name, &Arc<str>)]) {
        let known: HashSet<(&str, &str)> = peers.iter().map(|(name, own)| (name.as_str(), &***own)).collect();
        let providers: HashSet<&str> = peers.iter().map(|(name, _)| name.as_str()).collect();
        self.healthy.retain(|[provider, peer]| known.contains(&(&**provider, &**peer)));
        self.ejections.retain(|[provider, peer, _]| known.contains(&(&**provider, &**peer)));
        self.in_flight.retain(|[provider]| providers.contains(&**provider));
    }
}

impl PeerMetrics {
    /// Notes whether the peer gets requests.
    pub fn usable(&self, usable: bool) {
        self.healthy.set(i64::from(usable));
    }

    /// Counts an ejection.
    pub fn ejected(&self, cause: EjectionCause) {
        self.ejections[cause as usize].inc();
    }
}

impl ProviderMetrics {
    /// Notes that a request went to the provider.
    pub fn began(&self) {
        self.in_flight.inc();
    }

    /// Notes that a request to the provider is over.
    pub fn ended(&self) {
        self.in_flight.dec();
    }
}

impl fmt::Debug for PeerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerMetrics").finish_non_exhaustive()
    }
}

impl fmt::Debug for ProviderMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderMetrics").finish_non_exhaustive()
    }
}
