//! The response cache: who gets a kept answer, who never does, and what is counted.

use bytes::Bytes;
use futures::future::join_all;
use http::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::client::{CHAT, Connection, Framing, Reply};
use crate::clients::hash;
use crate::gateway::{Config, Gateway};
use crate::google;
use crate::origin::{Answer, Origin};
use crate::redis::Redis;
use crate::reload::until_metric;
use crate::soon;

const STREAM: &str = "data: {\"id\":\"1\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n\
    data: {\"id\":\"1\",\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\n\
    data: {\"id\":\"1\",\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
    data: {\"id\":\"1\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

/// A policy with this `cache`, whose rule sends everything to `small`.
fn caching(small: &Origin, frontier: &Origin, cache: &str) -> Config {
    Config { policy: format!("    cache: {{{cache}}}\n"), ..Config::new(small, frontier) }
}

/// A request whose answer may be kept.
fn request(text: &str) -> Value {
    json!({"model": "auto", "temperature": 0, "messages": [{"role": "user", "content": text}]})
}

fn with(text: &str, more: &Value) -> Value {
    let mut request = request(text);
    request.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    request
}

async fn send(gateway: &Gateway, fields: &[(&str, &str)], path: &str, body: &Value) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let mut request = connection.request(Method::POST, path).header("content-type", "application/json");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Framing::Length.body(body.to_string().into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

async fn ask(gateway: &Gateway, fields: &[(&str, &str)], body: &Value) -> Reply {
    send(gateway, fields, CHAT, body).await
}

/// Asks, and returns the cache's word on the answer.
async fn word(gateway: &Gateway, fields: &[(&str, &str)], body: &Value) -> String {
    let reply = ask(gateway, fields, body).await;
    assert_eq!(reply.status, StatusCode::OK, "{:?}", reply.body);
    said(&reply).to_owned()
}

/// Returns the cache's word. A client that has its answer may ask again before that is kept: then it joins.
pub(crate) fn said(reply: &Reply) -> &str {
    let word = reply.header("x-pointsman-cache").unwrap_or("none");
    if word == "joined" { "hit" } else { word }
}

fn count(origin: &Origin) -> usize {
    std::iter::from_fn(|| origin.take()).count()
}

fn requests(outcome: &str, number: u32) -> String {
    format!("pointsman_response_cache_requests_total{{outcome=\"{outcome}\",policy=\"auto\"}} {number}")
}

#[tokio::test]
async fn the_same_request_is_answered_again_without_a_model_and_what_that_saves_is_counted() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&caching(&small, &frontier, "")).await;

    let first = ask(&gateway, &[], &request("hello")).await;
    until_metric(&gateway, "pointsman_response_cache_entries 1").await;
    let again = ask(&gateway, &[], &request("hello")).await;
    let other = word(&gateway, &[], &request("hallo")).await;

    assert_eq!(first.header("x-pointsman-cache"), Some("miss"));
    assert_eq!(first.header("age"), None);
    assert_eq!((again.header("x-pointsman-cache"), again.header("age")), (Some("hit"), Some("0")));
    assert_eq!((&again.body, again.header("content-type")), (&first.body, first.header("content-type")));
    assert_eq!((again.header("x-pointsman-model"), again.header("x-pointsman-attempts")), (Some("small"), Some("0")));
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
    assert_eq!((other.as_str(), count(&small)), ("miss", 2));
    until_metric(&gateway, &requests("hit", 1)).await;
    until_metric(&gateway, &requests("miss", 2)).await;
    until_metric(&gateway, "pointsman_response_cache_entries 2").await;
    let series =
        "pointsman_request_duration_seconds_count{model=\"response_cache\",policy=\"auto\",status_class=\"2xx\"} 1";
    until_metric(&gateway, series).await;
    let asked = "pointsman_request_duration_seconds_count{model=\"small\",policy=\"auto\",status_class=\"2xx\"} 2";
    until_metric(&gateway, asked).await;
    let saved = metric(&gateway, "pointsman_response_cache_saved_usd_total{policy=\"auto\"}").await;
    let paid = metric(&gateway, "pointsman_cost_usd_total{model=\"small\"}").await;
    assert!(saved > 0.0 && (paid - 2.0 * saved).abs() < 1e-12, "{paid} paid for two, {saved} saved");
    let log = gateway.log();
    assert!(log.lines().any(|line| line.contains("cache=\"hit\"") && line.contains("cost_usd=0.0")), "{log}");
}

