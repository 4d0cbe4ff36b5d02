//! The figures of `docs/capacity.md`: measured, and compared with what the page says.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use pointsman_core::prompt::state::{StateKind, StateName};

use super::outcome::{PhaseOutcome, ratio};
use super::replica::{FleetReplica, ServedEnd, hash, write_bundle};
use super::server::StoreServer;
use super::traffic::FleetRequest;
use crate::router::StateKeeper;

/// Names of state that are written to see how large they are.
const NAMES: usize = 32;

/// How far sizes may be from what the page says.
const TOLERANCE: f64 = 0.1;

/// The fields of a counter that are no accounts.
const COUNTER_FIELDS: f64 = 8.0;

/// How far the growth of a process may be, which grows in steps, and the size of what holds numbers as text.
const LOOSE: f64 = 0.3;

/// A figure of the page.
#[derive(Debug, Clone)]
pub(super) struct CapacityFigure {
    /// The rows whose numbers make the figure, by their first cells, and how often each counts.
    rows: Vec<(&'static str, f64)>,
    measured: f64,
    tolerance: f64,
}

/// Measures the sizes of what the store holds, in bytes of its memory.
pub(super) fn sizes(server: &StoreServer, replicas: &[Arc<FleetReplica>]) -> Vec<CapacityFigure> {
    remember_names(server, &replicas[0]);
    let mean = |pattern: &str| {
        let sizes = server.sizes(pattern, NAMES);
        let count = sizes.len() as u64;
        ratio(sizes.into_iter().sum(), count)
    };
    let size =
        |row, pattern: &str| CapacityFigure { rows: vec![(row, 1.0)], measured: mean(pattern), tolerance: TOLERANCE };
    let counters = "pointsman:{budget}:*";
    let accounts = server.fields(counters, NAMES) - COUNTER_FIELDS;
    vec![
        size("a pin", "pointsman:pin:*"),
        size("a name of state", "pointsman:state:*"),
        CapacityFigure { tolerance: LOOSE, ..size("the loop of a target", "pointsman:target:*") },
        size("an allowance of a quota", "pointsman:quota:*"),
        CapacityFigure {
            rows: vec![("a counter of a budget", 1.0), ("an account of a process in it", accounts)],
            measured: mean(counters),
            tolerance: LOOSE,
        },
    ]
}

/// Works out what the steady phase has asked of the store.
pub(super) fn commands(steady: &PhaseOutcome) -> Vec<CapacityFigure> {
    let Some(store) = steady.store else { return Vec::new() };
    let measured = ratio(store.set, steady.decided);
    vec![CapacityFigure { rows: vec![("writes of pins a request", 1.0)], measured, tolerance: TOLERANCE }]
}

/// Compares figures with those of the page.
pub(super) fn check(figures: &[CapacityFigure]) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/capacity.md");
    let page = fs::read_to_string(page).expect("the page");
    for CapacityFigure { rows, measured, tolerance } in figures {
        let part = |(row, times): &(&str, f64)| {
            times * said(&page, row).unwrap_or_else(|| panic!("docs/capacity.md has no row `{row}`"))
        };
        let said: f64 = rows.iter().map(part).sum();
        let error = (measured / said - 1.0).abs();
        assert!(error <= *tolerance, "docs/capacity.md says {said} for {rows:?}; measured: {measured:.2}");
    }
}

/// Returns the number in the second cell of a row.
fn said(page: &str, row: &str) -> Option<f64> {
    let start = format!("| {row} | ");
    let cell = page.lines().find_map(|line| line.strip_prefix(start.as_str()))?;
    cell.split_whitespace().next()?.replace(',', "").parse().ok()
}

fn remember_names(server: &StoreServer, replica: &FleetReplica) {
    let snapshot = replica.router.snapshot();
    let name = |number: usize| StateName::new(StateKind::Response, format!("resp_{number}").as_bytes());
    let names: Vec<StateName> = (0..NAMES).map(name).collect();
    replica.router.remember_state(&snapshot, None, &names, &keeper(replica));
    let started = Instant::now();
    while server.sizes("pointsman:state:*", 1).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(10), "nothing was written");
    }
}

