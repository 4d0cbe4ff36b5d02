//! Quotas: how many answers of strong models one client or session gets, and what comes of the requests beyond.

use futures::future::join_all;
use http::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::affinity::until_store;
use crate::client::{CHAT, Connection, Framing, Reply, question};
use crate::clients::hash;
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::redis::Redis;
use crate::reload::until_metric;
use crate::soon;

/// A policy whose strategy always chooses `frontier`, and whose rule sends what a header calls easy to `small`.
fn bounded(small: &Origin, frontier: &Origin, quota: &str) -> Config {
    Config {
        rules: vec![(r#"headers["x-easy"] == "1""#, "small")],
        whole_strategy: Some("{kind: random, models: [frontier]}".to_owned()),
        sections: "rule_headers: [x-easy]\n".to_owned(),
        policy: format!("    quotas: [{{name: strong, models: [frontier], otherwise: small, {quota}}}]\n"),
        ..Config::new(small, frontier)
    }
}

/// As [`bounded`], for the clients `anna` and `mallory`.
fn bounded_clients(small: &Origin, frontier: &Origin, quota: &str) -> Config {
    let config = bounded(small, frontier, quota);
    let client = |name: &str| format!("{name}: {{keys: [{{sha256: {}}}]}}", hash(name));
    let sections = format!("{}clients: {{{}, {}}}\n", config.sections, client("anna"), client("mallory"));
    Config { sections, ..config }
}

/// Asks with these header fields.
async fn ask(gateway: &Gateway, fields: &[(&str, &str)]) -> Reply {
    send(gateway, fields, question("auto", "hello")).await
}

async fn send(gateway: &Gateway, fields: &[(&str, &str)], body: String) -> Reply {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let mut request = connection.request(Method::POST, CHAT).header("content-type", "application/json");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Framing::Length.body(body.into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await
}

async fn explain(gateway: &Gateway, fields: &[(&str, &str)]) -> Value {
    let mut connection = Connection::open(gateway.admin, Framing::Length).await;
    let mut request = connection.request(Method::POST, "/v1/decide").header("content-type", "application/json");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let body = question("auto", "hello");
    let request = request.body(Framing::Length.body(body.into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await.json()
}

fn model(reply: &Reply) -> &str {
    assert_eq!(reply.status, StatusCode::OK, "{:?}", reply.body);
    reply.header("x-pointsman-model").unwrap_or_default()
}

/// Asks so many times, one after the other, and returns how many of the answers `frontier` gave.
async fn strong(gateway: &Gateway, fields: &[(&str, &str)], times: usize) -> usize {
    let mut strong = 0;
    for _ in 0..times {
        let reply = ask(gateway, fields).await;
        let is_strong = model(&reply) == "frontier";
        let reason = reply.header("x-pointsman-reason");
        assert_eq!(reason, Some(if is_strong { "random" } else { "quota" }));
        strong += usize::from(is_strong);
    }
    strong
}

const ANNA: (&str, &str) = ("authorization", "Bearer anna");
const MALLORY: (&str, &str) = ("authorization", "Bearer mallory");

#[tokio::test]
async fn a_client_has_its_burst_and_its_share_and_takes_nothing_from_another() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&bounded_clients(&small, &frontier, "share: 0.2, burst: 2")).await;

    let mallory = strong(&gateway, &[MALLORY, ("x-pointsman-session", "new")], 12).await;
    let anna = strong(&gateway, &[ANNA], 2).await;

    assert_eq!((mallory, anna), (4, 2), "two at once, and a fifth of twelve; {}", gateway.log());
    let hits = "pointsman_quota_hits_total{outcome=\"moved\",per=\"client\",policy=\"auto\",quota=\"strong\"} 8";
    until_metric(&gateway, hits).await;
    for (client, all, strong) in [("mallory", 12, 4), ("anna", 2, 2)] {
        let labels = format!("{{client=\"{client}\",policy=\"auto\"}}");
        until_metric(&gateway, &format!("pointsman_client_answers_total{labels} {all}")).await;
        until_metric(&gateway, &format!("pointsman_client_strong_answers_total{labels} {strong}")).await;
    }
}

#[tokio::test]
async fn requests_at_once_get_no_more_than_one_after_the_other() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&bounded_clients(&small, &frontier, "share: 0, burst: 3")).await;

    let replies = join_all((0..40).map(|_| ask(&gateway, &[MALLORY]))).await;

    assert_eq!(replies.iter().filter(|reply| model(reply) == "frontier").count(), 3, "{}", gateway.log());
}

#[tokio::test]
async fn sessions_have_an_allowance_each_and_those_beyond_the_bound_share_one() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let quota = "per: session, share: 0, burst: 1, max_sessions: 2";
    let gateway = Gateway::start(&bounded(&small, &frontier, quota)).await;
    let in_session = |name: &'static str| [("x-pointsman-session", name)];

    let named = [strong(&gateway, &in_session("a"), 3).await, strong(&gateway, &in_session("b"), 3).await];
    let unnamed = strong(&gateway, &[], 5).await;
    let made_up = [strong(&gateway, &in_session("c"), 1).await, strong(&gateway, &in_session("d"), 1).await];

    assert_eq!((named, unnamed), ([1, 1], 1));
    assert_eq!(made_up, [0, 0], "sessions beyond the bound share what the others have used up");
}

