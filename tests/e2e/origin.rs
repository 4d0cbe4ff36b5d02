//! A scripted upstream: it writes down every request and answers as it was told.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::soon;

type Body = BoxBody<Bytes, io::Error>;

/// An upstream on a free port, HTTP/1 and h2c; it ends with the test's runtime.
pub(crate) struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) version: Version,
    pub(crate) body: Bytes,
}

/// What an origin does with a request.
pub(crate) enum Answer {
    /// A chat completion whose `model` is the one that was asked for.
    Completion,
    /// Exactly this.
    Reply(StatusCode, Vec<(&'static str, &'static str)>, Bytes),
    /// An event stream: each message is a chunk, the channel's end is the stream's. The sender sees `closed` when the
    /// gateway has left.
    Events(mpsc::Receiver<Bytes>),
    /// The same of another type.
    TypedEvents(&'static str, mpsc::Receiver<Bytes>),
    /// A completion, once released. The sender sees `closed` when the gateway has left.
    Held(oneshot::Receiver<()>),
    /// Closes the connection instead of answering.
    HangUp,
    /// Sends headers and this much of a longer body, then closes the connection.
    HangUpAfter(Bytes),
    /// Begins an event stream with this, then closes the connection.
    CutEvents(Bytes),
}

struct Shared {
    /// What `/health` is answered with; such requests are neither scripted nor recorded.
    health: Mutex<StatusCode>,
    tls: Option<TlsAcceptor>,
    connections: Mutex<JoinSet<()>>,
    script: Mutex<VecDeque<Answer>>,
    requests: Mutex<VecDeque<Recorded>>,
    arrived: Notify,
}

impl Origin {
    /// Starts an origin that answers every request with a completion.
    pub(crate) async fn start() -> Self {
        Self::answering([]).await
    }

    /// Starts an origin that gives these answers in turn, and completions ever after.
    pub(crate) async fn answering(script: impl IntoIterator<Item = Answer>) -> Self {
        Self::new(script, None).await
    }

    /// Starts an origin that speaks TLS as `llm.test`; ALPN offers both HTTP versions.
    pub(crate) async fn with_tls() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
        Self::certified(&folder.join("server.pem"), &folder.join("server.key")).await
    }

    /// Starts an origin that speaks TLS with this certificate.
    pub(crate) async fn certified(chain: &Path, key: &Path) -> Self {
        Self::new([], Some(tls_acceptor(chain, key))).await
    }

    async fn new(script: impl IntoIterator<Item = Answer>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            health: Mutex::new(StatusCode::OK),
            tls,
            connections: Mutex::default(),
            script: Mutex::new(script.into_iter().collect()),
            requests: Mutex::default(),
            arrived: Notify::new(),
        });
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds an answer to the script.
    pub(crate) fn script(&self, answer: Answer) {
        self.shared.script.lock().expect("no test panics with the lock").push_back(answer);
    }

    /// Answers health checks with `status` from now on.
    pub(crate) fn set_health(&self, status: StatusCode) {
        *self.shared.health.lock().expect("no test panics with the lock") = status;
    }

    /// Returns how many connections are open.
    pub(crate) fn connections(&self) -> usize {
        let mut connections = self.shared.connections.lock().expect("no test panics with the lock");
        while connections.try_join_next().is_some() {}
        connections.len()
    }

    /// Closes every connection.
    pub(crate) fn hang_up(&self) {
        self.shared.connections.lock().expect("no test panics with the lock").abort_all();
    }

    /// Waits for the oldest request that was not taken yet.
    pub(crate) async fn next(&self) -> Recorded {
        soon("a request at the origin", async {
            loop {
                let arrived = self.shared.arrived.notified();
                if let Some(request) = self.take() {
                    return request;
                }
                arrived.await;
            }
        })
        .await
    }

    /// Takes the oldest request, if there is one.
    pub(crate) fn take(&self) -> Option<Recorded> {
        self.shared.requests.lock().expect("no test panics with the lock").pop_front()
    }
}

impl Recorded {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a printable header"))
    }

    pub(crate) fn model(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).expect("a JSON body");
        body["model"].as_str().expect("a model").to_owned()
    }
}

/// Returns the address of a port that refuses connections.
pub(crate) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("a bound listener has an address")
}

/// An upstream that takes HTTP/2 requests and never reads their bodies, so that it gives no window.
pub(crate) struct Stalled {
    pub(crate) address: SocketAddr,
    requests: mpsc::Receiver<oneshot::Receiver<()>>,
}

