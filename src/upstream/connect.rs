//! The terms on which Pingora connects to a provider, and requests of our own to one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use pingora::upstreams::peer::HttpPeer;
use pointsman_core::config::{Name, PeerProtocol};
use pointsman_core::prompt::Dialect;
use pointsman_http_client::{
    Destination, ExchangeLimits, HttpClient, HttpError, HttpVersion, LONGEST_WAIT, ServerTrust, TlsTerms, retry_after,
};

use super::bedrock::{RequestSigner, SignatureError};
use super::cloud::CloudService;
use super::failure::is_of_upstream;
use super::{
    Deployment, KeyRequest, NoCredentialError, NoPeerError, PeerLease, PeerOutcome, Provider, RequestCredential,
    limit_reset,
};

/// The time that an idle connection to a provider is kept for reuse; providers close theirs after 60 s and more.
const KEEP_IDLE: Duration = Duration::from_secs(50);

/// HTTP/2 requests that share a connection.
const H2_STREAMS: usize = 100;

/// The pause between two signs of life that an HTTP/2 connection is asked for: nothing else would notice between
/// requests.
const H2_PING: Duration = Duration::from_secs(20);

/// Sends requests of our own to providers, over connections of its own.
#[derive(Debug)]
pub(crate) struct ProviderCaller {
    client: HttpClient,
}

/// A whole answer to a request of our own.
#[derive(Debug)]
pub(crate) struct ProviderAnswer {
    pub status: StatusCode,
    pub body: Bytes,
}

/// A request of our own: a JSON body for one path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProviderCall<'c> {
    /// The path and query at the provider's host.
    pub path: &'c str,
    /// More header fields.
    pub fields: &'c [(HeaderName, HeaderValue)],
    /// The JSON that is sent.
    pub body: &'c Bytes,
    /// The largest answer that is read, in bytes.
    pub max_bytes: usize,
    /// The longest silence, where it is not that of an answer that streams.
    pub silence: Option<Duration>,
}

