//! The plan of a request, for `request_filter`: admits and reads the request, decides where it goes, and prepares the
//! body that goes there.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pointsman_core::config::{StateRule, TrafficLimits};
use pointsman_core::policy::Policy;
use pointsman_core::prompt::{
    Dialect, ParseError, Prompt, has_stored_prompt, names_no_model, with_model, without_context_suffix,
};
use pointsman_telemetry::DecisionStage;
use tokio::time::Instant;

use super::answer::rejection::Rejection;
use super::attempt::original::OriginalBody;
use super::context::RequestContext;
use super::downstream::admission::BodyReservation;
use super::downstream::browser;
use super::downstream::intake::{self, ReadBody};
use super::downstream::pages;
use super::large_work::{self, LARGE_BODY};
use super::record::{feedback, traced};
use super::router_question::{self, RouterQuestion};
use super::websocket::{self, AcceptedSocket};
use super::{
    Proxy, budget, cache, entry, escalation, kept_state, models, own_count, pass_through, question, shadow_answer,
};
use crate::response_cache::CachedAnswer;
use crate::router::{JudgeMode, RequestState, Routing, Verdict};

/// The plan of a request: forward it, or answer it here.
pub(super) enum RequestPlan {
    /// The request goes to the destination in its context.
    Forward,
    /// Pointsman itself answers, with this body.
    Answer(Bytes),
    /// The client gets an answer again that was kept.
    Replay(Arc<CachedAnswer>),
    /// The client speaks by WebSocket from here on.
    WebSocket(Box<AcceptedSocket>),
}

/// A body that was read, and the API that it is written for.
struct ReceivedBody {
    dialect: Dialect,
    body: Bytes,
}

/// Lets a request in and plans it, unless the process has to end.
///
/// # Errors
/// As [`entry::admit`] and [`uncut_plan`].
pub(super) async fn admitted_plan(
    proxy: &Proxy,
    session: &mut Session,
    ctx: &mut RequestContext,
) -> Result<RequestPlan, Rejection> {
    entry::admit(proxy, session, ctx)?;
    uncut_plan(proxy, session, ctx).await
}

/// Plans a request that was let in, unless the process has to end.
///
/// # Errors
/// As [`plan`], and when the process ends before.
pub(super) async fn uncut_plan(
    proxy: &Proxy,
    session: &mut Session,
    ctx: &mut RequestContext,
) -> Result<RequestPlan, Rejection> {
    let cut = ctx.open.cut();
    tokio::select! {
        biased;
        planned = plan(proxy, session, ctx) => planned,
        () = cut.fell() => Err(Rejection::ShuttingDown),
    }
}

/// Decides where the request goes, leaves the verdict and the body in `ctx`, and reserves what it may cost.
///
/// # Errors
/// When the request cannot be read, is refused, has nowhere to go, or is beyond a budget.
async fn plan(proxy: &Proxy, session: &mut Session, ctx: &mut RequestContext) -> Result<RequestPlan, Rejection> {
    budget::note_session(proxy, session.req_header(), ctx);
    let planned = destined(proxy, session, ctx).await;
    match planned {
        Ok(RequestPlan::Forward) => budget::reserve(proxy, session.req_header(), ctx).await?,
        // Each message of a WebSocket reserves for itself.
        Ok(RequestPlan::WebSocket(_)) => {}
        Ok(RequestPlan::Answer(_) | RequestPlan::Replay(_)) | Err(_) => budget::charge_unsent(proxy, ctx),
    }
    if planned.is_ok() {
        count_decision(proxy, ctx);
    }
    planned
}

/// Counts the decision that a request is sent or answered by, which nothing refuses any more.
fn count_decision(proxy: &Proxy, ctx: &RequestContext) {
    let decided = ctx.verdict.as_ref().and_then(Verdict::routing).or(ctx.passed_by.as_deref());
    if let Some(routing) = decided {
        proxy.router.count(&ctx.snapshot, routing);
    }
}

