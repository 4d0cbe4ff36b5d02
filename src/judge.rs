//! Another LLM is asked which of a strategy's choices a prompt is for.
//!
//! Asked at its provider, in whichever API that speaks, beside the requests that go there: the provider's key, peers, breaker and `max_concurrent`
//! hold for the judge too. Its questions carry [`HEADER`], so that one that comes back to Pointsman asks no judge
//! again. Answers are remembered; the same prompt twice at a time is one question. A judge that fails is left alone for
//! a while, and each cause is said once a spell.

mod account;
mod call;
mod decision_call;
mod description;
mod probability;
mod question;
mod spell;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use pointsman_core::config;
use pointsman_core::config::{CatalogEntry, Name};
use pointsman_core::features::Features;
use pointsman_core::judgement::{AnswerEnding, JudgeAnswer, text_of};
use pointsman_core::policy::{JudgeFailure, Judgement, UnansweredQuestion};
use pointsman_core::prompt::Prompt;
use pointsman_core::usage::{AnswerFormat, Usage};
use pointsman_http_client::FailureBreaker;
use pointsman_telemetry::{JudgeMetrics, Metrics};
use quick_cache::sync::Cache;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

pub(crate) use self::account::{JudgeAccount, JudgeCost, OperatorAccount};
use self::call::{JudgeCall, own_fields};
use self::decision_call::DecisionCall;
use self::description::RequestDescription;
pub(crate) use self::probability::{
    Distribution, JudgedAnswers, JudgedQuestion, JudgedQuestions, ProbabilityJudge, ProbabilityJudgeError,
};
use self::question::{JudgeQuestion, QuestionKey};
use self::spell::{JudgeSpell, SilenceCause};
use self::words::PrivateWords;
use crate::upstream::{ChatCall, Deployment, ProviderAnswer, ProviderCall, ProviderCaller};

/// Marks a judge's questions.
pub(crate) const HEADER: &str = "x-pointsman-judge";

/// The largest answer that is read; a label takes a hundred bytes, a reasoning model's thoughts some thousands.
const MAX_BYTES: usize = 256 << 10;

/// A strategy's judge.
#[derive(Debug)]
pub(crate) struct Judge {
    section: config::JudgeConfig,
    policy: Name,
    deployment: Arc<Deployment>,
    question: JudgeQuestion,
    /// The memory that outlives reloads.
    memory: Arc<JudgeMemory>,
    metrics: JudgeMetrics,
    caller: Arc<ProviderCaller>,
}

/// The memory of a judge, as long as the judge's section stays the same.
#[derive(Debug)]
struct JudgeMemory {
    answers: Option<Cache<QuestionKey, (JudgeAnswer, Instant)>>,
    breaker: FailureBreaker,
    spell: JudgeSpell,
    places: Semaphore,
}

/// For whom a judge is asked, and by what.
#[derive(Clone, Copy)]
pub(crate) struct JudgeContext<'a> {
    /// The policy that its strategy is part of.
    pub policy: &'a Name,
    /// The catalog that describes the choices' models to the judge.
    pub catalog: &'a BTreeMap<Name, CatalogEntry>,
    /// The sender of the judge's questions.
    pub caller: &'a Arc<ProviderCaller>,
    /// The metrics that questions are counted in.
    pub metrics: &'a Metrics,
}

/// Who is asked, and on whose behalf.
#[derive(Clone, Copy)]
struct JudgeTools<'a> {
    deployment: &'a Arc<Deployment>,
    asks: JudgeContext<'a>,
}

/// A question without an answer: why, and what there is to say of it.
struct FailedQuestion {
    cause: SilenceCause,
    answer: Option<ProviderAnswer>,
    detail: String,
    cost_usd: Option<f64>,
}

impl Judge {
    /// Makes the judge of a strategy; `deployment` is the model that judges. What `previous` remembers is taken over
    /// when it was asked the same.
    #[must_use]
    pub(crate) fn new(
        section: &config::JudgeConfig,
        deployment: &Arc<Deployment>,
        asks: JudgeContext<'_>,
        previous: Option<&Self>,
    ) -> Self {
        Self::asking(JudgeQuestion::new(section, asks.catalog), section, JudgeTools { deployment, asks }, previous)
    }

