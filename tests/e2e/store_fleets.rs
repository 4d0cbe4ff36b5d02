//! What replicas share through a cluster, through a master that sentinels watch, and through one of several addresses:
//! decided all the time, and right again after slots moved or servers died.

use http::StatusCode;

use crate::affinity::{EASY, HARD, ask, holding, is, readiness, until_pinned, until_store};
use crate::client::{CHAT, Connection, Framing, Reply, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::redis_fleet::{RedisCluster, RedisNode, WatchedRedis};
use crate::soon;

/// The key of a budget: all keys of budgets are in its slot.
pub(crate) const BUDGET_KEY: &str = "{budget}";

/// A second budget, so that one script changes two keys.
pub(crate) const MONTHLY: &str = ", {name: monthly, per: session, requests: 100000, lease: 0s, period: month}";

/// A gateway's configuration that holds conversations and counts the requests of each session, in a store.
pub(crate) fn sharing(small: &Origin, frontier: &Origin, store: &str, requests: usize) -> Config {
    let daily = format!("{{name: daily, per: session, requests: {requests}, lease: 0s}}");
    let sections = format!("budgets: [{daily}{MONTHLY}]\nstore: {{redis: {{{store}, timeout: 1s}}}}\n");
    Config { sections, ..holding(small, frontier, "move: up_only") }
}

/// Sends a request of a session that is about its budget alone.
pub(crate) async fn bill(gateway: &Gateway) -> StatusCode {
    let mut connection = Connection::open(gateway.listen, Framing::Length).await;
    let request = connection.request(http::Method::POST, CHAT).header("content-type", "application/json");
    let request = request.header("x-session-id", "billed");
    let request = request.body(Framing::Length.body(question("auto", "hello").into())).expect("a valid request");
    Reply::read(connection.send(request).await.expect("an answer")).await.status
}

/// Asks in ever new sessions until the store is whole again: every one is answered meanwhile.
async fn decides_until_ready(gateway: &Gateway) {
    soon("the copy's turn", async {
        let mut session = 0;
        while readiness(gateway).await["store"]["state"] != "ready" {
            session += 1;
            assert_eq!(ask(gateway, &format!("meanwhile-{session}"), EASY).await, is("small", "tier"));
        }
    })
    .await;
}

/// Returns how many commands have failed that a gateway gave the store.
pub(crate) async fn failed_commands(gateway: &Gateway) -> f64 {
    let text = String::from_utf8(get(gateway.admin, "/metrics").await.body.to_vec()).expect("text");
    let counts = text.lines().filter(|line| line.starts_with("pointsman_store_errors_total{"));
    counts.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

pub(crate) fn urls(nodes: &[RedisNode]) -> String {
    let urls: Vec<_> = nodes.iter().map(|node| format!("'redis://{}'", node.address)).collect();
    format!("urls: [{}]", urls.join(", "))
}

async fn pair(config: &Config, environment: &[(&str, &str)]) -> [Gateway; 2] {
    let pair = [Gateway::start_with(config, environment).await, Gateway::start_with(config, environment).await];
    for gateway in &pair {
        until_store(gateway, "ready").await;
    }
    pair
}

#[tokio::test]
async fn replicas_agree_through_a_cluster_while_a_slot_moves() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let cluster = RedisCluster::start(3, 0).await;
    let config = sharing(&small, &frontier, &format!("cluster: true, {}", urls(&cluster.nodes[..1])), 5);
    // A server takes no script with several new keys in a slot that moves: one budget here.
    let config = Config { sections: config.sections.replace(MONTHLY, ""), ..config };
    let [one, two] = pair(&config, &[]).await;
    let from = cluster.master_of(BUDGET_KEY);
    let to = (from + 1) % 3;

    // New keys of a slot that moves are asked of the other server; such as this counter.
    cluster.begin_move(BUDGET_KEY, from, to);
    assert_eq!(bill(&one).await, StatusCode::OK);
    assert!(cluster.nodes[from].count("errorstats", "errorstat_ASK") > 0, "asked elsewhere");
    assert_eq!(bill(&two).await, StatusCode::OK);
    assert_eq!(cluster.nodes[from].count("errorstats", "errorstat_MOVED"), 0);
    cluster.move_keys(BUDGET_KEY, from, to);
    cluster.end_move(BUDGET_KEY, from, to);
    for gateway in [&one, &two] {
        assert_eq!(bill(gateway).await, StatusCode::OK);
    }
    assert!(cluster.nodes[from].count("errorstats", "errorstat_MOVED") > 0, "sent elsewhere for good");

    // And back, with keys in it.
    cluster.begin_move(BUDGET_KEY, to, from);
    cluster.move_keys(BUDGET_KEY, to, from);
    assert_eq!(bill(&one).await, StatusCode::OK);
    assert!(cluster.nodes[to].count("errorstats", "errorstat_ASK") > 0, "asked elsewhere");
    cluster.end_move(BUDGET_KEY, to, from);
    for gateway in [&two, &one] {
        assert_eq!(bill(gateway).await, StatusCode::TOO_MANY_REQUESTS, "all five were counted");
    }

    for session in 0..12 {
        assert_eq!(ask(&one, &session.to_string(), HARD).await.0, "frontier");
        assert_eq!(until_pinned(&two, &session.to_string()).await, is("frontier", "affinity"));
    }
    let keys: Vec<u64> = cluster.nodes.iter().map(|node| node.says(&["dbsize"]).parse().expect("a number")).collect();
    assert!(keys.iter().all(|keys| *keys > 0), "keys are spread over the servers: {keys:?}");
    assert_eq!((failed_commands(&one).await, failed_commands(&two).await), (0.0, 0.0), "{}", one.log());
}

#[tokio::test]
async fn a_master_of_a_cluster_that_dies_costs_no_request_and_its_copy_knows_what_it_knew() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut cluster = RedisCluster::start(3, 1).await;
    let config = sharing(&small, &frontier, &format!("cluster: true, {}", urls(&cluster.nodes[..3])), 5);
    let [one, two] = pair(&config, &[]).await;
    let sessions: Vec<String> = (0..9).map(|session| session.to_string()).collect();
    for session in &sessions {
        assert_eq!(ask(&one, session, HARD).await, is("frontier", "tier"));
        assert_eq!(until_pinned(&two, session).await, is("frontier", "affinity"));
    }
    for gateway in [&one, &two, &one] {
        assert_eq!(bill(gateway).await, StatusCode::OK);
    }
    let lost = cluster.master_of(BUDGET_KEY);
    let known = cluster.nodes[lost].count("replication", "master_repl_offset");
    soon("a copy of all", async {
        while cluster.nodes[lost + 3].count("replication", "slave_repl_offset") < known {
            tokio::task::yield_now().await;
        }
    })
    .await;

    cluster.nodes[lost].die();

    until_store(&one, "degraded").await;
    let detail = readiness(&one).await["store"]["detail"].to_string();
    assert!(detail.contains("1 of 3 masters"), "{detail}");
    for session in &sessions {
        assert_eq!(ask(&one, session, EASY).await, is("frontier", "affinity"), "from its own memory where need be");
    }
    decides_until_ready(&one).await;
    until_store(&two, "ready").await;

    let third = Gateway::start(&config).await;
    until_store(&third, "ready").await;
    for session in &sessions {
        assert_eq!(until_pinned(&third, session).await, is("frontier", "affinity"), "{}", third.log());
    }
    assert_eq!(bill(&two).await, StatusCode::OK);
    assert_eq!(bill(&third).await, StatusCode::OK);
    assert_eq!(bill(&one).await, StatusCode::TOO_MANY_REQUESTS, "all five were counted");
    assert!(!one.log().contains("The store does not answer"), "the others did\n{}", one.log());
    one.until_logged("A part of the store does not answer").await;
    assert_eq!(one.log().matches("A part of the store does not answer").count(), 1, "{}", one.log());
}

