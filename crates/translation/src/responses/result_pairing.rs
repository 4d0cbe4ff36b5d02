//! Ids of calls, for APIs that may have none.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

use crate::conversion::tool_id;
use crate::neutral::{ToolCall, ToolResult};

/// The longest id of a call.
const LONGEST_ID: usize = 64;

/// The pairs of calls and results: a result without an id is of the first call of its name that has none yet, and one
/// without a name of the first call of all.
#[derive(Default)]
pub(super) struct ResultPairing {
    /// The number of ids that were made.
    made: usize,
    /// The calls without a result, by their names: the numbers of their ids.
    open: HashMap<String, VecDeque<usize>>,
    /// The names of the calls, by the numbers of their ids; empty where the result has come.
    names: Vec<Option<String>>,
    /// The number of the first call that may be without a result.
    first: usize,
}

impl ResultPairing {
    /// Returns the id of a call.
    pub(super) fn of_call<'c>(&mut self, call: &'c ToolCall<'_>) -> Cow<'c, str> {
        if !call.id.is_empty() {
            return tool_id::bounded(&call.id, LONGEST_ID);
        }
        let number = self.made;
        self.made += 1;
        self.open.entry(call.name.to_string()).or_default().push_back(number);
        self.names.push(Some(call.name.to_string()));
        id(number)
    }

    /// Returns the id of the call that a result is of.
    pub(super) fn of_result<'r>(&mut self, result: &'r ToolResult<'_>) -> Cow<'r, str> {
        if !result.call_id.is_empty() {
            return tool_id::bounded(&result.call_id, LONGEST_ID);
        }
        let number = match result.name.as_deref() {
            Some(name) => self.open.get_mut(name).and_then(VecDeque::pop_front),
            None => self.first_of_all(),
        };
        let Some(number) = number else { return Cow::Borrowed("call_unknown") };
        self.names[number] = None;
        id(number)
    }

    fn first_of_all(&mut self) -> Option<usize> {
        while self.names.get(self.first)?.is_none() {
            self.first += 1;
        }
        let name = self.names[self.first].as_deref()?;
        self.open.get_mut(name).and_then(VecDeque::pop_front)
    }
}

fn id(number: usize) -> Cow<'static, str> {
    Cow::Owned(format!("call_{number}"))
}
