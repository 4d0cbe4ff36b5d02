//! Bodies that take long, and those that are only passed on: each is bounded, and arrives as it was meant.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::client::{CHAT, Connection, Framing, Raw, Reply, chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::reload::until_metric;
use crate::soon;

/// An upstream that answers the first request of every connection with these bytes, and then sends back what comes.
async fn raw_origin(answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let (mut from, mut to) = stream.split();
                if to.write_all(answer.as_bytes()).await.is_ok() {
                    let _ = tokio::io::copy(&mut from, &mut to).await; // until either side leaves
                }
            });
        }
    });
    address
}

async fn before(address: SocketAddr) -> Gateway {
    let origin = Origin::start().await;
    let config = Config { default_provider: Some("one"), small: address, ..Config::new(&origin, &origin) };
    Gateway::start(&config).await
}

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

#[tokio::test]
async fn a_large_body_arrives_whole_whether_it_is_encoded_or_comes_in_pieces() {
    let small = Origin::start().await;
    let gateway = Gateway::start(&Config::new(&small, &small)).await;
    let body = question("auto", &"some words ".repeat(200_000));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body.as_bytes()).expect("memory takes all");
    let encoded = Bytes::from(encoder.finish().expect("memory takes all"));

    for framing in Framing::ALL {
        for (encoding, sent) in [("identity", Bytes::from(body.clone())), ("gzip", encoded.clone())] {
            let mut connection = Connection::open(gateway.listen, framing).await;
            let request = connection.request(Method::POST, CHAT).header("content-encoding", encoding);
            let request = request.header("content-type", "application/json").body(framing.body(sent));
            let reply = Reply::read(connection.send(request.expect("a valid request")).await.expect("an answer")).await;

            assert_eq!(reply.status, StatusCode::OK, "{framing:?} {encoding}");
            let arrived = small.next().await.body;
            assert_eq!(arrived.len(), body.len() - "auto".len() + "small-1".len(), "{framing:?} {encoding}");
        }
    }
    until_metric(&gateway, "pointsman_request_body_bytes_in_flight 0").await;
}

#[tokio::test]
async fn a_body_and_what_is_sent_of_it_count_both() {
    let small = Origin::start().await;
    let body = question("auto", &"x".repeat(1000));
    for (limits, status) in [
        (", max_bytes_in_flight: 1500", StatusCode::SERVICE_UNAVAILABLE),
        (", max_bytes_in_flight: 2500", StatusCode::OK),
    ] {
        let gateway = Gateway::start(&Config { limits, ..Config::new(&small, &small) }).await;

        assert_eq!(chat(gateway.listen, body.clone()).await.status, status, "{limits}");
    }
}

