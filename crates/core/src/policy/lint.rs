//! Warnings of what is allowed but cannot be meant: rules that are never reached or never true, names that nothing
//! uses.
//!
//! Sound, not complete: what it says of a rule holds for every request ([`cases`]); what it cannot tell, it leaves out.

mod budget;
mod cases;
mod condition;
mod cover;
mod domain;
mod never;
mod passing;

use std::collections::BTreeSet;

use self::budget::LintBudget;
use self::cases::ConditionCases;
use self::condition::{LintScope, WantedTruth};
use super::paths::path_of;
use super::rules::{PolicyRules, Rule};
use super::set::PolicySet;
use crate::config::{Config, ConfigProblem, KeyPath, MAX_PROBLEMS, PolicyMode};

/// The requests that take a rule and that pass it by, as far as they can be told.
struct RuleReach {
    /// The requests for which the rule is true, and maybe more.
    taken: Option<ConditionCases>,
    /// The requests for which the rule is not true, and maybe more.
    passed: Option<ConditionCases>,
    ends: bool,
}

impl PolicySet {
    /// Finds what the file's author cannot have meant, in the file's order.
    #[must_use]
    pub fn lint(&self) -> Vec<ConfigProblem> {
        let config = &self.config;
        let budget = LintBudget::new();
        let scope = LintScope { macros: &self.language.macros, budget: &budget };
        let mut found: Vec<ConfigProblem> = Vec::new();
        for (index, policy) in self.policies.iter().enumerate() {
            let path = path_of(index).key("rules");
            let warnings = rules(&policy.rules, scope);
            let place = |(rule, message): (usize, String)| config.problem(&path.index(rule).key("when"), message);
            let left = MAX_PROBLEMS.saturating_sub(found.len());
            found.extend(warnings.into_iter().take(left).filter_map(place));
        }
        found.extend(policies(config, &budget));
        found.extend(never::warnings(config, &budget));
        found.extend(passing::warnings(config));
        found.extend(self.unused());
        found
    }

    fn unused(&self) -> Vec<ConfigProblem> {
        let (config, macros) = (&self.config, &self.language.macros);
        let mut constants: BTreeSet<&String> = BTreeSet::new();
        let mut used: BTreeSet<usize> = BTreeSet::new();
        let mut open: Vec<_> =
            self.policies.iter().flat_map(|policy| policy.rules.iter()).map(|rule| &rule.when).collect();
        while let Some(expression) = open.pop() {
            constants.extend(&expression.constants);
            let new = expression.macros.iter().filter(|position| used.insert(**position));
            open.extend(new.filter_map(|position| Some(&macros.get(*position)?.value)));
        }
        let root = KeyPath::root();
        let idle = macros.iter().enumerate().filter(|(position, _)| !used.contains(position));
        let macros = idle.map(|(_, idle)| root.key("macros").key(&idle.name));
        let constants = self.language.constants().filter(|name| !constants.contains(name));
        let constants = constants.map(|name| root.key("constants").key(name));
        let unused = macros.chain(constants).take(MAX_PROBLEMS);
        unused.filter_map(|path| config.problem(&path, "is used by no rule")).collect()
    }
}

/// Finds rules that are never true, never reached, or always true before others.
fn rules(rules: &PolicyRules, scope: LintScope<'_>) -> Vec<(usize, String)> {
    let cases = |rule: &Rule, want| condition::cases(&rule.when, rules.slots(), scope, want);
    // A denial that fails may deny.
    let taken = |rule: &Rule| if rule.deny().is_some() { WantedTruth::NotFalse } else { WantedTruth::True };
    let known = rules.iter().map(|rule| RuleReach {
        taken: cases(rule, taken(rule)),
        passed: cases(rule, WantedTruth::NotTrue),
        ends: rule.ends,
    });
    let known: Vec<RuleReach> = known.collect();
    let mut found = Vec::new();
    for (index, rule) in known.iter().enumerate() {
        let after = known.len() - index - 1;
        if rule.taken.as_ref().is_some_and(ConditionCases::is_empty) {
            found.push((index, "can never be true".to_owned()));
        } else if let Some(message) = unreachable(rules, &known[..=index], scope.budget) {
            found.push((index, message));
        } else if rule.ends && after > 0 && rule.passed.as_ref().is_some_and(ConditionCases::is_empty) {
            let rules = if after == 1 { "the rule after it is" } else { "the rules after it are" };
            found.push((index, format!("is always true: {rules} never reached")));
            break;
        }
    }
    found
}

/// Says why the last of `known` is never reached.
fn unreachable(rules: &PolicyRules, known: &[RuleReach], budget: &LintBudget) -> Option<String> {
    let (last, before) = known.split_last()?;
    let taken = last.taken.as_ref()?;
    let ending = || before.iter().enumerate().filter(|(_, rule)| rule.ends);
    let source = |index: usize| rules.iter().nth(index).map(|rule| &rule.when.source);
    let mut left = Some(taken.clone());
    for (index, passed) in ending().filter_map(|(index, rule)| Some((index, rule.passed.as_ref()?))) {
        budget.spend(1 + (taken.len() + left.as_ref().map_or(0, ConditionCases::len)) * passed.len())?;
        if taken.and(passed).is_some_and(|both| both.is_empty()) {
            let same = source(index) == source(before.len());
            let why = if same {
                "is the same and ends the rules"
            } else {
                "is true whenever this one is, and ends the rules"
            };
            return Some(format!("is never reached: rules[{index}] {why}"));
        }
        left = left.and_then(|left| left.and(passed));
    }
    let several = left.is_some_and(|left| left.is_empty());
    several
        .then(|| "is never reached: whenever it is true, one of the rules before it is, and ends the rules".to_owned())
}

/// Finds policies that are never reached, and those that leave requests to nobody.
fn policies(config: &Config, budget: &LintBudget) -> Vec<ConfigProblem> {
    let mut found = Vec::new();
    for (index, policy) in config.policies.iter().enumerate() {
        let before =
            config.policies[..index].iter().find(|before| cover::covers(&before.matches, &policy.matches, budget));
        if found.len() >= MAX_PROBLEMS {
            break;
        }
        // A client may still name one by a header.
        if let Some(before) = before.filter(|_| !policy.overrides.policy) {
            let message =
                format!("is never reached: every request that it matches is matched by `{}` before", before.name);
            found.extend(config.problem(&path_of(index).key("name"), message));
        }
        if policy.mode != PolicyMode::Route && config.default_provider.is_none() {
            let message = "leaves its requests alone, and without a `default_provider` they get a 404";
            found.extend(config.problem(&path_of(index).key("mode"), message));
        }
    }
    found
}

#[cfg(test)]
mod tests;
