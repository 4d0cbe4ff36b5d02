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

/// The host of Google's API, and the end of the path below which it speaks OpenAI's.
const GOOGLE: (&str, &str) = ("generativelanguage.googleapis.com", "/openai");

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
        let header = section.key_header.or_else(|| wanted_by(base)).unwrap_or(KeyHeader::Authorization);
        // A secret is printable ASCII, which is what a header value may hold.
        let placed = key_field(header, key.expose());
        let (field, value) = placed.ok_or_else(|| "the key holds a character that no header can carry".to_owned())?;
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

/// Returns the field for `key`, and the value with which it goes there, marked sensitive; `None` for what no field can hold.
pub(crate) fn key_field(header: KeyHeader, key: &str) -> Option<(HeaderName, HeaderValue)> {
    let (field, value) = match header {
        KeyHeader::Authorization => (header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}"))),
        KeyHeader::XApiKey => (HeaderName::from_static("x-api-key"), HeaderValue::from_str(key)),
        KeyHeader::ApiKey => (HeaderName::from_static("api-key"), HeaderValue::from_str(key)),
        KeyHeader::XGoogApiKey => (HeaderName::from_static("x-goog-api-key"), HeaderValue::from_str(key)),
    };
    let mut value = value.ok()?;
    value.set_sensitive(true);
    Some((field, value))
}

/// Returns the field in which a host is known to look for keys; `None` for a host that is not known.
pub(super) fn wanted_by(base: &BaseUrl) -> Option<KeyHeader> {
    let host = base.address.host.to_ascii_lowercase();
    if host == ANTHROPIC {
        Some(KeyHeader::XApiKey)
    } else if host == GOOGLE.0 && !base.prefix.ends_with(GOOGLE.1) {
        Some(KeyHeader::XGoogApiKey)
    } else if AZURE.iter().any(|end| host.ends_with(end)) {
        Some(KeyHeader::ApiKey)
    } else {
        None
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
