//! Every error is the OpenAI error object with a stable code.

use http::StatusCode;
use serde_json::json;
use tokio::sync::oneshot;

use crate::client::{CHAT, Connection, Framing, chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin, nobody};

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_with_its_reason() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { default_provider: Some("one"), ..Config::new(&small, &frontier) }).await;

    for (body, code) in [
        ("{\"model\": \"auto\"", "invalid_json"),
        ("not json", "invalid_json"),
        ("{\"model\": \"auto\"} trailing", "invalid_json"),
        ("[1, 2]", "invalid_body"),
        ("{\"messages\": []}", "model_missing"),
        ("{\"messages\": [{\"model\": \"nested\"}]}", "model_missing"),
        ("{\"model\": 7}", "model_not_a_string"),
        ("{\"model\": null}", "model_not_a_string"),
        ("{\"model\": \"auto\", \"model\": \"other\"}", "model_twice"),
        ("{\"model\": \"auto\", \"mod\\u0065l\": \"other\"}", "model_twice"),
        ("{\"Model\": \"auto\"}", "key_in_another_case"),
        ("{\"model\": \"auto\", \"Model\": \"other\"}", "key_in_another_case"),
        ("{\"model\": \"auto\", \"\\u004dESSAGES\": []}", "key_in_another_case"),
        ("{\"model\": \"auto\", \"me\u{17f}sages\": []}", "key_in_another_case"),
        ("{\"model\": \"auto\", \"messages\": [{\"Role\": \"user\"}]}", "key_in_another_case"),
    ] {
        let reply = chat(gateway.listen, body).await;

        assert_eq!((reply.status, reply.error_code()), (StatusCode::BAD_REQUEST, code.into()), "{body}");
        assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
    }
    assert!(small.take().is_none() && frontier.take().is_none());
}

#[tokio::test]
async fn deep_nesting_is_no_way_to_stop_the_process() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;
    let deep = format!("{{\"model\":\"auto\",\"messages\":{}", "[".repeat(1_000_000));

    let refused = chat(gateway.listen, deep).await;
    let next = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(next.status, StatusCode::OK);
}

#[tokio::test]
async fn a_model_that_nobody_knows_is_not_found() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    let reply = chat(gateway.listen, question("gpt-unknown", "hello")).await;

    assert_eq!((reply.status, reply.error_code()), (StatusCode::NOT_FOUND, "model_not_found".into()));
    assert_eq!(reply.json()["error"]["param"], json!("model"));
}

#[tokio::test]
async fn a_path_that_nobody_serves_is_not_found() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    let reply = get(gateway.listen, "/v1/files").await;

    assert_eq!((reply.status, reply.error_code()), (StatusCode::NOT_FOUND, "path_not_found".into()));
}

#[tokio::test]
async fn an_upstream_that_refuses_connections_is_a_502() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config { small: nobody().await, ..Config::new(&small, &frontier) }).await;

    for framing in Framing::ALL {
        let mut connection = Connection::open(gateway.listen, framing).await;
        let reply = connection.post(framing, CHAT, question("auto", "hello")).await;

        assert_eq!(reply.status, StatusCode::BAD_GATEWAY, "{framing:?}");
        assert_eq!(reply.error_code(), "upstream_unreachable", "{framing:?}");
        assert!(!names_an_upstream(&reply.body), "{:?}", reply.body);
    }
}

#[tokio::test]
async fn an_upstream_that_hangs_up_is_a_502() {
    let small = Origin::answering([Answer::HangUp]).await;
    let frontier = Origin::start().await;
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!((reply.status, reply.error_code()), (StatusCode::BAD_GATEWAY, "upstream_error".into()));
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_is_a_504() {
    let mut held = Vec::new();
    for framing in Framing::ALL {
        let (release, answer) = oneshot::channel();
        held.push(release);
        let small = Origin::answering([Answer::Held(answer)]).await;
        let frontier = Origin::start().await;
        let gateway = Gateway::start(&Config { first_byte: "100ms", ..Config::new(&small, &frontier) }).await;
        let mut connection = Connection::open(gateway.listen, framing).await;

        let reply = connection.post(framing, CHAT, question("auto", "hello")).await;

        assert_eq!(reply.status, StatusCode::GATEWAY_TIMEOUT, "{framing:?}");
        assert_eq!(reply.error_code(), "upstream_timeout", "{framing:?}");
    }
}

#[tokio::test]
async fn an_upstream_s_own_error_reaches_the_client_as_it_is() {
    let body = "{\"error\": {\"message\": \"slow down\", \"code\": \"rate_limit_exceeded\"}}";
    let limited = Answer::Reply(StatusCode::TOO_MANY_REQUESTS, vec![("retry-after", "20")], body.into());
    let small = Origin::answering([limited]).await;
    let frontier = Origin::start().await;
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!((reply.status, reply.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, Some("20")));
    assert_eq!(reply.body, body);
}

/// Says whether `body` names an address on loopback, where every upstream of these tests is.
fn names_an_upstream(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains("127.0.0.1")
}
