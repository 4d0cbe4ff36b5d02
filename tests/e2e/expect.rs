//! `Expect: 100-continue`, which curl sends with every larger body. Pingora does not answer it by itself: the client
//! then waits a second before it sends the body.

use std::fmt::Write as _;

use crate::client::{CHAT, Raw, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;

#[tokio::test]
async fn the_body_is_asked_for_before_it_is_sent() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;
    let body = question("auto", &"x".repeat(100_000));
    let mut client = Raw::open(gateway.listen).await;

    client.write(head(&[("expect", "100-continue"), ("content-length", &body.len().to_string())])).await;
    let interim = client.read_head().await; // the body is not sent before this is here
    client.write(body).await;
    let answer = client.read_head().await;

    assert_eq!(interim, "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let request = small.next().await;
    assert_eq!(request.model(), "small-1");
    assert_eq!(request.header("expect"), None, "the upstream has the body already");
}

#[tokio::test]
async fn a_chunked_body_is_asked_for_as_well() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;
    let body = question("auto", "hello");
    let mut client = Raw::open(gateway.listen).await;

    client.write(head(&[("expect", "100-continue"), ("transfer-encoding", "chunked")])).await;
    let interim = client.read_head().await;
    let (first, second) = body.split_at(10);
    client.write(format!("{:x};note=1\r\n{first}\r\n", first.len())).await;
    client.write(format!("{:X}\r\n{second}\r\n0\r\n\r\n", second.len())).await;
    let answer = client.read_head().await;

    assert!(interim.starts_with("HTTP/1.1 100"), "{interim}");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(small.next().await.model(), "small-1");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_sent() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { max_body_bytes: 1000, ..Config::new(&small, &frontier) }).await;
    let mut client = Raw::open(gateway.listen).await;

    client.write(head(&[("expect", "100-continue"), ("content-length", "1001")])).await;
    let answer = client.read_head().await;

    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn who_was_told_to_go_on_still_gets_errors() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    for (body, status) in [(question("nobody-s", "hello"), "404"), ("{".to_owned(), "400")] {
        let mut client = Raw::open(gateway.listen).await;
        client.write(head(&[("expect", "100-continue"), ("content-length", &body.len().to_string())])).await;
        client.read_head().await;
        client.write(body).await;
        let answer = client.read_head().await;

        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    let counted = r#"pointsman_request_duration_seconds_count{model="passthrough",policy="none",status_class="4xx"} 2"#;
    until_metric(&gateway, counted).await;
}

#[tokio::test]
async fn who_was_told_to_go_on_is_still_worth_another_try() {
    let small = Origin::answering([Answer::HangUp, Answer::HangUp]).await;
    let frontier = Origin::start().await;
    let config = Config { fallback: "[frontier]", ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let (body, mut client) = (question("auto", "hello"), Raw::open(gateway.listen).await);

    client.write(head(&[("expect", "100-continue"), ("content-length", &body.len().to_string())])).await;
    client.read_head().await;
    client.write(body).await;
    let answer = client.read_head().await;

    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(frontier.next().await.model(), "frontier-1");
}

fn head(headers: &[(&str, &str)]) -> String {
    let mut head = format!("POST {CHAT} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").expect("writing to a string");
    }
    head + "\r\n"
}
