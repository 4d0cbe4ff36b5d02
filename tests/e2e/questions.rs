//! Questions of applications which model would answer: with their keys, within their limits, and without a request.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Connection, Framing, Reply, get, question};
use crate::clients::clients;
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::reload::until_metric;

/// Sends a question with a client's key.
pub(crate) async fn ask(gateway: &Gateway, path: &str, key: &str, body: &str) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = connection.request(Method::POST, path).header("authorization", format!("Bearer {key}"));
    let body = Framing::Length.body(Bytes::from(body.to_owned()));
    Reply::read(connection.send(request.body(body).expect("a valid request")).await.expect("an answer")).await
}

/// Returns a configuration whose listener takes questions, with these sections.
fn config(small: &Origin, frontier: &Origin, sections: String) -> Config {
    let listen = "{address: 127.0.0.1:0, decisions: true}".to_owned();
    Config { listen, sections, ..Config::new(small, frontier) }
}

#[tokio::test]
async fn a_listener_takes_no_questions_unless_it_is_said() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    for path in ["/v1/decide", "/predict", "/predict/batch"] {
        let reply = ask(&gateway, path, "pk-1", "{}").await;
        assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::NOT_FOUND, "path_not_found"), "{path}");
    }
}

#[tokio::test]
async fn a_client_learns_what_the_admin_plane_says_but_not_what_is_the_operator_s() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&config(&small, &frontier, clients(""))).await;
    let asked = question("auto", "hello");

    let said = ask(&gateway, "/v1/decide", "pk-1", &asked).await.json();
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let whole = admin.post(Framing::Length, "/v1/decide?client=team", asked).await.json();

    for (key, value) in said.as_object().expect("an explanation") {
        if !["rules", "timings_us"].contains(&key.as_str()) {
            assert_eq!(value, &whole[key], "{key}");
        }
    }
    assert_eq!((&said["model"], &said["policy"], &said["client"]), (&json!("small"), &json!("auto"), &json!("team")));
    assert_eq!(said["rules"], json!([{"index": 0, "use": "small", "outcome": whole["rules"][0]["outcome"]}]));
    assert!(said.get("key").is_none(), "{said}");
    assert!(small.take().is_none() && frontier.take().is_none(), "nothing is sent");
}

