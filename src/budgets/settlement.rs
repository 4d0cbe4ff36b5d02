//! The exchange with the store in turns: what was spent, leads that are renewed, leads that are given back.
//!
//! A counter waits at most once, whatever happens to it meanwhile, so there are never more in the queue than counters.
//! It stays in the queue for as long as it holds anything, or the store has something to hear of it.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify, mpsc};
use tokio::time::Instant;

use super::counter::PeriodCounter;
use super::lease::LeaseReport;
use super::store_counter::{ExchangeAnswer, ExchangePurpose, exchange};
use crate::store::{SharedStore, StoreUnavailable};

/// Counters that may wait; those beyond wait for their next change.
const QUEUE: usize = 1 << 16;

/// Counters that the store is told of at a time.
const MOST: usize = 64;

/// The time between two turns, so that many requests of a client cost the store one question.
pub(super) const TURN: Duration = Duration::from_millis(50);

/// The pause before a store that did not answer is told again.
const PAUSE: Duration = Duration::from_millis(250);

/// The queue of counters that have something to exchange with the store.
pub(super) struct SettlementQueue {
    /// The number that tells this process from others in the store.
    pub(super) process: i64,
    sender: mpsc::Sender<Arc<PeriodCounter>>,
    /// Taken by whoever tells the store; no request waits for it.
    receiver: Mutex<mpsc::Receiver<Arc<PeriodCounter>>>,
    waiting: AtomicUsize,
    drained: Notify,
    /// True once the process ends: then nothing is held any more.
    ends: AtomicBool,
    ending: Notify,
}

impl Default for SettlementQueue {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        // The keys of the standard library's hashes are the system's random numbers.
        let process = i64::try_from(RandomState::new().hash_one(0_u8) >> 1).unwrap_or(i64::MAX);
        let (waiting, drained, ends, ending) = Default::default();
        Self { process, sender, receiver: Mutex::new(receiver), waiting, drained, ends, ending }
    }
}

impl SettlementQueue {
    /// Gives a counter its part in the next turn.
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

    /// Exchanges with the store that `store` returns, for as long as the future is polled. Without a store nothing waits.
    pub(super) async fn run(&self, store: impl Fn() -> Option<SharedStore>) {
        let mut receiver = self.receiver.lock().await;
        let mut turn = Vec::new();
        while let Some(first) = receiver.recv().await {
            turn.push(first);
            self.rest().await;
            while let Ok(next) = receiver.try_recv() {
                turn.push(next);
            }
            let count = turn.len();
            let told = match store() {
                Some(store) => self.tell(&store, &turn).await,
                None => {
                    turn.iter().for_each(|counter| counter.is_queued.store(false, Ordering::Release));
                    Ok(()) // the configuration has none any more
                }
            };
            turn.clear();
            self.ended(count);
            if told.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Gives everything back, and waits until nothing is left to be told.
    pub(super) async fn drained(&self) {
        self.ends.store(true, Ordering::Release);
        self.ending.notify_one();
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

    /// Waits for the next turn; not at all once the process ends.
    async fn rest(&self) {
        if !self.ends.load(Ordering::Acquire) {
            let _ = tokio::time::timeout(TURN, self.ending.notified()).await;
        }
    }

    /// Tells the store of all these counters, a few at a time; those that have more to tell get their next turn.
    ///
    /// # Errors
    /// When it does not answer; then all get another turn that have something to tell.
    async fn tell(&self, store: &SharedStore, counters: &[Arc<PeriodCounter>]) -> Result<(), StoreUnavailable> {
        let mut told = Ok(());
        for some in counters.chunks(MOST) {
            // What happens from here on brings the counter into the queue again.
            some.iter().for_each(|counter| counter.is_queued.store(false, Ordering::Release));
            if told.is_ok() {
                told = self.tell_some(store, some).await;
            }
            let unsettled = some.iter().filter(|counter| !counter.account().is_settled());
            unsettled.for_each(|counter| self.push(counter));
        }
        told
    }

    async fn tell_some(&self, store: &SharedStore, counters: &[Arc<PeriodCounter>]) -> Result<(), StoreUnavailable> {
        self.report(store, counters.to_vec()).await?;
        // Near the bound what is held is wanted at once.
        let recalled = counters.iter().filter(|counter| counter.account().is_recalled()).cloned().collect();
        self.report(store, recalled).await
    }

    async fn report(&self, store: &SharedStore, counters: Vec<Arc<PeriodCounter>>) -> Result<(), StoreUnavailable> {
        if counters.is_empty() {
            return Ok(());
        }
        let (now, ends) = (Instant::now(), self.ends.load(Ordering::Acquire));
        let report = |counter: Arc<PeriodCounter>| {
            let report = counter.account().turn(now, ends);
            (counter, report)
        };
        let reports: Vec<(Arc<PeriodCounter>, LeaseReport)> = counters.into_iter().map(report).collect();
        let ExchangeAnswer { accounts, .. } = exchange(store, self.process, ExchangePurpose::Report, &reports).await?;
        for ((counter, report), answer) in reports.iter().zip(&accounts) {
            counter.account().hear(report, answer);
        }
        Ok(())
    }
}
