//! Requests that are no policy's to decide: they go to the default provider as they are.

use std::sync::Arc;

use http::header;
use pingora::http::RequestHeader;
use pointsman_core::features::{Features, TokenCounter, TokenizerFamily};
use pointsman_core::prompt::Dialect;

use super::answer::rejection::Rejection;
use super::context::RequestContext;
use super::plan::{RouterQuestion, debit, keep};
use super::{Proxy, models};
use crate::proxy::downstream::client_use;
use crate::router::Verdict;
use crate::upstream::Provider;

/// Sends a request that no dialect reads to the default provider; its body is streamed.
///
/// # Errors
/// When the client may not ask for anything but a policy's models, or there is no default provider.
pub(super) fn pass_unread(
    header: &RequestHeader,
    dialect: Option<Dialect>,
    ctx: &mut RequestContext,
) -> Result<(), Rejection> {
    if !client_use::may_use(ctx.client.as_ref(), None) {
        return Err(Rejection::NotAllowed);
    }
    let provider = default_provider(ctx).ok_or_else(|| unreadable(header, dialect))?;
    ctx.attempts.pass_to(provider);
    Ok(())
}

/// Sends a request to the default provider, as it is, and counts what a policy that only watches found.
pub(super) fn pass_read(
    proxy: &Proxy,
    ctx: &mut RequestContext,
    asked: RouterQuestion<'_>,
    verdict: Verdict,
) -> Result<(), Rejection> {
    let RouterQuestion { snapshot, prompt, body, .. } = asked;
    debit(ctx, || Features::counted(prompt, &TokenCounter::new()).tokens_of(TokenizerFamily::of_model(&prompt.model)))?;
    let provider = default_provider(ctx).ok_or_else(|| models::not_found(&snapshot.config, &prompt.model))?;
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
    ctx.attempts.pass_to(provider);
    ctx.attempts.body.pass(body.clone());
    Ok(())
}

/// Says why a request that no dialect reads has nowhere to go.
fn unreadable(header: &RequestHeader, dialect: Option<Dialect>) -> Rejection {
    let content_type = header.headers.get(header::CONTENT_TYPE).map(|given| String::from_utf8_lossy(given.as_bytes()));
    match (dialect, content_type) {
        (Some(_), Some(given)) => Rejection::UnsupportedMediaType { content_type: given.into_owned() },
        _ => Rejection::PathNotFound,
    }
}

/// Returns the provider of requests that no policy decides, if there is one.
pub(super) fn default_provider(ctx: &RequestContext) -> Option<Arc<Provider>> {
    ctx.snapshot.upstreams.default_provider().cloned()
}
