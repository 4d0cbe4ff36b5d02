//! The handshake of a client's WebSocket, and the end of HTTP on its connection.

use std::net::SocketAddr;

use bytes::Bytes;
use futures::FutureExt as _;
use http::{HeaderName, Method, Version, header};
use pingora::http::RequestHeader;
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession as HttpSession;
use pingora::proxy::Session;
use pointsman_core::config::HostPort;
use pointsman_core::prompt::Dialect;
use pointsman_telemetry::WebSocketKind;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::open_sockets::{OpenSocket, SocketOwner};
use crate::proxy::Proxy;
use crate::proxy::answer::rejection::Rejection;
use crate::proxy::context::RequestContext;
use crate::proxy::downstream::{browser, connection, intake};

/// The version of the protocol, of which there is one.
const VERSION: &[u8] = b"13";

/// A WebSocket that may be opened.
#[derive(Debug)]
pub(in crate::proxy) struct AcceptedSocket {
    /// The proof that its handshake was read.
    pub(in crate::proxy) accept_key: String,
    /// Its place among those that are open.
    pub(in crate::proxy) socket: OpenSocket,
}

/// A connection on which HTTP is over.
#[derive(Debug)]
pub(in crate::proxy) struct UpgradedConnection {
    pub(super) stream: Stream,
    /// What the client sent before it had the answer.
    pub(super) early: Bytes,
    /// The request that ended it.
    pub(super) request: RequestHeader,
    pub(super) socket: OpenSocket,
}

/// Accepts the WebSocket that a request asks for, where it asks for one whose messages are routed; `None` otherwise.
///
/// # Errors
/// When WebSockets are off or too many are open, the path or the HTTP version has none, the handshake is incomplete, or
/// a web page of another origin asks.
pub(in crate::proxy) fn accept(
    proxy: &Proxy,
    session: &Session,
    ctx: &RequestContext,
) -> Result<Option<AcceptedSocket>, Rejection> {
    let header = session.req_header();
    let Some(dialect) = Dialect::of_path(header.uri.path()).filter(|_| intake::is_websocket(header)) else {
        return Ok(None);
    };
    let limits = &ctx.snapshot.config.limits.websocket;
    let is_spoken = dialect == Dialect::Responses && header.method == Method::GET && limits.max_open > 0;
    if !is_spoken || header.version != Version::HTTP_11 {
        return Err(Rejection::UpgradeRequired);
    }
    refuse_foreign(header, ctx)?;
    let key = key_of(header).ok_or(Rejection::InvalidHandshake)?;
    let socket = proxy.sockets.open(WebSocketKind::Responses, owner(session, ctx), limits)?;
    Ok(Some(AcceptedSocket { accept_key: derive_accept_key(key), socket }))
}

/// Refuses a WebSocket that a web page of another origin opens, where no key is needed and the operator's would pay: no
/// browser asks before it opens one.
pub(super) fn refuse_foreign(header: &RequestHeader, ctx: &RequestContext) -> Result<(), Rejection> {
    if ctx.snapshot.clients.are_required() || !browser::is_of_page(&header.headers) {
        return Ok(());
    }
    let host = header.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let is_foreign = browser::is_foreign(&header.headers, host.and_then(HostPort::parse).as_ref(), &[]);
    if is_foreign { Err(Rejection::CrossSite) } else { Ok(()) }
}

/// Returns whose WebSocket it is.
pub(super) fn owner(session: &Session, ctx: &RequestContext) -> SocketOwner {
    let address = || session.client_addr().and_then(|address| address.as_inet()).map(SocketAddr::ip);
    match ctx.client_name() {
        Some(client) => SocketOwner::Client(client.clone()),
        None => address().map_or(SocketOwner::Unknown, |address| SocketOwner::Address(address.to_canonical())),
    }
}

/// Returns the key of a complete handshake.
fn key_of(header: &RequestHeader) -> Option<&[u8]> {
    let fields = &header.headers;
    let one = |name: &HeaderName| {
        let mut values = fields.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).map(|value| value.as_bytes().trim_ascii())
    };
    let nominated = fields.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let is_nominated =
        nominated.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case("upgrade"));
    let is_version = one(&header::SEC_WEBSOCKET_VERSION) == Some(VERSION);
    one(&header::SEC_WEBSOCKET_KEY).filter(|key| is_nominated && is_version && !key.is_empty())
}

/// Hands the connection of a request that was answered with 101 over to those who speak by WebSocket.
pub(super) fn hand_over(session: &mut Session, socket: OpenSocket) {
    // Pingora ends the session that is left to it, which must therefore be a whole one.
    let (vacant, _end) = tokio::io::duplex(1);
    let vacant = Box::new(HttpSession::new_http1(Box::new(vacant)));
    let upgraded = std::mem::replace(&mut session.downstream_session, vacant);
    let HttpSession::H1(mut upgraded) = *upgraded else { return };
    let request = upgraded.req_header().clone();
    let early = upgraded.read_body_bytes().now_or_never().and_then(Result::ok).flatten().unwrap_or_default();
    connection::keep_upgraded(UpgradedConnection { stream: upgraded.into_inner(), early, request, socket });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(fields: &[(&'static str, &str)]) -> RequestHeader {
        let mut header = RequestHeader::build("GET", b"/v1/responses", None).expect("a header");
        for (name, value) in fields {
            header.append_header(*name, *value).expect("a good field");
        }
        header
    }

    #[test]
    fn a_handshake_has_one_key_the_version_and_says_that_it_is_an_upgrade() {
        let whole = [
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        assert_eq!(key_of(&header(&whole)), Some(&b"dGhlIHNhbXBsZSBub25jZQ=="[..]));
        for missing in 0..whole.len() {
            let part: Vec<_> = (0..whole.len()).filter(|index| *index != missing).map(|index| whole[index]).collect();
            assert_eq!(key_of(&header(&part)), None, "{part:?}");
        }
        let mut twice = whole.to_vec();
        twice.push(("sec-websocket-key", "another"));
        assert_eq!(key_of(&header(&twice)), None);
    }
}
