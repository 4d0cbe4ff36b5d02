//! Chat completions, legacy completions and embeddings, as OpenAI and the servers that speak like it answer them.

use serde_json::{Value, json};

use super::billed::billed;
use super::counts::ReportedCounts;
use super::gemini;

/// The keys of generated text; the reasoning ones are other servers'.
pub(super) const TEXT: &[&str] = &["content", "text", "reasoning_content", "reasoning", "refusal", "arguments"];

/// The data of the event that ends a stream.
pub(super) const DONE: &[u8] = b"[DONE]";

/// Reads the counts of every server that speaks like OpenAI, its responses, images and transcripts too: each part has
/// several names, and no server has two that differ.
pub(super) fn counts(usage: &Value) -> ReportedCounts {
    if usage.get("promptTokenCount").is_some() {
        return gemini::counts(usage);
    }
    if usage.get("inputTokens").is_some() {
        return bedrock(usage);
    }
    let inputs = ["prompt_tokens_details", "input_tokens_details", "input_token_details"].map(|place| usage.get(place));
    let outputs = ["completion_tokens_details", "output_tokens_details"].map(|place| usage.get(place));
    let input = |key: &str| detail(&inputs, key);
    let output = |key: &str| detail(&outputs, key);
    let count = |key: &str| usage[key].as_u64();
    let or = |one: Option<u64>, other: Option<u64>| one.filter(|one| *one > 0).or(other).or(one);
    let written = ["cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens"].map(input);
    let wrote = count("completion_tokens").or_else(|| count("output_tokens"));
    let sum = count("total_tokens").filter(|_| wrote.is_none()); // rerankers say a sum alone
    ReportedCounts {
        input: count("prompt_tokens").or_else(|| count("input_tokens")).or(sum),
        output: wrote,
        total: count("total_tokens"),
        // DeepSeek, Moonshot, and Anthropic's words behind an adapter.
        cached: ["prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens"]
            .iter()
            .fold(input("cached_tokens"), |found, key| or(found, count(key))),
        written: written.into_iter().chain([count("cache_creation_input_tokens")]).fold(None, or),
        written_1h: [inputs[0], Some(usage)]
            .map(|place| place?.get("cache_creation")?["ephemeral_1h_input_tokens"].as_u64())
            .into_iter()
            .fold(None, or),
        reasoning: or(output("reasoning_tokens"), count("reasoning_tokens")),
        input_audio: input("audio_tokens"),
        output_audio: output("audio_tokens"),
        input_image: input("image_tokens"),
        output_image: output("image_tokens"),
        billed: billed(usage),
        ..ReportedCounts::default()
    }
}

/// Reads the counts of Bedrock's `Converse`, whose input leaves the cache out of account.
fn bedrock(usage: &Value) -> ReportedCounts {
    let count = |key: &str| usage[key].as_u64();
    let (cached, written) = (count("cacheReadInputTokens"), count("cacheWriteInputTokens"));
    let beside = cached.unwrap_or_default().saturating_add(written.unwrap_or_default());
    ReportedCounts {
        input: count("inputTokens").map(|input| input.saturating_add(beside)),
        output: count("outputTokens"),
        cached,
        written,
        ..ReportedCounts::default()
    }
}

/// Returns the count called `key` in whichever of the objects `places` has it. They are looked up once for all keys:
/// most answers have none, and this is read of every one.
fn detail(places: &[Option<&Value>], key: &str) -> Option<u64> {
    places.iter().flatten().find_map(|place| place[key].as_u64())
}

/// Returns the event that says a stream broke.
pub(super) fn error_event(code: &str, message: &str) -> String {
    let error = json!({"error": {"message": message, "type": "server_error", "param": null, "code": code}});
    format!("data: {error}\n\n")
}
