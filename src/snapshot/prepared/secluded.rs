//! A configuration of a gateway that serves its own process alone, as `pointsman collect` starts one.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use pointsman_core::config::{
    ClientConfig, ClientKey, ClientModels, KeyHash, Listeners, MetricsConfig, Name, PolicyMode, RateLimit,
};

use super::PreparedConfig;

/// The name of the only client of a gateway for one process.
const SECLUDED_CLIENT: &str = "pointsman";

impl PreparedConfig {
    /// Makes it that of a gateway for this process alone: a plain listener on a free port of loopback, one client with
    /// the key of this hash, and nothing that other processes share or read. Every policy may be asked by its name,
    /// whatever its `match` and `mode`.
    #[must_use]
    pub(crate) fn secluded(mut self, key: KeyHash) -> Self {
        let config = &mut self.config;
        config.listen = Listeners::plain(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let client = ClientConfig {
            keys: vec![ClientKey { sha256: key }],
            team: None,
            policies: None,
            models: ClientModels::default(),
            rate_limit: RateLimit::default(),
        };
        let name = Name::new(SECLUDED_CLIENT).expect("a name of ours");
        config.grpc = None;
        config.decisions.clear();
        config.clients = Some(BTreeMap::from([(name, client)]));
        (config.client_keys, config.budgets) = (None, Vec::new());
        (config.decision_log, config.store, config.tracing, config.upgrade) = (None, None, None, None);
        config.metrics = MetricsConfig::default();
        for policy in &mut config.policies {
            // A loop that moves the threshold goes by real traffic.
            (policy.overrides.policy, policy.mode, policy.target) = (true, PolicyMode::Route, None);
            (policy.shadow_answers, policy.cache) = (None, None);
        }
        config.classifiers.values_mut().for_each(|classifier| classifier.shadow = None);
        self.certificates = vec![None];
        self.recompiled()
    }
}
