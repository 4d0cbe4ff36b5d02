//! The request that goes upstream: the peer, and the header fields that are the provider's instead of the client's.

use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, OrErr, Result};

use crate::proxy::answer::headers;
use crate::proxy::context::RequestContext;
use crate::upstream::{Credential, NoPeer, Provider};

/// The fields in which clients send keys: none of them may reach a provider that it is not for.
const KEY_FIELDS: [HeaderName; 3] =
    [header::AUTHORIZATION, HeaderName::from_static("x-api-key"), HeaderName::from_static("api-key")];

/// The error type of a request that found as many others in flight as its provider takes.
pub(in crate::proxy) const PROVIDER_BUSY: ErrorType = ErrorType::Custom("ProviderBusy");

/// Returns the peer to try now, and leaves the request's place at it in `ctx`.
pub(in crate::proxy) async fn peer(ctx: &mut RequestContext) -> Result<Box<HttpPeer>> {
    ctx.lease = None; // a retry does not compete with the place that its own request held
    let Some(provider) = ctx.provider().cloned() else {
        return Error::e_explain(ErrorType::InternalError, "no route");
    };
    let lease = match provider.pick(ctx.prefix, &ctx.tried).await {
        Ok(lease) => lease,
        Err(reason) => {
            ctx.tried.extend(provider.peers().map(|peer| peer.id())); // none of them is worth another attempt
            return Err(no_peer(reason));
        }
    };
    ctx.tried.push(lease.peer());
    let peer = provider.http_peer(lease.endpoint.address);
    ctx.lease = Some(lease);
    Ok(Box::new(peer))
}

fn no_peer(reason: NoPeer) -> Box<Error> {
    let etype = match reason {
        NoPeer::AtLimit => PROVIDER_BUSY,
        NoPeer::AllEjected | NoPeer::Resolve(_) => ErrorType::ConnectNoRoute,
    };
    Error::because(etype, "while picking a peer", reason)
}

/// Returns how long an answer that has begun may pause, where Pingora would wait longer: where the first byte may take
/// longer, see [`Provider::http_peer`].
pub(in crate::proxy) fn shorter_idle(ctx: &RequestContext) -> Option<Duration> {
    let timeouts = ctx.provider()?.timeouts;
    (timeouts.idle.0 < timeouts.first_byte.0).then_some(timeouts.idle.0)
}

/// Asks the provider, under its own host and path.
pub(in crate::proxy) fn set_target(upstream: &mut Parts, provider: &Provider) -> Result<()> {
    let asked = upstream.uri.path_and_query().map_or("/", |path| path.as_str());
    let path = provider.base.rebase(asked);
    set_authority(upstream, provider, &path)
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
    upstream.headers.insert(header::HOST, headers::value(&provider.base.authority)?);
    Ok(())
}

/// Puts the provider's key in place of the client's.
pub(in crate::proxy) fn set_credential(upstream: &mut HeaderMap, credential: &Credential) {
    if matches!(credential, Credential::Passthrough) {
        return;
    }
    for field in &KEY_FIELDS {
        upstream.remove(field);
    }
    if let Some((field, key)) = credential.key() {
        upstream.insert(field.clone(), key.clone());
    }
}

/// Asks for an answer that can be read: what is compressed could be neither counted, nor ended by an error event, nor rid of the
/// usage chunk that only Pointsman asked for.
pub(in crate::proxy) fn want_plain(upstream: &mut HeaderMap) {
    upstream.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

/// Says how long the rewritten body is, and that it comes at once.
pub(in crate::proxy) fn set_length(upstream: &mut HeaderMap, length: usize) {
    upstream.remove(header::TRANSFER_ENCODING);
    upstream.remove(header::EXPECT);
    upstream.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
}
