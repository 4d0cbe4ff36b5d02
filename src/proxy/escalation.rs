//! The check of a cheap model's answer on its way to the client, and the way on to the strong model where it fails.
//!
//! | when | what |
//! |---|---|
//! | the request is planned | [`plan`] keeps what the checks need |
//! | the answer begins | [`EscalationWatch::begin`]: it is held, and read in its own API's words |
//! | a part comes | [`EscalationWatch::read`], [`Proxy::settle_check`](super::Proxy): it goes out, fails, or is held on |
//! | it has ended | checks that must ask somebody are a future, which the session waits for: [`asking`] |
//! | it has failed | [`Proxy::escalate`](super::Proxy): its cost is counted, and the strong model asked |
//!
//! The client sees nothing of an answer that fails. Where the strong model gives none, it gets the cheap one's after all,
//! if all of that had come.

mod asking;
mod phases;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header;
use pingora::http::ResponseHeader;
use pointsman_core::answer_check::{CheckVerdict, RefusalReading, RequestedFormat, check};
use pointsman_core::config::AnswerChecks;
use pointsman_core::policy::{AnswerCheck, EscalationPlan, HasFormat, HeldPart};
use pointsman_core::prompt::{Prompt, ResponseFormat};
use pointsman_core::usage::{AnswerFormat, AnswerText, AnswerTextReader, LogprobFilter, Usage};
use pointsman_telemetry::CheckedAnswer;
use tokio::time::Instant;

use super::attempt::body_adapter::StreamHold;
use super::attempt::escalation::LogprobRequest;
use super::attempt::original::OriginalBody;
use super::context::RequestContext;
use crate::snapshot::{AnswerAdvisers, UNAVAILABLE};
use crate::upstream::Deployment;

/// A request whose cheap answer is checked.
pub(super) struct EscalationWatch {
    plan: Arc<EscalationPlan>,
    advisers: Arc<AnswerAdvisers>,
    cheap: Arc<Deployment>,
    strong: Arc<Deployment>,
    /// The request, of which the checks may need the format, and a further answer all.
    original: OriginalBody,
    has_format: HasFormat,
    /// The estimate of the prompt's tokens.
    prompt_tokens: u64,
    /// The ask, where a judge is to read it.
    ask: Option<String>,
    logprobs: LogprobRequest,
    /// Takes the log probabilities out of the cheap answer, however it goes out.
    logprob_filter: Option<LogprobFilter>,
    state: WatchState,
    /// The outcome of checks that ask somebody.
    asked: Arc<Mutex<AskedOutcome>>,
    /// The bill of the answer that has failed.
    failed: Option<FailedAnswerBill>,
    /// The text of the answer that has failed, where answers are logged.
    failed_text: Option<Box<AnswerTextReader>>,
}

/// The bill of an answer that has failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct FailedAnswerBill {
    /// The usage.
    pub(super) usage: Usage,
    /// The cost in US dollars, where its model has a price.
    pub(super) dollars: Option<f64>,
}

