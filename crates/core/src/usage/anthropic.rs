//! Anthropic's messages API.

use serde_json::{Value, json};

use super::ServiceTier;
use super::billed::billed;
use super::counts::{ReportedCounts, first_count};

/// The keys of generated text, in whole answers and in streams.
pub(super) const TEXT: &[&str] = &["text", "thinking", "partial_json"];

/// The type of the event whose output count is only the beginning.
pub(super) const START: &str = "message_start";

/// The type of the event that ends a stream.
pub(super) const END: &str = "message_stop";

/// Anthropic counts the tokens that it read from its cache, or wrote to it, beside the input. Each field is kept apart
/// here, because the events of a stream need not have the same ones.
pub(super) fn counts(usage: &Value) -> ReportedCounts {
    let count = |path: &[&str]| first_count(usage, &[path]);
    let is = |key: &str, word: &str| usage[key].as_str().map(|said| said == word);
    ReportedCounts {
        input: count(&["input_tokens"]),
        output: count(&["output_tokens"]),
        cached: count(&["cache_read_input_tokens"]),
        written: count(&["cache_creation_input_tokens"]),
        written_5m: count(&["cache_creation", "ephemeral_5m_input_tokens"]),
        written_1h: count(&["cache_creation", "ephemeral_1h_input_tokens"]),
        reasoning: count(&["output_tokens_details", "thinking_tokens"]),
        // Its tier `priority` is capacity that was paid beforehand, and has no list price of its own.
        tier: is("service_tier", "batch").map(|batch| if batch { ServiceTier::Batch } else { ServiceTier::Standard }),
        is_fast: is("speed", "fast"),
        is_us_only: is("inference_geo", "us"),
        billed: billed(usage),
        ..ReportedCounts::default()
    }
}

/// Returns the event that says a stream broke.
pub(super) fn error_event(code: &str, message: &str) -> String {
    let error = json!({"type": "error", "error": {"type": "api_error", "message": message, "code": code}});
    format!("event: error\ndata: {error}\n\n")
}
