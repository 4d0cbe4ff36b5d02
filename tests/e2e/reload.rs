//! A reload swaps everything at once and loses nothing; a broken one changes nothing.

use std::fs;

use http::StatusCode;
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::{CHAT, Connection, Framing, chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::soon;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_under_load_loses_no_request() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut config = Config::new(&small, &frontier);
    let gateway = Gateway::start(&config).await;
    let (newest, mut generation) = watch::channel(0);
    let (stop, stopped) = watch::channel(false);
    let mut clients = JoinSet::new();
    for framing in Framing::ALL {
        clients.spawn(ask_until(stopped.clone(), gateway.listen, framing, newest.clone()));
    }

    for next in 2..=6 {
        soon("an answer", generation.wait_for(|seen| *seen == next - 1)).await.expect("clients run");
        config.small_name = format!("small-{next}");
        gateway.write(&config.yaml());
        if next % 2 == 0 {
            gateway.signal(Signal::HUP);
        }
    }
    soon("the last generation", generation.wait_for(|seen| *seen == 6)).await.expect("clients run");
    stop.send(true).expect("clients run");

    let mut answered = 0;
    while let Some(client) = soon("the clients' end", clients.join_next()).await {
        answered += client.expect("every answer was right");
    }
    let arrived = std::iter::from_fn(|| small.take()).count();
    assert_eq!(answered, arrived, "requests that were answered, and that arrived");
}

#[tokio::test]
async fn a_rollback_serves_what_served_before_as_a_new_generation() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut config = Config::new(&small, &frontier);
    let gateway = Gateway::start(&config).await;
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let nothing = admin.post(Framing::Length, "/rollback", String::new()).await;
    config.small_name = "small-2".to_owned();
    gateway.write(&config.yaml());
    admin.post(Framing::Length, "/reload", String::new()).await;
    let first = chat(gateway.listen, question("auto", "hello")).await;

    let back = admin.post(Framing::Length, "/rollback", String::new()).await;
    let second = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!(
        (nothing.status, &nothing.json()["error"]["code"]),
        (StatusCode::CONFLICT, &"nothing_to_roll_back".into())
    );
    assert_eq!(first.json()["model"], "small-2");
    assert_eq!((back.status, &back.json()["outcome"]), (StatusCode::OK, &"rolled_back".into()));
    assert_ne!(second.json()["model"], "small-2");
    assert_eq!(second.header("x-pointsman-generation"), Some("3"));
    until_metric(&gateway, "pointsman_config_reloads_total{outcome=\"rolled_back\"} 1").await;
}

/// Asks again and again on one connection; returns the number of answers, all of them right.
async fn ask_until(
    stop: watch::Receiver<bool>,
    gateway: std::net::SocketAddr,
    framing: Framing,
    newest: watch::Sender<u64>,
) -> usize {
    let mut connection = Connection::open(gateway, framing).await;
    let mut answered = 0;
    while !*stop.borrow() {
        let reply = connection.post(framing, CHAT, question("auto", "hello")).await;
        assert_eq!(reply.status, StatusCode::OK, "{:?}", reply.body);
        let generation: u64 =
            reply.header("x-pointsman-generation").and_then(|text| text.parse().ok()).expect("a number");
        assert_eq!(reply.json()["model"], format!("small-{generation}"), "one request saw two generations");
        answered += 1;
        newest.send_if_modified(|seen| {
            let is_newer = generation > *seen;
            *seen = generation.max(*seen);
            is_newer
        });
    }
    answered
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_is_seen_in_metrics_and_log() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut config = Config::new(&small, &frontier);
    let gateway = Gateway::start(&config).await;
    let unknown_model = config.yaml().replace("otherwise: frontier", "otherwise: no-such-model");
    let moved_listener = config.yaml().replacen("address: 127.0.0.1:0", "address: 127.0.0.1:9", 1);

    // Each of them once ended or hung the process that read it.
    let wrong_macro =
        config.yaml() + "\nmacros:\n  big: macros.long && prompt.turns > 1\n  long: prompt.tokenz > 100\n";
    let circle = config.yaml() + "\nmacros: {a: macros.b, b: macros.a}\n";
    let list = format!("[{}]", ["7"; 300].join(","));
    let loops = format!("{list}.exists(x, {list}.exists(y, {list}.exists(z, x + y > z)))");
    let dear = format!("{}\nmacros: {{dear: '{loops}'}}\n", config.yaml());
    let many = [unknown_model, moved_listener, wrong_macro, circle, dear];
    let broken_files = ["version: [", "version: 2", ""].into_iter().chain(many.iter().map(String::as_str));

    for broken in broken_files {
        gateway.write(broken);
        until_metric(&gateway, "pointsman_config_last_reload_successful 0").await;
        let after = chat(gateway.listen, question("auto", "hello")).await;
        let generation = after.header("x-pointsman-generation");
        assert_eq!((after.status, generation), (StatusCode::OK, Some("1")), "{broken}");

        gateway.write(&config.yaml());
        until_metric(&gateway, "pointsman_config_last_reload_successful 1").await;
    }
    gateway.until_logged("no-such-model").await;
    config.small_name = "mended".to_owned();
    gateway.write(&config.yaml());

    soon("the mended file to serve", async {
        while chat(gateway.listen, question("auto", "hello")).await.json()["model"] != "mended" {}
    })
    .await;
}