#[tokio::test]
async fn a_conversation_that_names_no_session_has_an_allowance_of_its_own_from_its_first_turn() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&bounded(&small, &frontier, "per: session, share: 0, burst: 1")).await;
    let turn = |ask: &str| question("auto", ask);
    let grown = json!({"model": "auto", "messages": [
        {"role": "user", "content": "good morning"}, {"role": "assistant", "content": "hi"}, {"role": "user", "content": "and now?"}
    ]});

    let first_turns = [send(&gateway, &[], turn("hello")).await, send(&gateway, &[], turn("good morning")).await];
    let later_turn = send(&gateway, &[], grown.to_string()).await;

    assert_eq!(first_turns.each_ref().map(model), ["frontier"; 2], "{}", gateway.log());
    assert_eq!(model(&later_turn), "small", "it goes on with a conversation that has had its strong answer");
}

#[tokio::test]
async fn what_a_fallback_answered_or_nobody_did_is_given_back() {
    let fails = || Answer::Reply(StatusCode::INTERNAL_SERVER_ERROR, Vec::new(), "{}".into());
    let (small, frontier) = (Origin::start().await, Origin::answering([fails(), fails()]).await);
    let quota = "per: session, share: 0, burst: 1";
    let falling = Config { fallback: "[small]", ..bounded(&small, &frontier, quota) };
    let gateway = Gateway::start(&falling).await;

    let failed_over = ask(&gateway, &[]).await;
    gateway.write(&bounded(&small, &frontier, quota).yaml());
    gateway.signal(Signal::HUP);
    until_metric(&gateway, "pointsman_generation 2").await;
    let failed = ask(&gateway, &[]).await;
    let after = strong(&gateway, &[], 4).await;

    assert_eq!((model(&failed_over), failed_over.header("x-pointsman-fallback-from")), ("small", Some("frontier")));
    assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(after, 1, "{}", gateway.log());
}

#[tokio::test]
async fn a_client_that_leaves_before_its_answer_has_spent_it() {
    for quota in ["share: 0, burst: 1", "dollars: 0.004, window: 30d"] {
        let (releases, held): (Vec<_>, Vec<_>) = (0..2).map(|_| oneshot::channel()).unzip();
        let frontier = Origin::answering(held.into_iter().map(Answer::Held)).await;
        let small = Origin::start().await;
        let gateway = Gateway::start(&bounded_clients(&small, &frontier, quota)).await;
        // An answer of 400 tokens is assumed, at 8 dollars a million: two of them are more than may be spent.
        let times = if quota.contains("dollars") { 2 } else { 1 };

        for mut release in releases.into_iter().take(times) {
            let left = tokio::spawn({
                let listen = gateway.listen;
                async move {
                    let mut connection = Connection::open(listen, Framing::Length).await;
                    let request = connection.request(Method::POST, CHAT).header("content-type", "application/json");
                    let request = request.header(MALLORY.0, MALLORY.1);
                    let body = Framing::Length.body(question("auto", "hello").into());
                    drop(connection.send(request.body(body).expect("a valid request")).await);
                }
            });
            frontier.next().await;
            left.abort();
            soon("the origin to be left", release.closed()).await;
        }
        let failed = format!("pointsman_client_requests_total{{client=\"mallory\",outcome=\"failed\"}} {times}");
        until_metric(&gateway, &failed).await;

        assert_eq!(strong(&gateway, &[MALLORY], 3).await, 0, "{quota}: {}", gateway.log());
        assert_eq!(strong(&gateway, &[ANNA], 1).await, 1, "{quota}");
    }
}

