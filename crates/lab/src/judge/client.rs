//! The judge over HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use pointsman_core::config::Secret;
use pointsman_core::judgement::text_of;
use pointsman_core::usage::{AnswerFormat, Usage, UsageBounds};
use pointsman_http_client::{ExchangeLimits, HttpClient, HttpError, HttpOrigin, ServerTrust, retry_after};
use serde_json::{Value, json};

const USER_AGENT: &str = concat!("pointsman/", env!("CARGO_PKG_VERSION"), " (lab)");
const CONNECT: Duration = Duration::from_secs(10);
/// A reasoning model may think for minutes.
const ANSWER: Duration = Duration::from_secs(300);
/// The largest answer that is read.
const MAX_BYTES: usize = 1 << 20;
const LIMITS: ExchangeLimits = ExchangeLimits { connect: CONNECT, read: ANSWER, max_bytes: MAX_BYTES };

/// The judge's address, model and key.
#[derive(Debug, Clone)]
pub struct JudgeEndpoint {
    /// `http(s)://host[:port][/prefix]`; `/chat/completions` comes after it.
    pub base_url: String,
    /// The provider's name of the model.
    pub model: String,
    /// The key that goes as `Authorization: Bearer`.
    pub key: Option<Secret>,
    /// True to leave the temperature to the model, because it takes no other.
    pub own_temperature: bool,
}

/// A judge.
pub struct JudgeClient {
    endpoint: JudgeEndpoint,
    origin: HttpOrigin,
    path: String,
    http: HttpClient,
}

/// The form that a judge's answer must have.
#[derive(Debug, Clone)]
pub(crate) struct VerdictForm<'f> {
    /// The name of what is asked, such as a rubric's.
    pub(crate) name: &'f str,
    /// The JSON schema of the answer.
    pub(crate) schema: Value,
}

/// The outcome of a request.
pub(super) enum JudgeReply {
    /// An answer, whatever it says.
    Answer { content: String, usage: Option<Usage> },
    /// No answer now: too many requests, a fault of the server, a broken connection.
    Later { after: Option<Duration>, reason: String },
    /// No answer to this prompt, now or later: it is too long, or not what the judge takes.
    Refused(JudgeRefusal),
}

/// A refusal of the judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JudgeRefusal {
    pub(crate) status: u16,
    pub(crate) message: String,
}

/// Errors that keep the judge from being asked.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum JudgeClientError {
    /// The URL is none.
    #[error("`{url}` is not a URL of a judge (allowed: http(s)://host[:port][/prefix])")]
    Url {
        /// What was given, without what may be secret.
        url: String,
    },
    /// The judge refuses, and would refuse every prompt.
    #[error("the judge refuses with {status}: {message}")]
    Refused { status: u16, message: String },
    /// The judge gives no answers, however often it is asked.
    #[error(
        "the judge answers none of {prompts} prompts in a row, each asked {attempts} times: {reason} (run it again to go on)"
    )]
    Silent { prompts: u32, attempts: u32, reason: String },
}

