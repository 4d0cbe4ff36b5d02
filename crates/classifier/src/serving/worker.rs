//! The threads behind the queue: each owns a tokenizer, a session and heads.
//!
//! ONNX Runtime's `run` takes its session mutably, so a session has one owner and no lock. Entries that nobody waits
//! for any more are skipped. What waits already and is about as long is encoded together, as far as the oldest entry's
//! deadline allows. Where a bundle has a shortest window, long texts are read as far as the deadline allows. On an idle
//! queue nothing waits for a batch to fill; a prompt that had to wait for a busy worker anyway waits until it is
//! `max_wait` old.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

use pointsman_core::scores::{ClassifierFailure, Scores};
use tokio::time::Instant;

use super::cache::ScoreCacheKey;
use super::queue::{QueueEntry, QueueReceiver};
use super::state::ServingState;
use super::watchdog::WatchedWorker;
use crate::scoring::encoder::Encoder;
use crate::scoring::error::InferenceError;
use crate::scoring::scorer::{LENGTHS, Scorer, ScorerInput, length, runs_of, tokens_of};

/// The growth of a run's time with twice the tokens, where no such run was measured: attention grows faster than the
/// text.
const LONGER: f64 = 2.4;

/// Owns a session; lives on its own thread until the last handle is gone and the queue is empty.
pub(crate) struct Worker<E> {
    scorer: Scorer<E>,
    intake: Arc<Mutex<QueueReceiver>>,
    state: Arc<ServingState>,
    watched: Arc<WatchedWorker>,
    /// By length as it is estimated of prompts that wait, since long prompts take longer.
    paces: [RowPace; LENGTHS],
    /// By the length that prompts turned out to have.
    times: [RowPace; LENGTHS],
    /// The instant at which the last run ended.
    free_since: Instant,
    /// The inputs of the last run, if it failed.
    failed: Vec<ScoreCacheKey>,
}

/// The time that one prompt took lately, as a moving average.
#[derive(Debug, Default)]
struct RowPace(Option<Duration>);

/// Counts a thread for as long as it runs, however it ends.
struct WorkerGuard(Arc<ServingState>);

impl<E: Encoder> Worker<E> {
    /// Puts a session behind a queue.
    pub(crate) fn new(scorer: Scorer<E>, intake: &Arc<Mutex<QueueReceiver>>, state: &Arc<ServingState>) -> Self {
        let (intake, state) = (Arc::clone(intake), Arc::clone(state));
        let watched = Arc::new(WatchedWorker::new(scorer.brake(), &state));
        Self {
            scorer,
            intake,
            state,
            watched,
            paces: Default::default(),
            times: Default::default(),
            free_since: Instant::now(),
            failed: Vec::new(),
        }
    }

    /// Returns what a watchdog has to know.
    pub(crate) fn watched(&self) -> Arc<WatchedWorker> {
        Arc::clone(&self.watched)
    }

    /// Starts the thread.
    pub(crate) fn spawn(self) -> io::Result<()> {
        // Linux shows 15 characters of a thread's name.
        let name = format!("cls-{}", self.state.name);
        let alive = WorkerGuard::new(&self.state);
        thread::Builder::new().name(name).spawn(|| self.run(alive)).map(drop)
    }

    fn run(mut self, _alive: WorkerGuard) {
        tracing::debug!(classifier = %self.state.name, "Worker started");
        while let Some(batch) = self.next_batch() {
            self.answer(batch);
            self.free_since = Instant::now();
        }
        tracing::debug!(classifier = %self.state.name, "Worker ended");
    }

    /// Takes the oldest entry and what can be done together with it; `None` at the end.
    fn next_batch(&mut self) -> Option<Vec<QueueEntry>> {
        let intake = Arc::clone(&self.intake);
        let mut intake = intake.lock().unwrap_or_else(PoisonError::into_inner);
        let first = intake.first()?;
        let Some(deadline) = self.wanted(&first) else { return Some(Vec::new()) };
        let (length, oldest) = (first.input.length, first.queued);
        let limit = if self.state.quarantine.is_suspect(first.key) { 1 } else { self.limit(length, deadline) };
        let (state, was_busy) = (Arc::clone(&self.state), oldest < self.free_since);
        let fits = |entry: &QueueEntry| entry.input.length == length && !state.quarantine.is_suspect(entry.key);
        let mut batch = vec![first];
        while batch.len() < limit {
            let patience = if was_busy { state.batch.max_wait.0 } else { Duration::ZERO };
            let Some(entry) = intake.next(fits, patience.saturating_sub(oldest.elapsed())) else { break };
            if self.wanted(&entry).is_some() {
                batch.push(entry);
            }
        }
        Some(batch)
    }

