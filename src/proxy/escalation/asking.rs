//! The checks of an answer that ask somebody: a judge, and the cheap model again. Both run when the answer has ended, the
//! judge first, because it costs less.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::HeaderValue;
use pingora::protocols::http::HttpTask;
use pointsman_core::answer_check::{CheckVerdict, agreement};
use pointsman_core::config::{GOOD_ANSWER, SelfConsistency};
use pointsman_core::features::TokenCounter;
use pointsman_core::policy::{AnswerCheck, EscalationPlan};
use pointsman_core::usage::{AnswerFormat, AnswerFraming, AnswerText, AnswerTextReader, UsageReader};
use tokio::time::{Instant, timeout, timeout_at};

use super::{AskedOutcome, AskerKind, EscalationWatch};
use crate::answer_sampler::AnswerSampler;
use crate::proxy::attempt::original::OriginalBody;
use crate::proxy::attempt::shadow_body::{MAX_BODY, ShadowRequest};
use crate::proxy::context::RequestContext;
use crate::snapshot::AnswerAdvisers;
use crate::upstream::ModelCall;

/// The checks of one answer that ask somebody.
pub(super) struct AskedCheck {
    plan: Arc<EscalationPlan>,
    advisers: Arc<AnswerAdvisers>,
    /// The ask, where a judge may be asked.
    ask: Option<String>,
    original: OriginalBody,
    answer: AnswerText,
    /// The estimate of the prompt's tokens.
    tokens: u64,
    /// The moment from which on the answer is not held.
    until: Option<Instant>,
    outcome: Arc<Mutex<AskedOutcome>>,
}

/// Whose answer is checked, and until when that may take.
#[derive(Clone, Copy)]
pub(super) struct AskedFor {
    pub(super) asker: AskerKind,
    /// The moment from which on the answer is not held; `None` for one that is no stream.
    pub(super) until: Option<Instant>,
}

/// One more answer, and what it cost.
struct SampledAnswer {
    text: Option<String>,
    dollars: f64,
}

impl AskedCheck {
    /// Returns the checks of an answer that has passed all others; `None` where nobody is to be asked.
    pub(super) fn of(watch: &mut EscalationWatch, answer: AnswerText, client: AskedFor) -> Option<Self> {
        let (has_judge, has_samples) = (watch.advisers.judge.is_some(), watch.advisers.sampler.is_some());
        if !has_judge && !has_samples {
            return None;
        }
        Some(Self {
            plan: Arc::clone(&watch.plan),
            advisers: Arc::clone(&watch.advisers),
            ask: watch.ask.take().filter(|_| client.asker == AskerKind::Client),
            original: watch.original.clone(),
            tokens: watch.prompt_tokens,
            until: client.until,
            answer,
            outcome: Arc::clone(&watch.asked),
        })
    }

    /// Makes the checks; returns whether the client may have the answer. One that may not be held any longer it gets
    /// unchecked.
    pub(super) async fn run(self) -> bool {
        let verdict = match self.until {
            Some(until) => timeout_at(until, self.verdict()).await.ok(),
            None => Some(self.verdict().await),
        };
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        (outcome.verdict, outcome.at, outcome.is_released) = (verdict, Some(Instant::now()), verdict.is_none());
        match verdict {
            None | Some(CheckVerdict::Passed) => true,
            Some(CheckVerdict::Failed(_)) => false,
            Some(CheckVerdict::Unmade(_)) => self.plan.config.stand_in() == self.plan.cheap(),
        }
    }

    async fn verdict(&self) -> CheckVerdict {
        let verdict = self.judged().await;
        if verdict.is_passed() { self.sampled().await } else { verdict }
    }

