//! Anthropic's messages API.

use serde_json::{Value, json};

use super::counts::ReportedCounts;

/// The keys of generated text, in whole answers and in streams.
pub(super) const TEXT: &[&str] = &["text", "thinking", "partial_json"];

/// The type of the event whose output count is only the beginning.
pub(super) const START: &str = "message_start";

/// The type of the event that ends a stream.
pub(super) const END: &str = "message_stop";

/// Anthropic counts the tokens that it read from its cache, or wrote to it, beside the input; here they are part of it,
/// as with everyone else.
pub(super) fn counts(usage: &Value) -> ReportedCounts {
    let cached = usage["cache_read_input_tokens"].as_u64();
    let written = usage["cache_creation_input_tokens"].as_u64().unwrap_or_default();
    let beside = cached.unwrap_or_default().saturating_add(written);
    ReportedCounts {
        input: usage["input_tokens"].as_u64().map(|input| input.saturating_add(beside)),
        output: usage["output_tokens"].as_u64(),
        cached,
        reasoning: None,
    }
}

/// Returns the event that says a stream broke.
pub(super) fn error_event(code: &str, message: &str) -> String {
    let error = json!({"type": "error", "error": {"type": "api_error", "message": message, "code": code}});
    format!("event: error\ndata: {error}\n\n")
}
