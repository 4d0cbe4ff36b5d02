//! A run under way: which answers are still to be had, and what becomes of each.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use futures::{StreamExt, stream};
use tokio::sync::{Notify, Semaphore};

use super::task::{AnswerKey, CollectTask};
use super::{
    AnswerSource, CollectCounts, CollectEnd, CollectError, CollectProgress, CollectRun, CollectStop, FailedRows,
    MOST_FAILURES, SourcedAnswer, order,
};
use crate::answers::{AnswerFile, AnswerRow};
use crate::dataset::prompts::PromptRows;
use crate::judge::JudgeBudget;

/// Answers that may wait for an earlier one, by the number of requests at a time: a slow answer holds up the order, not
/// the work.
const WINDOW: usize = 4;

/// The place before the first answer of a run.
const BEFORE_ALL: u64 = 0;

/// A run under way. One task drives it, so that nothing is borrowed while it waits.
pub(super) struct CollectState<'r, S> {
    run: &'r CollectRun,
    source: &'r S,
    stop: &'r CollectStop,
    out: RefCell<AnswerFile>,
    budget: JudgeBudget,
    /// Tells requests that wait for money of each payment.
    paid: Notify,
    places: Semaphore,
    ledger: RefCell<CollectLedger>,
}

/// The state of the answers of a run.
#[derive(Default)]
struct CollectLedger {
    /// Answers that stand in the file; true for those that failed.
    known: HashMap<AnswerKey, bool>,
    /// The place of each answer in the order.
    order: HashMap<AnswerKey, u64>,
    counts: CollectCounts,
    /// The cost of failures of runs before, whose requests are sent again.
    carried: HashMap<AnswerKey, CarriedCost>,
    /// Failures in a row by target.
    failures: HashMap<String, u32>,
    is_out_of_money: bool,
    /// True where prompts were left unread.
    is_cut: bool,
}

/// The cost of a request that failed in a run before.
#[derive(Debug, Clone, Copy)]
struct CarriedCost {
    answers: Option<f64>,
    judges: Option<f64>,
}

/// The settlement of a task.
enum TaskOutcome {
    Answered(Box<AnswerRow>),
    NotAsked,
}

impl<'r, S: AnswerSource> CollectState<'r, S> {
    pub(super) fn open(run: &'r CollectRun, source: &'r S, stop: &'r CollectStop) -> Result<Self, CollectError> {
        let mut ledger = CollectLedger::default();
        if run.failed == FailedRows::Retry {
            // A file of something else is refused before anything in it moves.
            drop(AnswerFile::open(&run.out, |row| ledger.carry(&row))?);
            let failed = |source| CollectError::Order { path: run.out.clone(), source };
            order::arrange(&run.out, |line| (!line.is_failure()).then_some(0)).map_err(failed)?;
        }
        let known = &mut ledger.known;
        let out = AnswerFile::open(&run.out, |row| {
            known.insert(AnswerKey::of(&row), row.error.is_some());
        })?;
        for target in &run.targets {
            ledger.counts.targets.entry(target.asked.clone()).or_default();
        }
        Ok(Self {
            run,
            source,
            stop,
            out: RefCell::new(out),
            budget: JudgeBudget::new(run.max_cost),
            paid: Notify::new(),
            places: Semaphore::new(run.concurrency.max(1)),
            ledger: RefCell::new(ledger),
        })
    }

