//! One request of a WebSocket: posted to this proxy in memory, its answer told event by event.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Builder;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use pingora::apps::HttpServerApp;
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession as HttpSession;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::history::NewResponse;
use super::loopback::{self, ClientDigests};
use super::server_event::{ErrorEvent, EventMeaning, EventReader, events_of_whole, in_lane, is_event_stream};
use super::upstream::{self, RoutedMessage};
use super::upstream_socket::take_socket_betas;
use crate::proxy::Proxy;
use crate::proxy::downstream::admission::BodyReservation;

/// The bytes of a refused request's answer that are read.
const REFUSAL_BYTES: usize = 64 << 10;

/// The time that the end of an answer may take after its last event.
const AFTER_LAST: Duration = Duration::from_secs(1);

/// The fields of a handshake that its requests do not have, or have as their own: an id is for one request.
const OF_THE_HANDSHAKE: [&str; 19] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "keep-alive",
    "origin",
    "proxy-connection",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
    "idempotency-key",
];

/// The prefix of the fields that make the handshake.
const HANDSHAKE_PREFIX: &str = "sec-websocket-";

/// What the requests of a session have in common: the handshake's path and fields, and where its client is.
#[derive(Debug)]
pub(super) struct RequestTemplate {
    pub(super) target: String,
    pub(super) fields: HeaderMap,
    pub(super) client: Arc<ClientDigests>,
    /// The longest answer that is read as a whole, and the longest event, in bytes.
    pub(super) max_bytes: usize,
}

/// The proxy that serves the requests.
#[derive(Clone)]
pub(super) struct ServingProxy {
    pub(super) proxy: Arc<HttpProxy<Proxy>>,
    pub(super) shutdown: ShutdownWatch,
}

/// A request that is to be made.
pub(super) struct Exchange {
    pub(super) template: Arc<RequestTemplate>,
    pub(super) serving: ServingProxy,
    pub(super) message: Arc<RoutedMessage>,
    pub(super) lane: Option<String>,
    pub(super) body: Bytes,
    /// The items of its whole input, where nobody but the session keeps the response.
    pub(super) kept_input: Option<String>,
    /// The memory that these take.
    pub(super) memory: BodyReservation,
}

/// A message to the client.
#[derive(Debug)]
pub(super) struct OutMessage {
    pub(super) text: String,
    pub(super) is_error: bool,
}

/// The end of a request.
#[derive(Debug)]
pub(super) struct ExchangeEnd {
    pub(super) lane: Option<String>,
    /// The response that the session is to keep.
    pub(super) response: Option<NewResponse>,
    pub(super) memory: BodyReservation,
}

/// The client's side of the answer.
struct Teller<'e> {
    lane: Option<&'e str>,
    events: &'e mpsc::Sender<OutMessage>,
    /// The items of the output so far, where the session is to keep them.
    output: Option<Vec<String>>,
    memory: BodyReservation,
    complete: Option<(String, String)>,
    has_ended: bool,
}

impl RequestTemplate {
    /// Makes that of the requests that follow a handshake, and returns the betas that are the WebSocket's own.
    pub(super) fn of(
        handshake: &RequestHeader,
        client: Arc<ClientDigests>,
        max_bytes: usize,
    ) -> (Self, Option<HeaderValue>) {
        let mut fields = handshake.headers.clone();
        let betas = take_socket_betas(&mut fields);
        let nominated: Vec<String> = fields
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|name| name.trim().to_ascii_lowercase())
            .collect();
        let is_left_out = |name: &HeaderName| {
            OF_THE_HANDSHAKE.contains(&name.as_str())
                || name.as_str().starts_with(HANDSHAKE_PREFIX)
                || nominated.iter().any(|nominated| nominated == name.as_str())
        };
        let left_out: Vec<_> = fields.keys().filter(|name| is_left_out(name)).cloned().collect();
        for name in left_out {
            fields.remove(name);
        }
        let target = handshake.uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
        (Self { target, fields, client, max_bytes }, betas)
    }

    fn request(&self, body: Bytes) -> http::Result<Request<Full<Bytes>>> {
        let mut request: Builder = Request::post(&*self.target);
        if let Some(fields) = request.headers_mut() {
            fields.clone_from(&self.fields);
            fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            fields.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        }
        request.body(Full::new(body))
    }
}

impl Exchange {
    /// Makes the request and tells its answer, until it ends or nobody listens: then the request ends as that of a client
    /// that left.
    pub(super) async fn run(self, events: mpsc::Sender<OutMessage>) -> ExchangeEnd {
        let Self { template, serving, message, lane, body, kept_input, memory } = self;
        let output = kept_input.is_some().then(Vec::new);
        let mut teller =
            Teller { lane: lane.as_deref(), events: &events, output, memory, complete: None, has_ended: false };
        let mut connection = JoinSet::new(); // aborts with this future, and thereby hangs up
        let told = match send(&template, &serving, message, body, &mut connection).await {
            Ok(answer) => teller.tell(answer, template.max_bytes).await,
            Err(error) => Err(error),
        };
        if told.is_err() && !teller.has_ended {
            teller.broken().await;
        }
        let response = teller.complete.take().zip(kept_input).map(|((id, output), input)| NewResponse {
            lane: lane.clone(),
            id,
            input,
            output,
        });
        let Teller { memory, .. } = teller;
        ExchangeEnd { lane, response, memory }
    }
}

