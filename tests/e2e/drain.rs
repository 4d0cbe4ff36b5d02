//! A shutdown: what is open ends well, and what outstays it is told why.

use std::net::SocketAddr;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::client::{CHAT, Connection, Framing, Raw, Reply, chat, get, question};
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

#[tokio::test]
async fn a_shutdown_takes_requests_for_its_shortest_drain_and_each_is_the_last_of_its_connection() {
    let small = Origin::start().await;
    let gateway =
        Gateway::start(&Config { drain_min: "1h", limits: ", drain: 1h", ..Config::new(&small, &small) }).await;
    let mut kept = Connection::open(gateway.listen, Framing::Length).await;
    assert_eq!(
        kept.post(Framing::Length, CHAT, question("auto", "one")).await.header("connection"),
        Some("keep-alive")
    );

    gateway.signal(Signal::TERM);
    until_draining(&gateway).await;

    assert_eq!(get(gateway.admin, "/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let last = kept.post(Framing::Length, CHAT, question("auto", "two")).await;
    assert_eq!((last.status, last.header("connection")), (StatusCode::OK, Some("close")));
    for framing in Framing::ALL {
        let reply = Connection::open(gateway.listen, framing).await.post(framing, CHAT, question("auto", "new")).await;
        assert_eq!(reply.status, StatusCode::OK, "{framing:?}");
    }
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.ended().await.0.code(), Some(0), "a second signal ends it at once");
}

#[tokio::test]
async fn a_second_signal_tells_who_still_waits_and_ends_the_process() {
    for second in [Signal::TERM, Signal::INT] {
        let (_release, held) = oneshot::channel();
        let small = Origin::answering([Answer::Held(held)]).await;
        let config = Config { drain_min: "1h", limits: ", drain: 1h", ..Config::new(&small, &small) };
        let gateway = Gateway::start(&config).await;
        let in_flight = tokio::spawn(chat(gateway.listen, question("auto", "slow")));
        small.next().await;

        gateway.signal(Signal::TERM);
        until_draining(&gateway).await;
        gateway.signal(second);

        let reply = soon("the answer", in_flight).await.expect("no panic");
        assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"));
        assert_eq!(gateway.ended().await.0.code(), Some(0));
    }
}

#[tokio::test]
async fn someone_at_a_terminal_does_not_wait_for_load_balancers() {
    let small = Origin::start().await;
    let gateway =
        Gateway::start(&Config { drain_min: "1h", limits: ", drain: 1h", ..Config::new(&small, &small) }).await;

    gateway.signal(Signal::INT);

    assert_eq!(gateway.ended().await.0.code(), Some(0));
}

#[tokio::test]
async fn a_connection_that_stays_quiet_is_closed_by_its_end_and_not_by_a_reset() {
    let small = Origin::start().await;
    let gateway = Gateway::start(&Config::new(&small, &small)).await;
    let body = question("auto", "hello");
    let mut silent = Raw::open(gateway.listen).await;
    let mut idle = Raw::open(gateway.listen).await;
    idle.write(format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
    idle.read_answer().await;

    gateway.signal(Signal::TERM);

    assert_eq!(silent.rest().await.expect("no reset"), b"");
    assert_eq!(idle.rest().await.expect("no reset"), b"");
    assert_eq!(gateway.ended().await.0.code(), Some(0));
}

#[tokio::test]
async fn an_answer_that_began_before_the_shutdown_says_that_its_connection_closes() {
    let (release, held) = oneshot::channel();
    let small = Origin::answering([Answer::Held(held)]).await;
    let gateway = Gateway::start(&Config::new(&small, &small)).await;
    let in_flight = tokio::spawn(chat(gateway.listen, question("auto", "slow")));
    small.next().await;

    gateway.signal(Signal::TERM);
    until_draining(&gateway).await;
    release.send(()).expect("the origin waits");

    assert_eq!(soon("the answer", in_flight).await.expect("no panic").header("connection"), Some("close"));
    assert_eq!(gateway.ended().await.0.code(), Some(0));
}

/// Asks without a pause until nothing listens any more, over a connection for as long as it is kept; returns the number
/// of answers. Every request that was sent is answered.
async fn ask_until_refused(address: SocketAddr, is_kept: bool) -> usize {
    let (body, mut answered) = (question("auto", "hello"), 0);
    let close = if is_kept { "" } else { "connection: close\r\n" };
    let request = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\n{close}content-length: {}\r\n\r\n{body}", body.len());
    while let Some(mut client) = Raw::try_open(address).await {
        loop {
            client.write(&request).await;
            let head = client.read_answer().await;
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            answered += 1;
            if head.to_lowercase().contains("connection: close") {
                break;
            }
        }
    }
    answered
}

#[tokio::test]
async fn no_request_that_was_sent_is_lost_in_a_shutdown_under_load() {
    let small = Origin::start().await;
    let gateway = Gateway::start(&Config { drain_min: "200ms", ..Config::new(&small, &small) }).await;
    let mut clients = JoinSet::new();
    for is_kept in [true, false, true, false, true, false] {
        clients.spawn(ask_until_refused(gateway.listen, is_kept));
    }
    until_metric_is_past(&gateway).await;

    gateway.signal(Signal::TERM);

    let mut answered = 0;
    while let Some(client) = soon("the clients' end", clients.join_next()).await {
        answered += client.expect("every request was answered");
    }
    assert_eq!(answered, std::iter::from_fn(|| small.take()).count(), "requests that were answered, and that arrived");
    assert_eq!(gateway.ended().await.0.code(), Some(0));
}

/// Waits until the gateway has answered something.
async fn until_metric_is_past(gateway: &Gateway) {
    let asked = async {
        while !String::from_utf8_lossy(&get(gateway.admin, "/metrics").await.body)
            .contains("pointsman_upstream_attempts_total{outcome=\"success\"")
        {}
    };
    soon("load", asked).await;
}
