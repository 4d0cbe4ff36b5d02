//! Gemini's own API, whose counts are in `usageMetadata`.

use serde_json::{Value, json};

use super::counts::ReportedCounts;

/// The key of generated text, thoughts included.
pub(super) const TEXT: &[&str] = &["text"];

/// Reads the counts: thoughts are beside the candidates, what tools brought in is beside the prompt.
pub(super) fn counts(usage: &Value) -> ReportedCounts {
    let count = |key: &str| usage[key].as_u64();
    let sum = |one: Option<u64>, other: Option<u64>| Some(one?.saturating_add(other.unwrap_or_default()));
    let (answer, thoughts) = (count("candidatesTokenCount"), count("thoughtsTokenCount"));
    ReportedCounts {
        input: sum(count("promptTokenCount"), count("toolUsePromptTokenCount")),
        output: sum(answer.or(thoughts.map(|_| 0)), thoughts),
        cached: count("cachedContentTokenCount"),
        reasoning: thoughts,
        input_audio: modality(&usage["promptTokensDetails"], "AUDIO"),
        output_audio: modality(&usage["candidatesTokensDetails"], "AUDIO"),
        input_image: modality(&usage["promptTokensDetails"], "IMAGE"),
        output_image: modality(&usage["candidatesTokensDetails"], "IMAGE"),
        ..ReportedCounts::default()
    }
}

/// Returns the event that says a stream broke: Google's SDKs compare its `code` as a status.
pub(super) fn error_event(code: &str, message: &str) -> String {
    let details = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code}]);
    let error = json!({"error": {"code": 503, "message": message, "status": "UNAVAILABLE", "details": details}});
    format!("data: {error}\n\n")
}

fn modality(details: &Value, wanted: &str) -> Option<u64> {
    details.as_array()?.iter().find(|detail| detail["modality"] == wanted)?["tokenCount"].as_u64()
}