/// Decides where the request goes.
async fn destined(proxy: &Proxy, session: &mut Session, ctx: &mut RequestContext) -> Result<RequestPlan, Rejection> {
    pages::refuse_foreign(session.req_header(), ctx)?;
    if feedback::is_feedback(session.req_header()) {
        return take_feedback(proxy, session, ctx).await.map(RequestPlan::Answer);
    }
    if let Some(question) = question::of_request(session, ctx) {
        return Box::pin(question::answer(proxy, session, ctx, question)).await;
    }
    if let Some(body) = models::answer(session.req_header(), ctx)? {
        return Ok(RequestPlan::Answer(body));
    }
    // Of another proxy's WebSockets the messages never come here.
    if ctx.external.is_none() {
        if let Some(accepted) = websocket::accept(proxy, session, ctx)? {
            return Ok(RequestPlan::WebSocket(Box::new(accepted)));
        }
        if Box::pin(websocket::pass(proxy, session, ctx)).await? {
            return Ok(RequestPlan::Forward);
        }
    }
    let header = session.req_header();
    let Some(dialect) = Dialect::of_path(header.uri.path()).filter(|_| header.method == Method::POST) else {
        pass_through::pass_unread(proxy, session, ctx).await?;
        return Ok(RequestPlan::Forward);
    };
    let body = read_body(proxy, session, ctx).await?;
    let received = ReceivedBody { dialect, body };
    let planned = if received.body.len() < LARGE_BODY {
        understand(proxy, session, ctx, received).await?
    } else {
        let place = Box::pin(large_work::place(session, ctx.snapshot.config.limits.body_idle.0)).await?;
        Box::pin(large_work::drive(place, understand(proxy, session, ctx, received))).await?
    };
    ctx.clock.decided();
    Ok(planned)
}

/// Reads the body, and notes what memory it takes and when it was whole.
pub(super) async fn read_body(
    proxy: &Proxy,
    session: &mut Session,
    ctx: &mut RequestContext,
) -> Result<Bytes, Rejection> {
    let limits = &ctx.snapshot.config.limits;
    let memory = BodyReservation::new(&proxy.admission, limits.bytes_in_flight());
    let ReadBody { bytes, memory } = intake::read_body(session, limits, memory).await?;
    ctx.body_memory = memory;
    if let Some(external) = &mut ctx.external {
        external.received(&bytes);
    }
    ctx.attempts.start_retry_time(ctx.clock.body_received());
    Ok(bytes)
}

/// Routes what the client means by its body.
async fn understand(
    proxy: &Proxy,
    session: &mut Session,
    ctx: &mut RequestContext,
    received: ReceivedBody,
) -> Result<RequestPlan, Rejection> {
    let ReceivedBody { dialect, body } = received;
    let body = meant(&body, session.req_header(), ctx)?;
    route(proxy, session, ctx, ReceivedBody { dialect, body }).await
}

/// Returns the body as its client means it: JSON, whatever its `Content-Type` says, for the model that Azure's path
/// names, if it names one. There the path alone counts.
fn meant(body: &Bytes, header: &RequestHeader, ctx: &RequestContext) -> Result<Bytes, Rejection> {
    if !intake::is_json(&header.headers) && !intake::opens_object(body) {
        return Err(Rejection::unsupported(&header.headers));
    }
    let deployment = ctx.asked.azure.as_ref().and_then(|azure| azure.deployment.as_deref());
    Ok(deployment.map_or(Ok(body.clone()), |deployment| with_model(body, deployment))?)
}

/// Takes a client's word on an answer. A client that may ask anything may say how the answer was.
async fn take_feedback(proxy: &Proxy, session: &mut Session, ctx: &mut RequestContext) -> Result<Bytes, Rejection> {
    if !browser::is_labelled_json(&session.req_header().headers) {
        return Err(Rejection::unsupported(&session.req_header().headers));
    }
    let limits = &ctx.snapshot.config.limits;
    let memory = BodyReservation::new(&proxy.admission, limits.bytes_in_flight());
    let max_body_bytes = limits.max_body_bytes.min(feedback::MAX_BYTES);
    let limits = TrafficLimits { max_body_bytes, ..limits.clone() };
    let ReadBody { bytes, memory: _held } = intake::read_body(session, &limits, memory).await?;
    let answer = feedback::take_of_client(proxy, &bytes, ctx)?;
    Ok(answer.to_string().into())
}

