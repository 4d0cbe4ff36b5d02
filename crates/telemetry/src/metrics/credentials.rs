//! The metrics of providers' keys and of credentials that renew themselves, looked up once.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, SystemTime};

use pointsman_core::config::Name;
use prometheus::{IntCounter, IntGauge};

use super::family::{Family, Registry};
use super::{Metrics, definitions as define};

/// The metric families of keys and credentials.
pub(super) struct CredentialFamilies {
    requests: Family<IntCounter, 2>,
    resting: Family<IntGauge, 2>,
    renewals: Family<IntCounter, 2>,
    expiry: Family<IntGauge, 1>,
}

/// The metrics of one of a provider's keys.
#[derive(Clone)]
pub struct ProviderKeyMetrics {
    requests: IntCounter,
    resting: IntGauge,
}

/// The metrics of a credential that renews itself.
#[derive(Clone)]
pub struct RenewalMetrics {
    renewed: IntCounter,
    failed: IntCounter,
    expiry: IntGauge,
}

impl CredentialFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            requests: Family::register(registry, define::KEY_REQUESTS),
            resting: Family::register(registry, define::KEY_RESTING),
            renewals: Family::register(registry, define::CREDENTIAL_RENEWALS),
            expiry: Family::register(registry, define::CREDENTIAL_EXPIRY),
        }
    }
}

impl Metrics {
    /// Returns the metrics of a provider's key, by the key's name.
    #[must_use]
    pub fn provider_key(&self, provider: &Name, key: &Name) -> ProviderKeyMetrics {
        let labels = || [provider.into(), key.into()];
        ProviderKeyMetrics {
            requests: self.credentials.requests.with(labels()),
            resting: self.credentials.resting.with(labels()),
        }
    }

    /// Returns the metrics of the credential of a provider.
    #[must_use]
    pub fn renewal(&self, provider: &Name) -> RenewalMetrics {
        let renewals = |outcome: &'static str| self.credentials.renewals.with([provider.into(), outcome.into()]);
        RenewalMetrics {
            renewed: renewals("success"),
            failed: renewals("failure"),
            expiry: self.credentials.expiry.with([provider.into()]),
        }
    }

    /// Shows these keys, and the credentials of these providers, only: those of a former generation disappear.
    pub fn set_credentials(&self, keys: &[(&Name, &Name)], renewed: &[&Name]) {
        let known: HashSet<(&str, &str)> = keys.iter().map(|(name, key)| (name.as_str(), key.as_str())).collect();
        let renewed: HashSet<&str> = renewed.iter().map(|name| name.as_str()).collect();
        self.credentials.requests.retain(|[provider, key]| known.contains(&(&**provider, &**key)));
        self.credentials.resting.retain(|[provider, key]| known.contains(&(&**provider, &**key)));
        self.credentials.renewals.retain(|[provider, _]| renewed.contains(&**provider));
        self.credentials.expiry.retain(|[provider]| renewed.contains(&**provider));
    }
}

impl ProviderKeyMetrics {
    /// Counts a request that goes with the key.
    pub fn used(&self) {
        self.requests.inc();
    }

    /// Notes whether the key rests.
    pub fn rests(&self, rests: bool) {
        self.resting.set(i64::from(rests));
    }
}

impl RenewalMetrics {
    /// Counts a credential that was fetched, and shows when it expires.
    pub fn renewed(&self, expires: SystemTime) {
        self.renewed.inc();
        let expires = expires.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        self.expiry.set(i64::try_from(expires.as_secs()).unwrap_or(i64::MAX));
    }

    /// Counts a fetch that failed.
    pub fn failed(&self) {
        self.failed.inc();
    }
}

impl fmt::Debug for ProviderKeyMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderKeyMetrics").finish_non_exhaustive()
    }
}

impl fmt::Debug for RenewalMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenewalMetrics").finish_non_exhaustive()
    }
}
