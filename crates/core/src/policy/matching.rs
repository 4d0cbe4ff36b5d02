//! The match of a policy: the requests that it is for.

use super::facts::RequestFacts;
use crate::config::{Glob, RequestMatch};
use crate::prompt::without_context_suffix;

/// A policy's `match`; every part that is present must fit.
#[derive(Debug)]
pub(super) struct PolicyMatcher {
    model: Vec<Glob>,
    path: Vec<Glob>,
    /// Lower-case names and patterns.
    header: Vec<(Box<str>, Glob)>,
}

impl PolicyMatcher {
    pub(super) fn new(matches: &RequestMatch) -> Self {
        let header = matches.header.iter().map(|(name, glob)| (name.to_ascii_lowercase().into(), glob.clone()));
        Self { model: matches.model.clone(), path: matches.path.clone(), header: header.collect() }
    }

    /// Returns whether the request is one of the policy's. A model's name counts with and without the mark of a long
    /// context window.
    pub(super) fn fits(&self, facts: &RequestFacts<'_>) -> bool {
        let any = |globs: &[Glob], text: &str| globs.is_empty() || globs.iter().any(|glob| glob.matches(text));
        let bare = || without_context_suffix(facts.model).is_some_and(|bare| any(&self.model, bare));
        (any(&self.model, facts.model) || bare())
            && any(&self.path, facts.path)
            && self.header.iter().all(|(name, glob)| facts.live.header(name).is_some_and(|value| glob.matches(&value)))
    }
}
