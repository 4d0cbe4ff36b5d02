//! One request of our own for a credential: to a token endpoint, a metadata server, a container's agent.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, StatusCode};
use pointsman_http_client::{ExchangeLimits, HttpClient, HttpError, HttpOrigin, ServerTrust};
use serde::Deserialize;

/// A credential's server is near, or is not there at all.
const LIMITS: ExchangeLimits =
    ExchangeLimits { connect: Duration::from_secs(3), read: Duration::from_secs(10), max_bytes: 64 << 10 };

/// The most of an error's words that is shown.
const MOST_WORDS: usize = 200;

/// The reason why a credential was not fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// The URL is none that can be asked.
    #[error("`{0}` is not a URL that can be asked")]
    Url(String),
    /// The request cannot be written.
    #[error("the request cannot be written: {0}")]
    Request(#[from] http::Error),
    /// There is no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The answer is an error.
    #[error("the server answers {status}{said}")]
    Status {
        /// The answer's status.
        status: StatusCode,
        /// The error's own words, behind a colon; empty where there are none.
        said: String,
    },
    /// The answer is not what it should be.
    #[error("the server's answer {0}")]
    Unreadable(&'static str),
    /// The server did not answer in time.
    #[error("the server does not answer in time")]
    TooSlow,
    /// A file cannot be read.
    #[error("{0}")]
    File(String),
    /// The request for a token cannot be signed.
    #[error("the request for a token cannot be signed")]
    Signature,
}

/// The words of an OAuth error.
#[derive(Deserialize)]
struct OauthError {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Sends a request to its own URL, and returns the body of a good answer. What an error says is shown only where it is an
/// OAuth error, which holds no secret.
pub(crate) async fn ask(request: Request<Bytes>) -> Result<Bytes, FetchError> {
    let origin = HttpOrigin::of(request.uri()).ok_or_else(|| FetchError::Url(request.uri().to_string()))?;
    let destination = origin.destination(ServerTrust::System).await?;
    let (head, body) = HttpClient::closing().send(&destination, request, LIMITS).await?.into_parts();
    if head.status.is_success() {
        return Ok(body);
    }
    Err(FetchError::Status { status: head.status, said: words_of(&body) })
}

fn words_of(body: &[u8]) -> String {
    let Ok(OauthError { error, error_description }) = serde_json::from_slice(body) else { return String::new() };
    let words = format!(": {error} {error_description}");
    words.trim_end().chars().filter(|c| !c.is_control()).take(MOST_WORDS).collect()
}

/// Returns the time until a moment that an answer names (RFC 3339).
pub(crate) fn lifetime_until(moment: &str, now: SystemTime) -> Option<Duration> {
    humantime::parse_rfc3339_weak(moment.trim()).ok()?.duration_since(now).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oauth_error_says_why_and_nothing_else_is_shown() {
        let said = words_of(br#"{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}"#);

        assert_eq!(said, ": invalid_grant Invalid JWT Signature.");
        assert_eq!(words_of(br#"{"SecretAccessKey": "x"}"#), "");
        assert_eq!(words_of(b"<html>"), "");
    }

    #[test]
    fn a_moment_that_is_past_is_no_lifetime() {
        let now = humantime::parse_rfc3339("2026-11-30T04:00:00Z").expect("a moment");

        assert_eq!(lifetime_until("2026-11-30T05:00:00Z", now), Some(Duration::from_secs(3600)));
        assert_eq!(lifetime_until("2026-11-30T03:00:00Z", now), None);
        assert_eq!(lifetime_until("tomorrow", now), None);
    }
}