    /// Makes the judge of answers, which says of each whether it is good; see [`Self::ask_about`].
    #[must_use]
    pub(crate) fn of_answers(
        section: &config::JudgeConfig,
        deployment: &Arc<Deployment>,
        asks: JudgeContext<'_>,
        previous: Option<&Self>,
    ) -> Self {
        Self::asking(JudgeQuestion::of_answers(section), section, JudgeTools { deployment, asks }, previous)
    }

    fn asking(
        question: JudgeQuestion,
        section: &config::JudgeConfig,
        tools: JudgeTools<'_>,
        previous: Option<&Self>,
    ) -> Self {
        let JudgeTools { deployment, asks: JudgeContext { policy, caller, metrics, .. } } = tools;
        let is_same = |old: &&Self| {
            old.section == *section
                && old.deployment.upstream_name == deployment.upstream_name
                && old.question.says_as(&question)
        };
        let memory = || JudgeMemory {
            answers: (section.cache.max_entries > 0).then(|| Cache::new(section.cache.max_entries)),
            breaker: FailureBreaker::new(section.breaker.failures, section.breaker.rest.0),
            spell: JudgeSpell::default(),
            places: Semaphore::new(section.max_concurrent),
        };
        let memory = previous.filter(is_same).map_or_else(|| Arc::new(memory()), |old| Arc::clone(&old.memory));
        Self {
            section: section.clone(),
            policy: policy.clone(),
            deployment: Arc::clone(deployment),
            question,
            memory,
            metrics: metrics.judge(policy),
            caller: Arc::clone(caller),
        }
    }

    /// Asks which choice a prompt is for, unless the answer is remembered; at most for as long as the strategy waits.
    ///
    /// Cancel-safe: dropping the future gives the question up.
    ///
    /// # Errors
    /// Why there is no answer, and what the question cost all the same; counted.
    pub(crate) async fn ask(&self, prompt: &Prompt<'_>, features: &Features) -> Result<Judgement, UnansweredQuestion> {
        let started = Instant::now();
        let deadline = started + self.section.timeout.0;
        // One that only waited for another's question says nothing more about the judge.
        let found = timeout_at(deadline, self.find(prompt, features, deadline)).await;
        self.counted(found.unwrap_or(Err(JudgeFailure::Timeout.into())), started)
    }

    /// Asks what is to be thought of an answer to a prompt; at most for as long as the section's `timeout`.
    ///
    /// Cancel-safe: dropping the future gives the question up.
    ///
    /// # Errors
    /// Why there is no word, and what the question cost all the same; counted.
    pub(crate) async fn ask_about(&self, ask: &str, answer: &str) -> Result<Judgement, UnansweredQuestion> {
        let started = Instant::now();
        let deadline = started + self.section.timeout.0;
        let description = RequestDescription::of_answer(ask, answer, self.section.max_chars);
        let found = timeout_at(deadline, self.question(&description, ask, deadline)).await;
        self.counted(found.unwrap_or(Err(JudgeFailure::Timeout.into())), started)
    }

    fn counted(
        &self,
        answered: Result<Judgement, UnansweredQuestion>,
        started: Instant,
    ) -> Result<Judgement, UnansweredQuestion> {
        match &answered {
            Ok(judgement) if judgement.is_cached => self.metrics.cached(),
            Ok(_) => self.metrics.answered(started.elapsed()),
            Err(unanswered) => self.metrics.failed(unanswered.failure.as_str()),
        }
        answered
    }

