//! A decision is data: a header, a metric's label, a log field, an assertion.
//!
//! Owns the vocabulary that the rest of [`crate::policy`] and everybody outside speaks: decisions and denials, the
//! choice that becomes one, its reason, its candidates, its trace. Knows nothing of how any of it is found: no file
//! here imports anything of the room above.

mod candidate;
mod choice;
mod constraint;
mod denial;
mod draw;
mod escalation;
mod judge_failure;
mod pin;
mod quota;
mod reason;
mod trace;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

pub use self::candidate::{Candidate, ModelExpectation};
pub(super) use self::choice::ModelChoice;
pub use self::constraint::Constraint;
pub use self::denial::{Denial, MODEL_HEADER, NOT_ALLOWED, POLICY_HEADER};
pub(super) use self::draw::{ModelDraw, ModelShares};
pub use self::escalation::{AnswerCheck, EscalationPlan, HasFormat, HeldPart};
pub use self::judge_failure::{JudgeFailure, UnansweredQuestion};
pub use self::pin::{PinOutcome, PinTrace, PinUpdate};
pub use self::quota::{QuotaOutcome, QuotaTrace};
pub use self::reason::Reason;
pub use self::trace::{DecisionFlip, DecisionMaker, RuleOutcome, RuleTrace, StrategyStage};
use crate::config::Name;

/// The model that a policy chose for a request, and everything that led to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The model's name in the catalog.
    pub model: Name,
    /// The policy that chose; `none` where the client named the model, see [`Self::deciding_policy`].
    pub policy: Name,
    /// The part of the policy that chose.
    pub by: DecisionMaker,
    /// The reason for this model.
    pub reason: Reason,
    /// The classifier's best label, when it was asked and answered.
    pub label: Option<Arc<str>>,
    /// The number that the strategy went by: the best label's probability, the head's score beside the thresholds, or
    /// the judge's confidence.
    pub score: Option<f32>,
    /// A judge's own words for its label; as private as the prompt, which they may quote.
    pub rationale: Option<Arc<str>>,
    /// The nearest number that would have changed the strategy's choice; only in an explanation, and `None` where no
    /// number decided.
    pub flip: Option<Box<DecisionFlip>>,
    /// The cost of asking judges, in US dollars; `None` where nothing is paid for, or not known.
    pub cost_usd: Option<f64>,
    /// Every model the policy can choose, in its order.
    pub candidates: Vec<Candidate>,
    /// The models to try next when the chosen one's provider fails: the policy's `fallback`, without the models that
    /// cannot serve the request.
    pub fallback: Vec<Name>,
    /// The rules that were tried, up to the one that matched.
    pub rules: Vec<RuleTrace>,
    /// The strategies within a strategy that were asked, in that order.
    pub stages: Vec<StrategyStage>,
    /// Top-level parameters of the request that rules set.
    pub set: BTreeMap<String, Value>,
    /// The trace of the conversation's pin; `None` when the policy has no affinity.
    pub pin: Option<PinTrace>,
    /// The part that is to be remembered for the later requests of the conversation.
    pub keep: PinUpdate,
    /// The trace of a quota that was used up; `None` where none stood against the choice.
    pub quota: Option<QuotaTrace>,
    /// The budget that is used beyond its soft share; `None` where none holds for the choice.
    pub tight_budget: Option<Name>,
    /// The plan by which the model's answer is checked; `None` where it goes out as it comes.
    pub escalation: Option<Arc<EscalationPlan>>,
}

/// The name that stands where no policy chose; metrics say so of requests that pass as well.
const NO_POLICY: &str = "none";

impl Decision {
    /// Returns the most tokens that an answer of `model` may have, where the request asks for more.
    #[must_use]
    pub fn answer_limit(&self, model: &Name) -> Option<u64> {
        self.candidates.iter().find(|candidate| candidate.model == *model)?.answer_limit
    }

    /// Makes the decision for a request whose client named a model of the catalog that no policy matches.
    ///
    /// # Panics
    /// Never: `none` is a good name.
    #[must_use]
    pub fn by_name(named: Candidate) -> Self {
        Self {
            model: named.model.clone(),
            policy: Name::new(NO_POLICY).expect("letters make a name"),
            by: DecisionMaker::Catalog,
            reason: Reason::Catalog,
            label: None,
            score: None,
            rationale: None,
            flip: None,
            cost_usd: None,
            candidates: vec![named],
            fallback: Vec::new(),
            rules: Vec::new(),
            stages: Vec::new(),
            set: BTreeMap::new(),
            pin: None,
            keep: PinUpdate::Nothing,
            quota: None,
            tight_budget: None,
            escalation: None,
        }
    }

    /// Makes the decision where the model that the client named cannot have what the request names, and `serving` is the
    /// same model at the provider that keeps it.
    #[must_use]
    pub fn by_name_at_keeper(named: Candidate, serving: Candidate) -> Self {
        let named = Candidate { fits: Err(Constraint::State), ..named };
        let candidates = vec![named, serving.clone()];
        Self { reason: Reason::Moved(Constraint::State), candidates, ..Self::by_name(serving) }
    }

    /// Returns the policy that chose; `None` where the client named a model of the catalog and no policy matched.
    #[must_use]
    pub fn deciding_policy(&self) -> Option<&Name> {
        (self.by != DecisionMaker::Catalog).then_some(&self.policy)
    }
}

/// The outcome of a policy for one request.
#[expect(clippy::large_enum_variant, reason = "nearly every outcome is a decision: a box is an allocation a request")]
#[derive(Debug)]
pub enum PolicyOutcome {
    /// The model to use, and the way to it.
    Decided(Decision),
    /// The refusal of the request.
    Denied(Denial),
}