async fn metric(gateway: &Gateway, series: &str) -> f64 {
    let text = crate::client::get(gateway.admin, "/metrics").await;
    let text = String::from_utf8_lossy(&text.body).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("no {series}: {text}"));
    line.trim().parse().expect("a number")
}

#[tokio::test]
async fn a_stream_is_given_again_byte_by_byte_and_apart_from_a_whole_answer() {
    let (sender, chunks) = mpsc::channel(8);
    let (small, frontier) = (Origin::answering([Answer::Events(chunks)]).await, Origin::start().await);
    let gateway = Gateway::start(&caching(&small, &frontier, "")).await;
    for event in STREAM.split_inclusive("\n\n") {
        sender.send(event.into()).await.expect("the origin listens");
    }
    drop(sender);
    let streamed = with("hello", &json!({"stream": true, "stream_options": {"include_usage": true}}));

    let first = ask(&gateway, &[], &streamed).await;
    let again = ask(&gateway, &[], &streamed).await;
    let whole = ask(&gateway, &[], &request("hello")).await;

    assert_eq!((said(&first), &*first.body), ("miss", STREAM.as_bytes()));
    assert_eq!((said(&again), &again.body), ("hit", &first.body));
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_eq!(said(&whole), "miss");
    let mut h2 = Connection::open(gateway.listen, Framing::H2Length).await;
    let over_h2 = h2.post(Framing::H2Length, CHAT, streamed.to_string()).await;
    assert_eq!((said(&over_h2), &over_h2.body), ("hit", &first.body));
}

#[tokio::test]
async fn no_client_gets_another_s_answer() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let client = |name: &str| {
        format!("{name}: {{keys: [{{sha256: {}}}, {{sha256: {}}}]}}", hash(name), hash(&format!("{name}-2")))
    };
    let config = Config {
        sections: format!("clients: {{{}, {}}}\n", client("anna"), client("mallory")),
        ..caching(&small, &frontier, "")
    };
    let gateway = Gateway::start(&config).await;
    let by = |key: &'static str| [("authorization", key)];

    let anna = word(&gateway, &by("Bearer anna"), &request("my secret")).await;
    let mallory = word(&gateway, &by("Bearer mallory"), &request("my secret")).await;
    let only = [("authorization", "Bearer mallory"), ("cache-control", "only-if-cached")];
    let pried = ask(&gateway, &only, &request("a guess")).await;
    let second_key = word(&gateway, &by("Bearer anna-2"), &request("my secret")).await;

    assert_eq!((anna.as_str(), mallory.as_str(), second_key.as_str()), ("miss", "miss", "hit"));
    assert_eq!((pried.status, pried.error_code()), (StatusCode::GATEWAY_TIMEOUT, "not_cached".to_owned()));
    assert_eq!(count(&small), 2);
}

#[tokio::test]
async fn without_client_keys_the_credentials_that_callers_send_keep_them_apart() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { credential: "passthrough", ..caching(&small, &frontier, "") };
    let gateway = Gateway::start(&config).await;

    let mut words = Vec::new();
    for key in ["Bearer one", "Bearer two", "Bearer one"] {
        words.push(word(&gateway, &[("authorization", key)], &request("hello")).await);
    }

    assert_eq!((words, count(&small)), (vec!["miss".to_owned(), "miss".to_owned(), "hit".to_owned()], 2));
}

