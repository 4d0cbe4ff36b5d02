//! Waits that the body of an error asks for, as Google's do: they are heeded, and told, as those of a header are.

use http::StatusCode;
use serde_json::{Value, json};

use crate::client::CHAT;
use crate::gateway::{Config, Gateway};
use crate::google::{ANSWER, BODY, WHOLE};
use crate::origin::{Answer, Origin};
use crate::translated::{MESSAGES, RESPONSES, gateway, post, reply_of};

/// The kind of the detail of an error that says the wait.
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

fn limited(delay: &str) -> Answer {
    let details = json!([{"@type": RETRY_INFO, "retryDelay": delay}]);
    let error = json!({"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED", "details": details});
    let body = json!({ "error": error }).to_string();
    Answer::Reply(StatusCode::TOO_MANY_REQUESTS, vec![("content-type", "application/json")], body.into())
}

fn turns() -> Value {
    json!([{"role": "user", "content": "Hello"}])
}

/// A request of each API, with its path.
fn requests() -> [(&'static str, Value); 4] {
    [
        (CHAT, json!({"model": "auto", "messages": turns()})),
        (RESPONSES, json!({"model": "auto", "input": turns()})),
        (MESSAGES, json!({"model": "auto", "max_tokens": 9, "messages": turns()})),
        (WHOLE, serde_json::from_str(BODY).expect("JSON")),
    ]
}

#[tokio::test]
async fn a_wait_in_the_body_of_google_s_error_is_in_the_header_of_every_client() {
    for (path, body) in requests() {
        for (delay, told) in [("34s", "34"), ("1.2s", "2"), ("3600s", "60")] {
            let small = Origin::answering([limited(delay)]).await;
            let gateway = gateway((&small, "gemini"), (&Origin::start().await, "gemini"), "[]").await;

            let reply = post(&gateway, path, &[], &body).await;

            let error = &reply.json()["error"];
            assert_eq!(
                (reply.status, reply.header("retry-after")),
                (StatusCode::TOO_MANY_REQUESTS, Some(told)),
                "{path}"
            );
            assert_eq!(error["message"], "Quota exceeded", "{path}");
            assert_eq!(error.get("details").is_some(), path == WHOLE, "{path}: {error}");
        }
    }
}

#[tokio::test]
async fn an_error_that_asks_for_no_wait_passes_as_it_came() {
    let page = || {
        Answer::Reply(StatusCode::SERVICE_UNAVAILABLE, vec![("content-type", "text/html")], "<html>busy</html>".into())
    };
    for (path, body) in requests() {
        let small = Origin::answering([page()]).await;
        let gateway = gateway((&small, "gemini"), (&Origin::start().await, "gemini"), "[]").await;

        let reply = post(&gateway, path, &[], &body).await;

        assert_eq!((reply.status, reply.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, None), "{path}");
        assert_eq!(reply.body == "<html>busy</html>", path == WHOLE, "{path}: {:?}", reply.body);
    }
}

#[tokio::test]
async fn a_model_that_asks_in_the_body_to_be_left_alone_is_where_another_one_is_ready() {
    for (path, body) in requests() {
        let small = Origin::answering([limited("34s")]).await;
        let frontier = Origin::answering([reply_of(ANSWER), reply_of(ANSWER)]).await;
        let gateway = gateway((&small, "gemini"), (&frontier, "gemini"), "[frontier]").await;
        let first = post(&gateway, path, &[], &body).await;
        small.next().await;

        let second = post(&gateway, path, &[], &body).await;

        assert_eq!((first.status, first.header("x-pointsman-attempts")), (StatusCode::OK, Some("2")), "{path}");
        assert_eq!((second.status, second.header("x-pointsman-attempts")), (StatusCode::OK, Some("1")), "{path}");
        assert!(small.take().is_none(), "{path}: it was asked again");
    }
}

#[tokio::test]
async fn a_key_that_an_error_s_body_limits_rests_and_the_request_goes_with_another_one() {
    let keys = "keys: [{env: KEY_A}, {env: KEY_B}]".to_owned();
    for (path, body) in requests() {
        let small = Origin::answering([limited("34s"), reply_of(ANSWER), reply_of(ANSWER)]).await;
        let one = vec!["dialects: [gemini]".to_owned(), keys.clone()];
        let whole_strategy = Some("{kind: random, models: [small]}".to_owned());
        let config = Config { one, whole_strategy, ..Config::new(&small, &small) };
        let gateway = Gateway::start_with(&config, &[("KEY_A", "sk-a"), ("KEY_B", "sk-b")]).await;

        let replies = [post(&gateway, path, &[], &body).await, post(&gateway, path, &[], &body).await];

        assert!(replies.iter().all(|reply| reply.status == StatusCode::OK), "{path}");
        let sent = [small.next().await, small.next().await, small.next().await];
        let sent = sent.map(|request| request.header("authorization").expect("a key").to_owned());
        assert!(sent[0] != sent[1] && sent[1] == sent[2], "{path}: {sent:?}");
    }
}

#[tokio::test]
async fn a_client_of_google_s_api_is_told_in_the_body_how_long_an_upstream_wants_to_wait() {
    let body = r#"{"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down."}}"#;
    let fields = vec![("content-type", "application/json"), ("retry-after", "7")];
    let small = Origin::answering([Answer::Reply(StatusCode::TOO_MANY_REQUESTS, fields, body.into())]).await;
    let gateway = gateway((&small, "messages"), (&Origin::start().await, "messages"), "[]").await;

    let reply = post(&gateway, WHOLE, &[], &serde_json::from_str(BODY).expect("JSON")).await;

    let details = &reply.json()["error"]["details"];
    assert_eq!((reply.status, reply.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, Some("7")));
    assert_eq!(details, &json!([{"@type": RETRY_INFO, "retryDelay": "7s"}]));
}
