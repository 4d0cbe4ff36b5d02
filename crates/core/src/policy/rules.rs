//! Rules: CEL expressions over the request, compiled once and evaluated in order for each request.
//!
//! A rule that is true may choose a model, deny the request, or set parameters; unless it says `continue`, choosing and
//! denying end the rules. A rule that reads scores, or what a judge says, asks for it when it is reached and cannot be
//! told without; one that fails counts as false, but for a denial that fails by what the request holds: that denies.
//! Every rule that was evaluated leaves a trace.

mod constants;
mod cost;
mod expression;
mod extent;
mod language;
mod macros;
mod ordering;
mod path;
mod reading;
mod text_test;
mod typecheck;
mod types;
mod verdict;
mod vocabulary;

use std::collections::BTreeMap;
use std::sync::Arc;

use cel::Value;
use serde_json::Value as Json;

pub(super) use self::cost::{MAX_FILE_STEPS, MAX_POLICY_STEPS, MAX_RULE_STEPS};
use self::expression::context;
pub(super) use self::expression::{CelExpression, SlotTable};
pub(super) use self::language::RuleLanguage;
use self::language::score_problems;
pub(super) use self::macros::MacroTable;
pub(super) use self::ordering::operator_of;
use self::reading::{EvaluationTrouble, RequestReading, SlotScope};
use self::typecheck::ExpressionMistake;
use self::types::ExpressionType;
pub(super) use self::verdict::RuleVerdict;
use self::verdict::merge;
use self::vocabulary::ScoreName;
pub(super) use self::vocabulary::{ClockPart, NamedJudge, ValueSlot};
use super::decision::{RuleOutcome, RuleTrace};
use super::heads::BundleHeads;
use super::rule_memory::{ExpressionFailure, ExpressionValues, FailureCause, RuleProgress};
use super::signals::{RequestEvidence, Signal};
use crate::config::{self, Config, ConfigProblem, DenyAction, KeyPath, MAX_PROBLEMS, Name};

/// The rules of a policy, compiled.
#[derive(Debug)]
pub(super) struct PolicyRules {
    list: Vec<Rule>,
    slots: SlotTable,
    macros: Arc<MacroTable>,
    /// The scores that the rules read, by themselves and through macros.
    scores: Vec<ScoreName>,
    /// The number of tests of texts that the configuration's expressions made until these were compiled.
    tests: usize,
}

/// A rule, compiled.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) when: CelExpression,
    action: Option<RuleAction>,
    set: BTreeMap<String, Json>,
    /// Tells whether no rule is tried after this one when it is true.
    pub(super) ends: bool,
}

#[derive(Debug)]
enum RuleAction {
    Use(Name),
    Deny(DenyAction),
}

impl PolicyRules {
    pub(super) fn compile(
        config: &Config,
        language: &RuleLanguage,
        path: &KeyPath,
        rules: &[config::RuleConfig],
    ) -> Result<Self, Vec<ConfigProblem>> {
        let mut problems = Vec::new();
        let mut list: Vec<Rule> = Vec::new();
        let mut slots = SlotTable::default();
        let mut steps: u64 = 0;
        let macros = Arc::clone(&language.macros);
        for (index, rule) in rules.iter().enumerate() {
            let compiled = CelExpression::compile(&rule.when, &ExpressionType::Bool, &language.vocabulary, &mut slots);
            let affordable = compiled.and_then(|when| match macros.over_budget(&when) {
                Some(mistake) => Err(vec![mistake]),
                None => Ok(when),
            });
            match affordable {
                Ok(when) => {
                    steps = steps.saturating_add(when.cost.steps);
                    list.push(Rule::new(when, rule));
                }
                Err(mistakes) => problems.extend(placed(config, &path.index(index).key("when"), mistakes)),
            }
            // Not one rule more is compiled than is allowed: each takes memory.
            if problems.len() >= MAX_PROBLEMS || steps > MAX_POLICY_STEPS {
                break;
            }
        }
        steps = steps.max(macros.steps(list.iter().map(|rule| &rule.when)));
        if steps > MAX_POLICY_STEPS {
            let message = format!("take up to {steps} steps for each request (allowed: {MAX_POLICY_STEPS})");
            problems.extend(config.problem(path, message));
        }
        if list.len() < rules.len() || !problems.is_empty() {
            return Err(problems);
        }
        let scores = macros.scores(list.iter().map(|rule| &rule.when));
        Ok(Self { list, slots, macros, scores, tests: language.vocabulary.tests() })
    }