/// How far the check has come.
enum WatchState {
    /// No answer of the cheap model has begun.
    Waiting,
    /// One is held.
    Held(Box<HeldAnswer>),
    /// Somebody is asked about one that has ended.
    Asking,
    /// The client gets the cheap answer.
    Over,
    /// The strong model is asked, because of this.
    Escalated(&'static str),
    /// The strong model gave no answer: the client gets the cheap one, which had failed this.
    Unanswered(&'static str),
}

/// An answer that is held.
struct HeldAnswer {
    reader: AnswerTextReader,
    bytes: usize,
    /// True once something real has come.
    has_begun: bool,
    part: HeldPart,
    is_stream: bool,
    /// The moment from which on a stream is not held.
    until: Option<Instant>,
    asker: AskerKind,
}

/// Who has asked: a judge's own question asks no judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AskerKind {
    Client,
    Judge,
}

/// The outcome of checks that ask somebody.
#[derive(Debug, Default)]
pub(super) struct AskedOutcome {
    verdict: Option<CheckVerdict>,
    /// The moment in which it was known, or the answer went out without it.
    at: Option<Instant>,
    /// True once the answer went out because it was held for as long as one may be.
    is_released: bool,
    /// The cost of further answers, in US dollars.
    samples_usd: f64,
    /// The cost of the judge, in US dollars.
    judge_usd: f64,
}

/// Keeps what is needed to check the answer of a decision's model, if its plan says so; asks for log probabilities.
pub(super) fn plan(ctx: &mut RequestContext, prompt: &Prompt<'_>) {
    let Some(plan) = ctx.routing().and_then(|routing| routing.decision.escalation.clone()) else { return };
    let snapshot = Arc::clone(&ctx.snapshot);
    let models = [plan.cheap(), plan.strong()].map(|name| snapshot.upstreams.model(name));
    let ([Some(cheap), Some(strong)], Some(advisers)) = (models, snapshot.advisers.on_answers(&plan.path)) else {
        return;
    };
    let is_cheap = ctx.attempts.model() == Some(plan.cheap()); // a translation may have moved it on already
    let Some(original) = ctx.attempts.body.original().filter(|_| is_cheap && prompt.dialect.generates()) else {
        return;
    };
    let original = original.clone();
    let has_format =
        if prompt.parameters.response_format == ResponseFormat::Text { HasFormat::No } else { HasFormat::Yes };
    let wants_logprobs = plan.config.check.min_logprob.is_some();
    let logprobs =
        if wants_logprobs { ctx.attempts.ask_for_logprobs(prompt.dialect) } else { LogprobRequest::Untouched };
    let needs_tokens = plan.config.check.self_consistency.is_some();
    let prompt_tokens = match ctx.routing() {
        Some(routing) if needs_tokens => routing.features.tokens_of(cheap.tokenizer),
        _ => 0,
    };
    ctx.escalation = Some(Box::new(EscalationWatch {
        prompt_tokens,
        ask: plan.config.check.judge.as_ref().map(|_| prompt.ask_text().into_owned()),
        advisers: Arc::clone(advisers),
        cheap: Arc::clone(cheap),
        strong: Arc::clone(strong),
        original,
        has_format,
        logprobs,
        logprob_filter: None,
        state: WatchState::Waiting,
        asked: Arc::default(),
        failed: None,
        failed_text: None,
        plan,
    }));
}

impl EscalationWatch {
    /// Returns whether the attempt's answer passes through here: it is held, or log probabilities are taken out of it.
    const fn reads(&self) -> bool {
        match self.state {
            WatchState::Held(_) => true,
            WatchState::Over => self.logprob_filter.is_some(),
            _ => false,
        }
    }

    /// Returns the word on the check for headers and logs: what the first answer has failed.
    pub(super) fn word(&self) -> Option<String> {
        match self.state {
            WatchState::Escalated(check) => Some(check.to_owned()),
            WatchState::Unanswered(check) => Some(format!("{check}; unanswered")),
            _ => None,
        }
    }

    /// Returns the strong model once it is asked.
    pub(super) fn escalated_to(&self) -> Option<&Arc<Deployment>> {
        matches!(self.state, WatchState::Escalated(_)).then_some(&self.strong)
    }

    /// Notes what an answer that has failed used and cost.
    pub(super) const fn note_failed(&mut self, bill: FailedAnswerBill) {
        self.failed = Some(bill);
    }

    /// Returns the bill of the answer that has failed, where the client got it all the same.
    pub(super) fn bill_of_unanswered(&self) -> Option<FailedAnswerBill> {
        self.failed.filter(|_| matches!(self.state, WatchState::Unanswered(_)))
    }

    /// Returns the bill of the answer that the client did not get.
    fn discarded(&self) -> Option<FailedAnswerBill> {
        self.failed.filter(|_| !matches!(self.state, WatchState::Unanswered(_)))
    }

    /// Returns the tokens of the answer that the client did not get.
    pub(super) fn discarded_tokens(&self) -> u64 {
        self.discarded().map_or(0, |bill| bill.usage.input + bill.usage.output)
    }

    /// Counts the cost of the answer that the client did not get, once the request is over.
    pub(super) fn count_discarded(&self) {
        if let Some(dollars) = self.discarded().and_then(|bill| bill.dollars) {
            self.advisers.metrics.discarded(dollars);
        }
    }

    /// Returns the cost of all answers that the client did not get, in US dollars.
    pub(super) fn cost_beside(&self) -> f64 {
        self.discarded().and_then(|bill| bill.dollars).unwrap_or_default() + self.outcome().samples_usd
    }

    /// Returns the cost of the checks that asked somebody, in US dollars.
    pub(super) fn checks_cost(&self) -> f64 {
        let asked = self.outcome();
        asked.judge_usd + asked.samples_usd
    }

    /// Returns the cost of judges of the answer, where one was paid.
    pub(super) fn judge_cost(&self) -> Option<f64> {
        Some(self.outcome().judge_usd).filter(|dollars| *dollars > 0.0)
    }

