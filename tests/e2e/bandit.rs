//! A policy that learns from feedback: live, over reloads, among replicas, and made to forget.

use http::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{CHAT, Connection, Framing, Reply, get, question};
use crate::clients::hash;
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::redis::Redis;
use crate::reload::until_metric;
use crate::soon;

const STRATEGY: &str = "{kind: bandit, models: [small, frontier], lambda: 0, explore: 0}";

fn learning(small: &Origin, frontier: &Origin) -> Config {
    Config { rules: Vec::new(), whole_strategy: Some(STRATEGY.to_owned()), ..Config::new(small, frontier) }
}

/// Sends a request, and says how the answer was; returns the model that answered, by who got the request.
async fn ask(gateway: &Gateway, client: Option<&str>) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = connection.request(Method::POST, CHAT).header("content-type", "application/json");
    let request = client.iter().fold(request, |request, client| request.header("x-api-key", *client));
    let request = request.body(Framing::Length.body(question("auto", "hi").into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

async fn rate(gateway: &Gateway, client: Option<&str>, word: Value) -> StatusCode {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = connection.request(Method::POST, "/v1/feedback").header("content-type", "application/json");
    let request = client.iter().fold(request, |request, client| request.header("x-api-key", *client));
    let request = request.body(Framing::Length.body(word.to_string().into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await.status
}

/// Sends requests whose answers are good where the frontier gave them; returns how many it gave.
async fn teach(gateway: &Gateway, requests: usize) -> usize {
    let mut strong = 0;
    for _ in 0..requests {
        let reply = ask(gateway, None).await;
        assert_eq!(reply.status, StatusCode::OK);
        let is_strong = reply.header("x-pointsman-model") == Some("frontier");
        strong += usize::from(is_strong);
        let word = json!({"request_id": reply.header("x-request-id"), "correct": is_strong});
        assert_eq!(rate(gateway, None, word).await, StatusCode::OK);
    }
    strong
}

/// Waits until so many rewards were learnt from: a word that outruns its answer counts when that is over.
async fn until_rewards(gateway: &Gateway, rewards: f64) {
    soon("the rewards", async {
        while bandit(gateway).await["rewards"].as_f64().is_none_or(|known| known + 0.5 < rewards) {}
    })
    .await;
}

async fn bandit(gateway: &Gateway) -> Value {
    get(gateway.admin, "/readyz").await.json()["bandits"]["auto"].clone()
}

#[tokio::test]
async fn feedback_moves_requests_to_the_better_model_and_a_reset_forgets_it() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = learning(&small, &frontier);
    let gateway = Gateway::start(&config).await;

    teach(&gateway, 60).await;
    let strong = teach(&gateway, 20).await;

    assert!(strong >= 18, "{strong}\n{}", gateway.log());
    until_rewards(&gateway, 80.0).await;
    let state = bandit(&gateway).await;
    let quality = |model: &str| state["labels"]["*"][model]["quality"].as_f64().expect("a quality");
    assert!(quality("frontier") > 0.9 && quality("small") < 0.4, "{state}");
    until_metric(&gateway, "pointsman_bandit_frozen{policy=\"auto\"} 0").await;

    gateway.write(&format!("{}\n# another text\n", config.yaml()));
    gateway.signal(Signal::HUP);
    until_metric(&gateway, "pointsman_generation 2").await;
    assert_eq!(bandit(&gateway).await, state, "a reload that changes nothing of it keeps what was learnt");

    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let none = admin.post(Framing::Length, "/bandits/reset", json!({"policy": "other"}).to_string()).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let empty = admin.post(Framing::Length, "/bandits/reset", String::new()).await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    assert!(String::from_utf8_lossy(&empty.body).contains("Expected: `{\\\"policy\\\": \\\"NAME\\\"}`"), "{empty:?}");
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let reset = admin.post(Framing::Length, "/bandits/reset", json!({"policy": "auto"}).to_string()).await;
    assert_eq!(reset.status, StatusCode::OK);
    assert_eq!(bandit(&gateway).await["rewards"], 0.0);
}

#[tokio::test]
async fn another_client_s_word_and_a_second_one_are_no_further_rewards() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let clients = ["anna", "mallory"].map(|name| format!("  {name}: {{keys: [{{sha256: {}}}]}}\n", hash(name)));
    let sections = format!("clients:\n{}", clients.concat());
    let gateway = Gateway::start(&Config { sections, ..learning(&small, &frontier) }).await;
    let reply = ask(&gateway, Some("anna")).await;
    let word = |rating: &str| json!({"request_id": reply.header("x-request-id"), "rating": rating});

    assert_eq!(rate(&gateway, Some("mallory"), word("down")).await, StatusCode::BAD_REQUEST);
    assert_eq!(bandit(&gateway).await["rewards"], 0.0);

    assert_eq!(rate(&gateway, Some("anna"), word("up")).await, StatusCode::OK);
    assert_eq!(rate(&gateway, Some("anna"), word("down")).await, StatusCode::OK);
    until_rewards(&gateway, 1.0).await;
    let state = bandit(&gateway).await;
    let model = reply.header("x-pointsman-model").expect("a decision").to_owned();
    assert!((state["labels"]["*"][&model]["weight"].as_f64().expect("a weight") - 1.0).abs() < 1e-6, "{state}");
    assert!((state["labels"]["*"][&model]["quality"].as_f64().expect("a quality") - 1.0 / 3.0).abs() < 1e-3, "{state}");
}

#[tokio::test]
async fn replicas_learn_together() {
    let (small, frontier, redis) = (Origin::start().await, Origin::start().await, Redis::start());
    let config = Config { sections: redis.section("1s"), ..learning(&small, &frontier) };
    let (first, second) = (Gateway::start(&config).await, Gateway::start(&config).await);
    until_metric(&first, "pointsman_store_available 1").await;

    teach(&first, 60).await;

    until_rewards(&second, 60.0).await;
    assert!(teach(&second, 20).await >= 18);
}