#[tokio::test]
async fn requests_whose_answers_may_differ_or_have_effects_are_not_kept() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&caching(&small, &frontier, "")).await;
    let tool = json!([{"type": "function", "function": {"name": "delete", "parameters": {}}}]);
    let hot = json!({"model": "auto", "messages": [{"role": "user", "content": "hello"}]});

    for (body, expected) in [
        (with("a", &json!({"temperature": 0.1})), "bypass; temperature"),
        (hot, "bypass; temperature"),
        (with("a", &json!({"tools": tool})), "bypass; tools"),
        (with("a", &json!({"web_search_options": {}})), "bypass; tools"),
        (with("a", &json!({"store": true})), "bypass; stored"),
        (with("a", &json!({"n": 2})), "bypass; several"),
    ] {
        for _ in 0..2 {
            assert_eq!(word(&gateway, &[], &body).await, expected, "{body}");
        }
    }
    let kept = json!({"model": "auto", "temperature": 0, "input": "hello"});
    let response = send(&gateway, &[], "/v1/responses", &kept).await;
    let goes_on =
        json!({"model": "auto", "temperature": 0, "store": false, "input": "x", "previous_response_id": "resp_1"});
    let next = send(&gateway, &[], "/v1/responses", &goes_on).await;
    assert_eq!(said(&response), "bypass; stored");
    assert_eq!(said(&next), "bypass; state");
    assert_eq!(count(&small), 14);
    until_metric(&gateway, &requests("bypass", 14)).await;
}

#[tokio::test]
async fn several_candidates_of_google_s_api_are_not_kept() {
    let (small, frontier) =
        (Origin::answering((0..9).map(|_| google::answer(google::ANSWER))).await, Origin::start().await);
    let config = google::google(&small, &frontier);
    let gateway = Gateway::start(&Config { policy: "    cache: {}\n".to_owned(), ..config }).await;
    let asked = |config: Value| json!({"contents": [{"parts": [{"text": "Hello"}]}], "generationConfig": config});
    let snake = json!({"contents": [{"parts": [{"text": "Hi"}]}], "generation_config": {"temperature": 0, "candidate_count": 3}});

    for (body, expected) in [
        (asked(json!({"temperature": 0, "candidateCount": 2})), ["bypass; several"; 2]),
        (snake, ["bypass; several"; 2]),
        (asked(json!({"temperature": 0, "candidateCount": 1})), ["miss", "hit"]),
    ] {
        for word in expected {
            let reply = send(&gateway, &[], google::WHOLE, &body).await;
            assert_eq!((reply.status, said(&reply)), (StatusCode::OK, word), "{body}");
        }
    }
}

#[tokio::test]
async fn what_a_policy_asks_for_is_kept() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&caching(&small, &frontier, "max_temperature: 2, tools: allow")).await;
    let tool = json!([{"type": "function", "function": {"name": "look_up", "parameters": {}}}]);

    for body in [with("a", &json!({"temperature": 1.5})), with("a", &json!({"tools": tool}))] {
        assert_eq!(word(&gateway, &[], &body).await, "miss");
        assert_eq!(word(&gateway, &[], &body).await, "hit", "{body}");
    }
}

