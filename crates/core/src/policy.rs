//! The choice of a model: rules, then a strategy, then the hard constraints.
//!
//! Pure and sans-IO. [`Policy::step`] is called with what is known; it decides, or names the signal that it needs and
//! is called again with it. So every strategy is tested without a classifier, a clock or a network. Everything a rule
//! could get wrong that can be known at load is an error at load; what is left costs the rule its match, never the
//! request.

mod affinity;
pub mod bandit;
mod constraints;
pub mod control;
mod decision;
mod drive;
mod estimate;
mod facts;
mod flip;
mod heads;
mod lint;
mod matching;
mod paths;
mod preview;
pub mod quota;
mod rule_memory;
mod rules;
mod set;
mod signals;
mod strategy;
mod target;
mod tested;

use std::collections::BTreeMap;

use self::affinity::{SessionAffinity, trace_of};
pub use self::constraints::DialectFit;
use self::constraints::{ConstrainedChoice, ConstrainingWorld, PolicyModels};
use self::decision::ModelChoice;
pub use self::decision::{
    AnswerCheck, Candidate, Constraint, Decision, DecisionFlip, DecisionMaker, Denial, EscalationPlan, HasFormat,
    HeldPart, JudgeFailure, MODEL_HEADER, ModelExpectation, NOT_ALLOWED, POLICY_HEADER, PinOutcome, PinTrace,
    PinUpdate, PolicyOutcome, QuotaOutcome, QuotaTrace, Reason, RuleOutcome, RuleTrace, StrategyStage,
    UnansweredQuestion,
};
pub use self::drive::{PolicyParticipation, SignalSource};
use self::estimate::{CostEstimate, USUAL_OUTPUT};
pub use self::facts::{DecisionDetail, PolicyWorld, ProviderHealth, RequestFacts, UnknownWorld};
use self::matching::PolicyMatcher;
use self::paths::path_of;
use self::rules::{PolicyRules, RuleVerdict};
pub use self::set::PolicySet;
use self::signals::RequestEvidence;
pub use self::signals::{ClassifierAnswer, Judgement, KnownSignals, ModelPin, PinLookup, RouteSimilarities, Signal};
use self::strategy::{ChoiceContext, Strategy};
pub use self::target::{ControlTarget, TargetObservation};
use crate::config::{self, Config, Glob, HousekeepingModel, Name, PolicyMode};
use crate::features::Features;

/// One policy, compiled.
#[derive(Debug)]
pub struct Policy {
    name: Name,
    mode: PolicyMode,
    rollout: f64,
    overrides: Vec<Glob>,
    is_selectable: bool,
    matcher: PolicyMatcher,
    rules: PolicyRules,
    strategy: Strategy,
    choices: PolicyModels,
    housekeeping: HousekeepingModel,
    affinity: Option<SessionAffinity>,
    target: Option<ControlTarget>,
    /// The heads that the policy reads, by classifier.
    reads: BTreeMap<Name, Vec<Name>>,
}

/// The answer of a policy to the signals that are known.
#[expect(clippy::large_enum_variant, reason = "nearly every outcome is a decision: a box is an allocation a request")]
#[derive(Debug)]
pub enum PolicyStep {
    /// The signal to find before the policy is asked again.
    Need(Signal),
    /// The model to use, and the way to it.
    Decide(Decision),
    /// The refusal of the request.
    Deny(Denial),
}

impl Policy {
    fn new(config: &Config, index: usize, policy: &config::PolicyConfig, rules: PolicyRules) -> Self {
        let path = path_of(index).key("strategy");
        let mut reads: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
        let mut read = |classifier: &Name, head: &Name| {
            let all = reads.entry(classifier.clone()).or_default();
            if !all.contains(head) {
                all.push(head.clone());
            }
        };
        rules.heads().for_each(|(classifier, head)| read(classifier, head));
        policy.strategy.visit(&path, &mut |_, section| {
            if let Some((classifier, heads)) = section.reads() {
                heads.iter().for_each(|head| read(classifier, head));
            }
        });
        Self {
            name: policy.name.clone(),
            mode: policy.mode,
            rollout: policy.rollout.get(),
            overrides: policy.overrides.models.clone(),
            is_selectable: policy.overrides.policy,
            matcher: PolicyMatcher::new(&policy.matches),
            strategy: Strategy::new(config, &policy.name, &path, &policy.strategy),
            choices: PolicyModels::new(config, policy, rules.models()),
            housekeeping: policy.housekeeping,
            affinity: policy.affinity.as_ref().map(SessionAffinity::new),
            target: ControlTarget::new(policy),
            rules,
            reads,
        }
    }

