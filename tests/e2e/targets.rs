//! A threshold that is moved to hold a target: live, over reloads, and among replicas.

use rustix::process::Signal;
use serde_json::Value;

use crate::client::{chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::redis::Redis;
use crate::reload::until_metric;
use crate::soon;

const STRATEGY: &str =
    "{kind: threshold, classifier: default, head: tier, strong: frontier, weak: small, threshold: 0.99}";

/// A policy that holds a share of a half, from far above the scores.
fn holding(small: &Origin, frontier: &Origin) -> Config {
    Config {
        whole_strategy: Some(STRATEGY.to_owned()),
        policy: "    target: {strong: [frontier], share: 0.5}\n".to_owned(),
        ..Config::classifying(small, frontier)
    }
}

async fn target(gateway: &Gateway) -> Value {
    get(gateway.admin, "/readyz").await.json()["targets"]["auto"].clone()
}

async fn threshold(gateway: &Gateway) -> f64 {
    target(gateway).await["threshold"].as_f64().expect("a threshold")
}

/// Sends so many different prompts.
async fn send(gateway: &Gateway, prompts: usize) {
    for number in 0..prompts {
        let text = match number % 3 {
            0 => format!("What is {number} plus one?"),
            1 => format!("Write a parser for grammar {number} with error recovery, and explain its complexity."),
            _ => format!("Summarise chapter {number}."),
        };
        assert_eq!(chat(gateway.listen, question("auto", &text)).await.status, http::StatusCode::OK);
    }
}

#[tokio::test]
async fn the_threshold_moves_while_requests_come_and_stays_over_a_reload() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let config = holding(&small, &frontier);
    let gateway = Gateway::start(&config).await;
    assert_eq!(threshold(&gateway).await, 0.99);

    send(&gateway, 150).await;
    let moved = threshold(&gateway).await;
    gateway.write(&format!("{}\n# another text\n", config.yaml()));
    gateway.signal(Signal::HUP);
    until_metric(&gateway, "pointsman_generation 2").await;

    assert!(moved < 0.95, "{moved}\n{}", gateway.log());
    assert_eq!(threshold(&gateway).await, moved);
    until_metric(&gateway, &format!("pointsman_threshold{{policy=\"auto\"}} {moved}")).await;
    until_metric(&gateway, "pointsman_target_share{policy=\"auto\"} 0.5").await;
    until_metric(&gateway, "pointsman_target_frozen{policy=\"auto\"} 0").await;
    assert_eq!(target(&gateway).await["frozen"], false);

    let another = config.yaml().replace("share: 0.5", "share: 0.4");
    gateway.write(&another);
    gateway.signal(Signal::HUP);
    until_metric(&gateway, "pointsman_generation 3").await;
    assert_eq!(threshold(&gateway).await, 0.99, "another target starts anew");
}

#[tokio::test]
async fn a_replica_that_starts_takes_over_where_the_others_are() {
    let (small, frontier, redis) = (Origin::start().await, Origin::start().await, Redis::start());
    let config = Config { sections: redis.section("1s"), ..holding(&small, &frontier) };
    let one = Gateway::start(&config).await;
    until_metric(&one, "pointsman_store_available 1").await;
    send(&one, 150).await;
    let moved = threshold(&one).await;

    let two = Gateway::start(&config).await;

    assert!(moved < 0.95, "{moved}");
    soon("the threshold of the other replica", async { while threshold(&two).await != moved {} }).await;
}

#[tokio::test]
async fn the_threshold_freezes_and_alarms_when_the_scores_drift() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let gateway = Gateway::start(&holding(&small, &frontier)).await;

    for number in 0..560 {
        let text = format!("What is {number} plus {number}?"); // nothing like the rows of the reference
        assert_eq!(chat(gateway.listen, question("auto", &text)).await.status, http::StatusCode::OK);
    }

    until_metric(&gateway, "pointsman_target_frozen{policy=\"auto\"} 1").await;
    until_metric(&gateway, "pointsman_target_freezes_total{policy=\"auto\"} 1").await;
    let target = target(&gateway).await;
    assert_eq!(target["frozen"], true, "{target}");
    assert!(target["drift"].as_f64().is_some_and(|drift| drift > 0.25), "{target}");
    assert!(gateway.log().contains("the threshold stays where it is"), "{}", gateway.log());
}
