//! Routes, and the way answers are written.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use pointsman_core::config::AdminRole;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::access::{AccessCheck, AuditSubject, check, whoami};
use super::caller::RequestCaller;
use super::guard::guard;
use super::listener::{self, AdminSite};
use super::predict::{self, BatchPrediction, TextPrediction};
use super::state::{AdminError, AdminPlane, ClassifierStatus, DecideRequest};
use super::{console, direct, keys};
use crate::proxy::feedback;
use crate::proxy::question::DECIDED_PATH;
use crate::proxy::rejection::{AnswerShape, ErrorObject, Rejection, error_type};

/// The time that a client may take to send a body.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// Bodies above it, and those of unknown length, are large: few of them are held at a time.
const SMALL_BODY: usize = 64 << 10;

/// Large bodies that are held at a time; the next one waits.
static LARGE_BODIES: Semaphore = Semaphore::const_new(8);

/// Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Names the client that a decision is for, in place of `?client=`. Means nothing to the data plane, where keys say it.
const CLIENT_HEADER: &str = "x-pointsman-client";

/// Every route, as a 404 lists them.
pub(super) const ROUTES: [&str; 35] = [
    "GET /",
    "GET /metrics",
    "GET /health",
    "GET /healthz",
    "GET /readyz",
    "GET /generation",
    "GET /config",
    "GET /v1/whoami",
    "POST /v1/decide",
    "POST /v1/feedback",
    "POST /predict",
    "POST /predict/batch",
    "POST /v1/classify",
    "POST /v1/decisions",
    "GET /v2",
    "GET /v2/health/live",
    "GET /v2/health/ready",
    "GET /v2/models/{model}",
    "GET /v2/models/{model}/ready",
    "POST /v2/models/{model}/infer",
    "GET /v2/models/{model}/versions/{version}",
    "GET /v2/models/{model}/versions/{version}/ready",
    "POST /v2/models/{model}/versions/{version}/infer",
    "POST /reload",
    "POST /rollback",
    "GET /kill-switch",
    "PUT /kill-switch",
    "POST /bandits/reset",
    "GET /v1/keys",
    "POST /v1/keys",
    "POST /v1/keys/{id}/rotate",
    "DELETE /v1/keys/{id}",
    "GET /v1/budgets",
    "GET /openapi.json",
    "GET /docs",
];

pub(super) const INDEX: &str = include_str!("index.html");

/// Shows [`OPENAPI`] to people, and lets them try it.
pub(super) const DOCS: &str = include_str!("docs.html");

/// The routes, for programs. `%VERSION%` is ours.
const OPENAPI: &str = include_str!("openapi.json");

/// The largest body that names a policy: for the kill switch, and for what a bandit is to forget.
const MAX_POLICY_BYTES: usize = 4 << 10;

type AdminState = State<Arc<dyn AdminPlane>>;

/// A body, and its place among those that are held.
pub(super) struct HeldBody {
    pub(super) bytes: Bytes,
    _place: Option<SemaphorePermit<'static>>,
}

/// Serves the admin plane until `shutdown` completes and answers on their way have ended, or five seconds have passed.
pub(crate) async fn serve(
    listener: TcpListener,
    plane: Arc<dyn AdminPlane>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let site = AdminSite { router: router(Arc::clone(&plane)), plane };
    listener::serve(listener, site, shutdown).await;
}

pub(super) fn router(plane: Arc<dyn AdminPlane>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/generation", get(generation))
        .route("/config", get(config))
        .route("/v1/whoami", get(whoami))
        .route("/v1/decide", post(decide))
        .route(feedback::PATH, post(feedback))
        .route("/predict", post(predict_one))
        .route("/predict/batch", post(predict_many))
        .merge(direct::routes())
        .route("/openapi.json", get(openapi))
        .route("/docs", get(|| async { Html(DOCS) }))
        .route("/reload", post(reload))
        .route("/rollback", post(rollback))
        .route("/kill-switch", get(killed).put(kill))
        .route("/bandits/reset", post(reset_bandit))
        .merge(console::routes())
        .merge(keys::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(AccessCheck::of(&plane), check))
        .layer(from_fn_with_state(Arc::clone(&plane), guard))
        .with_state(plane)
}

async fn metrics(State(plane): AdminState) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], plane.metrics())
}

