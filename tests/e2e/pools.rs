//! A provider with several peers: who is asked, who is left alone, and how they come back.

use http::StatusCode;
use tokio::sync::oneshot;

use crate::client::{Reply, chat, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin, nobody};
use crate::reload::until_metric;
use crate::soon;

const CHECK: &str = "path: /health, interval: 20ms, healthy_after: 1, unhealthy_after: 1";

/// A strategy that chooses nothing else than the pool's model.
const ONLY_SMALL: &str = "{kind: random, models: [small]}";

/// Two peers behind `small`, and more keys of their provider.
struct Pool {
    peers: [Origin; 2],
    config: Config,
    gateway: Gateway,
}

impl Pool {
    async fn start(more: &[&str]) -> Self {
        let peers = [Origin::start().await, Origin::start().await];
        Self::of(peers, more).await
    }

    /// A pool whose model is the only one that may be chosen.
    async fn alone(more: &[&str]) -> Self {
        let mut pool = Self::start(more).await;
        pool.config.whole_strategy = Some(ONLY_SMALL.to_owned());
        pool.gateway = Gateway::start(&pool.config).await;
        pool
    }

    async fn of(peers: [Origin; 2], more: &[&str]) -> Self {
        let addresses = format!("peers: ['{}', '{}']", peers[0].address(), peers[1].address());
        let one = [addresses].into_iter().chain(more.iter().map(ToString::to_string)).collect();
        let config = Config { one, ..Config::new(&peers[0], &peers[0]) };
        let gateway = Gateway::start(&config).await;
        Self { peers, config, gateway }
    }

    async fn ask(&self, text: &str) -> Reply {
        chat(self.gateway.listen, question("auto", text)).await
    }

    /// Returns how many requests each peer got since the last call.
    fn arrived(&self) -> [usize; 2] {
        [0, 1].map(|index| std::iter::from_fn(|| self.peers[index].take()).count())
    }

    fn healthy(&self, index: usize, healthy: u8) -> String {
        let peer = self.peers[index].address();
        format!("pointsman_upstream_healthy{{peer=\"{peer}\",provider=\"one\"}} {healthy}")
    }

    fn ejected(&self, index: usize, cause: &str, times: usize) -> String {
        let peer = self.peers[index].address();
        format!("pointsman_upstream_ejections_total{{cause=\"{cause}\",peer=\"{peer}\",provider=\"one\"}} {times}")
    }
}

fn failing() -> Answer {
    Answer::Reply(StatusCode::INTERNAL_SERVER_ERROR, vec![], "{}".into())
}

#[tokio::test]
async fn peers_take_turns() {
    let pool = Pool::start(&[]).await;

    for _ in 0..6 {
        assert_eq!(pool.ask("hello").await.status, StatusCode::OK);
    }

    assert_eq!(pool.arrived(), [3, 3]);
    until_metric(&pool.gateway, &pool.healthy(0, 1)).await;
    until_metric(&pool.gateway, "pointsman_upstream_in_flight{provider=\"one\"} 0").await;
}

#[tokio::test]
async fn requests_that_follow_each_other_share_a_connection() {
    for http in ["h1", "h2"] {
        let pool = Pool::start(&[&format!("http: {http}")]).await;

        for _ in 0..8 {
            assert_eq!(pool.ask("hello").await.status, StatusCode::OK);
        }

        assert_eq!(pool.arrived(), [4, 4]);
        // An answer may reach the client before its connection is back in the pool.
        assert!(pool.peers.iter().all(|peer| peer.connections() <= 2), "{http}: a connection for each request");
    }
}

#[tokio::test]
async fn a_busy_peer_is_spared() {
    let (release, held) = oneshot::channel();
    let peers = [Origin::answering([Answer::Held(held)]).await, Origin::start().await];
    let pool = Pool::of(peers, &["balance: least_requests"]).await;
    let slow = tokio::spawn(chat(pool.gateway.listen, question("auto", "slow")));
    pool.peers[0].next().await;
    until_metric(&pool.gateway, "pointsman_upstream_in_flight{provider=\"one\"} 1").await;

    for _ in 0..4 {
        assert_eq!(pool.ask("hello").await.status, StatusCode::OK);
        // A client has its answer before the request is over: until then both peers are as busy.
        until_metric(&pool.gateway, "pointsman_upstream_in_flight{provider=\"one\"} 1").await;
    }

    assert_eq!(pool.arrived(), [0, 4]);
    release.send(()).expect("the origin waits");
    assert_eq!(soon("the slow answer", slow).await.expect("no panic").status, StatusCode::OK);
}

