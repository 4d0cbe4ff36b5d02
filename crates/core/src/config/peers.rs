//! The peers of a provider: how they are chosen, reached and ejected.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{Ratio, TimeSpan};

/// The rule that chooses a request's peer among those that can be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadBalancing {
    /// One after another.
    #[default]
    RoundRobin,
    /// The one with the fewest requests in flight.
    LeastRequests,
    /// The same one for requests that begin with the same conversation, so that its KV cache is warm; the next one
    /// while that has more than 1.25 times its share of the requests in flight.
    PrefixHash,
}

/// The HTTP version that peers are spoken to in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerProtocol {
    /// HTTP/1.1.
    #[default]
    H1,
    /// HTTP/2: by ALPN over TLS, by prior knowledge over `http://`.
    H2,
    /// HTTP/2 where ALPN agrees on it, else HTTP/1.1; always HTTP/1.1 over `http://`.
    Auto,
}

/// The proof of identity that peers must give; for `https://` only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeerTls {
    /// A PEM file with the certificate authorities to trust instead of the system's; read again on every reload.
    pub ca: Option<PathBuf>,
    /// The name to ask for and to check; by default `base_url`'s host.
    pub sni: Option<String>,
    /// Checks the certificate. Default true; false trusts whoever answers.
    pub verify: bool,
}

/// Requests of Pointsman's own that find out whether a peer serves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// The path to get from the peer as it is, without `base_url`'s prefix.
    pub path: String,
    /// The time from the start of one check to the start of the next. Default 5s.
    #[serde(default = "HealthCheck::default_interval")]
    pub interval: TimeSpan,
    /// The longest that a check may take, connecting included. Default 2s.
    #[serde(default = "HealthCheck::default_timeout")]
    pub timeout: TimeSpan,
    /// Checks in a row that must pass before a peer is used again. Default 2.
    #[serde(default = "HealthCheck::default_healthy_after")]
    pub healthy_after: u32,
    /// Checks in a row that must fail before a peer is ejected. Default 3.
    #[serde(default = "HealthCheck::default_unhealthy_after")]
    pub unhealthy_after: u32,
    /// The statuses that pass; by default every 2xx.
    #[serde(default)]
    pub expected_status: Vec<u16>,
    /// Tries peers although checks say that all of them are down. Default true.
    #[serde(default = "HealthCheck::default_fail_open")]
    pub fail_open: bool,
}

/// The rule by which a peer that fails requests is ejected and comes back.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeerBreaker {
    /// Failures in a row that eject a peer. Default 5.
    pub consecutive_failures: u32,
    /// The share of failures within `window` that ejects a peer. Default 0.5.
    pub failure_ratio: Ratio,
    /// Requests within `window` before the share counts. Default 20.
    pub min_requests: u32,
    /// The time over which the share is taken. Default 10s.
    pub window: TimeSpan,
    /// The time for which a peer is ejected first; doubles each time that it fails again at once. Default 1s.
    pub backoff: TimeSpan,
    /// The longest that a peer is ejected. Default 60s.
    pub max_backoff: TimeSpan,
    /// Requests let through to find out whether an ejected peer is well; all must succeed. Default 1.
    pub probes: u32,
}

impl HealthCheck {
    /// Tells whether an answer with `status` passes.
    #[must_use]
    pub fn expects(&self, status: u16) -> bool {
        if self.expected_status.is_empty() {
            (200..300).contains(&status)
        } else {
            self.expected_status.contains(&status)
        }
    }

    fn default_interval() -> TimeSpan {
        TimeSpan::from_secs(5)
    }

    fn default_timeout() -> TimeSpan {
        TimeSpan::from_secs(2)
    }

    fn default_healthy_after() -> u32 {
        2
    }

    fn default_unhealthy_after() -> u32 {
        3
    }

    fn default_fail_open() -> bool {
        true
    }
}

/// Certificate authorities that a server which is no provider is trusted by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerTls {
    /// A PEM file with the certificate authorities to trust instead of the system's; read again on every reload.
    pub ca: Option<PathBuf>,
}

impl Default for PeerTls {
    fn default() -> Self {
        Self { ca: None, sni: None, verify: true }
    }
}

impl Default for PeerBreaker {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            failure_ratio: Ratio::new(0.5).expect("a half is a ratio"),
            min_requests: 20,
            window: TimeSpan::from_secs(10),
            backoff: TimeSpan::from_secs(1),
            max_backoff: TimeSpan::from_secs(60),
            probes: 1,
        }
    }
}