    async fn judged(&self) -> CheckVerdict {
        let (Some(judge), Some(section)) = (&self.advisers.judge, &self.plan.config.check.judge) else {
            return CheckVerdict::Passed;
        };
        let Some(ask) = &self.ask else { return CheckVerdict::Unmade(AnswerCheck::Judge) };
        let asked = judge.ask_about(ask, &told(&self.answer)).await;
        // An answer that is no label is paid for all the same.
        let dollars = asked.as_ref().map_or_else(|unanswered| unanswered.cost_usd, |judgement| judgement.cost_usd);
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).judge_usd += dollars.unwrap_or_default();
        let Ok(judgement) = asked else { return CheckVerdict::Unmade(AnswerCheck::Judge) };
        let least = section.min_confidence.map(pointsman_core::config::Ratio::get);
        let is_unsure = least.is_some_and(|least| f64::from(judgement.confidence.unwrap_or(0.0)) < least);
        match (&*judgement.label, is_unsure) {
            (_, true) => CheckVerdict::Unmade(AnswerCheck::Judge),
            (GOOD_ANSWER, false) => CheckVerdict::Passed,
            (_, false) => CheckVerdict::Failed(AnswerCheck::Judge),
        }
    }

    async fn sampled(&self) -> CheckVerdict {
        let (Some(sampler), Some(section)) = (&self.advisers.sampler, self.plan.config.check.self_consistency) else {
            return CheckVerdict::Passed;
        };
        let unmade = CheckVerdict::Unmade(AnswerCheck::SelfConsistency);
        let target = sampler.deployment();
        let request = Some(&self.original).filter(|original| original.bytes().len() <= MAX_BODY);
        let Some(request) = request.and_then(|original| original.shadow_request(target, section.max_tokens)) else {
            return unmade;
        };
        let answers = self.answers(sampler, &request, section).await;
        let dollars: f64 = answers.iter().map(|answer| answer.dollars).sum();
        self.advisers.metrics.sampled(dollars);
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).samples_usd += dollars;
        let texts: Vec<&str> = answers.iter().filter_map(|answer| answer.text.as_deref()).collect();
        if texts.len() + 1 < section.n as usize {
            return unmade;
        }
        let held = told(&self.answer);
        // Two of three are 0.667, which is what people mean by 0.67.
        let is_enough = agreement(&held, texts) + 0.005 >= section.agreement.get();
        if is_enough { CheckVerdict::Passed } else { CheckVerdict::Failed(AnswerCheck::SelfConsistency) }
    }

    /// Asks for the further answers, all at once.
    async fn answers(
        &self,
        sampler: &AnswerSampler,
        request: &ShadowRequest,
        section: SelfConsistency,
    ) -> Vec<SampledAnswer> {
        let call = &ModelCall::new(sampler.deployment(), request.dialect, &request.body);
        let patience: Duration = section.timeout.0;
        let asked = (1..section.n).map(|_| async move {
            let answer = timeout(patience, sampler.ask(call)).await.ok()??;
            answer.status.is_success().then(|| self.read(sampler, request, &answer.body))
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Reads a further answer in its own API's words.
    fn read(&self, sampler: &AnswerSampler, request: &ShadowRequest, body: &Bytes) -> SampledAnswer {
        let (target, format) = (sampler.deployment(), AnswerFormat::of_path(request.dialect.path()));
        let mut reader = UsageReader::new(format, AnswerFraming::Json);
        reader.push(body);
        let usage = reader.usage_within(&target.usage_bounds(), || self.tokens, &TokenCounter::new());
        let dollars = usage.and_then(|usage| usage.paid(target.price.as_ref())).unwrap_or_default();
        let mut text = AnswerTextReader::new(format, self.plan.config.hold.max_bytes);
        text.push(body);
        SampledAnswer { text: text.finish().map(|answer| told(&answer)), dollars }
    }
}

/// Returns an answer as one text: its words, and its calls of tools with their arguments.
fn told(answer: &AnswerText) -> String {
    let calls = answer.tool_calls.iter().map(|call| format!("\n{}({})", call.name, call.arguments));
    std::iter::once(answer.text.clone()).chain(calls).collect()
}

/// Returns an answer with the word that it had failed, and that nobody else has answered.
pub(super) fn marked(mut tasks: Vec<HttpTask>, ctx: &RequestContext) -> Vec<HttpTask> {
    let word = ctx.escalation.as_ref().and_then(|watch| watch.word());
    let value = word.and_then(|word| HeaderValue::from_str(&word).ok());
    for task in &mut tasks {
        if let (HttpTask::Header(header, _), Some(value)) = (task, &value) {
            let _ = header.insert_header("x-pointsman-escalated", value.clone()); // a name and a value that are good
        }
    }
    tasks
}