#[tokio::test]
async fn a_conversation_stays_with_its_peer() {
    let pool = Pool::start(&["balance: prefix_hash"]).await;
    let mut asked = [0, 0];

    for conversation in 0..16 {
        let opening = format!("conversation {conversation}");
        pool.ask(&opening).await;
        let first = pool.arrived();
        for turn in 0..3 {
            let grown = serde_json::json!({"model": "auto", "messages": [
                {"role": "user", "content": opening}, {"role": "assistant", "content": "hi"},
                {"role": "user", "content": format!("turn {turn}")},
            ]});
            chat(pool.gateway.listen, grown.to_string()).await;
            assert_eq!(pool.arrived(), first, "{opening}, turn {turn}");
        }
        asked[0] += first[0];
        asked[1] += first[1];
    }

    assert!(asked[0] > 0 && asked[1] > 0, "{asked:?}: one of 16 conversations goes elsewhere");
}

#[tokio::test]
async fn a_peer_that_refuses_connections_is_passed_over_and_then_left_alone() {
    let alive = Origin::start().await;
    let dead = nobody().await;
    let one = vec![
        format!("peers: ['{dead}', '{}']", alive.address()),
        "breaker: {consecutive_failures: 2, backoff: 1h, max_backoff: 1h}".to_owned(),
    ];
    let gateway = Gateway::start(&Config { one, ..Config::new(&alive, &alive) }).await;

    let mut attempts = Vec::new();
    for _ in 0..8 {
        let reply = chat(gateway.listen, question("auto", "hello")).await;
        assert_eq!(reply.status, StatusCode::OK);
        attempts.push(reply.header("x-pointsman-attempts").expect("attempts").to_owned());
    }

    assert_eq!(attempts.iter().filter(|count| *count == "2").count(), 2, "{attempts:?}");
    assert!(attempts[4..].iter().all(|count| count == "1"), "{attempts:?}");
    let series = format!("{{cause=\"consecutive_failures\",peer=\"{dead}\",provider=\"one\"}} 1");
    until_metric(&gateway, &format!("pointsman_upstream_ejections_total{series}")).await;
    until_metric(&gateway, &format!("pointsman_upstream_healthy{{peer=\"{dead}\",provider=\"one\"}} 0")).await;
}

#[tokio::test]
async fn an_ejection_outlives_a_reload() {
    let peers = [Origin::answering([failing()]).await, Origin::start().await];
    let breaker = "breaker: {consecutive_failures: 1, backoff: 1h, max_backoff: 1h}";
    let mut pool = Pool::of(peers, &[breaker]).await;
    for _ in 0..2 {
        assert_eq!(pool.ask("hello").await.status, StatusCode::OK, "the other peer answers");
    }
    until_metric(&pool.gateway, &pool.ejected(0, "consecutive_failures", 1)).await;

    let third = Origin::start().await;
    let addresses = [pool.peers[0].address(), pool.peers[1].address(), third.address()].map(|peer| format!("'{peer}'"));
    pool.config.one[0] = format!("peers: [{}]", addresses.join(", "));
    pool.gateway.write(&pool.config.yaml());
    until_metric(&pool.gateway, "pointsman_generation 2").await;
    pool.arrived();
    for _ in 0..6 {
        assert_eq!(pool.ask("hello").await.status, StatusCode::OK);
    }

    assert_eq!(pool.arrived(), [0, 3]);
    assert_eq!(std::iter::from_fn(|| third.take()).count(), 3);
    until_metric(&pool.gateway, &pool.healthy(0, 0)).await;
}

#[tokio::test]
async fn a_peer_that_fails_its_health_checks_gets_no_requests_until_they_pass() {
    let pool = Pool::start(&[&format!("health_check: {{{CHECK}}}")]).await;

    pool.peers[0].set_health(StatusCode::SERVICE_UNAVAILABLE);
    until_metric(&pool.gateway, &pool.healthy(0, 0)).await;
    for _ in 0..4 {
        assert_eq!(pool.ask("hello").await.status, StatusCode::OK);
    }
    assert_eq!(pool.arrived(), [0, 4]);
    until_metric(&pool.gateway, &pool.ejected(0, "health_check", 1)).await;

    pool.peers[0].set_health(StatusCode::NO_CONTENT);
    until_metric(&pool.gateway, &pool.healthy(0, 1)).await;
    for _ in 0..4 {
        assert_eq!(pool.ask("hello").await.status, StatusCode::OK);
    }
    assert_eq!(pool.arrived(), [2, 2]);
}

