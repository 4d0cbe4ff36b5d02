//! Slow clients, greedy clients, too many clients.

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::sync::oneshot;

use crate::client::{CHAT, Connection, Framing, Raw, Reply, chat, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;
use crate::soon;

async fn gateway(small: &Origin, limits: &'static str) -> Gateway {
    Gateway::start(&Config { limits, ..Config::new(small, small) }).await
}

#[tokio::test]
async fn a_client_that_never_ends_its_header_is_left() {
    let small = Origin::start().await;
    let gateway = gateway(&small, ", header: 300ms").await;

    for began in ["", "G", "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let mut client = Raw::open(gateway.listen).await;
        client.write(began).await;

        soon("the end of the connection", client.closed()).await;
    }
}

#[tokio::test]
async fn a_client_that_drips_its_header_is_left_although_it_never_pauses() {
    let small = Origin::start().await;
    let gateway = gateway(&small, ", header: 300ms").await;
    let mut client = Raw::open(gateway.listen).await;
    client.write("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n").await;

    let dripping = async {
        while client.try_write("x: y\r\n").await {
            tokio::task::yield_now().await;
        }
    };

    soon("the end of the connection", dripping).await;
}

#[tokio::test]
async fn the_header_clock_stands_while_an_answer_is_awaited_and_between_requests() {
    let small = Origin::start().await;
    let gateway = gateway(&small, ", header: 50ms").await;

    for framing in [Framing::Length, Framing::H2Length] {
        let (release, held) = oneshot::channel();
        small.script(Answer::Held(held));
        let mut connection = Connection::open(gateway.listen, framing).await;
        let mut answer = tokio::spawn(async move {
            let first = connection.post(framing, CHAT, question("auto", "slow")).await;
            (first, connection)
        });
        small.next().await;
        // Longer than the clock runs, measured by a connection on which it does run out.
        soon("the end of a silent connection", Raw::open(gateway.listen).await.closed()).await;
        release.send(()).expect("the origin waits");
        let (first, mut connection) = soon("the answer", &mut answer).await.expect("no panic");
        soon("the end of a silent connection", Raw::open(gateway.listen).await.closed()).await;
        let second = connection.post(framing, CHAT, question("auto", "hello")).await;

        assert_eq!([first.status, second.status], [StatusCode::OK; 2], "{framing:?}");
        small.next().await;
    }
}

#[tokio::test]
async fn a_client_that_pauses_in_its_body_gets_a_408() {
    let small = Origin::start().await;
    let gateway = gateway(&small, ", body_idle: 100ms").await;
    let mut client = Raw::open(gateway.listen).await;

    client.write(format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{{")).await;

    assert!(client.read_head().await.starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn a_client_that_drips_its_body_gets_a_408_although_it_never_pauses() {
    let small = Origin::start().await;
    let gateway = gateway(&small, ", body: 300ms").await;
    let mut client = Raw::open(gateway.listen).await;

    client.write(format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 33554432\r\n\r\n{{")).await;

    assert!(client.drip(" ").await.starts_with("HTTP/1.1 408"));
    assert!(small.take().is_none());
}

#[tokio::test]
async fn a_header_beyond_the_limit_gets_a_431() {
    let small = Origin::start().await;
    let gateway = gateway(&small, ", max_header_bytes: 4096").await;

    for framing in [Framing::Length, Framing::H2Length] {
        let mut connection = Connection::open(gateway.listen, framing).await;
        let request = connection.request(Method::POST, CHAT).header("x-large", "x".repeat(4096));
        let request = request.body(framing.body(Bytes::from(question("auto", "hello")))).expect("a valid request");
        let reply = Reply::read(connection.send(request).await.expect("an answer")).await;

        assert_eq!(reply.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "{framing:?}");
        assert_eq!(reply.error_code(), "header_too_large");
    }
}

#[tokio::test]
async fn one_request_too_many_is_shed_at_once_and_the_next_one_served() {
    let (release, held) = oneshot::channel();
    let small = Origin::answering([Answer::Held(held)]).await;
    let gateway = gateway(&small, ", max_requests: 1").await;
    let first = tokio::spawn(chat(gateway.listen, question("auto", "slow")));
    small.next().await;

    let shed = chat(gateway.listen, question("auto", "hello")).await;
    release.send(()).expect("the origin waits");
    let first = soon("the first answer", first).await.expect("no panic");
    until_metric(&gateway, r#"pointsman_rejections_total{code="overloaded"} 1"#).await;

    assert_eq!((shed.status, shed.error_code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "overloaded"));
    assert_eq!(shed.header("retry-after"), Some("1"));
    assert_eq!(first.status, StatusCode::OK);
    // A request is over a moment after its client has the answer.
    let served = async { while chat(gateway.listen, question("auto", "hello")).await.status != StatusCode::OK {} };
    soon("a place", served).await;
}

#[tokio::test]
async fn bodies_beyond_the_memory_for_all_of_them_are_shed_however_they_travel() {
    let small = Origin::start().await;
    let gateway = gateway(&small, ", max_bytes_in_flight: 1000").await;

    for framing in Framing::ALL {
        let mut connection = Connection::open(gateway.listen, framing).await;
        let shed = connection.post(framing, CHAT, question("auto", &"x".repeat(1000))).await;
        let served = chat(gateway.listen, question("auto", "hello")).await;

        assert_eq!(shed.status, StatusCode::SERVICE_UNAVAILABLE, "{framing:?}");
        assert_eq!(shed.header("retry-after"), Some("1"));
        assert_eq!(served.status, StatusCode::OK, "{framing:?}: the memory was given back");
    }
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_the_others_stay() {
    let small = Origin::start().await;
    let gateway = gateway(&small, ", max_connections: 1").await;
    let mut first = Connection::open(gateway.listen, Framing::Length).await;
    first.post(Framing::Length, CHAT, question("auto", "hello")).await;

    let mut second = Raw::open(gateway.listen).await;
    soon("the end of the second connection", second.closed()).await;

    assert_eq!(first.post(Framing::Length, CHAT, question("auto", "hello")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn connections_and_bytes_of_bodies_are_shown_while_they_are_open() {
    let (release, held) = oneshot::channel();
    let small = Origin::answering([Answer::Held(held)]).await;
    let gateway = gateway(&small, "").await;
    let mut idle = Connection::open(gateway.listen, Framing::Length).await;
    let request = idle.request(Method::GET, "/v1/models").body(Framing::Length.body(Bytes::new()));
    Reply::read(idle.send(request.expect("a valid request")).await.expect("an answer")).await;
    let body = question("auto", "slow");
    let bytes = body.len() * 2 - "auto".len() + "small-1".len(); // what came, and what was sent of it
    let slow = tokio::spawn(chat(gateway.listen, body));
    small.next().await;

    until_metric(&gateway, "pointsman_downstream_connections 2").await;
    until_metric(&gateway, &format!("pointsman_request_body_bytes_in_flight {bytes}")).await;
    release.send(()).expect("the origin waits");
    assert_eq!(soon("the slow answer", slow).await.expect("no panic").status, StatusCode::OK);
    drop(idle);

    until_metric(&gateway, "pointsman_downstream_connections 0").await;
    until_metric(&gateway, "pointsman_request_body_bytes_in_flight 0").await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_left_and_so_is_its_upstream() {
    let (sender, chunks) = tokio::sync::mpsc::channel(1);
    let small = Origin::answering([Answer::Events(chunks)]).await;
    let gateway = gateway(&small, ", write_idle: 200ms").await;
    let body = question("auto", "count");
    let mut client = Raw::open(gateway.listen).await;
    client.write(format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;

    let flood = Bytes::from(vec![b'x'; 1 << 20]);
    let flooding = async { while sender.send(flood.clone()).await.is_ok() {} };

    soon("the origin to be left", flooding).await;
}