    async fn find(
        &self,
        prompt: &Prompt<'_>,
        features: &Features,
        deadline: Instant,
    ) -> Result<Judgement, UnansweredQuestion> {
        let text = prompt.ask_text();
        if prompt.newest_ask().trim().is_empty() {
            return Err(JudgeFailure::NoText.into());
        }
        let description = RequestDescription::of(prompt, features, self.section.max_chars);
        let asked = || self.question(&description, &text, deadline);
        let Some(answers) = &self.memory.answers else { return asked().await };
        let key = self.question.key(&description);
        if answers.get(&key).is_some_and(|(_, until)| until <= Instant::now()) {
            answers.remove(&key);
        }
        // Whoever comes while the question is open waits for its answer.
        match answers.get_value_or_guard_async(&key).await {
            Ok((said, _)) => Ok(Judgement { is_cached: true, ..judgement(said, Some(0.0)) }),
            Err(guard) => {
                let judgement = asked().await?;
                let Judgement { label, confidence, rationale, .. } = judgement.clone();
                let until = Instant::now() + self.section.cache.hold.0;
                let _ = guard.insert((JudgeAnswer { label, confidence, rationale }, until)); // fails when it was taken out meanwhile
                Ok(judgement)
            }
        }
    }

    async fn question(
        &self,
        description: &RequestDescription,
        text: &str,
        deadline: Instant,
    ) -> Result<Judgement, UnansweredQuestion> {
        if self.deployment.is_resting() {
            return Err(JudgeFailure::Resting.into());
        }
        let Ok(_place) = self.memory.places.try_acquire() else { return Err(JudgeFailure::Busy.into()) };
        if !self.memory.breaker.admits() {
            return Err(JudgeFailure::Resting.into());
        }
        match self.exchange(description, deadline).await {
            Ok(judgement) => {
                self.memory.breaker.succeeded();
                if let Some(questions) = self.memory.spell.answered() {
                    tracing::info!(policy = %self.policy, judge = %self.deployment.model, questions, "The judge answers again");
                }
                Ok(judgement)
            }
            Err(silence) => {
                self.memory.breaker.failed();
                self.note(&silence, PrivateWords { keys: &self.keys(), words: description.words(), prompt: text });
                Err(UnansweredQuestion { failure: silence.cause.failure, cost_usd: silence.cost_usd })
            }
        }
    }

    async fn exchange(&self, description: &RequestDescription, deadline: Instant) -> Result<Judgement, FailedQuestion> {
        let asked = self.call(description)?;
        let fields: Vec<_> = asked.fields().iter().cloned().chain(own_fields()).collect();
        let (path, body) = asked.request();
        let call = ProviderCall { path, fields: &fields, body, max_bytes: MAX_BYTES, silence: None };
        match timeout_at(deadline, self.caller.post(&self.deployment, call)).await {
            Err(_) => {
                Err(FailedQuestion::of(JudgeFailure::Timeout, format!("no answer within {:?}", self.section.timeout.0)))
            }
            Ok(Ok(answer)) if answer.status == StatusCode::OK => self.read(&asked, &answer),
            Ok(Ok(answer)) => {
                let cause = SilenceCause { failure: JudgeFailure::Failed, status: Some(answer.status) };
                Err(FailedQuestion { cause, answer: Some(answer), detail: String::new(), cost_usd: None })
            }
            Ok(Err(error)) => Err(FailedQuestion::of(JudgeFailure::Failed, error.to_string())),
        }
    }

    /// Puts the question into the words of the judge's API.
    fn call(&self, description: &RequestDescription) -> Result<JudgeCall, FailedQuestion> {
        let model = &*self.deployment.upstream_name;
        if let Some(call) = DecisionCall::new(self.section.protocol, &self.question, description, model) {
            let path = self.deployment.provider.base.rebase(call.path());
            return Ok(JudgeCall::Decision { path, call });
        }
        let chat = ChatCall::new(&self.deployment, &self.question.body(description, model));
        chat.map(|chat| JudgeCall::Chat(Box::new(chat)))
            .map_err(|refusal| FailedQuestion::of(JudgeFailure::Failed, refusal.to_string()))
    }

    fn read(&self, asked: &JudgeCall, answer: &ProviderAnswer) -> Result<Judgement, FailedQuestion> {
        match asked {
            JudgeCall::Chat(asked) => self.read_chat(asked, answer),
            JudgeCall::Decision { call, .. } => self.read_decision(call, answer),
        }
    }

