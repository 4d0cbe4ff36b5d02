//! Whole answers.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::part::Part;
use super::usage::NeutralUsage;

/// A whole answer.
#[derive(Debug, Clone)]
pub struct NeutralAnswer<'b> {
    /// The id that its vendor gave it.
    pub id: Option<Cow<'b, str>>,
    /// The model that wrote it.
    pub model: Option<Cow<'b, str>>,
    /// The moment it was made, in seconds since 1970.
    pub created: Option<u64>,
    /// The answers themselves: one, unless the client asked for several.
    pub choices: Vec<NeutralChoice<'b>>,
    /// The tokens that the answer used.
    pub usage: Option<NeutralUsage>,
    /// The tier of service, as its API calls it.
    pub service_tier: Option<Cow<'b, str>>,
}

/// One of the answers.
#[derive(Debug, Clone)]
pub struct NeutralChoice<'b> {
    /// The parts of the answer, in their order.
    pub parts: Vec<Part<'b>>,
    /// Why it has ended.
    pub stop: Stop<'b>,
    /// The probabilities of its tokens, in OpenAI's form.
    pub logprobs: Option<&'b RawValue>,
}

/// Why an answer has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop<'b> {
    /// The kind of reason.
    pub reason: StopReason,
    /// The words of the vendor on it: the text that ended it, the category of a refusal, an explanation.
    pub detail: Option<Cow<'b, str>>,
}

impl Stop<'_> {
    /// Makes a stop without details.
    #[must_use]
    pub const fn of(reason: StopReason) -> Self {
        Self { reason, detail: None }
    }
}

/// The kind of reason for which an answer has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The model had said all.
    EndTurn,
    /// One of the client's texts came; the detail says which, where the API does.
    StopText,
    /// The most tokens were reached.
    MaxTokens,
    /// The model's window was full.
    ContextWindow,
    /// Tools are to be called.
    ToolUse,
    /// A server's tool paused a long turn: the client is to send it back as it is.
    Pause,
    /// The model refused; the detail says the category.
    Refusal,
    /// The vendor's filter held back the answer or ended it.
    ContentFilter,
    /// The answer cites too much of what it learned from.
    Recitation,
    /// The model wrote a call of a tool that is none.
    MalformedCall,
    /// The answer failed for another reason, which the detail says.
    Failed,
    /// A reason that no table of ours knows; the detail says it.
    Other,
}
