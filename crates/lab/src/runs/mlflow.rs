//! Records for an MLflow tracking server, over its REST API: an experiment, a run with parameters, metrics, tags and
//! inputs.
//!
//! A record holds neither prompts nor answers. Files of the run go only where the caller sends them, and only through the
//! server itself. A server that fails ends nothing: the caller warns.

mod artifacts;

use std::io;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use pointsman_http_client::{ExchangeLimits, HttpClient, HttpError, HttpOrigin, ServerTrust};
use serde_json::{Value, json};

use super::RunRecord;

const USER_AGENT: &str = concat!("pointsman/", env!("CARGO_PKG_VERSION"), " (runs)");
const API: &str = "/api/2.0/mlflow";
const LIMITS: ExchangeLimits =
    ExchangeLimits { connect: Duration::from_secs(5), read: Duration::from_secs(30), max_bytes: 1 << 20 };
/// Metrics, and parameters, that one request may have.
const METRICS: usize = 1000;
const PARAMETERS: usize = 100;
/// The longest value of a parameter, in characters; older servers refuse longer ones.
const MAX_VALUE: usize = 500;
/// The longest name.
const MAX_NAME: usize = 250;

/// A tracking server and the experiment for runs.
pub struct MlflowServer {
    origin: HttpOrigin,
    /// The host, and the port where the URL has one.
    authority: String,
    /// The path before that of the API.
    base: String,
    experiment: String,
    authorization: Option<HeaderValue>,
    http: HttpClient,
}

/// A run that the server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRun {
    /// The server's id of it.
    pub id: String,
    /// The place of its artifacts.
    pub artifact_uri: Option<String>,
}

/// Errors that keep a record, or a file, from the server.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum MlflowError {
    /// The URL is none of a tracking server.
    #[error("`{url}` is not the URL of a tracking server (allowed: http(s)://host[:port][/prefix])")]
    Url {
        /// The URL, without what may be secret.
        url: String,
    },
    /// The server gives no answer.
    #[error("the tracking server gives no answer")]
    Http(#[from] HttpError),
    /// The server refuses.
    #[error("the tracking server answers {call} with {status}: {message}")]
    Refused { call: &'static str, status: u16, message: String },
    /// The server's answer lacks something.
    #[error("the tracking server's answer to {call} has no `{lacks}`")]
    Answer { call: &'static str, lacks: &'static str },
    /// The run's artifacts are kept where the server is not asked.
    #[error("the server keeps the files of this run at `{uri}`, not itself (allowed: a server that serves artifacts)")]
    Store {
        /// The place, without what may be secret.
        uri: String,
    },
    /// A file of the run cannot be read.
    #[error("cannot read `{name}`")]
    File { name: String, source: io::Error },
}

/// The answer of a server.
struct MlflowAnswer {
    status: StatusCode,
    body: Value,
}

impl MlflowServer {
    /// Names a server and the experiment in which runs are recorded; nothing is sent yet.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(url: &str, experiment: &str, authorization: Option<HeaderValue>) -> Result<Self, MlflowError> {
        let wrong = || MlflowError::Url { url: url.rsplit('@').next().unwrap_or_default().to_owned() };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let origin = HttpOrigin::of(&uri).ok_or_else(wrong)?;
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        let (base, experiment) = (uri.path().trim_end_matches('/').to_owned(), experiment.to_owned());
        Ok(Self { origin, authority, base, experiment, authorization, http: HttpClient::closing() })
    }

    /// Records a run that has ended and returns what the server says of it.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn record(&self, run: &RunRecord) -> Result<RecordedRun, MlflowError> {
        let experiment = self.experiment_id().await?;
        let tags = pairs(tags(run));
        let body = json!({
            "experiment_id": experiment, "run_name": run.id, "start_time": millis(&run.started), "tags": tags,
        });
        let created = self.post("runs/create", &body).await?;
        let lacks = MlflowError::Answer { call: "runs/create", lacks: "run.info.run_id" };
        let info = &created["run"]["info"];
        let id = info["run_id"].as_str().ok_or(lacks)?.to_owned();
        let artifact_uri = info["artifact_uri"].as_str().map(str::to_owned);
        self.log(&id, run).await?;
        let status = if run.error.is_some() { "FAILED" } else { "FINISHED" };
        let end = run.ended.as_deref().map(millis);
        self.post("runs/update", &json!({"run_id": id, "status": status, "end_time": end})).await?;
        Ok(RecordedRun { id, artifact_uri })
    }

    async fn log(&self, id: &str, run: &RunRecord) -> Result<(), MlflowError> {
        let at = millis(run.ended.as_deref().unwrap_or(&run.started));
        let metric =
            |(name, value): (&String, &f64)| json!({"key": sound(name), "value": value, "timestamp": at, "step": 0});
        let metrics: Vec<Value> = run.figures.iter().map(metric).collect();
        let parameters = pairs(parameters(run));
        for part in metrics.chunks(METRICS) {
            self.post("runs/log-batch", &json!({"run_id": id, "metrics": part})).await?;
        }
        for part in parameters.chunks(PARAMETERS) {
            self.post("runs/log-batch", &json!({"run_id": id, "params": part})).await?;
        }
        if !run.data.is_empty() {
            let inputs: Vec<Value> = run
                .data
                .iter()
                .map(|file| {
                    let name = file.path.rsplit('/').next().unwrap_or_default();
                    let digest: String = file.sha256.chars().take(36).collect(); // the longest that a server takes
                    json!({
                        "tags": [{"key": "mlflow.data.context", "value": run.command}],
                        "dataset": {
                            "name": name, "digest": digest, "source_type": "local",
                            "source": json!({"uri": file.path}).to_string(),
                            "profile": json!({"num_rows": file.rows}).to_string(),
                        },
                    })
                })
                .collect();
            self.post("runs/log-inputs", &json!({"run_id": id, "datasets": inputs})).await?;
        }
        Ok(())
    }

    /// Returns the id of the experiment, which is made where there is none.
    async fn experiment_id(&self) -> Result<String, MlflowError> {
        if let Some(known) = self.known_experiment().await? {
            return Ok(known);
        }
        let call = "experiments/create";
        let answer = self.send(Method::POST, call, json!({"name": self.experiment}).to_string()).await?;
        if answer.body["error_code"] == "RESOURCE_ALREADY_EXISTS" {
            // Somebody else made it just now, or it was deleted there.
            return self.known_experiment().await?.ok_or_else(|| answer.refusal(call));
        }
        let id = answer.accepted(call)?["experiment_id"].as_str().map(str::to_owned);
        id.ok_or(MlflowError::Answer { call, lacks: "experiment_id" })
    }

    async fn known_experiment(&self) -> Result<Option<String>, MlflowError> {
        let call = "experiments/get-by-name";
        let name: String = form_urlencoded::byte_serialize(self.experiment.as_bytes()).collect();
        let answer = self.send(Method::GET, &format!("{call}?experiment_name={name}"), String::new()).await?;
        if answer.status == StatusCode::NOT_FOUND && answer.body["error_code"] == "RESOURCE_DOES_NOT_EXIST" {
            return Ok(None);
        }
        let id = answer.accepted(call)?["experiment"]["experiment_id"].as_str().map(str::to_owned);
        id.map(Some).ok_or(MlflowError::Answer { call, lacks: "experiment.experiment_id" })
    }

    async fn post(&self, call: &'static str, body: &Value) -> Result<Value, MlflowError> {
        self.send(Method::POST, call, body.to_string()).await?.accepted(call)
    }

    async fn send(&self, method: Method, call: &str, body: String) -> Result<MlflowAnswer, MlflowError> {
        let path = format!("{}{API}/{call}", self.base);
        self.exchange(method, &path, "application/json", body.into()).await
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        media_type: &str,
        body: Bytes,
    ) -> Result<MlflowAnswer, MlflowError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, media_type)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, USER_AGENT);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(body).map_err(HttpError::Request)?;
        let destination = self.origin.destination(ServerTrust::System).await?;
        let answer = self.http.send(&destination, request, LIMITS).await?;
        let status = answer.status();
        let body = serde_json::from_slice(answer.body())
            .unwrap_or_else(|_| json!({"message": String::from_utf8_lossy(answer.body())}));
        Ok(MlflowAnswer { status, body })
    }
}

