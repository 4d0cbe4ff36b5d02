//! The facts that the phases of a request tell its trace.

use std::time::Duration;

/// The request of a client.
#[derive(Debug, Clone, Copy)]
pub struct TracedRequest<'r> {
    /// The method.
    pub method: &'r str,
    /// The path; anything from `?` on is cut off.
    pub path: &'r str,
    /// The path if it is one of the API's, which spans are named after.
    pub route: Option<&'static str>,
    /// The id that logs have.
    pub request_id: &'r str,
    /// The generation that decides.
    pub generation: u64,
}

/// A decision and its grounds.
#[derive(Debug, Clone, Copy)]
pub struct TracedDecision<'r> {
    /// The policy.
    pub policy: &'r str,
    /// The model, as the catalog names it.
    pub model: &'r str,
    /// The reason of the choice.
    pub reason: &'static str,
    /// The classifier that was asked, and the part of it that answered.
    pub classifier: Option<(&'r str, Option<&'static str>)>,
    /// The reason why the classifier's encoder did not answer.
    pub degraded: Option<&'static str>,
    /// The best label.
    pub label: Option<&'r str>,
    /// The text that the label is about.
    pub label_from: &'static str,
    /// The score that the decision rests on.
    pub score: Option<f32>,
    /// Tokens that the classifier did not read.
    pub truncated_tokens: u32,
    /// The wait for scores.
    pub classify: Duration,
    /// The time that the whole decision took.
    pub took: Duration,
}

/// One request to a provider.
#[derive(Debug, Clone, Copy)]
pub struct TracedAttempt<'r> {
    /// `chat`, `text_completion`, `embeddings`; absent when the request passes through unread.
    pub operation: Option<&'static str>,
    /// The provider's name in OpenTelemetry's conventions, else the one in the configuration.
    pub provider: &'r str,
    /// The provider's name in the configuration.
    pub provider_name: &'r str,
    /// The provider's name for the model; absent when the request passes through.
    pub model: Option<&'r str>,
    /// The provider's host.
    pub host: &'r str,
    /// The provider's port.
    pub port: u16,
    /// The number of the attempt within its request, from 1.
    pub number: u32,
}

/// The end of a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct TracedAnswer<'r> {
    /// The status that the client got; absent when the client left first.
    pub status: Option<u16>,
    /// The code of Pointsman's own error.
    pub code: Option<&'static str>,
    /// The model that answered, as the catalog names it.
    pub model: Option<&'r str>,
    /// Tokens of prompt, answer, cache and reasoning, when they are known.
    pub tokens: Option<[u64; 4]>,
    /// The cost of the tokens in US dollars.
    pub cost: Option<f64>,
    /// The time from the request's first byte to the answer's first.
    pub first_byte: Option<Duration>,
}
