//! Clients: HTTP/1 and h2c with every body framing, and raw bytes for what no client library would send.

use std::net::SocketAddr;

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::soon;

pub(crate) const CHAT: &str = "/v1/chat/completions";

type Body = BoxBody<Bytes, hyper::Error>;

/// How a body travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// HTTP/1.1 with `Content-Length`.
    Length,
    /// HTTP/1.1 in chunks.
    Chunked,
    /// HTTP/2 with `content-length`.
    H2Length,
    /// HTTP/2 with nothing but the end of the stream.
    H2NoLength,
}

/// One connection to the gateway; requests follow each other on it.
pub(crate) struct Connection {
    address: SocketAddr,
    sender: Sender,
}

enum Sender {
    H1(http1::SendRequest<Body>),
    H2(http2::SendRequest<Body>),
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Framing {
    pub(crate) const ALL: [Self; 4] = [Self::Length, Self::Chunked, Self::H2Length, Self::H2NoLength];

    fn is_h2(self) -> bool {
        matches!(self, Self::H2Length | Self::H2NoLength)
    }

    pub(crate) fn body(self, bytes: Bytes) -> Body {
        if matches!(self, Self::Length | Self::H2Length) {
            return Full::new(bytes).map_err(|never| match never {}).boxed();
        }
        // Uneven pieces, so that no boundary falls on a power of two.
        let pieces: Vec<_> = bytes.chunks(10_007).map(|piece| Ok(Frame::data(bytes.slice_ref(piece)))).collect();
        BodyExt::boxed(StreamBody::new(stream::iter(pieces)))
    }
}

impl Connection {
    /// Connects with the HTTP version that `framing` belongs to.
    pub(crate) async fn open(address: SocketAddr, framing: Framing) -> Self {
        let stream = TokioIo::new(TcpStream::connect(address).await.expect("the gateway accepts connections"));
        let sender = if framing.is_h2() {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.expect("an h2 handshake");
            tokio::spawn(connection);
            Sender::H2(sender)
        } else {
            let (sender, connection) = http1::handshake(stream).await.expect("an h1 handshake");
            tokio::spawn(connection);
            Sender::H1(sender)
        };
        Self { address, sender }
    }

    /// Sends a request and returns as soon as the answer's headers are there.
    pub(crate) async fn send(&mut self, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        soon("an answer's headers", async {
            match &mut self.sender {
                Sender::H1(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
                Sender::H2(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
            }
        })
        .await
    }

    /// Posts a JSON body and returns as soon as the answer's headers are there.
    pub(crate) async fn start(&mut self, framing: Framing, path: &str, body: impl Into<Bytes>) -> Response<Incoming> {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        let request = request.body(framing.body(body.into())).expect("a valid request");
        self.send(request).await.expect("an answer")
    }

    /// Posts a JSON body and reads the whole answer.
    pub(crate) async fn post(&mut self, framing: Framing, path: &str, body: impl Into<Bytes>) -> Reply {
        Reply::read(self.start(framing, path, body).await).await
    }

    /// Begins a request to this connection's address.
    pub(crate) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let request = Request::builder().method(method);
        match self.sender {
            Sender::H1(_) => request.uri(path).header("host", self.address.to_string()),
            Sender::H2(_) => request.uri(format!("http://{}{path}", self.address)),
        }
    }
}

impl Reply {
    pub(crate) async fn read(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = soon("an answer's body", body.collect()).await.expect("a whole body").to_bytes();
        Self { status: head.status, headers: head.headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a printable header"))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// Returns the `code` of an error in the OpenAI shape, after checking the shape.
    pub(crate) fn error_code(&self) -> String {
        let error = &self.json()["error"];
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "no message in {:?}", self.body);
        if let Some(reason) = error["details"][0]["reason"].as_str() {
            return reason.to_owned(); // in Google's shape
        }
        assert!(error["type"].is_string(), "no type in {:?}", self.body);
        assert!(error.get("param").is_some(), "no param in {:?}", self.body);
        assert_eq!(self.header("content-type"), Some("application/json"));
        error["code"].as_str().unwrap_or_else(|| panic!("no code in {:?}", self.body)).to_owned()
    }
}

/// Posts one chat request on a connection of its own.
pub(crate) async fn chat(address: SocketAddr, body: impl Into<Bytes>) -> Reply {
    Connection::open(address, Framing::Length).await.post(Framing::Length, CHAT, body).await
}

/// Gets one path on a connection of its own.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Reply {
    let mut connection = Connection::open(address, Framing::Length).await;
    let request =
        connection.request(Method::GET, path).body(Framing::Length.body(Bytes::new())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

/// Returns a chat request with one user turn.
pub(crate) fn question(model: &str, text: &str) -> String {
    serde_json::json!({"model": model, "messages": [{"role": "user", "content": text}]}).to_string()
}

/// A connection without a client library.
pub(crate) struct Raw(TcpStream);

impl Raw {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("the gateway accepts connections"))
    }

    /// Connects, if anybody listens.
    pub(crate) async fn try_open(address: SocketAddr) -> Option<Self> {
        soon("a connection", TcpStream::connect(address)).await.ok().map(Self)
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        soon("room to write", self.0.write_all(bytes.as_ref())).await.expect("an open connection");
    }

    /// Reads until what was read since the call ends with `end`.
    pub(crate) async fn read_until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !read.ends_with(end.as_bytes()) {
            let byte = soon(end, self.0.read_u8()).await;
            read.push(byte.unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&read))));
        }
        String::from_utf8(read).expect("text")
    }

    /// Reads one answer that has a `Content-Length` or chunks; returns its head.
    pub(crate) async fn read_head(&mut self) -> String {
        self.read_until("\r\n\r\n").await
    }

    /// Reads one answer with its body, and what informs before it; returns its head.
    pub(crate) async fn read_answer(&mut self) -> String {
        loop {
            let head = self.read_head().await;
            let fields = head.to_lowercase();
            if fields.starts_with("http/1.1 1") {
                continue;
            }
            if fields.contains("transfer-encoding: chunked") {
                self.read_until("\r\n0\r\n\r\n").await;
                return head;
            }
            let length = fields.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            soon("a body", self.0.read_exact(&mut body)).await.expect("a whole body");
            return head;
        }
    }

    /// Writes, and returns whether the other side still takes it.
    pub(crate) async fn try_write(&mut self, bytes: &str) -> bool {
        soon("room to write", self.0.write_all(bytes.as_bytes())).await.is_ok()
    }

    /// Writes these bytes again and again, until the other side says something; returns the head of what it says.
    pub(crate) async fn drip(&mut self, bytes: &str) -> String {
        let dripping = async {
            loop {
                tokio::select! {
                    biased;
                    ready = self.0.readable() => return ready.expect("an open connection"),
                    () = tokio::task::yield_now() => self.0.write_all(bytes.as_bytes()).await.expect("an open connection"),
                }
            }
        };
        soon("an answer", dripping).await;
        self.read_head().await
    }

    /// Reads until the other side ends the connection.
    pub(crate) async fn rest(&mut self) -> std::io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        soon("the connection's end", self.0.read_to_end(&mut rest)).await.map(|_| rest)
    }

    /// Waits until the other side closes the connection, whatever it says before.
    pub(crate) async fn closed(&mut self) {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest).await; // a reset is an end as well
    }
}
