//! `/v1/keys`: client keys made, listed, rotated and revoked; and `/v1/budgets`: what clients, teams,
//! keys and sessions have used.
//!
//! A key is shown once, to whoever makes or rotates it. Every change is an audit line, with the key's name and never
//! the key.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get, post};
use axum::{Extension, Json, Router};
use pointsman_core::config::{BudgetConfig, UtcMoment};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::access::AuditSubject;
use super::console::on_thread;
use super::http::read;
use super::plane::GatewayProcess;
use super::state::{AdminError, AdminPlane};
use crate::budgets::BudgetUse;
use crate::clients::{ClientKeyRegistry, IssuedKey, KeyRegistryError, NewKey, PlainKey};
use crate::store::SharedStore;

/// The largest body.
const MAX_BYTES: usize = 4 << 10;

/// The time in which a key that was rotated is good beside the new one, where nobody says.
const USUAL_GRACE: Duration = Duration::from_hours(24);

/// The longest such time.
const MAX_GRACE: Duration = Duration::from_hours(24 * 90);

type AdminState = State<Arc<dyn AdminPlane>>;

type KeyAnswer = Result<Json<Value>, AdminError>;

/// A registry, and the store that it may be in.
struct OpenRegistry {
    registry: Arc<ClientKeyRegistry>,
    store: Option<SharedStore>,
}

/// The body of a rotation.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct KeyRotation {
    /// Seconds in which the former key stays good.
    grace_seconds: Option<u64>,
}

/// Returns the routes of keys and budgets.
pub(super) fn routes() -> Router<Arc<dyn AdminPlane>> {
    Router::new()
        .route("/v1/keys", get(list).post(create))
        .route("/v1/keys/{id}/rotate", post(rotate))
        .route("/v1/keys/{id}", delete(revoke))
        .route("/v1/budgets", get(budgets))
}

async fn list(State(plane): AdminState) -> KeyAnswer {
    let OpenRegistry { registry, .. } = registry(&plane)?;
    let (keys, now) = (registry.keys(), seconds());
    Ok(Json(json!({ "keys": keys.iter().map(|key| shown(key, now)).collect::<Vec<_>>() })))
}

async fn create(
    State(plane): AdminState,
    Extension(subject): Extension<AuditSubject>,
    headers: HeaderMap,
    request: Request,
) -> KeyAnswer {
    let OpenRegistry { registry, store } = registry(&plane)?;
    let body = read(&headers, request.into_body(), MAX_BYTES).await?;
    let order: NewKey = serde_json::from_slice(&body.bytes).map_err(|error| AdminError::unreadable(&error))?;
    let snapshot = process(&plane)?.reloader.router().snapshot();
    snapshot.clients.find(&order.client).map_err(|error| AdminError::no_client(&error))?;
    let (key, plain) = blocking(async move { registry.create(order, store.as_ref()).await }).await?;
    subject.name(format!("{} of {}", key.id, key.client));
    Ok(Json(with_plain(&key, &plain)))
}

