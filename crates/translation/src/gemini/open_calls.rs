//! Calls of a conversation whose results have not come: Google's clients may give neither an id, so that a result belongs
//! to the oldest call of its name.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

/// The beginning of an id that a call gets whose client gave none.
pub(super) const MADE_ID: &str = "gemini_call_";

/// The calls without results, found by id and by name at the same cost however many they are.
#[derive(Default)]
pub(super) struct OpenCalls<'b> {
    /// The ids of all calls; `None` for one whose result has come.
    calls: Vec<Option<Cow<'b, str>>>,
    by_id: HashMap<Cow<'b, str>, usize>,
    by_name: HashMap<Cow<'b, str>, VecDeque<usize>>,
    /// The calls before it have their results.
    first: usize,
}

impl<'b> OpenCalls<'b> {
    /// Notes a call, and returns its id: the client's, or one that is made up.
    pub(super) fn open(&mut self, name: Cow<'b, str>, id: Option<Cow<'b, str>>) -> Cow<'b, str> {
        let number = self.calls.len();
        let id = id.unwrap_or_else(|| Cow::Owned(format!("{MADE_ID}{}", number + 1)));
        self.by_id.insert(id.clone(), number);
        self.by_name.entry(name).or_default().push_back(number);
        self.calls.push(Some(id.clone()));
        id
    }

    /// Returns the id of the call that a result belongs to: the one of its id, else the oldest open one of its name.
    pub(super) fn close(&mut self, id: Option<Cow<'b, str>>, name: Option<&str>) -> Cow<'b, str> {
        let by_id = id.as_ref().and_then(|id| self.by_id.get(id)).copied();
        let call = by_id.filter(|number| self.calls[*number].is_some()).or_else(|| self.oldest(name));
        match call.and_then(|number| self.calls[number].take()) {
            Some(call) => call,
            None => id.unwrap_or_else(|| Cow::Owned(format!("{MADE_ID}unknown"))),
        }
    }

    /// Returns the oldest open call: of a name, where one is said.
    fn oldest(&mut self, name: Option<&str>) -> Option<usize> {
        let Some(name) = name else {
            while self.calls.get(self.first).is_some_and(Option::is_none) {
                self.first += 1;
            }
            return (self.first < self.calls.len()).then_some(self.first);
        };
        let queue = self.by_name.get_mut(name)?;
        while let Some(number) = queue.pop_front() {
            if self.calls[number].is_some() {
                return Some(number);
            }
        }
        None
    }
}
