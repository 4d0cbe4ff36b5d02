//! The kill switch: takes policies out of service at once, without a reload, until it is turned back.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use pointsman_core::config::Name;
use serde::Serialize;

/// Takes policies out of service: `otherwise` serves their requests. Outlives reloads, ends with the process.
#[derive(Debug, Default)]
pub struct KillSwitch(ArcSwap<KilledPolicies>);

/// Which policies are out of service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KilledPolicies {
    /// All of them, also those that a reload brings.
    pub all: bool,
    /// The names of those that are.
    pub policies: BTreeSet<Name>,
}

impl KillSwitch {
    /// Returns which policies are out of service.
    #[must_use]
    pub fn killed(&self) -> Arc<KilledPolicies> {
        self.0.load_full()
    }

    /// Takes `policy` out of service or back into it; `None` stands for all, and back means all of them.
    pub fn set(&self, policy: Option<&Name>, killed: bool) {
        self.0.rcu(|now| {
            let mut next = KilledPolicies::clone(now);
            match (policy, killed) {
                (Some(policy), true) => {
                    next.policies.insert(policy.clone());
                }
                (Some(policy), false) => {
                    next.policies.remove(policy);
                }
                (None, true) => next.all = true,
                (None, false) => next = KilledPolicies::default(),
            }
            next
        });
    }

    pub(super) fn is_killed(&self, policy: &Name) -> bool {
        let killed = self.0.load();
        killed.all || killed.policies.contains(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_policy_or_all_are_killed_until_they_are_turned_back() {
        let name = |text| Name::new(text).expect("a name");
        let (a, b) = (name("a"), name("b"));
        let switch = KillSwitch::default();

        switch.set(Some(&a), true);
        assert_eq!([switch.is_killed(&a), switch.is_killed(&b)], [true, false]);
        switch.set(None, true);
        assert_eq!([switch.is_killed(&a), switch.is_killed(&b)], [true, true]);
        switch.set(None, false);
        assert_eq!([switch.is_killed(&a), switch.is_killed(&b)], [false, false]);
    }
}
