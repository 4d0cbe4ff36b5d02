//! Requests that no dialect reads, and those that leave the model to a prompt of their provider's.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use pingora::proxy::Session;
use pointsman_core::features::{Features, TokenCount, TokenizerFamily};
use pointsman_core::policy::{DecisionDetail, Denial};
use pointsman_core::prompt::{Dialect, ParseError, Prompt, TextScope, nearest_dialect, with_readable_model};

use super::default_provider;
use super::named::{RequestedModels, is_limited};
use crate::proxy::Proxy;
use crate::proxy::answer::rejection::Rejection;
use crate::proxy::attempt::original::AnswerKind;
use crate::proxy::context::RequestContext;
use crate::proxy::downstream::client_use;
use crate::proxy::downstream::intake::{BodyTrust, UnreadBody};
use crate::proxy::kept_state::{self, is_own_call, keeping_provider};
use crate::proxy::large_work::{self, LARGE_BODY};
use crate::proxy::plan::{debit, read_body, reserve_copies, settle_copies};
use crate::router::{IncomingRequest, JudgeMode, QuotaMode, RequestState, Verdict, header_text};
use crate::upstream::is_spoken_by;

/// The bytes of a text that are taken for a token where no dialect says how its tokens are counted.
const BYTES_PER_TOKEN: u64 = 4;

/// A body that was read to see what it says, and its reader's dialect.
struct SeenBody<'b> {
    body: &'b Bytes,
    dialect: Dialect,
}

/// Sends a request that no dialect reads to the default provider, if its client may have it. JSON is looked at first;
/// everything else is streamed.
///
/// # Errors
/// When the client may not ask for it, its path leads upwards, a rule refuses it, or there is no default provider.
pub(in crate::proxy) async fn pass_unread(
    proxy: &Proxy,
    session: &mut Session,
    ctx: &mut RequestContext,
) -> Result<(), Rejection> {
    if !client_use::may_use(ctx.client.as_ref(), None) && !is_own_call(proxy, ctx, session.req_header()).await {
        return Err(Rejection::NotAllowed);
    }
    let body = read(proxy, session, ctx).await?;
    if body.as_ref().is_none_or(|body| body.len() < LARGE_BODY) {
        return look(proxy, session, ctx, body).await;
    }
    let place = Box::pin(large_work::place(session, ctx.snapshot.config.limits.body_idle.0)).await?;
    Box::pin(large_work::drive(place, look(proxy, session, ctx, body))).await
}

/// Looks at a body that was read, and sends it where it is for.
async fn look(
    proxy: &Proxy,
    session: &Session,
    ctx: &mut RequestContext,
    body: Option<Bytes>,
) -> Result<(), Rejection> {
    let (models, known) = RequestedModels::read(session.req_header(), &ctx.asked, body.as_ref());
    match known {
        Err(error) if is_limited(ctx) || (error != ParseError::AmbiguousModel && ctx.snapshot.policies.may_deny()) => {
            return Err(error.into());
        }
        Ok(()) | Err(_) => {} // what is no JSON names no model
    }
    models.check(ctx)?;
    if ctx.asked.climbs {
        return Err(Rejection::PathClimbs);
    }
    if let Some(body) = &body {
        let seen = SeenBody { body, dialect: nearest_dialect(body) };
        govern(proxy, session, ctx, &seen)?;
    }
    let path = session.req_header().uri.path().to_owned();
    kept_state::look_up_call(proxy, ctx, &path, body.as_deref().unwrap_or_default()).await;
    send(ctx, &models, body)
}

/// Sends a request to the provider of the model that it is for, else to the one that keeps what it names, else to the
/// default provider.
fn send(ctx: &mut RequestContext, models: &RequestedModels, body: Option<Bytes>) -> Result<(), Rejection> {
    let snapshot = Arc::clone(&ctx.snapshot);
    let target = models.target(ctx).map(|target| (Arc::clone(&target.provider), target.upstream_name.clone()));
    let body = match (models.target(ctx).is_some(), body) {
        (true, Some(body)) => {
            reserve_copies(ctx, &body, 1)?;
            models.target(ctx).map(|target| models.body_for(target, body))
        }
        (_, body) => body,
    };
    let provider = match target {
        Some((provider, name)) => {
            ctx.passed_price = snapshot.upstreams.price_of(&provider, &name).map(Box::new);
            ctx.passed_bounds = snapshot.upstreams.bounds_of(&provider, &name);
            ctx.asked.model = Some(name);
            provider
        }
        None => {
            ctx.asked.model = models.first().map(str::to_owned);
            keeping_provider(ctx).or_else(|| default_provider(ctx)).ok_or(Rejection::PathNotFound)?
        }
    };
    if provider.cloud.is_some() {
        return Err(Rejection::PathNotFound); // of a cloud's own paths none is a client's
    }
    ctx.attempts.keep_to_peer(ctx.state.peer_at(&provider.name).cloned());
    ctx.attempts.pass_to(provider);
    if let Some(body) = body {
        ctx.attempts.body.pass_once(body.clone());
        settle_copies(ctx, &body)?;
    }
    Ok(())
}

