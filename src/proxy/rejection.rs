//! Every error that Pointsman itself answers a client with, and how it reads: the OpenAI error object.
//!
//! An upstream's own error answers are not here: they reach the client as they are. Messages name what the client sent
//! and what it may send; never an upstream's address, a key or a prompt.

use std::iter;

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use crate::config::Name;
use crate::prompt::ParseError;

/// Models that a [`Rejection::ModelNotFound`] names at most.
const MAX_MODELS: usize = 20;

/// nginx's status for a client that left; shows in metrics only.
const CLIENT_CLOSED_REQUEST: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => unreachable!(),
};

/// Characters of the client's own words that are repeated at most.
const MAX_ECHO: usize = 64;

/// An error that Pointsman answers a client with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The body is no JSON.
    #[error("The request body is not valid JSON: {message} at line {line} column {column}.")]
    InvalidJson {
        /// What the parser expected; holds nothing of the body.
        message: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// The body is JSON, but no object.
    #[error("The request body must be a JSON object.")]
    InvalidBody,
    /// There is no `model`.
    #[error("You must provide a `model` parameter.")]
    ModelMissing,
    /// `model` is something else than a string.
    #[error("The `model` parameter must be a string.")]
    ModelNotAString,
    /// `model` is there more than once, and readers disagree on which one counts.
    #[error("The `model` parameter is given more than once.")]
    ModelTwice,
    /// The body is larger than `limits.max_body_bytes`.
    #[error("The request body is larger than the {limit} bytes that are allowed.")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// No policy matches `model` and there is no default provider.
    #[error("The model `{}` does not exist here. {}", echo(model), known(models))]
    ModelNotFound {
        /// What the client asked for.
        model: String,
        /// What it may ask for; as many are named as fit a message.
        models: Vec<String>,
    },
    /// No connection to the provider, on any attempt.
    #[error("The provider `{provider}` cannot be reached.")]
    UpstreamUnreachable {
        /// The provider of the last attempt.
        provider: Name,
    },
    /// The provider did not answer in time.
    #[error("The provider `{provider}` did not answer in time.")]
    UpstreamTimeout {
        /// The provider of the last attempt.
        provider: Name,
    },
    /// The provider broke off, or answered with something that is no HTTP.
    #[error("The provider `{provider}` failed to give a complete answer.")]
    UpstreamError {
        /// The provider of the last attempt.
        provider: Name,
    },
    /// As many requests are in flight to the provider as its `max_concurrent` allows.
    #[error("The provider `{provider}` has as many requests in flight as it may. Try again later.")]
    ProviderBusy {
        /// The provider of the last attempt.
        provider: Name,
    },
    /// The client stopped sending its body.
    #[error("The request body did not arrive in time.")]
    RequestTimeout,
    /// The body has a `Content-Encoding` that cannot be read.
    #[error("The content encoding `{}` is not supported.", echo(encoding))]
    UnsupportedEncoding {
        /// What the client named.
        encoding: String,
    },
    /// No policy reads requests to this path and there is no default provider.
    #[error("There is nothing at this path, and no default provider to pass it to.")]
    PathNotFound,
    /// The client left before it was answered; nobody reads this.
    #[error("The client closed the connection.")]
    ClientGone,
    /// The prompt is too long for the model, and no other may be tried.
    #[error("The prompt is too long for the model's context window.")]
    ContextLength,
    /// A fault of ours.
    #[error("The proxy failed to handle the request.")]
    Internal,
}

/// The OpenAI error object.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ErrorObject<'e> {
    /// For people.
    pub message: &'e str,
    /// The class of error, such as `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The parameter at fault.
    pub param: Option<&'static str>,
    /// For programs; stable.
    pub code: &'static str,
}

impl Rejection {
    /// Every code, for the metrics to register up front.
    pub const CODES: [&'static str; 17] = [
        "invalid_json",
        "invalid_body",
        "model_missing",
        "model_not_a_string",
        "model_twice",
        "body_too_large",
        "model_not_found",
        "upstream_unreachable",
        "upstream_timeout",
        "upstream_error",
        "provider_busy",
        "request_timeout",
        "unsupported_encoding",
        "path_not_found",
        "client_gone",
        "context_length_exceeded",
        "internal",
    ];

    /// Returns the stable code that the answer, the metrics and the access line carry.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidJson { .. } => "invalid_json",
            Self::InvalidBody => "invalid_body",
            Self::ModelMissing => "model_missing",
            Self::ModelNotAString => "model_not_a_string",
            Self::ModelTwice => "model_twice",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::ModelNotFound { .. } => "model_not_found",
            Self::UpstreamUnreachable { .. } => "upstream_unreachable",
            Self::UpstreamTimeout { .. } => "upstream_timeout",
            Self::UpstreamError { .. } => "upstream_error",
            Self::ProviderBusy { .. } => "provider_busy",
            Self::RequestTimeout => "request_timeout",
            Self::UnsupportedEncoding { .. } => "unsupported_encoding",
            Self::PathNotFound => "path_not_found",
            Self::ClientGone => "client_gone",
            Self::ContextLength => "context_length_exceeded",
            Self::Internal => "internal",
        }
    }

    /// Returns the status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::InvalidJson { .. }
            | Self::InvalidBody
            | Self::ModelMissing
            | Self::ModelNotAString
            | Self::ModelTwice
            | Self::ContextLength => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ModelNotFound { .. } | Self::PathNotFound => StatusCode::NOT_FOUND,
            Self::ClientGone => CLIENT_CLOSED_REQUEST,
            Self::UpstreamUnreachable { .. } | Self::UpstreamError { .. } => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::ProviderBusy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::UnsupportedEncoding { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns the parameter at fault.
    #[must_use]
    pub const fn param(&self) -> Option<&'static str> {
        match self {
            Self::ModelMissing | Self::ModelNotAString | Self::ModelTwice | Self::ModelNotFound { .. } => Some("model"),
            _ => None,
        }
    }

    /// Returns the body of the answer, which is `application/json`.
    #[must_use]
    pub fn body(&self) -> Bytes {
        let (message, kind) = (&self.to_string(), error_type(self.status()));
        ErrorObject { message, kind, param: self.param(), code: self.code() }.body()
    }
}

