//! A panel of judges: each is asked the same question, blind, and each verdict is kept.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use pointsman_core::config::TokenPrice;
use serde_json::{Map, Value, json};

use super::GradeError;
use super::ledger::{KeptVerdict, VerdictFile};
use crate::judge::{
    ATTEMPTS, JudgeBudget, JudgeClient, JudgeClientError, JudgeRefusal, PricedJudge, QuestionOutcome, QuestionTurns,
    Rubric, VerdictForm, VerdictQuestion, VerdictQuestionKey,
};

/// The number of questions in a row without any answer after which a judge is taken to be down.
const SILENT: u32 = 3;

/// The number of refusals before a judge's first answer after which it is not the questions that are wrong.
const REFUSED: u32 = 8;

/// The judges of a run, with their rubric and what they may spend.
#[derive(Debug)]
pub struct JudgePanel {
    /// The judges; each gives its own grade.
    pub judges: Vec<PanelJudge>,
    /// The rubric of the grader `judge`: a scale.
    pub rubric: Rubric,
    /// US dollars that a run may spend; `None` for no cap.
    pub max_cost: Option<f64>,
}

/// A judge of a panel.
#[derive(Debug)]
pub struct PanelJudge {
    /// The judge.
    pub client: JudgeClient,
    /// The judge's price, in US dollars per million tokens.
    pub price: Option<TokenPrice>,
}

/// A panel at work. One task drives it, so that the file is never borrowed while it waits.
pub(super) struct PanelState<'p> {
    pub(super) panel: &'p JudgePanel,
    pair: Rubric,
    budget: JudgeBudget,
    path: PathBuf,
    file: RefCell<VerdictFile>,
    /// Questions that got no verdict in this run.
    unanswered: RefCell<HashSet<VerdictQuestionKey>>,
    /// Questions whose cost stands in a grade already.
    charged: RefCell<HashSet<VerdictQuestionKey>>,
    turns: QuestionTurns,
    health: RefCell<HashMap<String, JudgeHealth>>,
    pub(super) counts: PanelCounts,
}

/// Counts of a panel's questions in a run.
#[derive(Debug, Default)]
pub(super) struct PanelCounts {
    pub(super) asked: Cell<u64>,
    pub(super) known: Cell<u64>,
    pub(super) failed: Cell<u64>,
    pub(super) refused: Cell<u64>,
    pub(super) cost: Cell<f64>,
    pub(super) stopped_by_budget: Cell<bool>,
}

/// A judge's answers so far.
#[derive(Debug, Default)]
struct JudgeHealth {
    answers: bool,
    silent: u32,
    refused: u32,
}

/// The kind of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PanelQuestion {
    /// One answer, by the panel's rubric.
    Quality,
    /// Two answers, in one order.
    Pair,
}

impl JudgePanel {
    /// Refuses a panel whose costs cannot be capped, or whose rubric gives no grade.
    pub(super) fn check(&self) -> Result<(), GradeError> {
        if !self.rubric.is_scale() {
            let message = format!("the rubric `{}` has labels: grades need a `scale`", self.rubric.name());
            return Err(GradeError::Settings(message));
        }
        let unpriced = self.judges.iter().filter(|judge| judge.price.is_none()).map(|judge| judge.client.model());
        let unpriced: Vec<&str> = unpriced.collect();
        if self.max_cost.is_some() && !unpriced.is_empty() {
            let message =
                format!("a cap on the cost needs the prices of the judges: {} (--price)", unpriced.join(", "));
            return Err(GradeError::Settings(message));
        }
        Ok(())
    }
}

impl<'p> PanelState<'p> {
    pub(super) fn open(panel: &'p JudgePanel, out: &Path) -> Result<Self, GradeError> {
        let path = VerdictFile::path(out);
        let file = VerdictFile::open(&path).map_err(GradeError::output(&path))?;
        Ok(Self {
            pair: Rubric::pair(),
            budget: JudgeBudget::new(panel.max_cost),
            file: file.into(),
            path,
            unanswered: RefCell::default(),
            charged: RefCell::default(),
            turns: QuestionTurns::default(),
            health: RefCell::default(),
            counts: PanelCounts::default(),
            panel,
        })
    }

