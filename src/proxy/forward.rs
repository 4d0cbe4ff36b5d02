//! The request that goes upstream: the peer, and the header fields that are the provider's instead of the client's.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderName, Uri, header};
use pingora::http::RequestHeader;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, OrErr, Result};

use super::context::RequestContext;
use crate::upstream::{Credential, Provider};

/// How long an idle connection to a provider is kept for reuse; providers close theirs after 60 s and more.
const KEEP_IDLE: Duration = Duration::from_secs(50);

/// The fields in which clients send keys: none of them may reach a provider that it is not for.
const KEY_FIELDS: [HeaderName; 3] =
    [header::AUTHORIZATION, HeaderName::from_static("x-api-key"), HeaderName::from_static("api-key")];

/// Returns the peer to try now: the provider's next.
pub(super) async fn peer(ctx: &RequestContext) -> Result<Box<HttpPeer>> {
    let Some(provider) = ctx.provider() else { return Error::e_explain(ErrorType::InternalError, "no route") };
    let endpoint = provider.endpoint().await.or_err(ErrorType::ConnectNoRoute, "while resolving the provider")?;
    Ok(Box::new(http_peer(provider, endpoint.address)))
}

fn http_peer(provider: &Provider, address: SocketAddr) -> HttpPeer {
    let timeouts = provider.timeouts;
    let mut peer = HttpPeer::new(address, provider.base.tls, provider.base.address.host.clone());
    peer.options.connection_timeout = Some(timeouts.connect.0);
    peer.options.total_connection_timeout = Some(timeouts.connect.0);
    // Pingora has one timeout for every read. The body adapter keeps the first byte's, so this one only has to be
    // the longer of the two.
    peer.options.read_timeout = Some(timeouts.idle.0.max(timeouts.first_byte.0));
    peer.options.write_timeout = Some(timeouts.first_byte.0);
    peer.options.idle_timeout = Some(KEEP_IDLE);
    peer
}

/// Asks the provider, under its own host and path.
pub(super) fn set_target(upstream: &mut RequestHeader, provider: &Provider) -> Result<()> {
    let asked = upstream.uri.path_and_query().map_or("/", |path| path.as_str());
    let path = provider.base.rebase(asked);
    let uri = if upstream.version == http::Version::HTTP_2 {
        let scheme = if provider.base.tls { "https" } else { "http" };
        format!("{scheme}://{}{path}", provider.base.authority)
    } else {
        path
    };
    upstream.set_uri(uri.parse::<Uri>().or_err(ErrorType::InternalError, "while building the upstream's path")?);
    upstream.insert_header(header::HOST, provider.base.authority.as_str())
}

/// Puts the provider's key in place of the client's.
pub(super) fn set_credential(upstream: &mut RequestHeader, credential: &Credential) -> Result<()> {
    if matches!(credential, Credential::Passthrough) {
        return Ok(());
    }
    for field in KEY_FIELDS {
        upstream.remove_header(&field);
    }
    match credential {
        Credential::Bearer(key) => upstream.insert_header(header::AUTHORIZATION, key.clone()),
        Credential::None | Credential::Passthrough => Ok(()),
    }
}

/// Says how long the rewritten body is, and that it comes at once.
pub(super) fn set_length(upstream: &mut RequestHeader, length: usize) -> Result<()> {
    upstream.remove_header(&header::TRANSFER_ENCODING);
    upstream.remove_header(&header::EXPECT);
    upstream.insert_header(header::CONTENT_LENGTH, length.to_string())
}
