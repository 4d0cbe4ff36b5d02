//! Single flight: one run for an input, and everybody who waits for it.
//!
//! Whoever asks first starts it; who asks for the same while it is under way joins. It belongs to nobody: a caller that
//! leaves takes only itself out, and the run is wanted for as long as one of them waits in time.

use std::sync::{Arc, Mutex, PoisonError};

use pointsman_core::scores::{ClassifierFailure, Scores};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The answer that every caller gets.
pub(crate) type FlightAnswer = Result<Arc<Scores>, ClassifierFailure>;

/// The receiver that a caller waits on; an error means that the worker ended without an answer.
pub(crate) type FlightReceiver = oneshot::Receiver<FlightAnswer>;

/// A run under way. Its callers are told that the worker is gone when the last handle is dropped unanswered.
#[derive(Debug)]
pub(crate) struct SingleFlight(Mutex<FlightCallers>);

#[derive(Debug)]
struct FlightCallers {
    callers: Vec<FlightCaller>,
    closed: bool,
}

#[derive(Debug)]
struct FlightCaller {
    deadline: Instant,
    reply: oneshot::Sender<FlightAnswer>,
}

impl SingleFlight {
    /// Starts with one caller.
    pub(crate) fn new(deadline: Instant) -> (Arc<Self>, FlightReceiver) {
        let (reply, waiting) = oneshot::channel();
        let seats = FlightCallers { callers: vec![FlightCaller { deadline, reply }], closed: false };
        (Arc::new(Self(Mutex::new(seats))), waiting)
    }

    /// Adds a caller; `None` when it is too late for that.
    pub(crate) fn join(&self, deadline: Instant) -> Option<FlightReceiver> {
        let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seats.closed {
            return None;
        }
        let (reply, waiting) = oneshot::channel();
        seats.callers.push(FlightCaller { deadline, reply });
        Some(waiting)
    }

    /// Returns the first deadline of those who still wait; without any, nobody can join any more.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let live = |caller: &&FlightCaller| caller.deadline > now && !caller.reply.is_closed();
        let first = seats.callers.iter().filter(live).map(|caller| caller.deadline).min();
        seats.closed |= first.is_none();
        first
    }

    /// Tells everybody and lets nobody join any more.
    pub(crate) fn answer(&self, answer: &FlightAnswer) {
        let callers = {
            let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            seats.closed = true;
            std::mem::take(&mut seats.callers)
        };
        for caller in callers {
            // An error means that the caller has left.
            caller.reply.send(answer.clone()).ok();
        }
    }
}
