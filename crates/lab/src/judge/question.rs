//! One question to the judge: asked until there is a verdict, within the budget.

use std::time::Duration;

use pointsman_core::config::TokenPrice;
use pointsman_core::features::TokenCounter;
use pointsman_core::usage::Usage;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::budget::JudgeBudget;
use super::client::{JudgeClient, JudgeClientError, JudgeRefusal, JudgeReply, VerdictForm, backoff};
use super::{ATTEMPTS, MALFORMED, MAX_OUTPUT};

/// A question to the judge. Rows of one question get one answer.
pub(crate) struct VerdictQuestion {
    pub(crate) key: VerdictQuestionKey,
    body: String,
}

/// The digest of a question: the same for questions that are word for word the same.
pub(crate) type VerdictQuestionKey = [u8; 16];

/// The outcome of a question.
pub(crate) enum QuestionOutcome<T> {
    /// An answer that could be read.
    Verdict(ReadVerdict<T>),
    /// Answers that are none; another run asks again.
    Malformed(String),
    /// No answer in all attempts.
    Silent(String),
    /// The judge will never answer.
    Refused(JudgeRefusal),
    /// The question was not asked, or not again.
    OutOfBudget,
}

/// A verdict and the tokens that it took, where the judge says them.
pub(crate) struct ReadVerdict<T> {
    pub(crate) verdict: T,
    pub(crate) usage: Option<Usage>,
}

/// A judge with its price and the money that may be spent.
#[derive(Clone, Copy)]
pub(crate) struct PricedJudge<'j> {
    pub(crate) client: &'j JudgeClient,
    /// US dollars per million tokens; `None` where they are not known, and then nothing costs.
    pub(crate) price: Option<TokenPrice>,
    pub(crate) budget: &'j JudgeBudget,
}

impl VerdictQuestion {
    /// Puts a question to a judge's model.
    pub(crate) fn new(client: &JudgeClient, messages: &Value, form: &VerdictForm<'_>) -> Self {
        let body = client.body(messages, form, MAX_OUTPUT);
        let digest: [u8; 32] = Sha256::digest(body.as_bytes()).into();
        Self { key: *digest.first_chunk().expect("32 bytes hold 16"), body }
    }
}

impl<T> QuestionOutcome<T> {
    /// Returns the outcome with another verdict.
    pub(crate) fn map<U>(self, verdict: impl FnOnce(ReadVerdict<T>) -> ReadVerdict<U>) -> QuestionOutcome<U> {
        match self {
            Self::Verdict(read) => QuestionOutcome::Verdict(verdict(read)),
            Self::Malformed(reason) => QuestionOutcome::Malformed(reason),
            Self::Silent(reason) => QuestionOutcome::Silent(reason),
            Self::Refused(refusal) => QuestionOutcome::Refused(refusal),
            Self::OutOfBudget => QuestionOutcome::OutOfBudget,
        }
    }
}

impl PricedJudge<'_> {
    /// Asks until `read` finds a verdict; returns what came of it and what it cost.
    ///
    /// # Errors
    /// When the judge refuses for good, whatever it is asked.
    pub(crate) async fn ask<T>(
        &self,
        question: &VerdictQuestion,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<(QuestionOutcome<T>, f64), JudgeClientError> {
        let counted = TokenCounter::new().count([question.body.as_str()]).tokens;
        let worst = self.cost(Usage { input: counted, output: MAX_OUTPUT, ..Usage::default() });
        let (mut spent, mut malformed) = (0.0, 0);
        for attempt in 1..=ATTEMPTS {
            let Some(reserved) = self.budget.reserve(worst) else { return Ok((QuestionOutcome::OutOfBudget, spent)) };
            let wait = match self.client.ask(&question.body).await? {
                JudgeReply::Answer { content, usage } => {
                    // An upstream that does not say what it used is taken at its worst.
                    let paid = usage.map_or(worst, |usage| usage.billed.unwrap_or_else(|| self.cost(usage)));
                    reserved.pay(paid);
                    spent += paid;
                    match read(&content) {
                        Ok(verdict) => return Ok((QuestionOutcome::Verdict(ReadVerdict { verdict, usage }), spent)),
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

    fn cost(&self, usage: Usage) -> f64 {
        self.price.map_or(0.0, |price| usage.cost(&price))
    }
}
