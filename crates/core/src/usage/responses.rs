//! OpenAI's responses API.

use serde_json::{Value, json};

use super::counts::ReportedCounts;

/// The keys of generated text in a whole answer.
pub(super) const TEXT: &[&str] = &["text", "arguments"];

/// The key of generated text in a stream, which repeats the whole when a part is done.
pub(super) const TEXT_IN_STREAM: &[&str] = &["delta"];

/// The types of the event that ends a stream.
pub(super) const ENDS: &[&str] = &["response.completed", "response.incomplete", "response.failed"];

pub(super) fn counts(usage: &Value) -> ReportedCounts {
    ReportedCounts {
        input: usage["input_tokens"].as_u64(),
        output: usage["output_tokens"].as_u64(),
        cached: usage["input_tokens_details"]["cached_tokens"].as_u64(),
        reasoning: usage["output_tokens_details"]["reasoning_tokens"].as_u64(),
    }
}

/// Returns the event that says a stream broke; `sequence` is its number in the stream.
pub(super) fn error_event(code: &str, message: &str, sequence: u64) -> String {
    let error = json!({"type": "error", "code": code, "message": message, "param": null, "sequence_number": sequence});
    format!("event: error\ndata: {error}\n\n")
}
