//! The user of the store and what it may do: the commands that `docs/store.md` lists are enough in every layout, and what
//! a user may not do is said until it may.

use std::path::Path;

use http::StatusCode;
use serde_json::json;

use crate::affinity::{EASY, HARD, ask, is, readiness, until_pinned, until_store};
use crate::client::get;
use crate::doctor::Examined;
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::redis_fleet::{RedisCluster, RedisNode, WatchedRedis};
use crate::soon;
use crate::store_fleets::{BUDGET_KEY, bill, failed_commands, sharing, urls};

/// The password of the users.
const PASSWORD: &str = "app-pass";

/// Returns the commands that the page lists for a layout, as an ACL's rules.
fn listed(layout: &str) -> Vec<String> {
    let start = format!("| {layout} |");
    let row = include_str!("../../docs/store.md").lines().find_map(|line| line.strip_prefix(&start));
    let row = row.unwrap_or_else(|| panic!("docs/store.md has no row `{layout}`"));
    let rules: Vec<String> =
        row.split('`').skip(1).step_by(2).map(|words| format!("+{}", words.to_lowercase().replace(' ', "|"))).collect();
    assert!(!rules.is_empty(), "{row}");
    rules
}

/// Lets a user do what the page lists for these layouts, and nothing else.
fn allow(node: &RedisNode, user: &str, layouts: &[&str]) {
    let rules: Vec<String> = layouts.iter().flat_map(|layout| listed(layout)).collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let password = format!(">{PASSWORD}");
    let set = [&["acl", "setuser", user, "reset", "on", &password, "~pointsman:*"], &rules[..]].concat();
    assert_eq!(node.says(&set), "OK", "{set:?}");
}

/// Writes the users' password to a file and returns the keys of a configuration that name it.
fn login(folder: &Path) -> String {
    let file = folder.join("password");
    std::fs::write(&file, PASSWORD).expect("a writable folder");
    format!("username: app, password: {{file: {}}}", file.display())
}

/// Returns whether a server's words say that a user may not do something; of a script, Redis 7 does not say what.
fn is_denial(words: &str) -> bool {
    words.contains("can't run this command") || words.contains("no permissions")
}

/// Shares pins and budgets between two replicas, with nothing refused; then the doctor tries every command.
async fn nothing_is_refused(config: &Config, nodes: &[&RedisNode]) {
    let [one, two] = [Gateway::start(config).await, Gateway::start(config).await];
    for gateway in [&one, &two] {
        until_store(gateway, "ready").await;
    }

    assert_eq!(ask(&one, "s", HARD).await, is("frontier", "tier"));
    assert_eq!(until_pinned(&two, "s").await, is("frontier", "affinity"));
    for gateway in [&one, &two, &one] {
        assert_eq!(bill(gateway).await, StatusCode::OK);
    }
    assert_eq!(bill(&two).await, StatusCode::TOO_MANY_REQUESTS, "all three were counted");

    let examined = Examined::of(&config.yaml(), &[]).await;
    assert_eq!(examined.grade("store.redis"), "ok", "{:?}", examined.finding("store.redis"));
    assert_eq!((failed_commands(&one).await, failed_commands(&two).await), (0.0, 0.0), "{}", one.log());
    for node in nodes {
        assert_eq!(node.says(&["acl", "log"]), "", "nothing that the page does not list was tried");
    }
}

#[tokio::test]
async fn the_listed_commands_are_all_that_one_server_needs() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let (node, folder) = (RedisNode::alone().await, tempfile::tempdir().expect("a temporary folder"));
    allow(&node, "app", &["all"]);
    let line = listed("all").join(" ");
    assert!(include_str!("../../docs/store.md").contains(&format!("~pointsman:* {line}\n")), "the whole line: {line}");

    let store = format!("url: 'redis://{}', {}", node.address, login(folder.path()));
    nothing_is_refused(&sharing(&small, &frontier, &store, 3), &[&node]).await;
}

#[tokio::test]
async fn the_listed_commands_are_all_that_several_addresses_and_another_database_need() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let (node, folder) = (RedisNode::alone().await, tempfile::tempdir().expect("a temporary folder"));
    allow(&node, "app", &["all", "several addresses, sentinel", "another database than 0"]);

    let address = node.address;
    let store = format!("urls: ['redis://{address}/2', 'redis://{address}/2'], {}", login(folder.path()));
    nothing_is_refused(&sharing(&small, &frontier, &store, 3), &[&node]).await;
}

