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

/// JSON is read with an error in the last digit.
fn is_near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
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
    assert!(is_near(threshold(&gateway).await, moved));
    let metrics = String::from_utf8_lossy(&get(gateway.admin, "/metrics").await.body).into_owned();
    let shown = metrics.lines().find_map(|line| line.strip_prefix("pointsman_threshold{policy=\"auto\"} "));
    assert!(shown.and_then(|shown| shown.parse().ok()).is_some_and(|shown| is_near(shown, moved)), "{shown:?}");
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

    let two = Gateway::start(&config).await;

    soon("the threshold of the other replica", async {
        while !is_near(threshold(&two).await, threshold(&one).await) {}
    })
    .await;
    assert!(threshold(&two).await < 0.95, "{}", two.log());
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
    gateway.until_logged("the threshold stays where it is").await;
}
