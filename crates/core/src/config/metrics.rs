//! The `metrics` section: further names for what is counted, and the collector that it goes to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::collector::OtlpCollector;
use super::peers::ServerTls;
use super::secret::SecretSource;
use super::values::TimeSpan;

/// Metrics beside those that `GET /metrics` shows in any case, and where all of them go.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Also counts under the names of OpenTelemetry's conventions for generative AI (`gen_ai.client.*`). Default false.
    pub gen_ai: bool,
    /// An OpenTelemetry collector that all metrics are sent to; without this key they are only shown.
    pub otlp: Option<OtlpMetricsConfig>,
}

/// A collector of metrics that speaks OTLP over HTTP with protobuf.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpMetricsConfig {
    /// `http(s)://host[:port][/prefix]`; `/v1/metrics` comes after it.
    pub endpoint: String,
    /// Whom the collector is trusted by, where the endpoint is `https://`.
    #[serde(default)]
    pub tls: Option<ServerTls>,
    /// The key that goes as `Authorization: Bearer`.
    #[serde(default)]
    pub credential: Option<SecretSource>,
    /// More header fields, such as a tenant's, and where their values come from.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretSource>,
    /// The longest that one export may take. Default 10s.
    #[serde(default = "OtlpCollector::default_timeout")]
    pub timeout: TimeSpan,
    /// The time between two exports. Default 60s, at least 1s.
    #[serde(default = "OtlpMetricsConfig::default_interval")]
    pub interval: TimeSpan,
}

impl OtlpMetricsConfig {
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

    const fn default_interval() -> TimeSpan {
        TimeSpan::from_secs(60)
    }
}
