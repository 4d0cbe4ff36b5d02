//! The ledger of a run: which rows are settled, on the disk and in the run's counts.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::ask::LabelTask;
use super::output::LabelFile;
use super::refusals::RefusalFile;
use super::{LabelCounts, LabelError, LabelRun, UnlabelledRow};
use crate::judge::{ATTEMPTS, JudgeClientError, JudgeRefusal, QuestionOutcome, VerdictQuestionKey};

/// The number of prompts in a row without any answer after which the judge is taken to be down.
const SILENT: u32 = 3;

/// The number of refusals before the first answer after which it is not the prompts that are wrong.
const REFUSED: usize = 8;

/// Rows that are settled, and why.
pub(super) struct LabelLedger<'l> {
    labelling: &'l LabelRun,
    output: LabelFile,
    refusals: RefusalFile,
    pub(super) done: LabelCounts,
    /// Questions that got no answer in this run: rows that have the same share that, too.
    unanswered: HashMap<VerdictQuestionKey, Option<JudgeRefusal>>,
    /// Prompts in a row that got no reply.
    silent: u32,
}

impl<'l> LabelLedger<'l> {
    /// Opens the files of the labels and of the refusals.
    pub(super) fn open(labelling: &'l LabelRun) -> Result<Self, LabelError> {
        let LabelRun { out, client, rubric, .. } = labelling;
        let output = LabelFile::open(out, client.model(), rubric.name()).map_err(LabelError::output(out))?;
        let refusals = RefusalFile::open(out, labelling.retry_refused)?;
        let (done, unanswered) = (LabelCounts::default(), HashMap::new());
        Ok(Self { labelling, output, refusals, done, unanswered, silent: 0 })
    }

    /// Returns whether a row is to be settled; counts why, if not.
    pub(super) fn admits(&mut self, id: &str, row: &UnlabelledRow) -> bool {
        let passed_over = if row.is_held_out() && !self.labelling.with_held_out {
            &mut self.done.held_out
        } else if row.prompt.trim().is_empty() || !self.labelling.is_drawn(id) {
            &mut self.done.skipped
        } else if self.output.has(id) {
            &mut self.done.known
        } else if self.refusals.has(id) {
            &mut self.done.refused_before
        } else {
            return true;
        };
        *passed_over += 1;
        false
    }

    /// Returns whether the judge has to be asked a question.
    pub(super) fn is_news(&self, question: &VerdictQuestionKey) -> bool {
        !self.output.answers(question) && !self.unanswered.contains_key(question)
    }

    /// Settles a row without asking, if its id or its question is known; returns whether it did.
    pub(super) fn settle_known(&mut self, task: &LabelTask) -> Result<bool, LabelError> {
        let LabelTask { row, id, question } = task;
        if self.output.has(id) {
            self.done.known += 1; // an equal row without an id of its own
            return Ok(true);
        }
        if self.output.answers(&question.key) {
            let shared = self.output.share(&question.key, id, row);
            shared.map_err(LabelError::output(&self.labelling.out))?;
            (self.done.written, self.done.shared) = (self.done.written + 1, self.done.shared + 1);
            return Ok(true);
        }
        match self.unanswered.get(&question.key).cloned() {
            Some(Some(refusal)) => self.refuse(id, question.key, refusal)?,
            Some(None) => self.done.failed += 1,
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Settles a row by what came of its question.
    ///
    /// # Errors
    /// When a file cannot be written, or the judge refuses or is silent for good.
    pub(super) fn settle(&mut self, task: &LabelTask, asked: QuestionOutcome<Value>) -> Result<(), LabelError> {
        let LabelTask { row, id, question } = task;
        if !matches!(asked, QuestionOutcome::Silent(_) | QuestionOutcome::OutOfBudget) {
            self.silent = 0;
        }
        match asked {
            QuestionOutcome::Verdict(keys) => {
                let row = self.labelled(id, row, &keys.verdict);
                self.output.append(&row, question.key).map_err(LabelError::output(&self.labelling.out))?;
                self.refusals.record()?;
                self.done.written += 1;
            }
            QuestionOutcome::Refused(refusal) => return self.refuse(id, question.key, refusal),
            QuestionOutcome::Malformed(reason) => self.fail(question.key, &reason),
            QuestionOutcome::Silent(reason) => {
                self.fail(question.key, &reason);
                self.silent += 1;
                if self.silent == SILENT {
                    return Err(JudgeClientError::Silent { prompts: SILENT, attempts: ATTEMPTS, reason }.into());
                }
            }
            QuestionOutcome::OutOfBudget => self.done.stopped_by_budget = true,
        }
        Ok(())
    }

    fn fail(&mut self, question: VerdictQuestionKey, reason: &str) {
        tracing::warn!(reason, "A prompt got no label");
        self.unanswered.insert(question, None);
        self.done.failed += 1;
    }

    /// Takes a refusal. It is recorded once the judge is known to answer others; before that, a setting may be what is
    /// refused.
    fn refuse(&mut self, id: &str, question: VerdictQuestionKey, refusal: JudgeRefusal) -> Result<(), LabelError> {
        tracing::warn!(status = refusal.status, reason = refusal.message, "The judge refuses a prompt");
        self.refusals.note(json!({
            "id": id,
            "rubric": self.labelling.rubric.name(),
            "judge": self.labelling.client.model(),
            "status": refusal.status,
            "error": refusal.message,
        }));
        self.done.refused += 1;
        if self.output.judge_answers() {
            self.refusals.record()?;
        } else if self.refusals.noted() == REFUSED {
            let JudgeRefusal { status, message } = refusal;
            return Err(JudgeClientError::Refused { status, message }.into());
        }
        self.unanswered.insert(question, Some(refusal));
        Ok(())
    }

    fn labelled(&self, id: &str, row: &UnlabelledRow, keys: &Value) -> Value {
        let mut labelled = json!({
            "id": id,
            "rubric": self.labelling.rubric.name(),
            "judge": self.labelling.client.model(),
        });
        row.write_asked(&mut labelled);
        for (key, value) in keys.as_object().into_iter().flatten() {
            labelled[key] = value.clone();
        }
        labelled
    }
}
