//! The facts that the phases of a request tell its trace.

use std::time::Duration;

/// What a client asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'r> {
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

/// A decision and what it rests on.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'r> {
    /// The policy.
    pub policy: &'r str,
    /// The model, as the catalog names it.
    pub model: &'r str,
    /// Why.
    pub reason: &'static str,
    /// The classifier that was asked, and which rung of its ladder answered.
    pub classifier: Option<(&'r str, Option<&'static str>)>,
    /// Why its encoder did not answer.
    pub degraded: Option<&'static str>,
    /// The best label.
    pub label: Option<&'r str>,
    /// The text that it is about.
    pub label_from: &'static str,
    /// The score that the decision rests on.
    pub score: Option<f32>,
    /// Tokens that the classifier did not read.
    pub truncated_tokens: u32,
    /// The wait for scores.
    pub classify: Duration,
    /// All of it.
    pub took: Duration,
}

/// One request to a provider.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'r> {
    /// `chat`, `text_completion`, `embeddings`; absent when the request passes through unread.
    pub operation: Option<&'static str>,
    /// The provider's name in the configuration.
    pub provider: &'r str,
    /// What it calls the model; absent when the request passes through.
    pub model: Option<&'r str>,
    /// Its host.
    pub host: &'r str,
    /// Its port.
    pub port: u16,
    /// Counts the request's attempts, from 1.
    pub number: u32,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answered<'r> {
    /// The status that the client got; absent when it left first.
    pub status: Option<u16>,
    /// The code of Pointsman's own error.
    pub code: Option<&'static str>,
    /// The model that answered, as the catalog names it.
    pub model: Option<&'r str>,
    /// Tokens of prompt, answer, cache and reasoning, when they are known.
    pub tokens: Option<[u64; 4]>,
    /// What they cost in US dollars.
    pub cost: Option<f64>,
    /// From the request's first byte to the answer's first.
    pub first_byte: Option<Duration>,
}