impl ErrorObject<'_> {
    /// Returns the object as JSON under the key `error`.
    #[must_use]
    pub fn body(&self) -> Bytes {
        serde_json::json!({ "error": self }).to_string().into()
    }
}

/// Returns OpenAI's class of error for a status.
#[must_use]
pub fn error_type(status: StatusCode) -> &'static str {
    if status.is_client_error() { "invalid_request_error" } else { "server_error" }
}

/// Shortens what the client sent and makes it fit for one line.
fn echo(text: &str) -> String {
    let shown: String = text.chars().take(MAX_ECHO).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MAX_ECHO).is_some() { shown + "…" } else { shown }
}

fn known(models: &[String]) -> String {
    if models.is_empty() {
        return "No model is configured.".to_owned();
    }
    let shown = models.iter().take(MAX_MODELS).map(|model| format!("`{}`", echo(model)));
    let rest = models.len().saturating_sub(MAX_MODELS);
    let more = (rest > 0).then(|| format!("{rest} more"));
    format!("Models that do: {}.", shown.chain(iter::once(more).flatten()).collect::<Vec<_>>().join(", "))
}

impl From<ParseError> for Rejection {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::InvalidJson { message, line, column } => Self::InvalidJson { message, line, column },
            ParseError::NotAnObject => Self::InvalidBody,
            ParseError::ModelMissing => Self::ModelMissing,
            ParseError::ModelNotAString => Self::ModelNotAString,
            ParseError::ModelTwice => Self::ModelTwice,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn provider() -> Name {
        Name::new("openai").expect("a valid name")
    }

    fn not_found(model: &str, models: usize) -> Rejection {
        Rejection::ModelNotFound { model: model.into(), models: (0..models).map(|i| format!("m{i}")).collect() }
    }

    /// One of each, in the order of the codes.
    fn all() -> [Rejection; 17] {
        [
            Rejection::InvalidJson { message: "expected value".into(), line: 1, column: 2 },
            Rejection::InvalidBody,
            Rejection::ModelMissing,
            Rejection::ModelNotAString,
            Rejection::ModelTwice,
            Rejection::BodyTooLarge { limit: 32 << 20 },
            not_found("gpt-9", 2),
            Rejection::UpstreamUnreachable { provider: provider() },
            Rejection::UpstreamTimeout { provider: provider() },
            Rejection::UpstreamError { provider: provider() },
            Rejection::ProviderBusy { provider: provider() },
            Rejection::RequestTimeout,
            Rejection::UnsupportedEncoding { encoding: "compress".into() },
            Rejection::PathNotFound,
            Rejection::ClientGone,
            Rejection::ContextLength,
            Rejection::Internal,
        ]
    }

    #[test]
    fn codes_and_statuses_are_those_that_clients_rely_on() {
        assert_eq!(all().map(|rejection| rejection.code()), Rejection::CODES);
        assert_eq!(
            all().map(|rejection| rejection.status().as_u16()),
            [400, 400, 400, 400, 400, 413, 404, 502, 504, 502, 503, 408, 415, 404, 499, 400, 500]
        );
    }

    #[test]
    fn every_body_is_the_openai_error_object() {
        for rejection in all() {
            let body: Value = serde_json::from_slice(&rejection.body()).expect("JSON");

            let keys: Vec<_> = body["error"].as_object().expect("an object").keys().collect();
            assert_eq!(keys, ["code", "message", "param", "type"]);
            assert_eq!(body["error"]["code"], rejection.code());
            assert_eq!(body["error"]["message"], rejection.to_string());
        }
    }

    #[test]
    fn a_client_s_fault_and_ours_have_different_types() {
        let body = |rejection: Rejection| serde_json::from_slice::<Value>(&rejection.body()).expect("JSON");

        assert_eq!(
            body(Rejection::ModelMissing),
            json!({"error": {
                "message": "You must provide a `model` parameter.",
                "type": "invalid_request_error", "param": "model", "code": "model_missing",
            }})
        );
        assert_eq!(
            body(Rejection::Internal),
            json!({"error": {
                "message": "The proxy failed to handle the request.",
                "type": "server_error", "param": null, "code": "internal",
            }})
        );
    }

    #[test]
    fn an_unknown_model_is_told_which_ones_exist() {
        assert_eq!(
            not_found("gpt-9", 2).to_string(),
            "The model `gpt-9` does not exist here. Models that do: `m0`, `m1`."
        );
        assert_eq!(not_found("x", 0).to_string(), "The model `x` does not exist here. No model is configured.");
    }

    #[test]
    fn a_message_names_twenty_models_and_counts_the_others() {
        assert!(not_found("x", 20).to_string().ends_with("`m19`."));
        assert!(not_found("x", 21).to_string().ends_with("`m19`, 1 more."));
    }

    #[test]
    fn what_the_client_sent_is_repeated_shortened_and_on_one_line() {
        let at_the_limit = "é".repeat(MAX_ECHO);

        assert_eq!(echo(&at_the_limit), at_the_limit);
        assert_eq!(echo(&format!("{at_the_limit}x")), format!("{at_the_limit}…"));
        assert_eq!(echo("a\r\nb"), "a\u{fffd}\u{fffd}b");
    }
}
