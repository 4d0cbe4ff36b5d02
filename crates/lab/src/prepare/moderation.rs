//! A moderation endpoint of OpenAI's form: texts go in batches, and each comes back flagged or not.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use pointsman_core::config::Secret;
use pointsman_http_client::{ExchangeLimits, HttpClient, HttpError, HttpOrigin, ServerTrust, retry_after};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

/// Texts of one request.
pub(super) const BATCH: usize = 32;

/// Bytes of a text that are sent: endpoints refuse longer ones.
const MOST_BYTES: usize = 30_000;

/// The most times that a batch is sent.
const ATTEMPTS: u32 = 6;

/// Batches in a row without an answer after which the endpoint is taken to be down.
const SILENT: u32 = 3;

const LIMITS: ExchangeLimits =
    ExchangeLimits { connect: Duration::from_secs(10), read: Duration::from_secs(60), max_bytes: 8 << 20 };

/// A moderation endpoint.
pub struct ModerationEndpoint {
    origin: HttpOrigin,
    path: String,
    key: Option<Secret>,
    model: Option<String>,
    /// The least time between two requests.
    pause: Duration,
    http: HttpClient,
    state: std::cell::RefCell<EndpointState>,
}

#[derive(Default)]
struct EndpointState {
    last: Option<Instant>,
    silent: u32,
}

/// Errors that end moderation.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum ModerationError {
    /// The URL is none.
    #[error("`{url}` is not a URL of a moderation endpoint (allowed: http(s)://host[:port]/path)")]
    Url { url: String },
    /// The endpoint refuses, and would refuse every prompt.
    #[error("the moderation endpoint refuses with {status}")]
    Refused { status: u16 },
    /// The endpoint gives no answers, however often it is asked.
    #[error("the moderation endpoint answers none of {batches} batches in a row: {reason}")]
    Silent { batches: u32, reason: String },
}

#[derive(Deserialize)]
struct ModerationAnswer {
    results: Vec<ModerationResult>,
}

#[derive(Deserialize)]
struct ModerationResult {
    flagged: bool,
}

/// The outcome of one request.
enum BatchReply {
    Flags(Vec<bool>),
    Later {
        after: Option<Duration>,
        reason: String,
    },
    /// A batch that the endpoint does not take.
    Never,
}

impl ModerationEndpoint {
    /// Takes an endpoint by its whole URL, its model where it needs one, and the most requests in a second.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(
        url: &str,
        key: Option<Secret>,
        model: Option<String>,
        per_second: f64,
    ) -> Result<Self, ModerationError> {
        let wrong = || ModerationError::Url { url: url.rsplit('@').next().unwrap_or_default().to_owned() };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let origin = HttpOrigin::of(&uri).ok_or_else(wrong)?;
        let path = uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        let pause = Duration::try_from_secs_f64(1.0 / per_second).unwrap_or_default();
        Ok(Self { origin, path, key, model, pause, http: HttpClient::closing(), state: std::cell::RefCell::default() })
    }

    /// Returns whether each text is flagged; `None` where the endpoint does not say.
    ///
    /// # Errors
    /// When the endpoint refuses or is silent for good.
    pub(super) async fn judge(&self, texts: &[&str]) -> Result<Option<Vec<bool>>, ModerationError> {
        let cut = |text: &&str| text[..text.floor_char_boundary(MOST_BYTES.min(text.len()))].to_owned();
        let mut body = json!({"input": texts.iter().map(cut).collect::<Vec<_>>()});
        if let Some(model) = &self.model {
            body["model"] = json!(model);
        }
        let body = body.to_string();
        let mut reason = String::new();
        for attempt in 1..=ATTEMPTS {
            self.wait().await;
            match self.ask(&body).await? {
                BatchReply::Flags(flags) if flags.len() == texts.len() => {
                    self.state.borrow_mut().silent = 0;
                    return Ok(Some(flags));
                }
                BatchReply::Flags(_) => reason = "another number of results than of texts".into(),
                BatchReply::Never => return Ok(None),
                BatchReply::Later { after, reason: why } => {
                    reason = why;
                    if attempt < ATTEMPTS {
                        tokio::time::sleep(after.unwrap_or_else(|| Duration::from_secs(1 << (attempt - 1)))).await;
                    }
                }
            }
        }
        tracing::warn!(reason, "A batch of prompts was not moderated");
        let mut state = self.state.borrow_mut();
        state.silent += 1;
        if state.silent == SILENT { Err(ModerationError::Silent { batches: SILENT, reason }) } else { Ok(None) }
    }

    /// Waits until the next request may be sent.
    async fn wait(&self) {
        let due = self.state.borrow().last.map(|last| last + self.pause);
        if let Some(due) = due {
            tokio::time::sleep_until(due).await;
        }
        self.state.borrow_mut().last = Some(Instant::now());
    }

    async fn ask(&self, body: &str) -> Result<BatchReply, ModerationError> {
        let answer = match self.exchange(body).await {
            Ok(answer) => answer,
            Err(error) => return Ok(BatchReply::Later { after: None, reason: error.to_string() }),
        };
        let status = answer.status();
        match status {
            StatusCode::OK => Ok(match serde_json::from_slice::<ModerationAnswer>(answer.body()) {
                Ok(read) => BatchReply::Flags(read.results.iter().map(|result| result.flagged).collect()),
                Err(_) => BatchReply::Later { after: None, reason: "an answer that is none".into() },
            }),
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                Ok(BatchReply::Never)
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => {
                Ok(BatchReply::Later { after: retry_after(answer.headers()), reason: format!("status {status}") })
            }
            status if status.is_server_error() => {
                Ok(BatchReply::Later { after: retry_after(answer.headers()), reason: format!("status {status}") })
            }
            status => Err(ModerationError::Refused { status: status.as_u16() }),
        }
    }

    async fn exchange(&self, body: &str) -> Result<Response<Bytes>, HttpError> {
        let destination = self.origin.destination(ServerTrust::System).await?;
        let mut request = Request::post(&self.path).header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key {
            let value = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
            let mut value = value.map_err(|error| HttpError::Request(error.into()))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        let request = request.body(Bytes::copy_from_slice(body.as_bytes())).map_err(HttpError::Request)?;
        self.http.send(&destination, request, LIMITS).await
    }
}

impl std::fmt::Debug for ModerationEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModerationEndpoint")
            .field("origin", &self.origin)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_is_refused_without_its_password() {
        for wrong in ["host/v1/moderations", "https://user:planted@host.example/v1/moderations"] {
            let error = ModerationEndpoint::new(wrong, None, None, 1.0).expect_err(wrong).to_string();

            assert!(!error.contains("planted"), "{error}");
        }
    }
}
