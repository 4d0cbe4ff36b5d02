//! The models that a request may go to when the one that was chosen fails it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::router::{QuotaClaim, Routing, SubstituteRule};
use crate::upstream::{Deployment, Upstreams};

/// The models that a request may go to when the one that was chosen fails it.
#[derive(Default)]
pub(super) struct FallbackModels {
    /// The models that the decision falls back on, in order.
    fallback: VecDeque<Arc<Deployment>>,
    /// Models of the policy with a larger window, from the smallest, for a prompt that may turn out to be too long
    /// where no fallback is configured.
    wider: Vec<Arc<Deployment>>,
    /// What the decision took of quotas, which strong models among them take more of.
    claim: Option<Arc<QuotaClaim>>,
}

impl FallbackModels {
    /// Makes those of a request that `routing` sends to `target`.
    pub(super) fn new(target: &Deployment, routing: &Routing, upstreams: &Upstreams) -> Self {
        let names = &routing.decision.fallback;
        // The strong model answers in place of one that fails, too.
        let strong = routing.decision.escalation.iter().map(|plan| plan.strong()).filter(|name| !names.contains(name));
        let fallback = names.iter().chain(strong).filter_map(|name| upstreams.model(name).cloned());
        let claim = routing.claim.clone();
        Self { fallback: fallback.collect(), wider: wider(target, routing, upstreams), claim }
    }

    /// Returns whether there is no model of either kind.
    pub(super) fn is_empty(&self) -> bool {
        self.fallback.is_empty() && self.wider.is_empty()
    }

    /// Returns whether there is no model to fall back on after a failure of any kind.
    pub(super) fn have_no_fallback(&self) -> bool {
        self.fallback.is_empty()
    }

    /// Returns whether a model to fall back on is not resting.
    pub(super) fn have_ready(&self) -> bool {
        self.fallback.iter().any(|target| !target.is_resting())
    }

    /// Takes the next model to fall back on: the first that does not rest, or the first.
    pub(super) fn take_next(&mut self) -> Option<Arc<Deployment>> {
        let ready = self.fallback.iter().position(|target| !target.is_resting()).unwrap_or_default();
        self.fallback.remove(ready)
    }

    /// Takes what `model` needs of quotas before it is asked; returns whether it may be.
    pub(super) fn admit(&self, model: &Deployment, rule: SubstituteRule) -> bool {
        self.claim.as_ref().is_none_or(|claim| claim.admit(&model.model, rule))
    }

    /// Removes a model, which is asked now.
    pub(super) fn remove(&mut self, model: &Deployment) {
        self.fallback.retain(|other| other.model != model.model);
    }

    /// Adds a model to fall back on when all others have failed.
    pub(super) fn add_last(&mut self, model: Arc<Deployment>) {
        self.fallback.push_back(model);
    }

    /// Returns whether any of the models has a larger context window than `target`.
    pub(super) fn have_wider_than(&self, target: &Deployment) -> bool {
        self.fallback.iter().chain(&self.wider).any(|next| next.is_wider_than(target))
    }

    /// Leaves only models with a larger context window than `target` to fall back on: those of the fallback, or else
    /// any of the policy's.
    pub(super) fn keep_wider_than(&mut self, target: &Deployment) {
        self.fallback.retain(|next| next.is_wider_than(target));
        if self.fallback.is_empty() {
            let wider = std::mem::take(&mut self.wider);
            self.fallback.extend(wider.into_iter().filter(|next| next.is_wider_than(target)));
        }
    }
}

/// Returns the policy's models with a larger window than the chosen one, from the smallest, for a prompt that may turn
/// out to be too long: none for one that cannot, whose body need not be kept.
fn wider(target: &Deployment, routing: &Routing, upstreams: &Upstreams) -> Vec<Arc<Deployment>> {
    let most = routing.features.tokens_at_most(target.tokenizer);
    let most = most.saturating_add(routing.features.request.max_output_tokens);
    if target.context.is_none_or(|context| most <= context / 2) {
        return Vec::new();
    }
    let able = routing.decision.candidates.iter().filter(|candidate| candidate.fits.is_ok());
    let models = able.filter_map(|candidate| upstreams.model(&candidate.model));
    let mut wider: Vec<_> = models.filter(|model| model.is_wider_than(target)).cloned().collect();
    wider.sort_by_key(|model| model.context);
    wider
}
