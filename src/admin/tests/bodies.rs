//! Bodies of requests to the admin listener, and how large they may be.

use super::*;

#[tokio::test]
async fn a_body_may_be_as_large_as_the_limit_and_no_larger() {
    let admin = Admin::of(Arc::default()).await;

    let (at, _) = admin.ask_json("POST /v1/decide", &"x".repeat(LIMIT)).await;
    let (above, body) = admin.ask_json("POST /v1/decide", &"x".repeat(LIMIT + 1)).await;

    assert_eq!((at, above), (200, 413));
    assert_eq!(body["error"]["code"], "body_too_large");
}

#[tokio::test]
async fn a_body_of_unknown_length_is_bounded_too() {
    let admin = Admin::of(Arc::default()).await;
    let chunk = "x".repeat(LIMIT + 1);
    let head = "POST /v1/decide HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ntransfer-encoding: chunked";

    let answer = admin.raw(format!("{head}\r\n\r\n{:x}\r\n{chunk}\r\n0\r\n\r\n", chunk.len()).as_bytes()).await;

    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}
