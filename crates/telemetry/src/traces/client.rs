//! Sends exports over HTTP with Pingora's connector: the TLS and the certificate authorities that providers are reached with.
//!
//! The exporter has a thread of its own and waits on it, so a small runtime there drives the connection. A connection is made
//! for each export, every few seconds: a kept one may be closed by the collector just as it is used again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fmt, io};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, header};
use opentelemetry_http::{HttpClient, HttpError};
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::WrappedX509;
use pingora::{Error, ErrorType, OrErr, Result};
use tokio::runtime::{Builder, Runtime};

/// The longest answer that is read: a collector has little to say.
const MAX_ANSWER: usize = 1 << 20;

/// Sends exports.
pub(super) struct Client {
    runtime: Runtime,
    timeout: Duration,
    /// Trusted instead of the system's.
    authorities: Option<Arc<[WrappedX509]>>,
    /// Whether the last export failed; every change is logged, not every export.
    is_failing: AtomicBool,
}

impl Client {
    /// Makes a client that gives an export `timeout`.
    pub(super) fn new(timeout: Duration, authorities: Option<Arc<[WrappedX509]>>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, timeout, authorities, is_failing: AtomicBool::new(false) })
    }

    /// Says why nothing arrives, or that it does again: the exporter calls it a network error whatever it was.
    fn tell(&self, trouble: Option<&String>) {
        let was_failing = self.is_failing.swap(trouble.is_some(), Ordering::Relaxed);
        match trouble {
            Some(why) if !was_failing => tracing::warn!("No spans reach the collector: {why}"),
            None if was_failing => tracing::info!("Spans reach the collector again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    /// Blocks; called on the exporter's own thread, which runs no runtime.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = async { tokio::time::timeout(self.timeout, send(request, self.authorities.clone())).await };
        let sent = self.runtime.block_on(sent);
        let answered = match sent {
            Ok(Ok(answer)) => Ok(answer),
            // Before the handshake is over nothing was sent.
            Ok(Err(error)) if matches!(error.etype(), ErrorType::InvalidCert | ErrorType::TLSHandshakeFailure) => {
                Err(format!("its certificate is not trusted: {error}"))
            }
            // Pingora's context may quote what was sent; the type says enough.
            Ok(Err(error)) => Err(error.etype().as_str().to_owned()),
            Err(_) => Err("it did not answer in time".to_owned()),
        };
        self.tell(answered.as_ref().err());
        answered.map_err(Into::into)
    }
}

async fn send(request: Request<Bytes>, authorities: Option<Arc<[WrappedX509]>>) -> Result<Response<Bytes>> {
    let (parts, body) = request.into_parts();
    let uri = &parts.uri;
    let (Some(host), Some(authority)) = (uri.host(), uri.authority()) else {
        return Error::e_explain(ErrorType::InvalidHTTPHeader, "no host");
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let mut addresses = tokio::net::lookup_host((host, port)).await.or_err(ErrorType::ConnectNoRoute, "no address")?;
    let address = addresses.next().ok_or_else(|| Error::explain(ErrorType::ConnectNoRoute, "no address"))?;
    let mut peer = HttpPeer::new(address, tls, host.to_owned());
    peer.options.set_http_version(1, 1);
    peer.options.ca = authorities;

    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut header = RequestHeader::build(parts.method.clone(), path.as_bytes(), Some(parts.headers.len() + 2))?;
    for (name, value) in &parts.headers {
        header.insert_header(name.clone(), value.clone())?;
    }
    header.insert_header(header::HOST, authority.as_str())?;
    header.insert_header(header::CONTENT_LENGTH, body.len())?;

    let (mut session, _) = Connector::new(None).get_http_session(&peer).await?;
    session.write_request_header(Box::new(header)).await?;
    session.write_request_body(body, true).await?;
    session.finish_request_body().await?;
    session.read_response_header().await?;
    let status = session.response_header().map(|answer| answer.status);
    let answer = read(&mut session).await?;
    session.shutdown().await;
    let mut response = Response::new(answer);
    *response.status_mut() = status.ok_or_else(|| Error::explain(ErrorType::ReadError, "no status"))?;
    Ok(response)
}

async fn read(session: &mut HttpSession) -> Result<Bytes> {
    let mut answer = Vec::new();
    while let Some(chunk) = session.read_response_body().await? {
        answer.extend_from_slice(&chunk);
        if answer.len() > MAX_ANSWER {
            return Error::e_explain(ErrorType::ReadError, "the collector's answer is too long");
        }
    }
    Ok(answer.into())
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