impl JudgeClient {
    /// Takes a judge; no connection is made yet.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(endpoint: JudgeEndpoint) -> Result<Self, JudgeClientError> {
        let wrong =
            || JudgeClientError::Url { url: endpoint.base_url.rsplit('@').next().unwrap_or_default().to_owned() };
        let uri: Uri = endpoint.base_url.parse().map_err(|_| wrong())?;
        let origin = HttpOrigin::of(&uri).ok_or_else(wrong)?;
        let path = format!("{}/chat/completions", uri.path().trim_end_matches('/'));
        // Closed rather than kept: a kept connection may be closed by the other side just as it is used again.
        Ok(Self { origin, path, http: HttpClient::closing(), endpoint })
    }

    /// Returns what the provider calls the model.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.endpoint.model
    }

    /// Returns the request's body.
    pub(super) fn body(&self, messages: &Value, form: &VerdictForm<'_>, max_output: u64) -> String {
        let name: String = form.name.chars().filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect();
        let mut body = json!({
            "model": self.endpoint.model,
            "messages": messages,
            "max_completion_tokens": max_output,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": format!("pointsman_{name}"), "strict": true, "schema": form.schema},
            },
        });
        if !self.endpoint.own_temperature {
            body["temperature"] = json!(0);
        }
        body.to_string()
    }

    /// Asks once.
    ///
    /// # Errors
    /// When the judge refuses for good, whatever it is asked.
    pub(super) async fn ask(&self, body: &str) -> Result<JudgeReply, JudgeClientError> {
        let exchanged = tokio::time::timeout(CONNECT + ANSWER, self.exchange(body)).await;
        let answer = match exchanged {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Ok(JudgeReply::Later { after: None, reason: error.to_string() }),
            Err(_) => return Ok(JudgeReply::Later { after: None, reason: "no answer in time".into() }),
        };
        let retry_after = retry_after(answer.headers());
        let (status, answer) = (answer.status(), answer.into_body());
        match status {
            StatusCode::OK => Ok(read(&answer)),
            StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => {
                Ok(JudgeReply::Later { after: retry_after, reason: format!("status {status}") })
            }
            status if status.is_server_error() => {
                Ok(JudgeReply::Later { after: retry_after, reason: format!("status {status}") })
            }
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                Ok(JudgeReply::Refused(JudgeRefusal { status: status.as_u16(), message: message(&answer) }))
            }
            status => Err(JudgeClientError::Refused { status: status.as_u16(), message: message(&answer) }),
        }
    }

    async fn exchange(&self, body: &str) -> Result<Response<Bytes>, HttpError> {
        let destination = self.origin.destination(ServerTrust::System).await?;
        let request = self.request(body).map_err(HttpError::Request)?;
        self.http.send(&destination, request, LIMITS).await
    }

    fn request(&self, body: &str) -> Result<Request<Bytes>, http::Error> {
        let mut request = Request::post(&self.path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::ACCEPT, "application/json");
        if let Some(key) = &self.endpoint.key {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose()))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        request.body(Bytes::copy_from_slice(body.as_bytes()))
    }
}

impl std::fmt::Debug for JudgeClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JudgeClient").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Returns how long to wait after the `attempt`th attempt when the judge does not say: 1 s, doubled each time.
pub(super) fn backoff(attempt: u32) -> Duration {
    Duration::from_secs(1 << attempt.saturating_sub(1).min(6))
}

fn read(answer: &[u8]) -> JudgeReply {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let content = text_of(&answer["choices"][0]["message"]);
    let usage = Usage::of_value(&answer["usage"], AnswerFormat::OpenAi, &UsageBounds::UNKNOWN_MODEL);
    JudgeReply::Answer { content, usage }
}

/// Returns what an error says, on one line and not too long.
fn message(answer: &[u8]) -> String {
    let parsed: Value = serde_json::from_slice(answer).unwrap_or_default();
    let text =
        parsed["error"]["message"].as_str().map_or_else(|| String::from_utf8_lossy(answer).into_owned(), str::to_owned);
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(base_url: &str) -> Result<JudgeClient, JudgeClientError> {
        JudgeClient::new(JudgeEndpoint {
            base_url: base_url.into(),
            model: "m".into(),
            key: None,
            own_temperature: false,
        })
    }

    #[test]
    fn the_judge_s_path_follows_its_base_url() {
        let client = client("https://judge.example/v1/").expect("a URL");

        assert_eq!(
            (client.path.as_str(), client.origin.port(), client.origin.is_tls()),
            ("/v1/chat/completions", 443, true)
        );
    }

    #[test]
    fn what_is_no_url_is_refused_without_its_password() {
        for wrong in ["judge.example/v1", "ftp://judge.example", "https://user:planted@judge.example/v1"] {
            let error = client(wrong).expect_err(wrong).to_string();

            assert!(!error.contains("planted"), "{error}");
        }
    }

    #[test]
    fn the_request_asks_for_the_schema_strictly() {
        let form = VerdictForm { name: "my choice", schema: json!({"type": "object"}) };

        let body: Value =
            serde_json::from_str(&client("http://j/v1").expect("a URL").body(&json!([]), &form, 9)).expect("JSON");

        let format = &body["response_format"];
        assert_eq!((&format["type"], &format["json_schema"]["strict"]), (&json!("json_schema"), &json!(true)));
        assert_eq!(
            (&format["json_schema"]["schema"], &format["json_schema"]["name"]),
            (&form.schema, &json!("pointsman_mychoice"))
        );
        assert_eq!((&body["temperature"], &body["max_completion_tokens"]), (&json!(0), &json!(9)));
    }
}