    /// Returns how many prompts can be encoded before `deadline`.
    fn limit(&self, length: usize, deadline: Instant) -> usize {
        self.paces[length].rows_until(deadline).clamp(1, self.scorer.batch_of(length))
    }

    /// Returns how many tokens of each text can be read before the first deadline of a batch: the budget, unless a run
    /// of that length would come too late, and never less than the shortest window.
    fn window(&self, batch: &[QueueEntry]) -> usize {
        let budget = self.scorer.budget();
        let (least, most) = (budget.least_tokens(), budget.max_tokens());
        if least == most {
            return most;
        }
        let now = Instant::now();
        let deadline = batch.iter().filter_map(|entry| entry.flight.deadline(now)).min();
        let left = deadline.map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(now));
        let rows = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        let lengths = (length(least)..=length(most)).rev();
        let fits = |length: &usize| self.time(*length).is_none_or(|time| time.saturating_mul(rows) <= left);
        lengths.into_iter().find(fits).map_or(least, |length| tokens_of(length).clamp(least, most))
    }

    /// Returns the time that one prompt of a length takes: as lately, as tried out, or from the next shorter length,
    /// where twice the tokens take [`LONGER`] times as long.
    fn time(&self, length: usize) -> Option<Duration> {
        self.times[length].0.or_else(|| self.scorer.trial(length)).or_else(|| {
            let shorter = self.time(length.checked_sub(1)?)?;
            Some(shorter.mul_f64(LONGER))
        })
    }

    /// Returns the deadline of an entry that was taken out, unless its callers have left or are late.
    fn wanted(&self, entry: &QueueEntry) -> Option<Instant> {
        self.state.metrics.dequeued(entry.queued.elapsed());
        self.still_wanted(entry)
    }

    fn still_wanted(&self, entry: &QueueEntry) -> Option<Instant> {
        let deadline = entry.flight.deadline(Instant::now());
        if deadline.is_none() {
            self.state.counts.skipped.fetch_add(1, Ordering::Relaxed);
            self.give_up(entry, ClassifierFailure::Deadline);
        }
        deadline
    }

    fn answer(&mut self, batch: Vec<QueueEntry>) {
        if batch.is_empty() {
            return;
        }
        let window = self.window(&batch);
        match self.score(&batch, window) {
            Ok(scores) => {
                for (entry, scores) in batch.iter().zip(scores) {
                    // Who has more time gets more of the text read.
                    let is_narrowed = scores.truncated_tokens > 0 && window < self.scorer.budget().max_tokens();
                    let scores = Arc::new(scores);
                    if is_narrowed {
                        self.state.cache.forget(entry.key, &entry.flight);
                    } else {
                        self.state.cache.insert(entry.key, &scores);
                    }
                    entry.answer(&Ok(scores));
                }
            }
            Err(error) => {
                self.failed(&error, &batch);
                self.answer_apart(batch);
            }
        }
    }

    /// Runs each entry of a failed batch alone, so that one bad prompt does not cost its neighbours their scores.
    fn answer_apart(&mut self, mut batch: Vec<QueueEntry>) {
        if batch.len() == 1 {
            batch.drain(..).for_each(|entry| self.give_up(&entry, ClassifierFailure::Inference));
        }
        for entry in batch {
            if self.still_wanted(&entry).is_some() {
                self.answer(vec![entry]);
            }
        }
    }

    fn give_up(&self, entry: &QueueEntry, reason: ClassifierFailure) {
        self.state.cache.forget(entry.key, &entry.flight);
        entry.answer(&Err(reason));
    }

    /// Scores a batch; a panic becomes an error and leaves the thread alive.
    fn score(&mut self, batch: &[QueueEntry], window: usize) -> Result<Vec<Scores>, InferenceError> {
        let inputs: Vec<&ScorerInput> = batch.iter().map(|entry| &entry.input).collect();
        let watched = Arc::clone(&self.watched);
        let run = watched.begin();
        let started = Instant::now();
        let scores = panic::catch_unwind(AssertUnwindSafe(|| self.scorer.score_within(&inputs, window)))
            .unwrap_or_else(|_| {
                self.state.counts.panics.fetch_add(1, Ordering::Relaxed);
                Err(InferenceError::Panicked)
            })?;
        drop(run);
        let took = started.elapsed();
        let length_class = batch[0].input.length;
        self.state.batch_lane.learn(length_class, self.paces[length_class].learn(took, batch.len()));
        let longest = scores.iter().map(|scores| scores.tokens).max().unwrap_or_default();
        self.times[length(usize::try_from(longest).unwrap_or(usize::MAX))].learn(took, batch.len());
        self.succeeded(batch, took);
        self.state.metrics.padded(padding(&scores, self.scorer.budget().least_tokens()));
        for scores in &scores {
            self.state.metrics.truncated(scores.truncated_tokens);
        }
        Ok(scores)
    }

    fn succeeded(&mut self, batch: &[QueueEntry], took: Duration) {
        self.state.metrics.ran(batch.len(), took);
        for entry in batch {
            if took >= self.state.stall {
                self.state.quarantine.record_failure(entry.key);
            } else {
                self.state.quarantine.clear(entry.key);
            }
        }
        self.failed.clear();
        if self.state.counts.failing.swap(false, Ordering::Relaxed) {
            tracing::info!(classifier = %self.state.name, "Inference works again");
        }
    }

    /// Counts a failure and blames the inputs for it, unless the session fails whatever it is given. Logs the first
    /// failure of a row only; the counter has them all.
    fn failed(&mut self, error: &InferenceError, batch: &[QueueEntry]) {
        self.state.counts.failures.fetch_add(1, Ordering::Relaxed);
        for entry in batch {
            if self.failed.is_empty() || self.failed.contains(&entry.key) {
                self.state.quarantine.record_failure(entry.key);
            }
        }
        self.failed = batch.iter().map(|entry| entry.key).collect();
        if !self.state.counts.failing.swap(true, Ordering::Relaxed) {
            let cause = std::error::Error::source(error).map(tracing::field::display);
            tracing::warn!(classifier = %self.state.name, %error, cause, "Inference failed");
        }
    }
}

