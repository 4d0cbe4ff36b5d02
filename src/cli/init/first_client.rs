//! The client that `init` writes where other machines reach the listener: without one, whoever reaches it would spend the
//! keys of the providers.

use std::net::SocketAddr;

use pointsman_core::config::Name;

use super::survey::FoundProvider;
use super::yaml::KeyOwner;
use crate::clients::{IssuedKey, NewKey, PlainKey, hash_key};

/// The client's name in the configuration.
pub(super) const NAME: &str = "first";

/// The first client of a gateway, with the key that is shown once.
#[derive(Debug)]
pub(super) struct FirstClient(PlainKey);

impl FirstClient {
    /// Makes a key; `None` where the system gives no random bytes.
    pub(super) fn make() -> Option<Self> {
        let order = NewKey { client: Name::new(NAME).ok()?, expires: None, note: None };
        IssuedKey::make(order, 0).map(|(_, plain)| Self(plain))
    }

    /// Returns the key, to be shown once.
    pub(super) fn key(&self) -> &str {
        self.0.expose()
    }

    /// Returns the hash that stands in the configuration.
    pub(super) fn hash(&self) -> String {
        hash_key(self.key().as_bytes()).to_string()
    }
}

/// Returns whether other machines may reach a listener at this address.
pub(super) fn is_open(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// Returns whether clients' own keys go to a provider, which leaves no place for a key of Pointsman's.
pub(super) fn takes_client_keys(provider: &FoundProvider, keys: KeyOwner) -> bool {
    !provider.is_local && (provider.variable.is_none() || keys == KeyOwner::Passthrough)
}

/// Returns what an open listener gives to whoever reaches it; `None` where each client brings its own key to all providers.
pub(super) fn open_warning(listen: SocketAddr, providers: &[FoundProvider], keys: KeyOwner) -> Option<String> {
    let given = providers.iter().filter(|provider| !takes_client_keys(provider, keys));
    let names: Vec<&str> = given.map(|provider| &*provider.name).collect();
    (!names.is_empty()).then(|| {
        format!(
            "warning: other machines reach {listen}, and whoever does asks {} without a key of their own: `clients` says who may (docs/operations.md, \"Client keys\")",
            names.join(", ")
        )
    })
}