#[tokio::test]
async fn what_bodies_may_take_together_is_shown_where_the_file_does_not_say() {
    let small = Origin::start().await;
    let gateway = Gateway::start(&Config::new(&small, &small)).await;

    let config = get(gateway.admin, "/config").await.json();

    let bytes = config.pointer("/config/limits/max_bytes_in_flight").or(config.pointer("/limits/max_bytes_in_flight"));
    let bytes = bytes.and_then(serde_json::Value::as_u64).expect("a number");
    assert!((1 << 20..=1 << 30).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn a_client_that_drips_a_body_that_is_passed_on_gets_a_408_although_it_never_pauses() {
    let small = Origin::start().await;
    let config = Config { limits: ", body: 300ms", default_provider: Some("one"), ..Config::new(&small, &small) };
    let gateway = Gateway::start(&config).await;
    for framing in ["content-length: 33554432\r\n\r\n", "transfer-encoding: chunked\r\n\r\n"] {
        let mut client = Raw::open(gateway.listen).await;
        client.write(format!("POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-type: audio/wav\r\n{framing}")).await;

        assert!(client.drip("1\r\nx\r\n").await.starts_with("HTTP/1.1 408"), "{framing}");
    }
    until_metric(&gateway, r#"pointsman_rejections_total{code="request_timeout"} 2"#).await;
    assert!(small.take().is_none());
}

#[tokio::test]
async fn a_client_that_drips_such_a_body_by_http_2_gets_a_408_too() {
    let small = Origin::start().await;
    let config = Config { limits: ", body: 300ms", default_provider: Some("one"), ..Config::new(&small, &small) };
    let gateway = Gateway::start(&config).await;
    let mut connection = Connection::open(gateway.listen, Framing::H2NoLength).await;
    let ticks = tokio::time::interval(Duration::from_millis(20));
    let slow = stream::unfold(ticks, async |mut ticks| {
        ticks.tick().await;
        Some((Ok(Frame::data(Bytes::from_static(b"x"))), ticks))
    });
    let request = connection.request(Method::POST, "/v1/files").header("content-type", "audio/wav");
    let request = request.body(BodyExt::boxed(StreamBody::new(sync(slow)))).expect("a valid request");

    let reply = connection.send(request).await.expect("an answer");

    assert_eq!(reply.status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn a_client_that_pauses_in_a_body_that_is_passed_on_gets_a_408_by_either_protocol() {
    for http in ["h1", "h2"] {
        let small = Origin::start().await;
        let limits = ", body_idle: 200ms";
        let one = vec![format!("http: {http}")];
        let config = Config { limits, one, default_provider: Some("one"), ..Config::new(&small, &small) };
        let gateway = Gateway::start(&config).await;
        for framing in [Framing::Chunked, Framing::H2NoLength] {
            let mut connection = Connection::open(gateway.listen, framing).await;
            let begun = stream::iter([Ok(Frame::data(Bytes::from_static(b"x")))]);
            let body = StreamBody::new(sync(futures::StreamExt::chain(begun, stream::pending())));
            let request = connection.request(Method::POST, "/v1/files").header("content-type", "audio/wav");

            let reply = connection.send(request.body(BodyExt::boxed(body)).expect("a valid request")).await;

            assert_eq!(reply.expect("an answer").status(), StatusCode::REQUEST_TIMEOUT, "{framing:?} to {http}");
        }
    }
}

/// A stream that one task at a time polls may be shared.
fn sync<T: Send + 'static>(
    inner: impl futures::Stream<Item = T> + Send + 'static,
) -> impl futures::Stream<Item = T> + Send + Sync + 'static {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        let mut inner = std::pin::pin!(inner);
        while let Some(item) = futures::StreamExt::next(&mut inner).await {
            if sender.send(item).await.is_err() {
                return;
            }
        }
    });
    stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)))
}

#[tokio::test]
async fn a_chunked_body_beyond_the_limit_that_is_read_although_no_dialect_does_gets_a_413() {
    let small = Origin::start().await;
    let config = Config { max_body_bytes: 2000, default_provider: Some("one"), ..Config::new(&small, &small) };
    let gateway = Gateway::start(&config).await;
    for framing in Framing::ALL {
        let mut connection = Connection::open(gateway.listen, framing).await;
        let reply = connection.post(framing, "/v1/batches", question("m", &"x".repeat(5000))).await;

        let is_sized = matches!(framing, Framing::Length | Framing::H2Length);
        let expected = if is_sized { StatusCode::OK } else { StatusCode::PAYLOAD_TOO_LARGE };
        assert_eq!(reply.status, expected, "{framing:?}: what says that it is too large is passed on unread");
    }
}

