//! The refusal of a request: what a client is told, and in which words.

use super::candidate::Candidate;
use super::constraint::Constraint;
use super::quota::QuotaTrace;
use super::trace::{DecisionMaker, RuleTrace};
use crate::config::{DenyAction, Name};

/// The header by which a client names the model, if the policy allows.
pub const MODEL_HEADER: &str = "x-pointsman-model";

/// The header by which a client names the policy, if that allows.
pub const POLICY_HEADER: &str = "x-pointsman-policy";

/// The message for a client that may not make a request.
pub const NOT_ALLOWED: &str = "This API key may not be used for this request.";

/// The code of a refusal by a quota that is used up.
const QUOTA_EXCEEDED: &str = "quota_exceeded";

/// A request that a policy refuses.
#[derive(Debug, Clone, PartialEq)]
pub struct Denial {
    /// The policy that refuses; `None` when the client named one that it may not.
    pub policy: Option<Name>,
    /// The part of the policy that refuses.
    pub by: DecisionMaker,
    /// The HTTP status, 400 to 499.
    pub status: u16,
    /// The error's code in the answer.
    pub code: &'static str,
    /// The message for the client.
    pub message: String,
    /// Every model the policy can choose, in its order.
    pub candidates: Vec<Candidate>,
    /// The rules that were tried, up to the one that matched.
    pub rules: Vec<RuleTrace>,
    /// The trace of the quota that is used up; `None` where something else is the reason.
    pub quota: Option<QuotaTrace>,
}

impl Denial {
    /// Refuses a request that the rule at position `rule` denies.
    pub(in crate::policy) fn by_rule(policy: &Name, rule: usize, deny: &DenyAction, rules: Vec<RuleTrace>) -> Self {
        Self {
            policy: Some(policy.clone()),
            by: DecisionMaker::Rule(rule),
            status: deny.status,
            code: "denied_by_policy",
            message: deny.message.clone(),
            candidates: Vec::new(),
            rules,
            quota: None,
        }
    }

    /// Refuses the model that the client named by a header.
    pub(in crate::policy) fn not_overridable(policy: &Name, wanted: &str) -> Self {
        let message = format!("Policy `{policy}` does not let `{MODEL_HEADER}` choose `{wanted}`.");
        Self { policy: Some(policy.clone()), ..Self::at_once(DecisionMaker::Override, "override_not_allowed", message) }
    }

    /// Refuses a request that none of the `candidates` can serve.
    pub(in crate::policy) fn no_model_fits(policy: &Name, candidates: Vec<Candidate>, rules: Vec<RuleTrace>) -> Self {
        let lacks = |constraint: Constraint| candidates.iter().all(|one| one.fits == Err(constraint));
        let (status, code) = if lacks(Constraint::ContextExceeded) {
            (400, "context_length_exceeded")
        } else if lacks(Constraint::NotAllowed) {
            (403, "model_not_allowed")
        } else {
            (400, "no_model_fits")
        };
        let why = candidates.iter().filter_map(|one| Some(format!("`{}` {}", one.model, one.fits.err()?.in_words())));
        let why = why.collect::<Vec<_>>().join(", ");
        let message = format!("No model of the policy `{policy}` can serve this request: {why}.");
        let (policy, by) = (Some(policy.clone()), DecisionMaker::Constraints);
        Self { policy, by, status, code, message, candidates, rules, quota: None }
    }

    /// Refuses a request that only models can serve whose `quota` is used up.
    pub(in crate::policy) fn beyond_quota(
        policy: &Name,
        quota: Option<QuotaTrace>,
        candidates: Vec<Candidate>,
        rules: Vec<RuleTrace>,
    ) -> Self {
        let holder = quota.as_ref().map_or("client", |trace| trace.per.as_str());
        let message = format!("This {holder} has used up its quota, and no other model can serve this request.");
        let refusal = Self::at_once(DecisionMaker::Constraints, QUOTA_EXCEEDED, message);
        Self { policy: Some(policy.clone()), status: 429, candidates, rules, quota, ..refusal }
    }

    /// Refuses a policy that the client asked for by a header.
    #[must_use]
    pub fn not_selectable(wanted: &str) -> Self {
        let wanted: String = wanted.chars().take(64).collect();
        let message = format!("`{POLICY_HEADER}` does not choose a policy that may be chosen: `{wanted}`.");
        Self::at_once(DecisionMaker::Override, "override_not_allowed", message)
    }

    /// Refuses a request that its client may not make: `policy` is what would serve it, `None` stands for passing
    /// through.
    #[must_use]
    pub fn not_for_client(policy: Option<&Name>) -> Self {
        Self { policy: policy.cloned(), ..Self::at_once(DecisionMaker::Client, "not_allowed", NOT_ALLOWED.to_owned()) }
    }

    /// Refuses a model that its client may not be served by, and that no policy would replace.
    #[must_use]
    pub fn model_not_for_client(model: &str) -> Self {
        let model: String = model.chars().filter(|c| !c.is_control()).take(64).collect();
        let message = format!("This API key may not be used for the model `{model}`.");
        Self::at_once(DecisionMaker::Client, "model_not_allowed", message)
    }

    /// Refuses the model of the catalog that the client named, because `provider` keeps what the request names and has no
    /// such model.
    #[must_use]
    pub fn kept_elsewhere(named: Candidate, provider: &Name) -> Self {
        let (model, why) = (&named.model, Constraint::State.in_words());
        let message = format!("The model `{model}` cannot serve this request: it {why}, `{provider}`.");
        let refusal = Self::at_once(DecisionMaker::Constraints, "no_model_fits", message);
        Self { status: 400, candidates: vec![Candidate { fits: Err(Constraint::State), ..named }], ..refusal }
    }

    /// Refuses a request that names no model where its client may be served by some models only.
    #[must_use]
    pub fn unnamed_for_client() -> Self {
        let message = "This API key is for some models only, and the request does not say which one it is for.";
        Self::at_once(DecisionMaker::Client, "model_not_allowed", message.to_owned())
    }

    /// Refuses a request before any rule was tried.
    const fn at_once(by: DecisionMaker, code: &'static str, message: String) -> Self {
        Self { policy: None, by, status: 403, code, message, candidates: Vec::new(), rules: Vec::new(), quota: None }
    }
}
