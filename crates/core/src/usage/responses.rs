//! OpenAI's responses API.

use serde_json::json;

/// The keys of generated text in a whole answer.
pub(super) const TEXT: &[&str] = &["text", "arguments"];

/// The key of generated text in a stream, which repeats the whole when a part is done.
pub(super) const TEXT_IN_STREAM: &[&str] = &["delta"];

/// The types of the event that ends a stream.
pub(super) const ENDS: &[&str] = &["response.completed", "response.incomplete", "response.failed"];

/// Returns the event that says a stream broke; `sequence` is its number in the stream.
pub(super) fn error_event(code: &str, message: &str, sequence: u64) -> String {
    let error = json!({"type": "error", "code": code, "message": message, "param": null, "sequence_number": sequence});
    format!("event: error\ndata: {error}\n\n")
}
