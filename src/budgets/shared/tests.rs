//! Budgets of several processes, as far as one can play several, that count in a real server.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pointsman_core::config::{RedisConfig, UtcMoment};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::super::tests::{clients, configs};
use super::super::*;

/// A moment in the middle of a day, a week and a month.
fn now() -> u64 {
    "2099-06-17T11:15:00Z".parse::<UtcMoment>().expect("a moment").0
}

/// A real server; ends with the value.
struct Server {
    folder: TempDir,
    child: Child,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--unixsocket"]).arg(folder.path().join("s")).stdout(Stdio::null());
        let child = command.spawn().expect("redis-server is installed (apt: redis-server)");
        Self { folder, child }
    }

    async fn store(&self) -> SharedStore {
        let url = format!("unix://{}", self.folder.path().join("s").display());
        let section: RedisConfig = serde_json::from_value(json!({"url": url, "timeout": "5s"})).expect("a store");
        let store = SharedStore::start(&url, None, &section, Metrics::new().store()).expect("a thread");
        store.look();
        while store.trouble().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        store
    }

    /// Returns what the only counter holds under `field`.
    fn field(&self, field: &str) -> String {
        self.says(&["hget", &self.says(&["keys", "*"]), field])
    }

    /// Returns the numbers of processes that have an account with the only counter.
    fn accounts(&self) -> Vec<String> {
        let fields = self.says(&["hkeys", &self.says(&["keys", "*"])]);
        fields.lines().filter(|field| field.len() > 1).map(str::to_owned).collect()
    }

    /// Returns the most requests that one process has reported.
    fn reported(&self) -> i64 {
        let accounts = self.accounts().into_iter().map(|process| self.field(&process));
        accounts.filter_map(|account| account.split(' ').nth(2)?.parse().ok()).max().unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the server runs");
    }

    fn says(&self, command: &[&str]) -> String {
        let answer = Command::new("redis-cli").arg("-s").arg(self.folder.path().join("s")).args(command).output();
        let answer = answer.expect("redis-cli is installed (apt: redis-tools)").stdout;
        String::from_utf8(answer).expect("text").trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // an error means that it has ended by now
        let _ = self.child.wait();
    }
}

/// The budgets of one process.
struct Replica {
    budgets: Arc<Budgets>,
    store: SharedStore,
    clients: Clients,
    exchange: JoinHandle<()>,
}

impl Replica {
    async fn of(server: &Server, sections: &Value) -> Self {
        let (budgets, store) = (Arc::new(Budgets::new(Arc::new(Metrics::new()))), server.store().await);
        budgets.adopt(&configs(sections), &clients());
        let (own, shared) = (Arc::clone(&budgets), store.clone());
        let exchange = tokio::spawn(async move { own.settle_in(|| Some(shared.clone())).await });
        Self { budgets, store, clients: clients(), exchange }
    }

    async fn take(&self, amounts: BudgetAmounts) -> Option<BudgetReservation> {
        let client = self.clients.named("web").map(|client| &**client);
        let party = BudgetParty { client, key: None, session: None };
        let taken = self.budgets.reserve(party, amounts, now(), Some(&self.store)).await;
        taken.map(|reservation| reservation.expect("a budget")).ok()
    }

    /// Uses so many requests one after the other; returns how many there was room for.
    async fn use_up(&self, times: usize) -> usize {
        let mut taken = 0;
        for _ in 0..times {
            let reservation = self.take(one()).await;
            taken += usize::from(reservation.is_some_and(|reservation| {
                reservation.settle(one());
                true
            }));
        }
        taken
    }

    /// Ends as a process does that is killed.
    async fn die(self) {
        self.exchange.abort();
        let _ = self.exchange.await;
    }
}

