//! Ends runs that stall: a session that never comes back would take its worker with it.
//!
//! ONNX Runtime looks at a flag between two nodes of the graph. A run that is told to end fails, which counts against
//! its input; one that does not look, because it hangs within a node, leaves its worker stuck, and only a reload helps.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use super::state::ServingState;
use crate::scoring::encoder::RunTerminator;

/// A run that was told to end and lasts this many times as long as it may is stuck.
const STUCK: u32 = 5;

/// Looks that are taken in the time that a run may last.
const LOOKS: u32 = 4;

/// The watchdog's view of one worker.
pub(crate) struct WatchedWorker {
    brake: RunTerminator,
    state: Arc<ServingState>,
    run: Mutex<Option<WatchedRun>>,
}

#[derive(Debug, Clone, Copy)]
struct WatchedRun {
    since: Instant,
    was_told: bool,
    is_stuck: bool,
}

/// A run that goes on; dropping it ends it.
pub(crate) struct RunGuard<'w>(&'w WatchedWorker);

impl WatchedWorker {
    pub(crate) fn new(brake: RunTerminator, state: &Arc<ServingState>) -> Self {
        Self { brake, state: Arc::clone(state), run: Mutex::default() }
    }

    /// Records that a run begins.
    pub(crate) fn begin(&self) -> RunGuard<'_> {
        *self.run() = Some(WatchedRun { since: Instant::now(), was_told: false, is_stuck: false });
        RunGuard(self)
    }

    /// Tells a run to end that takes too long. Under the lock, so that it never meets the next one.
    fn look(&self, now: Instant) {
        let mut run = self.run();
        let (Some(run), stall) = (run.as_mut(), self.state.stall) else { return };
        let lasted = now.saturating_duration_since(run.since);
        let classifier = &self.state.name;
        if lasted >= stall && !run.was_told {
            run.was_told = true;
            (self.brake)();
            tracing::warn!(%classifier, after = ?stall, "A run stalled and is ended");
        }
        if lasted >= stall * STUCK && !run.is_stuck {
            run.is_stuck = true;
            self.state.counts.stuck.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%classifier, after = ?lasted, "A run does not end: its worker is stuck, a reload replaces it");
        }
    }

    fn run(&self) -> MutexGuard<'_, Option<WatchedRun>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RunGuard<'_> {
    fn drop(&mut self) {
        if self.0.run().take().is_some_and(|run| run.is_stuck) {
            self.0.state.counts.stuck.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Starts the thread that looks after some workers, until they have ended.
pub(crate) fn spawn(state: &ServingState, mut watched: Vec<Arc<WatchedWorker>>) -> io::Result<()> {
    let pause = (state.stall / LOOKS).max(Duration::from_millis(1));
    let name = format!("dog-{}", state.name);
    let watch = move || {
        while !watched.is_empty() {
            thread::park_timeout(pause);
            watched.retain(|worker| Arc::strong_count(worker) > 1);
            watched.iter().for_each(|worker| worker.look(Instant::now()));
        }
    };
    thread::Builder::new().name(name).spawn(watch).map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::serving::tests::state;

    fn watched() -> (WatchedWorker, Arc<AtomicUsize>) {
        let pulls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&pulls);
        (WatchedWorker::new(Box::new(move || _ = counted.fetch_add(1, Ordering::Relaxed)), &Arc::new(state())), pulls)
    }

    #[test]
    fn a_run_is_told_to_end_once_and_never_before_its_time() {
        let (watched, pulls) = watched();
        let stall = watched.state.stall;
        let after = |run: &RunGuard<'_>, time: Duration| run.0.run().expect("it runs").since + time;

        watched.look(Instant::now() + stall * 2);
        assert_eq!(pulls.load(Ordering::Relaxed), 0, "nothing runs");
        let run = watched.begin();
        watched.look(after(&run, stall - Duration::from_millis(1)));
        assert_eq!(pulls.load(Ordering::Relaxed), 0, "it may take that long");
        watched.look(after(&run, stall));
        watched.look(after(&run, stall * 2));

        assert_eq!(pulls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_run_that_does_not_end_leaves_its_worker_stuck_until_it_does() {
        let (watched, _) = watched();
        let stuck = || watched.state.counts.stuck.load(Ordering::Relaxed);
        let run = watched.begin();
        let late = run.0.run().expect("it runs").since + watched.state.stall * STUCK;

        watched.look(late);
        watched.look(late);
        assert_eq!(stuck(), 1);
        drop(run);

        assert_eq!(stuck(), 0);
    }
}
