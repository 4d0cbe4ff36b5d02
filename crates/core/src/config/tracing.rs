//! The `tracing` section: the collector that spans go to.

use std::collections::BTreeMap;
use std::path::Path;

use http::{HeaderName, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::peers::ServerTls;
use super::secret::{Secret, SecretSource};
use super::values::{Ratio, TimeSpan};

/// The collector that the spans of requests go to.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TracingConfig {
    /// An OpenTelemetry collector.
    pub otlp: OtlpConfig,
}

/// A collector that speaks OTLP over HTTP with protobuf.
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
    #[serde(default = "OtlpConfig::default_timeout")]
    pub timeout: TimeSpan,
}

impl OtlpConfig {
    /// Returns where spans are sent.
    ///
    /// # Errors
    /// Says what is wrong with `endpoint`, and never repeats what could be a password in it.
    pub fn url(&self) -> Result<Uri, String> {
        let allowed = "(allowed: http(s)://host[:port][/prefix])";
        let uri: Uri = self.endpoint.parse().map_err(|error| format!("is not a URL: {error} {allowed}"))?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_host = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        if !is_http || !has_host || uri.query().is_some() {
            return Err(format!("is not the URL of a collector {allowed}"));
        }
        let url = format!("{}/v1/traces", self.endpoint.trim_end_matches('/'));
        url.parse().map_err(|error| format!("is not a URL: {error} {allowed}"))
    }

    /// Reads the header fields that go with every export, and their values; `lookup` reads the environment, relative
    /// files are taken from `base_dir`.
    ///
    /// # Errors
    /// Names the key at fault and the variable or file that holds no good value. Never repeats its content.
    pub fn secrets(
        &self,
        lookup: &dyn Fn(&str) -> Option<String>,
        base_dir: &Path,
    ) -> Result<Vec<(String, Secret)>, (String, String)> {
        let credential = self.credential.iter().map(|source| ("credential".to_owned(), source));
        let headers = self.headers.iter().map(|(name, source)| (name.clone(), source));
        let read = |(name, source): (String, &SecretSource)| match source.resolve(lookup, base_dir) {
            Ok(secret) => Ok((name, secret)),
            Err(message) => Err((name, message)),
        };
        credential.chain(headers).map(read).collect()
    }

    /// Returns whether `name` can be one of `headers`.
    pub(super) fn is_header(name: &str) -> bool {
        let reserved = ["content-type", "content-length", "host", "transfer-encoding", "connection"];
        HeaderName::from_bytes(name.as_bytes()).is_ok_and(|name| !reserved.contains(&name.as_str()))
    }

    fn default_sample() -> Ratio {
        Ratio::new(0.1).expect("a tenth is a ratio")
    }

    const fn default_timeout() -> TimeSpan {
        TimeSpan::from_secs(10)
    }
}
