//! Which requests a policy is for.

use crate::config::{Glob, Match};

/// What is known about a request besides its prompt.
#[derive(Clone, Copy)]
pub struct RequestFacts<'r> {
    /// The model the client asked for.
    pub model: &'r str,
    /// The request's path, without the query.
    pub path: &'r str,
    /// Returns the value of a header by its lower-case name.
    pub header: &'r (dyn Fn(&str) -> Option<&'r str> + Sync),
    /// The client's name; empty if it has none.
    pub client: &'r str,
    /// When the request came, in seconds since 1970.
    pub now: i64,
}

/// A policy's `match`; every part that is present must fit.
#[derive(Debug)]
pub(super) struct Matcher {
    model: Vec<Glob>,
    path: Vec<Glob>,
    /// Lower-case names and patterns.
    header: Vec<(Box<str>, Glob)>,
}

impl Matcher {
    pub(super) fn new(matches: &Match) -> Self {
        let header = matches.header.iter().map(|(name, glob)| (name.to_ascii_lowercase().into(), glob.clone()));
        Self { model: matches.model.clone(), path: matches.path.clone(), header: header.collect() }
    }

    pub(super) fn fits(&self, facts: &RequestFacts<'_>) -> bool {
        let any = |globs: &[Glob], text: &str| globs.is_empty() || globs.iter().any(|glob| glob.matches(text));
        any(&self.model, facts.model)
            && any(&self.path, facts.path)
            && self.header.iter().all(|(name, glob)| (facts.header)(name).is_some_and(|value| glob.matches(value)))
    }
}

impl std::fmt::Debug for RequestFacts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestFacts").field("model", &self.model).field("path", &self.path).finish_non_exhaustive()
    }
}