#[tokio::test]
async fn the_listed_commands_are_all_that_a_cluster_needs_while_slots_move_and_copies_are_read() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let (cluster, folder) = (RedisCluster::start(2, 1).await, tempfile::tempdir().expect("a temporary folder"));
    for node in &cluster.nodes {
        allow(node, "app", &["all", "cluster"]);
    }
    let zone = |at: usize| if at < 2 { "a" } else { "b" };
    let placed = cluster.nodes.iter().enumerate();
    let placed: Vec<_> =
        placed.map(|(at, node)| format!("{{url: 'redis://{}', zone: {}}}", node.address, zone(at))).collect();
    let store = format!("cluster: true, zone: b, urls: [{}], {}", placed.join(", "), login(folder.path()));
    let config = sharing(&small, &frontier, &store, 3);
    let from = cluster.master_of(BUDGET_KEY);
    let nodes: Vec<&RedisNode> = cluster.nodes.iter().collect();

    // One budget: a server takes no script with several new keys in a slot that moves.
    let moving = Config { sections: config.sections.replace(crate::store_fleets::MONTHLY, ""), ..config.clone() };
    cluster.begin_move(BUDGET_KEY, from, 1 - from);
    nothing_is_refused(&moving, &nodes).await;

    assert!(nodes[from].count("errorstats", "errorstat_ASK") > 0, "asked elsewhere");
    assert!(nodes[2..].iter().any(|copy| copy.count("commandstats", "cmdstat_readonly") > 0), "copies were asked");
}

#[tokio::test]
async fn the_listed_commands_are_all_that_sentinels_and_their_master_need() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let (redis, folder) = (WatchedRedis::start().await, tempfile::tempdir().expect("a temporary folder"));
    for server in &redis.servers {
        allow(server, "app", &["all", "several addresses, sentinel"]);
    }
    for sentinel in &redis.sentinels {
        allow(sentinel, "app", &["sentinels' user"]);
    }
    let login = login(folder.path());
    let store = format!("sentinel: {{master: main, {}, {login}}}, {login}", urls(&redis.sentinels));

    let nodes: Vec<&RedisNode> = redis.servers.iter().chain(&redis.sentinels).collect();
    nothing_is_refused(&sharing(&small, &frontier, &store, 3), &nodes).await;
}

#[tokio::test]
async fn a_command_that_the_user_may_not_give_is_said_until_it_may() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let (node, folder) = (RedisNode::alone().await, tempfile::tempdir().expect("a temporary folder"));
    allow(&node, "app", &["all"]);
    assert_eq!(node.says(&["acl", "setuser", "app", "-hmget"]), "OK");
    let store = format!("url: 'redis://{}', {}", node.address, login(folder.path()));
    let config = sharing(&small, &frontier, &store, 100_000);
    let gateway = Gateway::start(&config).await;
    until_store(&gateway, "ready").await;

    let session = bill(&gateway).await;
    until_store(&gateway, "degraded").await;
    for turn in 0..5 {
        // A store that answers to others is not whole for that.
        assert_eq!(ask(&gateway, &format!("s{turn}"), EASY).await, is("small", "tier"));
        let said = readiness(&gateway).await;
        let detail = said["store"]["detail"].as_str().unwrap_or_default();
        assert_eq!(said["store"]["state"], "degraded", "{said}");
        assert!(detail.contains("`script`") && is_denial(detail), "{detail}");
    }
    let examined = Examined::of(&config.yaml(), &[]).await;
    assert_eq!(node.says(&["acl", "setuser", "app", "+hmget"]), "OK");
    soon("a script that runs", async {
        while readiness(&gateway).await["store"]["state"] != json!("ready") {
            bill(&gateway).await;
        }
    })
    .await;

    assert_eq!(session, StatusCode::OK, "a store that is of no use fails no request");
    let (grade, said) = examined.finding("store.redis");
    assert_eq!((&*grade, is_denial(&said)), ("fail", true), "{said}");
    let metrics = String::from_utf8(get(gateway.admin, "/metrics").await.body.to_vec()).expect("text");
    assert!(metrics.contains("pointsman_store_available 1"), "the server answered all the time");
    gateway.until_logged("does not do what it is asked").await;
    assert_eq!(gateway.log().matches("does not do what it is asked").count(), 1, "{}", gateway.log());
}

#[tokio::test]
async fn the_doctor_says_that_a_password_is_wrong() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let (node, folder) = (RedisNode::alone().await, tempfile::tempdir().expect("a temporary folder"));
    allow(&node, "app", &["all"]);
    assert_eq!(node.says(&["acl", "setuser", "app", "resetpass", ">other"]), "OK");
    let store = format!("url: 'redis://{}', {}", node.address, login(folder.path()));

    let examined = Examined::of(&sharing(&small, &frontier, &store, 3).yaml(), &[]).await;

    let (grade, said) = examined.finding("store.redis");
    assert_eq!(
        (&*grade, said.contains("does not do what it is asked") && !said.contains(PASSWORD)),
        ("fail", true),
        "{said}"
    );
}
