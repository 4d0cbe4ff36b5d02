//! One run: rows become tasks, and each is settled by an answer that is known or by asking the judge.

use std::cell::{Ref, RefCell};

use super::ask::LabelTask;
use super::ledger::LabelLedger;
use super::{LabelCounts, LabelError, LabelRun, UnlabelledRow};
use crate::judge::{JudgeBudget, QuestionTurns};

/// A run under way. One task drives it, so that the ledger is never borrowed while it waits.
pub(super) struct RunState<'l> {
    labelling: &'l LabelRun,
    pub(super) budget: JudgeBudget,
    ledger: RefCell<LabelLedger<'l>>,
    turns: QuestionTurns,
}

impl<'l> RunState<'l> {
    pub(super) fn open(labelling: &'l LabelRun) -> Result<Self, LabelError> {
        let ledger = LabelLedger::open(labelling)?.into();
        Ok(Self { labelling, budget: JudgeBudget::new(labelling.max_cost), ledger, turns: QuestionTurns::default() })
    }

    /// Returns the counts so far.
    pub(super) fn done(&self) -> Ref<'_, LabelCounts> {
        Ref::map(self.ledger.borrow(), |ledger| &ledger.done)
    }

    /// Returns the counts of the whole run.
    pub(super) fn into_done(self) -> LabelCounts {
        self.ledger.into_inner().done
    }

    /// Returns a row's task, unless the row was settled before, is not drawn or has no text.
    pub(super) fn task(&self, row: UnlabelledRow) -> Result<Option<LabelTask>, LabelError> {
        let id = self.labelling.id(&row);
        if !self.ledger.borrow_mut().admits(&id, &row) {
            return Ok(None);
        }
        let question = self.labelling.question(&row)?;
        Ok(Some(LabelTask { row, id, question }))
    }

    /// Returns whether the judge has to be asked about a row.
    pub(super) fn is_news(&self, task: &LabelTask) -> bool {
        self.ledger.borrow().is_news(&task.question.key)
    }

    /// Settles a row: by the answer to an equal question, which is waited for, or by asking the judge.
    ///
    /// # Errors
    /// When a file cannot be written, or the judge refuses or is silent for good.
    pub(super) async fn settle(&self, task: LabelTask) -> Result<(), LabelError> {
        self.turns.alone(task.question.key, Box::pin(self.settle_alone(&task))).await
    }

    async fn settle_alone(&self, task: &LabelTask) -> Result<(), LabelError> {
        if self.ledger.borrow_mut().settle_known(task)? {
            return Ok(());
        }
        let (asked, cost) = self.labelling.ask(&task.question, &self.budget).await?;
        let mut ledger = self.ledger.borrow_mut();
        ledger.done.cost += cost;
        ledger.settle(task, asked)
    }
}
