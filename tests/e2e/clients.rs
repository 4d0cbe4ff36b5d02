//! Client keys: who gets in, how much, and where the key goes.

use std::io::Write as _;
use std::process::{Command, Stdio};

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::client::{CHAT, Connection, Framing, Reply, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;

/// Prints what goes into the configuration for `key`, by the command that operators use.
pub(crate) fn hash(key: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    let command = command.arg("hash-key").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    writeln!(child.stdin.take().expect("a pipe"), "{key}").expect("the binary reads");
    let output = child.wait_with_output().expect("our own child");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

pub(crate) fn clients(team: &str) -> String {
    format!("clients: {{team: {{keys: [{{sha256: {}}}, {{sha256: {}}}]{team}}}}}", hash("pk-1"), hash("pk-2"))
}

async fn ask(gateway: &Gateway, key: Option<(&str, &str)>, model: &str) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let mut request = connection.request(Method::POST, CHAT);
    if let Some((field, value)) = key {
        request = request.header(field, value);
    }
    let request = request.body(Framing::Length.body(Bytes::from(question(model, "hello")))).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

const KEY: Option<(&str, &str)> = Some(("authorization", "Bearer pk-1"));

#[tokio::test]
async fn a_known_key_in_any_of_its_fields_gets_in_and_stops_here() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { sections: clients(""), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    for (field, value) in [("authorization", "Bearer pk-1"), ("x-api-key", "pk-2"), ("api-key", "pk-1")] {
        let reply = ask(&gateway, Some((field, value)), "auto").await;

        assert_eq!(reply.status, StatusCode::OK, "{field}: {:?}", reply.body);
        assert_eq!(small.next().await.header(field), None, "the key went upstream");
    }
    until_metric(&gateway, r#"pointsman_client_requests_total{client="team",outcome="success"} 3"#).await;
}

#[tokio::test]
async fn no_key_and_a_wrong_key_get_a_401_before_anything_is_asked_upstream() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { sections: clients(""), default_provider: Some("two"), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    for key in
        [None, Some(("authorization", "Bearer pk-3")), Some(("authorization", "Basic pk-1")), Some(("x-api-key", ""))]
    {
        for model in ["auto", "gpt-4.1"] {
            let reply = ask(&gateway, key, model).await;

            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{key:?}");
            assert_eq!(reply.error_code(), "invalid_api_key");
            assert!(!reply.body.windows(2).any(|part| part == b"pk"), "the key is repeated: {:?}", reply.body);
        }
    }
    assert!(small.take().is_none() && frontier.take().is_none());
    until_metric(&gateway, r#"pointsman_rejections_total{code="invalid_api_key"} 8"#).await;
}

#[tokio::test]
async fn with_passthrough_the_clients_own_key_goes_upstream_and_ours_does_not() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { sections: clients(""), credential: "passthrough", ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = connection.request(Method::POST, CHAT).header("x-api-key", "pk-1");
    let request = request.header("authorization", "Bearer sk-provider");

    let body = Framing::Length.body(Bytes::from(question("auto", "hello")));
    let reply = connection.send(request.body(body).expect("a valid request")).await.expect("an answer");

    let request = small.next().await;
    assert_eq!(reply.status(), StatusCode::OK);
    assert_eq!((request.header("authorization"), request.header("x-api-key")), (Some("Bearer sk-provider"), None));
}

#[tokio::test]
async fn a_client_with_a_list_of_policies_gets_nothing_else() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let sections = clients(", policies: [auto]");
    let config = Config { sections, default_provider: Some("two"), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    let allowed = ask(&gateway, KEY, "auto").await;
    let passing = ask(&gateway, KEY, "gpt-4.1").await;

    assert_eq!(allowed.status, StatusCode::OK);
    assert_eq!((passing.status, passing.error_code().as_str()), (StatusCode::FORBIDDEN, "not_allowed"));
    assert!(frontier.take().is_none());
}

#[tokio::test]
async fn the_list_of_models_is_for_those_who_have_a_key_and_of_what_they_may_use() {
    for (team, expected) in [("", &["auto", "frontier", "small"][..]), (", policies: [auto]", &["auto"])] {
        let (small, frontier) = (Origin::start().await, Origin::start().await);
        let gateway = Gateway::start(&Config { sections: clients(team), ..Config::new(&small, &frontier) }).await;
        let ask = async |path: &str, key: &str| {
            let mut connection = Connection::open(gateway.listen, Framing::Length).await;
            let request = connection.request(Method::GET, path).header("api-key", key);
            let request = request.body(Framing::Length.body(Bytes::new())).expect("a valid request");
            Reply::read(connection.send(request).await.expect("an answer")).await
        };

        let list = ask("/v1/models", "pk-1").await.json();
        let one = ask("/v1/models/small", "pk-1").await;
        let stranger = ask("/v1/models", "pk-3").await;

        let ids: Vec<_> = list["data"].as_array().expect("a list").iter().map(|model| &model["id"]).collect();
        assert_eq!(ids, expected, "{team}");
        assert_eq!(one.status == StatusCode::OK, expected.contains(&"small"), "{team}: {:?}", one.body);
        assert_eq!((stranger.status, stranger.error_code()), (StatusCode::UNAUTHORIZED, "invalid_api_key".into()));
    }
}

#[tokio::test]
async fn one_request_too_many_gets_a_429_that_says_when_to_come_back() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut config = Config::new(&small, &frontier);
    config.sections = clients(", rate_limit: {requests_per_minute: 2, tokens_per_minute: 100000}");
    let gateway = Gateway::start(&config).await;

    let first = ask(&gateway, KEY, "auto").await;
    ask(&gateway, Some(("api-key", "pk-2")), "auto").await;
    let third = ask(&gateway, KEY, "auto").await;
    config.small_name = "renamed".to_owned();
    gateway.write(&config.yaml());
    until_metric(&gateway, "pointsman_generation 2").await;
    let after_reload = ask(&gateway, KEY, "auto").await;

    assert_eq!(first.header("x-ratelimit-limit-requests"), Some("2"));
    assert_eq!(first.header("x-ratelimit-remaining-requests"), Some("1"));
    assert_eq!(first.header("x-ratelimit-limit-tokens"), Some("100000"));
    assert!(first.header("x-ratelimit-reset-requests").is_some_and(|reset| reset.ends_with('s')));
    assert_eq!((third.status, third.error_code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded"));
    let wait: u64 = third.header("retry-after").expect("a retry-after").parse().expect("seconds");
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(third.header("x-ratelimit-remaining-requests"), Some("0"));
    assert_eq!(after_reload.status, StatusCode::TOO_MANY_REQUESTS, "a reload is no way to a fresh allowance");
    until_metric(&gateway, r#"pointsman_client_requests_total{client="team",outcome="rate_limited"} 2"#).await;
}

#[tokio::test]
async fn a_prompt_takes_its_tokens_from_the_allowance() {
    let answer = r#"{"model": "small-1", "choices": [], "usage": {"prompt_tokens": 52, "completion_tokens": 1}}"#;
    let reply = Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], answer.into());
    let (small, frontier) = (Origin::answering([reply]).await, Origin::start().await);
    let sections = clients(", rate_limit: {tokens_per_minute: 10}");
    let gateway = Gateway::start(&Config { sections, ..Config::new(&small, &frontier) }).await;
    let long = question("auto", &"word ".repeat(50));

    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = connection.request(Method::POST, CHAT).header("api-key", "pk-1");
    let request = request.body(Framing::Length.body(Bytes::from(long))).expect("a valid request");
    let first = Reply::read(connection.send(request).await.expect("an answer")).await;
    let second = ask(&gateway, KEY, "auto").await;

    assert_eq!(first.status, StatusCode::OK, "a full allowance lets a larger prompt through");
    assert_eq!(first.header("x-ratelimit-remaining-tokens"), Some("0"));
    assert_eq!((second.status, second.error_code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded"));
    assert_eq!(small.next().await.model(), "small-1");
    assert!(small.take().is_none());
}

#[tokio::test]
async fn an_answer_takes_its_tokens_from_the_allowance() {
    let answer = r#"{"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 5000}}"#;
    let reply = Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], answer.into());
    let (small, frontier) = (Origin::answering([reply]).await, Origin::start().await);
    let sections = clients(", rate_limit: {tokens_per_minute: 1000}");
    let gateway = Gateway::start(&Config { sections, ..Config::new(&small, &frontier) }).await;

    let first = ask(&gateway, KEY, "auto").await;
    until_metric(&gateway, r#"pointsman_tokens_total{direction="output",model="small"} 5000"#).await;
    let second = ask(&gateway, KEY, "auto").await;

    assert_eq!((first.status, second.status), (StatusCode::OK, StatusCode::TOO_MANY_REQUESTS));
}

#[tokio::test]
async fn a_passed_stream_of_a_client_is_counted_and_costs_what_the_catalog_says() {
    let usage = r#"data: {"choices":[],"usage":{"prompt_tokens":1000000,"completion_tokens":500000}}"#;
    let (content, done) = (r#"data: {"choices":[{"delta":{"content":"hi"}}]}"#, "data: [DONE]");
    let events = format!("{content}\n\n{usage}\n\n{done}\n\n");
    let stream = Answer::Reply(StatusCode::OK, vec![("content-type", "text/event-stream")], events.into());
    let (small, frontier) = (Origin::start().await, Origin::answering([stream]).await);
    let config = Config { sections: clients(""), default_provider: Some("two"), ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let body = r#"{"model": "frontier-1", "stream": true, "messages": [{"role": "user", "content": "hi"}]}"#;

    let request = connection.request(Method::POST, CHAT).header("authorization", "Bearer pk-1");
    let request = request.header("accept-encoding", "gzip").body(Framing::Length.body(Bytes::from(body)));
    let reply = Reply::read(connection.send(request.expect("a valid request")).await.expect("an answer")).await;

    let sent = frontier.next().await;
    assert_eq!(sent.header("accept-encoding"), Some("identity"), "a compressed stream cannot be read");
    let sent: serde_json::Value = serde_json::from_slice(&sent.body).expect("JSON");
    assert_eq!(sent["stream_options"]["include_usage"], true);
    assert_eq!(reply.body, format!("{content}\n\n{done}\n\n"));
    until_metric(&gateway, r#"pointsman_client_cost_usd_total{client="team",model="passthrough"} 6"#).await;
    until_metric(&gateway, r#"pointsman_client_cost_usd_total{client="team",model="small"} 0"#).await;
}

#[tokio::test]
async fn what_no_model_can_use_is_not_believed_and_locks_no_client_out() {
    for said in [r#"{"prompt_tokens": 9, "completion_tokens": 1073741824}"#, r#"{"cost": 1e9, "prompt_tokens": 9}"#] {
        let answer = format!(r#"{{"choices": [{{"message": {{"content": "hello"}}}}], "usage": {said}}}"#);
        let reply = || Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], answer.clone().into());
        let (small, frontier) = (Origin::answering([reply(), reply()]).await, Origin::start().await);
        let sections = clients(", rate_limit: {tokens_per_minute: 1000}");
        let gateway = Gateway::start(&Config { sections, ..Config::new(&small, &frontier) }).await;

        let first = ask(&gateway, KEY, "auto").await;
        until_metric(&gateway, r#"pointsman_usage_unknown_total{model="small"} 1"#).await;
        until_metric(&gateway, r#"pointsman_usage_estimated_total{model="small"} 1"#).await;
        let second = ask(&gateway, KEY, "auto").await;

        assert_eq!([first.status, second.status], [StatusCode::OK; 2], "{said}");
    }
}

#[tokio::test]
async fn with_passthrough_a_key_of_ours_in_several_fields_goes_upstream_in_none() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { sections: clients(""), credential: "passthrough", ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;
    let ours = [("authorization", "Bearer pk-1"), ("x-api-key", "pk-1"), ("api-key", "pk-2"), ("x-token", "pk-1")];
    for own in [None, Some(("x-goog-api-key", "AIza"))] {
        let mut connection = Connection::open(gateway.listen, Framing::Length).await;
        let mut request = connection.request(Method::POST, &format!("{CHAT}?api_key=pk-1&limit=2&key=AIza"));
        for (field, value) in ours.into_iter().chain(own) {
            request = request.header(field, value);
        }

        let body = Framing::Length.body(Bytes::from(question("auto", "hello")));
        connection.send(request.body(body).expect("a valid request")).await.expect("an answer");

        let request = small.next().await;
        for (field, _) in ours {
            assert_eq!(request.header(field), None, "{field} beside {own:?}");
        }
        assert_eq!(request.header("x-goog-api-key"), own.map(|(_, value)| value), "the client's own");
        assert_eq!(request.path, format!("{CHAT}?limit=2&key=AIza"));
    }
}

#[tokio::test]
async fn with_passthrough_the_only_key_of_a_client_goes_upstream() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { sections: clients(""), credential: "passthrough", ..Config::new(&small, &frontier) };
    let gateway = Gateway::start(&config).await;

    ask(&gateway, KEY, "auto").await;

    assert_eq!(small.next().await.header("authorization"), Some("Bearer pk-1"), "it may be the provider's, too");
}
