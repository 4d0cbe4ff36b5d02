//! How Pingora is to connect to a provider, and a request of our own to one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, Uri, Version, header};
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, OrErr, Result};
use pointsman_core::config::Http;
use pointsman_http_client::retry_after;

use super::{AttemptFailure, Lease, Outcome, Provider};

/// How long an idle connection to a provider is kept for reuse; providers close theirs after 60 s and more.
const KEEP_IDLE: Duration = Duration::from_secs(50);

/// HTTP/2 requests that share a connection.
const H2_STREAMS: usize = 100;

/// How often an HTTP/2 connection is asked whether it is still there: nothing else would notice between requests.
const H2_PING: Duration = Duration::from_secs(20);

/// Sends requests of our own to providers, over connections of its own.
pub struct Caller {
    connector: Connector,
}

/// A whole answer to a request of our own.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// When to ask again, if it says so.
    pub retry_after: Option<Duration>,
    /// Its body.
    pub body: Vec<u8>,
}

/// A request of our own: a JSON body for one path.
#[derive(Debug, Clone, Copy)]
pub struct Call<'c> {
    /// Where, below the provider's prefix, such as `/chat/completions`.
    pub path: &'c str,
    /// More header fields.
    pub fields: &'c [(HeaderName, HeaderValue)],
    /// What is sent.
    pub body: &'c Bytes,
    /// The largest answer that is read, in bytes.
    pub max_bytes: usize,
}

impl Provider {
    /// Returns how Pingora is to connect to `address`, one of its own.
    #[must_use]
    pub fn http_peer(&self, address: SocketAddr) -> HttpPeer {
        let timeouts = self.timeouts;
        let sni = self.tls.sni.as_ref().unwrap_or(&self.base.address.host);
        let mut peer = HttpPeer::new(address, self.base.tls, sni.clone());
        peer.group_key = self.connection_group;
        let options = &mut peer.options;
        options.connection_timeout = Some(timeouts.connect.0);
        options.total_connection_timeout = Some(timeouts.connect.0);
        // Pingora has one timeout for every read. The body adapter keeps the shorter one of the two.
        options.read_timeout = Some(timeouts.idle.0.max(timeouts.first_byte.0));
        options.write_timeout = Some(timeouts.first_byte.0);
        options.idle_timeout = Some(KEEP_IDLE);
        options.verify_cert = self.tls.verify;
        options.verify_hostname = self.tls.verify;
        options.ca = self.trust.as_ref().map(|trust| Arc::clone(trust.authorities()));
        match self.http {
            Http::H1 => options.set_http_version(1, 1),
            Http::H2 => options.set_http_version(2, 2),
            Http::Auto if self.base.tls => options.set_http_version(2, 1),
            Http::Auto => options.set_http_version(1, 1),
        }
        if options.alpn.get_max_http_version() == 2 {
            options.max_h2_streams = H2_STREAMS;
            options.h2_ping_interval = Some(H2_PING);
        }
        peer
    }
}

impl Caller {
    /// Makes one; no connection is made yet.
    #[must_use]
    pub fn new() -> Self {
        Self { connector: Connector::new(None) }
    }

    /// Posts a JSON body to one of the provider's peers and reads the whole answer. A place at the provider is taken, and
    /// what became of the request counts for its peer as any other does.
    ///
    /// Cancel-safe: dropping the future closes the connection.
    ///
    /// # Errors
    /// When there is no peer, no connection, or no whole answer.
    pub async fn post(&self, provider: &Provider, call: Call<'_>) -> Result<Answer> {
        let lease = provider.pick(None, &[]).await.or_err(ErrorType::ConnectNoRoute, "while picking a peer")?;
        let peer = provider.http_peer(lease.endpoint.address);
        let answered = self.attempt(provider, &peer, call).await;
        report(&lease, &answered);
        answered
    }

    /// A connection that was kept may have been closed meanwhile: then once more.
    async fn attempt(&self, provider: &Provider, peer: &HttpPeer, call: Call<'_>) -> Result<Answer> {
        let (mut session, reused) = self.connector.get_http_session(peer).await?;
        let mut answered = exchange(&mut session, provider, call).await;
        if answered.is_err() && reused {
            drop(session);
            (session, _) = self.connector.get_http_session(peer).await?;
            answered = exchange(&mut session, provider, call).await;
        }
        if answered.is_ok() {
            self.connector.release_http_session(session, peer, Some(KEEP_IDLE)).await;
        } else {
            session.shutdown().await;
        }
        answered
    }
}

impl Default for Caller {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller").finish_non_exhaustive()
    }
}

async fn exchange(session: &mut HttpSession, provider: &Provider, call: Call<'_>) -> Result<Answer> {
    let is_h2 = matches!(session, HttpSession::H2(_));
    session.write_request_header(Box::new(request(provider, call, is_h2)?)).await?;
    session.write_request_body(call.body.clone(), true).await?;
    session.finish_request_body().await?;
    session.read_response_header().await?;
    let (status, retry_after) = session.response_header().map_or((StatusCode::BAD_GATEWAY, None), |answer| {
        let wait = answer.headers.get(header::RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?));
        (answer.status, wait)
    });
    let mut body = Vec::new();
    while let Some(chunk) = session.read_response_body().await? {
        body.extend_from_slice(&chunk);
        if body.len() > call.max_bytes {
            return Error::e_explain(ErrorType::ReadError, "the answer is too long");
        }
    }
    Ok(Answer { status, retry_after, body })
}

fn request(provider: &Provider, call: Call<'_>, is_h2: bool) -> Result<RequestHeader> {
    let path = format!("{}{}", provider.base.prefix, call.path);
    let mut request = RequestHeader::build("POST", path.as_bytes(), Some(8))?;
    if is_h2 {
        request.set_version(Version::HTTP_2);
        let scheme = if provider.base.tls { "https" } else { "http" };
        let uri = format!("{scheme}://{}{path}", provider.base.authority);
        request.set_uri(uri.parse::<Uri>().or_err(ErrorType::InternalError, "while building the path")?);
    } else {
        request.insert_header(header::HOST, provider.base.authority.as_str())?;
    }
    request.insert_header(header::CONTENT_TYPE, "application/json")?;
    request.insert_header(header::ACCEPT, "application/json")?;
    request.insert_header(header::CONTENT_LENGTH, call.body.len())?;
    if let Some((field, key)) = provider.credential.key() {
        request.insert_header(field.clone(), key.clone())?;
    }
    for (name, value) in call.fields {
        request.insert_header(name.clone(), value.clone())?;
    }
    Ok(request)
}

fn report(lease: &Lease, answered: &Result<Answer>) {
    lease.report(match answered {
        Ok(answer) => Outcome::Answered(answer.status.as_u16()),
        Err(error) => AttemptFailure::of(error).peer_outcome(),
    });
}