    /// Returns the policy's name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Returns what the policy does with the requests that fit.
    #[must_use]
    pub const fn mode(&self) -> PolicyMode {
        self.mode
    }

    /// Returns the affinity by which requests that belong together stay with one model.
    #[must_use]
    pub fn affinity(&self) -> Option<&config::AffinityConfig> {
        self.affinity.as_ref().map(|affinity| &affinity.config)
    }

    /// Returns what becomes of a conversation that holds what another provider sealed.
    #[must_use]
    pub const fn state(&self) -> config::StateRule {
        self.choices.state()
    }

    /// Returns what becomes of a request that the API of its model cannot say all of.
    #[must_use]
    pub const fn on_loss(&self) -> config::LossRule {
        self.choices.on_loss()
    }

    /// Returns the models that it may choose by itself, each once.
    pub fn models(&self) -> impl Iterator<Item = &Name> {
        self.choices.own()
    }

    /// Returns the bounds on the answers that one client or session gets from strong models.
    #[must_use]
    pub fn quotas(&self) -> &[quota::PolicyQuota] {
        self.choices.quotas()
    }

    /// Returns whether `model` counts as strong: one that a quota bounds, else one that the target counts, else the
    /// highest of the strategy's order.
    #[must_use]
    pub fn is_strong(&self, model: &Name) -> bool {
        match (self.quotas(), &self.target) {
            ([], Some(target)) => target.is_strong(model),
            ([], None) => self.choices.highest() == model,
            (quotas, _) => quotas.iter().any(|quota| quota.is_for(model)),
        }
    }

    /// Returns the target that the policy's threshold is moved for.
    #[must_use]
    pub const fn target(&self) -> Option<&ControlTarget> {
        self.target.as_ref()
    }

    /// Returns the heads of `classifier` whose scores the policy reads.
    #[must_use]
    pub fn heads_of(&self, classifier: &Name) -> &[Name] {
        self.reads.get(classifier).map_or(&[], Vec::as_slice)
    }

    /// Decides, or names the signal that it needs first. Never fails; the same arguments give the same answer.
    ///
    /// `signals` belong to one request: the rules are evaluated at the first step and remembered there. Whoever can
    /// find signals drives all the steps at once with [`Policy::decide`].
    #[must_use]
    pub fn step(&self, facts: &RequestFacts<'_>, features: &Features, signals: &KnownSignals) -> PolicyStep {
        let outcome = self.outcome(&self.known(facts, features, signals));
        outcome.map_or_else(PolicyStep::Need, |outcome| match outcome {
            PolicyOutcome::Decided(decision) => PolicyStep::Decide(decision),
            PolicyOutcome::Denied(denial) => PolicyStep::Deny(denial),
        })
    }

    /// Decides by what is known, or names the signal that it needs.
    fn outcome(&self, known: &ChoiceContext<'_>) -> Result<PolicyOutcome, Signal> {
        let ruled = self.rules.run(&self.name, known.evidence())?;
        if let Some((index, deny)) = ruled.denied {
            return Ok(PolicyOutcome::Denied(Denial::by_rule(&self.name, index, deny, ruled.traces)));
        }
        let choice = match (self.overridden(known.facts), ruled.chosen) {
            (Some(Err(denial)), _) => return Ok(PolicyOutcome::Denied(denial)),
            (Some(Ok(model)), _) => {
                self.overruling(ModelChoice::plain(DecisionMaker::Override, &model, Reason::Override), known)?
            }
            (None, Some((index, model))) => {
                let mut choice = ModelChoice::plain(DecisionMaker::Rule(index), model, Reason::Rule);
                if known.is_explained() {
                    choice.flip = self.without_rule(index, &ruled, known);
                }
                self.overruling(choice, known)?
            }
            (None, None) => self.strategic(known)?,
        };
        Ok(self.conclude(choice, ruled, known))
    }

