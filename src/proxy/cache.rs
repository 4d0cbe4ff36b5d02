//! The response cache in the phases of a request.
//!
//! | when | what |
//! |---|---|
//! | a model was chosen | [`look_up()`]: a kept answer ends the request; else it leads those that ask the same |
//! | an answer begins and passes | [`CacheUse::begin`], [`note_header`], [`CacheUse::push`]: its bytes are recorded as the client gets them |
//! | the request is over | [`Recorder::keep_response`]: a whole answer of the chosen model is kept, and who waits goes on |
//!
//! The decision comes first, so that a kept answer breaks no rule, quota or switch of its policy. What it cost is
//! remembered with it: a replay costs nothing and saves that.

mod bypass;
mod directives;
mod look_up;
mod recording;

use std::sync::Arc;

use http::StatusCode;
use pingora::Error;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pointsman_core::prompt::Dialect;
use pointsman_telemetry::metrics::{ResponseCacheOutcome, SavedCost};

use self::bypass::BypassReason;
use self::directives::forbids_keeping;
pub(super) use self::look_up::look_up;
use self::recording::{AnswerRecording, RecordedAnswer};
use super::answer;
use super::context::RequestContext;
use super::large_work;
use super::record::{Recorder, UsageBill};
use crate::response_cache::{CacheKey, CachedAnswer, ComparedAsk, FlightLead, PolicyCache, UnixMillis, is_complete};

/// The part of a policy's cache in one request.
pub(super) struct CacheUse {
    cache: Arc<PolicyCache>,
    state: CacheState,
}

/// How far the cache has come.
enum CacheState {
    /// Such requests are not kept.
    Bypass(BypassReason),
    /// No answer is kept; a model's is recorded.
    Miss(Box<CacheMiss>),
    /// The client gets a kept answer.
    Replay(ReplayedAnswer),
}

/// A request whose answer is not kept yet.
struct CacheMiss {
    key: CacheKey,
    dialect: Dialect,
    /// The lead of those that want the same answer.
    lead: Option<FlightLead>,
    /// The ask, where asks are compared.
    ask: Option<ComparedAsk>,
    recording: Option<AnswerRecording>,
}

/// A kept answer that the client gets, and how it was found.
struct ReplayedAnswer {
    answer: Arc<CachedAnswer>,
    outcome: ResponseCacheOutcome,
}

impl CacheMiss {
    const fn new(key: CacheKey, dialect: Dialect, lead: Option<FlightLead>, ask: Option<ComparedAsk>) -> Self {
        Self { key, dialect, lead, ask, recording: None }
    }
}

impl CacheUse {
    /// Begins to record an upstream's answer, if it is one to keep.
    pub(super) fn begin(&mut self, answer: &ResponseHeader) {
        let max_bytes = self.cache.section().max_entry_bytes;
        if let CacheState::Miss(miss) = &mut self.state {
            let may_be_kept = answer.status == StatusCode::OK && !forbids_keeping(&answer.headers);
            miss.recording = may_be_kept.then(|| AnswerRecording::new(max_bytes));
        }
    }

    /// Records a chunk of the answer as its client gets it.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        if let Some(recording) = self.recording() {
            recording.push(chunk);
        }
    }

    /// Forgets the recording: the client does not get that answer.
    pub(super) fn forget(&mut self) {
        if let CacheState::Miss(miss) = &mut self.state {
            miss.recording = None;
        }
    }

    /// Returns the kept answer that the client gets, if it gets one.
    pub(super) fn replay(&self) -> Option<&CachedAnswer> {
        self.kept().map(|answer| &**answer)
    }

    /// Returns the word on the cache's part for headers and logs.
    pub(super) const fn word(&self) -> &'static str {
        match &self.state {
            CacheState::Bypass(reason) => reason.as_str(),
            _ => self.outcome().as_str(),
        }
    }

    fn kept(&self) -> Option<&Arc<CachedAnswer>> {
        match &self.state {
            CacheState::Replay(replayed) => Some(&replayed.answer),
            CacheState::Bypass(_) | CacheState::Miss(_) => None,
        }
    }

    const fn outcome(&self) -> ResponseCacheOutcome {
        match &self.state {
            CacheState::Bypass(_) => ResponseCacheOutcome::Bypass,
            CacheState::Miss(_) => ResponseCacheOutcome::Miss,
            CacheState::Replay(replayed) => replayed.outcome,
        }
    }

    const fn recording(&mut self) -> Option<&mut AnswerRecording> {
        match &mut self.state {
            CacheState::Miss(miss) => miss.recording.as_mut(),
            CacheState::Bypass(_) | CacheState::Replay(_) => None,
        }
    }
}

