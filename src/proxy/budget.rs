//! What a request reserves in budgets before it is sent, and how it is settled when it is over.

use std::time::{SystemTime, UNIX_EPOCH};

use http::Method;
use pingora::http::RequestHeader;
use pointsman_core::prompt::Dialect;
use pointsman_core::usage::Usage;
use tokio::time::Instant;

use super::Proxy;
use super::answer::rejection::Rejection;
use super::context::RequestContext;
use crate::budgets::{BudgetAmounts, BudgetParty, BudgetRefusal};
use crate::proxy::downstream::client_use::ClientUse;
use crate::proxy::downstream::intake;
use crate::router::{JudgeMode, Router, Routing, Verdict};
use crate::snapshot::Snapshot;

/// The length of an answer that is assumed where no answers were seen yet, in tokens.
const USUAL_OUTPUT: u64 = 400;

/// The end of a request, as its budgets see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct BudgetedEnd {
    /// The usage of the answer, where it is known.
    pub(super) usage: Option<Usage>,
    /// US dollars for all answers, those that the client did not get too; `None` where nobody knows.
    pub(super) cost: Option<f64>,
    /// Tokens of answers that the client did not get.
    pub(super) discarded: u64,
    /// True where an upstream has answered well, or was at work when the client left.
    pub(super) is_spent: bool,
}

/// Notes the session that a header names, where a budget asks for it. A prompt that is read later says more.
pub(super) fn note_session(proxy: &Proxy, header: &RequestHeader, ctx: &mut RequestContext) {
    let client = ctx.client.as_ref().map(|used| &**used.client());
    if proxy.router.budgets().tell_sessions_apart(client) {
        ctx.session = Router::named_session(&header.headers);
    }
}

/// Reserves what a request may cost, in every budget that it falls under.
///
/// # Errors
/// When a budget is used up, or cannot be asked and does not go by less.
pub(super) async fn reserve(proxy: &Proxy, header: &RequestHeader, ctx: &mut RequestContext) -> Result<(), Rejection> {
    let budgets = proxy.router.budgets();
    let client = ctx.client.as_ref().map(|used| &**used.client());
    let dialect = Dialect::of_path(header.uri.path());
    // What is cancelled was counted when it began. A socket for many questions is as good as a request.
    let is_sent = header.method == Method::POST && !header.uri.path().ends_with("/cancel");
    let is_counted = is_sent || intake::is_websocket(header);
    if !is_counted || dialect.is_some_and(Dialect::only_counts) {
        charge_unsent(proxy, ctx);
        return Ok(());
    }
    if !budgets.concern(client) {
        return Ok(());
    }
    let party = party(ctx);
    let is_counted = budgets.count_usage(client);
    let estimate = if is_counted { estimate(ctx, dialect) } else { BudgetAmounts::of(judges(ctx), 0, 1) };
    let store = ctx.snapshot.store.as_ref();
    match budgets.reserve(party, estimate, seconds(), store).await {
        Ok(reservation) => ctx.budget = reservation.map(Box::new),
        Err(refusal) => {
            charge_unsent(proxy, ctx);
            return Err(match refusal {
                BudgetRefusal::Exceeded(exceeded) => Rejection::QuotaExceeded { exceeded },
                BudgetRefusal::Unavailable(budget) => Rejection::BudgetUnavailable { budget },
            });
        }
    }
    Ok(())
}

/// Returns how judges are asked for a party: not at all where a budget of it is used up, which pays for them.
pub(super) fn judging(router: &Router, snapshot: &Snapshot, party: BudgetParty<'_>) -> JudgeMode<'static> {
    let is_asked = snapshot.advisers.have_judges();
    if is_asked && is_used_up(router, party) { JudgeMode::Never } else { JudgeMode::Ask }
}

/// Returns whether a budget of a party is used up.
pub(super) fn is_used_up(router: &Router, party: BudgetParty<'_>) -> bool {
    router.budgets().are_used_up(party, seconds())
}

/// Has a party's budgets count US dollars for judges that were asked about what is not sent.
pub(super) fn charge(router: &Router, snapshot: &Snapshot, party: BudgetParty<'_>, dollars: f64) {
    router.budgets().charge(party, BudgetAmounts::of(dollars, 0, 0), seconds(), snapshot.store.as_ref());
}

/// Has the budgets count the judges of a decision that comes to nothing.
pub(super) fn charge_judges(proxy: &Proxy, ctx: &RequestContext, routing: &Routing) {
    charge(&proxy.router, &ctx.snapshot, party(ctx), routing.decision.cost_usd.unwrap_or_default());
}

/// Has the budgets count the judges of a request that is answered or refused without an upstream.
pub(super) fn charge_unsent(proxy: &Proxy, ctx: &RequestContext) {
    let applied = ctx.verdict.as_ref().filter(|verdict| verdict.is_applied());
    let dollars = applied.and_then(Verdict::finding).and_then(|finding| finding.judge_cost_usd);
    charge(&proxy.router, &ctx.snapshot, party(ctx), dollars.unwrap_or_default());
}

/// Returns the holder of the allowances that a request is charged to.
pub(super) fn party(ctx: &RequestContext) -> BudgetParty<'_> {
    let client = ctx.client.as_ref();
    BudgetParty { client: client.map(|used| &**used.client()), key: client.map(|used| used.key), session: ctx.session }
}

/// Returns what a request is likely to use: its prompt, an answer as long as the model's were lately, and the judges
/// that were asked already.
fn estimate(ctx: &RequestContext, dialect: Option<Dialect>) -> BudgetAmounts {
    let target = ctx.attempts.target();
    let features = ctx.routing().map(|routing| &routing.features);
    let input = match ctx.client.as_ref().and_then(ClientUse::debited) {
        Some(debited) => debited,
        None => features.map_or(0, |features| features.tokens_of(target.map(|it| it.tokenizer).unwrap_or_default())),
    };
    let lately = target.and_then(|target| target.recent.output_tokens(Instant::now()));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, saturates")]
    let lately = lately.filter(|tokens| tokens.is_finite() && *tokens >= 0.0).map_or(USUAL_OUTPUT, |it| it as u64);
    let most = features.map_or(0, |features| features.request.max_output_tokens);
    let output = match (dialect.is_some_and(Dialect::generates), most) {
        (false, _) => 0,
        (true, 0) => lately,
        (true, most) => lately.min(most),
    };
    let price = target.map_or(ctx.passed_price.as_deref(), |target| target.price.as_ref());
    let dollars = price.map_or(0.0, |price| price.of(input, 0, output));
    BudgetAmounts::of(dollars + judges(ctx), input.saturating_add(output), 1)
}

/// Settles what was reserved, by what the request has used.
pub(super) fn settle(ctx: &RequestContext, end: BudgetedEnd) {
    let Some(reservation) = &ctx.budget else { return };
    let BudgetedEnd { usage, cost, discarded, is_spent } = end;
    let actual = match usage {
        Some(usage) => {
            let tokens = usage.input.saturating_add(usage.output).saturating_add(discarded);
            BudgetAmounts::of(cost.unwrap_or_default() + judges(ctx), tokens, 1)
        }
        // Nobody says what the answer cost: what was expected stands.
        None if is_spent => reservation.estimate(),
        // What was not answered used nothing but what was asked beside it.
        None => BudgetAmounts::of(cost.unwrap_or_default() + judges(ctx), discarded, 0),
    };
    reservation.settle(actual);
}

/// Returns the US dollars for the judges that were asked about the request.
fn judges(ctx: &RequestContext) -> f64 {
    ctx.routing().and_then(|routing| routing.decision.cost_usd).unwrap_or_default()
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