    /// Returns the steps that each rule takes at most for one request, macros included, and those of all rules, each
    /// macro counted once.
    pub(super) fn steps(&self) -> (Vec<u64>, u64) {
        let each = self.list.iter().map(|rule| self.macros.steps(std::iter::once(&rule.when)));
        (each.collect(), self.macros.steps(self.list.iter().map(|rule| &rule.when)))
    }

    /// Returns the models that rules choose.
    pub(super) fn models(&self) -> impl Iterator<Item = &Name> {
        self.list.iter().filter_map(Rule::model)
    }

    /// Returns the heads whose scores they read, with their classifiers; a head may come more than once.
    pub(super) fn heads(&self) -> impl Iterator<Item = (&Name, &Name)> {
        self.scores.iter().map(|score| (&score.classifier, &score.head))
    }

    /// Compares the scores that the rules at `path` read with the labels of the heads of `classifier`.
    pub(super) fn check_labels(
        &self,
        config: &Config,
        path: &KeyPath,
        classifier: &Name,
        heads: &BundleHeads<'_>,
    ) -> Vec<ConfigProblem> {
        let rules = self.list.iter().enumerate();
        let of = |(index, rule): (usize, &Rule)| {
            score_problems(config, &path.index(index).key("when"), &rule.when, classifier, heads)
        };
        rules.flat_map(of).collect()
    }