impl Stalled {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (sender, requests) = mpsc::channel(8);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                let service = service_fn(move |request: Request<Incoming>| hold(request, sender.clone()));
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, requests }
    }

    /// Waits for a request; what it returns ends when the request's stream is reset.
    pub(crate) async fn next(&mut self) -> oneshot::Receiver<()> {
        soon("a request at the stalled origin", self.requests.recv()).await.expect("it serves")
    }
}

/// Keeps a request without reading its body.
async fn hold(request: Request<Incoming>, arrived: mpsc::Sender<oneshot::Receiver<()>>) -> io::Result<Response<Body>> {
    let (_left, leaves) = oneshot::channel::<()>(); // dropped with this future, when the stream is reset
    arrived.send(leaves).await.expect("the test listens");
    std::future::pending::<()>().await;
    drop(request);
    Err(io::Error::other("never"))
}

pub(crate) fn tls_acceptor(chain: &Path, key: &Path) -> TlsAcceptor {
    let chain = CertificateDer::from_pem_file(chain).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![chain], key);
    let mut config = config.expect("the key is the certificate's");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let serving = serve(stream, Arc::clone(&shared));
        shared.connections.lock().expect("no test panics with the lock").spawn(serving);
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request| respond(request, Arc::clone(&shared)));
    let server = auto::Builder::new(TokioExecutor::new());
    // A broken connection is part of some scripts: the client's side of the test judges it.
    match &shared.tls {
        None => drop(server.serve_connection(TokioIo::new(stream), service).await),
        Some(tls) => {
            let Ok(stream) = tls.accept(stream).await else { return };
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        }
    }
}

async fn respond(request: Request<Incoming>, shared: Arc<Shared>) -> io::Result<Response<Body>> {
    if request.uri().path() == "/health" {
        let status = *shared.health.lock().expect("no test panics with the lock");
        return Ok(reply(status, &[], Bytes::new()));
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let recorded = Recorded { method: head.method, path, headers: head.headers, version: head.version, body };

    let model = requested_model(&recorded.body);
    shared.requests.lock().expect("no test panics with the lock").push_back(recorded);
    shared.arrived.notify_one();
    let answer = shared.script.lock().expect("no test panics with the lock").pop_front();
    give(answer.unwrap_or(Answer::Completion), &model).await
}

async fn give(answer: Answer, model: &str) -> io::Result<Response<Body>> {
    match answer {
        Answer::Completion => Ok(completion(model)),
        Answer::Reply(status, headers, body) => Ok(reply(status, &headers, body)),
        Answer::Events(chunks) => Ok(events("text/event-stream", chunks)),
        Answer::TypedEvents(kind, chunks) => Ok(events(kind, chunks)),
        Answer::Held(released) => {
            let _ = released.await; // a dropped sender releases as well
            Ok(completion(model))
        }
        Answer::HangUp => Err(io::Error::other("hung up as scripted")),
        Answer::HangUpAfter(part) => {
            let longer = (part.len() + 1).to_string();
            Ok(torn(
                part,
                Response::builder().header("content-type", "application/json").header("content-length", longer),
            ))
        }
        Answer::CutEvents(part) => Ok(torn(part, Response::builder().header("content-type", "text/event-stream"))),
    }
}

fn requested_model(body: &[u8]) -> String {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    body.and_then(|body| body["model"].as_str().map(str::to_owned)).unwrap_or_default()
}

fn completion(model: &str) -> Response<Body> {
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": format!("by {model}")}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    });
    reply(StatusCode::OK, &[("content-type", "application/json")], body.to_string().into())
}

fn reply(status: StatusCode, headers: &[(&'static str, &'static str)], body: Bytes) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::new(body).map_err(never).boxed()).expect("valid headers")
}

fn events(kind: &str, chunks: mpsc::Receiver<Bytes>) -> Response<Body> {
    let frames = stream::unfold(chunks, async |mut chunks| Some((Ok(Frame::data(chunks.recv().await?)), chunks)));
    let response = Response::builder().header("content-type", kind);
    response.body(BodyExt::boxed(StreamBody::new(frames))).expect("valid headers")
}

fn torn(part: Bytes, response: http::response::Builder) -> Response<Body> {
    let tear = async {
        tokio::task::yield_now().await; // hyper flushes what it has when a body is not ready
        Err(io::Error::other("hung up as scripted"))
    };
    let frames = stream::iter([Ok(Frame::data(part))]).chain(stream::once(tear));
    response.body(BodyExt::boxed(StreamBody::new(frames))).expect("valid headers")
}

fn never(impossible: Infallible) -> io::Error {
    match impossible {}
}