#[tokio::test]
async fn health_checks_go_over_h2_and_expect_what_the_operator_says() {
    let check = format!("health_check: {{{CHECK}, expected_status: [418]}}");
    let pool = Pool::start(&[&check, "http: h2"]).await;
    until_metric(&pool.gateway, &pool.healthy(0, 0)).await;

    pool.peers[0].set_health(StatusCode::IM_A_TEAPOT);

    until_metric(&pool.gateway, &pool.healthy(0, 1)).await;
    until_metric(&pool.gateway, &pool.healthy(1, 0)).await;
}

#[tokio::test]
async fn when_all_are_down_and_no_other_model_is_there_they_are_tried_unless_the_operator_forbids_it() {
    for (fail_open, status) in [(true, StatusCode::OK), (false, StatusCode::BAD_GATEWAY)] {
        let check = format!("health_check: {{{CHECK}, fail_open: {fail_open}}}");
        let pool = Pool::alone(&[&check]).await;
        for index in [0, 1] {
            pool.peers[index].set_health(StatusCode::INTERNAL_SERVER_ERROR);
        }
        for index in [0, 1] {
            until_metric(&pool.gateway, &pool.healthy(index, 0)).await;
        }

        let reply = pool.ask("hello").await;

        assert_eq!(reply.status, status, "fail_open: {fail_open}");
        assert_eq!(pool.arrived().iter().sum::<usize>(), usize::from(fail_open));
    }
}

#[tokio::test]
async fn one_request_more_than_a_provider_may_have_is_refused_at_once_or_falls_back() {
    for (fallback, expected) in [("[]", StatusCode::SERVICE_UNAVAILABLE), ("[frontier]", StatusCode::OK)] {
        let (release, held) = oneshot::channel();
        let (small, frontier) = (Origin::answering([Answer::Held(held)]).await, Origin::start().await);
        let one = vec!["max_concurrent: 1".to_owned()];
        let whole_strategy = Some(ONLY_SMALL.to_owned());
        let config = Config { one, fallback, whole_strategy, ..Config::new(&small, &frontier) };
        let gateway = Gateway::start(&config).await;
        let slow = tokio::spawn(chat(gateway.listen, question("auto", "slow")));
        small.next().await;

        let refused = chat(gateway.listen, question("auto", "hello")).await;
        assert_eq!(refused.status, expected, "{:?}", refused.body);
        if expected == StatusCode::OK {
            assert_eq!(refused.json()["model"], "frontier-1");
        } else {
            assert_eq!(refused.error_code(), "provider_busy");
        }
        release.send(()).expect("the origin waits");
        assert_eq!(soon("the slow answer", slow).await.expect("no panic").status, StatusCode::OK);
        until_metric(&gateway, "pointsman_upstream_in_flight{provider=\"one\"} 0").await;

        assert_eq!(chat(gateway.listen, question("auto", "hello")).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_peer_that_asks_to_be_left_alone_leaves_the_others_their_work() {
    let busy = || Answer::Reply(StatusCode::SERVICE_UNAVAILABLE, vec![("retry-after", "30")], "{}".into());
    let peers = [Origin::answering([busy()]).await, Origin::start().await];
    let pool = Pool::of(peers, &[]).await;

    let models: Vec<_> = [pool.ask("hello").await, pool.ask("hello").await, pool.ask("hello").await]
        .map(|reply| reply.header("x-pointsman-model").map(str::to_owned))
        .into();

    assert_eq!(models, vec![Some("small".to_owned()); 3], "one peer's word is not the model's");
}

#[tokio::test]
async fn slow_whole_answers_eject_no_peer_that_answers_others() {
    let mut releases = Vec::new();
    let mut script = vec![Answer::Completion];
    for _ in 0..6 {
        let (release, held) = oneshot::channel();
        releases.push(release);
        script.push(Answer::Held(held));
    }
    let small = Origin::answering(script).await;
    let gateway = Gateway::start(&Config { first_byte: "100ms", ..Config::new(&small, &small) }).await;
    assert_eq!(chat(gateway.listen, question("auto", "short")).await.status, StatusCode::OK);

    for _ in 0..6 {
        let reply = chat(gateway.listen, question("auto", "long")).await;
        assert_eq!((reply.status, reply.error_code()), (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout".into()));
    }

    let healthy = format!("pointsman_upstream_healthy{{peer=\"{}\",provider=\"one\"}} 1", small.address());
    until_metric(&gateway, &healthy).await;
    assert_eq!(chat(gateway.listen, question("auto", "short again")).await.status, StatusCode::OK);
}
