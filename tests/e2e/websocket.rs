//! WebSockets: a client of `/v1/responses`, and a provider that speaks by them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::server::{Callback, ErrorResponse, Request as Handshake, Response};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::gateway::Gateway;
use crate::origin::{Answer, tls_acceptor};
use crate::soon;

pub(crate) const RESPONSES: &str = "/v1/responses";

/// A client's WebSocket.
pub(crate) struct Client(pub(crate) WebSocketStream<TcpStream>);

/// An upstream that speaks by WebSocket alone; it ends with the test's runtime.
pub(crate) struct SocketOrigin {
    pub(crate) address: SocketAddr,
    opened: Mutex<mpsc::Receiver<Opened>>,
    refusal: Arc<Mutex<Option<(StatusCode, &'static str)>>>,
}

/// A look at a handshake, which may be refused.
struct HandshakeLook<'h> {
    seen: &'h mut (String, HeaderMap),
    refusal: &'h Mutex<Option<(StatusCode, &'static str)>>,
}

impl Callback for HandshakeLook<'_> {
    fn on_request(self, request: &Handshake, response: Response) -> Result<Response, ErrorResponse> {
        *self.seen = (request.uri().to_string(), request.headers().clone());
        let refused = self.refusal.lock().expect("nobody panics").take();
        let Some((status, body)) = refused else { return Ok(response) };
        let mut refusal = ErrorResponse::new(Some(body.to_owned()));
        *refusal.status_mut() = status;
        Err(refusal)
    }
}

/// A WebSocket that the gateway has opened.
pub(crate) struct Opened {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) socket: WebSocketStream<Box<dyn Transport>>,
}

/// A connection with or without TLS.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

impl Client {
    pub(crate) async fn open(gateway: &Gateway) -> Self {
        Self::try_open(gateway.listen, RESPONSES, &[]).await.expect("a WebSocket")
    }

    /// Opens a WebSocket at a path, or returns what was answered instead.
    pub(crate) async fn try_open(
        address: SocketAddr,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<Self, (StatusCode, String)> {
        let stream = TcpStream::connect(address).await.expect("the gateway accepts connections");
        let mut request = Request::get(format!("ws://{address}{path}"))
            .header("host", address.to_string())
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", generate_key());
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("a valid handshake");
        match soon("a handshake", tokio_tungstenite::client_async(request, stream)).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(answer)) => {
                let body = answer.body().clone().unwrap_or_default();
                Err((answer.status(), String::from_utf8_lossy(&body).into_owned()))
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn send(&mut self, message: Value) {
        soon("room to write", self.0.send(Message::text(message.to_string()))).await.expect("an open WebSocket");
    }

    /// Returns the next message.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match soon("a message", self.0.next()).await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(text.as_str()).expect("JSON"),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("no message, but {other:?}"),
            }
        }
    }

    /// Asks, and returns the messages up to the last of the answer.
    pub(crate) async fn ask(&mut self, message: Value) -> Vec<Value> {
        self.send(message).await;
        self.answer().await
    }

    /// Returns the messages of an answer.
    pub(crate) async fn answer(&mut self) -> Vec<Value> {
        let mut answer = Vec::new();
        loop {
            answer.push(self.next().await);
            if matches!(kind(answer.last().expect("one")), "response.completed" | "response.failed" | "error") {
                return answer;
            }
        }
    }

    /// Waits for the end, and returns its code.
    pub(crate) async fn closed(&mut self) -> Option<CloseCode> {
        loop {
            match soon("the end", self.0.next()).await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}

impl SocketOrigin {
    pub(crate) async fn start() -> Self {
        Self::new(None).await
    }

    /// Starts one that speaks TLS as `llm.test`.
    pub(crate) async fn with_tls() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
        Self::new(Some(tls_acceptor(&folder.join("server.pem"), &folder.join("server.key")))).await
    }

    async fn new(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (sender, opened) = mpsc::channel(8);
        let refusal = Arc::new(Mutex::new(None));
        let says = Arc::clone(&refusal);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut seen = (String::new(), HeaderMap::new());
                let look = HandshakeLook { seen: &mut seen, refusal: &says };
                let transport: Box<dyn Transport> = match &tls {
                    None => Box::new(stream),
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => Box::new(stream),
                        Err(_) => continue, // who does not trust it
                    },
                };
                let Ok(socket) = tokio_tungstenite::accept_hdr_async(transport, look).await else { continue };
                let (path, headers) = seen;
                let _ = sender.send(Opened { path, headers, socket }).await; // the test may be over
            }
        });
        Self { address, opened: Mutex::new(opened), refusal }
    }

    /// Refuses the next handshake.
    pub(crate) fn refuse(&self, status: StatusCode, body: &'static str) {
        *self.refusal.lock().expect("nobody panics") = Some((status, body));
    }

    /// Waits for the next WebSocket.
    pub(crate) async fn next(&self) -> Opened {
        let next = std::future::poll_fn(|cx| self.opened.lock().expect("nobody panics").poll_recv(cx));
        soon("a WebSocket at the origin", next).await.expect("it listens")
    }

    /// Returns whether a WebSocket was opened that nobody has taken.
    pub(crate) fn has_more(&self) -> bool {
        self.opened.lock().expect("nobody panics").try_recv().is_ok()
    }
}

