//! The key that goes upstream, and the header field that it goes in.

use std::fmt;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};
use pointsman_core::config;
use pointsman_core::config::{KeyHeader, Name, Secret};
use pointsman_telemetry::Metrics;

use super::ConfigSurroundings;
use super::address::BaseUrl;
use super::bedrock::AwsCredentialServer;
use super::key_ring::{KeyRing, ResolvedKey};
use super::provider::ProviderFault;
use super::renewal::RenewedCredential;
use super::vertex::GoogleTokens;

/// The host that knows no `Authorization` with an API key.
const ANTHROPIC: &str = "api.anthropic.com";

/// The ends of the hosts that want `api-key`.
const AZURE: [&str; 2] = [".openai.azure.com", ".cognitiveservices.azure.com"];

/// The host of Google's API, and the end of the path below which it speaks OpenAI's.
const GOOGLE: (&str, &str) = ("generativelanguage.googleapis.com", "/openai");

/// The key that goes upstream, or what stands for one.
pub(crate) enum UpstreamCredential {
    /// No key; the client's is removed.
    None,
    /// The client's own.
    Passthrough,
    /// The operator's key.
    Key(PlacedKey),
    /// The operator's keys, of which each request gets one.
    Keys(KeyRing),
    /// A token of Google's, which renews itself.
    Google(Arc<RenewedCredential<GoogleTokens>>),
    /// Credentials that requests to AWS are signed with.
    Aws(Arc<RenewedCredential<AwsCredentialServer>>),
}

/// A key and the field that it goes in.
pub(crate) struct PlacedKey {
    /// The field.
    pub field: HeaderName,
    /// The value, marked sensitive.
    pub value: HeaderValue,
}

/// A provider's credential with everything read that a configuration names, but for what outlives a reload.
pub(super) enum ResolvedCredential {
    None,
    Passthrough,
    Key(PlacedKey),
    Keys(Vec<ResolvedKey>),
    Google(GoogleTokens),
    Aws(AwsCredentialServer),
}

impl ResolvedCredential {
    /// Reads what a section names.
    ///
    /// # Errors
    /// The key at fault and what is wrong with its value, which is never repeated.
    pub(super) fn of(
        section: &config::ProviderConfig,
        base: &BaseUrl,
        place: &ConfigSurroundings<'_>,
    ) -> Result<Self, ProviderFault> {
        let header = section.key_header.or_else(|| wanted_by(base)).unwrap_or(KeyHeader::Authorization);
        // A secret is printable ASCII, which is what a header value may hold.
        let placed = |key: &Secret| {
            let (field, value) =
                key_field(header, key.expose()).ok_or("the key holds a character that no header can carry")?;
            Ok::<_, String>(PlacedKey { field, value })
        };
        let read = |source: &config::Credential| {
            source.resolve(place.environment, place.base_dir)?.as_ref().map(placed).transpose()
        };
        if !section.keys.is_empty() {
            let keys = section.keys.iter().enumerate().map(|(index, key)| {
                let name = key.shown_name(index + 1);
                let found = read(&key.source().unwrap_or_default()).map_err(|problem| format!("{name}: {problem}"))?;
                let PlacedKey { field, value } = found.ok_or_else(|| format!("{name}: names no source"))?;
                Ok(ResolvedKey { name, weight: key.weight, field, value })
            });
            return keys.collect::<Result<_, _>>().map(Self::Keys).map_err(|problem| ("keys", problem));
        }
        if let Some(key) = read(&section.credential).map_err(|problem| ("credential", problem))? {
            return Ok(Self::Key(key));
        }
        if let Some(vertex) = &section.vertex {
            let tokens = GoogleTokens::resolve(&vertex.credentials, place);
            return tokens.map(Self::Google).map_err(|problem| ("vertex", problem));
        }
        if let Some(bedrock) = &section.bedrock {
            let server = AwsCredentialServer::resolve(&bedrock.credentials, place);
            return server.map(Self::Aws).map_err(|problem| ("bedrock", problem));
        }
        let passes = section.credential == config::Credential::Passthrough;
        Ok(if passes { Self::Passthrough } else { Self::None })
    }

    /// Returns the credential of the provider of that name. What is known of the keys and tokens that `previous` had
    /// already stays known.
    pub(super) fn begin(
        self,
        provider: &Name,
        previous: Option<&UpstreamCredential>,
        metrics: &Metrics,
    ) -> UpstreamCredential {
        use UpstreamCredential as Of;
        match (self, previous) {
            (Self::None, _) => Of::None,
            (Self::Passthrough, _) => Of::Passthrough,
            (Self::Key(key), _) => Of::Key(key),
            (Self::Keys(keys), Some(Of::Keys(ring))) => Of::Keys(KeyRing::new(provider, keys, Some(ring), metrics)),
            (Self::Keys(keys), _) => Of::Keys(KeyRing::new(provider, keys, None, metrics)),
            (Self::Google(source), previous) => {
                let before = if let Some(Of::Google(before)) = previous { Some(before) } else { None };
                Of::Google(RenewedCredential::new(provider, source, before, metrics))
            }
            (Self::Aws(source), previous) => {
                let before = if let Some(Of::Aws(before)) = previous { Some(before) } else { None };
                Of::Aws(RenewedCredential::new(provider, source, before, metrics))
            }
        }
    }
}

impl UpstreamCredential {
    /// Returns its keys, if it has several.
    #[must_use]
    pub(crate) const fn ring(&self) -> Option<&KeyRing> {
        if let Self::Keys(ring) = self { Some(ring) } else { None }
    }

    /// Returns the operator's only key, and the field that it goes in.
    #[must_use]
    pub(crate) fn key(&self) -> Option<(&HeaderName, &HeaderValue)> {
        if let Self::Key(PlacedKey { field, value }) = self { Some((field, value)) } else { None }
    }

    /// Returns the values of all keys of the operator's that stand in header fields.
    pub(crate) fn key_values(&self) -> Vec<&HeaderValue> {
        let ring = self.ring().into_iter().flat_map(KeyRing::keys).map(|key| key.value());
        self.key().map(|(_, value)| value).into_iter().chain(ring).collect()
    }

    /// Returns whether it is fetched, and renews itself.
    pub(crate) const fn is_renewed(&self) -> bool {
        matches!(self, Self::Google(_) | Self::Aws(_))
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
pub(crate) fn wanted_by(base: &BaseUrl) -> Option<KeyHeader> {
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
            Self::Key(key) => key.fmt(f),
            Self::Keys(ring) => ring.fmt(f),
            Self::Google(_) => f.write_str("Google(***)"),
            Self::Aws(_) => f.write_str("Aws(***)"),
        }
    }
}

impl fmt::Debug for PlacedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}: ***)", self.field)
    }
}

impl fmt::Debug for ResolvedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