/// Returns a keeper of state as the replica's configuration has it.
fn keeper(replica: &FleetReplica) -> Arc<StateKeeper> {
    let snapshot = replica.router.snapshot();
    let deployment = snapshot.upstreams.models().next().expect("a model");
    let (provider, model) = (deployment.provider.name.clone(), Some(deployment.model.clone()));
    Arc::new(StateKeeper { provider, peer: None, model, conversation: None })
}

/// Returns the bytes that this process has in memory.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    let kilobytes: u64 = line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number");
    kilobytes << 10
}

/// Returns by how much a process grows with each session, or each name, that it remembers.
async fn growth(sections: &str, policy: &str, remember: impl AsyncFn(&FleetReplica, u64)) -> f64 {
    const WARM: u64 = 2_000;
    const MORE: u64 = 10_000;
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_bundle(&folder.path().join("bundle"), 1);
    let config = format!(
        "version: 1
listen: {{address: 127.0.0.1:0}}
providers: {{p: {{base_url: http://127.0.0.1:9}}}}
models:
  small: {{provider: p, price: {{input: 0.1, output: 0.4}}}}
  frontier: {{provider: p, price: {{input: 2, output: 8}}}}
classifiers: {{default: {{bundle: ../bundle}}}}
clients: {{c0: {{keys: [{{sha256: {}}}]}}}}
{sections}policies:
  - name: auto
    match: {{model: [auto]}}
    strategy: {{kind: threshold, classifier: default, head: tier_lexical, strong: frontier, weak: small, threshold: 0.5}}
{policy}",
        hash(b"c0")
    );
    let replica = FleetReplica::start(&folder.path().join("replica"), &config);
    for number in 0..WARM {
        remember(&replica, number).await;
    }
    let before = resident();
    for number in WARM..WARM + MORE {
        remember(&replica, number).await;
    }
    ratio(resident().saturating_sub(before), MORE)
}

#[tokio::test]
async fn a_process_grows_with_pins_names_and_counters_as_the_page_says() {
    let body = Bytes::from(r#"{"model":"auto","messages":[{"role":"user","content":"hello"}]}"#);
    let serve = async |replica: &FleetReplica, session: u64| {
        let request = FleetRequest::of_session(session, body.clone());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if let ServedEnd::Answered(answer) = replica.serve(request, now).await.end {
            answer.settle();
        }
    };
    let name = async |replica: &FleetReplica, number: u64| {
        let snapshot = replica.router.snapshot();
        let names = [StateName::new(StateKind::Response, format!("resp_{number}").as_bytes())];
        replica.router.remember_state(&snapshot, None, &names, &keeper(replica));
    };
    let budget = "budgets: [{name: b, per: session, requests: 1000, max_sessions: 20000}]\n";

    let grown = [
        ("a name of state in the process", growth("", "", name).await),
        ("a pin in the process", growth("", "    affinity: {key: conversation}\n", serve).await),
        ("a counter of a budget in the process", growth(budget, "", serve).await),
    ];

    println!("{grown:?}");
    let figure = |(row, measured)| CapacityFigure { rows: vec![(row, 1.0)], measured, tolerance: LOOSE };
    check(&grown.map(figure));
}

#[test]
fn requests_and_dollars_a_core_follow_from_the_benchmarks_and_the_price_that_the_page_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [page, benchmarks] = ["capacity", "benchmarks"]
        .map(|page| fs::read_to_string(root.join(format!("docs/{page}.md"))).expect("a page"));
    let price = said(&page, "a core for an hour, US dollars").expect("the price");
    let cells = |page: &str, start: &str| -> Vec<f64> {
        let row = page.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_else(|| panic!("no row {start}"));
        let number = |cell: &str| cell.split_whitespace().next()?.replace(',', "").parse().ok();
        row.split('|').map(|cell| number(cell).unwrap_or_default()).collect()
    };
    for what in ["a rule on tokens", "lexical heads", "cascade", "encoder"] {
        let measured = cells(&benchmarks, &format!("| **Pointsman, {what}** |"))[1];
        let [cpu, a_second, a_million, ..] = cells(&page, &format!("| {what} |"))[..] else { panic!("three cells") };

        assert!((cpu - measured).abs() < 0.5, "{what}: {cpu} and {measured}");
        assert!((a_second / (1e6 / cpu) - 1.0).abs() < 0.02, "{what}: {a_second} requests a second");
        assert!((a_million / (cpu / 3600.0 * price) - 1.0).abs() < 0.05, "{what}: {a_million} US dollars");
    }
}
