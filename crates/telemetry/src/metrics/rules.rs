//! The metric of rules: how often each decides.

use std::sync::{Arc, LazyLock};

use pointsman_core::config::Name;

use super::Metrics;
use super::family::LabelValue;

/// Rules of one policy that are told apart; any more are counted as one.
const RULES: usize = 500;

/// The numbers of rules as texts: a request makes none.
static NUMBERS: LazyLock<Vec<Arc<str>>> =
    LazyLock::new(|| (0..RULES).map(|number| number.to_string().into()).collect());

impl Metrics {
    /// Counts a request that a rule decided, by the rule's number in its policy.
    pub fn rule_decided(&self, policy: &Name, rule: usize) {
        self.rule_decisions.with([policy.into(), number_label(rule)]).inc();
    }

    /// Starts the counters of a policy's rules at zero.
    pub fn expect_rules(&self, policy: &Name, rules: usize) {
        self.rule_decisions.add((0..rules.min(RULES + 1)).map(|rule| [policy.into(), number_label(rule)]));
    }
}

fn number_label(rule: usize) -> LabelValue {
    NUMBERS.get(rule).map_or("more".into(), Into::into)
}