/// Answers probes; strangers learn only whether traffic should come here.
async fn readyz(State(plane): AdminState, Extension(caller): Extension<RequestCaller>) -> impl IntoResponse {
    let readiness = plane.ready();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let shown = match caller.may(AdminRole::View) {
        true => json!(readiness),
        false => json!({"ready": readiness.ready, "generation": readiness.generation}),
    };
    (status, Json(shown))
}

async fn health(State(plane): AdminState, Extension(caller): Extension<RequestCaller>) -> Json<Value> {
    let readiness = plane.ready();
    let status = if readiness.ready { "ok" } else { "draining" };
    if !caller.may(AdminRole::View) {
        return Json(json!({"status": status, "generation": readiness.generation}));
    }
    let serving = |status: ClassifierStatus| {
        let ClassifierStatus { state, bundle, version, sha256, .. } = status;
        json!({ "state": state, "bundle": bundle, "version": version, "sha256": sha256 })
    };
    let classifiers: Value =
        readiness.classifiers.into_iter().map(|(name, status)| (name.to_string(), serving(status))).collect();
    Json(json!({
        "status": status,
        "generation": plane.generation(),
        "version": env!("CARGO_PKG_VERSION"),
        "classifiers": classifiers,
    }))
}

/// Answers browsers with a page, and programs with the same as JSON.
async fn index(State(plane): AdminState, headers: HeaderMap) -> Response {
    let vary = [(header::VARY, "accept")];
    if wants_page(&headers) {
        return (vary, Html(INDEX)).into_response();
    }
    let index = json!({
        "name": "pointsman",
        "version": env!("CARGO_PKG_VERSION"),
        "generation": plane.generation(),
        "openapi": "/openapi.json",
        "docs": "/docs",
        "console": "/console/",
        "routes": &ROUTES[..],
    });
    (vary, Json(index)).into_response()
}

/// Returns whether a client names HTML, and does not rather want JSON. One that takes anything is a program.
fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let weight = |range: &str, wanted: [&str; 2]| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|kind| wanted.iter().any(|wanted| kind.eq_ignore_ascii_case(wanted)));
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.trim().parse().ok()).unwrap_or(1.0_f32);
        if named { weight } else { 0.0 }
    };
    let ranges: Vec<&str> = accepted.flat_map(|value| value.split(',')).collect();
    let best = |wanted| ranges.iter().map(|range| weight(range, wanted)).fold(0.0, f32::max);
    let page = best(["text/html", "application/xhtml+xml"]);
    page > 0.0 && page >= best(["application/json", "application/*"])
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI.replace("%VERSION%", env!("CARGO_PKG_VERSION")))
}

async fn predict_one(
    State(plane): AdminState,
    headers: HeaderMap,
    request: Request,
) -> Result<Json<TextPrediction>, AdminError> {
    let body = read(&headers, request.into_body(), plane.max_body_bytes()).await?;
    predict::one(&*plane, &body.bytes).await.map(Json)
}

async fn predict_many(
    State(plane): AdminState,
    headers: HeaderMap,
    request: Request,
) -> Result<Json<BatchPrediction>, AdminError> {
    let body = read(&headers, request.into_body(), plane.max_body_bytes()).await?;
    predict::many(&*plane, &body.bytes).await.map(Json)
}

async fn generation(State(plane): AdminState) -> Json<Value> {
    let mut shown = json!({ "generation": plane.generation() });
    if let Some(source) = plane.source() {
        shown["source"] = source;
    }
    if let Some(held) = plane.held() {
        shown["held"] = json!(held);
    }
    Json(shown)
}

async fn config(State(plane): AdminState) -> Json<Value> {
    Json(plane.config())
}

async fn decide(State(plane): AdminState, headers: HeaderMap, request: Request) -> Result<Json<Value>, AdminError> {
    let client = client(request.uri(), &headers);
    let now = query(request.uri(), "now").map(|now| now.parse()).transpose();
    let now = now.map_err(|message: String| AdminError::invalid_query("now", &message))?;
    let body = read(&headers, request.into_body(), plane.max_body_bytes()).await?;
    let asked = DecideRequest {
        path: DECIDED_PATH,
        headers: &headers,
        client: client.as_deref(),
        now,
        body: body.bytes.clone(),
    };
    plane.decide(asked).await.map(Json)
}

