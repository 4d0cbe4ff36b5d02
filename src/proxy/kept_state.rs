//! State that providers keep, on its way through the proxy: looked up before a request is sent, learnt from its answer.
//!
//! Who keeps what is the router's to know; here is only when it is asked and told.

use std::sync::Arc;

use http::{Method, header};
use pingora::http::RequestHeader;
use pointsman_core::config::{Name, StateRule};
use pointsman_core::prompt::state::StateName;
use pointsman_core::usage::{StateScope, UsageReader};

use super::Proxy;
use super::answer::meter::AnswerMeter;
use super::context::RequestContext;
use super::record::Recorder;
use crate::router::{RequestState, StateKeeper};
use crate::upstream::Provider;

/// Looks up what a request names that no dialect reads: in its path, or else in its JSON body, if that was read.
pub(super) async fn look_up_call(proxy: &Proxy, ctx: &mut RequestContext, path: &str, body: &[u8]) {
    // Google's API names cached contents in the body, on the path of a model.
    if StateName::is_kept_under(path) || !body.is_empty() {
        look_up(proxy, ctx, RequestState::of_call(path, body)).await;
    }
}

/// Looks up who keeps what a request names, counts it, and leaves it in `ctx`.
pub(super) async fn look_up(proxy: &Proxy, ctx: &mut RequestContext, mut state: RequestState) {
    proxy.router.find_state(&ctx.snapshot, ctx.client_name(), &mut state).await;
    proxy.router.count_state(&state);
    ctx.state = Arc::new(state);
}

/// Returns whether a request reads, cancels or deletes what its own client is known to have made.
pub(super) async fn is_own_call(proxy: &Proxy, ctx: &RequestContext, header: &RequestHeader) -> bool {
    let path = header.uri.path();
    let is_cancel = header.method == Method::POST && path.ends_with("/cancel");
    let cares = is_cancel || matches!(header.method, Method::GET | Method::HEAD | Method::DELETE);
    if !cares || ctx.client.is_none() || header.headers.contains_key(header::UPGRADE) {
        return false;
    }
    let mut state = RequestState::of_call(path, &[]);
    proxy.router.find_state(&ctx.snapshot, ctx.client_name(), &mut state).await;
    state.keeper(StateRule::Stay).is_some()
}

/// Returns the provider that keeps what a request names which passes through.
pub(super) fn keeping_provider(ctx: &RequestContext) -> Option<Arc<Provider>> {
    let keeper = ctx.state.keeper(StateRule::Stay)?;
    ctx.snapshot.upstreams.provider(&keeper.provider).cloned()
}

/// Returns the scope in which an answer may name state.
pub(super) fn scope_of(header: &RequestHeader, ctx: &RequestContext) -> StateScope {
    StateScope::of_path(header.uri.path(), ctx.state.is_stored())
}

impl Recorder {
    /// Remembers who made what the part of the answer names that has just come: before the client, who may ask for it at
    /// once, gets to see it.
    pub(super) fn remember_state(&self, ctx: &mut RequestContext) {
        let Some(names) = ctx.meter.as_mut().map(AnswerMeter::take_names) else { return };
        if names.is_empty() {
            return;
        }
        if let Some(keeper) = keeper(ctx) {
            self.router.remember_state(&ctx.snapshot, ctx.client_name(), &names, &keeper);
        }
    }

    /// Remembers that what a request names is with the provider that has answered it.
    pub(super) fn confirm_state(&self, ctx: &RequestContext) {
        let has_ended = ctx.meter.as_ref().is_some_and(|meter| meter.reader().is_some_and(UsageReader::has_ended));
        if ctx.state.names_any()
            && has_ended
            && let Some(keeper) = keeper(ctx)
        {
            self.router.confirm_state(&ctx.snapshot, ctx.client_name(), &ctx.state, &keeper);
        }
    }
}

/// Returns who answers a request, as the keeper of what it makes.
fn keeper(ctx: &RequestContext) -> Option<Arc<StateKeeper>> {
    let provider: Name = ctx.attempts.provider()?.name.clone();
    let (peer, model) = (ctx.attempts.peer_label().cloned(), ctx.attempts.model().cloned());
    Some(Arc::new(StateKeeper { provider, peer, model, conversation: ctx.attempts.peer_key }))
}
