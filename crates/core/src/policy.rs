//! How a model is chosen: rules, then a strategy, then the hard constraints.
//!
//! Pure and sans-IO. [`Policy::step`] is called with what is known; it decides, or names the signal that it needs and is
//! called again with it. So every strategy is tested without a classifier, a clock or a network. Everything a rule could
//! get wrong that can be known at load is an error at load; what is left costs the rule its match, never the request.

mod affinity;
mod constraints;
pub mod control;
mod decision;
mod denial;
mod draw;
mod estimate;
mod facts;
mod heads;
mod lever;
mod lint;
mod matching;
mod preview;
mod reason;
mod rules;
mod signals;
mod strategy;
mod target;
mod tested;
mod typecheck;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::affinity::Affinity;
pub use self::affinity::{Keep, PinOutcome, PinTrace};
pub use self::constraints::{Candidate, Constraint};
use self::constraints::{Choices, Settled};
use self::decision::Choice;
pub use self::decision::{By, Decision, Denial, Expected, Flip, RuleOutcome, RuleTrace, Stage};
pub use self::denial::NOT_ALLOWED;
use self::estimate::Estimate;
pub use self::facts::{Detail, Health, Live, RequestFacts, Unknown};
use self::heads::Heads;
use self::matching::Matcher;
pub use self::reason::Reason;
use self::rules::{Language, Ruled, Rules};
pub use self::signals::{Asked, Held, JudgeFailure, Judgement, Pin, Signal, Signals, Similarities};
use self::strategy::{Known, Strategy};
pub use self::target::{Observation, Target};
use crate::config::{self, Config, Glob, Housekeeping, KeyPath, Mode, Name, Problem};
use crate::features::Features;

/// The header by which a client names the model, if the policy allows.
pub const MODEL_HEADER: &str = "x-pointsman-model";
/// The header by which a client names the policy, if that allows.
pub const POLICY_HEADER: &str = "x-pointsman-policy";

/// Every policy of a configuration, compiled; the first that fits a request decides.
#[derive(Debug)]
pub struct PolicySet {
    policies: Vec<Policy>,
    language: Language,
    /// For the places of problems that are found later.
    config: Config,
}

/// One policy, compiled.
#[derive(Debug)]
pub struct Policy {
    name: Name,
    mode: Mode,
    rollout: f64,
    overrides: Vec<Glob>,
    is_selectable: bool,
    matcher: Matcher,
    rules: Rules,
    strategy: Strategy,
    choices: Choices,
    housekeeping: Housekeeping,
    affinity: Option<Affinity>,
    target: Option<Target>,
    /// The heads that it reads, by classifier.
    reads: BTreeMap<Name, Vec<Name>>,
}

/// What a policy answers to what is known.
#[derive(Debug)]
pub enum Step {
    /// Find this out and ask again.
    Need(Signal),
    /// The model to use, and why.
    Decide(Decision),
    /// The request is refused.
    Deny(Denial),
}

impl PolicySet {
    /// Compiles and type-checks every policy of `config`, whose references [`Config::parse`] has checked.
    ///
    /// # Errors
    /// Everything that is wrong with the rules, each problem pointing into its expression.
    pub fn compile(config: &Config) -> Result<Self, Vec<Problem>> {
        let (language, mut problems) = Language::read(config);
        problems.extend(tested::problems(config));
        let mut policies = Vec::with_capacity(config.policies.len());
        for (index, policy) in config.policies.iter().enumerate() {
            let rules = Rules::compile(config, &language, &path_of(index).key("rules"), &policy.rules);
            match rules {
                Ok(rules) => policies.push(Policy::new(config, index, policy, rules)),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(Self { policies, language, config: config.clone() }) } else { Err(problems) }
    }

    /// Returns the first policy that fits; `None` lets the request pass through.
    #[must_use]
    pub fn find(&self, facts: &RequestFacts<'_>) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.matcher.fits(facts))
    }

    /// Returns the policy called `name`.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.name == *name)
    }

