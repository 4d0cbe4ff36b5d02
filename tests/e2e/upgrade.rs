//! The binary is replaced under load, and nobody notices.

use http::{Method, StatusCode};
use rustix::process::Signal;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::client::{CHAT, Connection, Framing, Reply, chat, question};
use crate::gateway::{Config, Gateway};
use crate::origin::{Answer, Origin};
use crate::soon;

fn upgradable(config: Config, folder: &tempfile::TempDir) -> Config {
    let sections = format!("upgrade: {{socket: {}}}", folder.path().join("upgrade.sock").display());
    Config { sections, ..config }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_under_load_loses_no_request() {
    let (small, folder) = (Origin::start().await, tempfile::tempdir().expect("a temporary folder"));
    let mut config = upgradable(Config::new(&small, &small), &folder);
    let old = Gateway::start(&config).await;
    let address = old.listen;
    let (seen, mut served_by) = watch::channel([0usize; 2]);
    let (stop, stopped) = watch::channel(false);
    let mut clients = JoinSet::new();
    for framing in [Framing::Length, Framing::H2Length, Framing::Length, Framing::H2NoLength] {
        clients.spawn(ask_until(stopped.clone(), address, framing, seen.clone()));
    }
    soon("load on the old process", served_by.wait_for(|[old, _]| *old > 20)).await.expect("clients run");

    config.listen = format!("{{address: {address}}}");
    config.small_name = "upgraded".to_owned();
    let starting = tokio::spawn(async move { Gateway::take_over(&config).await });
    old.signal(Signal::QUIT);
    let new = soon("the new process", starting).await.expect("no panic");
    soon("load on the new process", served_by.wait_for(|[_, new]| *new > 20)).await.expect("clients run");
    stop.send(true).expect("clients run");

    let mut answered = 0;
    while let Some(client) = soon("the clients' end", clients.join_next()).await {
        answered += client.expect("every answer was right");
    }
    let arrived = std::iter::from_fn(|| small.take()).count();
    assert_eq!(answered, arrived, "requests that were answered, and that arrived");
    assert_eq!(new.listen, address);
    assert_eq!(old.ended().await.0.code(), Some(0));
    assert_eq!(chat(address, question("auto", "hello")).await.json()["model"], "upgraded");
}

/// Asks again and again, as SDKs do, and returns the number of answers: a connection whose end was announced is not used
/// again. A request that crosses an HTTP/2 GOAWAY on its way is not handled and may be sent again (RFC 9113, 6.8); over
/// HTTP/1 every request must be answered.
async fn ask_until(
    stop: watch::Receiver<bool>,
    address: std::net::SocketAddr,
    framing: Framing,
    seen: watch::Sender<[usize; 2]>,
) -> usize {
    let is_h2 = matches!(framing, Framing::H2Length | Framing::H2NoLength);
    let mut connection = Connection::open(address, framing).await;
    let mut answered = 0;
    while !*stop.borrow() {
        let request = connection.request(Method::POST, CHAT);
        let request = request.body(framing.body(question("auto", "hello").into())).expect("a valid request");
        let reply = match connection.send(request).await {
            Ok(response) => Reply::read(response).await,
            Err(error) => {
                assert!(is_h2, "{framing:?}: {error:?}");
                connection = Connection::open(address, framing).await;
                continue;
            }
        };
        assert_eq!(reply.status, StatusCode::OK, "{:?}", reply.body);
        answered += 1;
        if reply.header("connection") == Some("close") {
            connection = Connection::open(address, framing).await;
        }
        let is_new = reply.json()["model"] == "upgraded";
        seen.send_modify(|counts| counts[usize::from(is_new)] += 1);
    }
    answered
}

#[tokio::test]
async fn what_is_in_flight_ends_in_the_old_process() {
    let (release, held) = oneshot::channel();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let small = Origin::answering([Answer::Held(held)]).await;
    let mut config = upgradable(Config::new(&small, &small), &folder);
    let old = Gateway::start(&config).await;
    let address = old.listen;
    let in_flight = tokio::spawn(chat(address, question("auto", "slow")));
    small.next().await;

    config.listen = format!("{{address: {address}}}");
    config.small_name = "upgraded".to_owned();
    let starting = tokio::spawn(async move { Gateway::take_over(&config).await });
    old.signal(Signal::QUIT);
    let _new = soon("the new process", starting).await.expect("no panic");
    let fresh = chat(address, question("auto", "hello")).await;
    release.send(()).expect("the origin waits");

    assert_eq!(fresh.json()["model"], "upgraded");
    assert_eq!(soon("the answer", in_flight).await.expect("no panic").json()["model"], "small-1");
    assert_eq!(old.ended().await.0.code(), Some(0));
}

#[tokio::test]
async fn without_an_upgrade_socket_sigquit_changes_nothing() {
    let small = Origin::start().await;
    let gateway = Gateway::start(&Config::new(&small, &small)).await;

    gateway.signal(Signal::QUIT);
    gateway.until_logged("No hand-over").await;

    assert_eq!(chat(gateway.listen, question("auto", "hello")).await.status, StatusCode::OK);
}
