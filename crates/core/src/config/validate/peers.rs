//! Bounds on what a provider's section says about its peers.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use pointsman_translation::DialectFamily;

use super::{ConfigChecker, TIMEOUT};
use crate::config::problem::KeyPath;
use crate::config::{HealthCheck, PeerBreaker, ProviderConfig};

const CONCURRENT: RangeInclusive<usize> = 1..=1_000_000;
const CHECKS: RangeInclusive<u32> = 1..=100;
const FAILURES: RangeInclusive<u32> = 1..=1000;
const REQUESTS: RangeInclusive<u32> = 1..=1_000_000;
const STATUS: RangeInclusive<u16> = 200..=599;
const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_hours(1);

impl ConfigChecker<'_> {
    /// Checks the APIs that a provider is said to speak.
    pub(super) fn dialects(&mut self, path: &KeyPath, dialects: Option<&[DialectFamily]>) {
        let Some(dialects) = dialects else { return };
        if dialects.is_empty() {
            let allowed = DialectFamily::ALL.map(DialectFamily::as_str).join(", ");
            self.wrong(path, format!("is empty (allowed: at least one of {allowed})"));
        }
        for (index, dialect) in dialects.iter().enumerate() {
            if dialects[..index].contains(dialect) {
                self.wrong(&path.index(index), format!("`{}` appears twice", dialect.as_str()));
            }
        }
    }

    pub(super) fn peers(&mut self, path: &KeyPath, provider: &ProviderConfig) {
        let mut known = BTreeSet::new();
        for (index, peer) in provider.peers.iter().enumerate() {
            if !known.insert(peer) {
                self.wrong(&path.key("peers").index(index), format!("`{peer}` appears twice"));
            }
        }
        if let Some(limit) = &provider.max_concurrent {
            self.within(&path.key("max_concurrent"), limit, &CONCURRENT);
        }
        if provider.tls.is_some() && !provider.base_url.starts_with("https:") {
            self.wrong(&path.key("tls"), "has no meaning for this base_url (allowed: with https:// only)");
        }
        if let Some(name) = provider.tls.as_ref().and_then(|tls| tls.sni.as_deref())
            && !is_host(name)
        {
            self.wrong(&path.key("tls").key("sni"), format!("`{name}` is not a host name"));
        }
        if let Some(check) = &provider.health_check {
            self.health_check(&path.key("health_check"), check);
        }
        self.breaker(&path.key("breaker"), provider.breaker);
    }

    fn health_check(&mut self, path: &KeyPath, check: &HealthCheck) {
        if !check.path.starts_with('/') || check.path.parse::<http::uri::PathAndQuery>().is_err() {
            self.wrong(&path.key("path"), format!("`{}` is not a path (allowed: begins with /)", check.path));
        }
        self.span(&path.key("interval"), check.interval, &INTERVAL);
        self.span(&path.key("timeout"), check.timeout, &TIMEOUT);
        self.within(&path.key("healthy_after"), &check.healthy_after, &CHECKS);
        self.within(&path.key("unhealthy_after"), &check.unhealthy_after, &CHECKS);
        for (index, status) in check.expected_status.iter().enumerate() {
            self.within(&path.key("expected_status").index(index), status, &STATUS);
        }
    }

    fn breaker(&mut self, path: &KeyPath, breaker: PeerBreaker) {
        self.within(&path.key("consecutive_failures"), &breaker.consecutive_failures, &FAILURES);
        self.within(&path.key("min_requests"), &breaker.min_requests, &REQUESTS);
        self.within(&path.key("probes"), &breaker.probes, &CHECKS);
        if breaker.failure_ratio.get() == 0.0 {
            self.wrong(&path.key("failure_ratio"), "must be above 0: a peer that never fails would be ejected");
        }
        for (key, span) in [("window", breaker.window), ("backoff", breaker.backoff)] {
            self.span(&path.key(key), span, &TIMEOUT);
        }
        let longest = breaker.backoff.0.max(*TIMEOUT.start())..=*TIMEOUT.end();
        self.span(&path.key("max_backoff"), breaker.max_backoff, &longest);
    }
}

/// A DNS name or an address: what a certificate can be for.
pub(super) fn is_host(name: &str) -> bool {
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    name.len() <= 253 && (name.split('.').all(is_label) || name.parse::<std::net::IpAddr>().is_ok())
}