#[tokio::test]
async fn the_master_that_sentinels_name_is_followed_through_a_failover() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut redis = WatchedRedis::start().await;
    let sentinels = format!("master: main, {}, password: {{env: SENTINEL_PASSWORD}}", urls(&redis.sentinels));
    let store = format!("sentinel: {{{sentinels}}}, username: app, password: {{env: REDIS_PASSWORD}}");
    let config = sharing(&small, &frontier, &store, 5);
    let environment = [("SENTINEL_PASSWORD", "sentinel-pass"), ("REDIS_PASSWORD", "server-pass")];
    let [one, two] = pair(&config, &environment).await;
    assert_eq!(ask(&one, "s", HARD).await, is("frontier", "tier"));
    assert_eq!(until_pinned(&two, "s").await, is("frontier", "affinity"));
    for gateway in [&one, &two, &one] {
        assert_eq!(bill(gateway).await, StatusCode::OK);
    }
    let known = redis.servers[0].count("replication", "master_repl_offset");
    soon("a copy of all", async {
        while redis.servers[1].count("replication", "slave_repl_offset") < known {
            tokio::task::yield_now().await;
        }
    })
    .await;

    redis.servers[0].die();

    until_store(&one, "unavailable").await;
    assert_eq!(ask(&one, "s", EASY).await, is("frontier", "affinity"), "from its own memory");
    decides_until_ready(&one).await;
    until_store(&two, "ready").await;
    let third = Gateway::start_with(&config, &environment).await;
    until_store(&third, "ready").await;
    assert_eq!(until_pinned(&third, "s").await, is("frontier", "affinity"));
    assert_eq!((bill(&two).await, bill(&third).await), (StatusCode::OK, StatusCode::OK));
    assert_eq!(bill(&one).await, StatusCode::TOO_MANY_REQUESTS, "all five were counted");
    assert!(!one.log().contains("server-pass") && !one.log().contains("sentinel-pass"), "{}", one.log());
}

