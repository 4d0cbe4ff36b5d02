//! The console: pages for operators, and the questions that they ask this process.
//!
//! The pages are files of this folder, built into the binary; they load nothing from elsewhere. `/api/*` answers them
//! alone and may change with them: programs use the other routes. Whatever counts as live comes from the metrics, and is
//! read when somebody looks.

mod assets;
mod classifiers;
mod decisions;
mod editor;
mod generations;
mod overview;
mod playground;
mod policies;
mod reader_text;
mod upstreams;
mod versions;

use std::sync::{Arc, Mutex};
use std::thread;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;
use tokio::sync::{Semaphore, oneshot};

use self::policies::KnownWarnings;
use super::plane::GatewayProcess;
use super::state::{AdminError, AdminPlane};
use crate::proxy::rejection::Rejection;

/// Every route, for the tests that hold all of them against the guard.
#[cfg(test)]
pub(super) const ROUTES: [&str; 16] = [
    "GET /console",
    "GET /console/",
    "GET /console/main.js",
    "GET /api/overview",
    "GET /api/decisions",
    "GET /api/decisions/1",
    "GET /api/policies",
    "GET /api/classifiers",
    "GET /api/upstreams",
    "GET /api/generations",
    "GET /api/generations/1",
    "GET /api/configuration",
    "PUT /api/configuration",
    "POST /api/configuration/check",
    "GET /api/configuration/versions/x",
    "POST /api/playground",
];

/// The state of the console between two questions.
pub(crate) struct ConsoleState {
    /// The warnings of the configuration that serves, which take a while to find.
    warnings: Mutex<Option<KnownWarnings>>,
    /// One examination at a time: each loads weights of its own.
    examinations: Semaphore,
    /// One change of the file at a time.
    changes: tokio::sync::Mutex<()>,
}

pub(super) type AdminState = State<Arc<dyn AdminPlane>>;

/// The answer to a page's question.
type PageAnswer = Result<Json<Value>, AdminError>;

impl Default for ConsoleState {
    fn default() -> Self {
        Self { warnings: Mutex::default(), examinations: Semaphore::new(1), changes: tokio::sync::Mutex::default() }
    }
}

/// Returns the routes of the console.
pub(super) fn routes() -> Router<Arc<dyn AdminPlane>> {
    Router::new()
        .route("/console", get(assets::entrance))
        .route("/console/", get(assets::page))
        .route("/console/{file}", get(assets::file))
        .route("/api/overview", get(overview::answer))
        .route("/api/decisions", get(decisions::latest))
        .route("/api/decisions/{number}", get(decisions::one))
        .route("/api/policies", get(policies::answer))
        .route("/api/classifiers", get(classifiers::answer))
        .route("/api/upstreams", get(upstreams::answer))
        .route("/api/generations", get(generations::list))
        .route("/api/generations/{number}", get(generations::one))
        .route("/api/configuration", get(editor::show).put(editor::save))
        .route("/api/configuration/check", post(editor::check))
        .route("/api/configuration/versions/{id}", get(editor::version))
        .route("/api/playground", post(playground::send))
}

/// Returns the running process behind the plane.
fn process(plane: &Arc<dyn AdminPlane>) -> Result<&GatewayProcess, AdminError> {
    plane.process().ok_or_else(|| not_found("There is no running process to ask.".to_owned()))
}

fn not_found(message: String) -> AdminError {
    AdminError { status: StatusCode::NOT_FOUND, code: "not_found", param: None, message }
}

/// Returns why there is nothing under a number: it never was, or it was and is no longer kept.
fn gone(what: &str, number: u64, last: u64) -> String {
    if number == 0 || number > last {
        return format!("{what} {number} never was: the last is {last}.");
    }
    format!("{what} {number} is no longer kept.")
}

/// Runs what takes a while on a thread of its own, so that probes are answered meanwhile.
pub(super) async fn on_thread<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Result<T, AdminError> {
    let (sender, result) = oneshot::channel();
    let work = move || drop(sender.send(run())); // whoever left does not want to know
    thread::Builder::new().name("console".into()).spawn(work).map_err(|_| AdminError::from(Rejection::Internal))?;
    result.await.map_err(|_| AdminError::from(Rejection::Internal))
}
