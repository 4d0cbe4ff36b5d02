//! Chat completions, legacy completions and embeddings, as OpenAI and the servers that speak like it answer them.

use serde_json::{Value, json};

use super::counts::ReportedCounts;

/// The keys of generated text; the reasoning ones are other servers'.
pub(super) const TEXT: &[&str] = &["content", "text", "reasoning_content", "reasoning", "refusal", "arguments"];

/// The data of the event that ends a stream.
pub(super) const DONE: &[u8] = b"[DONE]";

pub(super) fn counts(usage: &Value) -> ReportedCounts {
    // Images and transcriptions are counted as responses are, and rerankers say a sum alone.
    let count = |own: &str, other: &str| usage[own].as_u64().or_else(|| usage[other].as_u64());
    let output = count("completion_tokens", "output_tokens");
    let sum = usage["total_tokens"].as_u64().filter(|_| output.is_none());
    ReportedCounts {
        input: count("prompt_tokens", "input_tokens").or(sum),
        output,
        cached: usage["prompt_tokens_details"]["cached_tokens"].as_u64(),
        reasoning: usage["completion_tokens_details"]["reasoning_tokens"].as_u64(),
    }
}

/// Returns the event that says a stream broke.
pub(super) fn error_event(code: &str, message: &str) -> String {
    let error = json!({"error": {"message": message, "type": "server_error", "param": null, "code": code}});
    format!("data: {error}\n\n")
}
