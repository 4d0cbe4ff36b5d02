//! How a model is chosen: rules, then a strategy, then the hard constraints.
//!
//! Pure and sans-IO. [`Policy::step`] is called with what is known; it decides, or names the signal that it needs and is
//! called again with it. So every strategy is tested without a classifier, a clock or a network. Everything a rule could
//! get wrong that can be known at load is an error at load; what is left costs the rule its match, never the request.

mod constraints;
mod decision;
mod lint;
mod matching;
mod rules;
mod strategy;
mod tested;
mod typecheck;

use std::sync::Arc;

use crate::config::{self, Config, KeyPath, Mode, Name, Problem};
use crate::features::Features;
use crate::scores::{Degraded, Scores};

use self::constraints::Choices;
pub use self::constraints::{Candidate, Constraint};
pub use self::decision::{By, Decision, Flip, Reason, RuleOutcome, RuleTrace};
use self::matching::Matcher;
pub use self::matching::RequestFacts;
use self::rules::{Language, Memory, Rules};
use self::strategy::Strategy;

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
    matcher: Matcher,
    rules: Rules,
    strategy: Strategy,
    choices: Choices,
}

/// What is known so far about one request, besides its features: start with the default and add what [`Step::Need`] asks.
#[derive(Debug, Default)]
pub struct Signals {
    /// The classifier's answer, or why there is none; `None` until it was asked.
    pub scores: Option<Result<Scores, Degraded>>,
    /// What the rules of a policy came to, so that asking for a signal does not evaluate them twice.
    tried: Memory,
}

/// Something that a policy needs to know before it can decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// The scores of a classifier.
    Scores {
        /// Which classifier.
        classifier: Name,
    },
}

/// What a policy answers to what is known.
#[derive(Debug)]
pub enum Step {
    /// Find this out and ask again.
    Need(Signal),
    /// The model to use, and why.
    Decide(Decision),
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
                Ok(rules) => policies.push(Policy::new(config, policy, rules)),
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

    /// Returns the heads that policies which ask `classifier` read.
    pub fn heads_of(&self, classifier: &Name) -> impl Iterator<Item = &Name> {
        self.policies.iter().filter(|policy| policy.strategy.asks(classifier)).flat_map(Policy::heads)
    }

    /// Iterates over the policies in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.policies.iter()
    }

    /// Checks that every policy that asks `classifier` reads a head that is there, and that its tiers are exactly the
    /// head's labels.
    ///
    /// `labels` returns the labels of a head of the classifier's bundle.
    pub fn check_labels<'l>(&self, classifier: &Name, labels: impl Fn(&str) -> Option<&'l [Arc<str>]>) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (index, policy) in self.config.policies.iter().enumerate() {
            let (asked, head) = policy.strategy.asks();
            if asked != classifier {
                continue;
            }
            let path = path_of(index).key("strategy");
            let found = match &policy.strategy {
                config::Strategy::Tiers(tiers) => strategy::label_problems(&path, tiers, labels(head)),
                config::Strategy::Threshold(threshold) => strategy::head_problems(&path, threshold, labels(head)),
            };
            problems.extend(found.into_iter().filter_map(|(path, message)| self.config.problem(&path, message)));
        }
        problems
    }
}

impl Signals {
    fn scores_of(&self, _: &Name) -> Option<&Result<Scores, Degraded>> {
        self.scores.as_ref()
    }
}

impl Policy {
    fn new(config: &Config, policy: &config::Policy, rules: Rules) -> Self {
        let choices = Choices::new(config, policy, rules.models());
        Self {
            name: policy.name.clone(),
            mode: policy.mode,
            matcher: Matcher::new(&policy.matches),
            strategy: Strategy::new(&policy.strategy, choices.otherwise().clone()),
            choices,
            rules,
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

    /// Returns the heads whose scores its strategy reads.
    #[must_use]
    pub fn heads(&self) -> &[Name] {
        self.strategy.heads()
    }

    /// Returns the model that its strategy chooses by `scores`, after the constraints; `None` when it needs to know more.
    #[must_use]
    pub fn model_by(&self, scores: Scores, features: &Features) -> Option<Name> {
        let signals = Signals { scores: Some(Ok(scores)), ..Signals::default() };
        let choice = self.strategy.choose(&signals).ok()?;
        Some(self.choices.settle(&choice, features).0)
    }

    /// Decides, or says what it must know first. Never fails; the same arguments give the same answer.
    ///
    /// `signals` belong to one request: the rules are evaluated at the first step and remembered there.
    #[must_use]
    pub fn step(&self, facts: &RequestFacts<'_>, features: &Features, signals: &Signals) -> Step {
        let tried = match self.rules.run(&self.name, facts, features, signals) {
            Ok(tried) => tried,
            Err(signal) => return Step::Need(signal),
        };
        let choice = match self.rules.chosen(&tried) {
            Some((index, model)) => decision::Choice::by_rule(index, model),
            None => match self.strategy.choose(signals) {
                Ok(choice) => choice,
                Err(signal) => return Step::Need(signal),
            },
        };
        let (model, reason, candidates) = self.choices.settle(&choice, features);
        let fallback = self.choices.fallback(&model, &candidates);
        let decision::Choice { by, label, score, flip, .. } = choice;
        Step::Decide(Decision {
            model,
            policy: self.name.clone(),
            by,
            reason,
            label,
            score,
            flip,
            candidates,
            fallback,
            rules: tried.traces.clone(),
        })
    }
}

fn path_of(policy: usize) -> KeyPath {
    KeyPath::root().key("policies").index(policy)
}

#[cfg(test)]
mod tests;