#[tokio::test]
async fn answers_that_are_no_whole_answers_are_not_kept() {
    let reply = |status, fields: Vec<(&'static str, &'static str)>, body: Value| {
        Answer::Reply(status, fields, Bytes::from(body.to_string()))
    };
    let json = || ("content-type", "application/json");
    let chat = |reason: &str| json!({"choices": [{"message": {"content": "hi"}, "finish_reason": reason}]});
    let large = json!({"choices": [{"message": {"content": "x".repeat(5000)}, "finish_reason": "stop"}]});
    let script = [
        reply(StatusCode::BAD_REQUEST, vec![json()], json!({"error": {"message": "no"}})),
        reply(StatusCode::OK, vec![json()], chat("length")),
        reply(StatusCode::OK, vec![json()], chat("content_filter")),
        reply(StatusCode::OK, vec![json(), ("cache-control", "no-store")], chat("stop")),
        reply(StatusCode::OK, vec![json()], large),
        Answer::CutEvents("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n".into()),
    ];
    let tries = script.len();
    let (small, frontier) = (Origin::answering(script).await, Origin::start().await);
    let gateway = Gateway::start(&caching(&small, &frontier, "max_entry_bytes: 4096")).await;

    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    for number in 0..tries {
        let streamed = number == tries - 1;
        let body = if streamed { with("hello", &json!({"stream": true})) } else { request("hello") };
        let reply = connection.start(Framing::Length, CHAT, body.to_string()).await;
        assert_eq!(reply.headers()["x-pointsman-cache"], "miss", "answer {number}");
        drop(soon("the answer", http_body_util::BodyExt::collect(reply.into_body())).await); // the last one breaks off
    }

    assert_eq!(word(&gateway, &[], &request("hello")).await, "miss");
    assert_eq!(word(&gateway, &[], &request("hello")).await, "hit");
}

#[tokio::test]
async fn a_client_says_how_old_an_answer_may_be() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&caching(&small, &frontier, "")).await;
    let say = |directive: &'static str| [("cache-control", directive)];

    let mut words = Vec::new();
    for directive in ["no-store", "max-age=60", "max-age=60", "no-cache", "max-age=0", "only-if-cached", "no-store"] {
        words.push(word(&gateway, &say(directive), &request("hello")).await);
    }

    assert_eq!(words, ["bypass; client", "miss", "hit", "miss", "miss", "hit", "bypass; client"]);
    assert_eq!(count(&small), 5);
}

#[tokio::test]
async fn an_answer_grows_too_old() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&caching(&small, &frontier, "ttl: 1s")).await;
    assert_eq!(word(&gateway, &[], &request("hello")).await, "miss");

    let again = async { while word(&gateway, &[], &request("hello")).await == "hit" {} };
    soon("a miss", again).await;

    assert_eq!(count(&small), 2);
}

#[tokio::test]
async fn the_same_request_at_the_same_time_is_asked_once() {
    let (release, held) = oneshot::channel();
    let (small, frontier) = (Origin::answering([Answer::Held(held)]).await, Origin::start().await);
    let gateway = Gateway::start(&caching(&small, &frontier, "")).await;
    let (hello, first) = (request("hello"), request("hello"));

    let (_, replies) = tokio::join!(
        async {
            small.next().await; // the one that leads is asked
            let other = word(&gateway, &[], &request("other")).await;
            assert_eq!(other, "miss", "another request waits for nobody");
            until_metric(&gateway, "pointsman_response_cache_entries 1").await;
            release.send(()).expect("the origin waits");
        },
        join_all((0..8).map(|_| ask(&gateway, &[], &hello))),
    );

    let of = |word: &str| replies.iter().filter(|reply| reply.header("x-pointsman-cache") == Some(word)).count();
    assert_eq!(of("miss"), 1, "{}", gateway.log());
    assert_eq!(of("joined") + of("hit"), 7);
    assert!(replies.iter().all(|reply| reply.body == replies[0].body));
    assert_eq!(count(&small), 1, "the other request's");
    assert_eq!(word(&gateway, &[], &first).await, "hit");
}

/// Begins a stream that never says anything, and returns what ends it.
async fn silent_leader(gateway: &Gateway, small: &Origin) -> (mpsc::Sender<Bytes>, tokio::task::JoinHandle<()>) {
    let (end, held) = mpsc::channel::<Bytes>(1);
    small.script(Answer::Events(held));
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let leader = tokio::spawn(async move { drop(connection.start(Framing::Length, CHAT, streamed()).await) });
    small.next().await;
    (end, leader)
}

