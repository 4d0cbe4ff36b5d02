//! The run: requests a millisecond, phases, what clients and an all-knowing observer see.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pointsman_core::config::Name;
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::capacity;
use super::outcome::{FleetOutcome, HolderUse, PhaseOutcome, WINDOW};
use super::plan::{FleetPlan, HELD, PHASES, STEADY};
use super::replica::{FleetReplica, OpenAnswer, ServedEnd, ServedRequest, write_bundle};
use super::server::{ServerUse, StoreServer};
use super::traffic::{ANSWER, FleetTraffic};

/// The unit of the pauses of real time.
const HEARTBEAT: Duration = Duration::from_millis(1);

/// Decided requests that may wait to be taken in.
const OPEN: usize = 1 << 16;

/// Milliseconds before an outage in which a write may be lost with it.
const UNWRITTEN: u64 = 50;

/// The temperatures of the bundle's versions, which the weights are swapped between, and a threshold for each that an
/// operator has calibrated on other traffic.
const BUNDLES: [(u32, f64); 2] = [(2, 0.85), (4, 0.72)];

/// A session as an observer knows it who sees all replicas.
struct KnownSession {
    /// The model that it is held to.
    home: Option<Name>,
    last_at: u64,
    /// True where the store was away while it was decided for, so that replicas may differ from then on.
    is_excused: bool,
}

/// A run.
pub(super) struct Simulation {
    plan: FleetPlan,
    server: StoreServer,
    folder: TempDir,
    replicas: Vec<Arc<FleetReplica>>,
    traffic: FleetTraffic,
    /// Milliseconds of the played time.
    at: u64,
    /// Seconds since 1970 at the start; budgets count in that day.
    now: u64,
    results: (mpsc::Sender<ServedRequest>, mpsc::Receiver<ServedRequest>),
    open: usize,
    answers: VecDeque<(u64, Box<OpenAnswer>)>,
    sessions: HashMap<u64, KnownSession>,
    holders: Vec<HolderUse>,
    phase: PhaseOutcome,
    /// True while some replica may do without the store.
    is_away: bool,
    /// The millisecond until when replicas may not have noticed that the store is away.
    unnoticed: u64,
    /// Commands of all replicas that the store did not do.
    failed: u64,
    reloads: Vec<JoinHandle<()>>,
    heartbeat: Arc<Notify>,
    /// Keep the runtime from moving its clock by itself, and the heart beating.
    _held: [SyncSender<()>; 2],
}

impl Simulation {
    /// Starts the server and the replicas.
    pub(super) async fn new(plan: FleetPlan) -> Self {
        let held = hold_clock();
        let (server, folder) = (StoreServer::start(), tempfile::tempdir().expect("a temporary folder"));
        for (temperature, _) in BUNDLES {
            write_bundle(&folder.path().join(format!("bundle-{temperature}")), temperature);
        }
        let burst = 1000 * (plan.seconds[0] + plan.seconds[1]) - 1500;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let heartbeat = Arc::new(Notify::new());
        let beating = beat(Arc::clone(&heartbeat));
        let mut simulation = Self {
            plan,
            server,
            folder,
            replicas: Vec::new(),
            traffic: FleetTraffic::new(&plan.shares(), burst),
            at: 0,
            now,
            results: mpsc::channel(OPEN),
            open: 0,
            answers: VecDeque::new(),
            sessions: HashMap::new(),
            holders: plan.holders(),
            phase: PhaseOutcome::default(),
            is_away: false,
            unnoticed: 0,
            failed: 0,
            reloads: Vec::new(),
            heartbeat,
            _held: [held, beating],
        };
        simulation.start_replicas().await;
        simulation
    }

    async fn start_replicas(&mut self) {
        let config = self.config(BUNDLES[0], false);
        for number in 0..self.plan.replicas {
            let folder = self.folder.path().join(format!("replica-{number}"));
            self.replicas.push(Arc::new(FleetReplica::start(&folder, &config)));
        }
        self.connected().await;
    }

