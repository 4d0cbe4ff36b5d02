//! One run: which rows are asked, what becomes of each, and what the next run will know of it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::ask::{Asked, Key, Question};
use super::budget::Budget;
use super::client::{ClientError, Refusal};
use super::output::Output;
use super::refusals::Refusals;
use super::{ATTEMPTS, LabelError, Labelled, Labelling, Row};

/// How many prompts in a row may go without any answer before the judge is taken to be down.
const SILENT: u32 = 3;

/// How many prompts may be refused before the first answer: then it is not the prompts that are wrong.
const REFUSED: usize = 8;

/// A run under way. One task drives it, so that no borrow is held while it waits.
pub(super) struct Run<'l> {
    labelling: &'l Labelling,
    pub(super) budget: Budget,
    output: RefCell<Output>,
    refusals: RefCell<Refusals>,
    pub(super) done: RefCell<Labelled>,
    /// Questions that somebody is asking; who has the same waits for the answer.
    asking: RefCell<HashMap<Key, Rc<Mutex<()>>>>,
    /// Questions that got no answer in this run: rows that have the same share that, too.
    unanswered: RefCell<HashMap<Key, Option<Refusal>>>,
    /// Prompts in a row that got no reply.
    silent: Cell<u32>,
}

/// A row to settle.
pub(super) struct Task {
    row: Row,
    id: String,
    question: Question,
}

impl<'l> Run<'l> {
    pub(super) fn open(labelling: &'l Labelling) -> Result<Self, LabelError> {
        let Labelling { out, client, rubric, .. } = labelling;
        let output = Output::open(out, client.model(), rubric.name()).map_err(LabelError::output(out))?;
        let refusals = Refusals::open(out, labelling.retry_refused)?;
        Ok(Self {
            labelling,
            budget: Budget::new(labelling.max_cost),
            output: output.into(),
            refusals: refusals.into(),
            done: RefCell::default(),
            asking: RefCell::default(),
            unanswered: RefCell::default(),
            silent: Cell::new(0),
        })
    }

    /// Returns what is to be settled of a row, unless it was before, is not drawn or has no text.
    pub(super) fn task(&self, row: Row) -> Result<Option<Task>, LabelError> {
        let (id, mut done) = (self.labelling.id(&row), self.done.borrow_mut());
        if row.prompt.trim().is_empty() || !self.labelling.is_drawn(&id) {
            done.skipped += 1;
        } else if self.output.borrow().has(&id) {
            done.known += 1;
        } else if self.refusals.borrow().has(&id) {
            done.refused_before += 1;
        } else {
            let question = self.labelling.question(&row)?;
            return Ok(Some(Task { row, id, question }));
        }
        Ok(None)
    }

    /// Returns whether the judge has to be asked about a row.
    pub(super) fn is_news(&self, task: &Task) -> bool {
        !self.output.borrow().answers(&task.question.key) && !self.unanswered.borrow().contains_key(&task.question.key)
    }

    /// Settles a row: by the answer to an equal question, which is waited for, or by asking the judge.
    ///
    /// # Errors
    /// When a file cannot be written, or the judge refuses or is silent for good.
    pub(super) async fn settle(&self, task: Task) -> Result<(), LabelError> {
        let key = task.question.key;
        let turn = Rc::clone(self.asking.borrow_mut().entry(key).or_default());
        let alone = turn.lock().await;
        let settled = self.settle_alone(&task).await;
        drop(alone);
        if Rc::strong_count(&turn) == 2 {
            self.asking.borrow_mut().remove(&key);
        }
        settled
    }

    async fn settle_alone(&self, task: &Task) -> Result<(), LabelError> {
        let Task { row, id, question } = task;
        let unusable = LabelError::output(&self.labelling.out);
        if self.output.borrow().has(id) {
            self.done.borrow_mut().known += 1; // an equal row without an id of its own
            return Ok(());
        }
        if self.output.borrow().answers(&question.key) {
            let shared = self.output.borrow_mut().share(&question.key, id, &row.prompt);
            shared.map_err(unusable)?;
            let mut done = self.done.borrow_mut();
            (done.written, done.shared) = (done.written + 1, done.shared + 1);
            return Ok(());
        }
        let unanswered = self.unanswered.borrow().get(&question.key).cloned();
        match unanswered {
            Some(Some(refusal)) => return self.refuse(id, question.key, refusal),
            Some(None) => {
                self.done.borrow_mut().failed += 1;
                return Ok(());
            }
            None => {}
        }
        let (asked, cost) = self.labelling.ask(question, &self.budget).await?;
        self.done.borrow_mut().cost += cost;
        if !matches!(asked, Asked::Silent(_) | Asked::OutOfBudget) {
            self.silent.set(0);
        }
        match asked {
            Asked::Verdict(said) => {
                let row = self.labelling.labelled(id, row, &said);
                self.output.borrow_mut().append(&row, question.key).map_err(unusable)?;
                self.refusals.borrow_mut().record()?;
                self.done.borrow_mut().written += 1;
            }
            Asked::Refused(refusal) => return self.refuse(id, question.key, refusal),
            Asked::Malformed(reason) => self.fail(question.key, &reason),
            Asked::Silent(reason) => {
                self.fail(question.key, &reason);
                self.silent.set(self.silent.get() + 1);
                if self.silent.get() == SILENT {
                    return Err(ClientError::Silent { prompts: SILENT, attempts: ATTEMPTS, reason }.into());
                }
            }
            Asked::OutOfBudget => self.done.borrow_mut().stopped_by_budget = true,
        }
        Ok(())
    }

    fn fail(&self, key: Key, reason: &str) {
        tracing::warn!(reason, "A prompt got no label");
        self.unanswered.borrow_mut().insert(key, None);
        self.done.borrow_mut().failed += 1;
    }

    /// Notes a refusal. It is recorded once the judge is known to answer others; before that, what is refused may be a
    /// setting.
    fn refuse(&self, id: &str, key: Key, refusal: Refusal) -> Result<(), LabelError> {
        let mut refusals = self.refusals.borrow_mut();
        tracing::warn!(status = refusal.status, reason = refusal.message, "The judge refuses a prompt");
        refusals.note(json!({
            "id": id,
            "rubric": self.labelling.rubric.name(),
            "judge": self.labelling.client.model(),
            "status": refusal.status,
            "error": refusal.message,
        }));
        self.done.borrow_mut().refused += 1;
        if self.output.borrow().judge_answers() {
            refusals.record()?;
        } else if refusals.noted() == REFUSED {
            let Refusal { status, message } = refusal;
            return Err(ClientError::Refused { status, message }.into());
        }
        self.unanswered.borrow_mut().insert(key, Some(refusal));
        Ok(())
    }
}

impl Labelling {
    fn labelled(&self, id: &str, row: &Row, said: &Value) -> Value {
        let mut labelled = json!({
            "id": id,
            "prompt": row.prompt,
            "rubric": self.rubric.name(),
            "judge": self.client.model(),
        });
        for (key, value) in said.as_object().into_iter().flatten() {
            labelled[key] = value.clone();
        }
        labelled
    }
}
