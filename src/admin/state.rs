//! The rest of the process as the admin plane sees it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use ::http::{HeaderMap, StatusCode};
use async_trait::async_trait;
use bytes::Bytes;
use pointsman_core::config::{AdminRole, Name, UtcMoment};
use pointsman_telemetry::{AdminRefusal, ReloadOutcome};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::caller::AdminCaller;
use super::plane::GatewayProcess;
use crate::clients::UnknownClient;
use crate::proxy::question::direct::DirectQuestion;
use crate::proxy::rejection::Rejection;
use crate::reload::HeldGeneration;
use crate::router::{BanditState, ControlState};
use crate::snapshot::AdminTerms;

/// The process as the admin plane sees it.
#[async_trait]
pub(crate) trait AdminPlane: Send + Sync + 'static {
    /// Returns the running process, which the console asks; `None` where there is none.
    fn process(&self) -> Option<&GatewayProcess> {
        None
    }

    /// Returns every metric in Prometheus' text format.
    fn metrics(&self) -> String;

    /// Returns whether requests can be served, and how well.
    fn ready(&self) -> Readiness;

    /// Returns the configuration that serves; holds no secrets, only where they come from.
    fn config(&self) -> Value;

    /// Returns the first model that clients can ask for by an exact name and a policy decides for.
    fn virtual_model(&self) -> Option<String>;

    /// Returns the generation of configuration and weights that serves.
    fn generation(&self) -> u64;

    /// Returns where the configuration comes from; `None` where there is nothing to say of it.
    fn source(&self) -> Option<Value> {
        None
    }

    /// Returns the generation that a rollback holds back, if there is one.
    fn held(&self) -> Option<HeldGeneration> {
        None
    }

    /// Returns the terms on which the plane serves: by which names, to whom, with which certificates.
    fn terms(&self) -> Arc<AdminTerms>;

    /// Counts a request that was refused for who sent it.
    fn refused(&self, refusal: AdminRefusal);

    /// Returns the largest body that [`AdminPlane::decide`] takes, in bytes.
    fn max_body_bytes(&self) -> usize;

    /// Decides on a request without sending it anywhere. Dropping the future abandons the decision.
    ///
    /// # Errors
    /// When the body cannot be read or there is no such client. A policy's refusal is no error: it is shown.
    async fn decide(&self, asked: DecideRequest<'_>) -> Result<Value, AdminError>;

    /// Answers a question that no policy decides on. Dropping the future abandons it.
    ///
    /// # Errors
    /// When the question cannot be read, names what is not there, or has no answer.
    async fn ask(&self, asked: DirectQuestion<'_>) -> Result<Bytes, Rejection>;

    /// Takes a word on an answer into the decision log, as the data plane does.
    ///
    /// # Errors
    /// What the data plane would have answered.
    fn feedback(&self, body: &[u8]) -> Result<Value, AdminError>;

    /// Returns which policies are out of service.
    fn killed(&self) -> Value;

    /// Takes policies out of service, or back into it.
    ///
    /// # Errors
    /// When the body cannot be read or there is no such policy.
    fn kill(&self, body: &[u8]) -> Result<Value, AdminError>;

    /// Makes the bandit of a policy forget all rewards.
    ///
    /// # Errors
    /// When the body cannot be read or no policy of that name has a bandit.
    fn reset_bandit(&self, body: &[u8]) -> Result<Value, AdminError>;

    /// Reads the configuration again and swaps to it.
    ///
    /// # Errors
    /// Says what was wrong; then the old generation keeps serving.
    async fn reload(&self) -> Result<Value, AdminError>;

    /// Makes the snapshot serve that served before the last change.
    ///
    /// # Errors
    /// When nothing served before.
    async fn rollback(&self) -> Result<Value, AdminError>;
}

/// A request that is decided on and sent nowhere.
#[derive(Debug, Clone)]
pub(crate) struct DecideRequest<'r> {
    /// The data plane's path that it is decided for, such as `/v1/chat/completions`.
    pub path: &'r str,
    /// The request's header, as far as policies read it.
    pub headers: &'r HeaderMap,
    /// The client that it is decided for, by its name in the configuration; without one nothing that is a client's
    /// alone takes effect.
    pub client: Option<&'r str>,
    /// When it comes; by default now.
    pub now: Option<UtcMoment>,
    pub body: Bytes,
}