    /// Waits, in real time, until every replica has its connection to the store.
    async fn connected(&self) {
        let started = Instant::now();
        while self.replicas.iter().any(|replica| replica.misses_store()) {
            assert!(started.elapsed() < Duration::from_mins(1), "the store does not answer");
            self.heartbeat.notified().await;
        }
    }

    /// Plays all phases, prints what came of them, and holds it to what is promised.
    pub(super) async fn run(mut self) {
        println!(
            "{} replicas, {} requests a second, {}",
            self.plan.replicas,
            1000 * self.plan.rate,
            self.server.version()
        );
        let mut outcome = FleetOutcome::new(self.plan, self.server.version());
        for (place, name) in PHASES.iter().enumerate() {
            self.begin(place).await;
            let (before, started) = (self.used(place), Instant::now());
            for step in 0..1000 * self.plan.seconds[place] / self.plan.step {
                self.act(place, step * self.plan.step);
                self.play().await;
            }
            for reload in std::mem::take(&mut self.reloads) {
                reload.await.expect("a reload");
            }
            self.phase.real = started.elapsed();
            self.phase.store = before.zip(self.used(place)).map(|(before, after)| after.since(before));
            let failed = self.replicas.iter().map(|replica| replica.failed_commands()).sum::<u64>();
            (self.phase.failed, self.failed) = (failed - self.failed, failed);
            let phase = std::mem::take(&mut self.phase);
            println!("{}", phase.line());
            outcome.phases.push(phase);
            if *name == STEADY {
                outcome.figures = capacity::sizes(&self.server, &self.replicas);
            }
        }
        outcome.holders = std::mem::take(&mut self.holders);
        outcome.figures.extend(capacity::commands(&outcome.phases[1]));
        println!("{}", outcome.table());
        outcome.check();
        capacity::check(&outcome.figures);
    }

    /// Does what a phase begins with.
    async fn begin(&mut self, place: usize) {
        self.phase = PhaseOutcome::new(PHASES[place], self.plan.seconds[place]);
        match PHASES[place] {
            HELD => {
                self.lose_writes();
                self.server.hold();
                self.holders.iter_mut().for_each(HolderUse::note_rest);
            }
            "store back" => self.server.release(),
            "store lost" => {
                self.lose_writes();
                self.sessions.values_mut().for_each(|own| own.is_excused = true); // the server has forgotten them
                self.server.kill();
                self.server.start_again();
            }
            _ => {}
        }
    }

    /// Does what a phase does at one of its milliseconds.
    fn act(&mut self, place: usize, tick: u64) {
        let [is_reload, is_swap] = ["rolling reload", "rolling weights"].map(|phase| phase == PHASES[place]);
        let (replicas, length) = (self.plan.replicas as u64, 800 * self.plan.seconds[place]);
        if is_reload || is_swap {
            let bundle = BUNDLES[usize::from(is_swap)];
            let is_due = |number: &u64| (tick..tick + self.plan.step).contains(&(number * length / replicas));
            for number in (0..replicas).filter(is_due) {
                let replica = Arc::clone(&self.replicas[usize::try_from(number).unwrap_or_default()]);
                let config = self.config(bundle, true);
                self.reloads.push(tokio::spawn(async move { replica.reload(&config).await }));
            }
        }
        if PHASES[place] != HELD && self.at >= self.unnoticed {
            self.is_away = self.replicas.iter().any(|replica| replica.misses_store());
        }
    }

    /// Excuses the sessions whose last write may be lost with the store that goes away now.
    fn lose_writes(&mut self) {
        (self.is_away, self.unnoticed) = (true, self.at + 1000);
        let since = self.at.saturating_sub(UNWRITTEN);
        self.sessions.values_mut().filter(|own| own.last_at >= since).for_each(|own| own.is_excused = true);
    }

