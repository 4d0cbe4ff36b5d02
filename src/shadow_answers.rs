//! Asks another model what a policy's model has answered already, within a budget for each day.
//!
//! Owns the choice of requests, the budget and the exchange with the provider. Knows no client: what is asked is made by the
//! proxy, and what comes back is written by it. A [`ShadowAsker`] is asked beside the requests that go to the provider: its
//! key, peers, breaker and `max_concurrent` hold here too.

mod budget;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use pointsman_core::config::{Name, ShadowAnswersConfig, TokenPrice};
use pointsman_core::usage::Usage;
use pointsman_telemetry::{Metrics, RequestSample, ShadowAnswerMetrics};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use self::budget::DayBudget;
pub(crate) use self::budget::{BudgetHold, ShadowSpending};
use crate::store::SharedStore;
use crate::upstream::{Deployment, ProviderAnswer, ProviderCall, ProviderCaller};

const USER_AGENT: &str = concat!("pointsman/", env!("CARGO_PKG_VERSION"), " (shadow)");

/// The largest answer that is read.
const MAX_BYTES: usize = 4 << 20;

/// The askers of a snapshot, by their policies.
pub(crate) type ShadowAskers = BTreeMap<Name, Arc<ShadowAsker>>;

/// The outcome of a sampled request. Bounded: safe as a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShadowOutcome {
    /// The other model has answered.
    Answered,
    /// The client got no answer that one could be compared with.
    Unanswered,
    /// The same model had answered the client.
    SameModel,
    /// The request is nothing that is asked again: kept state, vendors' tools, other media, no API of the other model's.
    Unsuitable,
    /// As many were open as may be.
    Busy,
    /// The other model asked to be left alone for a while.
    Resting,
    /// The request may cost more than is left of the day's budget.
    OverBudget,
    /// The store, in which replicas keep the budget, did not answer.
    StoreUnavailable,
    /// The provider gave no answer, or an error.
    Failed,
}

/// Asks another model for one policy.
#[derive(Debug)]
pub(crate) struct ShadowAsker {
    section: ShadowAnswersConfig,
    deployment: Arc<Deployment>,
    sample: RequestSample,
    /// The budget, whose spending outlives reloads.
    budget: Arc<DayBudget>,
    places: Arc<Semaphore>,
    metrics: ShadowAnswerMetrics,
    caller: Arc<ProviderCaller>,
}

/// The surroundings of an asker.
#[derive(Clone, Copy)]
pub(crate) struct ShadowContext<'a> {
    /// The policy.
    pub policy: &'a Name,
    /// The store in which replicas keep the budget together.
    pub store: Option<&'a SharedStore>,
    /// The sender of requests of our own.
    pub caller: &'a Arc<ProviderCaller>,
    /// The metrics to count in.
    pub metrics: &'a Metrics,
    /// The spending of the process.
    pub spending: &'a ShadowSpending,
}

/// A request for the other model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShadowQuestion<'q> {
    /// The path and query at the provider.
    pub url: &'q str,
    /// More header fields.
    pub fields: &'q [(HeaderName, HeaderValue)],
    /// The JSON that is sent.
    pub body: &'q Bytes,
    /// The tokens that the body is estimated to have.
    pub tokens: u64,
}

/// A place among the open shadow requests.
#[derive(Debug)]
pub(crate) struct ShadowPlace(#[expect(dead_code, reason = "given back when it is dropped")] OwnedSemaphorePermit);

impl ShadowOutcome {
    /// Every outcome.
    pub(crate) const ALL: [Self; 9] = [
        Self::Answered,
        Self::Unanswered,
        Self::SameModel,
        Self::Unsuitable,
        Self::Busy,
        Self::Resting,
        Self::OverBudget,
        Self::StoreUnavailable,
        Self::Failed,
    ];

    /// Returns the label's value.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Unanswered => "unanswered",
            Self::SameModel => "same_model",
            Self::Unsuitable => "unsuitable",
            Self::Busy => "busy",
            Self::Resting => "resting",
            Self::OverBudget => "over_budget",
            Self::StoreUnavailable => "store_unavailable",
            Self::Failed => "failed",
        }
    }
}

impl ShadowAsker {
    /// Makes the asker of a policy. What was spent for it today stays spent.
    pub(crate) fn new(
        section: &ShadowAnswersConfig,
        deployment: &Arc<Deployment>,
        context: ShadowContext<'_>,
        previous: Option<&Self>,
    ) -> Self {
        let ShadowContext { policy, store, caller, metrics, spending } = context;
        let same_places = previous.filter(|old| old.section.max_concurrency == section.max_concurrency);
        let places = same_places.map(|old| Arc::clone(&old.places));
        Self {
            section: section.clone(),
            deployment: Arc::clone(deployment),
            sample: RequestSample::new(section.sample.get()),
            budget: Arc::new(DayBudget::new(policy, section.max_per_day, store.cloned(), spending.of(policy))),
            places: places.unwrap_or_else(|| Arc::new(Semaphore::new(section.max_concurrency))),
            metrics: metrics.shadow_answers(policy, &section.model, &ShadowOutcome::ALL.map(ShadowOutcome::as_str)),
            caller: Arc::clone(caller),
        }
    }

    /// Returns whether a request is among those that the other model is asked.
    pub(crate) fn samples(&self, request_id: &str) -> bool {
        self.sample.has(request_id)
    }

    /// Returns the other model.
    pub(crate) fn deployment(&self) -> &Arc<Deployment> {
        &self.deployment
    }