#[tokio::test]
async fn a_101_that_nobody_asked_for_is_a_502_and_nothing_behind_it_reaches_the_client() {
    let gateway = before(raw_origin(format!("{SWITCH}SECRET")).await).await;
    for (path, model) in [(CHAT, "auto"), ("/v1/batches", "other")] {
        let body = question(model, "hello");
        let mut client = Raw::open(gateway.listen).await;
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n");
        client.write(format!("{head}content-length: {}\r\n\r\n{body}", body.len())).await;

        assert!(client.read_head().await.starts_with("HTTP/1.1 502"), "{path}");
    }
    until_metric(&gateway, r#"pointsman_rejections_total{code="upstream_error"} 2"#).await;
}

#[tokio::test]
async fn a_routed_request_gets_no_101_even_if_it_asks_for_one() {
    let gateway = before(raw_origin(SWITCH.to_owned()).await).await;
    let body = question("auto", "hello");
    let mut client = Raw::open(gateway.listen).await;
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n");
    let upgrade = "connection: upgrade\r\nupgrade: echo\r\n";

    client.write(format!("{head}{upgrade}content-length: {}\r\n\r\n{body}", body.len())).await;

    assert!(client.read_head().await.starts_with("HTTP/1.1 502"));
}

/// A request for a tunnel on a path that is passed on.
const TUNNEL: &str = "GET /v1/realtime HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// An upstream here answers within microseconds: as often as this, its answer comes before the request's end is told of.
const OFTEN: usize = 50;

#[tokio::test]
async fn a_client_that_asks_for_another_protocol_on_a_path_that_is_passed_on_gets_its_tunnel() {
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    for early in ["", hints] {
        let gateway = before(raw_origin(format!("{early}{SWITCH}welcome!")).await).await;
        for _ in 0..OFTEN {
            let mut client = Raw::open(gateway.listen).await;
            client.write(TUNNEL).await;
            if !early.is_empty() {
                assert!(client.read_head().await.starts_with("HTTP/1.1 103"));
            }
            assert!(client.read_head().await.starts_with("HTTP/1.1 101"));

            client.write("hello?").await;

            assert_eq!(client.read_until("?").await, "welcome!hello?");
        }
    }
}

#[tokio::test]
async fn a_client_whose_tunnel_an_upstream_refuses_gets_its_answer() {
    let head = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 3";
    let gateway = before(raw_origin(format!("{head}\r\n\r\nno.")).await).await;
    for _ in 0..OFTEN {
        let mut client = Raw::open(gateway.listen).await;
        client.write(TUNNEL).await;

        assert!(client.read_head().await.starts_with("HTTP/1.1 403"));
        assert_eq!(client.read_until(".").await, "no.");
    }
}

#[tokio::test]
async fn informational_answers_pass_and_a_flood_of_them_is_a_502() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    for (count, status) in [(2, "HTTP/1.1 200"), (1000, "HTTP/1.1 502")] {
        let hints = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(count);
        let gateway = before(raw_origin(format!("{hints}{answer}")).await).await;
        let mut client = Raw::open(gateway.listen).await;
        client.write("GET /v1/anything HTTP/1.1\r\nhost: x\r\n\r\n").await;

        let mut head = client.read_head().await;
        while head.starts_with("HTTP/1.1 103") {
            head = client.read_head().await;
        }
        assert!(head.starts_with(status), "{count}: {head}");
    }
}

#[tokio::test]
async fn a_length_that_is_said_twice_goes_upstream_once() {
    let small = Origin::start().await;
    let gateway = Gateway::start(&Config { default_provider: Some("one"), ..Config::new(&small, &small) }).await;
    let body = question("auto", "hello");
    let length = body.len();
    for (path, body) in [(CHAT, body.clone()), ("/v1/files", question("none", "hello"))] {
        for said in [format!("{length}, {length}"), format!("{length}\r\ncontent-length: {length}")] {
            let mut client = Raw::open(gateway.listen).await;
            let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n");
            client.write(format!("{head}content-length: {said}\r\n\r\n{body}")).await;

            assert!(client.read_head().await.starts_with("HTTP/1.1 200"), "{path} {said}");
            let arrived = small.next().await;
            let lengths: Vec<_> = arrived.headers.get_all("content-length").iter().collect();
            assert_eq!(lengths, [&*arrived.body.len().to_string()], "{path} {said}");
        }
    }
    let mut client = Raw::open(gateway.listen).await;
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n");
    client.write(format!("{head}content-length: {length}, {}\r\n\r\n{body}", length + 1)).await;
    assert!(client.read_head().await.starts_with("HTTP/1.1 400"), "lengths that differ");
}

#[tokio::test]
async fn connections_that_are_closed_before_a_request_are_counted_by_reason() {
    let small = Origin::start().await;
    let limits = ", max_connections: 1, header: 200ms";
    let gateway = Gateway::start(&Config { limits, ..Config::new(&small, &small) }).await;
    let mut first = Raw::open(gateway.listen).await;
    first.write("GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n").await;
    first.read_head().await;

    soon("the end of one connection too many", Raw::open(gateway.listen).await.closed()).await;
    until_metric(&gateway, r#"pointsman_downstream_connections_refused_total{reason="max_connections"} 1"#).await;
    first.write("GET /v1/mo").await;
    soon("the end of a slow header", first.closed()).await;

    until_metric(&gateway, r#"pointsman_downstream_connections_refused_total{reason="header_timeout"} 1"#).await;
}