impl Opened {
    /// Returns the next request.
    pub(crate) async fn next(&mut self) -> Value {
        match soon("a request", self.socket.next()).await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(text.as_str()).expect("JSON"),
            other => panic!("no request, but {other:?}"),
        }
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        soon("room to write", self.socket.send(Message::text(message.to_string()))).await.expect("an open WebSocket");
    }

    /// Answers a request with a whole response.
    pub(crate) async fn answer(&mut self, id: &str) {
        for event in events(id, "from afar") {
            self.send(&event).await;
        }
    }

    /// Waits until the gateway has left.
    pub(crate) async fn left(&mut self) {
        soon("the gateway to leave", async {
            while self.socket.next().await.is_some_and(|read| !matches!(read, Err(_) | Ok(Message::Close(_)))) {}
        })
        .await;
    }
}

pub(crate) fn kind(message: &Value) -> &str {
    message["type"].as_str().unwrap_or_default()
}

/// Returns a request of a client's; `more` are more of its keys.
pub(crate) fn create(input: &str, more: Value) -> Value {
    let mut message = json!({"type": "response.create", "model": "auto", "store": false, "input": input});
    let Value::Object(more) = more else { panic!("{more} is no object") };
    message.as_object_mut().expect("an object").extend(more);
    message
}

/// Returns the events of a response.
pub(crate) fn events(id: &str, text: &str) -> Vec<Value> {
    let content = json!([{"type": "output_text", "text": text, "annotations": []}]);
    let item =
        json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content});
    let begun =
        json!({"id": id, "object": "response", "created_at": 1, "model": "m", "status": "in_progress", "output": []});
    let mut done = begun.clone();
    done["status"] = json!("completed");
    done["output"] = json!([item]);
    done["usage"] = json!({
        "input_tokens": 5, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 7,
    });
    vec![
        json!({"type": "response.created", "sequence_number": 0, "response": begun}),
        json!({"type": "response.output_text.delta", "sequence_number": 1, "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": text}),
        json!({"type": "response.output_item.done", "sequence_number": 2, "output_index": 0, "item": item}),
        json!({"type": "response.completed", "sequence_number": 3, "response": done}),
    ]
}

/// Returns events as a posted request gets them.
pub(crate) fn sse(events: &[Value]) -> Bytes {
    let lines = events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", kind(event)));
    lines.collect::<String>().into()
}

/// Returns the answer of a provider that is posted to.
pub(crate) fn posted(id: &str, text: &str) -> Answer {
    Answer::Reply(StatusCode::OK, vec![("content-type", "text/event-stream")], sse(&events(id, text)))
}
