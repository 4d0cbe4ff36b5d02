//! The far end of an attempt that goes out by WebSocket: reads the request that Pingora sends, asks the provider, and
//! answers with a stream of events, or with the status that the provider's error names.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pointsman_telemetry::UpstreamWebSocket;
use serde_json::{Map, Value, json};
use tokio::io::DuplexStream;

use super::members::{Members, ObjectWriter};
use super::server_event::{ErrorEvent, EventMeaning, kind_of};
use super::upstream::{InputIncrement, RoutedMessage, UpstreamKey};
use super::upstream_post::{asks_to_post, post};
use super::upstream_socket::{OpeningError, ProviderConnection, UpstreamCarrier, UpstreamSocket, dial, refused_status};
use crate::proxy::large_work;
use crate::upstream::Provider;

/// The errors that say something of the WebSocket, not of the request: it is asked again over a new one.
const OF_THE_SOCKET: [&str; 2] = ["websocket_connection_limit_reached", "previous_response_not_found"];

/// The body of an answer.
pub(super) type AnswerBody = UnsyncBoxBody<Bytes, io::Error>;

/// The way from one attempt to a provider.
#[derive(Debug)]
pub(super) struct UpstreamHop {
    pub(super) message: Arc<RoutedMessage>,
    pub(super) provider: Arc<Provider>,
    pub(super) key: UpstreamKey,
    pub(super) carrier: UpstreamCarrier,
}

/// The messages that ask for a response.
struct AskedMessages {
    whole: String,
    /// The same without what the provider knows, and the response that it must know for that.
    increment: Option<(String, String)>,
}

/// An answer that has begun.
struct BegunAnswer {
    socket: UpstreamSocket,
    first: String,
}

/// The events of an answer that are still to come.
struct AnswerEvents {
    hop: Arc<RoutedMessage>,
    key: UpstreamKey,
    socket: UpstreamSocket,
    first: Option<String>,
}

/// The end of asking without an answer by WebSocket.
enum AskError {
    /// The provider answered as to a post: with an error, or because it refused the WebSocket.
    Answered(Box<Response<AnswerBody>>),
    /// There was nothing.
    Broken(io::Error),
}

/// Serves the one request of a connection in memory. Dropping the other end ends it, and with it the WebSocket.
pub(super) fn serve(end: DuplexStream, hop: UpstreamHop) {
    let hop = Mutex::new(Some(hop));
    let service = service_fn(move |request: Request<Incoming>| {
        let hop = hop.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move { answer(hop.ok_or(io::ErrorKind::NotConnected)?, request).await }
    });
    let served = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(end), service);
    tokio::spawn(async move { drop(served.await) }); // how it ended, Pingora sees at its end
}

async fn answer(hop: UpstreamHop, request: Request<Incoming>) -> io::Result<Response<AnswerBody>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let UpstreamHop { message, provider, key, carrier } = hop;
    let asked = large_work::at_once(body.len(), || AskedMessages::of(&body, message.increment.as_ref()))?;
    let asking = Asking { message: &message, provider: &provider, key: &key, head: &head, body, asked: &asked };
    let BegunAnswer { socket, first } = match Box::pin(asking.run(carrier)).await {
        Ok(begun) => begun,
        Err(AskError::Answered(answer)) => return Ok(*answer),
        Err(AskError::Broken(error)) => return Err(error),
    };
    let events = AnswerEvents { hop: message, key, socket, first: Some(first) };
    let body = StreamBody::new(stream::unfold(Some(events), |events| async move { events?.next().await }));
    let answer = Response::builder().header(header::CONTENT_TYPE, "text/event-stream");
    answer.body(BodyExt::boxed_unsync(body)).map_err(io::Error::other)
}

/// One request and what it is asked by.
struct Asking<'a> {
    message: &'a RoutedMessage,
    provider: &'a Provider,
    key: &'a UpstreamKey,
    head: &'a Parts,
    /// The body that would be posted.
    body: Bytes,
    asked: &'a AskedMessages,
}

