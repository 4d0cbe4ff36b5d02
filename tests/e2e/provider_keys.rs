//! A provider with several keys: which one a request goes with, and what becomes of one that is limited or refused.

use std::collections::BTreeMap;
use std::fs;

use http::StatusCode;
use serde_json::json;

use crate::client::{Connection, Framing, Reply, chat, question};
use crate::decision_log::{KEY, lines, logging};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::reload::until_metric;
use crate::schema::Document;

const TWO: &str = "keys: [{env: KEY_A, weight: 3}, {env: KEY_B, name: second}]";
const ENVIRONMENT: [(&str, &str); 2] = [("KEY_A", "sk-planted-a"), ("KEY_B", "sk-planted-b")];
/// A strategy that chooses nothing else than the model of the keys.
const ONLY_SMALL: &str = "{kind: random, models: [small]}";

/// A provider with two keys behind `small`, and another provider behind `frontier`.
struct Keys {
    small: Origin,
    frontier: Origin,
    gateway: Gateway,
}

impl Keys {
    async fn start(script: Vec<Answer>, fallback: &'static str) -> Self {
        let (small, frontier) = (Origin::answering(script).await, Origin::start().await);
        let whole_strategy = Some(ONLY_SMALL.to_owned());
        let config = Config { one: vec![TWO.to_owned()], fallback, whole_strategy, ..Config::new(&small, &frontier) };
        let gateway = Gateway::start_with(&config, &ENVIRONMENT).await;
        Self { small, frontier, gateway }
    }

    async fn ask(&self, text: &str) -> Reply {
        chat(self.gateway.listen, question("auto", text)).await
    }

    /// Returns the keys of the requests that came since the last call.
    fn sent(&self) -> Vec<String> {
        std::iter::from_fn(|| self.small.take()).map(|request| key_of(request.header("authorization"))).collect()
    }
}

fn key_of(field: Option<&str>) -> String {
    field.and_then(|field| field.strip_prefix("Bearer sk-planted-")).expect("a key").to_owned()
}

fn refusal(status: u16, fields: &[(&'static str, &'static str)]) -> Answer {
    let status = StatusCode::from_u16(status).expect("a status");
    Answer::Reply(status, fields.to_vec(), json!({"error": {"message": "no", "code": null}}).to_string().into())
}

fn other(key: &str) -> &'static str {
    if key == "a" { "b" } else { "a" }
}

#[tokio::test]
async fn conversations_are_spread_by_weight_and_each_keeps_its_key() {
    let keys = Keys::start(Vec::new(), "[]").await;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();

    for conversation in 0..40 {
        let opening = format!("conversation {conversation}");
        keys.ask(&opening).await;
        let first = keys.sent();
        let grown = json!({"model": "auto", "messages": [
            {"role": "user", "content": opening}, {"role": "assistant", "content": "hi"},
            {"role": "user", "content": "go on"},
        ]});
        chat(keys.gateway.listen, grown.to_string()).await;
        assert_eq!(keys.sent(), first, "{opening}");
        *counts.entry(first[0].clone()).or_default() += 1;
    }

    assert!(counts["a"] > counts["b"] && counts["b"] > 0, "{counts:?}");
    let series = |key: &str, count: usize| {
        format!("pointsman_provider_key_requests_total{{key=\"{key}\",provider=\"one\"}} {count}")
    };
    until_metric(&keys.gateway, &series("KEY_A", 2 * counts["a"])).await;
    until_metric(&keys.gateway, &series("second", 2 * counts["b"])).await;
    let log = keys.gateway.log();
    assert!(log.contains("key=\"second\"") && !log.contains("planted"), "the access line has the key's name: {log}");
}