    /// Returns the model that would serve if the rule at `index` were not true, where that is known without asking
    /// anybody.
    fn without_rule(
        &self,
        index: usize,
        ruled: &RuleVerdict<'_>,
        known: &ChoiceContext<'_>,
    ) -> Option<Box<DecisionFlip>> {
        let values = self.rules.values(known.evidence());
        let chosen = self.rules.choose_without(index, &ruled.traces, &values)?;
        let model = match chosen {
            Some(model) => model.clone(),
            None => self.strategy.choose(known, self.choices.otherwise()).ok()?.model,
        };
        let is_other = Some(&model) != ruled.chosen.map(|(_, model)| model);
        let label = Some(index.to_string().into());
        is_other.then(|| Box::new(DecisionFlip { of: "rule", label, value: 1.0, threshold: 0.0, model: Some(model) }))
    }

    /// Returns the value of each rule by what is known, whether it was tried or not; `None` where one fails, or reads
    /// what nobody asked.
    #[must_use]
    pub fn rule_values(
        &self,
        facts: &RequestFacts<'_>,
        features: &Features,
        signals: &KnownSignals,
    ) -> Vec<Option<bool>> {
        self.rules.values(RequestEvidence { facts, features, signals })
    }

    fn known<'k>(
        &'k self,
        facts: &'k RequestFacts<'k>,
        features: &'k Features,
        signals: &'k KnownSignals,
    ) -> ChoiceContext<'k> {
        let warm = self.affinity.as_ref().and_then(|affinity| affinity.warm(&signals.pin, features));
        ChoiceContext { policy: &self.name, facts, features, signals, warm }
    }

    /// Tells whether an agent sends the request for itself, and the policy does not look at such requests.
    fn keeps_house(&self, features: &Features) -> bool {
        self.housekeeping == HousekeepingModel::Cheapest && features.purpose.is_housekeeping()
    }

    /// Chooses by the strategy, and by the pin of the request's conversation.
    fn strategic(&self, known: &ChoiceContext<'_>) -> Result<ModelChoice, Signal> {
        if self.keeps_house(known.features) {
            return Ok(ModelChoice::plain(DecisionMaker::Default, self.choices.cheapest(), Reason::Housekeeping));
        }
        match &self.affinity {
            Some(affinity) => affinity.choose(known, &self.choices, &self.strategy),
            None => self.strategy.choose(known, self.choices.otherwise()),
        }
    }

    /// Overrules the pin of the conversation, which must still be known for what is remembered of it.
    fn overruling(&self, choice: ModelChoice, known: &ChoiceContext<'_>) -> Result<ModelChoice, Signal> {
        let pin = match (&self.affinity, &known.signals.pin) {
            (None, _) => return Ok(choice),
            _ if self.keeps_house(known.features) => return Ok(choice),
            (Some(_), PinLookup::Unknown) => return Err(Signal::Pin),
            (Some(_), PinLookup::Nothing) => None,
            (Some(_), PinLookup::To(pin)) => Some(pin),
        };
        let outcome = if pin.is_some() { PinOutcome::Overruled } else { PinOutcome::New };
        Ok(choice.pinned(PinTrace { outcome, ..trace_of(pin, known.features) }))
    }

    /// Decides without looking at the request: `otherwise`, for `reason`.
    #[must_use]
    pub fn stand_in(&self, reason: Reason, facts: &RequestFacts<'_>, features: &Features) -> PolicyOutcome {
        let choice = ModelChoice::plain(DecisionMaker::Default, self.choices.otherwise(), reason);
        self.conclude(choice, RuleVerdict::default(), &self.known(facts, features, &KnownSignals::default()))
    }

    /// Applies the constraints to a choice.
    fn conclude(&self, mut choice: ModelChoice, ruled: RuleVerdict<'_>, known: &ChoiceContext<'_>) -> PolicyOutcome {
        let (features, live) = (known.features, known.facts.live);
        choice.used_up = self.used_up(choice.by, live);
        choice.tight_budget = self.choices.tight_budget(choice.by, live);
        let complete = |candidates: &mut [Candidate]| {
            if known.is_explained() {
                CostEstimate { features, live, warm: known.warm }.complete(candidates);
            }
        };
        let ConstrainedChoice { model, reason, mut candidates } =
            match self.choices.constrain(&mut choice, features, ConstrainingWorld { live, detail: known.facts.detail })
            {
                Ok(constrained) => constrained,
                Err(mut candidates) => {
                    complete(&mut candidates);
                    return PolicyOutcome::Denied(Denial::no_model_fits(&self.name, candidates, ruled.traces));
                }
            };
        complete(&mut candidates);
        let quota = self.quota_trace(&choice, &model, reason);
        if quota.as_ref().is_some_and(|trace| trace.outcome == QuotaOutcome::Refused) {
            return PolicyOutcome::Denied(Denial::beyond_quota(&self.name, quota, candidates, ruled.traces));
        }
        let fallback = self.choices.fallback(&model, &candidates, live);
        let is_allowed = |plan: &EscalationPlan| self.choices.quota_against(&choice.used_up, plan.strong()).is_none();
        let escalation =
            choice.escalation.take().filter(|plan| is_allowed(plan) && is_possible(plan, &model, &candidates));
        let ModelChoice { by, label, score, rationale, flip, stages, pin, tight_budget, .. } = choice;
        let is_held = self.affinity.is_some() && !self.keeps_house(features);
        let keep = if is_held { PinUpdate::of(by, reason) } else { PinUpdate::Nothing };
        let was_moved = by == DecisionMaker::Affinity && matches!(reason, Reason::Moved(_));
        let pin = pin.map(|pin| if was_moved { PinTrace { outcome: PinOutcome::Constrained, ..pin } } else { pin });
        PolicyOutcome::Decided(Decision {
            model,
            policy: self.name.clone(),
            by,
            reason,
            label,
            score,
            rationale,
            flip,
            cost_usd: known.signals.cost_usd(),
            candidates,
            fallback,
            rules: ruled.traces,
            stages,
            set: ruled.set,
            pin,
            keep,
            quota,
            tight_budget,
            escalation,
        })
    }

    /// Returns the positions of the quotas that hold for what `by` chose and are used up.
    fn used_up(&self, by: DecisionMaker, live: &dyn PolicyWorld) -> Vec<usize> {
        let quotas = self.choices.quotas().iter().enumerate();
        let used_up = quotas.filter(|(index, quota)| quota.binds(by) && live.is_used_up(&self.name, *index));
        used_up.map(|(index, _)| index).collect()
    }

    /// Describes the quota that stood against a choice, or stands against the model that serves in spite of it.
    fn quota_trace(&self, choice: &ModelChoice, model: &Name, reason: Reason) -> Option<QuotaTrace> {
        let against = |model: &Name| self.choices.quota_against(&choice.used_up, model);
        let (quota, outcome) = match against(model) {
            Some(quota) if quota.refuses() => (quota, QuotaOutcome::Refused),
            Some(quota) => (quota, QuotaOutcome::Served),
            None if reason == Reason::Moved(Constraint::Quota) => (against(&choice.model)?, QuotaOutcome::Moved),
            None => return None,
        };
        Some(QuotaTrace { name: quota.name().clone(), per: quota.per(), outcome })
    }

    /// Returns the likely cost of a request with `model`, in US dollars; `None` where the model has no price.
    #[must_use]
    pub fn estimate(&self, model: &Name, features: &Features, live: &dyn PolicyWorld) -> Option<f64> {
        let estimate = CostEstimate { features, live, warm: None };
        let output = estimate.output_tokens(model, USUAL_OUTPUT);
        self.choices.rate(model).map(|rate| estimate.cost(model, rate, output))
    }

    /// Returns the model that the client names, or the refusal of it.
    fn overridden(&self, facts: &RequestFacts<'_>) -> Option<Result<Name, Denial>> {
        let wanted = &*facts.live.header(MODEL_HEADER)?;
        let allowed = self.overrides.iter().any(|glob| glob.matches(wanted)) && self.choices.has(wanted);
        let model = Name::new(wanted).ok().filter(|_| allowed);
        Some(model.ok_or_else(|| Denial::not_overridable(&self.name, wanted)))
    }
}

/// Returns whether the chosen model is the one whose answer a plan checks, and its strong model can serve the request.
fn is_possible(plan: &EscalationPlan, model: &Name, candidates: &[Candidate]) -> bool {
    let can = |candidate: &Candidate| candidate.model == *plan.strong() && candidate.fits.is_ok();
    plan.cheap() == model && candidates.iter().any(can)
}

#[cfg(test)]
mod tests;