async fn rotate(
    State(plane): AdminState,
    Extension(subject): Extension<AuditSubject>,
    Path(id): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> KeyAnswer {
    let OpenRegistry { registry, store } = registry(&plane)?;
    let body = read(&headers, request.into_body(), MAX_BYTES).await?;
    let rotation = if body.bytes.is_empty() { Ok(KeyRotation::default()) } else { serde_json::from_slice(&body.bytes) };
    let KeyRotation { grace_seconds } = rotation.map_err(|error| AdminError::unreadable(&error))?;
    let grace = grace_seconds.map_or(USUAL_GRACE, Duration::from_secs);
    if grace > MAX_GRACE {
        let message = format!("A grace of {} s is too long (allowed: 0 to {}).", grace.as_secs(), MAX_GRACE.as_secs());
        let (status, param) = (StatusCode::BAD_REQUEST, Some("grace_seconds"));
        return Err(AdminError { status, code: "invalid_request", param, message });
    }
    let (key, plain) = blocking(async move { registry.rotate(&id, grace, store.as_ref()).await }).await?;
    subject.name(format!("{} of {}, the former key is good for {} s", key.id, key.client, grace.as_secs()));
    Ok(Json(with_plain(&key, &plain)))
}

async fn revoke(
    State(plane): AdminState,
    Extension(subject): Extension<AuditSubject>,
    Path(id): Path<String>,
) -> KeyAnswer {
    let OpenRegistry { registry, store } = registry(&plane)?;
    let key = blocking(async move { registry.revoke(&id, store.as_ref()).await }).await?;
    subject.name(format!("{} of {}", key.id, key.client));
    Ok(Json(shown(&key, seconds())))
}

async fn budgets(State(plane): AdminState) -> KeyAnswer {
    let router = process(&plane)?.reloader.router();
    let uses = router.budgets().uses(&router.snapshot().clients, seconds());
    let shown = |own: &BudgetUse| {
        let BudgetConfig { name, per, period, dollars, tokens, requests, soft, beyond, .. } = &own.budget;
        json!({
            "budget": name,
            "per": per,
            "period": period,
            "holder": own.holder.name,
            "client": own.holder.client,
            "used_ratio": own.used_ratio,
            "used": {"dollars": own.used.dollars(), "tokens": own.used.tokens(), "requests": own.used.requests()},
            "bounds": {"dollars": dollars, "tokens": tokens, "requests": requests},
            "soft": soft,
            "beyond": beyond,
            "resets_at": UtcMoment(own.resets_at),
        })
    };
    Ok(Json(json!({ "budgets": uses.iter().map(shown).collect::<Vec<_>>() })))
}

/// Returns a key as lists show it: nothing of its hash.
fn shown(key: &IssuedKey, now: u64) -> Value {
    json!({
        "id": key.id,
        "client": key.client,
        "standing": key.standing(now),
        "created": key.created,
        "expires": key.expires,
        "rotated": key.rotated,
        "former_until": key.former_until(now),
        "former_keys": key.former(now).len(),
        "revoked": key.revoked,
        "note": key.note,
    })
}

fn with_plain(key: &IssuedKey, plain: &PlainKey) -> Value {
    let mut shown = shown(key, seconds());
    shown["key"] = plain.expose().into();
    shown
}

/// Runs a change of the registry on a thread of its own: a file may make it wait.
async fn blocking<T: Send + 'static>(
    change: impl Future<Output = Result<T, KeyRegistryError>> + Send + 'static,
) -> Result<T, AdminError> {
    let handle = Handle::current();
    on_thread(move || handle.block_on(change)).await?.map_err(|error| refused(&error))
}

fn process(plane: &Arc<dyn AdminPlane>) -> Result<&GatewayProcess, AdminError> {
    plane.process().ok_or_else(|| not_found("There is no running process to ask.".to_owned()))
}

fn registry(plane: &Arc<dyn AdminPlane>) -> Result<OpenRegistry, AdminError> {
    let snapshot = process(plane)?.reloader.router().snapshot();
    let none = || not_found("No registry of client keys is configured (allowed: with `client_keys`).".to_owned());
    let registry = snapshot.clients.registry().cloned().ok_or_else(none)?;
    Ok(OpenRegistry { registry, store: snapshot.store.clone() })
}

fn not_found(message: String) -> AdminError {
    AdminError { status: StatusCode::NOT_FOUND, code: "not_found", param: None, message }
}

fn refused(error: &KeyRegistryError) -> AdminError {
    let (status, code) = match error {
        KeyRegistryError::UnknownKey { .. } => (StatusCode::NOT_FOUND, "key_not_found"),
        KeyRegistryError::BadOrder { .. } => (StatusCode::BAD_REQUEST, "invalid_request"),
        KeyRegistryError::NotActive { .. } => (StatusCode::CONFLICT, "key_not_active"),
        KeyRegistryError::TooManyFormer { .. } => (StatusCode::CONFLICT, "too_many_former_keys"),
        KeyRegistryError::Full => (StatusCode::INSUFFICIENT_STORAGE, "registry_full"),
        KeyRegistryError::Store(_)
        | KeyRegistryError::Busy
        | KeyRegistryError::Unreadable { .. }
        | KeyRegistryError::Unwritable { .. }
        | KeyRegistryError::BadRecord { .. }
        | KeyRegistryError::NoRandomness => (StatusCode::SERVICE_UNAVAILABLE, "registry_unavailable"),
    };
    let mut message = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        message = format!("{message}: {source}");
    }
    AdminError { status, code, param: None, message: sentence(&message) }
}

/// Returns an error's text as a sentence, as answers have them.
fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(rest).chain(['.']).collect()
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