#[tokio::test]
async fn a_cluster_behind_tls_is_spoken_to_as_a_user_with_few_rights() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let cluster = RedisCluster::behind_tls().await;
    let url = format!("url: 'rediss://{}', tls: {{ca: {}}}", cluster.nodes[0].address, cluster.ca());
    let store = format!("cluster: true, {url}, username: app, password: {{env: REDIS_PASSWORD}}");
    let config = sharing(&small, &frontier, &store, 3);

    let [one, two] = pair(&config, &[("REDIS_PASSWORD", "app-pass")]).await;
    let wrong = Gateway::start_with(&config, &[("REDIS_PASSWORD", "other-pass")]).await;

    assert_eq!(ask(&one, "s", HARD).await, is("frontier", "tier"));
    assert_eq!(until_pinned(&two, "s").await, is("frontier", "affinity"));
    for gateway in [&one, &two, &one] {
        assert_eq!(bill(gateway).await, StatusCode::OK);
    }
    assert_eq!(bill(&two).await, StatusCode::TOO_MANY_REQUESTS);
    until_store(&wrong, "unavailable").await;
    soon("the reason", async {
        loop {
            let detail = readiness(&wrong).await["store"]["detail"].to_string();
            if detail.contains("WRONGPASS") || detail.contains("authentication") {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn pins_are_read_from_a_copy_in_the_own_zone_and_written_to_the_master() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let cluster = RedisCluster::start(1, 1).await;
    let [master, copy] = &cluster.nodes[..] else { panic!("two servers") };
    let placed = |node: &RedisNode, zone: &str| format!("{{url: 'redis://{}', zone: {zone}}}", node.address);
    let urls = format!("urls: [{}, {}]", placed(master, "a"), placed(copy, "b"));
    let config = sharing(&small, &frontier, &format!("cluster: true, zone: {{env: ZONE}}, {urls}"), 100_000);
    let [near_master, near_copy] =
        [Gateway::start_with(&config, &[("ZONE", "a")]).await, Gateway::start_with(&config, &[("ZONE", "b")]).await];
    for gateway in [&near_master, &near_copy] {
        until_store(gateway, "ready").await;
    }

    assert_eq!(ask(&near_master, "s", HARD).await, is("frontier", "tier"));
    assert_eq!(copy.count("commandstats", "cmdstat_get"), 0, "the master is in the own zone");
    soon("a read of the copy", async {
        while copy.count("commandstats", "cmdstat_get") == 0 {
            until_pinned(&near_copy, "s").await;
        }
    })
    .await;
    assert_eq!(ask(&near_copy, "s", EASY).await, is("frontier", "affinity"));
    assert_eq!((bill(&near_copy).await, bill(&near_master).await), (StatusCode::OK, StatusCode::OK));
    assert_eq!(copy.count("errorstats", "errorstat_MOVED"), 0, "budgets are not asked of a copy");
}

#[tokio::test]
async fn of_several_addresses_the_one_that_takes_writes_is_spoken_to_and_left_when_it_does_no_longer() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let (master, copy) = (RedisNode::alone().await, RedisNode::alone().await);
    copy.copy(&master).await;
    let placed = |node: &RedisNode, zone: &str| format!("{{url: 'redis://{}', zone: {zone}}}", node.address);
    let urls = format!("urls: [{}, {}], zone: b", placed(&master, "a"), placed(&copy, "b"));
    let config = sharing(&small, &frontier, &urls, 100_000);
    let [one, two] = pair(&config, &[]).await;
    assert_eq!(ask(&one, "s", HARD).await, is("frontier", "tier"));
    assert_eq!(until_pinned(&two, "s").await, is("frontier", "affinity"));

    assert_eq!(copy.says(&["replicaof", "no", "one"]), "OK");
    master.copy(&copy).await;
    // By the refusal of its next command, or by its look for nearer servers, which may be due.
    let has_moved = |log: &str| ["read only replica", "a nearer server is back"].iter().any(|why| log.contains(why));
    soon("the other one", async {
        while !has_moved(&one.log()) {
            assert_eq!(bill(&one).await, StatusCode::OK, "decided all the time");
        }
    })
    .await;
    until_store(&one, "ready").await;

    assert_eq!(ask(&one, "t", HARD).await, is("frontier", "tier"));
    until_store(&two, "ready").await;
    assert_eq!(until_pinned(&two, "t").await, is("frontier", "affinity"));
}
