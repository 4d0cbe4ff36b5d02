//! The bill of a response that is made in the background: its usage comes with the answer to whoever fetches it first
//! once it is made.

use pointsman_core::config::Name;
use pointsman_core::usage::UsageBounds;
use pointsman_telemetry::metrics::AnswerCost;

use super::Recorder;
use super::usage_bill::{UsageBill, usage_of};
use crate::budgets::BudgetAmounts;
use crate::proxy::answer::meter::AnswerMeter;
use crate::proxy::context::RequestContext;
use crate::proxy::downstream::client_use::ClientUse;
use crate::router::UnbilledResponse;

impl Recorder {
    /// Remembers the response that an answer without usage names, so that it is billed when it is fetched.
    pub(super) fn remember_unbilled(&self, ctx: &RequestContext) {
        let Some(name) = ctx.meter.as_ref().and_then(AnswerMeter::response) else { return };
        let model = ctx.attempts.model().cloned();
        let decision = ctx.routing().filter(|_| model.is_some()).map(|routing| &routing.decision);
        let policy = decision.map(|decision| {
            let candidates = decision.candidates.iter().map(|candidate| candidate.model.clone());
            (decision.policy.clone(), candidates.collect())
        });
        let debited = ctx.client.as_ref().and_then(ClientUse::debited).unwrap_or_default();
        let (price, bounds) = (ctx.passed_price.clone(), ctx.passed_bounds);
        let budget = ctx.budget.as_ref().and_then(|reservation| reservation.deferred());
        let judges = ctx.routing().and_then(|routing| routing.decision.cost_usd).unwrap_or_default();
        let response = UnbilledResponse { model, policy, price, bounds, debited, budget, judges };
        self.router.remember_unbilled(ctx.client_name(), &name, response);
    }

    /// Counts what a response used that was fetched, if nobody has yet.
    pub(super) fn bill_fetched(&self, meter: &AnswerMeter, ctx: &RequestContext) -> UsageBill {
        let usage = usage_of(meter, ctx, &UsageBounds::UNKNOWN_MODEL).filter(|usage| !usage.estimated);
        let (Some(usage), Some(name)) = (usage, ctx.state.response()) else { return UsageBill::default() };
        let Some(response) = self.router.take_unbilled(ctx.client_name(), &name) else { return UsageBill::default() };
        let (model, models) = (response.model.as_ref(), &ctx.snapshot.upstreams);
        let made_by = model.and_then(|model| models.model(model));
        // The prompt is not at hand, but every response has one.
        if usage.input == 0 || !usage.is_within(&made_by.map_or(response.bounds, |target| target.usage_bounds())) {
            self.metrics.usage_unknown(model);
            return UsageBill::default();
        }
        self.count_tokens(&usage, model);
        if let Some(deferred) = response.budget {
            let price = model.map_or(response.price.as_deref(), |_| made_by.and_then(|target| target.price.as_ref()));
            let dollars = usage.paid(price).unwrap_or_default() + response.judges;
            deferred.settle(BudgetAmounts::of(dollars, usage.input.saturating_add(usage.output), 1));
        }
        let price_of = |model: &Name| models.model(model)?.price.as_ref();
        let price = model.map_or(response.price.as_deref(), price_of);
        let Some(dollars) = usage.paid(price) else {
            return UsageBill { usage: Some(usage), debited: response.debited, ..UsageBill::default() };
        };
        let candidates = response.policy.iter().flat_map(|(_, candidates)| candidates);
        let baseline = candidates.filter_map(price_of).map(|price| usage.cost(price)).fold(dollars, f64::max);
        let policy = response.policy.as_ref().map(|(policy, _)| policy);
        let policy_cost = policy.map(|policy| (policy, baseline));
        self.metrics.paid(AnswerCost {
            model,
            client: ctx.client_name(),
            policy: policy_cost,
            dollars,
            judges: 0.0, // whoever decided is not remembered
        });
        if let Some(policy) = policy {
            self.router.billed(policy, dollars, |model| Some(usage.cost(price_of(model)?)));
        }
        UsageBill { usage: Some(usage), cost: Some(dollars), baseline: Some(baseline), debited: response.debited }
    }
}