    /// Returns the longest answer, in tokens.
    pub(crate) const fn max_tokens(&self) -> u64 {
        self.section.max_tokens
    }

    /// Takes a place among the open requests; `None` where there is none.
    pub(crate) fn enter(&self) -> Option<ShadowPlace> {
        Arc::clone(&self.places).try_acquire_owned().ok().map(ShadowPlace)
    }

    /// Counts what became of a sampled request.
    pub(crate) fn ended(&self, outcome: ShadowOutcome) {
        self.metrics.ended(outcome.as_str());
    }

    /// Takes what a request may cost at most from the day's budget.
    ///
    /// # Errors
    /// When less is left, or the store does not say how much.
    pub(crate) async fn reserve(&self, question: ShadowQuestion<'_>) -> Result<BudgetHold, ShadowOutcome> {
        let price = self.deployment.price.as_ref().ok_or(ShadowOutcome::Unsuitable)?;
        // No text has more tokens than bytes.
        let input = (question.body.len() as u64).max(question.tokens.saturating_mul(2));
        self.budget.reserve(highest_cost(price, input, self.section.max_tokens)).await
    }

    /// Sends a request. A status that is none of success is an answer too.
    ///
    /// # Errors
    /// Says why there is no answer.
    pub(crate) async fn ask(&self, question: ShadowQuestion<'_>) -> Result<ProviderAnswer, String> {
        let provider = &self.deployment.provider;
        let whole = provider.timeouts.whole.0;
        let agent = (header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        let fields: Vec<_> = question.fields.iter().cloned().chain([agent]).collect();
        let call = ProviderCall {
            path: question.url,
            fields: &fields,
            body: question.body,
            max_bytes: MAX_BYTES,
            silence: Some(whole),
        };
        let longest = provider.timeouts.total.map_or(whole + MARGIN, |total| total.0);
        match timeout(longest, self.caller.post(&self.deployment, call)).await {
            Ok(answered) => answered.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {longest:?}")),
        }
    }

    /// Settles what was reserved for a client's request: at `cost` where it is known. Where nothing was answered, nothing
    /// was spent; where an answer does not say what it used, all that was reserved is: thoughts that nobody sees may have
    /// been paid for.
    pub(crate) async fn settle(&self, hold: BudgetHold, cost: SettledCost, client: Option<&Name>) {
        let spent = match cost {
            SettledCost::Paid(dollars) => {
                self.metrics.paid(dollars, client);
                dollars
            }
            SettledCost::Estimated(dollars) => {
                self.metrics.paid(dollars, client);
                hold.dollars().max(dollars)
            }
            SettledCost::Nothing => 0.0,
            SettledCost::Unknown => hold.dollars(),
        };
        self.budget.settle(hold, spent).await;
    }
}

/// The cost of a shadow request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum SettledCost {
    /// So many US dollars.
    Paid(f64),
    /// So many US dollars by what can be read of the answer, which does not say what it used.
    Estimated(f64),
    /// Nothing: it was refused, or never sent.
    Nothing,
    /// Nobody knows: it was sent.
    Unknown,
}

impl SettledCost {
    /// Returns the cost of an answer with this status, whose usage costs `dollars`.
    pub(crate) fn of(status: StatusCode, usage: Option<&Usage>, dollars: Option<f64>) -> Self {
        let is_estimated = usage.is_some_and(|usage| usage.estimated && usage.billed.is_none());
        match dollars {
            Some(dollars) if is_estimated => Self::Estimated(dollars),
            Some(dollars) => Self::Paid(dollars),
            None if status.is_client_error() => Self::Nothing,
            None => Self::Unknown,
        }
    }
}

/// The time beyond `whole` in which an answer that has begun must end.
const MARGIN: Duration = Duration::from_mins(1);

/// Returns the most that so many tokens can cost at a price: each at the dearest rate of its side.
fn highest_cost(price: &TokenPrice, input: u64, output: u64) -> f64 {
    let rates = price.rates(input);
    let most = |rates: &[f64]| rates.iter().copied().fold(0.0, f64::max);
    let [dearest_input, dearest_output] = [
        most(&[
            rates.input,
            rates.cached_input,
            rates.cache_write,
            rates.cache_write_1h,
            rates.input_audio,
            rates.input_image,
        ]),
        most(&[rates.output, rates.reasoning, rates.output_audio, rates.output_image]),
    ];
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
    let dollars = (input as f64 * dearest_input + output as f64 * dearest_output) / 1e6;
    dollars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_cost_is_at_the_dearest_rates_of_a_prompt_of_that_length() {
        let price = TokenPrice::new(2.0, 8.0);

        // An hour in the cache costs twice the input.
        assert!((highest_cost(&price, 1_000_000, 100_000) - (4.0 + 0.8)).abs() < 1e-9);
    }

    #[test]
    fn an_answer_without_a_bill_is_free_only_where_it_was_refused() {
        let said = Usage { input: 5, output: 2, ..Usage::default() };
        let estimated = Usage { estimated: true, ..said };
        let cost = |status, usage: Option<&Usage>| SettledCost::of(status, usage, usage.map(|_| 0.5));

        assert_eq!(cost(StatusCode::BAD_REQUEST, None), SettledCost::Nothing);
        assert_eq!(cost(StatusCode::OK, None), SettledCost::Unknown);
        assert_eq!(cost(StatusCode::OK, Some(&said)), SettledCost::Paid(0.5));
        assert_eq!(cost(StatusCode::OK, Some(&estimated)), SettledCost::Estimated(0.5));
    }
}