impl MlflowAnswer {
    fn accepted(self, call: &'static str) -> Result<Value, MlflowError> {
        if self.status.is_success() { Ok(self.body) } else { Err(self.refusal(call)) }
    }

    fn refusal(&self, call: &'static str) -> MlflowError {
        let message = self.body["message"].as_str().unwrap_or_default();
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect();
        MlflowError::Refused { call, status: self.status.as_u16(), message }
    }
}

impl std::fmt::Debug for MlflowServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MlflowServer").field("origin", &self.origin).field("base", &self.base).finish_non_exhaustive()
    }
}

fn tags(run: &RunRecord) -> Vec<(String, String)> {
    let mut tags = vec![
        ("mlflow.source.name".to_owned(), "pointsman".to_owned()),
        ("mlflow.source.type".to_owned(), "JOB".to_owned()),
        ("pointsman.command".to_owned(), run.command.clone()),
        ("pointsman.run".to_owned(), run.id.clone()),
    ];
    tags.extend(run.error.iter().map(|error| ("pointsman.error".to_owned(), error.clone())));
    tags
}

fn parameters(run: &RunRecord) -> Vec<(String, String)> {
    let mut parameters =
        vec![("command".to_owned(), run.command.clone()), ("arguments".to_owned(), run.arguments.join(" "))];
    parameters.extend(run.seed.map(|seed| ("seed".to_owned(), seed.to_string())));
    parameters.extend(run.versions.iter().map(|(name, version)| (format!("version.{name}"), version.clone())));
    if let Some(config) = &run.config {
        parameters.push(("config.path".to_owned(), config.path.clone()));
        parameters.push(("config.sha256".to_owned(), config.sha256.clone()));
    }
    for (place, bundle) in run.bundles.iter().enumerate() {
        parameters.push((format!("bundle.{place}"), format!("{} {}", bundle.name, bundle.version)));
        parameters.push((format!("bundle.{place}.sha256"), bundle.sha256.clone()));
    }
    for (place, file) in run.data.iter().enumerate() {
        parameters.push((format!("data.{place}"), file.path.clone()));
        parameters.push((format!("data.{place}.sha256"), file.sha256.clone()));
        parameters.extend(file.rows.map(|rows| (format!("data.{place}.rows"), rows.to_string())));
    }
    parameters
}

/// Returns keys and values as the API takes them.
fn pairs(pairs: Vec<(String, String)>) -> Vec<Value> {
    let pair = |(key, value): (String, String)| json!({"key": sound(&key), "value": value.chars().take(MAX_VALUE).collect::<String>()});
    pairs.into_iter().map(pair).collect()
}

/// Returns a name in the characters that the server takes.
fn sound(name: &str) -> String {
    let sound = |c: char| if c.is_ascii_alphanumeric() || "_-./ ".contains(c) { c } else { '_' };
    name.chars().map(sound).take(MAX_NAME).collect()
}

/// Returns a time of a record in milliseconds since the epoch.
fn millis(time: &str) -> u64 {
    let time = humantime::parse_rfc3339(time).unwrap_or(UNIX_EPOCH);
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