    /// Returns a judge's verdict on what the rubric shows; `None` where there is none, which is counted. The cost is 0
    /// for a verdict that another answer was charged for.
    pub(super) async fn verdict(
        &self,
        judge: &PanelJudge,
        kind: PanelQuestion,
        shown: &Map<String, Value>,
    ) -> Result<Option<KeptVerdict>, GradeError> {
        let rubric = match kind {
            PanelQuestion::Quality => &self.panel.rubric,
            PanelQuestion::Pair => &self.pair,
        };
        let form = VerdictForm { name: rubric.name(), schema: rubric.schema() };
        let question = VerdictQuestion::new(&judge.client, &rubric.messages(shown)?, &form);
        let settled = Box::pin(self.settle(judge, rubric, &question));
        let verdict = self.turns.alone(question.key, settled).await?;
        let is_first = verdict.is_some() && self.charged.borrow_mut().insert(question.key);
        Ok(verdict.map(|verdict| KeptVerdict { cost_usd: if is_first { verdict.cost_usd } else { 0.0 }, ..verdict }))
    }

    async fn settle(
        &self,
        judge: &PanelJudge,
        rubric: &Rubric,
        question: &VerdictQuestion,
    ) -> Result<Option<KeptVerdict>, GradeError> {
        if let Some(known) = self.file.borrow().get(&question.key) {
            add(&self.counts.known, 1);
            return Ok(Some(known.clone()));
        }
        if self.counts.stopped_by_budget.get() || self.unanswered.borrow().contains(&question.key) {
            return Ok(None);
        }
        let priced = PricedJudge { client: &judge.client, price: judge.price, budget: &self.budget };
        let (outcome, cost) = priced.ask(question, |content| rubric.verdict(content)).await?;
        self.counts.cost.set(self.counts.cost.get() + cost);
        let name = judge.client.model();
        match outcome {
            QuestionOutcome::Verdict(read) => {
                let kept = kept(read.verdict.keys(), cost);
                let written = self.file.borrow_mut().append(question.key, name, &kept);
                written.map_err(GradeError::output(&self.path))?;
                add(&self.counts.asked, 1);
                self.heard(name);
                return Ok(Some(kept));
            }
            QuestionOutcome::Malformed(reason) => {
                self.heard(name);
                self.fail(&reason);
            }
            QuestionOutcome::Silent(reason) => {
                self.fail(&reason);
                self.silent(name, reason)?;
            }
            QuestionOutcome::Refused(refusal) => self.refused(name, refusal)?,
            QuestionOutcome::OutOfBudget => {
                self.counts.stopped_by_budget.set(true);
                return Ok(None);
            }
        }
        self.unanswered.borrow_mut().insert(question.key);
        Ok(None)
    }

    fn fail(&self, reason: &str) {
        tracing::warn!(reason, "An answer got no verdict");
        add(&self.counts.failed, 1);
    }

    fn heard(&self, judge: &str) {
        let mut health = self.health.borrow_mut();
        let health = health.entry(judge.to_owned()).or_default();
        (health.answers, health.silent) = (true, 0);
    }

    /// Counts a question without any reply; several in a row mean that the judge is down.
    fn silent(&self, judge: &str, reason: String) -> Result<(), GradeError> {
        let mut health = self.health.borrow_mut();
        let health = health.entry(judge.to_owned()).or_default();
        health.silent += 1;
        if health.silent < SILENT {
            return Ok(());
        }
        Err(JudgeClientError::Silent { prompts: SILENT, attempts: ATTEMPTS, reason }.into())
    }

    /// Counts a refusal; many before the first answer mean that a setting is what is refused.
    fn refused(&self, judge: &str, refusal: JudgeRefusal) -> Result<(), GradeError> {
        tracing::warn!(status = refusal.status, reason = refusal.message, "The judge refuses a question");
        add(&self.counts.refused, 1);
        let mut health = self.health.borrow_mut();
        let health = health.entry(judge.to_owned()).or_default();
        (health.refused, health.silent) = (health.refused + 1, 0);
        if health.answers || health.refused < REFUSED {
            return Ok(());
        }
        let JudgeRefusal { status, message } = refusal;
        Err(JudgeClientError::Refused { status, message }.into())
    }
}

/// Takes what is kept out of the keys of a verdict.
fn kept(keys: impl Iterator<Item = (&'static str, Value)>, cost_usd: f64) -> KeptVerdict {
    let mut kept = KeptVerdict { cost_usd, ..KeptVerdict::default() };
    for (key, value) in keys {
        match key {
            "score" => kept.level = value.as_i64(),
            "label" => kept.label = value.as_str().map(str::to_owned),
            "reason" => kept.reason = value.as_str().map(str::to_owned),
            _ => {}
        }
    }
    kept
}

fn add(count: &Cell<u64>, more: u64) {
    count.set(count.get() + more);
}

/// Returns what a rubric shows of an answer, or of two.
pub(super) fn shown(prompt: &str, reference: &str, texts: &[(&str, &str)]) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("prompt".to_owned(), json!(prompt));
    shown.insert("reference".to_owned(), json!(reference));
    shown.extend(texts.iter().map(|(key, text)| ((*key).to_owned(), json!(text))));
    shown
}
