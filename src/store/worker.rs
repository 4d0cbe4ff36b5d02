//! The thread that speaks to the store: connects, pipelines commands, gives up on a server that fails or hangs, tries
//! anew.

use std::io;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until};

use super::cluster;
use super::command::{StoreCall, StoreCommand};
use super::connection::{QueryFailure, QueryTerms, StoreConnection};
use super::health::StoreHealth;
use super::masters::MasterFinder;
use super::servers::StoreServers;

/// Between two attempts to connect: at first, and at most. A connection that held for the longest of them is followed by
/// the first again.
pub(super) const PAUSE: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// Starts the thread. It ends when no caller is left.
pub(super) fn start(
    servers: StoreServers,
    queue: mpsc::Receiver<StoreCommand>,
    health: Arc<StoreHealth>,
    patience: Duration,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = move || LocalSet::new().block_on(&runtime, run(servers, queue, health, patience));
    std::thread::Builder::new().name("store".into()).spawn(run).map(drop)
}

async fn run(
    servers: StoreServers,
    mut queue: mpsc::Receiver<StoreCommand>,
    health: Arc<StoreHealth>,
    patience: Duration,
) {
    // A process that only checks a configuration connects to nothing.
    if queue.recv().await.is_none() {
        return;
    }
    match servers {
        StoreServers::Addresses(servers) => {
            one_master(MasterFinder::Addresses(servers), queue, health, patience).await;
        }
        StoreServers::Sentinels(group) => {
            one_master(MasterFinder::Sentinels(Box::new(group.into())), queue, health, patience).await;
        }
        StoreServers::Cluster(seeds) => cluster::serve(seeds, queue, health, patience).await,
    }
}

/// Speaks to one server at a time, until no caller is left.
async fn one_master(
    mut finder: MasterFinder,
    mut queue: mpsc::Receiver<StoreCommand>,
    health: Arc<StoreHealth>,
    patience: Duration,
) {
    let mut pause = PAUSE[0];
    loop {
        match finder.connect(patience).await {
            Ok((link, place)) => {
                let connected = Instant::now();
                health.up();
                let why = tokio::select! {
                    why = link.until_broken() => why,
                    why = finder.until_elsewhere(&place, patience) => why.to_owned(),
                    () = serve(&link, &mut queue, &health, patience) => return,
                };
                health.down(&why);
                if connected.elapsed() >= PAUSE[1] {
                    pause = PAUSE[0];
                }
            }
            Err(why) => health.down(&why),
        }
        if refuse_until(Instant::now() + pause, &mut queue).await.is_break() {
            return;
        }
        pause = (pause * 2).min(PAUSE[1]);
    }
}

/// Does what callers ask for until no caller is left.
async fn serve(
    link: &Rc<StoreConnection>,
    queue: &mut mpsc::Receiver<StoreCommand>,
    health: &Arc<StoreHealth>,
    patience: Duration,
) {
    // Each on its own, so that they share round trips; the queue and their time bound how many there are.
    while let Some(command) = queue.recv().await {
        spawn_local(execute(command, Rc::clone(link), Arc::clone(health), patience));
    }
}

async fn execute(command: StoreCommand, link: Rc<StoreConnection>, health: Arc<StoreHealth>, patience: Duration) {
    let call = command.into_call(patience);
    let answer = match link.query(&call.words, &QueryTerms::within(call.patience)).await {
        Ok(answer) => {
            note(&call, Ok(()), &health);
            Some(answer)
        }
        Err(QueryFailure::Refused(why)) => {
            note(&call, Err(&why), &health);
            None
        }
        Err(_) => None,
    };
    if let Err(error) = call.end(answer, &health) {
        link.fail(&error.to_string());
    }
}

fn note(call: &StoreCall, answer: Result<(), &str>, health: &StoreHealth) {
    if let Some(operation) = call.operation() {
        health.answered(&"", operation, answer);
    }
}

/// Drops what callers ask for meanwhile, which tells them; breaks when no caller is left.
async fn refuse_until(end: Instant, queue: &mut mpsc::Receiver<StoreCommand>) -> ControlFlow<()> {
    loop {
        tokio::select! {
            () = sleep_until(end) => return ControlFlow::Continue(()),
            command = queue.recv() => if command.is_none() { return ControlFlow::Break(()) },
        }
    }
}
