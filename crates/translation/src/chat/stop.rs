//! Why an answer has ended, in the words of chat completions.

use std::borrow::Cow;

use crate::neutral::{Stop, StopReason};

/// Reads a reason. Servers of this API have more words than OpenAI's five.
pub(super) fn read(reason: &str) -> Stop<'_> {
    let kind = match reason {
        "stop" | "eos" | "eos_token" | "end_turn" | "completed" => StopReason::EndTurn,
        "stop_sequence" => StopReason::StopText,
        "length" | "max_tokens" | "max_output_tokens" => StopReason::MaxTokens,
        "model_length" | "model_context_window_exceeded" => StopReason::ContextWindow,
        "tool_calls" | "function_call" | "tool_use" => StopReason::ToolUse,
        "content_filter" | "safety" | "SAFETY" | "PROHIBITED_CONTENT" => StopReason::ContentFilter,
        "refusal" => StopReason::Refusal,
        "recitation" | "RECITATION" => StopReason::Recitation,
        "malformed_function_call" | "MALFORMED_FUNCTION_CALL" => StopReason::MalformedCall,
        "error" | "abort" | "insufficient_system_resource" => StopReason::Failed,
        _ => StopReason::Other,
    };
    let detail = matches!(kind, StopReason::Failed | StopReason::Other).then_some(Cow::Borrowed(reason));
    Stop { reason: kind, detail }
}

/// The contents of an answer that its end depends on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AnswerHolds {
    /// Calls of tools.
    pub(super) calls: bool,
    /// The words of a refusal.
    pub(super) refusal: bool,
}

impl AnswerHolds {
    /// Returns the reason that says what the answer holds: servers end refusals, and some end calls, as any answer.
    pub(super) fn corrected(self, stop: Stop<'_>) -> Stop<'_> {
        let reason = match stop.reason {
            StopReason::EndTurn if self.calls => StopReason::ToolUse,
            StopReason::EndTurn if self.refusal => StopReason::Refusal,
            reason => reason,
        };
        Stop { reason, ..stop }
    }
}

/// Returns the word for a reason. What was refused, filtered or failed is never a plain end.
pub(super) const fn word(reason: StopReason) -> &'static str {
    match reason {
        StopReason::EndTurn | StopReason::StopText => "stop",
        StopReason::MaxTokens | StopReason::ContextWindow | StopReason::Pause => "length",
        StopReason::ToolUse => "tool_calls",
        StopReason::Refusal
        | StopReason::ContentFilter
        | StopReason::Recitation
        | StopReason::MalformedCall
        | StopReason::Failed
        | StopReason::Other => "content_filter",
    }
}

/// Returns the words that stand for a refusal where the answer holds none of its own.
pub(super) fn refusal_words<'s>(stop: &'s Stop<'_>) -> Option<&'s str> {
    stop.detail.as_deref().filter(|_| word(stop.reason) == "content_filter")
}
