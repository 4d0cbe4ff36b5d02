//! A request that waits for a decision, as the router sees it.

use std::borrow::Cow;

use bytes::Bytes;
use pointsman_core::policy::Detail;
use pointsman_core::prompt::Prompt;

use crate::clients::Client;

/// A request that waits for a decision.
#[derive(Clone, Copy)]
pub struct Incoming<'r> {
    /// Its path, without the query.
    pub path: &'r str,
    /// Returns the value of a header by its lower-case name, as [`header_text`](super::header_text) reads it.
    pub header: &'r (dyn Fn(&str) -> Option<Cow<'r, str>> + Sync),
    /// Who asks, when clients have keys.
    pub client: Option<&'r Client>,
    /// What it says.
    pub prompt: &'r Prompt<'r>,
    /// What `prompt` was read from; kept to measure later what the decision did not need.
    pub body: &'r Bytes,
    /// When it came, in seconds since 1970; `None` for now.
    pub at: Option<u64>,
    /// How questions to judges are answered.
    pub judging: Judging<'r>,
    /// Whether it is worked out what [`Verdict::explain`](super::Verdict::explain) shows beside the decision; costs a few microseconds.
    pub detail: Detail,
}

/// How questions to judges are answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Judging<'r> {
    /// By the judge.
    #[default]
    Ask,
    /// Not at all.
    Never,
    /// With this label.
    Says(&'r str),
}
