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
    /// `{"error": {"code", "message", "status", "details"}}`, with ours as the reason in the details.
    Google,
    /// `{"error": "..."}`, as inference servers answer.
    Inference,
}

impl AnswerShape {
    /// Returns the shape for a request: by its path, and elsewhere by the headers that every client of Anthropic's, or of
    /// Google's, sends.
    #[must_use]
    pub(crate) fn of(path: &str, headers: &HeaderMap) -> Self {
        match Dialect::of_path(path) {
            Some(dialect) if dialect.is_anthropic() => Self::Anthropic,
            Some(dialect) if dialect.is_google() => Self::Google,
            Some(_) => Self::OpenAi,
            None if is_inference(path) => Self::Inference,
            None if path.starts_with("/v1/messages/") || headers.contains_key("anthropic-version") => Self::Anthropic,
            None if is_google(path) || GOOGLE_FIELDS.iter().any(|field| headers.contains_key(*field)) => Self::Google,
            None => Self::OpenAi,
        }
    }
}

/// Tells whether a path is of the Open Inference Protocol.
fn is_inference(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/models/") || path.starts_with("/v2/health/")
}

/// The fields that clients of Google's APIs send.
const GOOGLE_FIELDS: [&str; 2] = ["x-goog-api-key", "x-goog-api-client"];

/// Tells whether a path is of Google's own API, or of Google's models on Vertex AI; below `/openai` it speaks OpenAI's.
fn is_google(path: &str) -> bool {
    if path.contains("/publishers/google/") {
        return true;
    }
    let below = ["/v1beta/", "/v1alpha/", "/v1beta1/"].iter().find_map(|version| path.strip_prefix(version));
    below.is_some_and(|below| !below.starts_with("openai/"))
}

/// Google's error object, as its SDKs read it.
#[derive(Serialize)]
struct GoogleError<'e> {
    code: u16,
    message: &'e str,
    status: &'static str,
    details: Vec<GoogleDetail<'e>>,
}

/// A detail of one of Google's errors.
#[derive(Serialize)]
#[serde(untagged)]
enum GoogleDetail<'e> {
    Info(GoogleErrorInfo<'e>),
    Retry(GoogleRetryInfo),
}

/// The wait before the request may come again.
#[derive(Serialize)]
struct GoogleRetryInfo {
    #[serde(rename = "@type")]
    kind: &'static str,
    #[serde(rename = "retryDelay")]
    delay: String,
}

/// The machine-readable part of one of Google's errors.
#[derive(Serialize)]
struct GoogleErrorInfo<'e> {
    #[serde(rename = "@type")]
    kind: &'static str,
    reason: &'e str,
    domain: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<GoogleErrorMetadata<'e>>,
}

#[derive(Serialize)]
struct GoogleErrorMetadata<'e> {
    param: &'e str,
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
    /// The status of the answer, which Google's errors repeat.
    #[serde(skip)]
    pub status: StatusCode,
    /// The seconds that the client is to wait, which Google's errors say.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

impl ErrorObject<'_> {
    /// Returns the object as JSON in its envelope.
    #[must_use]
    pub(crate) fn body(&self, shape: AnswerShape) -> Bytes {
        let body = match shape {
            AnswerShape::OpenAi => serde_json::json!({ "error": self }),
            AnswerShape::Anthropic => serde_json::json!({ "type": "error", "error": self }),
            AnswerShape::Google => serde_json::json!({ "error": self.of_google() }),
            AnswerShape::Inference => serde_json::json!({ "error": self.message }),
        };
        body.to_string().into()
    }

    fn of_google(&self) -> GoogleError<'_> {
        let info = GoogleErrorInfo {
            kind: "type.googleapis.com/google.rpc.ErrorInfo",
            reason: self.code,
            domain: "pointsman",
            metadata: self.param.map(|param| GoogleErrorMetadata { param }),
        };
        let kind = "type.googleapis.com/google.rpc.RetryInfo";
        let wait = |seconds| GoogleDetail::Retry(GoogleRetryInfo { kind, delay: format!("{seconds}s") });
        let retry = self.retry_after.map(wait);
        GoogleError {
            code: self.status.as_u16(),
            message: self.message,
            status: google_status(self.status),
            details: [GoogleDetail::Info(info)].into_iter().chain(retry).collect(),
        }
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

/// Returns the name of Google's code for a status (`google.rpc.Code`).
fn google_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        408 | 504 => "DEADLINE_EXCEEDED",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        400..=498 => "INVALID_ARGUMENT",
        502 | 503 | 529 => "UNAVAILABLE",
        _ => "INTERNAL",
    }
}
