//! The key that goes upstream, and the header field that it goes in.

use std::fmt;
use std::path::Path;

use http::{HeaderName, HeaderValue, header};
use pointsman_core::config;
use pointsman_core::config::KeyHeader;

use super::address::BaseUrl;

/// The host that knows no `Authorization` with an API key.
const ANTHROPIC: &str = "api.anthropic.com";

/// The ends of the hosts that want `api-key`.
const AZURE: [&str; 2] = [".openai.azure.com", ".cognitiveservices.azure.com"];

/// The key that goes upstream, resolved.
pub(crate) enum UpstreamCredential {
    /// No key; the client's is removed.
    None,
    /// The client's own.
    Passthrough,
    /// The operator's key.
    Key {
        /// The field that it goes in.
        field: HeaderName,
        /// Marked sensitive.
        value: HeaderValue,
    },
}

impl UpstreamCredential {
    pub(super) fn resolve(
        section: &config::ProviderConfig,
        base: &BaseUrl,
        environment: &dyn Fn(&str) -> Option<String>,
        base_dir: &Path,
    ) -> Result<Self, String> {
        let Some(key) = section.credential.resolve(environment, base_dir)? else {
            let passes = section.credential == config::Credential::Passthrough;
            return Ok(if passes { Self::Passthrough } else { Self::None });
        };
        let key = key.expose();
        let (field, text) = match section.key_header.unwrap_or_else(|| wanted_by(&base.address.host)) {
            KeyHeader::Authorization => (header::AUTHORIZATION, format!("Bearer {key}")),
            KeyHeader::XApiKey => (HeaderName::from_static("x-api-key"), key.to_owned()),
            KeyHeader::ApiKey => (HeaderName::from_static("api-key"), key.to_owned()),
        };
        // A secret is printable ASCII, which is what a header value may hold.
        let value = HeaderValue::from_str(&text);
        let mut value = value.map_err(|_| "the key holds a character that no header can carry".to_owned())?;
        value.set_sensitive(true);
        Ok(Self::Key { field, value })
    }

    /// Returns the field that the operator's key goes in, and its value.
    #[must_use]
    pub(crate) fn key(&self) -> Option<(&HeaderName, &HeaderValue)> {
        match self {
            Self::Key { field, value } => Some((field, value)),
            Self::None | Self::Passthrough => None,
        }
    }
}

/// Returns the field in which a host is known to look for keys.
fn wanted_by(host: &str) -> KeyHeader {
    let host = host.to_ascii_lowercase();
    if host == ANTHROPIC {
        KeyHeader::XApiKey
    } else if AZURE.iter().any(|end| host.ends_with(end)) {
        KeyHeader::ApiKey
    } else {
        KeyHeader::Authorization
    }
}

impl fmt::Debug for UpstreamCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Passthrough => f.write_str("Passthrough"),
            Self::Key { field, .. } => write!(f, "Key({field}: ***)"),
        }
    }
}