#[tokio::test]
async fn to_count_tokens_is_no_answer_of_a_strong_model() {
    let counted =
        || Answer::Reply(StatusCode::OK, vec![("content-type", "application/json")], "{\"input_tokens\":3}".into());
    let (small, frontier) = (Origin::start().await, Origin::answering([counted(), counted()]).await);
    let gateway = Gateway::start(&bounded_clients(&small, &frontier, "share: 0, burst: 1")).await;

    for _ in 0..2 {
        let mut connection = Connection::open(gateway.listen, Framing::Length).await;
        let request = connection.request(Method::POST, "/v1/messages/count_tokens").header(MALLORY.0, MALLORY.1);
        let request = request.header("content-type", "application/json");
        let body = Framing::Length.body(question("auto", "hello").into());
        let reply = Reply::read(connection.send(request.body(body).expect("valid")).await.expect("an answer")).await;
        assert_eq!(model(&reply), "frontier");
    }

    assert_eq!(strong(&gateway, &[MALLORY], 1).await, 1);
    let labels = "{client=\"mallory\",policy=\"auto\"}";
    until_metric(&gateway, &format!("pointsman_client_answers_total{labels} 1")).await;
    until_metric(&gateway, &format!("pointsman_client_strong_answers_total{labels} 1")).await;
}

#[tokio::test]
async fn a_strong_fallback_is_counted_and_not_tried_once_the_quota_is_used_up() {
    let fails = || Answer::Reply(StatusCode::INTERNAL_SERVER_ERROR, Vec::new(), "{}".into());
    let (small, frontier) = (Origin::answering([fails(), fails()]).await, Origin::start().await);
    let config = bounded(&small, &frontier, "per: session, share: 0, burst: 1, rules: bound");
    let gateway = Gateway::start(&Config { fallback: "[frontier]", ..config }).await;

    let first = ask(&gateway, &[("x-easy", "1")]).await;
    let second = ask(&gateway, &[("x-easy", "1")]).await;

    assert_eq!((model(&first), first.header("x-pointsman-fallback-from")), ("frontier", Some("small")));
    assert_eq!(second.status, StatusCode::INTERNAL_SERVER_ERROR, "the way to the strong model is closed");
    assert_eq!(strong(&gateway, &[], 1).await, 0);
}

#[tokio::test]
async fn strong_fallbacks_at_once_get_no_more_than_one_after_the_other() {
    let (releases, held): (Vec<_>, Vec<_>) = (0..10).map(|_| oneshot::channel()).unzip();
    let fails = || Answer::Reply(StatusCode::INTERNAL_SERVER_ERROR, Vec::new(), "{}".into());
    let small = Origin::answering((0..10).map(|_| fails())).await;
    let frontier = Origin::answering(held.into_iter().map(Answer::Held)).await;
    let config = bounded(&small, &frontier, "per: session, share: 0, burst: 3, rules: bound");
    let gateway = Gateway::start(&Config { fallback: "[frontier]", retry: "{budget: 1}", ..config }).await;

    let asked = join_all((0..10).map(|_| ask(&gateway, &[("x-easy", "1")])));
    let all_have_failed = async {
        for _ in 0..10 {
            small.next().await;
        }
        for _ in 0..3 {
            frontier.next().await;
        }
        for release in releases {
            let _ = release.send(()); // most of the answers are never asked for
        }
    };
    let (replies, ()) = tokio::join!(asked, all_have_failed);

    let answered = replies.iter().filter(|reply| reply.status == StatusCode::OK);
    assert!(answered.clone().all(|reply| model(reply) == "frontier"));
    assert_eq!(answered.count(), 3, "{}", gateway.log());
}

#[tokio::test]
async fn a_reload_is_no_way_to_a_fresh_allowance_and_asking_takes_nothing() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = bounded_clients(&small, &frontier, "share: 0, burst: 1");
    let gateway = Gateway::start(&config).await;
    let client = [("x-pointsman-client", "mallory")];

    for _ in 0..3 {
        let before = explain(&gateway, &client).await;
        assert_eq!((&before["model"], &before["quota"]), (&json!("frontier"), &Value::Null));
    }
    assert_eq!(strong(&gateway, &[MALLORY], 3).await, 1);
    gateway.write(&config.yaml().replace("share: 0, burst: 1", "share: 0.01, burst: 2"));
    gateway.signal(Signal::HUP);
    until_metric(&gateway, "pointsman_generation 2").await;

    assert_eq!(strong(&gateway, &[MALLORY], 3).await, 0, "{}", gateway.log());
    let after = explain(&gateway, &client).await;
    assert_eq!((&after["model"], &after["reason"]), (&json!("small"), &json!("quota")));
    assert_eq!(after["quota"], json!({"name": "strong", "per": "client", "outcome": "moved"}));
    let lacks = after["candidates"].as_array().and_then(|all| all.iter().find(|one| one["model"] == "frontier"));
    assert_eq!(lacks.expect("a candidate")["lacks"], "quota");
}

