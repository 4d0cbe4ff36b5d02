//! The queue and the one thread behind it that owns tokenizer, session and heads.
//!
//! ONNX Runtime's `run` takes its session mutably, so a session has one owner and no lock. The queue is bounded; whoever
//! finds it full is told at once. Entries that nobody waits for any more are skipped. What waits already is encoded
//! together, as far as the oldest entry's deadline allows; nothing ever waits for a batch to fill.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::encoder::{Encoder, InferenceError};
use super::scorer::{Input, MAX_BATCH, Scorer};
use crate::config::Name;
use crate::scores::{Degraded, Scores};
use crate::telemetry::ClassifierMetrics;

/// A prompt that waits for its scores.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) input: Input,
    pub(crate) queued: Instant,
    pub(crate) deadline: Instant,
    pub(crate) reply: oneshot::Sender<Result<Scores, Degraded>>,
}

/// How many entries may wait, and where their waiting is counted.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) capacity: usize,
    pub(crate) metrics: ClassifierMetrics,
}

/// What a worker has been through, counted since its start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Prompts that were skipped: their caller had left, or their deadline had passed.
    pub(crate) skipped: AtomicU64,
    /// Runs that failed, panics included.
    pub(crate) failures: AtomicU64,
    /// Runs that panicked.
    pub(crate) panics: AtomicU64,
}

/// Owns a session; lives on its own thread until the last handle is gone and the queue is empty.
pub(crate) struct Worker<E> {
    name: Name,
    scorer: Scorer<E>,
    queue: mpsc::Receiver<Entry>,
    counts: Arc<Counts>,
    metrics: ClassifierMetrics,
    pace: Pace,
    failing: bool,
}

/// How long one prompt took lately.
#[derive(Debug, Default)]
struct Pace(Option<Duration>);

impl<E: Encoder> Worker<E> {
    /// Makes a worker and the queue that feeds it.
    pub(crate) fn new(name: &Name, scorer: Scorer<E>, queue: Queue) -> (mpsc::Sender<Entry>, Self) {
        let Queue { capacity, metrics } = queue;
        let (entries, queue) = mpsc::channel(capacity.max(1));
        let (counts, pace) = (Arc::default(), Pace::default());
        (entries, Self { name: name.clone(), scorer, queue, counts, metrics, pace, failing: false })
    }

    /// Returns the counters, which outlive the worker.
    pub(crate) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Starts the thread.
    pub(crate) fn spawn(self) -> io::Result<()> {
        // Linux shows 15 characters of a thread's name.
        thread::Builder::new().name(format!("cls-{}", self.name)).spawn(|| self.run()).map(drop)
    }

    fn run(mut self) {
        tracing::debug!(classifier = %self.name, "Worker started");
        while let Some(first) = self.queue.blocking_recv() {
            let batch = self.gather(first);
            self.settle(batch);
        }
        tracing::debug!(classifier = %self.name, "Worker ended");
    }

    /// Takes what waits already, up to what can be done before the oldest deadline.
    fn gather(&mut self, first: Entry) -> Vec<Entry> {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let mut next = Some(first);
        while let Some(entry) = next {
            self.metrics.dequeued(entry.queued.elapsed());
            batch.extend(self.wanted(entry));
            let limit = batch.first().map_or(1, |oldest| self.limit(oldest.deadline));
            next = if batch.len() < limit { self.queue.try_recv().ok() } else { None };
        }
        batch
    }

    fn limit(&self, deadline: Instant) -> usize {
        self.pace.rows_until(deadline).clamp(1, self.scorer.max_batch())
    }

    /// Returns the entry unless its caller has left or its deadline has passed.
    fn wanted(&self, entry: Entry) -> Option<Entry> {
        let late = entry.deadline <= Instant::now();
        if !late && !entry.reply.is_closed() {
            return Some(entry);
        }
        self.counts.skipped.fetch_add(1, Ordering::Relaxed);
        entry.answer(Err(Degraded::Deadline));
        None
    }

    fn settle(&mut self, batch: Vec<Entry>) {
        if batch.is_empty() {
            return;
        }
        match self.score(&batch) {
            Ok(scores) => {
                self.recovered();
                batch.into_iter().zip(scores).for_each(|(entry, scores)| entry.answer(Ok(scores)));
            }
            Err(error) => {
                self.failed(&error);
                self.settle_apart(batch);
            }
        }
    }

    /// Runs each entry of a failed batch alone, so that one bad prompt does not cost its neighbours their scores.
    fn settle_apart(&mut self, mut batch: Vec<Entry>) {
        if batch.len() == 1 {
            batch.drain(..).for_each(|entry| entry.answer(Err(Degraded::Inference)));
        }
        for entry in batch {
            let alone = self.wanted(entry).into_iter().collect();
            self.settle(alone);
        }
    }

    /// Scores a batch; a panic becomes an error and leaves the thread alive.
    fn score(&mut self, batch: &[Entry]) -> Result<Vec<Scores>, InferenceError> {
        let inputs: Vec<&Input> = batch.iter().map(|entry| &entry.input).collect();
        let started = Instant::now();
        let scores = panic::catch_unwind(AssertUnwindSafe(|| self.scorer.score(&inputs))).unwrap_or_else(|_| {
            self.counts.panics.fetch_add(1, Ordering::Relaxed);
            Err(InferenceError::Panicked)
        })?;
        let took = started.elapsed();
        self.pace.learn(took, batch.len());
        self.metrics.ran(batch.len(), took);
        for scores in &scores {
            self.metrics.truncated(scores.truncated_tokens);
        }
        Ok(scores)
    }

    /// Logs the first failure of a row only; the counter has them all.
    fn failed(&mut self, error: &InferenceError) {
        self.counts.failures.fetch_add(1, Ordering::Relaxed);
        if !std::mem::replace(&mut self.failing, true) {
            let cause = std::error::Error::source(error).map(tracing::field::display);
            tracing::warn!(classifier = %self.name, %error, cause, "Inference failed");
        }
    }

    fn recovered(&mut self) {
        if std::mem::replace(&mut self.failing, false) {
            tracing::info!(classifier = %self.name, "Inference works again");
        }
    }
}

impl Entry {
    fn answer(self, scores: Result<Scores, Degraded>) {
        // An error means that the caller has left.
        self.reply.send(scores).ok();
    }
}

impl Pace {
    /// Returns how many prompts can be encoded before `deadline`; one while nothing is known.
    fn rows_until(&self, deadline: Instant) -> usize {
        let left = deadline.saturating_duration_since(Instant::now());
        let rows = self.0.map_or(1, |row| left.as_nanos() / row.as_nanos().max(1));
        usize::try_from(rows).unwrap_or(usize::MAX)
    }

    fn learn(&mut self, run: Duration, rows: usize) {
        let row = run / u32::try_from(rows.max(1)).unwrap_or(u32::MAX);
        self.0 = Some(self.0.map_or(row, |known| (known * 7 + row) / 8));
    }
}

#[cfg(test)]
mod tests;
