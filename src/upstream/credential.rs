//! Whose key goes upstream.

use std::fmt;
use std::path::Path;

use http::HeaderValue;

use crate::config;

/// Whose key goes upstream, resolved.
pub enum Credential {
    /// No key; the client's is removed.
    None,
    /// The client's own.
    Passthrough,
    /// This `Authorization` value, which is marked sensitive.
    Bearer(HeaderValue),
}

impl Credential {
    pub(super) fn resolve(
        section: &config::Credential,
        environment: &dyn Fn(&str) -> Option<String>,
        base_dir: &Path,
    ) -> Result<Self, String> {
        let Some(key) = section.resolve(environment, base_dir)? else {
            return Ok(if *section == config::Credential::Passthrough { Self::Passthrough } else { Self::None });
        };
        // A secret is printable ASCII, which is what a header value may hold.
        let value = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
        let mut value = value.map_err(|_| "the key holds a character that no header can carry".to_owned())?;
        value.set_sensitive(true);
        Ok(Self::Bearer(value))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Passthrough => "Passthrough",
            Self::Bearer(_) => "Bearer(***)",
        })
    }
}