    pub(super) async fn run(
        self,
        mut progress: impl FnMut(&CollectProgress<'_>),
    ) -> Result<CollectCounts, CollectError> {
        let mut rows = PromptRows::open(&self.run.prompts)?;
        let tasks = self.tasks(&mut rows);
        let settled = stream::iter(tasks).map(async |task| Ok::<_, CollectError>(self.settle(task?).await));
        let mut settled = Box::pin(settled.buffered(self.run.concurrency.max(1) * WINDOW));
        while let Some(outcome) = settled.next().await {
            let mut ledger = self.ledger.borrow_mut();
            match outcome? {
                TaskOutcome::Answered(mut row) => {
                    ledger.counts.add(&row);
                    ledger.bear(&mut row);
                    self.out.borrow_mut().append(&row)?;
                }
                TaskOutcome::NotAsked => ledger.counts.not_asked += 1,
            }
            progress(&CollectProgress { counts: &ledger.counts, settled: ledger.counts.settled() });
        }
        drop(settled);
        self.end(rows.skipped())
    }

    /// Puts the file in order, and concludes.
    fn end(self, skipped: u64) -> Result<CollectCounts, CollectError> {
        let CollectLedger { order, mut counts, is_out_of_money, is_cut, .. } = self.ledger.into_inner();
        // Rows of other prompts and targets stay behind the row that they follow.
        let mut last = BEFORE_ALL;
        let arranged = order::arrange(&self.run.out, |line| {
            last = order.get(&line.key()).copied().unwrap_or(last);
            Some(last)
        });
        arranged.map_err(|source| CollectError::Order { path: self.run.out.clone(), source })?;
        counts.skipped += skipped;
        counts.ended = match (is_out_of_money, self.stop.is_said()) {
            (true, _) => CollectEnd::Budget,
            (_, true) if is_cut || counts.not_asked > 0 => CollectEnd::Interrupted,
            _ => CollectEnd::Done,
        };
        Ok(counts)
    }

    /// Returns the answers that are to be had, in their order. No more are read once the run is to end.
    fn tasks<'t>(
        &'t self,
        rows: &'t mut PromptRows,
    ) -> impl Iterator<Item = Result<CollectTask<'r>, CollectError>> + 't {
        let mut waiting = Vec::new().into_iter();
        let (mut prompts, mut place) = (0, BEFORE_ALL);
        let limit = self.run.limit.unwrap_or(usize::MAX);
        std::iter::from_fn(move || {
            loop {
                if let Some(task) = waiting.next() {
                    return Some(Ok(task));
                }
                if prompts == limit {
                    return None;
                }
                let row = rows.next()?;
                if self.is_over() {
                    self.ledger.borrow_mut().is_cut = true;
                    return None;
                }
                let row = match row {
                    Ok(row) => Rc::new(row),
                    Err(error) => return Some(Err(error.into())),
                };
                prompts += 1;
                self.ledger.borrow_mut().counts.prompts += 1;
                let repeats = |target| (0..self.run.repeat.max(1)).map(move |repeat| (target, repeat));
                let tasks = self.run.targets.iter().flat_map(repeats).map(|(target, repeat)| {
                    place += 1;
                    CollectTask { place, row: Rc::clone(&row), target, repeat }
                });
                waiting = tasks.filter(|task| self.is_wanted(task)).collect::<Vec<_>>().into_iter();
            }
        })
    }

    /// Returns whether an answer is to be had; counts why, if not. Of two prompts of one id the first counts.
    fn is_wanted(&self, task: &CollectTask<'_>) -> bool {
        let (mut ledger, key) = (self.ledger.borrow_mut(), task.key());
        if ledger.order.contains_key(&key) {
            ledger.counts.skipped += 1;
            return false;
        }
        let known = ledger.known.get(&key).copied();
        ledger.order.insert(key, task.place);
        match known {
            Some(true) => ledger.counts.failed_before += 1,
            Some(false) => ledger.counts.known += 1,
            None => return true,
        }
        false
    }

    fn is_over(&self) -> bool {
        self.stop.is_said() || self.ledger.borrow().is_out_of_money
    }

    /// Asks, once there is a place and the worst case is paid for.
    async fn settle(&self, task: CollectTask<'_>) -> TaskOutcome {
        let _place = self.places.acquire().await.expect("the semaphore is never closed");
        if self.ledger.borrow().has_given_up(&task.target.asked) {
            return TaskOutcome::NotAsked;
        }
        let request = self.run.request(task.target, &task.row.request());
        let worst = self.source.worst_cost(&request);
        let reserved = loop {
            if self.is_over() {
                return TaskOutcome::NotAsked;
            }
            match self.budget.reserve(worst) {
                Some(reserved) => break reserved,
                None if self.budget.is_idle() => self.ledger.borrow_mut().is_out_of_money = true,
                None => self.paid.notified().await,
            }
        };
        let SourcedAnswer { row, paid } = self.source.ask(request).await;
        reserved.pay(paid);
        self.paid.notify_waiters();
        let row = task.row(row);
        self.ledger.borrow_mut().note(&row);
        TaskOutcome::Answered(Box::new(row))
    }
}

impl CollectLedger {
    /// Keeps what a failure of a run before has cost.
    fn carry(&mut self, row: &AnswerRow) {
        if row.error.is_some() {
            let cost = CarriedCost { answers: row.cost_usd, judges: row.judge_cost_usd };
            self.carried.insert(AnswerKey::of(row), cost);
        }
    }

    /// Adds it to the row that stands in the failure's place.
    fn bear(&mut self, row: &mut AnswerRow) {
        let Some(CarriedCost { answers, judges }) = self.carried.remove(&AnswerKey::of(row)) else { return };
        let sum =
            |own: Option<f64>, before: Option<f64>| own.into_iter().chain(before).reduce(|own, before| own + before);
        if row.cost_usd.is_some() || row.error.is_some() {
            row.cost_usd = sum(row.cost_usd, answers);
        }
        row.judge_cost_usd = sum(row.judge_cost_usd, judges);
    }

    /// Remembers how a target fares: one that fails again and again is given up.
    fn note(&mut self, row: &AnswerRow) {
        let Some(error) = &row.error else {
            self.failures.remove(&row.asked);
            return;
        };
        let failures = self.failures.entry(row.asked.clone()).or_default();
        *failures += 1;
        if *failures >= MOST_FAILURES {
            let reason = format!("{}: {}", error.code, error.message);
            self.counts.given_up.entry(row.asked.clone()).or_insert(reason);
        }
    }

    fn has_given_up(&self, asked: &str) -> bool {
        self.counts.given_up.contains_key(asked)
    }
}