    /// Begins to hold and read an answer in the words of the API on `path`. What its header says of its length is no longer
    /// so. Returns the limits within which a stream is held.
    fn begin(&mut self, answer: &mut ResponseHeader, path: &str, client: AskedBy) -> Option<StreamHold> {
        let hold = self.plan.config.hold;
        let AskedBy { is_stream, asker } = client;
        self.logprob_filter = (self.logprobs == LogprobRequest::Added).then(LogprobFilter::default);
        if is_stream || self.logprob_filter.is_some() {
            answer.remove_header(&header::CONTENT_LENGTH);
        }
        self.state = WatchState::Held(Box::new(HeldAnswer {
            reader: AnswerTextReader::new(AnswerFormat::of_path(path), hold.max_bytes),
            bytes: 0,
            has_begun: false,
            part: self.plan.holds(self.has_format),
            is_stream,
            until: is_stream.then(|| Instant::now() + hold.max_time.0),
            asker,
        }));
        is_stream.then_some(StreamHold { longest: hold.max_time.0, comments: hold.keep_alive.0 })
    }

    /// Reads a part of the answer, and leaves in `body` what of it goes on.
    fn read(&mut self, body: &mut Option<Bytes>, end_of_stream: bool) {
        let chunk = body.take().unwrap_or_default();
        let mut is_beyond = false;
        if let WatchState::Held(held) = &mut self.state {
            held.bytes += chunk.len();
            held.reader.push(&chunk);
            is_beyond = held.bytes > self.plan.config.hold.max_bytes;
        }
        let passed = match &mut self.logprob_filter {
            None => chunk,
            Some(filter) => {
                let passed = filter.push(&chunk);
                let released = if is_beyond { filter.release() } else { Bytes::new() };
                let rest = if end_of_stream { filter.finish() } else { Bytes::new() };
                [passed, released, rest].concat().into()
            }
        };
        *body = Some(passed).filter(|passed| !passed.is_empty());
    }

    /// Forgets an answer of the cheap model that broke off while it was held: what another model says is not checked.
    fn forget_held(&mut self) {
        if matches!(self.state, WatchState::Held(_)) {
            (self.state, self.logprob_filter) = (WatchState::Waiting, None);
        }
    }

    /// Returns the verdict on a stream that is still coming, if its first words are all that is held.
    fn early(held: &HeldAnswer, checks: &AnswerChecks) -> Option<CheckVerdict> {
        if !held.is_stream || !held.has_begun {
            return None;
        }
        let so_far = held.reader.so_far();
        let has_call = !so_far.tool_calls.is_empty();
        if checks.refusal && so_far.is_refusal {
            return Some(CheckVerdict::Failed(AnswerCheck::Refusal));
        }
        match RefusalReading::of(&so_far.text) {
            RefusalReading::Refuses if checks.refusal && !has_call => Some(CheckVerdict::Failed(AnswerCheck::Refusal)),
            RefusalReading::Answers if held.part == HeldPart::Beginning => Some(CheckVerdict::Passed),
            _ if has_call && held.part == HeldPart::Beginning => Some(CheckVerdict::Passed),
            _ => None,
        }
    }

    /// Makes the checks of an answer that has ended and need nobody else.
    fn own_checks(&self, answer: Option<&AnswerText>) -> CheckVerdict {
        let checks = &self.plan.config.check;
        let first = self.plan.checks().next().unwrap_or(AnswerCheck::FinishReason);
        let Some(answer) = answer.filter(|answer| !answer.is_truncated) else { return CheckVerdict::Unmade(first) };
        let format = if checks.schema && self.has_format == HasFormat::Yes {
            RequestedFormat::of(self.original.dialect(), self.original.bytes())
        } else {
            RequestedFormat::Free
        };
        check(answer, checks, &format)
    }

    /// Returns the cause of an escalation by a verdict; `None` where the client gets the answer.
    fn cause(&self, verdict: CheckVerdict) -> Option<&'static str> {
        match verdict {
            CheckVerdict::Passed => None,
            CheckVerdict::Failed(check) => Some(check.as_str()),
            CheckVerdict::Unmade(_) if self.plan.config.stand_in() == self.plan.cheap() => None,
            CheckVerdict::Unmade(_) => Some(UNAVAILABLE),
        }
    }

    /// Counts an answer that the client gets.
    fn count_passed(&self, verdict: CheckVerdict) {
        let is_made = !matches!(verdict, CheckVerdict::Unmade(_));
        self.advisers.metrics.checked(if is_made { CheckedAnswer::Passed } else { CheckedAnswer::Unchecked });
    }

    fn outcome(&self) -> std::sync::MutexGuard<'_, AskedOutcome> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the answer is wanted, and by whom.
#[derive(Clone, Copy)]
struct AskedBy {
    is_stream: bool,
    asker: AskerKind,
}
