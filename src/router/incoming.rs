//! A request that waits for a decision, as the router sees it.

use std::borrow::Cow;

use bytes::Bytes;
use pointsman_core::policy::DecisionDetail;
use pointsman_core::prompt::Prompt;

use super::RequestState;
use crate::clients::Client;
use crate::upstream::Deployment;

/// A request that waits for a decision.
#[derive(Clone, Copy)]
pub struct IncomingRequest<'r> {
    /// The path, without the query.
    pub path: &'r str,
    /// Returns the value of a header by its lower-case name, as [`header_text`](super::header_text) reads it.
    pub header: &'r (dyn Fn(&str) -> Option<Cow<'r, str>> + Sync),
    /// The client that asks, when clients have keys.
    pub client: Option<&'r Client>,
    /// The number that tells the key apart that it came with; `None` where nobody knows.
    pub key: Option<u64>,
    /// The prompt that was read from the body.
    pub prompt: &'r Prompt<'r>,
    /// The body that `prompt` was read from; kept to measure later what the decision did not need.
    pub body: &'r Bytes,
    /// The state that it names, looked up; `None` where nobody looked.
    pub state: Option<&'r RequestState>,
    /// When it came, in seconds since 1970; `None` for now.
    pub at: Option<u64>,
    /// The way questions to judges are answered.
    pub judging: JudgeMode<'r>,
    /// The effect of the decision on the quotas of its policy.
    pub quotas: QuotaMode,
    /// The depth of what [`Verdict::explain`](super::Verdict::explain) can show beside the decision; all of it costs a
    /// few microseconds.
    pub detail: DecisionDetail,
}

impl IncomingRequest<'_> {
    /// Returns whether a model gets the request in the words of another API, which leave out all that others keep of it:
    /// what they sealed in its history.
    pub(super) fn leaves_history_out(&self, model: &Deployment) -> bool {
        let is_translated = self.prompt.dialect.family().is_some_and(|family| !model.dialects.has(family));
        is_translated && self.state.is_none_or(RequestState::is_of_history)
    }
}

/// The effect of a decision on the quotas of its policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QuotaMode {
    /// The decision goes by what is left, and takes nothing: nobody will answer.
    #[default]
    Look,
    /// The decision takes what it needs.
    Take,
}

/// The way questions to judges are answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JudgeMode<'r> {
    /// The judge is asked.
    #[default]
    Ask,
    /// No judge is asked.
    Never,
    /// Every judge is taken to answer with this label.
    Says(&'r str),
}