/// Sends the request over a connection in memory, which a task of its own serves to its end.
async fn send(
    template: &RequestTemplate,
    serving: &ServingProxy,
    message: Arc<RoutedMessage>,
    body: Bytes,
    connection: &mut JoinSet<()>,
) -> io::Result<Response<Incoming>> {
    let (served, own) = loopback::connection(&template.client);
    let ServingProxy { proxy, shutdown } = serving.clone();
    let serve = async move {
        let session = HttpSession::new_http1(Box::new(served));
        drop(proxy.process_new_http(session, &shutdown).await); // one request, and no next
    };
    tokio::spawn(Box::pin(upstream::serving(message, serve)));
    let (mut sender, driver) = http1::handshake(TokioIo::new(own)).await.map_err(io::Error::other)?;
    connection.spawn(async move { drop(driver.await) }); // how it ended, the request is told
    let request = template.request(body).map_err(io::Error::other)?;
    sender.send_request(request).await.map_err(io::Error::other)
}

impl Teller<'_> {
    async fn tell(&mut self, answer: Response<Incoming>, max_bytes: usize) -> io::Result<()> {
        let (head, body) = answer.into_parts();
        if !head.status.is_success() {
            let body = whole(body, REFUSAL_BYTES).await.unwrap_or_default();
            let event = ErrorEvent::of_answer(head.status, &head.headers, &body);
            return self.error(&event).await;
        }
        if !is_event_stream(&head.headers) {
            let body = whole(body, max_bytes).await?;
            let events = events_of_whole(&body).ok_or(io::ErrorKind::InvalidData)?;
            for event in events {
                self.event(event).await?;
            }
            return Ok(());
        }
        self.stream(body, max_bytes).await?;
        if self.has_ended { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    async fn stream(&mut self, mut body: Incoming, max_bytes: usize) -> io::Result<()> {
        let mut reader = EventReader::new(max_bytes);
        while let Some(frame) = self.next_frame(&mut body).await {
            let Ok(chunk) = frame.map_err(io::Error::other)?.into_data() else { continue };
            reader.push(&chunk);
            while let Some(data) = reader.next().map_err(io::Error::other)? {
                if data != "[DONE]" {
                    self.event(data).await?;
                }
            }
        }
        Ok(())
    }

    /// Returns the next part of the answer; after its last event the end is waited for only shortly.
    async fn next_frame(&self, body: &mut Incoming) -> Option<Result<Frame<Bytes>, hyper::Error>> {
        if self.has_ended { timeout(AFTER_LAST, body.frame()).await.ok().flatten() } else { body.frame().await }
    }

    async fn event(&mut self, data: String) -> io::Result<()> {
        match EventMeaning::of(&data) {
            EventMeaning::Error => return self.error(&ErrorEvent::of_stream(&data)).await,
            EventMeaning::Passes => {}
            EventMeaning::Item(item) => self.keep(item),
            EventMeaning::Ended => self.has_ended = true,
            EventMeaning::Complete { id, output } => {
                self.has_ended = true;
                self.complete = self.output.take().map(|items| {
                    let output = if output.is_empty() { items.join(",") } else { output };
                    (id, output)
                });
            }
        }
        self.say(OutMessage { text: in_lane(data, self.lane), is_error: false }).await
    }

    /// Keeps an item of the output; without memory for one, nothing is kept of the response.
    fn keep(&mut self, item: String) {
        let Some(items) = &mut self.output else { return };
        if self.memory.cover(self.memory.bytes() + item.len()).is_ok() {
            items.push(item);
        } else {
            self.output = None;
        }
    }

    async fn error(&mut self, event: &ErrorEvent) -> io::Result<()> {
        self.has_ended = true;
        self.say(OutMessage { text: event.message(self.lane), is_error: true }).await
    }

    /// Says that the answer broke off, where it did without a word.
    async fn broken(&mut self) {
        let event =
            ErrorEvent::new(StatusCode::BAD_GATEWAY, "upstream_error", "The response broke off before its end.", None);
        let _ = self.error(&event).await; // who left is told nothing
    }

    async fn say(&self, message: OutMessage) -> io::Result<()> {
        self.events.send(message).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

async fn whole(body: Incoming, limit: usize) -> io::Result<Bytes> {
    let collected = Limited::new(body, limit).collect().await.map_err(io::Error::other)?;
    Ok(collected.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_handshake_s_fields_and_none_that_made_it_a_handshake() {
        let mut handshake = RequestHeader::build("GET", b"/v1/responses?a=b", None).expect("a header");
        for (name, value) in [
            ("host", "h"),
            ("authorization", "Bearer k"),
            ("session-id", "s"),
            ("connection", "Upgrade, x-hop"),
            ("x-hop", "1"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "k"),
            ("sec-websocket-extensions", "permessage-deflate"),
            ("x-request-id", "one"),
        ] {
            handshake.append_header(name, value).expect("a good field");
        }
        let (stream, _other) = tokio::io::duplex(1);
        let client = Arc::new(ClientDigests::of(&(Box::new(stream) as pingora::protocols::Stream)));

        let request =
            RequestTemplate::of(&handshake, client, 10).0.request(Bytes::from_static(b"{}")).expect("a request");

        assert_eq!((request.method().as_str(), request.uri().to_string()), ("POST", "/v1/responses?a=b".to_owned()));
        let mut names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "authorization", "content-type", "host", "session-id"]);
    }
}