#[tokio::test]
async fn explanations_and_the_decision_log_name_the_key_and_never_show_it() {
    let small = Origin::start().await;
    let config = Config {
        one: vec![TWO.to_owned()],
        whole_strategy: Some(ONLY_SMALL.to_owned()),
        ..Config::new(&small, &small)
    };
    let mut gateway =
        Gateway::start_with(&logging(config, ""), &[&ENVIRONMENT[..], &[("LOG_KEY", KEY)]].concat()).await;
    let mut expected = Vec::new();

    for conversation in 0..8 {
        let body = question("auto", &format!("conversation {conversation}"));
        let mut connection = Connection::open(gateway.admin, Framing::Length).await;
        let decided = connection.post(Framing::Length, "/v1/decide", body.clone()).await;
        assert_eq!(Document::new().violations("Decision", &decided.json()), Vec::<String>::new());
        assert!(small.take().is_none(), "nobody is asked");
        chat(gateway.listen, body).await;
        let sent = key_of(small.next().await.header("authorization"));
        let name = if sent == "a" { "KEY_A" } else { "second" };
        assert_eq!(decided.json()["key"], name, "the one that the request went with then");
        assert!(!String::from_utf8_lossy(&decided.body).contains("planted"));
        expected.push(json!(name));
    }

    let lines = lines(&mut gateway);
    assert_eq!(lines.iter().map(|line| line["key"].clone()).collect::<Vec<_>>(), expected);
    assert!(!json!(lines).to_string().contains("planted"));
}

#[tokio::test]
async fn a_rate_limited_key_rests_and_the_request_goes_with_another_one() {
    for fields in [&[("retry-after", "30")][..], &[("x-ratelimit-reset", "30")], &[("retry-after", "30"), ("x-y", "z")]]
    {
        let keys = Keys::start(vec![refusal(429, fields)], "[frontier]").await;

        let reply = keys.ask("hello").await;
        let tried = keys.sent();

        assert_eq!((reply.status, reply.header("x-pointsman-model")), (StatusCode::OK, Some("small")));
        assert_eq!(reply.header("x-pointsman-attempts"), Some("2"));
        assert_eq!(tried[1], other(&tried[0]));
        for text in 0..10 {
            assert_eq!(keys.ask(&text.to_string()).await.header("x-pointsman-model"), Some("small"));
        }
        assert!(keys.sent().iter().all(|key| *key == tried[1]), "the limited key rests");
        let limited = if tried[0] == "a" { "KEY_A" } else { "second" };
        let series = format!("pointsman_provider_key_resting{{key=\"{limited}\",provider=\"one\"}} 1");
        until_metric(&keys.gateway, &series).await;
        assert!(keys.frontier.take().is_none(), "no other model was asked");
    }
}

#[tokio::test]
async fn a_refused_key_is_out_and_logged_by_its_name() {
    for status in [401, 402, 403] {
        let keys = Keys::start(vec![refusal(status, &[])], "[]").await;

        assert_eq!(keys.ask("hello").await.status, StatusCode::OK);
        let tried = keys.sent();

        for text in 0..10 {
            assert_eq!(keys.ask(&text.to_string()).await.status, StatusCode::OK);
        }
        assert!(keys.sent().iter().all(|key| *key == tried[1]), "the refused key is out");
        let name = if tried[0] == "a" { "KEY_A" } else { "second" };
        let log = keys.gateway.log();
        let line = log.lines().find(|line| line.contains("Key refused")).expect("a line");
        assert!(line.contains("ERROR") && line.contains(name) && line.contains(&status.to_string()), "{line}");
        assert!(!log.contains("planted"), "{log}");
    }
}

