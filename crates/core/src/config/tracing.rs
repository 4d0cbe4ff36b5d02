//! The `tracing` section: the collector that spans go to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::collector::OtlpCollector;
use super::peers::ServerTls;
use super::secret::SecretSource;
use super::values::{Ratio, TimeSpan};

/// The collector that the spans of requests go to.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TracingConfig {
    /// An OpenTelemetry collector.
    pub otlp: OtlpConfig,
}

/// A collector of spans that speaks OTLP over HTTP with protobuf.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpConfig {
    /// `http(s)://host[:port][/prefix]`; `/v1/traces` comes after it.
    pub endpoint: String,
    /// Whom the collector is trusted by, where the endpoint is `https://`.
    #[serde(default)]
    pub tls: Option<ServerTls>,
    /// The share of the traces that begin here which are kept. Default 0.1. A request that comes with a `traceparent`
    /// does as that says.
    #[serde(default = "OtlpConfig::default_sample")]
    pub sample: Ratio,
    /// The key that goes as `Authorization: Bearer`.
    #[serde(default)]
    pub credential: Option<SecretSource>,
    /// More header fields, such as a tenant's, and where their values come from.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretSource>,
    /// The longest that one export may take. Default 10s.
    #[serde(default = "OtlpCollector::default_timeout")]
    pub timeout: TimeSpan,
}

impl OtlpConfig {
    /// Returns the collector that it names.
    #[must_use]
    pub const fn collector(&self) -> OtlpCollector<'_> {
        OtlpCollector {
            endpoint: self.endpoint.as_str(),
            tls: self.tls.as_ref(),
            credential: self.credential.as_ref(),
            headers: &self.headers,
            timeout: self.timeout,
        }
    }

    fn default_sample() -> Ratio {
        Ratio::new(0.1).expect("a tenth is a ratio")
    }
}
