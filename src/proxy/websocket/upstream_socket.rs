//! A WebSocket to a provider: dialled, opened with a request's own header fields, asked, and asked again.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use pingora::{Error, ErrorType, OrErr as _, Result};
use pointsman_http_client::{HttpError, secured};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use super::upstream::SessionUpstreams;
use crate::proxy::header_fields::KEY_FIELDS;
use crate::upstream::Provider;

/// The memory that each WebSocket reads into.
const READ_BUFFER: usize = 16 << 10;

/// The time that a provider may take to be told that its WebSocket is over.
const FAREWELL: Duration = Duration::from_secs(1);

/// The field in which clients name betas.
const BETA: HeaderName = HeaderName::from_static("openai-beta");

/// The fields of a posted request that a handshake does not have, or has as its own.
const OF_THE_BODY: [HeaderName; 9] = [
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::TRANSFER_ENCODING,
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::EXPECT,
    header::TE,
];

/// A connection to a provider, with or without TLS.
pub(super) trait ProviderConnection: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug> ProviderConnection for T {}

/// The means by which a request reaches a provider.
#[derive(Debug)]
pub(super) enum UpstreamCarrier {
    /// A connection that was just made.
    New(Box<dyn ProviderConnection>),
    /// A WebSocket that has served a request.
    Kept(Box<UpstreamSocket>),
}

/// A WebSocket to a provider.
#[derive(Debug)]
pub(super) struct UpstreamSocket {
    socket: WebSocketStream<Box<dyn ProviderConnection>>,
    /// The path and the keys that it was opened with.
    terms: SocketTerms,
    /// The response that it gave last, which the provider knows on this WebSocket.
    pub(super) last_response: Option<String>,
}

/// The parts of a request that a WebSocket must have been opened with to serve it.
#[derive(Debug, PartialEq, Eq)]
struct SocketTerms {
    target: String,
    keys: Vec<Option<HeaderValue>>,
}

/// The reason why a WebSocket was not opened.
#[derive(Debug)]
pub(super) enum OpeningError {
    /// The provider answered something else.
    Refused(Box<Response<Vec<u8>>>),
    /// There was no answer.
    Broken(io::Error),
}

/// Connects to a provider.
///
/// # Errors
/// When there is no connection, in Pingora's words.
pub(super) async fn dial(provider: &Provider, address: SocketAddr) -> Result<Box<dyn ProviderConnection>> {
    let dialled = async {
        let stream = TcpStream::connect(address).await.map_err(HttpError::Connect)?;
        stream.set_nodelay(true).map_err(HttpError::Connect)?;
        let connection: Box<dyn ProviderConnection> = match provider.destination(address).tls {
            Some(terms) => Box::new(secured(stream, &terms).await?),
            None => Box::new(stream),
        };
        Ok::<_, HttpError>(connection)
    };
    match timeout(provider.timeouts.connect.0, dialled).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error @ HttpError::Connect(_))) => Err(error).or_err(ErrorType::ConnectError, "by WebSocket"),
        Ok(Err(error)) => Err(error).or_err(ErrorType::TLSHandshakeFailure, "by WebSocket"),
        Err(_) => Error::e_explain(ErrorType::ConnectTimedout, "by WebSocket"),
    }
}

impl SocketTerms {
    fn of(head: &Parts) -> Self {
        let keys = KEY_FIELDS.iter().map(|field| head.headers.get(field).cloned()).collect();
        Self { target: head.uri.to_string(), keys }
    }
}

impl UpstreamSocket {
    /// Opens a WebSocket where a request would be posted, with its header fields.
    ///
    /// # Errors
    /// When the provider refuses, or there is no answer.
    pub(super) async fn open(
        connection: Box<dyn ProviderConnection>,
        head: &Parts,
        upstreams: &SessionUpstreams,
    ) -> std::result::Result<Self, OpeningError> {
        let request =
            handshake(head, upstreams.beta.as_ref()).map_err(|error| OpeningError::Broken(io::Error::other(error)))?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(Some(upstreams.max_message))
            .max_frame_size(Some(upstreams.max_message));
        let opened = tokio_tungstenite::client_async_with_config(request, connection, Some(config)).await;
        match opened {
            Ok((socket, _)) => Ok(Self { socket, terms: SocketTerms::of(head), last_response: None }),
            Err(SocketError::Http(refusal)) => {
                let (parts, body) = refusal.into_parts();
                Err(OpeningError::Refused(Box::new(Response::from_parts(parts, body.unwrap_or_default()))))
            }
            Err(error) => Err(OpeningError::Broken(io::Error::other(error))),
        }
    }