fn one() -> BudgetAmounts {
    BudgetAmounts::of(0.0, 0, 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_use_all_of_a_budget_and_not_one_request_more() {
    let server = Server::start();
    let sections = json!([{"name": "daily", "requests": 1000}]);
    let replicas = [
        Replica::of(&server, &sections).await,
        Replica::of(&server, &sections).await,
        Replica::of(&server, &sections).await,
        Replica::of(&server, &sections).await,
    ];

    // The last of them stops early and still holds a part when the others come near the bound.
    let times = [600, 600, 600, 50];
    let taken = futures::future::join_all(replicas.iter().zip(times).map(|(own, times)| own.use_up(times))).await;

    assert_eq!(taken.iter().sum::<usize>(), 1000, "{taken:?}");
    futures::future::join_all(replicas.iter().map(|own| own.budgets.settled())).await;
    assert_eq!(server.field("r"), "1000", "nothing is held any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn dollars_of_many_requests_at_once_stay_below_the_bound_and_add_up() {
    let server = Server::start();
    let sections = json!([{"name": "daily", "dollars": 1.0}]);
    let replicas = [Replica::of(&server, &sections).await, Replica::of(&server, &sections).await];
    let work = async |own: &Replica, seed: usize| {
        let mut spent = 0;
        for round in 0..200 {
            // A tenth of a cent to a cent is expected, and something else is the bill.
            let (expected, billed) = ((seed * 7 + round * 13) % 10, (seed * 3 + round * 11) % 10);
            let expected = BudgetAmounts::of(f64::from(u32::try_from(expected + 1).expect("small")) / 1e3, 10, 1);
            let Some(reservation) = own.take(expected).await else { continue };
            let actual = if round % 5 == 0 { 0.0 } else { f64::from(u32::try_from(billed).expect("small")) / 1e4 };
            let actual = BudgetAmounts::of(actual, 7, u64::from(round % 5 != 0));
            reservation.settle(actual);
            spent += actual.0[0];
        }
        spent
    };

    let workers = (0..8).map(|seed| work(&replicas[seed % 2], seed));
    let spent: i64 = futures::future::join_all(workers).await.into_iter().sum();
    futures::future::join_all(replicas.iter().map(|own| own.budgets.settled())).await;

    assert!(spent <= 1_000_000_000 && spent > 400_000_000, "{spent}");
    assert_eq!(server.field("d"), spent.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn most_requests_ask_the_store_nothing() {
    let server = Server::start();
    let own = Replica::of(&server, &json!([{"name": "daily", "requests": 1_000_000}])).await;

    let before = own.use_up(2000).await;
    own.budgets.settled().await;

    let calls = server.says(&["info", "commandstats"]);
    let calls = calls.lines().find_map(|line| line.strip_prefix("cmdstat_eval:calls=")).expect("the script's calls");
    let calls: usize = calls.split(',').next().and_then(|calls| calls.parse().ok()).expect("a number");
    assert_eq!((before, server.field("r")), (2000, "2000".to_owned()));
    assert!(calls < 1000, "{calls} questions about 2000 requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_held_that_was_killed_is_there_again() {
    let server = Server::start();
    let sections = json!([{"name": "daily", "requests": 1000, "lease": "100ms"}]);
    let (killed, other) = (Replica::of(&server, &sections).await, Replica::of(&server, &sections).await);

    let mut first = killed.use_up(100).await;
    while server.reported() < 100 {
        first += killed.use_up(1).await; // until it has reported them, and holds some
    }
    killed.die().await;
    let mut used = 0;
    while server.accounts().len() > 1 {
        used += other.use_up(1).await;
    }
    used += other.use_up(1000).await;

    // What it had not reported yet is forgotten, and what it had reported is not.
    assert!(used <= 900 && used + first >= 1000, "{first} and {used}");
    other.budgets.settled().await;
    assert_eq!(server.field("r"), "1000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_has_lost_a_counter_is_told_what_all_had_used() {
    let server = Server::start();
    let sections = json!([{"name": "daily", "requests": 100, "lease": "0s"}]);
    let replicas = [Replica::of(&server, &sections).await, Replica::of(&server, &sections).await];
    let before = [replicas[0].use_up(40).await, replicas[1].use_up(50).await];
    futures::future::join_all(replicas.iter().map(|own| own.budgets.settled())).await;
    let last = replicas[0].use_up(2).await; // and so knows of all that the other has used
    replicas[0].budgets.settled().await;

    server.says(&["flushall"]);
    let after = [replicas[0].use_up(5).await, replicas[1].use_up(20).await];

    assert_eq!((before, last), ([40, 50], 2));
    assert_eq!(after.iter().sum::<usize>(), 8, "{after:?}");
    futures::future::join_all(replicas.iter().map(|own| own.budgets.settled())).await;
    assert_eq!(server.field("r"), "100");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_the_store_is_asked_has_used_nothing() {
    let server = Server::start();
    let own = Replica::of(&server, &json!([{"name": "daily", "requests": 3, "lease": "100ms"}])).await;

    server.signal(Signal::STOP);
    for _ in 0..10 {
        let mut asking = Box::pin(own.take(one()));
        assert!(futures::poll!(asking.as_mut()).is_pending(), "the store was asked");
    }
    server.signal(Signal::CONT);
    while own.store.get("nothing").await.is_err() {} // by now it has granted them, to nobody
    own.budgets.settled().await;

    assert_eq!(server.field("r"), "0");
    assert_eq!(own.use_up(5).await, 3);
}
