//! What a client is told when a policy refuses its request.

use super::constraints::{Candidate, Constraint};
use super::decision::{By, Denial, RuleTrace};
use super::{POLICY_HEADER, Policy};
use crate::config::{Deny, Name};

/// What a client is told that may not make a request.
pub const NOT_ALLOWED: &str = "This API key may not be used for this request.";

impl Policy {
    /// Refuses a request that a rule denies.
    pub(super) fn denied(&self, rule: usize, deny: &Deny, rules: Vec<RuleTrace>) -> Denial {
        let (policy, by, message) = (Some(self.name.clone()), By::Rule(rule), deny.message.clone());
        let (status, code, candidates) = (deny.status, "denied_by_policy", Vec::new());
        Denial { policy, by, status, code, message, candidates, rules }
    }

    /// Refuses a model that the client asked for by a header.
    pub(super) fn not_allowed(&self, message: String) -> Denial {
        let (policy, by) = (Some(self.name.clone()), By::Override);
        let (candidates, rules) = Default::default();
        Denial { policy, by, status: 403, code: "override_not_allowed", message, candidates, rules }
    }

    /// Refuses a request that none of its models can serve.
    pub(super) fn no_model_fits(&self, candidates: Vec<Candidate>, rules: Vec<RuleTrace>) -> Denial {
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
        let message = format!("No model of the policy `{}` can serve this request: {why}.", self.name);
        Denial { policy: Some(self.name.clone()), by: By::Constraints, status, code, message, candidates, rules }
    }
}

impl Denial {
    /// Refuses a policy that the client asked for by a header.
    #[must_use]
    pub fn not_selectable(wanted: &str) -> Self {
        let wanted: String = wanted.chars().take(64).collect();
        let message = format!("`{POLICY_HEADER}` does not choose a policy that may be chosen: `{wanted}`.");
        let (candidates, rules) = Default::default();
        Self { policy: None, by: By::Override, status: 403, code: "override_not_allowed", message, candidates, rules }
    }
}

impl Denial {
    /// Refuses a request that its client may not make: `policy` is what would serve it, `None` stands for passing through.
    #[must_use]
    pub fn not_for_client(policy: Option<&Name>) -> Self {
        let (policy, message) = (policy.cloned(), NOT_ALLOWED.to_owned());
        let (candidates, rules) = Default::default();
        Self { policy, by: By::Client, status: 403, code: "not_allowed", message, candidates, rules }
    }
}

impl Constraint {
    /// Says what stands against a model.
    const fn in_words(self) -> &'static str {
        match self {
            Self::ContextExceeded => "has too small a context window",
            Self::LacksImages => "takes no images",
            Self::LacksAudio => "takes no audio",
            Self::LacksFiles => "takes no files",
            Self::LacksTools => "calls no tools",
            Self::LacksJsonSchema => "knows no JSON schema",
            Self::MaxOutput => "gives no answer as long as `max_tokens` asks for",
            Self::Region => "runs in another region",
            Self::NotAllowed => "is not open to this API key",
            Self::Unhealthy => "is down",
            Self::Saturated => "is at its limit",
        }
    }
}