#[tokio::test]
async fn a_key_that_may_not_ask_for_a_model_is_out_for_it_and_another_404_says_nothing_of_keys() {
    let missing = json!({"error": {"message": "The model `small-1` does not exist or you do not have access to it.",
        "type": "invalid_request_error", "code": "model_not_found"}});
    let missing =
        Answer::Reply(StatusCode::NOT_FOUND, vec![("content-type", "application/json")], missing.to_string().into());
    let keys = Keys::start(vec![missing], "[]").await;

    assert_eq!(keys.ask("hello").await.status, StatusCode::OK);
    let tried = keys.sent();
    keys.small.script(refusal(404, &[]));
    assert_eq!(keys.ask("hello").await.status, StatusCode::NOT_FOUND);

    assert_eq!((tried.len(), keys.sent()), (2, vec![tried[1].clone()]), "{tried:?}");
    for text in 0..10 {
        assert_eq!(keys.ask(&text.to_string()).await.status, StatusCode::OK);
    }
    assert!(keys.sent().iter().all(|key| *key == tried[1]), "the key is out for the model");
    let log = keys.gateway.log();
    let line = log.lines().find(|line| line.contains("Key refused")).expect("a line");
    assert!(line.contains("for a model") && line.contains("small-1") && line.contains("404"), "{line}");
    let limited = if tried[0] == "a" { "KEY_A" } else { "second" };
    let series = format!("pointsman_provider_key_resting{{key=\"{limited}\",provider=\"one\"}} 0");
    until_metric(&keys.gateway, &series).await;
}

#[tokio::test]
async fn another_model_is_asked_once_every_key_is_limited_and_the_model_rests_then() {
    let limits = vec![refusal(429, &[("retry-after", "30")]), refusal(429, &[("retry-after", "40")])];
    let keys = Keys::start(limits, "[frontier]").await;

    let reply = keys.ask("hello").await;

    assert_eq!(reply.header("x-pointsman-model"), Some("frontier"));
    let mut tried = keys.sent();
    tried.sort_unstable();
    assert_eq!(tried, ["a", "b"], "each key is tried once");
    assert_eq!(keys.ask("hello again").await.header("x-pointsman-model"), Some("frontier"));
    assert!(keys.sent().is_empty(), "the model rests with its keys");
}

#[tokio::test]
async fn when_every_key_is_refused_the_fallback_answers_and_without_one_the_client_sees_the_refusal() {
    let refusals = || vec![refusal(401, &[]), refusal(401, &[])];
    let [with, without] = [Keys::start(refusals(), "[frontier]").await, Keys::start(refusals(), "[]").await];

    assert_eq!(with.ask("hello").await.header("x-pointsman-model"), Some("frontier"));
    assert_eq!(without.ask("hello").await.status, StatusCode::UNAUTHORIZED);

    assert_eq!((with.sent().len(), without.sent().len()), (2, 2));
    assert_eq!(without.ask("hello").await.status, StatusCode::OK, "the least bad key is tried, and let in");
}

#[tokio::test]
async fn a_key_whose_answer_is_an_error_within_a_200_is_changed_too() {
    let error = json!({"error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}});
    let error = Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], error.to_string().into());
    let keys = Keys::start(vec![error], "[frontier]").await;

    let reply = keys.ask("hello").await;

    assert_eq!((reply.status, reply.header("x-pointsman-model")), (StatusCode::OK, Some("small")));
    let tried = keys.sent();
    assert_eq!(tried[1], other(&tried[0]));
}

#[tokio::test]
async fn a_key_in_a_file_is_rotated_without_a_restart() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let folder = tempfile::tempdir().expect("a folder");
    let [first, second] = ["first.key", "second.key"].map(|name| folder.path().join(name));
    fs::write(&first, "sk-planted-a\n").expect("written");
    fs::write(&second, "sk-planted-a").expect("written");
    let one = vec![format!("keys: [{{file: {}}}, {{file: {}}}]", first.display(), second.display())];
    let gateway = Gateway::start(&Config { one, ..Config::new(&small, &frontier) }).await;
    chat(gateway.listen, question("auto", "hello")).await;
    assert_eq!(key_of(small.next().await.header("authorization")), "a");

    for file in [&first, &second] {
        let next = folder.path().join("next");
        fs::write(&next, "sk-planted-b").expect("written");
        fs::rename(next, file).expect("renamed");
    }

    loop {
        chat(gateway.listen, question("auto", "hello")).await;
        if key_of(small.next().await.header("authorization")) == "b" {
            break;
        }
    }
    let text = crate::client::get(gateway.admin, "/metrics").await;
    let text = String::from_utf8_lossy(&text.body).into_owned();
    assert!(text.contains("pointsman_provider_key_requests_total{key=\"first.key\",provider=\"one\"}"), "{text}");
}
