//! Reasons for which an answer has ended, in Google's words.

use std::borrow::Cow;

use crate::neutral::{Stop, StopReason};

/// The meanings of Google's reasons.
const REASONS: [(&str, StopReason); 24] = [
    ("STOP", StopReason::EndTurn),
    ("MAX_TOKENS", StopReason::MaxTokens),
    // The answer goes on in another request of the same client's, so that it is as incomplete as at a limit.
    ("CONTINUATION", StopReason::MaxTokens),
    ("SAFETY", StopReason::ContentFilter),
    ("BLOCKLIST", StopReason::ContentFilter),
    ("PROHIBITED_CONTENT", StopReason::ContentFilter),
    ("SPII", StopReason::ContentFilter),
    ("IMAGE_SAFETY", StopReason::ContentFilter),
    ("IMAGE_PROHIBITED_CONTENT", StopReason::ContentFilter),
    ("MODEL_ARMOR", StopReason::ContentFilter),
    ("JAILBREAK", StopReason::ContentFilter),
    ("ESCALATION", StopReason::ContentFilter),
    ("PUP_LIMITED_DISABLED", StopReason::ContentFilter),
    ("RECITATION", StopReason::Recitation),
    ("IMAGE_RECITATION", StopReason::Recitation),
    ("MALFORMED_FUNCTION_CALL", StopReason::MalformedCall),
    ("UNEXPECTED_TOOL_CALL", StopReason::MalformedCall),
    ("TOO_MANY_TOOL_CALLS", StopReason::Failed),
    ("MISSING_THOUGHT_SIGNATURE", StopReason::Failed),
    ("MALFORMED_RESPONSE", StopReason::Failed),
    ("LANGUAGE", StopReason::Failed),
    ("IMAGE_OTHER", StopReason::Failed),
    ("NO_IMAGE", StopReason::Failed),
    ("OTHER", StopReason::Failed),
];

/// Reads a reason, with the vendor's words on it where there are any.
pub(super) fn read<'b>(reason: &Cow<'b, str>, message: Option<Cow<'b, str>>) -> Stop<'b> {
    let known = REASONS.iter().find(|(name, _)| name == reason).map_or(StopReason::Other, |(_, kind)| *kind);
    match known {
        StopReason::EndTurn => Stop::of(StopReason::EndTurn),
        StopReason::MaxTokens if reason == "MAX_TOKENS" => Stop::of(StopReason::MaxTokens),
        known => {
            let detail = match message {
                Some(message) => Cow::Owned(format!("{reason}: {message}")),
                None => reason.clone(),
            };
            Stop { reason: known, detail: Some(detail) }
        }
    }
}

/// Returns Google's reason for a stop, and the words on it, if there are any beside it.
pub(super) fn write<'s>(stop: &'s Stop<'_>) -> (&'static str, Option<&'s str>) {
    let detail = stop.detail.as_deref();
    let nearest = match stop.reason {
        StopReason::EndTurn | StopReason::StopText | StopReason::ToolUse => return ("STOP", None),
        StopReason::MaxTokens | StopReason::ContextWindow => "MAX_TOKENS",
        StopReason::Refusal | StopReason::ContentFilter => "SAFETY",
        StopReason::Recitation => "RECITATION",
        StopReason::MalformedCall => "MALFORMED_FUNCTION_CALL",
        StopReason::Pause | StopReason::Failed | StopReason::Other => "OTHER",
    };
    let own = detail.and_then(|detail| {
        let name = detail.split(':').next().unwrap_or(detail);
        REASONS.iter().find(|(own, reason)| *own == name && *reason == stop.reason)
    });
    match own {
        // A client that reads it as a request to go on would send a token that no other vendor knows.
        Some(("CONTINUATION", _)) => ("MAX_TOKENS", None),
        Some((name, _)) => (name, detail.and_then(|detail| detail.split_once(": ")).map(|(_, words)| words)),
        None => (nearest, detail),
    }
}