    /// Plays one step.
    async fn play(&mut self) {
        self.at += self.plan.step;
        tokio::time::advance(Duration::from_millis(self.plan.step)).await;
        while self.answers.front().is_some_and(|(end, _)| *end <= self.at) {
            if let Some((_, answer)) = self.answers.pop_front() {
                answer.settle();
            }
        }
        let requests = self.plan.rate * usize::try_from(self.plan.step).unwrap_or_default();
        let waiting = self.open;
        for request in self.traffic.sent(self.at, requests) {
            let replica = Arc::clone(&self.replicas[self.traffic.below(self.plan.replicas)]);
            let (served, now) = (self.results.0.clone(), self.now);
            tokio::spawn(async move { drop(served.send(replica.serve(request, now).await).await) });
            self.open += 1;
        }
        self.collect(waiting).await;
    }

    /// Takes in what was decided, until no more is open than was `waiting` before, which waits for the played time.
    async fn collect(&mut self, waiting: usize) {
        let mut beats = 0;
        while self.open > waiting && beats < self.plan.patience {
            let heartbeat = Arc::clone(&self.heartbeat);
            tokio::select! {
                biased;
                Some(served) = self.results.1.recv() => {
                    self.open -= 1;
                    beats = 0;
                    self.take_in(served);
                }
                () = heartbeat.notified() => beats += 1,
            }
        }
    }

    fn take_in(&mut self, served: ServedRequest) {
        let ServedRequest { request, end, is_strong, pin, cost } = served;
        let second = usize::try_from(self.at / WINDOW).unwrap_or_default();
        self.phase.decided(second, is_strong);
        self.watch(request.session, pin);
        let holder = &mut self.holders[request.client];
        match end {
            ServedEnd::Answered(answer) => {
                holder.admitted(cost);
                self.phase.admitted += 1;
                self.answers.push_back((self.at + ANSWER, answer));
                self.traffic.answered(request, self.at + ANSWER);
            }
            ServedEnd::Exceeded => self.phase.refused += 1,
            ServedEnd::Unavailable => self.phase.unavailable += 1,
        }
    }

    /// Compares the model that a replica holds a session to with the one that the replica before it chose.
    fn watch(&mut self, session: Option<u64>, [held, kept]: [Option<Name>; 2]) {
        let Some(session) = session else { return };
        let (at, is_away) = (self.at, self.is_away);
        let known = self.sessions.entry(session);
        let own = known.or_insert(KnownSession { home: None, last_at: at, is_excused: false });
        own.is_excused |= is_away;
        if own.home.is_some() {
            self.phase.pins.looked_up += 1;
            if own.home != held {
                let differs = if own.is_excused { &mut self.phase.pins.excused } else { &mut self.phase.pins.differ };
                *differs += 1;
            }
        }
        (own.home, own.last_at) = (kept, at);
    }

    /// Returns what the server has done; one that is held says nothing.
    fn used(&self, place: usize) -> Option<ServerUse> {
        (PHASES[place] != HELD).then(|| self.server.used())
    }

    fn config(&self, (temperature, threshold): (u32, f64), is_changed: bool) -> String {
        let folder = self.folder.path().join(format!("bundle-{temperature}"));
        self.plan.config(&self.server.url(), (&folder, threshold), is_changed)
    }
}

/// Keeps the runtime from moving its clock by itself until the value is dropped.
fn hold_clock() -> SyncSender<()> {
    let (held, holds) = sync_channel(1);
    // While a blocking task runs, a clock that stands still is moved by nobody but us.
    #[expect(clippy::disallowed_methods, reason = "only this keeps the clock where it is")]
    tokio::task::spawn_blocking(move || holds.recv().is_ok());
    held
}

/// Notifies once each [`HEARTBEAT`] of real time until the value is dropped.
fn beat(heartbeat: Arc<Notify>) -> SyncSender<()> {
    let (beating, ends) = sync_channel(1);
    thread::spawn(move || {
        while ends.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
            heartbeat.notify_one();
        }
    });
    beating
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.server.release(); // a server that is held would outlive the test
    }
}