    /// Returns whether a request could have opened it.
    pub(super) fn serves(&self, head: &Parts) -> bool {
        self.terms == SocketTerms::of(head)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the WebSocket has ended.
    pub(super) async fn send(&mut self, message: String) -> io::Result<()> {
        self.socket.send(Message::text(message)).await.map_err(io::Error::other)
    }

    /// Returns the next event.
    ///
    /// # Errors
    /// When the WebSocket ends.
    pub(super) async fn next(&mut self) -> io::Result<String> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(_))) | None => return Err(io::ErrorKind::ConnectionAborted.into()),
                Some(Ok(_)) => {} // pings are answered by the library; a binary message is no event
                Some(Err(error)) => return Err(io::Error::other(error)),
            }
        }
    }

    /// Answers the pings that came while it waited; returns whether it still stands.
    pub(super) fn is_alive(&mut self) -> bool {
        loop {
            match self.socket.next().now_or_never() {
                None => return true,
                Some(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                // What comes unasked belongs to no request, and would be taken for the next one's.
                Some(_) => return false,
            }
        }
    }

    /// Closes it.
    pub(super) async fn close(mut self) {
        let _ = timeout(FAREWELL, self.socket.close(None)).await; // a provider that is gone is told nothing
    }
}

/// Makes the handshake of a request's WebSocket.
fn handshake(head: &Parts, beta: Option<&HeaderValue>) -> http::Result<Request<()>> {
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let mut request = Request::get(format!("ws://{host}{}", head.uri)).body(())?;
    let fields = request.headers_mut();
    fields.clone_from(&head.headers);
    for name in &OF_THE_BODY {
        fields.remove(name);
    }
    if let Some(beta) = beta {
        fields.append(BETA, beta.clone());
    }
    let own = [
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
        (header::SEC_WEBSOCKET_KEY, HeaderValue::try_from(generate_key())?),
    ];
    for (name, value) in own {
        fields.insert(name, value);
    }
    Ok(request)
}

/// Takes the betas out of a handshake that are the WebSocket's own: a posted request does not have them.
pub(super) fn take_socket_betas(fields: &mut HeaderMap) -> Option<HeaderValue> {
    let named: Vec<String> =
        fields.get_all(BETA).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect();
    let names = named.iter().flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty());
    let (of_socket, others): (Vec<_>, Vec<_>) = names.partition(|name| name.contains("websocket"));
    fields.remove(BETA);
    if let Ok(others) = HeaderValue::try_from(others.join(","))
        && !others.is_empty()
    {
        fields.insert(BETA, others);
    }
    HeaderValue::try_from(of_socket.join(",")).ok().filter(|betas| !betas.is_empty())
}

/// Returns the status of an answer that stands for a failed opening.
pub(super) fn refused_status(refusal: &Response<Vec<u8>>) -> StatusCode {
    let status = refusal.status();
    if status.is_client_error() || status.is_server_error() { status } else { StatusCode::BAD_GATEWAY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_has_the_request_s_own_fields_and_none_of_its_body() {
        let request = Request::post("/v1/responses?a=b")
            .header("host", "llm.test:81")
            .header("authorization", "Bearer k")
            .header("content-type", "application/json")
            .header("content-length", "3")
            .header("accept-encoding", "identity")
            .body(())
            .expect("a request");
        let beta = HeaderValue::from_static("responses_websockets=2026-02-06");

        let request = handshake(&request.into_parts().0, Some(&beta)).expect("a handshake");

        assert_eq!(request.uri(), "ws://llm.test:81/v1/responses?a=b");
        let mut names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let expected = [
            "authorization",
            "connection",
            "host",
            "openai-beta",
            "sec-websocket-key",
            "sec-websocket-version",
            "upgrade",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn the_betas_of_websockets_are_not_those_of_requests() {
        let mut fields = HeaderMap::new();
        fields.insert(BETA, HeaderValue::from_static("responses_websockets=2026-02-06, other=1"));
        assert_eq!(take_socket_betas(&mut fields).expect("one"), "responses_websockets=2026-02-06");
        assert_eq!(fields[BETA], "other=1");
        assert_eq!(take_socket_betas(&mut fields), None);
        assert_eq!(take_socket_betas(&mut HeaderMap::new()), None);
    }
}
