//! Requests that are no policy's to decide: they go as they are to the provider that keeps what they name, else to the
//! default provider, within what their client may do.
//!
//! A request whose body no dialect reads is governed as far as its JSON tells: the models that it names are held
//! against the client's list, rules may refuse it, and a model of the catalog goes to its own provider. What stands for
//! a policy's choice is no model there. Uploads, and what is too large to be read, are streamed.

mod named;
mod unread;

use std::sync::Arc;

use bytes::Bytes;
use pointsman_core::features::{Features, TokenCounter, TokenizerFamily};
use pointsman_core::prompt::{splice, without_context_suffix};

pub(super) use self::named::may_name_beside;
pub(super) use self::unread::{pass_nameless, pass_unread};
use super::answer::rejection::Rejection;
use super::context::RequestContext;
use super::kept_state::keeping_provider;
use super::plan::{RouterQuestion, debit, keep, reserve_copies, settle_copies};
use super::{Proxy, models};
use crate::router::Verdict;
use crate::upstream::Provider;

/// Sends a request to the default provider, as it is, and counts what a policy that only watches found.
pub(super) fn pass_read(
    proxy: &Proxy,
    ctx: &mut RequestContext,
    asked: RouterQuestion<'_>,
    verdict: Verdict,
) -> Result<(), Rejection> {
    let RouterQuestion { snapshot, prompt, .. } = asked;
    debit(ctx, prompt.dialect, || {
        let family = TokenizerFamily::of_model(&prompt.model);
        Features::counted(prompt, &TokenCounter::new()).tokens_of(family)
    })?;
    let provider = keeping_provider(ctx).or_else(|| default_provider(ctx));
    let provider = provider.ok_or_else(|| models::not_found(&snapshot.config, &prompt.model))?;
    ctx.attempts.keep_to_peer(ctx.state.peer_at(&provider.name).cloned());
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
    let copies = usize::from(without_context_suffix(&prompt.model).is_some()) + usize::from(ctx.client.is_some());
    reserve_copies(ctx, asked.body, copies)?;
    let body = as_known_upstream(ctx, asked);
    let body = ctx.attempts.body.without_carried_seals(body);
    let known_as = without_context_suffix(&prompt.model).unwrap_or(&prompt.model);
    ctx.passed_price = snapshot.upstreams.price_of(&provider, known_as).map(Box::new);
    ctx.passed_bounds = snapshot.upstreams.bounds_of(&provider, known_as);
    match &ctx.client {
        Some(_) => ctx.attempts.body.pass_counted(body, &provider),
        None => ctx.attempts.body.pass(body),
    }
    settle_copies(ctx, asked.body)?;
    ctx.attempts.pass_to(provider);
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