#[tokio::test]
async fn dollars_are_those_of_strong_answers_and_reserved_before_they_are_known() {
    let (releases, held): (Vec<_>, Vec<_>) = (0..20).map(|_| oneshot::channel()).unzip();
    let frontier = Origin::answering(held.into_iter().map(Answer::Held)).await;
    let small = Origin::start().await;
    // An answer of 400 tokens is assumed, at 8 dollars a million: two of them are more than may be spent.
    let gateway = Gateway::start(&bounded_clients(&small, &frontier, "dollars: 0.004, window: 30d")).await;

    for _ in 0..5 {
        assert_eq!(model(&ask(&gateway, &[MALLORY, ("x-easy", "1")]).await), "small", "costs nothing of it");
        small.next().await;
    }
    let all_but_two = async {
        for _ in 0..18 {
            small.next().await;
        }
        for release in releases {
            let _ = release.send(()); // most of the answers are never asked for
        }
    };
    let (replies, ()) = tokio::join!(join_all((0..20).map(|_| ask(&gateway, &[MALLORY]))), all_but_two);

    assert_eq!(replies.iter().filter(|reply| model(reply) == "frontier").count(), 2, "{}", gateway.log());
    assert_eq!(strong(&gateway, &[MALLORY], 1).await, 1, "the answers were shorter than was assumed");
}

#[tokio::test]
async fn what_only_a_strong_model_can_serve_is_served_or_refused_as_the_quota_says() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": [image]}]}).to_string();
    let quota = "share: 0, burst: 1";
    let serving = Gateway::start(&bounded_clients(&small, &frontier, quota)).await;
    let refusing = format!("{quota}, without_alternative: refuse");
    let refusing = Gateway::start(&bounded_clients(&small, &frontier, &refusing)).await;

    for gateway in [&serving, &refusing] {
        assert_eq!(model(&send(gateway, &[MALLORY], body.clone()).await), "frontier");
    }
    let served = send(&serving, &[MALLORY], body.clone()).await;
    let refused = send(&refusing, &[MALLORY], body).await;

    assert_eq!(model(&served), "frontier");
    assert_eq!((refused.status, refused.error_code()), (StatusCode::TOO_MANY_REQUESTS, "quota_exceeded".into()));
    for (gateway, outcome) in [(&serving, "served"), (&refusing, "refused")] {
        let labels = format!("{{outcome=\"{outcome}\",per=\"client\",policy=\"auto\",quota=\"strong\"}}");
        until_metric(gateway, &format!("pointsman_quota_hits_total{labels} 1")).await;
    }
    assert_eq!(strong(&refusing, &[ANNA], 1).await, 1, "another client is not concerned");
}

#[tokio::test]
async fn a_policy_that_only_watches_uses_nothing() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let watching = Config {
        mode: "shadow",
        default_provider: Some("one"),
        ..bounded_clients(&small, &frontier, "share: 0, burst: 1")
    };
    let gateway = Gateway::start(&watching).await;

    for _ in 0..5 {
        assert_eq!(ask(&gateway, &[MALLORY]).await.status, StatusCode::OK);
    }
    gateway.write(&Config { mode: "route", ..watching }.yaml());
    gateway.signal(Signal::HUP);
    until_metric(&gateway, "pointsman_generation 2").await;

    assert_eq!(strong(&gateway, &[MALLORY], 3).await, 1);
}

#[tokio::test]
async fn replicas_with_a_store_share_allowances() {
    let (small, frontier, redis) = (Origin::start().await, Origin::start().await, Redis::start());
    let config = bounded_clients(&small, &frontier, "share: 0, burst: 2");
    let config = Config { sections: config.sections.clone() + &redis.section("1s"), ..config };
    let (one, two) = (Gateway::start(&config).await, Gateway::start(&config).await);
    until_store(&one, "ready").await;
    until_store(&two, "ready").await;

    assert_eq!(strong(&one, &[MALLORY], 4).await, 2);
    assert_eq!(model(&ask(&two, &[MALLORY, ("x-easy", "1")]).await), "small");
    soon("the other replica's answers", async {
        while explain(&two, &[("x-pointsman-client", "mallory")]).await["reason"] != "quota" {
            ask(&two, &[MALLORY, ("x-easy", "1")]).await;
        }
    })
    .await;

    assert_eq!(strong(&two, &[MALLORY], 2).await, 0, "{}", two.log());
}
