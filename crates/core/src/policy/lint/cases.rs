//! A condition as cases: alternatives, each of which says what variables are.
//!
//! Always a superset: whatever request meets the condition is in one of its cases. So a condition without a case can
//! never be met; nothing else is concluded.

use std::collections::BTreeMap;

use super::domain::ValueDomain;

/// More cases than these are not looked into.
const MAX_CASES: usize = 256;

/// The alternatives of a condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ConditionCases(Vec<CaseDomains>);

/// Variables and what they may be; any other variable may be anything.
type CaseDomains = BTreeMap<String, ValueDomain>;

impl ConditionCases {
    /// Returns the case of every request.
    pub(super) fn all() -> Self {
        Self(vec![CaseDomains::new()])
    }

    /// Returns no case at all.
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    /// The requests whose variable is in `domain`.
    pub(super) fn one(variable: String, domain: ValueDomain) -> Self {
        if domain.is_empty() { Self::none() } else { Self(vec![CaseDomains::from([(variable, domain)])]) }
    }

    /// Returns the number of the cases.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether no request is in it.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the requests that are in either; `None` when there are too many cases.
    pub(super) fn or(mut self, other: Self) -> Option<Self> {
        let new: Vec<CaseDomains> = other.0.into_iter().filter(|facts| !self.0.contains(facts)).collect();
        self.0.extend(new);
        (self.0.len() <= MAX_CASES).then_some(self)
    }

    /// Returns the requests that are in both; `None` when there are too many cases.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        let mut both = Vec::new();
        for left in &self.0 {
            for facts in other.0.iter().filter_map(|right| together(left, right)) {
                if !both.contains(&facts) {
                    both.push(facts);
                }
            }
            if both.len() > MAX_CASES {
                return None;
            }
        }
        Some(Self(both))
    }
}

/// Returns what holds where both do; `None` where they cannot.
fn together(left: &CaseDomains, right: &CaseDomains) -> Option<CaseDomains> {
    let mut facts = left.clone();
    for (variable, domain) in right {
        let domain = facts.get(variable).map_or_else(|| domain.clone(), |known| known.and(domain));
        if domain.is_empty() {
            return None;
        }
        facts.insert(variable.clone(), domain);
    }
    Some(facts)
}