    /// Tries the rules until one ends them, or names the signal that one of them needs.
    pub(super) fn run(&self, policy: &Name, evidence: RequestEvidence<'_>) -> Result<RuleVerdict<'_>, Signal> {
        if self.list.is_empty() {
            return Ok(RuleVerdict::default());
        }
        let memory = &evidence.signals.tried;
        let mut tried = memory.take(policy).unwrap_or_else(|| Arc::new(self.untried()));
        let unasked = if tried.over { None } else { self.go_on(Arc::make_mut(&mut tried), evidence) };
        memory.store(policy, &tried);
        unasked.map_or_else(|| Ok(self.ruled(&tried)), Err)
    }

    /// Returns what each rule comes to by what is known, those included that no request gets to; `None` where one
    /// fails, or reads scores that nobody asked for.
    pub(super) fn values(&self, evidence: RequestEvidence<'_>) -> Vec<Option<bool>> {
        let RuleProgress { values, .. } = self.untried();
        let reading = RequestReading::new(evidence, &self.macros, &values);
        let scope = SlotScope { slots: &self.slots, reading: &reading };
        let mut context = context();
        context.set_variable_resolver(&scope);
        let value = |rule: &Rule| match reading.evaluate(&rule.when, &context) {
            Ok(Value::Bool(value)) => Some(value),
            _ => None,
        };
        self.list.iter().map(value).collect()
    }

    /// Returns what the rules would choose if the one at `index` were not true; `None` where that is not known, or they
    /// would deny the request.
    pub(super) fn choose_without(
        &self,
        index: usize,
        traces: &[RuleTrace],
        values: &[Option<bool>],
    ) -> Option<Option<&Name>> {
        let mut chosen = None;
        for (position, rule) in self.list.iter().enumerate() {
            let tried = traces.iter().find(|trace| trace.rule == position);
            let is_true = match tried {
                _ if position == index => false,
                Some(trace) => trace.outcome == RuleOutcome::Matched,
                None => values.get(position).copied().flatten()?,
            };
            if is_true {
                if rule.deny().is_some() {
                    return None;
                }
                chosen = rule.model().or(chosen);
                if rule.ends {
                    break;
                }
            }
        }
        Some(chosen)
    }

    fn untried(&self) -> RuleProgress {
        let values = ExpressionValues::unknown(self.macros.len(), self.tests);
        RuleProgress { values, traces: Vec::with_capacity(self.list.len()), ..RuleProgress::default() }
    }

    /// Tries the remaining rules; returns the signal that one of them needs and nobody asked for yet.
    fn go_on(&self, tried: &mut RuleProgress, evidence: RequestEvidence<'_>) -> Option<Signal> {
        let values = std::mem::take(&mut tried.values);
        let reading = RequestReading::new(evidence, &self.macros, &values);
        let scope = SlotScope { slots: &self.slots, reading: &reading };
        let mut context = context();
        context.set_variable_resolver(&scope);
        let mut unasked = None;
        while let Some(rule) = self.list.get(tried.next).filter(|_| !tried.over) {
            let (outcome, holds) = match reading.evaluate(&rule.when, &context) {
                Ok(Value::Bool(true)) => (RuleOutcome::Matched, true),
                Ok(Value::Bool(false)) => (RuleOutcome::NotMatched, false),
                Ok(_) => (RuleOutcome::Failed("is not true or false".into()), rule.deny().is_some()),
                // What a request writes must not switch a denial off.
                Err(EvaluationTrouble::Failed(ExpressionFailure { cause, text })) => {
                    (RuleOutcome::Failed(text), rule.deny().is_some() && cause == FailureCause::Request)
                }
                Err(EvaluationTrouble::Unasked(signal)) => {
                    unasked = Some(signal);
                    break;
                }
            };
            rule.record(tried, outcome, holds.then_some(tried.next));
        }
        tried.over = unasked.is_none();
        drop(context);
        tried.values = values;
        unasked
    }

    fn ruled(&self, tried: &RuleProgress) -> RuleVerdict<'_> {
        let mut set = BTreeMap::new();
        for (key, value) in tried.set.iter().flat_map(|index| &self.list[*index].set) {
            merge(&mut set, key, value);
        }
        let chosen = tried.chosen.and_then(|index| Some((index, self.list[index].model()?)));
        let denied = tried.denied.and_then(|index| Some((index, self.list[index].deny()?)));
        RuleVerdict { chosen, denied, set, traces: tried.traces.clone() }
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Rule> + Clone {
        self.list.iter()
    }

    pub(super) const fn slots(&self) -> &SlotTable {
        &self.slots
    }
}

impl Rule {
    fn new(when: CelExpression, rule: &config::RuleConfig) -> Self {
        let deny = rule.deny.clone().map(RuleAction::Deny);
        let action = deny.or_else(|| rule.model.clone().map(RuleAction::Use));
        Self { when, action, set: rule.set.clone(), ends: !rule.goes_on() }
    }

    /// Records in `tried` what evaluating this rule, the next one, came to; `held` is its position where it holds.
    fn record(&self, tried: &mut RuleProgress, outcome: RuleOutcome, held: Option<usize>) {
        let rule = tried.next;
        tried.next += 1;
        if let Some(index) = held {
            match &self.action {
                Some(RuleAction::Use(_)) => tried.chosen = Some(index),
                Some(RuleAction::Deny(_)) => tried.denied = Some(index),
                None => {}
            }
            if !self.set.is_empty() {
                tried.set.push(index);
            }
            tried.over = self.ends;
        }
        tried.traces.push(RuleTrace { rule, outcome });
    }

    const fn model(&self) -> Option<&Name> {
        match &self.action {
            Some(RuleAction::Use(model)) => Some(model),
            _ => None,
        }
    }

    /// Returns the denial, of a rule that denies.
    pub(super) const fn deny(&self) -> Option<&DenyAction> {
        match &self.action {
            Some(RuleAction::Deny(deny)) => Some(deny),
            _ => None,
        }
    }
}

/// Shows mistakes in the expression at `path` in their places.
fn placed(
    config: &Config,
    path: &KeyPath,
    mistakes: impl IntoIterator<Item = ExpressionMistake>,
) -> impl Iterator<Item = ConfigProblem> {
    let place = |m: ExpressionMistake| config.problem_within(path, m.message, m.offset..m.offset + m.width);
    mistakes.into_iter().filter_map(place)
}

#[cfg(test)]
mod tests;
