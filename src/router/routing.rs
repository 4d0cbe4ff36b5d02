//! The verdict on a request, and what it rests on: the decision or refusal of a policy, and the evidence for it.

use std::sync::Arc;
use std::time::Duration;

use pointsman_core::config::Name;
use pointsman_core::features::Features;
use pointsman_core::policy::{ClassifierAnswer, Decision, Denial, KnownSignals, PolicyOutcome};
use pointsman_core::prompt::AskSource;
use pointsman_core::scores::{ClassifierFailure, Scores};

use super::details::ExplanationDetails;
use super::incoming::IncomingRequest;
use super::quotas::QuotaClaim;
use crate::router::affinity_key::PinKey;
use crate::snapshot::ShadowTicket;
use crate::upstream::EarlyTranslation;

/// The verdict on a request.
#[derive(Debug)]
pub enum Verdict {
    /// A policy chose a model.
    Route(Box<Routing>),
    /// No policy is for it, or the policy changes nothing: it passes through untouched.
    Pass {
        /// The policy that matched, if one did.
        policy: Option<Name>,
        /// The decision of that policy, if the policy only watches.
        shadow: Option<Box<Routing>>,
        /// The refusal of that policy, if the policy only watches.
        denied: Option<Box<PolicyRefusal>>,
    },
    /// A refusal, by a policy as a rule.
    Deny(Box<PolicyRefusal>),
}

/// A decision and all that went into it.
#[derive(Debug)]
pub struct Routing {
    /// The model, and why.
    pub decision: Decision,
    /// The features of the prompt.
    pub features: Features,
    /// The classifiers that were asked, and what they said.
    pub asked: Vec<ClassifierAnswer>,
    /// By which text the prompt was judged.
    pub label_from: AskSource,
    /// The time that each part of deciding took.
    pub timings: DecisionTimings,
    /// The prompt for the classifier's shadow to score once the request is over, if the request is one of the shadow's
    /// sample.
    pub shadow: Option<ShadowTicket>,
    /// The hash that the requests of a conversation share, where the decision log may write it.
    pub conversation: Option<u64>,
    /// The part of its holder's allowances that the decision took; `None` where the policy has no quotas.
    pub claim: Option<Arc<QuotaClaim>>,
    /// The request in the words of the model's API, where the choice has asked what it would lose.
    pub(crate) translation: Option<Box<EarlyTranslation>>,
    /// The key of the request's pin, where the policy has affinity.
    pub(super) pin: Option<PinKey>,
    pub(super) details: Option<Box<ExplanationDetails>>,
}

/// The time that each part of deciding took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DecisionTimings {
    /// Reading the text's structure for the classifier; what rules ask for is measured while they decide.
    pub features: Duration,
    /// Waiting for scores, queue included.
    pub classify: Duration,
    /// Waiting for a judge.
    pub judge: Duration,
    /// Rules, strategy and constraints.
    pub decide: Duration,
}

/// A refusal and all that went into it.
#[derive(Debug)]
pub struct PolicyRefusal {
    /// The reason, and the words for the client.
    pub denial: Denial,
    /// The features of the prompt.
    pub features: Features,
    /// The classifiers that were asked, and what they said.
    pub asked: Vec<ClassifierAnswer>,
    /// The cost of the judges that were asked, in US dollars; `None` where nothing is paid for, or not known.
    pub cost_usd: Option<f64>,
    /// The time that each part of deciding took.
    pub timings: DecisionTimings,
    /// The hash that the requests of a conversation share, where the decision log may write it.
    pub conversation: Option<u64>,
    pub(super) details: Option<Box<ExplanationDetails>>,
}

/// The evidence that a policy gathered about a request on the way to its decision.
#[derive(Default)]
pub(super) struct DecisionEvidence {
    pub(super) features: Features,
    pub(super) signals: KnownSignals,
    pub(super) timings: DecisionTimings,
    pub(super) pin: Option<PinKey>,
    /// The value of each rule, for an explanation.
    pub(super) rules: Option<Vec<Option<bool>>>,
    pub(super) label_from: AskSource,
}

impl Verdict {
    pub(super) fn passed(policy: Option<&Name>) -> Self {
        Self::Pass { policy: policy.cloned(), shadow: None, denied: None }
    }
}

impl Routing {
    /// Returns the scores that the decision rests on, or why there are none: those of the classifier that was asked
    /// last.
    #[must_use]
    pub fn scores(&self) -> Option<&Result<Scores, ClassifierFailure>> {
        self.asked.last().map(|asked| &asked.scores)
    }

    /// Returns the classifier of [`Self::scores`].
    #[must_use]
    pub fn classifier(&self) -> Option<&Name> {
        self.asked.last().map(|asked| &asked.classifier)
    }
}

impl DecisionEvidence {
    /// Joins the evidence with the outcome of the policy.
    pub(super) fn conclude(self, outcome: PolicyOutcome) -> Result<Routing, Box<PolicyRefusal>> {
        let Self { features, signals, timings, pin, rules, label_from } = self;
        let cost_usd = signals.cost_usd();
        let KnownSignals { scores: asked, similarities, judgements, .. } = signals;
        let details = rules.map(|rules| Box::new(ExplanationDetails { rules, similarities, judgements }));
        match outcome {
            PolicyOutcome::Decided(decision) => {
                let (shadow, conversation, claim, translation) = (None, None, None, None); // the router fills them in
                Ok(Routing {
                    decision,
                    features,
                    asked,
                    label_from,
                    timings,
                    shadow,
                    conversation,
                    claim,
                    translation,
                    pin,
                    details,
                })
            }
            PolicyOutcome::Denied(denial) => {
                Err(Box::new(PolicyRefusal { denial, features, asked, cost_usd, timings, conversation: None, details }))
            }
        }
    }
}

impl PolicyRefusal {
    /// Refuses a request that no policy has looked at.
    pub(super) fn at_once(denial: Denial, incoming: &IncomingRequest<'_>) -> Self {
        let features = Features::deferred(incoming.prompt, incoming.body);
        Self {
            denial,
            features,
            asked: Vec::new(),
            cost_usd: None,
            timings: DecisionTimings::default(),
            conversation: None,
            details: None,
        }
    }
}
