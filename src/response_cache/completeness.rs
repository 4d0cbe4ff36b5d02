//! Whether an answer is one to keep: whole, without an error, and ended by the model itself.

use pointsman_core::answer_check::AnswerEnd;
use pointsman_core::prompt::Dialect;
use pointsman_core::usage::{AnswerFormat, AnswerFraming, AnswerTextReader, UsageReader};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The parts of a document that say whether it is an answer.
#[derive(Deserialize)]
struct DocumentOutline {
    error: Option<IgnoredAny>,
    data: Option<IgnoredAny>,
}

/// Returns whether the body of an answer, as its client got it, may be given again.
///
/// An answer that was cut, filtered or refused may be another one the next time; one with nothing in it, or of a form that
/// is not known, may be a fault.
pub(crate) fn is_complete(dialect: Dialect, body: &[u8]) -> bool {
    match AnswerFraming::of_beginning(body) {
        Some(AnswerFraming::Events) => {
            dialect.generates() && has_stream_end(dialect, body) && has_own_end(dialect, body)
        }
        Some(AnswerFraming::Json) if body.trim_ascii_start().starts_with(b"[") => {
            dialect.generates() && has_own_end(dialect, body)
        }
        Some(AnswerFraming::Json) => {
            let Ok(outline) = serde_json::from_slice::<DocumentOutline>(body) else { return false };
            let is_answer = if dialect.generates() { has_own_end(dialect, body) } else { outline.data.is_some() };
            outline.error.is_none() && is_answer
        }
        None => false,
    }
}

/// Returns whether a stream came to the end that its API ends streams with.
fn has_stream_end(dialect: Dialect, body: &[u8]) -> bool {
    let mut reader = UsageReader::new(AnswerFormat::of_path(dialect.path()), AnswerFraming::Events);
    reader.push(body);
    reader.has_ended()
}

/// Returns whether the model came to its own end, and said something.
fn has_own_end(dialect: Dialect, body: &[u8]) -> bool {
    let mut reader = AnswerTextReader::new(AnswerFormat::of_path(dialect.path()), body.len());
    reader.push(body);
    let Some(answer) = reader.finish() else { return false };
    let says_something = !answer.text.is_empty() || !answer.tool_calls.is_empty();
    let end = answer.finish_reason.as_deref().map(AnswerEnd::of);
    says_something && !answer.is_refusal && end == Some(AnswerEnd::Whole) && !is_failed(answer.finish_reason.as_deref())
}

/// Returns whether a reason says that the answer never came to an end.
fn is_failed(reason: Option<&str>) -> bool {
    matches!(reason, Some("failed" | "cancelled" | "queued" | "in_progress" | "error" | "pause_turn"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chat(reason: &str, content: &str) -> String {
        json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": reason}]})
            .to_string()
    }

    #[test]
    fn a_whole_answer_of_every_api_is_complete() {
        let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n\
                      data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        for (dialect, body) in [
            (Dialect::ChatCompletions, chat("stop", "hi")),
            (Dialect::ChatCompletions, stream.to_owned()),
            (
                Dialect::Messages,
                json!({"type": "message", "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn"})
                    .to_string(),
            ),
            (
                Dialect::Responses,
                json!({"status": "completed", "error": null,
                    "output": [{"type": "message", "content": [{"type": "output_text", "text": "hi"}]}]})
                .to_string(),
            ),
            (
                Dialect::GenerateContent,
                json!({"candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}]}).to_string(),
            ),
            (Dialect::Embeddings, json!({"object": "list", "data": [{"embedding": [0.5]}]}).to_string()),
        ] {
            assert!(is_complete(dialect, body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn what_was_cut_filtered_refused_or_broken_is_not() {
        let cut_stream = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
        let unended = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n";
        let unfinished = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\ndata: [DONE]\n\n";
        for body in [
            chat("length", "hi"),
            chat("content_filter", "hi"),
            chat("stop", ""),
            json!({"error": {"message": "no"}}).to_string(),
            json!({"choices": [{"message": {"content": "hi"}}]}).to_string(),
            chat("stop", "hi")[..40].to_owned(),
            cut_stream.to_owned(),
            unended.to_owned(),
            unfinished.to_owned(),
            "<html>".to_owned(),
            String::new(),
        ] {
            assert!(!is_complete(Dialect::ChatCompletions, body.as_bytes()), "{body}");
        }
        let refused = json!({"choices": [{"message": {"refusal": "no"}, "finish_reason": "stop"}]}).to_string();
        assert!(!is_complete(Dialect::ChatCompletions, refused.as_bytes()));
        let failed = json!({"status": "failed", "output": [], "error": {"code": "x"}}).to_string();
        assert!(!is_complete(Dialect::Responses, failed.as_bytes()));
        assert!(!is_complete(Dialect::Embeddings, b"{\"error\": {}}"));
    }
}
