//! A connection to a server: TCP, TLS where the destination has it, and the HTTP version that was agreed on.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, Version, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::Error as TlsError;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::destination::{Destination, HttpVersion, TlsTerms};
use crate::{HttpError, tls};

/// HTTP/2 requests that share a connection at a time.
const H2_STREAMS: usize = 100;

/// The time between two pings on an HTTP/2 connection: nothing else would notice between requests that the server is
/// gone.
const H2_PING: Duration = Duration::from_secs(20);

/// A connection that can carry a request.
#[derive(Debug)]
pub(crate) enum Connection {
    /// HTTP/1.1: one request at a time.
    Http1(http1::SendRequest<Full<Bytes>>),
    /// HTTP/2: the right to one of the connection's streams.
    Http2(SharedConnection, OwnedSemaphorePermit),
}

/// An HTTP/2 connection, which many requests share.
#[derive(Debug, Clone)]
pub(crate) struct SharedConnection {
    sender: http2::SendRequest<Full<Bytes>>,
    streams: Arc<Semaphore>,
}

/// A connection that was just made, and the task that drives it: it ends once the connection is closed.
pub(crate) struct OpenedConnection {
    pub(crate) connection: Connection,
    pub(crate) driver: JoinHandle<()>,
}

impl Connection {
    /// Connects to a destination.
    pub(crate) async fn open(destination: &Destination) -> Result<OpenedConnection, HttpError> {
        let stream = TcpStream::connect(destination.address).await.map_err(HttpError::Connect)?;
        stream.set_nodelay(true).map_err(HttpError::Connect)?;
        let Some(terms) = &destination.tls else {
            return match destination.version {
                HttpVersion::Http1 | HttpVersion::Negotiated => open_http1(stream).await,
                HttpVersion::Http2 => open_http2(stream).await,
            };
        };
        let stream = secure(stream, terms, destination.version.protocols()).await?;
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        match destination.version {
            HttpVersion::Http2 if !is_h2 => Err(HttpError::NoHttp2),
            _ if is_h2 => open_http2(stream).await,
            _ => open_http1(stream).await,
        }
    }

    /// Sends a request, of whose URI only path and query count, and returns the answer once its head is there.
    pub(crate) async fn send(
        &mut self,
        destination: &Destination,
        mut request: Request<Bytes>,
    ) -> Result<Response<Incoming>, HttpError> {
        match self {
            Self::Http1(sender) => {
                let host = HeaderValue::from_str(destination.authority.as_str());
                let host = host.map_err(|error| HttpError::Request(error.into()))?;
                request.headers_mut().insert(header::HOST, host);
                *request.uri_mut() = Uri::from(path_of(request.uri()));
                sender.ready().await.map_err(HttpError::Broken)?;
                sender.send_request(request.map(Full::new)).await.map_err(HttpError::Broken)
            }
            Self::Http2(shared, _stream) => {
                *request.uri_mut() = absolute(destination, request.uri()).map_err(HttpError::Request)?;
                *request.version_mut() = Version::HTTP_2;
                shared.sender.ready().await.map_err(HttpError::Broken)?;
                shared.sender.send_request(request.map(Full::new)).await.map_err(HttpError::Broken)
            }
        }
    }

    /// Returns whether the server, or an error, has closed the connection.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_closed(),
            Self::Http2(shared, _) => shared.is_closed(),
        }
    }
}

impl SharedConnection {
    /// Returns the right to one more stream; `None` when as many are taken as one connection carries.
    pub(crate) fn stream(&self) -> Option<Connection> {
        let stream = Arc::clone(&self.streams).try_acquire_owned().ok()?;
        Some(Connection::Http2(self.clone(), stream))
    }

    /// Returns whether the server, or an error, has closed the connection.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

/// Speaks TLS over a connection to a server of another protocol than HTTP.
///
/// # Errors
/// When the server is not to be trusted, or speaks no TLS.
pub async fn secured(stream: TcpStream, terms: &TlsTerms) -> Result<TlsStream<TcpStream>, HttpError> {
    secure(stream, terms, &[]).await
}

/// Speaks TLS over a connection to a server of gRPC, which has to agree on HTTP/2.
///
/// # Errors
/// When the server is not to be trusted, or speaks no TLS, or no HTTP/2.
pub async fn secured_http2(stream: TcpStream, terms: &TlsTerms) -> Result<TlsStream<TcpStream>, HttpError> {
    let stream = secure(stream, terms, HttpVersion::Http2.protocols()).await?;
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") { Ok(stream) } else { Err(HttpError::NoHttp2) }
}

async fn secure(stream: TcpStream, terms: &TlsTerms, protocols: &[&str]) -> Result<TlsStream<TcpStream>, HttpError> {
    let config = tls::handshake_config(&terms.trust, terms.identity.as_ref(), protocols).await;
    let config = config.map_err(|error| HttpError::Handshake(io::Error::other(error)))?;
    let name = ServerName::try_from(terms.server_name.clone());
    let name = name.map_err(|error| HttpError::Handshake(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| {
        match error.get_ref().and_then(|source| source.downcast_ref()) {
            Some(TlsError::InvalidCertificate(_)) => HttpError::Untrusted(error),
            _ => HttpError::Handshake(error),
        }
    })
}

async fn open_http1(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<OpenedConnection, HttpError> {
    let handshake = http1::Builder::new().title_case_headers(true).handshake(TokioIo::new(stream));
    let (sender, connection) = handshake.await.map_err(HttpError::Broken)?;
    // How the connection ended, its requests are told.
    let driver = tokio::spawn(async move { drop(connection.await) });
    Ok(OpenedConnection { connection: Connection::Http1(sender), driver })
}

async fn open_http2(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<OpenedConnection, HttpError> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(H2_PING).keep_alive_while_idle(true);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(HttpError::Broken)?;
    let driver = tokio::spawn(async move { drop(connection.await) });
    let shared = SharedConnection { sender, streams: Arc::new(Semaphore::new(H2_STREAMS)) };
    let connection = shared.stream().expect("a new connection has all of its streams");
    Ok(OpenedConnection { connection, driver })
}

/// Returns the URI of an HTTP/2 request.
fn absolute(destination: &Destination, uri: &Uri) -> Result<Uri, http::Error> {
    let scheme = if destination.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
    Uri::builder().scheme(scheme).authority(destination.authority.clone()).path_and_query(path_of(uri)).build()
}

fn path_of(uri: &Uri) -> PathAndQuery {
    uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"))
}
