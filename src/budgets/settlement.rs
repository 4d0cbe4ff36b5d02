//! The corrections that the store has yet to be told: within a moment while it answers, and all of them once it does again.
//!
//! A counter waits at most once, whatever is added to it meanwhile, so there are never more in the queue than counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pointsman_core::config::BudgetSpan;
use tokio::sync::{Mutex, Notify, mpsc};

use super::amounts::{BudgetAmounts, BudgetBounds};
use super::counter::PeriodCounter;
use super::store_counter::StoredAddition;
use crate::store::{SharedStore, StoreUnavailable};

/// Counters that may wait; those beyond wait for their next change.
const QUEUE: usize = 1 << 16;

/// Counters that the store is told of at a time.
const MOST: usize = 64;

/// The time in which corrections gather, so that many requests of a client cost the store one question.
const GATHER: Duration = Duration::from_millis(5);

/// The pause before a store that did not answer is told again.
const PAUSE: Duration = Duration::from_millis(250);

/// The queue of counters that the store has to be told of.
pub(super) struct SettlementQueue {
    sender: mpsc::Sender<Arc<PeriodCounter>>,
    /// Taken by whoever tells the store; no request waits for it.
    receiver: Mutex<mpsc::Receiver<Arc<PeriodCounter>>>,
    waiting: AtomicUsize,
    drained: Notify,
}

impl Default for SettlementQueue {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        Self { sender, receiver: Mutex::new(receiver), waiting: AtomicUsize::new(0), drained: Notify::new() }
    }
}

impl SettlementQueue {
    /// Has the store told what a counter has noted.
    pub(super) fn push(&self, counter: &Arc<PeriodCounter>) {
        if counter.is_queued.swap(true, Ordering::AcqRel) {
            return;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if self.sender.try_send(Arc::clone(counter)).is_err() {
            counter.is_queued.store(false, Ordering::Release);
            self.ended(1);
        }
    }

    /// Tells the store that `store` returns, for as long as the future is polled. Without a store nothing waits.
    pub(super) async fn run(&self, store: impl Fn() -> Option<SharedStore>) {
        let mut receiver = self.receiver.lock().await;
        let mut turn = Vec::with_capacity(MOST);
        while let Some(first) = receiver.recv().await {
            tokio::time::sleep(GATHER).await;
            turn.push(first);
            while turn.len() < MOST
                && let Ok(next) = receiver.try_recv()
            {
                turn.push(next);
            }
            let told = match store() {
                Some(store) => tell(&store, &turn).await,
                None => Ok(()), // the configuration has none any more
            };
            let count = turn.len();
            if told.is_err() {
                turn.drain(..).for_each(|counter| self.push(&counter));
            }
            turn.clear();
            self.ended(count);
            if told.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Waits until nothing is left to be told.
    pub(super) async fn drained(&self) {
        loop {
            let drained = self.drained.notified();
            if self.waiting.load(Ordering::Relaxed) == 0 {
                return;
            }
            drained.await;
        }
    }

    fn ended(&self, count: usize) {
        if self.waiting.fetch_sub(count, Ordering::Relaxed) == count {
            self.drained.notify_waiters();
        }
    }
}

/// Tells the store what the counters have noted, in one question.
///
/// # Errors
/// When it does not answer; then the counters have noted it again.
async fn tell(store: &SharedStore, counters: &[Arc<PeriodCounter>]) -> Result<(), StoreUnavailable> {
    // What is noted from here on brings the counter into the queue again.
    counters.iter().for_each(|counter| counter.is_queued.store(false, Ordering::Release));
    let untold: Vec<(&Arc<PeriodCounter>, BudgetAmounts)> =
        counters.iter().map(|counter| (counter, counter.take_untold())).collect();
    let addition = |(counter, amounts): &(&Arc<PeriodCounter>, BudgetAmounts)| {
        let (key, span): (_, BudgetSpan) = (counter.key.clone(), counter.span);
        StoredAddition { key, amounts: *amounts, bounds: BudgetBounds::default(), span }
    };
    match StoredAddition::add_all(store, untold.iter().map(addition)).await {
        Ok(answer) => {
            untold.iter().zip(answer.used).for_each(|((counter, _), used)| counter.heard(used));
            Ok(())
        }
        Err(error) => {
            untold.iter().for_each(|(counter, amounts)| counter.note(*amounts));
            Err(error)
        }
    }
}