/// Notes the header that a client gets with an answer that is recorded.
pub(super) fn note_header(ctx: &mut RequestContext, answer: &ResponseHeader) {
    if let Some(recording) = ctx.cache.as_mut().and_then(|used| used.recording()) {
        recording.note_header(&answer.headers);
    }
}

impl Recorder {
    /// Counts the part of the cache in a request that is over, and keeps its answer if that is one to keep. Whoever waits for
    /// it goes on.
    pub(super) fn keep_response(
        &self,
        session: &Session,
        error: Option<&Error>,
        ctx: &mut RequestContext,
        bill: UsageBill,
    ) {
        let Some(mut used) = ctx.cache.take() else { return };
        used.cache.metrics().ended(used.outcome());
        if let CacheState::Miss(miss) = &mut used.state
            && is_of_choice(ctx)
            && is_whole(session, error, ctx)
            && let Some(recorded) = miss.recording.take().and_then(AnswerRecording::end)
            && let Some(model) = ctx.attempts.model().cloned()
        {
            let RecordedAnswer { content_type, body } = recorded;
            let UsageBill { cost, baseline, .. } = bill;
            let answer = CachedAnswer { kept_at: UnixMillis::now(), content_type, body, model, cost, baseline };
            keep(&used.cache, miss, answer);
        }
        if let CacheState::Miss(miss) = &mut used.state {
            miss.lead = None;
        }
        ctx.cache = Some(used); // the line of the decision log says its word
    }

    /// Counts what a kept answer saved; a replay itself costs nothing.
    pub(super) fn bill_replay(ctx: &RequestContext) -> UsageBill {
        let (Some(used), Some(answer)) = (&ctx.cache, ctx.replay()) else { return UsageBill::default() };
        if let (Some(dollars), Some(baseline)) = (answer.cost, answer.baseline) {
            let judges = ctx.routing().and_then(|routing| routing.decision.cost_usd).unwrap_or_default();
            used.cache.metrics().saved(SavedCost { dollars, baseline, judges }, ctx.client_name());
        }
        UsageBill { cost: answer.cost.map(|_| 0.0), baseline: answer.baseline, ..UsageBill::default() }
    }
}

/// Keeps an answer that is complete.
fn keep(cache: &PolicyCache, miss: &CacheMiss, answer: CachedAnswer) {
    large_work::at_once(answer.body.len(), || {
        if !is_complete(miss.dialect, &answer.body) {
            return;
        }
        if let Some(ask) = &miss.ask {
            cache.remember(ask, miss.key);
        }
        cache.keep(miss.key, answer);
    });
}

/// Returns whether the answer is by the model that was chosen, or by the strong one of its plan: that of a fallback is for
/// one request.
fn is_of_choice(ctx: &RequestContext) -> bool {
    let (Some(routing), Some(model)) = (ctx.routing(), ctx.attempts.model()) else { return false };
    match &ctx.escalation {
        None => *model == routing.decision.model,
        Some(watch) => match watch.escalated_to() {
            Some(strong) => *model == strong.model,
            None => *model == routing.decision.model && watch.word().is_none(),
        },
    }
}

/// Returns whether the client got a whole answer with status 200.
fn is_whole(session: &Session, error: Option<&Error>, ctx: &RequestContext) -> bool {
    let has_ended = error.is_none_or(|error| answer::is_whole(ctx, error));
    let status = answer::begun(session).map(|header| header.status);
    has_ended && status == Some(StatusCode::OK) && ctx.rejected.is_none()
}
