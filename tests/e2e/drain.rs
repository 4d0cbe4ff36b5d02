//! A shutdown: what is open ends well, and what outstays it is told why.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot};

use crate::client::{CHAT, Connection, Framing, Raw, Reply, chat, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::soon;

/// Starts a gateway that drains for a tenth of a second.
async fn hasty(small: &Origin) -> Gateway {
    Gateway::start(&Config { limits: ", drain: 100ms", ..Config::new(small, small) }).await
}

/// Asks until an answer says that its connection closes: the gateway drains.
async fn until_draining(gateway: &Gateway) -> Reply {
    let answers = async {
        loop {
            let reply = chat(gateway.listen, question("auto", "hello")).await;
            if reply.header("connection") == Some("close") {
                return reply;
            }
        }
    };
    soon("an answer of a gateway that drains", answers).await
}

#[tokio::test]
async fn new_connections_are_served_until_the_last_open_request_is_over() {
    let (release, held) = oneshot::channel();
    let small = Origin::answering([Answer::Held(held)]).await;
    let gateway = Gateway::start(&Config::new(&small, &small)).await;
    let in_flight = tokio::spawn(chat(gateway.listen, question("auto", "slow")));
    small.next().await;

    gateway.signal(Signal::TERM);
    let meanwhile = until_draining(&gateway).await;
    release.send(()).expect("the origin waits");

    assert_eq!(meanwhile.status, StatusCode::OK);
    assert_eq!(soon("the answer", in_flight).await.expect("no panic").status, StatusCode::OK);
    assert_eq!(gateway.ended().await.0.code(), Some(0));
}

#[tokio::test]
async fn a_stream_goes_on_through_a_shutdown_to_its_own_end() {
    for framing in [Framing::Length, Framing::H2Length] {
        let (sender, chunks) = mpsc::channel(1);
        let small = Origin::answering([Answer::Events(chunks)]).await;
        let gateway = Gateway::start(&Config::new(&small, &small)).await;
        let mut connection = Connection::open(gateway.listen, framing).await;
        sender.send("data: 1\n\n".into()).await.expect("the origin listens");
        let body = connection.start(framing, CHAT, question("auto", "count")).await.into_body();

        gateway.signal(Signal::TERM);
        until_draining(&gateway).await;
        for event in ["data: 2\n\n", "data: [DONE]\n\n"] {
            sender.send(event.into()).await.expect("the origin listens");
        }
        drop(sender);

        let stream = soon("the end", body.collect()).await.expect("a whole stream").to_bytes();
        assert_eq!(stream, "data: 1\n\ndata: 2\n\ndata: [DONE]\n\n", "{framing:?}");
        assert_eq!(gateway.ended().await.0.code(), Some(0));
    }
}

#[tokio::test]
async fn who_still_waits_for_an_answer_at_the_end_of_the_drain_gets_a_503() {
    for framing in Framing::ALL {
        let (mut release, held) = oneshot::channel();
        let small = Origin::answering([Answer::Held(held)]).await;
        let gateway = hasty(&small).await;
        let mut connection = Connection::open(gateway.listen, framing).await;
        let in_flight = tokio::spawn(async move { connection.post(framing, CHAT, question("auto", "slow")).await });
        small.next().await;

        gateway.signal(Signal::TERM);
        let reply = soon("the answer", in_flight).await.expect("no panic");
        let (status, log) = gateway.ended().await;

        assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"));
        assert_eq!(reply.header("retry-after"), Some("1"), "{framing:?}");
        soon("the origin to be left", release.closed()).await;
        assert_eq!(status.code(), Some(0));
        let line = log.lines().find(|line| line.contains("shutting_down")).unwrap_or_else(|| panic!("{log}"));
        assert!(line.contains("503") && line.contains("small"), "{line}");
    }
}

#[tokio::test]
async fn a_stream_that_outstays_the_drain_ends_with_an_event_that_says_so() {
    for framing in Framing::ALL {
        let (sender, chunks) = mpsc::channel(1);
        let small = Origin::answering([Answer::Events(chunks)]).await;
        let gateway = hasty(&small).await;
        let mut connection = Connection::open(gateway.listen, framing).await;
        sender.send("data: 1\n\n".into()).await.expect("the origin listens");
        let body = connection.start(framing, CHAT, question("auto", "count")).await.into_body();

        gateway.signal(Signal::TERM);
        let stream = soon("the end", body.collect()).await.expect("a proper end").to_bytes();
        let (status, log) = gateway.ended().await;

        let stream = String::from_utf8(stream.into()).expect("text");
        assert!(stream.starts_with("data: 1\n\n") && stream.contains("shutting_down"), "{framing:?}: {stream}");
        soon("the origin to be left", sender.closed()).await;
        assert_eq!(status.code(), Some(0));
        assert!(log.lines().any(|line| line.contains("code=\"shutting_down\"")), "{log}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_whole_at_the_end_of_the_drain_gets_a_503() {
    let small = Origin::start().await;
    let gateway = hasty(&small).await;
    let mut client = Raw::open(gateway.listen).await;
    client.write(format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n")).await;
    assert!(client.read_head().await.starts_with("HTTP/1.1 100"));

    gateway.signal(Signal::TERM);

    assert!(client.read_head().await.starts_with("HTTP/1.1 503"));
    assert_eq!(gateway.ended().await.0.code(), Some(0));
}

#[tokio::test]
async fn the_last_answer_of_a_drain_does_not_wait_for_a_client_that_does_not_read() {
    let (sender, chunks) = mpsc::channel(1);
    let small = Origin::answering([Answer::Events(chunks)]).await;
    let gateway = hasty(&small).await;
    let body = question("auto", "count");
    let mut client = Raw::open(gateway.listen).await;
    client.write(format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
    let flood = Bytes::from(vec![b'x'; 1 << 20]);
    tokio::spawn(async move { while sender.send(flood.clone()).await.is_ok() {} });
    client.read_head().await;

    gateway.signal(Signal::TERM);

    assert_eq!(gateway.ended().await.0.code(), Some(0));
}
