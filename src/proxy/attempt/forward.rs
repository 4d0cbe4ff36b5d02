//! The request that goes upstream: the peer, and the header fields that are the provider's instead of the client's.

use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use pingora::proxy::Session;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, OrErr, Result};
use pointsman_core::prompt::Dialect;

use super::credential::AttemptCredential;
use super::original::AnswerKind;
use super::{UpstreamAttempts, client_account, stale};
use crate::proxy::asked::AskedTarget;
use crate::proxy::header_fields;
use crate::proxy::header_fields::KEY_FIELDS;
use crate::proxy::own_keys::OwnKeys;
use crate::upstream::{AskedUrl, NoPeerError, PROVIDER_BUSY, Provider, UpstreamCredential};

impl UpstreamAttempts {
    /// Returns the peer to try now, and takes a place at it.
    pub(in crate::proxy) async fn pick_peer(&mut self, session: &mut Session) -> Result<Box<HttpPeer>> {
        self.lease = None; // a retry does not compete with the place that its own request held
        let Some(provider) = self.provider().cloned() else {
            return Error::e_explain(ErrorType::InternalError, "no route");
        };
        let lease = match provider.pick(self.peer_key, self.kept_at.as_deref(), &self.tried).await {
            Ok(lease) => lease,
            Err(reason) => {
                self.tried.extend(provider.peers().map(|peer| peer.id())); // none of them is worth another attempt
                return Err(no_peer(reason));
            }
        };
        self.ready_credential(&provider).await?;
        self.tried.push(lease.peer());
        let mut peer = provider.http_peer(lease.endpoint.address, self.wait_for(&provider));
        if self.needs_new_connection(session) {
            stale::connect_anew(&mut peer);
        }
        if self.silence.is_some() {
            peer.options.read_timeout = self.silence;
        }
        if let Some(message) = self.message.as_ref().filter(|_| provider.websocket && self.body.translation().is_none())
        {
            message.divert(&mut peer, &provider);
        }
        self.lease = Some(lease);
        Ok(Box::new(peer))
    }
}

fn no_peer(reason: NoPeerError) -> Box<Error> {
    let etype = match reason {
        NoPeerError::AtLimit => PROVIDER_BUSY,
        NoPeerError::AllEjected | NoPeerError::Resolve(_) => ErrorType::ConnectNoRoute,
    };
    Error::because(etype, "while picking a peer", reason)
}

impl UpstreamAttempts {
    /// Returns how long an answer may take to begin: one that is not streamed begins when it is whole.
    pub(super) fn wait_for(&self, provider: &Provider) -> Duration {
        match self.body.asks_for() {
            Some(AnswerKind::Stream) => provider.timeouts.first_byte.0,
            Some(AnswerKind::Whole | AnswerKind::Figures) | None => provider.timeouts.whole.0,
        }
    }

    /// Returns how long an answer that has begun may pause, where Pingora would wait longer: where it may take longer
    /// to begin, see [`Provider::http_peer`].
    pub(super) fn shorter_idle(&self) -> Option<Duration> {
        let provider = self.provider()?;
        let idle = provider.timeouts.idle.0;
        (idle < self.wait_for(provider)).then_some(idle)
    }
}

/// The beta by which Anthropic's API lets a prompt have a million tokens.
const LONG_CONTEXT: &str = "context-1m-2025-08-07";

/// The field in which clients of Anthropic's name betas.
pub(super) const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// Asks the provider, under its own host and path; `routed` is the provider's name of the model that was chosen.
pub(in crate::proxy) fn set_target(
    upstream: &mut Parts,
    provider: &Provider,
    asked: &AskedTarget,
    routed: Option<&str>,
) -> Result<()> {
    let is_own_account = matches!(provider.credential, UpstreamCredential::Passthrough);
    let query = upstream.uri.query();
    let without_keys = query.filter(|_| !is_own_account).map(client_account::without_parameters);
    let path = match upstream.uri.path() {
        "" => "/",
        path => path,
    };
    let url = provider.base.url_for(&AskedUrl {
        path,
        query: without_keys.as_ref().map_or(query, |kept| kept.as_deref()),
        azure: asked.azure.as_ref(),
        google: asked.google.as_ref(),
        model: routed.or(asked.model.as_deref()),
        is_routed: routed.is_some(),
    });
    set_authority(upstream, provider, &url)
}

/// Says by Anthropic's own means what the client said by the mark in a model's name, which does not go upstream.
pub(in crate::proxy) fn want_long_context(upstream: &mut Parts) -> Result<()> {
    if !Dialect::of_path(upstream.uri.path()).is_some_and(Dialect::is_anthropic) {
        return Ok(());
    }
    let mut betas = upstream.headers.get_all(&ANTHROPIC_BETA).iter().filter_map(|given| given.to_str().ok());
    if !betas.any(|given| given.contains("context-1m")) {
        upstream.headers.append(ANTHROPIC_BETA, header_fields::value(LONG_CONTEXT)?);
    }
    Ok(())
}

/// Asks the provider for `path`.
pub(in crate::proxy) fn set_authority(upstream: &mut Parts, provider: &Provider, path: &str) -> Result<()> {
    let uri = if upstream.version == http::Version::HTTP_2 {
        let scheme = if provider.base.tls { "https" } else { "http" };
        format!("{scheme}://{}{path}", provider.base.authority)
    } else {
        path.to_owned()
    };
    upstream.uri = uri.parse::<Uri>().or_err(ErrorType::InternalError, "while building the upstream's path")?;
    upstream.headers.insert(header::HOST, header_fields::value(&provider.base.authority)?);
    Ok(())
}

/// Puts the attempt's credential in place of the client's, and removes what else names an account of the client's. With `passthrough` the client's own goes on; of `own_keys`, those that
/// Pointsman knows clients by, one goes only when it is the only key that was sent.
pub(in crate::proxy) fn set_credential(
    upstream: &mut HeaderMap,
    provider: &Provider,
    own: &AttemptCredential,
    own_keys: Option<OwnKeys<'_>>,
) {
    if matches!(provider.credential, UpstreamCredential::Passthrough) {
        let own = own_keys.map(|keys| keys.fields(upstream)).unwrap_or_default();
        let is_only_key = OwnKeys::is_only_key(upstream);
        for field in own.iter().filter(|field| !is_only_key || !KEY_FIELDS.contains(field)) {
            upstream.remove(field);
        }
        return;
    }
    for field in &KEY_FIELDS {
        upstream.remove(field);
    }
    client_account::remove_fields(upstream);
    if let Some((field, key)) = own.field(provider) {
        upstream.insert(field.clone(), key.clone());
    }
}

/// Asks for an answer that can be read: what is compressed could be neither counted, nor ended by an error event, nor
/// rid of the usage chunk that only Pointsman asked for.
pub(in crate::proxy) fn want_plain(upstream: &mut HeaderMap) {
    upstream.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

/// Says how long the rewritten body is, and that it comes at once.
pub(in crate::proxy) fn set_length(upstream: &mut HeaderMap, length: usize) {
    upstream.remove(header::TRANSFER_ENCODING);
    upstream.remove(header::EXPECT);
    upstream.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
}