/// Asks the router about a request whose body has come, and prepares what the verdict wants.
async fn route(
    proxy: &Proxy,
    session: &mut Session,
    ctx: &mut RequestContext,
    intake: ReceivedBody,
) -> Result<RequestPlan, Rejection> {
    let started = Instant::now();
    let ReceivedBody { dialect, body } = intake;
    let snapshot = Arc::clone(&ctx.snapshot);
    if dialect.is_google() && ctx.asked.google.is_none() {
        return Err(Rejection::ModelMissing);
    }
    let prompt = match snapshot.read_asked(dialect, ctx.asked.google.as_ref(), &body) {
        Err(ParseError::ModelMissing | ParseError::ModelNotAString)
            if dialect.is_responses() && has_stored_prompt(&body) && names_no_model(&body) =>
        {
            return pass_through::pass_nameless(proxy, session, ctx, body).await.map(|()| RequestPlan::Forward);
        }
        read => read?,
    };
    pass_through::may_name_beside(ctx, session.req_header(), dialect, &body)?;
    proxy.metrics.stage_ended(DecisionStage::Intake, started.elapsed());
    kept_state::look_up(proxy, ctx, RequestState::of_prompt(&prompt, &body)).await;
    let (client, state) = (ctx.client.as_ref().map(|used| Arc::clone(used.client())), Arc::clone(&ctx.state));
    let (client, key) = (client.as_deref(), ctx.client.as_ref().map(|used| used.key));
    let detail = router_question::wanted_detail(&proxy.router, &body);
    let (snapshot, prompt, body, state, judging) = (&*snapshot, &prompt, &body, &*state, JudgeMode::Ask);
    let asked = RouterQuestion { snapshot, client, key, prompt, body, state, judging, detail };
    asked.note_conversation(&proxy.router, session.req_header(), ctx);
    let asked = RouterQuestion { judging: budget::judging(&proxy.router, snapshot, budget::party(ctx)), ..asked };
    let wants_list = ctx.asked.wants_list(session.req_header().uri.query());
    let original = OriginalBody::new(body, prompt).answered_as(wants_list);
    ctx.attempts.body.read(original.never_asking_usage(ctx.external.as_ref().is_some_and(|it| !it.reads_answers())));
    let deadline = ctx.external.as_ref().map(|external| external.deadline());
    let (verdict, explanation) = asked.put(&proxy.router, session, deadline).await?;
    ctx.explanation = explanation;
    note_owner(proxy, ctx);
    let verdict = measured(verdict, prompt, body);
    match verdict {
        Verdict::Route(routing) => match settle_on_model(proxy, ctx, asked, routing)? {
            Some(answered) => Ok(answered),
            None if ctx.external.is_some() => prepare_attempt(proxy, ctx, asked),
            None => cache::look_up(session, ctx, asked).await?.map_or_else(|| prepare_attempt(proxy, ctx, asked), Ok),
        },
        Verdict::Pass { .. } => pass_through::pass_read(proxy, ctx, asked, verdict),
        Verdict::Deny(ref refusal) => {
            let rejection = Rejection::denied(&refusal.denial);
            proxy.router.count_denial(&refusal.denial);
            keep(ctx, prompt);
            ctx.verdict = Some(verdict);
            Err(rejection)
        }
    }
}

/// Measures a large prompt now, while it is at hand: what asked for its features later would read the whole body again,
/// on a thread that serves others, and keep it in memory until then.
fn measured(mut verdict: Verdict, prompt: &Prompt<'_>, body: &Bytes) -> Verdict {
    if body.len() >= LARGE_BODY
        && let Some(features) = verdict.features_mut()
    {
        features.measure(prompt);
    }
    verdict
}

/// Notes whose request it is, where clients may speak of the answer and could speak of another's.
fn note_owner(proxy: &Proxy, ctx: &RequestContext) {
    let is_heard = ctx.snapshot.decision_log.is_some() || proxy.router.learns();
    if let Some(client) = ctx.client_name().filter(|_| is_heard) {
        proxy.owners.note(&ctx.request_id, client);
    }
}

/// Settles on the model that a policy chose; returns the answer where Pointsman itself gives it.
fn settle_on_model(
    proxy: &Proxy,
    ctx: &mut RequestContext,
    asked: RouterQuestion<'_>,
    routing: Box<Routing>,
) -> Result<Option<RequestPlan>, Rejection> {
    let RouterQuestion { prompt, .. } = asked;
    let snapshot = Arc::clone(&ctx.snapshot);
    let target = snapshot.upstreams.model(&routing.decision.model).ok_or(Rejection::Internal)?;
    let debited = debit(ctx, prompt.dialect, || {
        routing.features.count_for(prompt, target.tokenizer);
        routing.features.tokens_of(target.tokenizer)
    });
    debited.inspect_err(|_| budget::charge_judges(proxy, ctx, &routing))?;
    let is_by_name = routing.decision.deciding_policy().is_none();
    ctx.asked.wants_long_context = is_by_name && without_context_suffix(&prompt.model).is_some();
    proxy.router.count_signals(&snapshot, &routing);
    traced::decided(&mut ctx.trace, &routing);
    keep(ctx, prompt);
    let counts_itself = own_count::takes_over(ctx, prompt.dialect, target.count_pair(prompt.dialect));
    let answered = counts_itself.then(|| {
        routing.features.count(prompt);
        RequestPlan::Answer(own_count::answer(prompt.dialect, routing.features.tokens_of(target.tokenizer)))
    });
    ctx.verdict = Some(Verdict::Route(routing));
    Ok(answered)
}