/// The reason why a request of our own has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The model asked to be left alone for a while.
    #[error("the model `{model}` asked to be left alone for {left:?} more")]
    Resting { model: Name, left: Duration },
    /// There is no peer to ask.
    #[error(transparent)]
    NoPeer(#[from] NoPeerError),
    /// There is no credential to ask with.
    #[error(transparent)]
    NoCredential(#[from] NoCredentialError),
    /// The request cannot be signed.
    #[error(transparent)]
    Unsigned(#[from] SignatureError),
    /// The peer gave no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl Provider {
    /// Returns how Pingora is to connect to `address`, one of its own, for a request whose answer may take `wait` to
    /// begin.
    #[must_use]
    pub(crate) fn http_peer(&self, address: SocketAddr, wait: Duration) -> HttpPeer {
        let timeouts = self.timeouts;
        let sni = self.tls.sni.as_ref().unwrap_or(&self.base.address.host);
        let mut peer = HttpPeer::new(address, self.base.tls, sni.clone());
        peer.group_key = self.connection_group;
        let options = &mut peer.options;
        options.connection_timeout = Some(timeouts.connect.0);
        options.total_connection_timeout = Some(timeouts.connect.0);
        // Pingora has one timeout for every read. The body adapter keeps the shorter one of the two.
        options.read_timeout = Some(timeouts.idle.0.max(wait));
        options.write_timeout = Some(timeouts.first_byte.0);
        options.idle_timeout = Some(KEEP_IDLE);
        options.verify_cert = self.tls.verify;
        options.verify_hostname = self.tls.verify;
        options.ca = self.trust.as_ref().map(|trust| Arc::clone(trust.certificates()));
        match self.http {
            PeerProtocol::H1 => options.set_http_version(1, 1),
            PeerProtocol::H2 => options.set_http_version(2, 2),
            PeerProtocol::Auto if self.base.tls => options.set_http_version(2, 1),
            PeerProtocol::Auto => options.set_http_version(1, 1),
        }
        if options.alpn.get_max_http_version() == 2 {
            options.max_h2_streams = H2_STREAMS;
            options.h2_ping_interval = Some(H2_PING);
        }
        peer
    }

    /// Returns how our own client is to speak to `address`, one of the provider's: on the terms of [`Self::http_peer`].
    #[must_use]
    pub(crate) fn destination(&self, address: SocketAddr) -> Destination {
        let trust = match &self.trust {
            _ if !self.tls.verify => ServerTrust::Unverified,
            Some(trust) => ServerTrust::Authorities(trust.authorities().clone()),
            None => ServerTrust::System,
        };
        let sni = self.tls.sni.as_ref().unwrap_or(&self.base.address.host);
        let server_name = if self.tls.verify { without_underscore(sni) } else { sni.clone() };
        Destination {
            address,
            authority: self.base.authority.parse().expect("the authority of a URL that was parsed"),
            tls: self.base.tls.then_some(TlsTerms { server_name, trust, identity: None }),
            version: match self.http {
                PeerProtocol::H1 => HttpVersion::Http1,
                PeerProtocol::H2 => HttpVersion::Http2,
                PeerProtocol::Auto => HttpVersion::Negotiated,
            },
        }
    }
}

/// Returns the name that Pingora verifies a certificate against: it takes underscores out of the first label of a name
/// that has three or more.
fn without_underscore(name: &str) -> String {
    match name.split_once('.') {
        Some((first, rest)) if rest.contains('.') => format!("{}.{rest}", first.replace('_', "-")),
        _ => name.to_owned(),
    }
}

impl ProviderCaller {
    /// Makes one; no connection is made yet.
    #[must_use]
    pub(crate) const fn new() -> Self {
        Self { client: HttpClient::keeping(KEEP_IDLE) }
    }

    /// Posts a JSON body for a model to one of its provider's peers and reads the whole answer. A place at the provider is
    /// taken, and what became of the request counts for its peer, its key and the model as any other does: where the answer
    /// asks to be left alone for a while (`Retry-After`), the model rests.
    ///
    /// Cancel-safe: dropping the future closes the connection.
    ///
    /// # Errors
    /// When the model rests, or there is no peer, no connection, or no whole answer.
    pub(crate) async fn post(&self, target: &Deployment, call: ProviderCall<'_>) -> Result<ProviderAnswer, CallError> {
        if let Some(left) = target.rest_left() {
            return Err(CallError::Resting { model: target.model.clone(), left });
        }
        let provider = &*target.provider;
        let lease = provider.pick(None, None, &[]).await?;
        let model = Some(&*target.upstream_name);
        let credential = RequestCredential::of(provider, KeyRequest { model, ..KeyRequest::default() }).await?;
        let timeouts = provider.timeouts;
        let family = Dialect::of_path(call.path).and_then(Dialect::family);
        let limits = ExchangeLimits {
            connect: timeouts.connect.0,
            read: call.silence.unwrap_or_else(|| timeouts.idle.0.max(timeouts.first_byte.0)),
            max_bytes: call.max_bytes,
        };
        let request = request(provider, call, &credential).map_err(HttpError::Request)?;
        let request = signed(request, provider, &credential)?;
        let sent = self.client.send(&provider.destination(lease.endpoint.address), request, limits).await;
        let answered = sent.map(|answer| {
            let (head, body) = answer.into_parts();
            let is_limited = head.status == StatusCode::TOO_MANY_REQUESTS;
            let reset = || if is_limited && credential.key().is_some() { limit_reset(&head.headers) } else { None };
            let in_body = || {
                family
                    .filter(|_| is_of_upstream(head.status.as_u16()))?
                    .retry_delay(&body)
                    .map(|wait| wait.min(LONGEST_WAIT))
            };
            let wait = retry_after(&head.headers).or_else(reset).or_else(in_body);
            credential.answered(head.status.as_u16(), wait, model);
            let_rest(target, head.status, wait);
            ProviderAnswer { status: head.status, body }
        });
        report(&lease, &answered);
        Ok(answered?)
    }
}

/// Lets a model rest as long as its answer asks for, where that is a failure. A limit of one of several keys is the model's
/// only while all of them rest, and what one peer of several says is only its own word.
fn let_rest(target: &Deployment, status: StatusCode, wait: Option<Duration>) {
    let provider = &target.provider;
    if !is_of_upstream(status.as_u16()) || provider.peers().nth(1).is_some() {
        return;
    }
    let ring = provider.credential.ring().filter(|_| status == StatusCode::TOO_MANY_REQUESTS);
    if let Some(wait) = ring.map_or(wait, |ring| ring.rest_of_all(Some(&target.upstream_name))) {
        target.rest_for(wait);
    }
}

impl Default for ProviderCaller {
    fn default() -> Self {
        Self::new()
    }
}

fn request(
    provider: &Provider,
    call: ProviderCall<'_>,
    credential: &RequestCredential,
) -> Result<Request<Bytes>, http::Error> {
    let mut request = Request::post(call.path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json");
    if let Some((field, key)) = credential.field(provider) {
        request = request.header(field, key);
    }
    for (name, value) in call.fields {
        request = request.header(name, value);
    }
    request.body(call.body.clone())
}

/// Returns a request with its signature, where the provider wants one. Nothing of what is signed may change afterwards.
fn signed(
    request: Request<Bytes>,
    provider: &Provider,
    credential: &RequestCredential,
) -> Result<Request<Bytes>, CallError> {
    let region = provider.cloud.as_ref().and_then(CloudService::region);
    let (Some(credentials), Some(region)) = (credential.aws(), region) else { return Ok(request) };
    let (mut head, body) = request.into_parts();
    let host = HeaderValue::from_str(&provider.base.authority);
    head.headers.insert(header::HOST, host.map_err(|error| HttpError::Request(error.into()))?);
    RequestSigner { credentials, region }.sign(&mut head, &body)?;
    Ok(Request::from_parts(head, body))
}

fn report(lease: &PeerLease, answered: &Result<ProviderAnswer, HttpError>) {
    lease.report(match answered {
        Ok(answer) => PeerOutcome::Answered(answer.status.as_u16()),
        Err(HttpError::Request(_)) => PeerOutcome::Cancelled,
        Err(HttpError::ReadTimeout) => PeerOutcome::Timeout,
        Err(error) if error.is_connect() => PeerOutcome::ConnectFailed,
        Err(_) => PeerOutcome::Broken,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_verified_as_pingora_verifies_them() {
        for (name, verified) in [("a_b.c.example", "a-b.c.example"), ("a_b.example", "a_b.example"), ("a_b", "a_b")] {
            assert_eq!(without_underscore(name), verified);
        }
    }
}