/// The readiness to serve requests, and how well.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Readiness {
    /// True when traffic should come here. A degraded classifier does not change that: `otherwise` serves.
    pub ready: bool,
    /// The generation that serves.
    pub generation: u64,
    /// Each classifier of that generation.
    pub classifiers: BTreeMap<Name, ClassifierStatus>,
    /// The store that replicas share, if they share one. Without it this process goes by its own memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreStatus>,
    /// The targets of the policies that have one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: BTreeMap<Name, ControlState>,
    /// The bandits of the policies that learn.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub bandits: BTreeMap<Name, BanditState>,
    /// The watch on files; absent where a process has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<FileWatchStatus>,
    /// The source of the configuration; absent for a file without a signature outside of a git checkout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Value>,
    /// The generation that a rollback holds back while the source still has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldGeneration>,
    /// The end of the last reload; absent before the first.
    pub last_reload: Option<LastReload>,
}

/// The state of the watch on files; requests are served whatever it is.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FileWatchStatus {
    /// Ready; degraded where a folder gives no events or a file is not there; unavailable when nobody looks.
    pub state: ServingPhase,
    /// The reason why the watch is not as good as it should be.
    pub detail: Option<String>,
    /// The number of folders that give events.
    pub watches: usize,
}

/// The state of the store; requests are served whatever it is.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StoreStatus {
    /// Ready or unavailable.
    pub state: ServingPhase,
    /// The reason why the store is unavailable.
    pub detail: Option<String>,
}

/// The state of a classifier.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ClassifierStatus {
    /// The state in one word.
    pub state: ServingPhase,
    /// The reason why the classifier is not ready, or not as good as it should be.
    pub detail: Option<String>,
    /// The device that the classifier runs on.
    pub device: Option<String>,
    /// The version of its bundle.
    pub version: Option<String>,
    /// The name of its bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
    /// The SHA-256 of its bundle's manifest, which holds every other file's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The classifier's shadow, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowStatus>,
}

/// The state of a classifier's shadow; no decision depends on it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ShadowStatus {
    /// Ready or unavailable.
    pub state: ServingPhase,
    /// The reason why the shadow is off.
    pub detail: Option<String>,
    /// The version of its bundle.
    pub version: Option<String>,
}

/// The state of a classifier, a shadow, the store or the watch on files in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ServingPhase {
    /// Does all that it is there for: a classifier scores prompts.
    Ready,
    /// Does it in a lesser way: a classifier on a lower rung of the degrade ladder.
    Degraded,
    /// Does not do it: a classifier gives no scores.
    Unavailable,
}

/// The end of a reload.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LastReload {
    /// The time of the end, in UTC.
    #[serde(serialize_with = "rfc3339")]
    pub at: SystemTime,
    pub outcome: ReloadOutcome,
    /// The reason why the reload was rejected.
    pub detail: Option<String>,
}

/// An answer of the admin plane that is an error, in OpenAI's shape.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct AdminError {
    /// The status of the answer.
    pub status: StatusCode,
    /// For programs; stable.
    pub code: &'static str,
    /// The parameter at fault.
    pub param: Option<&'static str>,
    /// The message for people.
    pub message: String,
}