impl Asking<'_> {
    /// Asks until something comes: over the WebSocket that waited, and once more over a new one where that had ended.
    async fn run(&self, carrier: UpstreamCarrier) -> Result<BegunAnswer, AskError> {
        let metrics = &self.message.upstreams.metrics;
        let connection = match carrier {
            UpstreamCarrier::New(connection) => {
                metrics.sent(UpstreamWebSocket::New);
                connection
            }
            UpstreamCarrier::Kept(mut socket) => {
                if socket.serves(self.head) && socket.is_alive() {
                    match self.ask(*socket).await {
                        Err(AskError::Broken(_)) => {} // it had ended, and nothing came
                        Err(AskError::Answered(answer)) if answer.extensions().get::<IsOfSocket>().is_some() => {}
                        answered => {
                            metrics.sent(UpstreamWebSocket::Kept);
                            return answered;
                        }
                    }
                }
                metrics.sent(UpstreamWebSocket::Reopened);
                self.dial().await?
            }
        };
        let opened = UpstreamSocket::open(connection, self.head, &self.message.upstreams).await;
        match opened {
            Ok(socket) => self.ask(socket).await,
            Err(OpeningError::Broken(error)) => Err(AskError::Broken(error)),
            Err(OpeningError::Refused(refusal)) => {
                metrics.sent(UpstreamWebSocket::Refused);
                if !asks_to_post(refusal.status()) {
                    return Err(AskError::Answered(Box::new(refused(*refusal))));
                }
                self.message.upstreams.note_refusal(self.provider);
                let answer = post(self.dial().await?, self.head, self.body.clone()).await.map_err(AskError::Broken)?;
                Err(AskError::Answered(Box::new(answer)))
            }
        }
    }

    async fn dial(&self) -> Result<Box<dyn ProviderConnection>, AskError> {
        let dialled = dial(self.provider, self.key.address()).await;
        dialled.map_err(|error| AskError::Broken(io::Error::other(error)))
    }

    async fn ask(&self, mut socket: UpstreamSocket) -> Result<BegunAnswer, AskError> {
        let message = self.asked.for_socket(&socket).to_owned();
        socket.send(message).await.map_err(AskError::Broken)?;
        let first = socket.next().await.map_err(AskError::Broken)?;
        match EventMeaning::of(&first) {
            EventMeaning::Error => Err(AskError::Answered(Box::new(error_answer(&first)))),
            _ => Ok(BegunAnswer { socket, first }),
        }
    }
}

/// Marks an error that is the WebSocket's, not the request's.
#[derive(Debug, Clone, Copy)]
struct IsOfSocket;

impl AskedMessages {
    /// Makes the messages of a posted body.
    fn of(body: &Bytes, increment: Option<&InputIncrement>) -> io::Result<Self> {
        let invalid = |_| io::Error::from(io::ErrorKind::InvalidData);
        let text = std::str::from_utf8(body).map_err(|_| io::ErrorKind::InvalidData)?;
        let members = Members::read(text).map_err(invalid)?;
        let written = |skipped: &[&str]| {
            let mut message = ObjectWriter::new(text.len());
            message.text("type", "response.create");
            for (key, value) in members.iter().filter(|(key, _)| *key != "stream" && !skipped.contains(key)) {
                message.member(key, value.get());
            }
            message
        };
        let increment = increment.map(|increment| {
            let mut message = written(&["input", "previous_response_id"]);
            message.text("previous_response_id", &increment.previous);
            message.member("input", &format!("[{}]", increment.items));
            (increment.previous.clone(), message.end())
        });
        Ok(Self { whole: written(&[]).end(), increment })
    }

    /// Returns the shortest that a provider understands on this WebSocket.
    fn for_socket(&self, socket: &UpstreamSocket) -> &str {
        match &self.increment {
            Some((previous, message)) if socket.last_response.as_ref() == Some(previous) => message,
            _ => &self.whole,
        }
    }
}

impl AnswerEvents {
    /// Returns the next event and what follows it.
    async fn next(mut self) -> Option<(io::Result<Frame<Bytes>>, Option<Self>)> {
        let data = match self.first.take() {
            Some(first) => Ok(first),
            None => self.socket.next().await,
        };
        let data = match data {
            Ok(data) => data,
            Err(error) => return Some((Err(error), None)),
        };
        let (event, rest) = match EventMeaning::of(&data) {
            EventMeaning::Error => (error_in_stream(&data), None), // the WebSocket may not be what it was
            EventMeaning::Complete { id, .. } => {
                self.end(Some(id));
                (data, None)
            }
            EventMeaning::Ended => {
                self.end(None);
                (data, None)
            }
            EventMeaning::Passes | EventMeaning::Item(_) => (data, Some(self)),
        };
        Some((Ok(Frame::data(sse(&event))), rest))
    }

    /// Leaves the WebSocket to the session's next request.
    fn end(self, response: Option<String>) {
        let Self { hop, key, mut socket, .. } = self;
        socket.last_response = response;
        hop.upstreams.keep(key, socket);
    }
}

/// Returns a message as a server-sent event.
fn sse(data: &str) -> Bytes {
    let kind = kind_of(data).map(|kind| format!("event: {kind}\n")).unwrap_or_default();
    let lines: Vec<_> = data.lines().map(|line| format!("data: {line}\n")).collect();
    format!("{kind}{}\n", lines.concat()).into()
}