/// Sends a request that leaves the model to a prompt which its provider keeps to the default provider.
///
/// # Errors
/// When the client may ask for some models only, a rule refuses it, or there is no default provider.
pub(in crate::proxy) async fn pass_nameless(
    proxy: &Proxy,
    session: &mut Session,
    ctx: &mut RequestContext,
    body: Bytes,
) -> Result<(), Rejection> {
    if !client_use::may_use(ctx.client.as_ref(), None) {
        return Err(Rejection::NotAllowed);
    }
    if is_limited(ctx) {
        return Err(Rejection::denied(&Denial::unnamed_for_client()));
    }
    let dialect = Dialect::of_path(session.req_header().uri.path()).unwrap_or(Dialect::Responses);
    govern(proxy, session, ctx, &SeenBody { body: &body, dialect })?;
    let named = with_readable_model(&body)?;
    let (asks_for, state) = {
        let snapshot = Arc::clone(&ctx.snapshot);
        let prompt = snapshot.read(dialect, &named)?;
        (AnswerKind::of(&prompt), RequestState::of_prompt(&prompt, &named))
    };
    kept_state::look_up(proxy, ctx, state).await;
    let provider = keeping_provider(ctx).or_else(|| default_provider(ctx)).ok_or(Rejection::ModelMissing)?;
    is_spoken_by(dialect, &provider)?; // a prompt that one vendor keeps is none in another's API
    ctx.attempts.keep_to_peer(ctx.state.peer_at(&provider.name).cloned());
    ctx.attempts.pass_to(provider);
    ctx.attempts.body.pass_for(body, asks_for);
    Ok(())
}

/// Reads the body where it may be JSON. Some servers read what nobody should send beside GET, so it is read where a
/// list, a rule or a limit holds, and by whatever method on the path of a prompt.
async fn read(proxy: &Proxy, session: &mut Session, ctx: &mut RequestContext) -> Result<Option<Bytes>, Rejection> {
    let limits = &ctx.snapshot.config.limits;
    let is_prompt_s = Dialect::of_path(session.req_header().uri.path()).is_some();
    let trust = if is_limited(ctx) || is_prompt_s { BodyTrust::Limited } else { BodyTrust::Any };
    let is_governed = trust == BodyTrust::Limited || ctx.snapshot.policies.may_deny() || ctx.counts_tokens();
    let is_reading = matches!(session.req_header().method, Method::GET | Method::HEAD);
    if (is_reading && !is_governed) || session.as_downstream_mut().is_body_empty() {
        return Ok(None);
    }
    match UnreadBody::of(session.req_header(), limits.max_body_bytes, trust) {
        UnreadBody::Hidden if trust == BodyTrust::Any => return Ok(None),
        UnreadBody::Absent | UnreadBody::Streamed => return Ok(None),
        UnreadBody::Readable | UnreadBody::Hidden => {} // what is hidden is refused, in the reader's words
    }
    read_body(proxy, session, ctx).await.map(Some)
}

/// Has the rules of policies refuse a request, and takes its tokens from the client's allowance.
fn govern(proxy: &Proxy, session: &Session, ctx: &mut RequestContext, seen: &SeenBody<'_>) -> Result<(), Rejection> {
    let snapshot = Arc::clone(&ctx.snapshot);
    if !snapshot.policies.may_deny() && !ctx.counts_tokens() {
        return Ok(());
    }
    let body = match with_readable_model(seen.body) {
        Ok(body) => body,
        Err(ParseError::InvalidJson { .. } | ParseError::NotAnObject) => return Ok(()), // holds no prompt
        Err(error) => return Err(error.into()),
    };
    let prompt = snapshot.read(seen.dialect, &body)?; // what cannot be read would pass its rules
    let header = session.req_header();
    let field = |name: &str| header_text(&header.headers, name);
    let (client, state) = (ctx.client.as_ref().map(|used| Arc::clone(used.client())), Arc::clone(&ctx.state));
    let incoming = IncomingRequest {
        path: header.uri.path(),
        header: &field,
        client: client.as_deref(),
        key: ctx.client.as_ref().map(|used| used.key),
        prompt: &prompt,
        body: &body,
        state: Some(&state),
        at: None,
        judging: JudgeMode::Never,
        quotas: QuotaMode::Look,
        detail: DecisionDetail::Decision,
    };
    let features = match Dialect::of_path(header.uri.path()) {
        Some(_) => Features::deferred(&prompt, &body),
        None => estimated(&prompt, &body),
    };
    if let Some(refusal) = proxy.router.refusal(&snapshot, &incoming, &features) {
        let rejection = Rejection::denied(&refusal.denial);
        ctx.verdict = Some(Verdict::Deny(refusal));
        return Err(rejection);
    }
    if header.method == Method::POST {
        debit(ctx, seen.dialect, || features.tokens_of(TokenizerFamily::of_model(&prompt.model)))?;
    }
    Ok(())
}

/// Returns the features of a body that no dialect reads: what its texts may cost counts, wherever they stand.
fn estimated(prompt: &Prompt<'_>, body: &Bytes) -> Features {
    let mut bytes = 0_u64;
    prompt.any_text(body, TextScope::All, &mut |text| {
        bytes = bytes.saturating_add(text.len() as u64);
        false
    });
    let features = Features::deferred(prompt, body);
    let (counted, tokens) = (features.tokens(), bytes.min(body.len() as u64) / BYTES_PER_TOKEN);
    if counted.tokens >= tokens { features } else { features.with_tokens(TokenCount { tokens, estimated: true }) }
}
