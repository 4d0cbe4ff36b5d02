//! The credential that one request goes with: the provider's only key, one of several, a token of Google's, or what AWS'
//! signatures are made with.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, header};

use super::bedrock::AwsCredentials;
use super::credential::UpstreamCredential;
use super::key_ring::{KeyRequest, UpstreamKey};
use super::provider::Provider;
use super::renewal::{HeldCredential, NoCredentialError};

/// The credential that one request goes with.
#[derive(Default)]
pub(crate) enum RequestCredential {
    /// The provider's only key, the client's own, or none.
    #[default]
    Common,
    /// One of several keys.
    Key(Arc<UpstreamKey>),
    /// A token of Google's.
    Google(Arc<HeldCredential<HeaderValue>>),
    /// The credentials that sign the request.
    Aws(Arc<HeldCredential<AwsCredentials>>),
}

impl RequestCredential {
    /// Gets the credential of a request ready: chooses the key among those that have not refused it, or waits for a token
    /// where there is none yet.
    ///
    /// # Errors
    /// When there is no credential.
    pub(crate) async fn of(provider: &Provider, request: KeyRequest<'_>) -> Result<Self, NoCredentialError> {
        Ok(match &provider.credential {
            UpstreamCredential::None | UpstreamCredential::Passthrough | UpstreamCredential::Key(_) => Self::Common,
            UpstreamCredential::Keys(ring) => Self::Key(ring.choose(request)),
            UpstreamCredential::Google(tokens) => Self::Google(tokens.get().await?),
            UpstreamCredential::Aws(server) => Self::Aws(server.get().await?),
        })
    }

    /// Returns the key, where the provider has several.
    pub(crate) const fn key(&self) -> Option<&Arc<UpstreamKey>> {
        if let Self::Key(key) = self { Some(key) } else { None }
    }

    /// Returns the credentials that sign the request, where it is to be signed.
    pub(crate) fn aws(&self) -> Option<&AwsCredentials> {
        if let Self::Aws(held) = self { Some(held.value()) } else { None }
    }

    /// Returns the field that it goes in, and its value; `None` where it goes in none.
    pub(crate) fn field<'c>(&'c self, provider: &'c Provider) -> Option<(&'c HeaderName, &'c HeaderValue)> {
        match self {
            Self::Common => provider.credential.key(),
            Self::Key(key) => Some((key.field(), key.value())),
            Self::Google(token) => Some((&header::AUTHORIZATION, token.value())),
            Self::Aws(_) => None,
        }
    }

    /// Notes the status of the answer to a request for `model`, and how long that asks to wait.
    pub(crate) fn answered(&self, status: u16, wait: Option<Duration>, model: Option<&str>) {
        let is_refusal = matches!(status, 401 | 403);
        match self {
            Self::Common => {}
            Self::Key(key) => key.answered(status, wait, model),
            Self::Google(held) if is_refusal => held.refused(status),
            Self::Aws(held) if is_refusal => held.refused(status),
            Self::Google(_) | Self::Aws(_) => {}
        }
    }
}