/// Returns an error of the WebSocket's shape in the shape of a stream.
fn error_in_stream(data: &str) -> String {
    let ErrorEvent { error, sequence_number, .. } = ErrorEvent::of_stream(data);
    let field = |key: &str| error.get(key).cloned().unwrap_or_default();
    json!({
        "type": "error", "code": field("code"), "message": field("message"), "param": field("param"),
        "sequence_number": sequence_number.unwrap_or_else(|| json!(0)),
    })
    .to_string()
}

/// Returns an error that came in place of an answer as what a posted request would have got.
fn error_answer(data: &str) -> Response<AnswerBody> {
    let ErrorEvent { status, mut error, .. } = ErrorEvent::of_stream(data);
    let headers = match error.remove("headers") {
        Some(Value::Object(headers)) => headers,
        _ => Map::new(),
    };
    let is_of_socket = error.get("code").and_then(Value::as_str).is_some_and(|code| OF_THE_SOCKET.contains(&code));
    let mut answer = Response::new(full(json!({"error": error}).to_string()));
    *answer.status_mut() =
        StatusCode::from_u16(status).ok().filter(|status| status.as_u16() >= 400).unwrap_or(StatusCode::BAD_GATEWAY);
    let fields = answer.headers_mut();
    for (name, value) in &headers {
        let field =
            name.parse::<HeaderName>().ok().zip(value.as_str().and_then(|value| value.parse::<HeaderValue>().ok()));
        if let Some((name, value)) = field.filter(|(name, _)| !is_framing(name)) {
            fields.insert(name, value);
        }
    }
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if is_of_socket {
        answer.extensions_mut().insert(IsOfSocket);
    }
    answer
}

/// Returns the answer to a handshake that was refused, as a posted request would have got it.
fn refused(refusal: Response<Vec<u8>>) -> Response<AnswerBody> {
    let status = refused_status(&refusal);
    let (mut parts, body) = refusal.into_parts();
    remove_framing(&mut parts.headers);
    let mut answer = Response::new(full(String::from_utf8_lossy(&body).into_owned()));
    (*answer.status_mut(), *answer.headers_mut()) = (status, parts.headers);
    answer
}

/// Removes the fields that belong to one connection and its framing.
pub(super) fn remove_framing(fields: &mut HeaderMap) {
    let framing: Vec<_> = fields.keys().filter(|name| is_framing(name)).cloned().collect();
    for name in framing {
        fields.remove(name);
    }
}

fn is_framing(name: &HeaderName) -> bool {
    [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE].contains(name)
}

fn full(text: String) -> AnswerBody {
    Full::new(Bytes::from(text)).map_err(|impossible: Infallible| match impossible {}).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_posted_body_is_the_message_that_asks_for_the_same() {
        let body = Bytes::from(r#"{"model":"m","input":[1,2],"temperature":1.0,"stream":true}"#);
        let increment = InputIncrement { previous: "resp_1".into(), items: "2".into() };

        let asked = AskedMessages::of(&body, Some(&increment)).expect("an object");

        assert_eq!(asked.whole, r#"{"type":"response.create","model":"m","input":[1,2],"temperature":1.0}"#);
        let (previous, short) = asked.increment.expect("an increment");
        assert_eq!(previous, "resp_1");
        assert_eq!(
            short,
            r#"{"type":"response.create","model":"m","temperature":1.0,"previous_response_id":"resp_1","input":[2]}"#
        );
        assert!(AskedMessages::of(&Bytes::from_static(b"[]"), None).is_err());
    }

    #[test]
    fn an_error_in_place_of_an_answer_has_its_status_and_its_wait() {
        let data = r#"{"type":"error","status":429,"error":{"type":"rate_limit_error","code":"rate_limit_exceeded","message":"Slow.","headers":{"retry-after":"7","content-length":"1"}}}"#;

        let answer = error_answer(data);

        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers()["retry-after"], "7");
        assert!(answer.headers().get(header::CONTENT_LENGTH).is_none());
        assert!(answer.extensions().get::<IsOfSocket>().is_none());
        let limit = r#"{"type":"error","status":400,"error":{"code":"websocket_connection_limit_reached"}}"#;
        assert!(error_answer(limit).extensions().get::<IsOfSocket>().is_some());
        assert_eq!(error_answer(r#"{"type":"error","status":200}"#).status(), StatusCode::BAD_GATEWAY);
    }

    #[test]
    fn a_message_is_an_event_of_its_type() {
        assert_eq!(sse("{\"type\":\"a\",\n\"b\":1}"), "event: a\ndata: {\"type\":\"a\",\ndata: \"b\":1}\n\n");
        let error = r#"{"type":"error","status":500,"error":{"code":"c","message":"m"},"sequence_number":3}"#;
        let expected = json!({"type": "error", "code": "c", "message": "m", "param": null, "sequence_number": 3});
        assert_eq!(serde_json::from_str::<Value>(&error_in_stream(error)).expect("JSON"), expected);
    }
}