impl AdminError {
    /// Returns the error of a reload that was refused.
    #[must_use]
    pub(crate) fn reload_rejected(message: String) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, code: "reload_rejected", param: None, message }
    }

    /// Returns the error of a body that is not what the route takes.
    #[must_use]
    pub(crate) fn unreadable(error: &serde_json::Error) -> Self {
        let message = format!("The request body cannot be read: {error}.");
        Self { status: StatusCode::BAD_REQUEST, code: "invalid_request", param: None, message }
    }

    /// Says what the body is to be.
    #[must_use]
    pub(crate) fn expecting(mut self, body: &str) -> Self {
        self.message = format!("{} Expected: `{body}`.", self.message);
        self
    }

    /// Returns the error of a query that says what cannot be.
    #[must_use]
    pub(crate) fn invalid_query(key: &'static str, message: &str) -> Self {
        let message = format!("The query's `{key}` is wrong: {message}.");
        Self { status: StatusCode::BAD_REQUEST, code: "invalid_request", param: Some(key), message }
    }

    /// Returns the error of a request that is for another host: a web page may have given its own name this address.
    #[must_use]
    pub(crate) fn misdirected() -> Self {
        let message = "The admin plane answers to no such `Host` (allowed: an IP address, `localhost`, and what \
                       `admin.hosts` lists)."
            .to_owned();
        Self { status: StatusCode::MISDIRECTED_REQUEST, code: "misdirected_request", param: None, message }
    }

    /// Returns the error of a request that a web page of another origin sends.
    #[must_use]
    pub(crate) fn cross_site() -> Self {
        let message = "Pages of another origin may not use the admin plane (allowed: its own pages, and programs, \
                       which send neither `Origin` nor `Sec-Fetch-Site`)."
            .to_owned();
        Self { status: StatusCode::FORBIDDEN, code: "cross_site", param: None, message }
    }

    /// Returns the error of a caller that has not said who it is.
    #[must_use]
    pub(super) fn no_credential() -> Self {
        let message = "Say who you are: send your token as `Authorization: Bearer`, or show a client certificate.";
        Self::unauthorized("authentication_required", message)
    }

    /// Returns the error of a token that is nobody's.
    #[must_use]
    pub(super) fn wrong_token() -> Self {
        Self::unauthorized("invalid_token", "Nobody has this token here: send yours as `Authorization: Bearer`.")
    }

    fn unauthorized(code: &'static str, message: &str) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, code, param: None, message: message.to_owned() }
    }

    /// Returns the error of a caller from whose address too many wrong tokens came.
    #[must_use]
    pub(super) fn too_many_failures() -> Self {
        let message = "Too many wrong tokens came from your address: try again later.".to_owned();
        Self { status: StatusCode::TOO_MANY_REQUESTS, code: "too_many_failures", param: None, message }
    }

    /// Returns the error of a caller whose role does not reach.
    #[must_use]
    pub(super) fn role_too_low(caller: &AdminCaller, needed: AdminRole) -> Self {
        let message = format!("This needs the role `{needed}`; `{}` has `{}`.", caller.name.as_str(), caller.role);
        Self { status: StatusCode::FORBIDDEN, code: "role_too_low", param: None, message }
    }

    /// Returns the error of a body that is not labelled as JSON.
    #[must_use]
    pub(crate) fn no_json() -> Self {
        let message =
            "The body must be JSON, and say so by `Content-Type: application/json` (`curl --json`).".to_owned();
        Self { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, code: "unsupported_media_type", param: None, message }
    }

    /// Returns the error of a client that is not there.
    #[must_use]
    pub(crate) fn no_client(error: &UnknownClient) -> Self {
        let (status, message) = (StatusCode::NOT_FOUND, error.to_string());
        Self { status, code: "client_not_found", param: Some("client"), message }
    }

    /// Returns the error of a policy that is not there.
    #[must_use]
    pub(crate) fn no_policy(policy: &Name, known: &str) -> Self {
        let message = format!("There is no policy `{policy}` (allowed: {known}).");
        Self { status: StatusCode::NOT_FOUND, code: "policy_not_found", param: Some("policy"), message }
    }

    /// Returns the error of a rollback to before the first generation.
    #[must_use]
    pub(crate) fn nothing_to_roll_back() -> Self {
        let message = "Nothing served before this generation.".to_owned();
        Self { status: StatusCode::CONFLICT, code: "nothing_to_roll_back", param: None, message }
    }
}

impl From<Rejection> for AdminError {
    fn from(rejection: Rejection) -> Self {
        Self {
            status: rejection.status(),
            code: rejection.code().as_str(),
            param: rejection.param(),
            message: rejection.to_string(),
        }
    }
}

fn rfc3339<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_seconds(*at))
}