    /// Returns the policy that a client names by a header, if it may be named.
    #[must_use]
    pub fn selected(&self, name: &str) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.is_selectable && *policy.name == *name)
    }

    /// Returns the heads of `classifier` that policies read.
    pub fn heads_of(&self, classifier: &Name) -> impl Iterator<Item = &Name> {
        self.policies.iter().flat_map(|policy| policy.heads_of(classifier))
    }

    /// Iterates over the policies in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.policies.iter()
    }

    /// Checks that what policies read of `classifier` is there, and that tiers are exactly the labels of their head.
    ///
    /// `heads` are those of the classifier's bundle, with their labels.
    pub fn check_labels<'b>(
        &self,
        classifier: &Name,
        heads: impl IntoIterator<Item = (&'b str, &'b [Arc<str>])>,
    ) -> Vec<Problem> {
        let heads = Heads::from_iter(heads);
        let config = &self.config;
        let mut problems = self.language.check_labels(config, classifier, &heads);
        for (index, policy) in self.policies.iter().enumerate() {
            problems.extend(policy.rules.check_labels(config, &path_of(index).key("rules"), classifier, &heads));
        }
        let mut found = Vec::new();
        for (index, policy) in config.policies.iter().enumerate() {
            policy.strategy.visit(&path_of(index).key("strategy"), &mut |path, section| {
                if section.reads().is_some_and(|(asked, _)| asked == classifier) {
                    found.extend(strategy::problems(path, section, &heads));
                }
            });
        }
        problems.extend(found.into_iter().filter_map(|(path, message)| config.problem(&path, message)));
        problems
    }
}

