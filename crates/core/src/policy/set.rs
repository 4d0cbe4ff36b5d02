//! Every policy of a configuration: the one that is for a request, and the heads that they read.

use super::decision::{Denial, POLICY_HEADER};
use super::facts::RequestFacts;
use super::heads::BundleHeads;
use super::paths::path_of;
use super::rules::{PolicyRules, RuleLanguage};
use super::{Policy, rules, strategy, tested};
use crate::config::{Config, ConfigProblem, MAX_PROBLEMS, Name};
use crate::scores::OfferedHead;

/// Every policy of a configuration, compiled; the first that fits a request decides.
#[derive(Debug)]
pub struct PolicySet {
    pub(super) policies: Vec<Policy>,
    pub(super) language: RuleLanguage,
    /// The configuration, for the places of problems that are found later.
    pub(super) config: Config,
}

impl PolicySet {
    /// The most steps that one rule may take for a request, macros included.
    pub const MAX_RULE_STEPS: u64 = rules::MAX_RULE_STEPS;
    /// The most steps that the rules of a policy may take together.
    pub const MAX_POLICY_STEPS: u64 = rules::MAX_POLICY_STEPS;

    /// Compiles and type-checks every policy of `config`, whose references [`Config::parse`] has checked.
    ///
    /// # Errors
    /// Everything that is wrong with the rules, each problem pointing into its expression.
    pub fn compile(config: &Config) -> Result<Self, Vec<ConfigProblem>> {
        let (language, mut problems) = RuleLanguage::read(config);
        problems.extend(tested::problems(config));
        let mut steps: u64 = 0;
        let mut compiled = Vec::with_capacity(config.policies.len());
        for (index, policy) in config.policies.iter().enumerate() {
            if problems.len() >= MAX_PROBLEMS {
                return Err(problems);
            }
            let rules = PolicyRules::compile(config, &language, &path_of(index).key("rules"), &policy.rules);
            match rules {
                Ok(rules) => {
                    steps = steps.saturating_add(rules.steps().1);
                    compiled.push((index, policy, rules));
                }
                Err(found) => problems.extend(found),
            }
            if steps > rules::MAX_FILE_STEPS {
                let message =
                    format!("the rules of all policies take {steps} steps (allowed: {})", rules::MAX_FILE_STEPS);
                problems.extend(config.problem(&path_of(index), message));
                break;
            }
        }
        // Nothing is built of a file with problems: what has been refused must not be walked through.
        if !problems.is_empty() || compiled.len() < config.policies.len() {
            return Err(problems);
        }
        let build = |(index, policy, rules)| Policy::new(config, index, policy, rules);
        Ok(Self { policies: compiled.into_iter().map(build).collect(), language, config: config.clone() })
    }

    /// Returns each policy that has rules, with the steps that each of them takes at most for one request, and those
    /// of all together.
    pub fn rule_steps(&self) -> impl Iterator<Item = (&Name, Vec<u64>, u64)> {
        let ruled = self.policies.iter().filter(|policy| policy.rules.iter().len() > 0);
        ruled.map(|policy| {
            let (each, whole) = policy.rules.steps();
            (&policy.name, each, whole)
        })
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

    /// Returns the policy for a request: the one that its client names by a header, else the first that fits; `None`
    /// lets the request pass through.
    ///
    /// # Errors
    /// A denial when the client names a policy that may not be named.
    pub fn select(&self, facts: &RequestFacts<'_>) -> Result<Option<&Policy>, Box<Denial>> {
        let Some(wanted) = facts.live.header(POLICY_HEADER) else { return Ok(self.find(facts)) };
        let named = self.policies.iter().find(|policy| policy.is_selectable && *policy.name == *wanted);
        named.map(Some).ok_or_else(|| Box::new(Denial::not_selectable(&wanted)))
    }

    /// Returns the heads of `classifier` that policies read.
    pub fn heads_of(&self, classifier: &Name) -> impl Iterator<Item = &Name> {
        self.policies.iter().flat_map(|policy| policy.heads_of(classifier))
    }

    /// Returns whether a rule of any policy refuses requests.
    #[must_use]
    pub fn may_deny(&self) -> bool {
        self.config.policies.iter().flat_map(|policy| &policy.rules).any(|rule| rule.deny.is_some())
    }

    /// Iterates over the policies in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.policies.iter()
    }

    /// Checks that what policies read of `classifier` is there, and that tiers are exactly the labels of their head.
    ///
    /// `heads` are those of the classifier's bundle.
    pub fn check_labels<'b>(
        &self,
        classifier: &Name,
        heads: impl IntoIterator<Item = OfferedHead<'b>>,
    ) -> Vec<ConfigProblem> {
        let heads = BundleHeads::from_iter(heads);
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
