//! The store that replicas share: a few keys in Redis or Valkey (a server, one that sentinels watch, or a cluster), or
//! none.
//!
//! A store that does not answer fails no request: every answer may be [`StoreUnavailable`], and the caller goes on with
//! what this process remembers. Knows nothing of pins (`router::affinity`) or thresholds (`router::control_loops`), by
//! which replicas agree: keys, bytes and how long they are kept. A build without the feature
//! `redis` has no store, and says so of a configuration that names one.

#[cfg(not(feature = "redis"))]
mod absent;
#[cfg(feature = "redis")]
mod client;
#[cfg(feature = "redis")]
mod cluster;
#[cfg(feature = "redis")]
mod command;
#[cfg(feature = "redis")]
mod connection;
#[cfg(feature = "redis")]
mod examination;
#[cfg(feature = "redis")]
mod health;
#[cfg(feature = "redis")]
mod link;
#[cfg(feature = "redis")]
mod masters;
#[cfg(feature = "redis")]
mod servers;
#[cfg(feature = "redis")]
mod worker;

use std::io;

#[cfg(not(feature = "redis"))]
pub(crate) use self::absent::SharedStore;
#[cfg(feature = "redis")]
pub(crate) use self::client::SharedStore;
#[cfg(all(test, feature = "redis"))]
pub(crate) use self::examination::TRIAL;

/// A script of ours that a server runs as a whole; takes keys and whole numbers, and answers with whole numbers.
#[derive(Debug)]
pub(crate) struct StoreScript {
    /// The script in Lua.
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "a build without the store runs none"))]
    pub(crate) text: &'static str,
}

/// The store did not answer in time, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store does not answer")]
pub(crate) struct StoreUnavailable;

/// The reason why a store cannot be used.
#[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "a build without the store meets one of them only"))]
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The text that should be the store's URL is none.
    #[error("is not the URL of a store")]
    Url,
    /// The store's URL has no use for certificate authorities.
    #[error("has no meaning for this url (allowed: with rediss:// or valkeys:// only)")]
    Tls,
    /// The binary was built without the feature `redis`.
    #[error("needs a build with the feature `redis`, which this one lacks")]
    Absent,
    /// The store's thread does not start.
    #[error("cannot start a thread")]
    Thread(#[from] io::Error),
}

#[cfg(all(test, feature = "redis"))]
mod tests;