    /// Reads a typed decision and what it cost.
    fn read_decision(&self, call: &DecisionCall, answer: &ProviderAnswer) -> Result<Judgement, FailedQuestion> {
        let bad = |problem: String| FailedQuestion::of(JudgeFailure::BadAnswer, problem);
        let answer: Value = serde_json::from_slice(&answer.body).map_err(|_| bad("the body is no JSON".to_owned()))?;
        let cost_usd = self.paid(&answer["usage"], AnswerFormat::Responses);
        let said = call.read(&answer, &self.question.labels);
        said.map(|said| judgement(said, cost_usd)).map_err(|problem| FailedQuestion { cost_usd, ..bad(problem) })
    }

    /// Counts what an answer took, and returns what it cost.
    fn paid(&self, usage: &Value, format: AnswerFormat) -> Option<f64> {
        let usage = Usage::of_value(usage, format, &self.deployment.usage_bounds());
        let cost_usd = usage.and_then(|usage| usage.paid(self.deployment.price.as_ref()));
        if let Some(usage) = usage {
            self.metrics.paid(usage.input, usage.output, cost_usd.unwrap_or_default());
        }
        cost_usd
    }

    /// Reads the label and what the answer cost, which is paid for whatever it says.
    fn read_chat(&self, asked: &ChatCall, answer: &ProviderAnswer) -> Result<Judgement, FailedQuestion> {
        let bad = |problem: String| FailedQuestion::of(JudgeFailure::BadAnswer, problem);
        let answer = asked.read(&answer.body).map_err(|refusal| bad(refusal.to_string()))?;
        let answer: Value = serde_json::from_slice(&answer).map_err(|_| bad("the body is no JSON".to_owned()))?;
        let cost_usd = self.paid(&answer["usage"], AnswerFormat::OpenAi);
        let bad = |problem: String| FailedQuestion { cost_usd, ..bad(problem) };
        let choice = &answer["choices"][0];
        let (ending, text) = (AnswerEnding::of(choice), text_of(&choice["message"]));
        match (self.question.labels.read(&text, ending), ending) {
            (Some(said), _) => {
                // One that nobody asked for may quote the prompt where nobody expects it.
                let rationale = said.rationale.filter(|_| self.section.rationale);
                Ok(judgement(JudgeAnswer { rationale, ..said }, cost_usd))
            }
            (None, AnswerEnding::Cut) => {
                let detail =
                    format!("`max_tokens: {}` ran out after {} characters", self.section.max_tokens, text.len());
                Err(FailedQuestion { cost_usd, ..FailedQuestion::of(JudgeFailure::Truncated, detail) })
            }
            (None, AnswerEnding::Whole) => Err(bad(format!("no single label in {} characters", text.len()))),
        }
    }

    /// Says why there is no answer, once a spell and cause.
    fn note(&self, silence: &FailedQuestion, private: PrivateWords<'_>) {
        let FailedQuestion { cause, answer, detail, .. } = silence;
        if !self.memory.spell.failed(*cause) {
            return;
        }
        let words = answer.as_ref().map(|answer| private.words_of(&answer.body));
        let detail = words.as_deref().unwrap_or(detail);
        let (reason, status) = (cause.failure.as_str(), cause.status.map(|status| status.as_u16()));
        tracing::warn!(
            policy = %self.policy, judge = %self.deployment.model, reason, status, detail,
            "The judge does not answer, what follows it in the policy decides"
        );
    }

    /// Returns the operator's keys at the judge's provider.
    fn keys(&self) -> Vec<&str> {
        let values = self.deployment.provider.credential.key_values().into_iter();
        values.filter_map(|value| value.to_str().ok()).map(|key| key.strip_prefix("Bearer ").unwrap_or(key)).collect()
    }
}

impl FailedQuestion {
    fn of(failure: JudgeFailure, detail: String) -> Self {
        Self { cause: SilenceCause { failure, status: None }, answer: None, detail, cost_usd: None }
    }
}

fn judgement(said: JudgeAnswer, cost_usd: Option<f64>) -> Judgement {
    let JudgeAnswer { label, confidence, rationale } = said;
    Judgement { label, confidence, rationale, cost_usd, is_cached: false }
}