impl RowPace {
    /// Returns how many prompts can be encoded before `deadline`; one while nothing is known.
    fn rows_until(&self, deadline: Instant) -> usize {
        let left = deadline.saturating_duration_since(Instant::now());
        let rows = self.0.map_or(1, |row| left.as_nanos() / row.as_nanos().max(1));
        usize::try_from(rows).unwrap_or(usize::MAX)
    }

    /// Learns from a run of so many prompts, and returns the time of one.
    fn learn(&mut self, run: Duration, rows: usize) -> Duration {
        let row = run / u32::try_from(rows.max(1)).unwrap_or(u32::MAX);
        *self.0.insert(self.0.map_or(row, |known| (known * 7 + row) / 8))
    }
}

impl WorkerGuard {
    fn new(state: &Arc<ServingState>) -> Self {
        state.counts.workers.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(state))
    }
}

impl Drop for WorkerGuard {
    fn drop(&mut self) {
        self.0.counts.workers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns the share of a batch's tokens that fill shorter prompts up to the longest of their run.
fn padding(batch: &[Scores], least: usize) -> f64 {
    if batch.len() == 1 {
        return 0.0;
    }
    let tokens: Vec<usize> = batch.iter().map(|scores| usize::try_from(scores.tokens).unwrap_or_default()).collect();
    let used: usize = tokens.iter().sum();
    let width = |run: &Vec<usize>| run.len() * run.iter().map(|row| tokens[*row]).max().unwrap_or_default();
    let all: usize = runs_of(&tokens, least).iter().map(width).sum();
    #[expect(clippy::cast_precision_loss, reason = "a ratio needs no more than 52 bits")]
    if all == 0 { 0.0 } else { (all - used) as f64 / all as f64 }
}

#[cfg(test)]
mod tests;
