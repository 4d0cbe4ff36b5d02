//! Requests that are no policy's to decide: they go as they are to the provider that keeps what they name, else to the
//! default provider, within what their client may do. A prompt goes in other words where that provider does not speak the
//! client's API.
//!
//! A request whose body no dialect reads is governed as far as its JSON tells: the models that it names are held
//! against the client's list, rules may refuse it, and a model of the catalog goes to its own provider. What stands for
//! a policy's choice is no model there. Uploads, and what is too large to be read, are streamed.

mod named;
mod unread;

use std::sync::Arc;

use bytes::Bytes;
use pointsman_core::features::{Features, TokenCounter, TokenizerFamily};
use pointsman_core::prompt::{Prompt, splice, without_context_suffix};
use pointsman_translation::TranslationTarget;

pub(super) use self::named::may_name_beside;
pub(super) use self::unread::{pass_nameless, pass_unread};
use super::answer::rejection::Rejection;
use super::context::RequestContext;
use super::kept_state::keeping_provider;
use super::plan::{RequestPlan, debit, keep, reserve_copies, settle_copies};
use super::router_question::RouterQuestion;
use super::{Proxy, models, own_count};
use crate::router::Verdict;
use crate::upstream::{Provider, passed_translation_for};

/// Sends a request to the default provider, as it is or in the words of an API that the provider speaks, and counts what a
/// policy that only watches found.
pub(super) fn pass_read(
    proxy: &Proxy,
    ctx: &mut RequestContext,
    asked: RouterQuestion<'_>,
    verdict: Verdict,
) -> Result<RequestPlan, Rejection> {
    let RouterQuestion { snapshot, prompt, .. } = asked;
    debit(ctx, prompt.dialect, || counted(prompt))?;
    let provider = keeping_provider(ctx).or_else(|| default_provider(ctx));
    if ctx.external.is_some() {
        pass_external(proxy, ctx, asked, (verdict, provider));
        return Ok(RequestPlan::Forward);
    }
    let provider = provider.ok_or_else(|| models::not_found(&snapshot.config, &prompt.model))?;
    ctx.attempts.keep_to_peer(ctx.state.peer_at(&provider.name).cloned());
    watch(proxy, ctx, asked, verdict);
    let known_as = without_context_suffix(&prompt.model).unwrap_or(&prompt.model);
    if own_count::takes_over(ctx, prompt.dialect, provider.count_pair(prompt.dialect, known_as)) {
        return Ok(RequestPlan::Answer(own_count::answer(prompt.dialect, counted(prompt))));
    }
    prepare(ctx, asked, &provider)?;
    settle_copies(ctx, asked.body)?;
    ctx.attempts.pass_to(provider);
    Ok(RequestPlan::Forward)
}

/// Leaves a request as it came to the proxy that has asked about it: that knows where to send it.
fn pass_external(
    proxy: &Proxy,
    ctx: &mut RequestContext,
    asked: RouterQuestion<'_>,
    (verdict, provider): (Verdict, Option<Arc<Provider>>),
) {
    let RouterQuestion { snapshot, prompt, body, .. } = asked;
    watch(proxy, ctx, asked, verdict);
    ctx.asked.model = Some(prompt.model.to_string());
    ctx.attempts.body.pass(body.clone());
    if let Some(provider) = provider {
        ctx.passed_price = snapshot.upstreams.price_of(&provider, &prompt.model).map(Box::new);
        ctx.passed_bounds = snapshot.upstreams.bounds_of(&provider, &prompt.model);
        ctx.attempts.pass_to(provider);
    }
}

/// Counts what a policy that only watches found, and keeps the verdict.
fn watch(proxy: &Proxy, ctx: &mut RequestContext, asked: RouterQuestion<'_>, verdict: Verdict) {
    let RouterQuestion { snapshot, prompt, .. } = asked;
    if let Verdict::Pass { shadow, denied, .. } = &verdict {
        if let Some(refusal) = denied {
            proxy.router.count_shadow_denial(&refusal.denial);
        }
        if let Some(routing) = shadow {
            proxy.router.count_shadow(snapshot, routing);
        }
    }
    if verdict.finding().is_some() {
        keep(ctx, prompt);
    }
    ctx.verdict = Some(verdict);
}

/// Returns the tokens of a prompt, as the family of the model that it names counts them.
pub(super) fn counted(prompt: &Prompt<'_>) -> u64 {
    let family = TokenizerFamily::of_model(&prompt.model);
    Features::counted(prompt, &TokenCounter::new()).tokens_of(family)
}

/// Prepares the body for `provider`: the client's own, or a translation where it does not speak the client's API.
fn prepare(ctx: &mut RequestContext, asked: RouterQuestion<'_>, provider: &Provider) -> Result<(), Rejection> {
    let RouterQuestion { snapshot, prompt, .. } = asked;
    let known_as = without_context_suffix(&prompt.model).unwrap_or(&prompt.model);
    ctx.passed_price = snapshot.upstreams.price_of(provider, known_as).map(Box::new);
    ctx.passed_bounds = snapshot.upstreams.bounds_of(provider, known_as);
    let copies = usize::from(without_context_suffix(&prompt.model).is_some()) + usize::from(ctx.client.is_some());
    if let Some(pair) = passed_translation_for(prompt.dialect, provider, known_as)? {
        reserve_copies(ctx, asked.body, copies + 1)?;
        ctx.asked.model = Some(known_as.to_owned());
        let wanted =
            TranslationTarget { model: known_as, max_output: snapshot.upstreams.output_limit_of(provider, known_as) };
        return Ok(ctx.attempts.body.pass_translated(provider, pair, &wanted)?);
    }
    reserve_copies(ctx, asked.body, copies)?;
    let body = as_known_upstream(ctx, asked);
    let body = ctx.attempts.body.without_carried_seals(body);
    match &ctx.client {
        Some(_) => ctx.attempts.body.pass_counted(body, provider),
        None => ctx.attempts.body.pass(body),
    }
    Ok(())
}

/// Returns the body with the model as its provider calls it: the mark of a long context window is the client's own.
fn as_known_upstream(ctx: &mut RequestContext, asked: RouterQuestion<'_>) -> Bytes {
    let RouterQuestion { prompt, body, .. } = asked;
    let bare = without_context_suffix(&prompt.model);
    ctx.asked.wants_long_context = bare.is_some();
    ctx.asked.model = Some(bare.unwrap_or(&prompt.model).to_owned());
    let bare = bare.filter(|_| !prompt.model_span.is_empty());
    bare.map_or_else(
        || body.clone(),
        |bare| splice(body, prompt.model_span.clone(), &prompt.dialect.model_in_body(bare)),
    )
}

/// Returns the provider of requests that no policy decides, if there is one.
pub(super) fn default_provider(ctx: &RequestContext) -> Option<Arc<Provider>> {
    ctx.snapshot.upstreams.default_provider().cloned()
}
