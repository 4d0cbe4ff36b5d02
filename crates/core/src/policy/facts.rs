//! The facts of a request besides its prompt, and the world as it is now.

use std::borrow::Cow;
use std::sync::Arc;

use pointsman_translation::DialectFamily;

use super::bandit::BanditBelief;
use super::constraints::DialectFit;
use crate::config::{Name, StateRule};
use crate::prompt::{Prompt, TextScope};

/// The facts of a request besides its prompt.
#[derive(Clone, Copy)]
pub struct RequestFacts<'r> {
    /// The model the client asked for.
    pub model: &'r str,
    /// The request's path, without the query.
    pub path: &'r str,
    /// The client's name in the configuration, when clients have keys.
    pub client: Option<&'r str>,
    /// Seconds since 1970-01-01 00:00 UTC.
    pub now: u64,
    /// The request's headers, and the world around it.
    pub live: &'r (dyn PolicyWorld + Sync),
    /// The detail in which the decision is to explain itself.
    pub detail: DecisionDetail,
}

/// The detail in which a decision explains itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DecisionDetail {
    /// The model that serves the request, and nothing that is worked out for people alone.
    #[default]
    Decision,
    /// Also what would have changed the choice, and what is expected of each model.
    Explanation,
}

/// The world as a policy sees it. Every method has an answer that changes nothing, for what is not known.
pub trait PolicyWorld {
    /// Returns the value of the request's header with this lower-case name; `None` only where there is no such header.
    fn header(&self, _name: &str) -> Option<Cow<'_, str>> {
        None
    }

    /// Returns the prompt that the features are of, where it is at hand.
    fn prompt(&self) -> Option<&Prompt<'_>> {
        None
    }

    /// Tells whether `is_wanted` is true of one of the request's texts in `scope`; `None` when they are not at hand.
    fn any_text(&self, _scope: TextScope, _is_wanted: &mut dyn FnMut(&str) -> bool) -> Option<bool> {
        None
    }

    /// Returns how the provider of `model` fares.
    fn health(&self, _model: &Name) -> ProviderHealth {
        ProviderHealth::Up
    }

    /// Returns whether the client may be served by `model`.
    fn allows(&self, _model: &Name) -> bool {
        true
    }

    /// Returns whether the provider of `model` keeps the state that the request names, as far as it cannot go on without.
    fn keeps_state(&self, _model: &Name, _rule: StateRule) -> bool {
        true
    }

    /// Returns whether `model` can be asked without what its provider does not keep: all of that is in the history, and
    /// the words of the model's API leave it out.
    fn leaves_history_out(&self, _model: &Name) -> bool {
        false
    }

    /// Returns how much of the request can be said to `model` in another API than the client's.
    fn dialect_fit(&self, _upstream: DialectFamily, _model: &Name) -> DialectFit {
        DialectFit::Whole
    }

    /// Returns the model that made the state that the request names, where it is known and still in the catalog.
    fn state_model(&self, _rule: StateRule) -> Option<Name> {
        None
    }

    /// Tells whether the kill switch has taken a policy out of service.
    fn is_killed(&self, _policy: &Name) -> bool {
        false
    }

    /// Returns whether the request's holder has used up the quota at this position of the policy.
    fn is_used_up(&self, _policy: &Name, _quota: usize) -> bool {
        false
    }

    /// Returns the name of a budget of the request's that is used beyond its soft share, if one is.
    fn tight_budget(&self) -> Option<Name> {
        None
    }

    /// Returns how long answers of `model` take to begin lately, in seconds.
    fn first_byte(&self, _model: &Name) -> Option<f64> {
        None
    }

    /// Returns how long answers of `model` are lately, in tokens.
    fn output_tokens(&self, _model: &Name) -> Option<f64> {
        None
    }

    /// Returns the threshold that holds a policy's target now, in place of the configured one.
    fn threshold(&self, _policy: &Name) -> Option<f64> {
        None
    }

    /// Returns what the policy's bandit believes of its models now.
    fn bandit(&self, _policy: &Name) -> Option<Arc<BanditBelief>> {
        None
    }

    /// Returns what the requests of one conversation have in common; the same in every replica.
    fn conversation(&self) -> u64 {
        0
    }

    /// Returns whether nothing but its beginning says which conversation a request belongs to, and it is no more than a
    /// beginning: others that began alike are other conversations.
    fn only_begins(&self) -> bool {
        false
    }

    /// Returns a number from 0 up to, but not including, 1, by chance.
    fn draw(&self) -> f64 {
        0.0
    }
}

/// The health of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderHealth {
    /// The provider serves.
    Up,
    /// The provider has no peer that can be used.
    Down,
    /// The provider has as many requests in flight as are allowed.
    Full,
}

/// A world of which nothing is known.
#[derive(Debug, Clone, Copy)]
pub struct UnknownWorld;

impl PolicyWorld for UnknownWorld {}

impl<'r> RequestFacts<'r> {
    /// Returns the facts of a request for `model` on `path`, of which nothing else is known.
    #[must_use]
    pub fn bare(model: &'r str, path: &'r str) -> Self {
        Self { model, path, client: None, now: 0, live: &UnknownWorld, detail: DecisionDetail::Decision }
    }
}

impl std::fmt::Debug for RequestFacts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestFacts").field("model", &self.model).field("path", &self.path).finish_non_exhaustive()
    }
}