/// Returns the client that a decision is for: by the query, else by a header.
fn client(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    query(uri, "client").or_else(|| Some(String::from_utf8_lossy(headers.get(CLIENT_HEADER)?.as_bytes()).into_owned()))
}

/// Returns the first value of a key of the query.
pub(super) fn query(uri: &Uri, wanted: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs.find(|(key, _)| key == wanted).map(|(_, value)| value.into_owned())
}

async fn feedback(State(plane): AdminState, headers: HeaderMap, request: Request) -> Result<Json<Value>, AdminError> {
    let body = read(&headers, request.into_body(), feedback::MAX_BYTES).await?;
    plane.feedback(&body.bytes).map(Json)
}

async fn reload(State(plane): AdminState) -> Result<Json<Value>, AdminError> {
    plane.reload().await.map(Json)
}

async fn rollback(State(plane): AdminState) -> Result<Json<Value>, AdminError> {
    plane.rollback().await.map(Json)
}

async fn killed(State(plane): AdminState) -> Json<Value> {
    Json(plane.killed())
}

async fn kill(
    State(plane): AdminState,
    Extension(subject): Extension<AuditSubject>,
    request: Request,
) -> Result<Json<Value>, AdminError> {
    let body = read_request(request, MAX_POLICY_BYTES).await?;
    let killed = plane.kill(&body.bytes)?;
    let asked: Value = serde_json::from_slice(&body.bytes).unwrap_or_default();
    let policy = asked["policy"].as_str().unwrap_or("every policy");
    subject.name(format!("{policy} {}", if asked["killed"] == true { "out of service" } else { "in service" }));
    Ok(Json(killed))
}

async fn reset_bandit(
    State(plane): AdminState,
    Extension(subject): Extension<AuditSubject>,
    request: Request,
) -> Result<Json<Value>, AdminError> {
    let body = read_request(request, MAX_POLICY_BYTES).await?;
    let reset = plane.reset_bandit(&body.bytes)?;
    let asked: Value = serde_json::from_slice(&body.bytes).unwrap_or_default();
    subject.name(asked["policy"].as_str().unwrap_or_default());
    Ok(Json(reset))
}

async fn not_found(uri: Uri) -> AdminError {
    let message = format!("There is no `{}` here. Routes: {}.", uri.path(), ROUTES.join(", "));
    AdminError { status: StatusCode::NOT_FOUND, code: "not_found", param: None, message }
}

async fn method_not_allowed(method: Method, uri: Uri) -> AdminError {
    let message = format!("`{}` does not take {method}. Routes: {}.", uri.path(), ROUTES.join(", "));
    AdminError { status: StatusCode::METHOD_NOT_ALLOWED, code: "method_not_allowed", param: None, message }
}

async fn read_request(request: Request, limit: usize) -> Result<HeldBody, Rejection> {
    let (head, body) = request.into_parts();
    read(&head.headers, body, limit).await
}

/// Reads the body, at most `limit` bytes of it. One that says beforehand that it is larger is refused unread.
pub(super) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<HeldBody, Rejection> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(Rejection::BodyTooLarge { limit });
    }
    let is_large = announced.is_none_or(|length| length > SMALL_BODY) && limit > SMALL_BODY;
    let place = if is_large { Some(place().await?) } else { None };
    let read = timeout(BODY_DEADLINE, to_bytes(body, limit)).await.map_err(|_| Rejection::RequestTimeout)?;
    // The other way to fail is a client that left, and it will not see the answer.
    let bytes = read.map_err(|_| Rejection::BodyTooLarge { limit })?;
    Ok(HeldBody { bytes, _place: place })
}

/// Waits for room for a large body.
async fn place() -> Result<SemaphorePermit<'static>, Rejection> {
    let place = timeout(BODY_DEADLINE, LARGE_BODIES.acquire()).await.map_err(|_| Rejection::Overloaded)?;
    Ok(place.expect("nobody closes it"))
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        let kind = error_type(self.status);
        let error = ErrorObject {
            message: &self.message,
            kind,
            param: self.param,
            code: self.code,
            status: self.status,
            retry_after: None,
        };
        let body = error.body(AnswerShape::OpenAi);
        (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}
