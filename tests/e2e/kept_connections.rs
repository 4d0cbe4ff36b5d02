//! Connections that are kept: what an upstream closes behind our back costs no request, and every error of ours says
//! truthfully whether its connection stays.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{CHAT, Connection, Framing, Raw, Reply, chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin, nobody};
use crate::reload::until_metric;

/// An answer of just its length, so that its connection is kept.
const WHOLE: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 26\r\n\r\n{\"choices\":[],\"model\":\"m\"}";

/// The way in which an upstream leaves a kept connection.
#[derive(Debug, Clone, Copy)]
enum Leaves {
    /// By its end, after the head of the next request: a read fails.
    ByEnd,
    /// By a reset, after the head of the next request: a read or a write fails.
    ByReset,
}

/// An upstream that answers one request on each connection, says that it keeps it, and leaves it as the next one comes.
struct Fickle {
    address: SocketAddr,
    answered: Arc<AtomicUsize>,
}

impl Fickle {
    async fn start(leaves: Leaves) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let answered = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&answered);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_once(stream, leaves, Arc::clone(&counted)));
            }
        });
        Self { address, answered }
    }
}

async fn answer_once(mut stream: TcpStream, leaves: Leaves, answered: Arc<AtomicUsize>) {
    let mut request = Vec::new();
    while !is_whole(&request) {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    answered.fetch_add(1, Ordering::Relaxed);
    stream.write_all(WHOLE.as_bytes()).await.expect("an open connection");
    let _ = stream.read_u8().await; // the next request has begun
    if matches!(leaves, Leaves::ByReset) {
        stream.set_zero_linger().expect("an open socket");
    }
}

/// Returns whether a request with a `Content-Length`, or without a body, has come.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

#[tokio::test]
async fn a_kept_connection_that_an_upstream_has_left_costs_no_request_and_no_trust() {
    for leaves in [Leaves::ByEnd, Leaves::ByReset] {
        let (upstream, frontier) = (Fickle::start(leaves).await, Origin::start().await);
        let config = Config {
            small: upstream.address,
            default_provider: Some("one"),
            retry: "{max_attempts: 1}",
            ..Config::new(&frontier, &frontier)
        };
        let gateway = Gateway::start(&config).await;
        let large = question("auto", &"x".repeat(2 << 20));
        let small = question("auto", "hello");
        for (number, body) in [&small, &large, &small, &large].into_iter().cycle().take(24).enumerate() {
            for framing in [Framing::Length, Framing::H2Length] {
                let reply = Connection::open(gateway.listen, framing).await.post(framing, CHAT, body.clone()).await;

                assert_eq!(reply.status, StatusCode::OK, "{leaves:?}, {framing:?}, {number}: {:?}", reply.body);
            }
        }
        assert_eq!(upstream.answered.load(Ordering::Relaxed), 48, "{leaves:?}: each request once");
        until_metric(&gateway, "pointsman_upstream_attempts_total{outcome=\"broken\",provider=\"one\"} 0").await;
        until_metric(&gateway, "pointsman_upstream_attempts_total{outcome=\"success\",provider=\"one\"} 48").await;
    }
}

#[tokio::test]
async fn what_passes_unread_meets_no_connection_that_an_upstream_has_left() {
    let (upstream, frontier) = (Fickle::start(Leaves::ByReset).await, Origin::start().await);
    let config = Config { small: upstream.address, default_provider: Some("one"), ..Config::new(&frontier, &frontier) };
    let gateway = Gateway::start(&config).await;
    let form = "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n".to_owned()
        + &"y".repeat(300_000)
        + "\r\n--x--\r\n";
    let json = "{\"model\": \"gpt-image\", \"prompt\": \"a cat\"}";
    for number in 0..12 {
        for (method, path, kind, body) in [
            (Method::GET, "/v1/batches/1", "", ""),
            (Method::POST, "/v1/files", "multipart/form-data; boundary=x", &form),
            (Method::POST, "/v1/images/generations", "application/json", json),
        ] {
            let mut connection = Connection::open(gateway.listen, Framing::Length).await;
            let request = connection.request(method, path).header("content-type", kind);
            let request = request.body(Framing::Length.body(Bytes::copy_from_slice(body.as_bytes())));

            let response = connection.send(request.expect("a valid request")).await.expect("an answer");

            assert_eq!(response.status(), StatusCode::OK, "{path}, {number}");
        }
    }
}

/// An upstream that answers the first request on each connection, and the second with `parting` alone, once its own
/// parting is due.
async fn parting(parting: &'static str, pause: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                for answer in [WHOLE, parting] {
                    let mut request = Vec::new();
                    while !is_whole(&request) {
                        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    if answer != WHOLE {
                        tokio::time::sleep(pause).await;
                    }
                    stream.write_all(answer.as_bytes()).await.expect("an open connection");
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn what_crosses_with_the_end_of_a_kept_connection_is_asked_again_over_a_new_one() {
    const GOODBYE: &str = "HTTP/1.1 408 Request Time-out\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    const OLD: &str = "HTTP/1.0 408 Request Time-out\r\n\r\n";
    let json = question("auto", "hello");
    for (name, last, pause, requests) in [
        ("late", "", 700, vec![(Method::GET, "/v1/files", ""), (Method::DELETE, "/v1/files/f", "")]),
        (
            "continue",
            "HTTP/1.1 100 Continue\r\n\r\n",
            0,
            vec![(Method::GET, "/v1/files", ""), (Method::POST, CHAT, &*json)],
        ),
        ("408", GOODBYE, 0, vec![(Method::GET, "/v1/files", ""), (Method::POST, CHAT, &*json)]),
        ("old 408", OLD, 0, vec![(Method::POST, CHAT, &*json)]),
    ] {
        let (upstream, frontier) = (parting(last, Duration::from_millis(pause)).await, Origin::start().await);
        let config = Config {
            small: upstream,
            default_provider: Some("one"),
            retry: "{max_attempts: 1}",
            ..Config::new(&frontier, &frontier)
        };
        let gateway = Gateway::start(&config).await;
        for (number, (method, path, body)) in requests.iter().cycle().take(6).enumerate() {
            let mut connection = Connection::open(gateway.listen, Framing::Length).await;
            let request = connection.request(method.clone(), path).header("content-type", "application/json");
            let request = request.body(Framing::Length.body(Bytes::copy_from_slice(body.as_bytes())));

            let response = connection.send(request.expect("a valid request")).await.expect("an answer");

            assert_eq!(response.status(), StatusCode::OK, "{name}: {method} {path}, {number}");
            drop(Reply::read(response).await);
        }
        until_metric(&gateway, "pointsman_upstream_attempts_total{outcome=\"broken\",provider=\"one\"} 0").await;
    }
}

#[tokio::test]
async fn a_408_over_a_new_connection_is_the_answer() {
    let late = Answer::Reply(StatusCode::REQUEST_TIMEOUT, vec![("connection", "close")], "{}".into());
    let small = Origin::answering([late]).await;
    let config = Config { default_provider: Some("one"), retry: "{max_attempts: 1}", ..Config::new(&small, &small) };
    let gateway = Gateway::start(&config).await;

    assert_eq!(get(gateway.listen, "/v1/files").await.status, StatusCode::REQUEST_TIMEOUT);
}

/// A request, and the status that it is refused with.
struct Refused {
    name: &'static str,
    request: String,
    status: &'static str,
}

fn post(path: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{fields}content-length: {length}\r\n\r\n{body}"
    )
}

fn refusals() -> Vec<Refused> {
    let refused = |name, request, status| Refused { name, request, status };
    let large = question("auto", &"x".repeat(20_000));
    let unfinished = |fields: &str| {
        format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{fields}\r\n{{\"model\":")
    };
    vec![
        refused("no JSON", post(CHAT, "", "{"), "400"),
        refused("no model", post(CHAT, "", "{}"), "400"),
        refused("an unknown model", post(CHAT, "", &question("nobody-s", "hi")), "404"),
        refused("an unknown path", "GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "404"),
        refused("a body that is too large", post(CHAT, "", &large), "413"),
        refused("a body that is too large, in chunks", chunked(&large), "413"),
        refused("a body that is too large and not sent", unfinished("content-length: 1000000\r\n"), "413"),
        refused(
            "a body that is asked for first",
            unfinished("expect: 100-continue\r\ncontent-length: 999999\r\n"),
            "413",
        ),
        refused("a body that does not come", unfinished("content-length: 100\r\n"), "408"),
        refused("an unknown encoding", post(CHAT, "content-encoding: compress\r\n", "{}"), "415"),
        refused("an encoding that it has not", post(CHAT, "content-encoding: gzip\r\n", "{}"), "400"),
        refused("another content type", post(CHAT, "", "text").replace("application/json", "text/plain"), "415"),
        refused("a header that is too large", post(CHAT, &format!("x-a: {}\r\n", "a".repeat(70_000)), "{}"), "431"),
        refused("a provider that cannot be reached", post(CHAT, "", &question("auto", "hi")), "502"),
        refused("a provider of what passes", post("/v1/images/generations", "", "{\"model\":\"m\"}"), "502"),
        refused("HTTP that is none", "GET / HTTP/1.1\r\nhost: x\r\nno colon\r\n\r\n".to_owned(), "400"),
        refused("a chunk without a size", chunked("{}").replace("\r\n\r\n2\r\n", "\r\n\r\nzz\r\n"), "400"),
        refused("two lengths", post(CHAT, "content-length: 1\r\n", "{}"), "400"),
        refused("a tunnel", "CONNECT x:1 HTTP/1.1\r\nhost: x:1\r\n\r\n".to_owned(), "405"),
    ]
}

fn chunked(body: &str) -> String {
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    head + &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

#[tokio::test]
async fn every_error_says_truthfully_whether_its_connection_stays() {
    let frontier = Origin::start().await;
    let config = Config {
        small: nobody().await,
        max_body_bytes: 10_000,
        limits: ", body_idle: 300ms",
        ..Config::new(&frontier, &frontier)
    };
    let gateway = Gateway::start(&config).await;
    let passing = Gateway::start(&Config { default_provider: Some("one"), ..config }).await;
    for Refused { name, request, status } in refusals() {
        let gateway = if name == "a provider of what passes" { &passing } else { &gateway };
        let mut client = Raw::open(gateway.listen).await;
        client.write(&request).await;

        let head = client.read_answer().await;

        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{name}: {head}");
        let says = head.to_lowercase();
        if says.contains("connection: close") {
            assert_eq!(client.rest().await.expect("no reset"), b"", "{name}");
        } else {
            assert!(says.contains("connection: keep-alive"), "{name}: {head}");
            client.write(post(CHAT, "", "{")).await;
            assert!(
                client.read_answer().await.starts_with("HTTP/1.1 400"),
                "{name}: the next request on the connection"
            );
        }
    }
}

#[tokio::test]
async fn a_connection_whose_request_was_read_is_kept_whatever_the_upstream_does() {
    const CUT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
    let small = Origin::answering([Answer::HangUp, Answer::CutEvents(CUT.into()), Answer::Completion]).await;
    let gateway = Gateway::start(&Config { retry: "{max_attempts: 1}", ..Config::new(&small, &small) }).await;
    let mut client = Raw::open(gateway.listen).await;
    let ask = post(CHAT, "", &question("auto", "hi"));

    for status in ["502", "200", "200"] {
        client.write(&ask).await;
        let head = client.read_answer().await;

        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        assert!(head.to_lowercase().contains("connection: keep-alive"), "{head}");
    }
}

#[tokio::test]
async fn a_client_that_wants_its_connection_closed_has_it_closed_after_an_error_too() {
    let small = nobody().await;
    let frontier = Origin::start().await;
    let gateway = Gateway::start(&Config { small, ..Config::new(&frontier, &frontier) }).await;
    let mut client = Raw::open(gateway.listen).await;

    client.write(post(CHAT, "connection: close\r\n", &question("auto", "hi"))).await;
    let head = client.read_answer().await;

    assert!(head.starts_with("HTTP/1.1 502") && head.to_lowercase().contains("connection: close"), "{head}");
    assert_eq!(client.rest().await.expect("no reset"), b"");
    assert_eq!(chat(gateway.listen, "{").await.status, StatusCode::BAD_REQUEST);
}