impl Policy {
    fn new(config: &Config, index: usize, policy: &config::Policy, rules: Rules) -> Self {
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
            matcher: Matcher::new(&policy.matches),
            strategy: Strategy::new(config, &policy.name, &path, &policy.strategy),
            choices: Choices::new(config, policy, rules.models()),
            housekeeping: policy.housekeeping,
            affinity: policy.affinity.as_ref().map(Affinity::new),
            target: Target::new(policy),
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
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns how it holds requests that belong together to one model.
    #[must_use]
    pub fn affinity(&self) -> Option<&config::Affinity> {
        self.affinity.as_ref().map(|affinity| &affinity.config)
    }

    /// Returns what its threshold is moved for.
    #[must_use]
    pub const fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    /// Returns the heads of `classifier` whose scores it reads.
    #[must_use]
    pub fn heads_of(&self, classifier: &Name) -> &[Name] {
        self.reads.get(classifier).map_or(&[], Vec::as_slice)
    }

    /// Returns whether it is rolled out to the conversation of a request. A client that names its model gets an answer to
    /// that wherever its conversation falls.
    #[must_use]
    pub fn is_rolled_out_to(&self, facts: &RequestFacts<'_>) -> bool {
        let place = || strategy::place(&format!("rollout {}", self.name), &facts.live.conversation().to_le_bytes());
        self.rollout >= 1.0 || facts.live.header(MODEL_HEADER).is_some() || place() < self.rollout
    }

    /// Decides, or says what it must know first. Never fails; the same arguments give the same answer.
    ///
    /// `signals` belong to one request: the rules are evaluated at the first step and remembered there.
    #[must_use]
    pub fn step(&self, facts: &RequestFacts<'_>, features: &Features, signals: &Signals) -> Step {
        let ruled = match self.rules.run(&self.name, facts, features, signals) {
            Ok(ruled) => ruled,
            Err(signal) => return Step::Need(signal),
        };
        if let Some((index, deny)) = ruled.denied {
            return Step::Deny(self.denied(index, deny, ruled.traces));
        }
        let known = self.known(facts, features, signals);
        let choice = match (self.overridden(facts), ruled.chosen) {
            (Some(Err(message)), _) => return Step::Deny(self.not_allowed(message)),
            (Some(Ok(model)), _) => {
                self.overruling(Choice::plain(By::Override, &model, Reason::Override), features, signals)
            }
            (None, Some((index, model))) => {
                let choice = Choice::plain(By::Rule(index), model, Reason::Rule);
                let flip = || self.without_rule(index, &ruled, &known);
                let flip = if facts.detail == Detail::Explanation { flip() } else { None };
                self.overruling(Choice { flip, ..choice }, features, signals)
            }
            (None, None) => self.strategic(&known),
        };
        match choice {
            Ok(choice) => self.settle(choice, ruled, &known),
            Err(signal) => Step::Need(signal),
        }
    }

    /// Returns the model that would serve if the rule at `index` were not true, where that is known without asking anybody.
    fn without_rule(&self, index: usize, ruled: &Ruled<'_>, known: &Known<'_>) -> Option<Box<Flip>> {
        let values = self.rules.values(known.facts, known.features, known.signals);
        let chosen = self.rules.choose_without(index, &ruled.traces, &values)?;
        let model = match chosen {
            Some(model) => model.clone(),
            None => self.strategy.choose(known, self.choices.otherwise()).ok()?.model,
        };
        let is_other = Some(&model) != ruled.chosen.map(|(_, model)| model);
        let label = Some(index.to_string().into());
        is_other.then(|| Box::new(Flip { of: "rule", label, value: 1.0, threshold: 0.0, model: Some(model) }))
    }

    /// Returns what each rule comes to by what is known, whether it was tried or not; `None` where one fails, or reads what
    /// nobody asked.
    #[must_use]
    pub fn rule_values(&self, facts: &RequestFacts<'_>, features: &Features, signals: &Signals) -> Vec<Option<bool>> {
        self.rules.values(facts, features, signals)
    }

    fn known<'k>(&'k self, facts: &'k RequestFacts<'k>, features: &'k Features, signals: &'k Signals) -> Known<'k> {
        let warm = self.affinity.as_ref().and_then(|affinity| affinity.warm(&signals.pin, features));
        Known { policy: &self.name, facts, features, signals, warm }
    }

    /// Tells whether an agent sends the request for itself, and the policy does not look at such requests.
    fn keeps_house(&self, features: &Features) -> bool {
        self.housekeeping == Housekeeping::Cheapest && features.purpose.is_housekeeping()
    }

    /// Chooses by the strategy, and by what the request is held to.
    fn strategic(&self, known: &Known<'_>) -> Result<Choice, Signal> {
        if self.keeps_house(known.features) {
            return Ok(Choice::plain(By::Default, self.choices.cheapest(), Reason::Housekeeping));
        }
        match &self.affinity {
            Some(affinity) => affinity.choose(known, &self.choices, &self.strategy),
            None => self.strategy.choose(known, self.choices.otherwise()),
        }
    }

    /// Chooses whatever the request is held to, which must still be known for what is remembered of it.
    fn overruling(&self, choice: Choice, features: &Features, signals: &Signals) -> Result<Choice, Signal> {
        let pin = match (&self.affinity, &signals.pin) {
            (None, _) => return Ok(choice),
            _ if self.keeps_house(features) => return Ok(choice),
            (Some(_), Held::Unknown) => return Err(Signal::Pin),
            (Some(_), Held::Nothing) => None,
            (Some(_), Held::To(pin)) => Some(pin),
        };
        let outcome = if pin.is_some() { PinOutcome::Overruled } else { PinOutcome::New };
        Ok(choice.pinned(PinTrace { outcome, ..PinTrace::new(pin, features) }))
    }

    /// Decides without looking at the request: `otherwise`, for `reason`.
    #[must_use]
    pub fn stand_in(&self, reason: Reason, facts: &RequestFacts<'_>, features: &Features) -> Step {
        let choice = Choice::plain(By::Default, self.choices.otherwise(), reason);
        self.settle(choice, Ruled::default(), &self.known(facts, features, &Signals::default()))
    }

    fn settle(&self, mut choice: Choice, ruled: Ruled<'_>, known: &Known<'_>) -> Step {
        let (features, live) = (known.features, known.facts.live);
        let complete = |candidates: &mut [Candidate]| {
            if known.facts.detail == Detail::Explanation {
                Estimate { features, live, warm: known.warm }.complete(candidates);
            }
        };
        let Settled { model, reason, mut candidates } = match self.choices.settle(&mut choice, features, live) {
            Ok(settled) => settled,
            Err(mut candidates) => {
                complete(&mut candidates);
                return Step::Deny(self.no_model_fits(candidates, ruled.traces));
            }
        };
        complete(&mut candidates);
        let fallback = self.choices.fallback(&model, &candidates);
        let Choice { by, label, score, rationale, flip, stages, pin, .. } = choice;
        let is_held = self.affinity.is_some() && !self.keeps_house(features);
        let keep = if is_held { Keep::of(by, reason) } else { Keep::Nothing };
        let was_moved = by == By::Affinity && matches!(reason, Reason::Moved(_));
        let pin = pin.map(|pin| if was_moved { PinTrace { outcome: PinOutcome::Constrained, ..pin } } else { pin });
        Step::Decide(Decision {
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
        })
    }

    /// Returns the model that the client names, or why it may not.
    fn overridden(&self, facts: &RequestFacts<'_>) -> Option<Result<Name, String>> {
        let wanted = &*facts.live.header(MODEL_HEADER)?;
        let allowed = self.overrides.iter().any(|glob| glob.matches(wanted)) && self.choices.has(wanted);
        let refuse = || format!("Policy `{}` does not let `{MODEL_HEADER}` choose `{wanted}`.", self.name);
        Some(Name::new(wanted).ok().filter(|_| allowed).ok_or_else(refuse))
    }
}

fn path_of(policy: usize) -> KeyPath {
    KeyPath::root().key("policies").index(policy)
}

#[cfg(test)]
mod tests;
