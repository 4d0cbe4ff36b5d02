//! The `retry` section: how often, how long and after what a request is tried again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{Ratio, TimeSpan};

/// Limits of trying a request again when an upstream fails it, before the first event of an answer.
///
/// Connect and TLS errors, broken connections, 408, 429, 5xx and answers that are an error although their status is 200
/// go to the provider's next peer, then along the policy's `fallback`. The last attempt's own error reaches the client;
/// where a fallback refuses the request (4xx, but for 408 and 429), the first model's failure does.
#[derive(Debug, Clone, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// Attempts in all, the first included. Default 4; 1 never tries again.
    pub max_attempts: u32,
    /// The time from the request's last byte in which attempts may start; an attempt that has started is not cut short
    /// by it. Default 120s.
    pub deadline: TimeSpan,
    /// The pause before an attempt at a provider that has just failed the request: of half to one and a half times
    /// this length, by chance, and twice as long before each further attempt. Default 50ms; 0s is none.
    pub pause: TimeSpan,
    /// The requests that are sent again after an upstream took them and then stayed silent for longer than its timeout.
    /// It may be writing the answer all the same, and bill for it. Default `never`.
    pub after_timeout: RetriedTimeouts,
    /// The longest `Retry-After` that clients see; some sleep any in full. Default 60s.
    pub max_retry_after: TimeSpan,
    /// The share of live requests that may be retries, so that an outage does not multiply the load. Default 0.2; ten
    /// retries a second are always allowed.
    pub budget: Ratio,
    /// More statuses that are tried again.
    pub statuses: Vec<u16>,
    /// Asks a model once more without a parameter that it has just refused (400 or 422), and leaves that parameter out of
    /// its later requests. Default true; only for requests that were sent to a model of the catalog.
    pub without_refused: bool,
}

/// The requests that are sent again after an upstream took them and then stayed silent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RetriedTimeouts {
    /// None that a model writes an answer to.
    #[default]
    Never,
    /// Those that stream: most providers stop when the client of a stream leaves.
    Streams,
    /// All.
    Always,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            max_attempts: 4,
            deadline: TimeSpan::from_secs(120),
            pause: TimeSpan::from_millis(50),
            after_timeout: RetriedTimeouts::Never,
            max_retry_after: TimeSpan::from_secs(60),
            budget: Ratio::new(0.2).expect("a fifth is a ratio"),
            statuses: Vec::new(),
            without_refused: true,
        }
    }
}
