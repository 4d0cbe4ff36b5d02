//! Asking another model what a client was answered: planned with the decision, begun when the client's answer is over, and
//! written into the decision log.
//!
//! Nothing of it is the client's: no quota, budget, pin, usage or metric of requests sees it, and a client that waits for
//! its answer never waits for this.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use pointsman_core::config::Name;
use pointsman_core::features::TokenCounter;
use pointsman_core::usage::{AnswerFormat, AnswerFraming, AnswerText, AnswerTextReader, Usage, UsageReader};
use pointsman_telemetry::decision_log::record::{RecordKind, ShadowAnswerRecord};
use pointsman_telemetry::{DecisionLog, DecisionLogEntry};
use pointsman_translation::AnswerDetails;
use tokio::time::Instant;

use super::attempt::original::OriginalBody;
use super::attempt::shadow_body::{MAX_BODY, ShadowRequest};
use super::context::RequestContext;
use super::large_work;
use super::record::{Recorder, RedactedTexts, TextEnd};
use crate::router::{AnsweredRequest, Router};
use crate::shadow_answers::{SettledCost, ShadowAsker, ShadowOutcome, ShadowPlace, ShadowQuestion};
use crate::snapshot::Snapshot;
use crate::upstream::{ModelCall, ProviderAnswer};

/// A request that another model is asked too.
pub(super) struct PlannedShadowAnswer {
    asker: Arc<ShadowAsker>,
    original: OriginalBody,
}

/// A request whose client has its answer.
struct ShadowTask {
    asker: Arc<ShadowAsker>,
    original: OriginalBody,
    router: Arc<Router>,
    snapshot: Arc<Snapshot>,
    log: DecisionLog,
    request_id: String,
    client: Option<Name>,
    policy: Name,
    served_by: Name,
    /// The estimate of the prompt's tokens.
    tokens: u64,
    /// The bytes of the answer that are written.
    max_bytes: usize,
    _place: ShadowPlace,
}

/// The answer of the other model, or why there is none.
#[derive(Default)]
struct ShadowReply {
    status: Option<u16>,
    error: Option<Cow<'static, str>>,
    answer: Option<AnswerText>,
    usage: Option<Usage>,
    cost: Option<f64>,
    took: Duration,
}

/// A shadow answer on its way into the log.
struct LoggedShadowAnswer {
    task: ShadowTask,
    ended: SystemTime,
    reply: ShadowReply,
}

/// Keeps what another model is to be asked, if the request is among those.
pub(super) fn plan(ctx: &RequestContext) -> Option<Box<PlannedShadowAnswer>> {
    if ctx.snapshot.shadow_askers.is_empty() {
        return None;
    }
    let policy = ctx.routing()?.decision.deciding_policy()?;
    let asker = ctx.snapshot.shadow_askers.get(policy).filter(|asker| asker.samples(&ctx.request_id))?;
    let original = ctx.attempts.body.original()?;
    if original.bytes().len() > MAX_BODY || original.dialect().family().is_none() || !original.dialect().generates() {
        asker.ended(ShadowOutcome::Unsuitable);
        return None;
    }
    Some(Box::new(PlannedShadowAnswer { asker: Arc::clone(asker), original: original.clone() }))
}

impl Recorder {
    /// Begins to ask the other model, where that was planned and the client has a whole answer to compare with, which had this
    /// status.
    pub(super) fn begin_shadow_answer(&self, ctx: &mut RequestContext, status: Option<u16>) {
        let Some(planned) = ctx.shadow_answer.take() else { return };
        let PlannedShadowAnswer { asker, original } = *planned;
        let ended = |outcome: ShadowOutcome| asker.ended(outcome);
        let (Some(log), Some(model), true) = (
            ctx.snapshot.decision_log.clone(),
            ctx.attempts.model().cloned(),
            status.is_some_and(|status| (200..300).contains(&status)) && ctx.rejected.is_none(),
        ) else {
            return ended(ShadowOutcome::Unanswered);
        };
        if model == asker.deployment().model {
            return ended(ShadowOutcome::SameModel);
        }
        let tokenizer = asker.deployment().tokenizer;
        let decided = ctx.routing().and_then(|routing| {
            Some((routing.decision.deciding_policy()?.clone(), routing.features.tokens_of(tokenizer)))
        });
        let max_bytes = log.answer_bytes(&ctx.request_id);
        let (Some((policy, tokens)), Some(max_bytes), false) = (decided, max_bytes, ctx.state.names_any()) else {
            return ended(ShadowOutcome::Unsuitable);
        };
        if asker.deployment().is_resting() {
            return ended(ShadowOutcome::Resting);
        }
        let Some(place) = asker.enter() else { return ended(ShadowOutcome::Busy) };
        let task = ShadowTask {
            asker,
            original,
            router: Arc::clone(&self.router),
            snapshot: Arc::clone(&ctx.snapshot),
            log,
            request_id: ctx.request_id.clone(),
            client: ctx.client_name().cloned(),
            policy,
            served_by: model,
            tokens,
            max_bytes,
            _place: place,
        };
        tokio::spawn(task.run());
    }
}

