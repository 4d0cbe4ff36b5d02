//! A gateway for this process alone, on a free port of loopback: the product's own upstreams, retries, translation and
//! policies, without what other processes share or read.
//!
//! Only who has its key may ask: another user of the machine must not spend the operator's money through it. It is
//! never reloaded, has no admin plane and writes no log: decisions come back to whoever asked.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pointsman_core::config::KeyHash;
use pointsman_lab::decision_log::{LogLine, LoggedDecision};
use pointsman_telemetry::DecisionLog;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{StartError, blocking, expect};
use crate::proxy::{Listeners, Proxy, RunningProxy, ShutdownReason};
use crate::router::Router;
use crate::snapshot::{PreparedConfig, Snapshot, SnapshotBuilder};
use crate::upstream::health;

/// The longest wait for a decision's line after its answer: it is written as the request ends.
const LINE: Duration = Duration::from_secs(5);

/// The time that classifiers get at least: what is decided matters, not how fast, and a busy machine must not change it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A gateway for this process alone.
pub(in crate::cli) struct LoopbackGateway {
    served: RunningProxy,
    router: Arc<Router>,
    health_task: JoinHandle<()>,
    key: String,
    decisions: Arc<DecisionLines>,
}

/// The decisions of requests, as they come and as they are asked for.
#[derive(Default)]
struct DecisionLines(Mutex<HashMap<String, DecisionSlot>>);

/// A decision that nobody asked for yet, or somebody who waits for one.
enum DecisionSlot {
    Came(Box<LoggedDecision>),
    Waits(oneshot::Sender<Box<LoggedDecision>>),
}

impl LoopbackGateway {
    /// Builds and serves what was prepared, without a trace in what others share. `prepare` may change it
    /// further.
    pub(in crate::cli) async fn start(
        builder: &Arc<SnapshotBuilder>,
        prepare: impl FnOnce(PreparedConfig) -> PreparedConfig,
    ) -> Result<Self, StartError> {
        let metrics = Arc::clone(&builder.metrics);
        let key = random_key()?;
        let reading = Arc::clone(builder);
        let prepared = blocking(move || reading.prepare_in_time()).await??;
        let mut prepared = prepare(prepared.secluded(KeyHash::new(Sha256::digest(key.as_bytes()).into())));
        prepared.extend_deadlines(PATIENCE);
        let listeners = Listeners::bind(&prepared.config().listen)?;
        let building = Arc::clone(builder);
        let mut snapshot = blocking(move || building.build_in_time(prepared, None)).await??;
        let decisions = Arc::<DecisionLines>::default();
        let taking = Arc::clone(&decisions);
        snapshot.decision_log = Some(DecisionLog::handing_over(move |line| taking.take(line), &metrics)?);
        expect(&metrics, &snapshot);
        let router = Arc::new(Router::new(snapshot, Arc::clone(&metrics)));
        let serving = Arc::clone(&router);
        let health_task = tokio::spawn(health::watch(move || Arc::clone(&serving.snapshot().upstreams)));
        let served = listeners.serve(Proxy::new(Arc::clone(&router), metrics))?;
        Ok(Self { served, router, health_task, key, decisions })
    }

    /// Returns where it listens.
    pub(in crate::cli) fn address(&self) -> SocketAddr {
        self.served.addresses()[0]
    }

    /// Returns the key that requests must bring.
    pub(in crate::cli) fn key(&self) -> &str {
        &self.key
    }

    /// Returns what serves.
    pub(in crate::cli) fn snapshot(&self) -> Arc<Snapshot> {
        self.router.snapshot()
    }

    /// Waits for the decision on the request with this id; `None` when there is none, or none in time.
    pub(in crate::cli) async fn decision(&self, request_id: &str) -> Option<Box<LoggedDecision>> {
        let line = self.decisions.ask(request_id);
        tokio::time::timeout(LINE, line).await.ok()?.ok()
    }

    /// Lets open requests end and stops.
    pub(in crate::cli) async fn stop(self) {
        let served = self.served;
        let _ = blocking(move || served.shut_down(ShutdownReason::Interrupted)).await; // reports its own panics
        self.health_task.abort();
    }
}

impl DecisionLines {
    /// Takes a line of the log: a decision is kept for whoever asks.
    fn take(&self, line: &[u8]) {
        let Some(LogLine::Decision(decision)) = LogLine::parse(line) else { return };
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slots.remove(&*decision.request_id) {
            Some(DecisionSlot::Waits(waits)) => drop(waits.send(decision)), // it may have given up
            Some(DecisionSlot::Came(_)) | None => {
                slots.insert(decision.request_id.to_string(), DecisionSlot::Came(decision));
            }
        }
    }

    fn ask(&self, request_id: &str) -> oneshot::Receiver<Box<LoggedDecision>> {
        let (sender, waits) = oneshot::channel();
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slots.entry(request_id.to_owned()) {
            Entry::Occupied(slot) if matches!(slot.get(), DecisionSlot::Came(_)) => {
                if let DecisionSlot::Came(decision) = slot.remove() {
                    drop(sender.send(decision)); // the receiver is below
                }
            }
            Entry::Occupied(mut slot) => drop(slot.insert(DecisionSlot::Waits(sender))),
            Entry::Vacant(slot) => drop(slot.insert(DecisionSlot::Waits(sender))),
        }
        waits
    }
}

/// Draws a key that nobody can guess.
fn random_key() -> io::Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().fold(String::from("collect-"), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes what is written");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str) -> Vec<u8> {
        format!("{{\"kind\":\"decision\",\"request_id\":\"{id}\",\"policy\":\"p\",\"model\":\"m\"}}").into_bytes()
    }

    #[tokio::test]
    async fn a_decision_reaches_who_asks_before_it_comes_and_after() {
        let lines = DecisionLines::default();
        let early = lines.ask("a");

        lines.take(&line("a"));
        lines.take(&line("b"));
        lines.take(b"{\"kind\":\"feedback\"}");

        assert_eq!(early.await.expect("a decision").request_id, "a");
        assert_eq!(lines.ask("b").await.expect("a decision").request_id, "b");
        assert!(lines.0.lock().expect("no panic").is_empty());
    }

    #[test]
    fn keys_are_long_and_differ() {
        let keys = [random_key(), random_key()].map(|key| key.expect("a source of random bytes"));

        assert!(keys[0].len() == 72 && keys[0] != keys[1]);
    }
}
