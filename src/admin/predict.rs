//! `POST /predict` and `POST /predict/batch`: a text in, its route out. The text is judged as the one user turn of a
//! chat.

use std::time::Instant;

use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::state::{AdminError, AdminPlane, DECIDED_PATH, DecideRequest};

/// Texts that one batch may have.
const MAX_TEXTS: usize = 1000;

/// Texts of a batch that wait for the classifier at a time: as many as fill its batches.
const CONCURRENCY: usize = 32;

/// The body of `POST /predict`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PredictRequest {
    text: String,
    /// The virtual model that is asked for; by default the first of the configuration.
    #[serde(default)]
    model: Option<String>,
}

/// The body of `POST /predict/batch`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchPredictRequest {
    texts: Vec<String>,
    #[serde(default)]
    model: Option<String>,
}

/// The route of a text.
#[derive(Debug, Clone, Serialize)]
pub(super) struct TextPrediction {
    text: String,
    /// The value that the strategy went by: a probability, or of `similarity` a cosine; null when none was needed or to
    /// be had.
    score: Value,
    /// The model of the catalog that would answer; null when the policy is off.
    route_label: Value,
    /// The label that the classifier gave.
    label: Value,
    policy: Value,
    reason: Value,
    processing_time_ms: f64,
}

/// The routes of many texts, in their order.
#[derive(Debug, Serialize)]
pub(super) struct BatchPrediction {
    predictions: Vec<TextPrediction>,
    /// The same again, under the key that came first: clients may read it.
    results: Vec<TextPrediction>,
    total_processing_time_ms: f64,
    average_processing_time_ms: f64,
}

/// Answers `POST /predict`.
pub(super) async fn one(plane: &dyn AdminPlane, body: &Bytes) -> Result<TextPrediction, AdminError> {
    let PredictRequest { text, model } = read(body)?;
    predict(plane, &asked(plane, model)?, text).await
}

/// Answers `POST /predict/batch`.
pub(super) async fn many(plane: &dyn AdminPlane, body: &Bytes) -> Result<BatchPrediction, AdminError> {
    let started = Instant::now();
    let BatchPredictRequest { texts, model } = read(body)?;
    if texts.is_empty() || texts.len() > MAX_TEXTS {
        let message = format!("`texts` has {} texts (allowed: 1 to {MAX_TEXTS}).", texts.len());
        return Err(invalid(Some("texts"), message));
    }
    let count = u32::try_from(texts.len()).unwrap_or(u32::MAX);
    let model = asked(plane, model)?;
    let predictions = stream::iter(texts).map(|text| predict(plane, &model, text)).buffered(CONCURRENCY);
    let predictions: Vec<_> = predictions.try_collect().await?;
    let total = milliseconds(started);
    let average = rounded(total / f64::from(count));
    Ok(BatchPrediction {
        results: predictions.clone(),
        predictions,
        total_processing_time_ms: total,
        average_processing_time_ms: average,
    })
}

async fn predict(plane: &dyn AdminPlane, model: &str, text: String) -> Result<TextPrediction, AdminError> {
    let started = Instant::now();
    let body = json!({"model": model, "messages": [{"role": "user", "content": &text}]});
    let (headers, body) = (HeaderMap::new(), body.to_string().into());
    let asked = DecideRequest { path: DECIDED_PATH, headers: &headers, client: None, now: None, body };
    let mut decision = plane.decide(asked).await?;
    Ok(TextPrediction {
        score: decision["score"].take(),
        route_label: decision["model"].take(),
        label: decision["label"].take(),
        policy: decision["policy"].take(),
        reason: decision["reason"].take(),
        processing_time_ms: milliseconds(started),
        text,
    })
}

fn asked(plane: &dyn AdminPlane, model: Option<String>) -> Result<String, AdminError> {
    let missing =
        || invalid(Some("model"), "No policy matches a model by name: say which `model` is asked for.".to_owned());
    model.or_else(|| plane.virtual_model()).ok_or_else(missing)
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, AdminError> {
    serde_json::from_slice(body).map_err(|error| invalid(None, format!("The request body cannot be read: {error}.")))
}

fn invalid(param: Option<&'static str>, message: String) -> AdminError {
    AdminError { status: StatusCode::BAD_REQUEST, code: "invalid_request", param, message }
}

fn milliseconds(started: Instant) -> f64 {
    rounded(started.elapsed().as_secs_f64() * 1e3)
}

/// Rounds to microseconds.
fn rounded(milliseconds: f64) -> f64 {
    (milliseconds * 1e3).round() / 1e3
}
