//! Another LLM is asked which of a strategy's choices a prompt is for.
//!
//! Asked at its provider, beside the requests that go there: the provider's key, peers, breaker and `max_concurrent` hold for
//! the judge too. Its questions carry [`HEADER`], so that one that comes back to Pointsman asks no judge again. Answers are
//! remembered; the same prompt twice at a time is one question. A judge that fails is left alone for a while.

mod breaker;
mod question;

use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode, header};
use quick_cache::sync::Cache;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use self::breaker::Breaker;
use self::question::{Key, Question};
use crate::config::{self, Name};
use crate::features::Features;
use crate::policy::{JudgeFailure, Judgement};
use crate::prompt::Prompt;
use crate::telemetry::{JudgeMetrics, Metrics};
use crate::upstream::{Answer, Call, Caller, Target};
use crate::usage::Usage;

/// Marks a judge's questions.
pub const HEADER: &str = "x-pointsman-judge";

const USER_AGENT: &str = concat!("pointsman/", env!("CARGO_PKG_VERSION"), " (judge)");

/// The largest answer that is read; a label takes a hundred bytes, a reasoning model's thoughts some thousands.
const MAX_BYTES: usize = 256 << 10;

/// A strategy's judge.
#[derive(Debug)]
pub struct Judge {
    section: config::Judge,
    target: Arc<Target>,
    question: Question,
    /// What outlives reloads.
    memory: Arc<Memory>,
    metrics: JudgeMetrics,
    caller: Arc<Caller>,
}

/// What a judge remembers, as long as its section stays the same.
#[derive(Debug)]
struct Memory {
    answers: Option<Cache<Key, (Arc<str>, Instant)>>,
    breaker: Breaker,
    places: Semaphore,
}

/// For whom a judge is asked, and by what.
#[derive(Clone, Copy)]
pub struct Asks<'a> {
    /// The policy that its strategy is part of.
    pub policy: &'a Name,
    /// What sends its questions.
    pub caller: &'a Arc<Caller>,
    /// Where they are counted.
    pub metrics: &'a Metrics,
}

impl Judge {
    /// Makes the judge of a strategy; `target` is the model that judges. What `previous` remembers is taken over when it was
    /// asked the same.
    #[must_use]
    pub fn new(section: &config::Judge, target: &Arc<Target>, asks: Asks<'_>, previous: Option<&Self>) -> Self {
        let Asks { policy, caller, metrics } = asks;
        let same = previous.filter(|old| old.section == *section && old.target.upstream_name == target.upstream_name);
        let memory = || Memory {
            answers: (section.cache.max_entries > 0).then(|| Cache::new(section.cache.max_entries)),
            breaker: Breaker::new(section.breaker),
            places: Semaphore::new(section.max_concurrent),
        };
        Self {
            section: section.clone(),
            target: Arc::clone(target),
            question: Question::new(section),
            memory: same.map_or_else(|| Arc::new(memory()), |old| Arc::clone(&old.memory)),
            metrics: metrics.judge(policy),
            caller: Arc::clone(caller),
        }
    }

    /// Asks which choice a prompt is for, unless the answer is remembered; at most for as long as the strategy waits.
    ///
    /// Cancel-safe: dropping the future gives the question up.
    ///
    /// # Errors
    /// Why there is no answer; counted.
    pub async fn ask(&self, prompt: &Prompt<'_>, features: &Features) -> Result<Judgement, JudgeFailure> {
        let started = Instant::now();
        let deadline = started + self.section.timeout.0;
        // One that only waited for another's question says nothing more about the judge.
        let found = timeout_at(deadline, self.find(prompt, features, deadline)).await;
        let answered = found.unwrap_or(Err(JudgeFailure::Timeout));
        match &answered {
            Ok(judgement) if judgement.is_cached => self.metrics.cached(),
            Ok(_) => self.metrics.answered(started.elapsed()),
            Err(failure) => self.metrics.failed(failure.as_str()),
        }
        answered
    }

    async fn find(
        &self,
        prompt: &Prompt<'_>,
        features: &Features,
        deadline: Instant,
    ) -> Result<Judgement, JudgeFailure> {
        if prompt.newest_ask().trim().is_empty() {
            return Err(JudgeFailure::NoText);
        }
        let user = self.question.user(prompt, features);
        let Some(answers) = &self.memory.answers else { return self.question(&user, deadline).await };
        let key = self.question.key(&user);
        if answers.get(&key).is_some_and(|(_, until)| until <= Instant::now()) {
            answers.remove(&key);
        }
        // Whoever comes while the question is open waits for its answer.
        match answers.get_value_or_guard_async(&key).await {
            Ok((label, _)) => Ok(Judgement { label, cost_usd: Some(0.0), is_cached: true }),
            Err(guard) => {
                let judgement = self.question(&user, deadline).await?;
                let until = Instant::now() + self.section.cache.hold.0;
                let _ = guard.insert((Arc::clone(&judgement.label), until)); // fails when it was taken out meanwhile
                Ok(judgement)
            }
        }
    }

    async fn question(&self, user: &str, deadline: Instant) -> Result<Judgement, JudgeFailure> {
        let Ok(_place) = self.memory.places.try_acquire() else { return Err(JudgeFailure::Busy) };
        if !self.memory.breaker.admits() {
            return Err(JudgeFailure::Resting);
        }
        let body = self.question.body(user, &self.target);
        let fields = [
            (header::USER_AGENT, HeaderValue::from_static(USER_AGENT)),
            (HeaderName::from_static(HEADER), HeaderValue::from_static("1")),
        ];
        let call = Call { path: "/chat/completions", fields: &fields, body: &body, max_bytes: MAX_BYTES };
        let answered = timeout_at(deadline, self.caller.post(&self.target.provider, call)).await;
        let judgement = match answered {
            Err(_) => Err(JudgeFailure::Timeout),
            Ok(Ok(answer)) if answer.status == StatusCode::OK => self.read(&answer),
            Ok(Ok(answer)) => {
                tracing::debug!(judge = %self.target.model, status = answer.status.as_u16(), "The judge refuses");
                Err(JudgeFailure::Failed)
            }
            Ok(Err(error)) => {
                tracing::debug!(judge = %self.target.model, %error, "The judge fails");
                Err(JudgeFailure::Failed)
            }
        };
        match judgement {
            Ok(_) => self.memory.breaker.succeeded(),
            Err(_) => self.memory.breaker.failed(),
        }
        judgement
    }

    /// Reads the label and what the answer cost, which is paid for whatever it says.
    fn read(&self, answer: &Answer) -> Result<Judgement, JudgeFailure> {
        let answer: Value = serde_json::from_slice(&answer.body).map_err(|_| JudgeFailure::BadAnswer)?;
        let count = |path: &str| answer.pointer(path).and_then(Value::as_u64);
        let usage = count("/usage/prompt_tokens").zip(count("/usage/completion_tokens")).map(|(input, output)| {
            let cached = count("/usage/prompt_tokens_details/cached_tokens").unwrap_or_default();
            Usage { input, output, cached, ..Usage::default() }
        });
        let cost_usd = usage.zip(self.target.price).map(|(usage, price)| usage.cost(&price));
        if let Some(usage) = usage {
            self.metrics.paid(usage.input, usage.output, cost_usd.unwrap_or_default());
        }
        let content = answer.pointer("/choices/0/message/content").and_then(Value::as_str).unwrap_or_default();
        let label = self.question.label_in(content).ok_or(JudgeFailure::BadAnswer)?;
        Ok(Judgement { label, cost_usd, is_cached: false })
    }
}