fn streamed() -> String {
    with("hello", &json!({"stream": true})).to_string()
}

#[tokio::test]
async fn nobody_waits_for_an_answer_for_longer_than_the_policy_says() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&caching(&small, &frontier, "max_wait: 100ms")).await;
    let (end, leader) = silent_leader(&gateway, &small).await;

    let impatient =
        Connection::open(gateway.listen, Framing::Length).await.post(Framing::Length, CHAT, streamed()).await;

    assert_eq!((impatient.status, impatient.header("x-pointsman-cache")), (StatusCode::OK, Some("miss")));
    assert_eq!(word(&gateway, &[], &with("hello", &json!({"stream": true}))).await, "hit", "its own answer is kept");
    drop(end);
    leader.await.expect("no panic");
}

#[tokio::test]
async fn who_waits_for_an_answer_that_fails_asks_next() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&caching(&small, &frontier, "")).await;
    let (end, leader) = silent_leader(&gateway, &small).await;

    let waiting = |_| async {
        Connection::open(gateway.listen, Framing::Length).await.post(Framing::Length, CHAT, streamed()).await
    };
    let ((), replies) = tokio::join!(
        async {
            drop(end);
            leader.await.expect("no panic");
        },
        join_all((0..4).map(waiting)),
    );

    assert!(replies.iter().all(|reply| reply.status == StatusCode::OK), "{}", gateway.log());
    let misses = replies.iter().filter(|reply| reply.header("x-pointsman-cache") == Some("miss")).count();
    assert!(misses <= 1, "{misses} of those who waited asked\n{}", gateway.log());
}

#[tokio::test]
async fn a_reload_keeps_answers_unless_the_models_change() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = caching(&small, &frontier, "");
    let gateway = Gateway::start(&config).await;
    assert_eq!(word(&gateway, &[], &request("hello")).await, "miss");

    gateway.write(&(config.yaml() + "# a remark\n"));
    gateway.signal(Signal::HUP);
    until_metric(&gateway, "pointsman_generation 2").await;
    let same = word(&gateway, &[], &request("hello")).await;
    let changed = Config { small_name: "small-2".to_owned(), ..config };
    gateway.write(&changed.yaml());
    gateway.signal(Signal::HUP);
    until_metric(&gateway, "pointsman_generation 3").await;
    let other = ask(&gateway, &[], &request("hello")).await;

    assert_eq!(same, "hit");
    assert_eq!((said(&other), &other.json()["model"]), ("miss", &json!("small-2")));
}

#[tokio::test]
async fn replicas_share_answers_through_the_store_and_a_store_that_is_gone_is_a_miss() {
    let mut redis = Redis::start();
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = Config { sections: redis.section("1s"), ..caching(&small, &frontier, "store: true") };
    let (one, two) = (Gateway::start(&config).await, Gateway::start(&config).await);
    crate::affinity::until_store(&one, "ready").await;
    crate::affinity::until_store(&two, "ready").await;

    let first = ask(&one, &[], &request("hello")).await;
    until_metric(&one, &requests("miss", 1)).await;
    let second = ask(&two, &[], &request("hello")).await;
    redis.die();
    crate::affinity::until_store(&two, "unavailable").await;
    let third = word(&two, &[], &request("other")).await;
    let fourth = word(&two, &[], &request("other")).await;

    assert_eq!(said(&first), "miss");
    assert_eq!((said(&second), &second.body), ("hit", &first.body));
    assert_eq!((third.as_str(), fourth.as_str()), ("miss", "hit"));
    assert_eq!(count(&small), 2);
}

#[tokio::test]
async fn a_policy_without_a_cache_says_nothing_of_one() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&Config::new(&small, &frontier)).await;

    for _ in 0..2 {
        assert_eq!(word(&gateway, &[], &request("hello")).await, "none");
    }

    assert_eq!(count(&small), 2);
}
