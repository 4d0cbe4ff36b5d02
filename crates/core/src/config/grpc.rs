//! The section `grpc`: where programs ask classifiers over gRPC.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::admin_auth::MutualTls;
use super::values;

/// The listener of the classify API and the Open Inference Protocol over gRPC. With `clients`, calls need a key as requests
/// do, and are taken from its limits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcConfig {
    /// Address and port; never those of another listener; port 0 takes a free one. An address that other machines reach
    /// needs `clients`, `tls` with `client_ca`, or `allow_open`.
    #[serde(deserialize_with = "values::address")]
    pub address: SocketAddr,
    /// Says that anyone who reaches `address` may ask: needed beyond loopback without `clients`, where a network has to
    /// keep others out. Default false.
    #[serde(default)]
    pub allow_open: bool,
    /// Speaks TLS; with `client_ca` only to clients whose certificates those authorities vouch for. Default none: in the clear.
    #[serde(default)]
    pub tls: Option<MutualTls>,
}

impl GrpcConfig {
    /// Returns whether other machines may reach the listener.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.address.ip().to_canonical().is_loopback()
    }

    /// Returns whether callers have to show a certificate.
    #[must_use]
    pub fn asks_for_certificates(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
    }
}