#[tokio::test]
async fn a_file_that_is_gone_for_a_moment_changes_nothing() {
    let (small, frontier) = (Origin::start().await, Origin::start().await);
    let mut config = Config::new(&small, &frontier);
    let gateway = Gateway::start(&config).await;

    fs::remove_file(gateway.file()).expect("the file is there");
    let reply = chat(gateway.listen, question("auto", "hello")).await;
    config.small_name = "back".to_owned();
    gateway.write(&config.yaml());
    until_metric(&gateway, "pointsman_generation 2").await;

    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(chat(gateway.listen, question("auto", "hello")).await.json()["model"], "back");
}

#[tokio::test]
async fn a_request_in_flight_keeps_the_snapshot_it_started_with() {
    let (release, held) = tokio::sync::oneshot::channel();
    let small = Origin::answering([crate::origin::Answer::Held(held)]).await;
    let frontier = Origin::start().await;
    let mut config = Config::new(&small, &frontier);
    let gateway = Gateway::start(&config).await;
    let in_flight = tokio::spawn(chat(gateway.listen, question("auto", "slow")));
    small.next().await;

    config.small_name = "small-2".to_owned();
    gateway.write(&config.yaml());
    until_metric(&gateway, "pointsman_generation 2").await;
    release.send(()).expect("the origin waits");
    let reply = soon("the answer", in_flight).await.expect("no panic");

    assert_eq!(reply.json()["model"], "small-1");
    assert_eq!(reply.header("x-pointsman-generation"), Some("1"));
}

#[tokio::test]
async fn sigterm_lets_what_is_in_flight_end() {
    let (release, held) = tokio::sync::oneshot::channel();
    let small = Origin::answering([crate::origin::Answer::Held(held)]).await;
    let frontier = Origin::start().await;
    let mut gateway = Gateway::start(&Config::new(&small, &frontier)).await;
    let in_flight = tokio::spawn(chat(gateway.listen, question("auto", "slow")));
    small.next().await;

    gateway.signal(Signal::TERM);
    release.send(()).expect("the origin waits");
    let reply = soon("the answer", in_flight).await.expect("no panic");
    let status = gateway.stop();

    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(status.code(), Some(0), "a drain is a clean end");
    let log = gateway.log();
    let (_, end) = log.split_once("Draining").expect("it says so");
    assert!(!end.contains("ERROR"), "nobody must act on a clean end: {end}");
}

/// Waits until `/metrics` holds `line`. Every look is a request of its own, so this yields and never spins.
pub(crate) async fn until_metric(gateway: &Gateway, line: &str) {
    soon(line, async {
        while !String::from_utf8_lossy(&get(gateway.admin, "/metrics").await.body).lines().any(|found| found == line) {}
    })
    .await;
}
