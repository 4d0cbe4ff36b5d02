//! A body of any size arrives whole, however it travels. Pingora alone forwards 64 KiB of a body that was read before the
//! upstream was chosen, and hangs beyond: the adapter in `proxy` is what these sizes are about.

use http::{StatusCode, Version};

use crate::client::{CHAT, Connection, Framing, question};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;

const SIZES: [usize; 6] = [1 << 10, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 1 << 20, 5 << 20];

#[tokio::test]
async fn every_size_arrives_whole_with_content_length() {
    every_size_arrives_whole(Framing::Length, "h1").await;
}

#[tokio::test]
async fn every_size_arrives_whole_in_chunks() {
    every_size_arrives_whole(Framing::Chunked, "h1").await;
}

#[tokio::test]
async fn every_size_arrives_whole_over_h2_with_length() {
    every_size_arrives_whole(Framing::H2Length, "h1").await;
}

#[tokio::test]
async fn every_size_arrives_whole_over_h2_without_length() {
    every_size_arrives_whole(Framing::H2NoLength, "h1").await;
}

#[tokio::test]
async fn every_size_arrives_whole_at_an_h2_upstream() {
    for framing in Framing::ALL {
        every_size_arrives_whole(framing, "h2").await;
    }
}

/// All sizes follow each other on one connection, so that keep-alive is part of the promise.
async fn every_size_arrives_whole(framing: Framing, upstream: &str) {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { one: vec![format!("http: {upstream}")], ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let mut connection = Connection::open(gateway.listen, framing).await;

    for size in SIZES {
        let reply = connection.post(framing, CHAT, body("auto", size)).await;

        let request = small.next().await;
        assert_eq!(reply.status, StatusCode::OK, "{size} bytes: {:?}", reply.body);
        assert!(request.body == body("small-1", size + "small-1".len() - "auto".len()), "{size} bytes changed");
        assert_eq!(request.header("content-length"), Some(request.body.len().to_string().as_str()));
        assert_eq!(request.header("transfer-encoding"), None);
        assert_eq!(request.version == Version::HTTP_2, upstream == "h2");
    }
}

#[tokio::test]
async fn no_body_is_answered_and_not_forwarded() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    for framing in Framing::ALL {
        let mut connection = Connection::open(gateway.listen, framing).await;
        let empty = connection.post(framing, CHAT, "").await;
        let next = connection.post(framing, CHAT, question("auto", "hello")).await;

        assert_eq!((empty.status, empty.error_code()), (StatusCode::BAD_REQUEST, "invalid_json".into()), "{framing:?}");
        assert_eq!(next.status, StatusCode::OK, "{framing:?}: the connection lives on");
        assert_eq!(small.next().await.model(), "small-1");
        assert!(small.take().is_none());
    }
}

#[tokio::test]
async fn the_limit_holds_to_the_byte() {
    const LIMIT: usize = 100_000;
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { max_body_bytes: LIMIT, ..Config::new(&small, &frontier) }).await;

    for framing in Framing::ALL {
        for size in [LIMIT - 1, LIMIT] {
            let mut connection = Connection::open(gateway.listen, framing).await;
            let fits = connection.post(framing, CHAT, body("auto", size)).await;
            assert_eq!(fits.status, StatusCode::OK, "{size} bytes, {framing:?}");
        }
        let mut connection = Connection::open(gateway.listen, framing).await;
        let over = connection.post(framing, CHAT, body("auto", LIMIT + 1)).await;

        assert_eq!(over.status, StatusCode::PAYLOAD_TOO_LARGE, "{framing:?}");
        assert_eq!(over.error_code(), "body_too_large");
        assert!(small.take().is_some() && small.take().is_some() && small.take().is_none());
    }
}

/// Returns a chat request of exactly `size` bytes; equal sizes differ in the model alone.
fn body(model: &str, size: usize) -> String {
    let empty = question(model, "").len();
    let text: String = "seven letters and spaces ".chars().cycle().take(size - empty).collect();
    question(model, &text)
}
