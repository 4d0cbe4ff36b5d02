//! The section `ext_proc`: decisions for Envoy, over its external processing protocol.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::admin_auth::MutualTls;
use super::edge::TrafficLimits;
use super::values::{self, TimeSpan};

/// What a message of gRPC has beside the body that it carries.
const MESSAGE_OVERHEAD: usize = 1 << 20;

/// The listener that Envoy asks by its external processing protocol (`ext_proc`, version 3, gRPC). It decides as the proxy
/// does, and Envoy sends the request on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExtProcConfig {
    /// Address and port; port 0 takes a free one. Default 127.0.0.1:9002. An address that other machines reach needs `tls`
    /// or `allow_open`: prompts and keys come here.
    #[serde(deserialize_with = "values::address")]
    pub address: SocketAddr,
    /// A Unix socket at which it listens in place of `address`, for an Envoy on the same machine. Its owner and its group may
    /// connect (mode 0660). A relative path starts at the file's folder. Default none.
    pub socket: Option<PathBuf>,
    /// Says that prompts may come in the clear from other machines, where a network keeps others out. Default false.
    pub allow_open: bool,
    /// Speaks TLS; with `client_ca` only to clients whose certificates those authorities vouch for.
    pub tls: Option<MutualTls>,
    /// The request header that says the model of the catalog, for Envoy's routes. A client's own value of it is removed.
    /// Default `x-pointsman-model`.
    pub model_header: String,
    /// The request header that says the model as its provider calls it: the one by which the Gateway API Inference Extension
    /// routes. Default `x-gateway-model-name`; null sets none.
    pub upstream_model_header: Option<String>,
    /// What becomes of a request that cannot be judged: its body is unreadable or too large, or Pointsman is overloaded or
    /// about to end. Default `closed`.
    pub failure: ExtProcFailure,
    /// The longest that a decision may take once the body is there; then the policy's `otherwise` serves. Keep it below
    /// Envoy's `message_timeout`. Default 150ms.
    pub deadline: TimeSpan,
    /// The largest message, in bytes; keep it above Envoy's own limit of bodies. Default `limits.max_body_bytes` and 1 MiB.
    pub max_message_bytes: Option<usize>,
    /// What is done with bodies that Envoy sends in its mode `STREAMED`. Default `pass`.
    pub streamed_bodies: StreamedBodies,
}

/// The place at which the listener is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtProcPlace {
    /// An address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// What becomes of a request that cannot be judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtProcFailure {
    /// It passes as it is, unless the limits of a client with a key hold for it.
    Open,
    /// It is answered with an error.
    #[default]
    Closed,
}

/// What is done with bodies in Envoy's mode `STREAMED`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamedBodies {
    /// They pass as they are: Envoy has chosen the route before the body is there.
    #[default]
    Pass,
    /// One that comes in a single piece is judged: for an Envoy with a `buffer` filter before this one. Without that filter
    /// the route may be the old one.
    Route,
}

impl ExtProcConfig {
    /// Returns whether other machines may reach the listener.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.socket.is_none() && !self.address.ip().to_canonical().is_loopback()
    }

    /// Returns the place at which the listener is reached; relative paths start at `folder`.
    #[must_use]
    pub fn place(&self, folder: &Path) -> ExtProcPlace {
        let socket = self.socket.as_ref().map(|socket| ExtProcPlace::Unix(folder.join(socket)));
        socket.unwrap_or(ExtProcPlace::Tcp(self.address))
    }

    /// Returns the largest message that is taken, in bytes.
    #[must_use]
    pub fn message_bytes(&self, limits: &TrafficLimits) -> usize {
        self.max_message_bytes.unwrap_or_else(|| limits.max_body_bytes.saturating_add(MESSAGE_OVERHEAD))
    }
}

impl fmt::Display for ExtProcPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(socket) => write!(f, "unix:{}", socket.display()),
        }
    }
}

impl Default for ExtProcConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 9002)),
            socket: None,
            allow_open: false,
            tls: None,
            model_header: "x-pointsman-model".to_owned(),
            upstream_model_header: Some("x-gateway-model-name".to_owned()),
            failure: ExtProcFailure::Closed,
            deadline: TimeSpan(Duration::from_millis(150)),
            max_message_bytes: None,
            streamed_bodies: StreamedBodies::Pass,
        }
    }
}
