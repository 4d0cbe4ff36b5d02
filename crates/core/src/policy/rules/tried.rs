//! What became of a policy's rules for one request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;

use super::reading::Values;
use super::{Action, Rule};
use crate::config::{Deny, Name};
use crate::policy::decision::{RuleOutcome, RuleTrace};

/// What a policy's rules came to for one request.
#[derive(Debug, Clone, Default)]
pub(super) struct Tried {
    /// The next rule to try.
    pub(super) next: usize,
    pub(super) over: bool,
    /// The last rule that was true and chose a model.
    pub(super) chosen: Option<usize>,
    /// The rule that denied the request.
    pub(super) denied: Option<usize>,
    /// The rules that were true and set parameters, in order.
    pub(super) set: Vec<usize>,
    /// Each rule that was evaluated.
    pub(super) traces: Vec<RuleTrace>,
    pub(super) values: Values,
}

/// What a policy's rules say of a request.
#[derive(Debug, Default)]
pub(in crate::policy) struct Ruled<'r> {
    /// The rule that chose, and the model.
    pub(in crate::policy) chosen: Option<(usize, &'r Name)>,
    /// The rule that denied the request, and how.
    pub(in crate::policy) denied: Option<(usize, &'r Deny)>,
    /// The parameters that rules set; of two for one key the later.
    pub(in crate::policy) set: BTreeMap<String, Json>,
    /// Each rule that was evaluated.
    pub(in crate::policy) traces: Vec<RuleTrace>,
}

/// What the rules of a policy came to so far, so that asking for a signal does not evaluate them twice.
#[derive(Debug, Default)]
pub(in crate::policy) struct Memory(Mutex<Option<(Name, Arc<Tried>)>>);

impl Memory {
    /// Takes out what is remembered of the rules of `policy`.
    pub(super) fn take(&self, policy: &Name) -> Option<Arc<Tried>> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        remembered.filter(|(own, _)| own == policy).map(|(_, tried)| tried)
    }

    pub(super) fn keep(&self, policy: &Name, tried: &Arc<Tried>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((policy.clone(), Arc::clone(tried)));
    }
}

impl Tried {
    pub(super) fn take(&mut self, rule: &Rule, outcome: RuleOutcome) {
        let index = self.next;
        self.next += 1;
        if outcome == RuleOutcome::Matched {
            match &rule.action {
                Some(Action::Use(_)) => self.chosen = Some(index),
                Some(Action::Deny(_)) => self.denied = Some(index),
                None => {}
            }
            if !rule.set.is_empty() {
                self.set.push(index);
            }
            self.over = rule.ends;
        }
        self.traces.push(RuleTrace { rule: index, outcome });
    }
}

/// Puts the value of `key` into `all`, where a whole object and one of its members may meet.
pub(super) fn merge(all: &mut BTreeMap<String, Json>, key: &str, value: &Json) {
    match key.split_once('.') {
        None => all.retain(|other, _| other.split_once('.').is_none_or(|(top, _)| top != key)),
        Some((top, member)) => {
            if let Some(Json::Object(whole)) = all.get_mut(top) {
                whole.insert(member.to_owned(), value.clone());
                return;
            }
            all.remove(top);
        }
    }
    all.insert(key.to_owned(), value.clone());
}
