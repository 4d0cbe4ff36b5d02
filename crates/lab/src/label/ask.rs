//! One question to the judge: asked until there is a verdict, within the budget.

use std::time::Duration;

use pointsman_core::features::TokenCounter;
use pointsman_core::usage::Usage;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::budget::LabelBudget;
use super::client::{JudgeRefusal, JudgeReply, backoff};
use super::{ATTEMPTS, LabelError, LabelRun, MALFORMED, MAX_OUTPUT, UnlabelledRow};

/// A question to the judge about a row. Rows of one question get one answer.
pub(super) struct LabelQuestion {
    pub(super) key: LabelQuestionKey,
    body: String,
}

/// The digest of a question: the same for questions that are word for word the same.
pub(super) type LabelQuestionKey = [u8; 16];

/// The outcome of a question.
pub(super) enum QuestionOutcome {
    /// An answer: the keys that rows get.
    Verdict(Value),
    /// Answers that are none; another run asks again.
    Malformed(String),
    /// No answer in all attempts.
    Silent(String),
    /// The judge will never answer.
    Refused(JudgeRefusal),
    /// The question was not asked, or not again.
    OutOfBudget,
}

/// A row to settle.
pub(super) struct LabelTask {
    pub(super) row: UnlabelledRow,
    pub(super) id: String,
    pub(super) question: LabelQuestion,
}

impl LabelRun {
    /// Puts the question of a row.
    pub(super) fn question(&self, row: &UnlabelledRow) -> Result<LabelQuestion, LabelError> {
        let mut values = row.rest.clone();
        values.insert("prompt".into(), json!(row.prompt));
        let body = self.client.body(&self.rubric.messages(&values)?, &self.rubric, MAX_OUTPUT);
        let digest: [u8; 32] = Sha256::digest(body.as_bytes()).into();
        Ok(LabelQuestion { key: *digest.first_chunk().expect("32 bytes hold 16"), body })
    }

    /// Asks until there is a verdict; returns what came of it and what it cost.
    ///
    /// # Errors
    /// When the judge refuses for good, whatever it is asked.
    pub(super) async fn ask(
        &self,
        question: &LabelQuestion,
        budget: &LabelBudget,
    ) -> Result<(QuestionOutcome, f64), LabelError> {
        let counted = TokenCounter::new().count([question.body.as_str()]).tokens;
        let cost = |usage: Usage| self.price.map_or(0.0, |price| usage.cost(&price));
        let worst = cost(Usage { input: counted, output: MAX_OUTPUT, ..Usage::default() });
        let (mut spent, mut malformed) = (0.0, 0);
        for attempt in 1..=ATTEMPTS {
            let Some(reserved) = budget.reserve(worst) else { return Ok((QuestionOutcome::OutOfBudget, spent)) };
            let wait = match self.client.ask(&question.body).await? {
                JudgeReply::Answer { content, usage } => {
                    // An upstream that does not say what it used is taken at its worst.
                    let paid = usage.map_or(worst, |usage| usage.billed.unwrap_or_else(|| cost(usage)));
                    reserved.pay(paid);
                    spent += paid;
                    match self.rubric.verdict(&content) {
                        Ok(verdict) => return Ok((QuestionOutcome::Verdict(self.answer_keys(&verdict, usage)), spent)),
                        Err(reason) if malformed + 1 == MALFORMED => {
                            return Ok((QuestionOutcome::Malformed(reason), spent));
                        }
                        Err(_) => malformed += 1,
                    }
                    Duration::ZERO
                }
                JudgeReply::Refused(refusal) => {
                    reserved.pay(0.0);
                    return Ok((QuestionOutcome::Refused(refusal), spent));
                }
                JudgeReply::Later { after, reason } => {
                    reserved.pay(0.0);
                    if attempt == ATTEMPTS {
                        return Ok((QuestionOutcome::Silent(reason), spent));
                    }
                    after.unwrap_or_else(|| backoff(attempt))
                }
            };
            tokio::time::sleep(wait).await;
        }
        Ok((QuestionOutcome::Malformed("asked too often".into()), spent))
    }
}
