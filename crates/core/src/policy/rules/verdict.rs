//! The verdict of a policy's rules on one request.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::config::{DenyAction, Name};
use crate::policy::decision::RuleTrace;

/// The verdict of a policy's rules on a request.
#[derive(Debug, Default)]
pub(in crate::policy) struct RuleVerdict<'r> {
    /// The rule that chose, and the model.
    pub(in crate::policy) chosen: Option<(usize, &'r Name)>,
    /// The rule that denied the request, and its denial.
    pub(in crate::policy) denied: Option<(usize, &'r DenyAction)>,
    /// The request's parameters that rules set; of two values for one key the later.
    pub(in crate::policy) set: BTreeMap<String, Json>,
    /// The trace of each rule that was evaluated.
    pub(in crate::policy) traces: Vec<RuleTrace>,
}

/// Puts the value of `key` into the parameters `all`, where a whole object and one of its members may meet.
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