#[tokio::test]
async fn questions_need_a_key_as_requests_do_and_are_counted_apart() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&config(&small, &frontier, clients(""))).await;

    let nobody = ask(&gateway, "/predict", "pk-3", r#"{"text": "hello"}"#).await;
    let known = ask(&gateway, "/predict", "pk-1", r#"{"text": "hello"}"#).await;

    assert_eq!((nobody.status, nobody.error_code().as_str()), (StatusCode::UNAUTHORIZED, "invalid_api_key"));
    let said = known.json();
    assert_eq!(
        (known.status, &said["route_label"], &said["policy"]),
        (StatusCode::OK, &json!("small"), &json!("auto"))
    );
    until_metric(&gateway, r#"pointsman_decision_questions_total{question="predict",status_class="2xx"} 1"#).await;
    let metrics = String::from_utf8(get(gateway.admin, "/metrics").await.body.to_vec()).expect("text");
    assert!(!metrics.contains(r#"status_class="2xx"} 1"#.replace('}', ",").as_str()), "{metrics}");
    assert!(!metrics.contains(
        "pointsman_request_duration_seconds_count{model=\"passthrough\",policy=\"none\",status_class=\"2xx\"}"
    ));
    assert!(!metrics.contains("pointsman_decisions_total{model="), "no request was decided");
}

#[tokio::test]
async fn each_text_of_a_batch_counts_as_a_request_and_what_is_too_much_is_owed() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let limited = clients(", rate_limit: {requests_per_minute: 3}");
    let gateway = Gateway::start(&config(&small, &frontier, limited)).await;
    let batch = json!({"texts": ["one", "two", "three", "four", "five"]}).to_string();

    let whole = ask(&gateway, "/predict/batch", "pk-1", &batch).await;
    let next = ask(&gateway, "/predict", "pk-1", r#"{"text": "six"}"#).await;

    assert_eq!(whole.status, StatusCode::OK);
    assert_eq!(whole.json()["predictions"].as_array().map(Vec::len), Some(5));
    assert_eq!(whole.header("x-ratelimit-remaining-requests"), Some("0"));
    assert_eq!((next.status, next.error_code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded"));
    let wait: u64 = next.header("retry-after").and_then(|wait| wait.parse().ok()).expect("a number");
    assert!((40..=60).contains(&wait), "two requests are owed and one is wanted, at 20 s each: {wait}");
}

#[tokio::test]
async fn the_tokens_of_a_question_are_taken_from_the_client_s() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let limited = clients(", rate_limit: {tokens_per_minute: 100}");
    let gateway = Gateway::start(&config(&small, &frontier, limited)).await;
    let long = question("auto", &"word ".repeat(200));

    let first = ask(&gateway, "/v1/decide", "pk-1", &long).await;
    let second = ask(&gateway, "/v1/decide", "pk-1", &question("auto", "hi")).await;

    assert_eq!((first.status, first.header("x-ratelimit-remaining-tokens")), (StatusCode::OK, Some("0")));
    assert_eq!(second.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_client_hears_of_its_own_policies_and_models_alone() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let rest = ", policies: [auto], models: {deny: [frontier]}";
    let mut config = config(&small, &frontier, clients(rest));
    config.policy = "  - name: other\n    match: {model: [other]}\n    rules: [{when: 'true', use: frontier}]\n    \
                     strategy: {kind: tiers, classifier: default, tiers: {simple: small}, otherwise: frontier}\n"
        .to_owned();
    let gateway = Gateway::start(&config).await;

    let own = ask(&gateway, "/v1/decide", "pk-1", &question("auto", "hello")).await.json();
    let other = ask(&gateway, "/v1/decide", "pk-1", &question("other", "hello")).await.json();

    let candidates = own["candidates"].as_array().expect("candidates");
    assert!(candidates.iter().all(|own| own["model"] == "small"), "{own}");
    assert_eq!((&other["model"], &other["denied"]["code"]), (&Value::Null, &json!("not_allowed")), "{other}");
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_in_our_api_s_shape() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&config(&small, &frontier, String::new())).await;

    for (path, body, code) in [
        ("/v1/decide", "{", "invalid_json"),
        ("/v1/decide", "{}", "model_missing"),
        ("/predict", r#"{"txet": ""}"#, "invalid_request"),
        ("/predict/batch", r#"{"texts": []}"#, "invalid_request"),
    ] {
        let reply = ask(&gateway, path, "", body).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::BAD_REQUEST, code), "{path} {body}");
    }
    assert_eq!(get(gateway.listen, "/v1/decide").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_question_is_answered_over_http_2_and_in_a_large_body_alike() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&config(&small, &frontier, String::new())).await;

    for framing in Framing::ALL {
        for text in ["hello", &"word ".repeat(80_000)] {
            let mut connection = Connection::open(gateway.listen, framing).await;
            let reply = connection.post(framing, "/v1/decide", question("auto", text)).await;
            assert_eq!((reply.status, &reply.json()["model"]), (StatusCode::OK, &json!("small")), "{framing:?}");
        }
    }
    assert!(small.take().is_none());
}

#[tokio::test]
async fn a_page_of_another_origin_asks_nothing_where_no_key_is_needed() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&config(&small, &frontier, String::new())).await;
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = connection.request(Method::POST, "/predict").header("origin", "https://evil.example");
    let request = request.header("content-type", "text/plain");

    let body = Framing::Length.body(Bytes::from(r#"{"text": "hello"}"#));
    let reply =
        Reply::read(connection.send(request.body(body).expect("a valid request")).await.expect("an answer")).await;

    assert_eq!((reply.status, reply.error_code().as_str()), (StatusCode::FORBIDDEN, "cross_site"));
}
