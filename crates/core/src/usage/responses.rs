//! OpenAI's responses API.

use serde_json::json;

/// The keys of generated text in a whole answer.
pub(super) const TEXT: &[&str] = &["text", "arguments"];

/// The key of generated text in a stream, which repeats the whole when a part is done.
pub(super) const TEXT_IN_STREAM: &[&str] = &["delta"];

/// The types of the event that ends a stream.
pub(super) const ENDS: &[&str] = &["response.completed", "response.incomplete", "response.failed"];

/// The response that a stream is about, and where the stream is.
pub(super) struct BrokenResponse<'r> {
    /// The id of the response; empty where it did not come.
    pub(super) id: &'r str,
    /// The number of the next event.
    pub(super) sequence: u64,
}

/// Returns the event that says a stream broke. Not `error`: Codex reads over it, and the SDKs take it for any event, but
/// a response that failed is its end to all of them.
pub(super) fn error_event(code: &str, message: &str, broken: &BrokenResponse<'_>) -> String {
    let response = json!({
        "id": broken.id,
        "object": "response",
        "status": "failed",
        "error": {"code": code, "message": message},
        "incomplete_details": null,
        "output": [],
        "usage": null,
    });
    let failed = json!({"type": "response.failed", "sequence_number": broken.sequence, "response": response});
    format!("event: response.failed\ndata: {failed}\n\n")
}
