//! An OpenTelemetry collector, as the sections `tracing` and `metrics` name one.

use std::collections::BTreeMap;
use std::path::Path;

use http::{HeaderName, Uri};

use super::peers::ServerTls;
use super::secret::{Secret, SecretSource};
use super::values::TimeSpan;

/// The collector of a section: what both sections say of it.
#[derive(Debug, Clone, Copy)]
pub struct OtlpCollector<'c> {
    /// `http(s)://host[:port][/prefix]`.
    pub endpoint: &'c str,
    /// Whom it is trusted by.
    pub tls: Option<&'c ServerTls>,
    /// The key that goes as `Authorization: Bearer`.
    pub credential: Option<&'c SecretSource>,
    /// More header fields.
    pub headers: &'c BTreeMap<String, SecretSource>,
    /// The longest that one export may take.
    pub timeout: TimeSpan,
}

impl OtlpCollector<'_> {
    /// Returns where exports are sent: `signal`, such as `traces`, comes after `/v1/`.
    ///
    /// # Errors
    /// Says what is wrong with `endpoint`, and never repeats what could be a password in it.
    pub fn url(&self, signal: &str) -> Result<Uri, String> {
        let allowed = "(allowed: http(s)://host[:port][/prefix])";
        let uri: Uri = self.endpoint.parse().map_err(|error| format!("is not a URL: {error} {allowed}"))?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_host = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        if !is_http || !has_host || uri.query().is_some() {
            return Err(format!("is not the URL of a collector {allowed}"));
        }
        let url = format!("{}/v1/{signal}", self.endpoint.trim_end_matches('/'));
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
        let credential = self.credential.iter().map(|source| ("credential".to_owned(), *source));
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

    pub(super) const fn default_timeout() -> TimeSpan {
        TimeSpan::from_secs(10)
    }
}