/// Prepares the request for the model that was settled on.
fn prepare_attempt(
    proxy: &Proxy,
    ctx: &mut RequestContext,
    asked: RouterQuestion<'_>,
) -> Result<RequestPlan, Rejection> {
    let started = Instant::now();
    let (RouterQuestion { prompt, body, .. }, snapshot) = (asked, Arc::clone(&ctx.snapshot));
    let Some(Verdict::Route(mut routing)) = ctx.verdict.take() else { return Err(Rejection::Internal) };
    let target = snapshot.upstreams.model(&routing.decision.model).ok_or(Rejection::Internal)?;
    let policy = snapshot.policies.get(&routing.decision.policy);
    let strips = policy.is_some_and(|policy| policy.state() == StateRule::Strip) && !ctx.state.is_amid_tools();
    let is_translated = prompt.dialect.family().is_some_and(|family| !target.dialects.has(family));
    let copies = 1 + usize::from(strips) + usize::from(!routing.decision.set.is_empty()) + usize::from(is_translated);
    reserve_copies(ctx, body, copies)?;
    ctx.attempts.body.set(&routing.decision.set);
    if strips {
        ctx.attempts.body.unseal(&ctx.state);
    }
    ctx.attempts.body.limit_answers(&routing.decision);
    ctx.attempts.body.expect_translation(routing.translation.take());
    ctx.attempts.body.treat_losses(policy.map(Policy::on_loss).unwrap_or_default());
    ctx.attempts.route_to(target, &routing, &snapshot.upstreams);
    ctx.verdict = Some(Verdict::Route(routing));
    if ctx.external.is_some() {
        ctx.attempts.body.keep_api();
        ctx.attempts.prepare(&proxy.retries)?;
    } else {
        ctx.shadow_answer = shadow_answer::plan(ctx);
        ctx.attempts.prepare(&proxy.retries)?;
        escalation::plan(ctx, prompt);
    }
    proxy.metrics.stage_ended(DecisionStage::Rewrite, started.elapsed());
    let provider = ctx.attempts.provider().unwrap_or(&target.provider);
    ctx.attempts.keep_to_peer(ctx.state.peer_at(&provider.name).cloned());
    settle_copies(ctx, body)?;
    proxy.retries.deposit(snapshot.config.retry.budget);
    ctx.attempts.avoid_resting(&proxy.retries);
    Ok(RequestPlan::Forward)
}

/// Reserves memory for so many copies of a body, before they are made.
pub(super) fn reserve_copies(ctx: &mut RequestContext, body: &Bytes, copies: usize) -> Result<(), Rejection> {
    let Some(memory) = &mut ctx.body_memory else { return Ok(()) };
    memory.cover(memory.bytes() + copies * body.len())
}

/// Corrects what is reserved to what the bodies of a request take from here on. A small one that was received is kept
/// to the end, by its features.
pub(super) fn settle_copies(ctx: &mut RequestContext, received: &Bytes) -> Result<(), Rejection> {
    let Some(memory) = &mut ctx.body_memory else { return Ok(()) };
    let bytes = ctx.attempts.body.memory(Some(received).filter(|received| received.len() < LARGE_BODY));
    memory.cover(bytes)?;
    memory.settle(bytes);
    Ok(())
}

/// Takes the prompt's tokens from the allowance of the client, when clients have keys. To count tokens takes none.
pub(super) fn debit(ctx: &mut RequestContext, dialect: Dialect, tokens: impl FnOnce() -> u64) -> Result<(), Rejection> {
    let client = ctx.client.as_mut().filter(|_| !dialect.only_counts());
    client.map_or(Ok(()), |client| client.debit(tokens))
}

/// Keeps the part of a prompt that the decision log writes, if there is one.
pub(super) fn keep(ctx: &mut RequestContext, prompt: &Prompt<'_>) {
    if let Some(log) = &ctx.snapshot.decision_log {
        ctx.kept = log.keep(&prompt.ask_text());
    }
}
