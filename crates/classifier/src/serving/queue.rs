//! The bounded queue that the workers of a classifier share.
//!
//! A permit is taken without a lock and without waiting: a caller that gets none is told at once. Only workers lock the
//! receiving end, for as long as they put a batch together; a worker that finds nothing waits there for the next entry,
//! and the others behind it.

use std::collections::VecDeque;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::cache::ScoreCacheKey;
use crate::scoring::scorer::ScorerInput;
use crate::serving::single_flight::{FlightAnswer, SingleFlight};

/// The entries of other lengths that a worker puts aside while it looks for those that fit its batch.
const ASIDE: usize = 256;

/// A prompt that waits for its scores.
#[derive(Debug)]
pub(crate) struct QueueEntry {
    pub(crate) key: ScoreCacheKey,
    pub(crate) input: ScorerInput,
    pub(crate) queued: Instant,
    /// The callers that wait for it.
    pub(crate) flight: Arc<SingleFlight>,
    /// One of the queue's permits; given back when a worker takes the entry out.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

/// The callers' end.
#[derive(Debug)]
pub(crate) struct PromptQueue {
    permits: Arc<Semaphore>,
    entries: mpsc::SyncSender<QueueEntry>,
    capacity: usize,
}

/// The workers' end.
#[derive(Debug)]
pub(crate) struct QueueReceiver {
    entries: mpsc::Receiver<QueueEntry>,
    /// Taken out of the channel, but not by the worker whose batch they fit; the oldest first.
    aside: VecDeque<QueueEntry>,
}

/// Makes a queue in which at most `capacity` entries wait.
pub(crate) fn queue(capacity: usize) -> (PromptQueue, Arc<Mutex<QueueReceiver>>) {
    let capacity = capacity.max(1);
    let (sender, receiver) = mpsc::sync_channel(capacity);
    let queue = PromptQueue { permits: Arc::new(Semaphore::new(capacity)), entries: sender, capacity };
    (queue, Arc::new(Mutex::new(QueueReceiver { entries: receiver, aside: VecDeque::new() })))
}

impl PromptQueue {
    /// Takes a permit to queue one entry, if there is one.
    pub(crate) fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    /// Queues an entry that has a permit; the entry comes back when no worker is left.
    pub(crate) fn send(&self, entry: QueueEntry) -> Result<(), Box<QueueEntry>> {
        // Never full: there are as many slots as permits.
        self.entries.try_send(entry).map_err(|error| match error {
            mpsc::TrySendError::Full(entry) | mpsc::TrySendError::Disconnected(entry) => Box::new(entry),
        })
    }

    /// Returns how many entries wait.
    pub(crate) fn waiting(&self) -> usize {
        self.capacity - self.permits.available_permits()
    }
}

impl QueueReceiver {
    /// Waits for the oldest entry; `None` when no caller can come any more and nothing waits.
    pub(crate) fn first(&mut self) -> Option<QueueEntry> {
        self.aside.pop_front().or_else(|| self.entries.recv().ok()).map(QueueEntry::taken)
    }

    /// Takes the oldest entry that `fits`, waiting at most `patience` for it.
    pub(crate) fn next(&mut self, fits: impl Fn(&QueueEntry) -> bool, patience: Duration) -> Option<QueueEntry> {
        if let Some(index) = self.aside.iter().position(&fits) {
            return self.aside.remove(index).map(QueueEntry::taken);
        }
        let until = std::time::Instant::now() + patience;
        while self.aside.len() < ASIDE {
            let entry = self.entries.try_recv().or_else(|_| {
                let left = until.saturating_duration_since(std::time::Instant::now());
                if left.is_zero() { Err(RecvTimeoutError::Timeout) } else { self.entries.recv_timeout(left) }
            });
            match entry {
                Ok(entry) if fits(&entry) => return Some(entry.taken()),
                Ok(entry) => self.aside.push_back(entry),
                Err(_nothing_in_time) => return None,
            }
        }
        None
    }
}

impl QueueEntry {
    /// Answers everybody who waits for it.
    pub(crate) fn answer(&self, answer: &FlightAnswer) {
        self.flight.answer(answer);
    }

    fn taken(mut self) -> Self {
        self.permit = None;
        self
    }
}