impl ShadowTask {
    async fn run(self) {
        let (target, started) = (Arc::clone(self.asker.deployment()), Instant::now());
        let Some(request) = self.original.shadow_request(&target, self.asker.max_tokens()) else {
            return self.asker.ended(ShadowOutcome::Unsuitable);
        };
        let call = ModelCall::new(&target, request.dialect, &request.body);
        let ModelCall { path, fields, body } = &call;
        let question = ShadowQuestion { url: path, fields, body, tokens: self.tokens };
        let hold = match self.asker.reserve(question).await {
            Ok(hold) => hold,
            Err(outcome) => return self.asker.ended(outcome),
        };
        let (reply, cost) = match self.asker.ask(question).await {
            Ok(answer) => {
                let reply = large_work::at_once(answer.body.len(), || self.read(&request, &answer));
                let cost = SettledCost::of(answer.status, reply.usage.as_ref(), reply.cost);
                (reply, cost)
            }
            // It may have been sent, and worked on.
            Err(error) => (ShadowReply { error: Some(error.into()), ..ShadowReply::default() }, SettledCost::Unknown),
        };
        self.asker.settle(hold, cost, self.client.as_ref()).await;
        let outcome = if reply.answer.is_some() { ShadowOutcome::Answered } else { ShadowOutcome::Failed };
        let ShadowTask { request_id, client, policy, .. } = &self;
        let answered = AnsweredRequest { request_id, client: client.as_ref(), policy, model: &target.model };
        self.router.remember_shadow_answer(answered);
        let (log, asker) = (self.log.clone(), Arc::clone(&self.asker));
        let reply = ShadowReply { took: started.elapsed(), ..reply };
        log.write(Box::new(LoggedShadowAnswer { task: self, ended: SystemTime::now(), reply }));
        asker.ended(outcome);
    }

    /// Reads what the provider has answered: its usage in its own words, its text in the client's.
    fn read(&self, request: &ShadowRequest, answer: &ProviderAnswer) -> ShadowReply {
        let status = Some(answer.status.as_u16());
        if !answer.status.is_success() {
            let error = Some(Cow::from(format!("status {}", answer.status.as_u16())));
            return ShadowReply { status, error, ..ShadowReply::default() };
        }
        let target = self.asker.deployment();
        let mut reader = UsageReader::new(AnswerFormat::of_path(request.dialect.path()), AnswerFraming::Json);
        reader.push(&answer.body);
        let usage = reader.usage_within(&target.usage_bounds(), || self.tokens, &TokenCounter::new());
        let cost = usage.and_then(|usage| usage.paid(target.price.as_ref()));
        let text = self.client_words(request, &answer.body).and_then(|body| {
            let format = AnswerFormat::of_path(self.original.dialect().path());
            let mut text = AnswerTextReader::new(format, self.max_bytes);
            text.push(&body);
            text.finish()
        });
        let error = text.is_none().then_some(Cow::Borrowed("the answer is none of its API"));
        ShadowReply { status, error, answer: text, usage, cost, took: Duration::ZERO }
    }

    /// Returns an answer in the words of the client's API.
    fn client_words(&self, request: &ShadowRequest, body: &Bytes) -> Option<Bytes> {
        let Some(translation) = &request.translation else { return Some(body.clone()) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let details = AnswerDetails { now, unique: "shadow", memo: &translation.memo };
        translation.pair.answer(body, &details).ok().map(Bytes::from)
    }
}

impl DecisionLogEntry for LoggedShadowAnswer {
    fn write(&self, line: &mut Vec<u8>) {
        let Self { task, ended, reply } = self;
        let ShadowReply { status, error, answer, usage, cost, took } = reply;
        let (target, mut texts) = (task.asker.deployment(), RedactedTexts::new(&task.log));
        let answer = answer.as_ref();
        let record = ShadowAnswerRecord {
            kind: RecordKind::ShadowAnswer,
            time: humantime::format_rfc3339_millis(*ended).to_string().into(),
            request_id: Cow::from(&task.request_id),
            client: task.client.as_deref().map(Cow::from),
            policy: Cow::from(&*task.policy),
            generation: task.snapshot.generation,
            model: Some(Cow::from(&*target.model)),
            provider: Some(Cow::from(&*target.provider.name)),
            served_by: Some(Cow::from(&*task.served_by)),
            status: *status,
            error: error.as_deref().map(Cow::from),
            answer: answer.map(|answer| texts.of(&answer.text, TextEnd::of(answer))),
            tool_calls: answer.map(|answer| texts.calls(answer)).unwrap_or_default(),
            finish_reason: answer.and_then(|answer| answer.finish_reason.as_deref()).map(Cow::from),
            answer_bytes: answer.map(|answer| answer.bytes),
            answer_truncated: answer.is_some_and(|answer| answer.is_truncated),
            redactions: texts.replaced(),
            input_tokens: usage.map(|usage| usage.input),
            output_tokens: usage.map(|usage| usage.output),
            cost_usd: *cost,
            duration_ms: (took.as_secs_f64() * 1e6).round() / 1e3,
        };
        // Plain data with text for keys.
        serde_json::to_writer(line, &record).expect("a Vec takes what is written");
    }
}
