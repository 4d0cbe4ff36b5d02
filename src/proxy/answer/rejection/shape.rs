//! How an error reads in the client's own dialect: its envelope and its class.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use pointsman_core::prompt::Dialect;
use serde::Serialize;

/// The shape of an answer of ours, by the SDK that is to understand it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerShape {
    /// `{"error": {"message", "type", "param", "code"}}`.
    OpenAi,
    /// `{"type": "error", "error": {"type", "message"}}`, with `param` and `code` beside them as ours.
    Anthropic,
}

impl AnswerShape {
    /// Returns the shape for a request: by its path, and elsewhere by the header that every Anthropic client sends.
    #[must_use]
    pub(crate) fn of(path: &str, headers: &HeaderMap) -> Self {
        let is_anthropic = match Dialect::of_path(path) {
            Some(dialect) => dialect.is_anthropic(),
            None => path.starts_with("/v1/messages/") || headers.contains_key("anthropic-version"),
        };
        if is_anthropic { Self::Anthropic } else { Self::OpenAi }
    }
}

/// The OpenAI error object.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ErrorObject<'e> {
    /// For people.
    pub message: &'e str,
    /// The class of error, such as `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The parameter at fault.
    pub param: Option<&'e str>,
    /// For programs; stable.
    pub code: &'static str,
}

impl ErrorObject<'_> {
    /// Returns the object as JSON in its envelope.
    #[must_use]
    pub(crate) fn body(&self, shape: AnswerShape) -> Bytes {
        let body = match shape {
            AnswerShape::OpenAi => serde_json::json!({ "error": self }),
            AnswerShape::Anthropic => serde_json::json!({ "type": "error", "error": self }),
        };
        body.to_string().into()
    }
}

/// Returns OpenAI's class of error for a status.
#[must_use]
pub(crate) fn error_type(status: StatusCode) -> &'static str {
    if status.is_client_error() { "invalid_request_error" } else { "server_error" }
}

/// Returns Anthropic's class of error for a status.
pub(super) fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}
