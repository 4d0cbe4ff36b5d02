//! The findings of a verdict, read without taking it apart: for the proxy's records of a request.

use pointsman_core::config::Name;
use pointsman_core::features::Features;
use pointsman_core::policy::{ClassifierAnswer, Decision, DecisionMaker, Denial};
use pointsman_core::prompt::AskSource;

use super::{Routing, Verdict};

/// A policy's finding for a request, applied or only watched: a decision or a refusal, and what both rest on.
#[derive(Debug, Clone, Copy)]
pub struct PolicyFinding<'v> {
    /// The decision, or why the policy refuses.
    pub result: Result<&'v Decision, &'v Denial>,
    /// The features of the prompt.
    pub features: &'v Features,
    /// The classifiers that were asked, in order.
    pub asked: &'v [ClassifierAnswer],
    /// The text that a decision's label is of; `None` for a refusal.
    pub label_from: Option<AskSource>,
    /// The cost of the judges that were asked, in US dollars; `None` where nothing is paid for, or not known.
    pub judge_cost_usd: Option<f64>,
    /// The hash that the requests of a conversation share, where the decision log may write it.
    pub conversation: Option<u64>,
}

impl Verdict {
    /// Returns the decision that the request is sent by.
    #[must_use]
    pub fn routing(&self) -> Option<&Routing> {
        match self {
            Self::Route(routing) => Some(routing),
            Self::Pass { .. } | Self::Deny(_) => None,
        }
    }

    /// Returns [`Self::routing`], to take out of it what is used once.
    #[must_use]
    pub fn routing_mut(&mut self) -> Option<&mut Routing> {
        match self {
            Self::Route(routing) => Some(routing),
            Self::Pass { .. } | Self::Deny(_) => None,
        }
    }

    /// Returns whether what a policy found is what happens, and not only watched.
    #[must_use]
    pub const fn is_applied(&self) -> bool {
        matches!(self, Self::Route(_) | Self::Deny(_))
    }

    /// Returns what a policy found; `None` for a request that no policy looked at.
    #[must_use]
    pub fn finding(&self) -> Option<PolicyFinding<'_>> {
        match self {
            Self::Route(routing) | Self::Pass { shadow: Some(routing), .. } => Some(PolicyFinding {
                result: Ok(&routing.decision),
                features: &routing.features,
                asked: &routing.asked,
                label_from: Some(routing.label_from),
                judge_cost_usd: routing.decision.cost_usd,
                conversation: routing.conversation,
            }),
            Self::Deny(refusal) | Self::Pass { denied: Some(refusal), .. } => Some(PolicyFinding {
                result: Err(&refusal.denial),
                features: &refusal.features,
                asked: &refusal.asked,
                label_from: None,
                judge_cost_usd: refusal.cost_usd,
                conversation: refusal.conversation,
            }),
            Self::Pass { .. } => None,
        }
    }

    /// Returns the features of [`Self::finding`].
    #[must_use]
    pub fn features_mut(&mut self) -> Option<&mut Features> {
        match self {
            Self::Route(routing) | Self::Pass { shadow: Some(routing), .. } => Some(&mut routing.features),
            Self::Deny(refusal) | Self::Pass { denied: Some(refusal), .. } => Some(&mut refusal.features),
            Self::Pass { .. } => None,
        }
    }
}

impl<'v> PolicyFinding<'v> {
    /// Returns the policy; `None` when the client named one that it may not, or a model of the catalog.
    #[must_use]
    pub fn policy(&self) -> Option<&'v Name> {
        self.result.map_or_else(|denial| denial.policy.as_ref(), Decision::deciding_policy)
    }

    /// Returns what in the policy decided or refused.
    #[must_use]
    pub fn by(&self) -> DecisionMaker {
        self.result.map_or_else(|denial| denial.by, |decision| decision.by)
    }
}
