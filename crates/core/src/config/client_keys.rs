//! The section `client_keys`: the registry of client keys that are made, rotated and revoked while Pointsman runs.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::TimeSpan;

/// The registry of client keys that are made at run time, beside those in `clients.<name>.keys`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKeysConfig {
    /// A file of JSON lines, relative to the configuration file's folder. It holds hashes, never keys; Pointsman writes
    /// it, and looks each second whether another process has.
    File(PathBuf),
    /// The server of `store`.
    Store(StoredKeysConfig),
}

/// A registry in the server that replicas share.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoredKeysConfig {
    /// The time between two looks at the registry: so long a key that another replica revoked may still be good.
    /// Default 5s.
    pub refresh: TimeSpan,
}

impl Default for StoredKeysConfig {
    fn default() -> Self {
        Self { refresh: TimeSpan::from_secs(5) }
    }
}
