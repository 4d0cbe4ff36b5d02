//! `POST /predict` and `POST /predict/batch`: a text in, its route out. The text is judged as the one user turn of a
//! chat. Who decides is a [`TextRouter`]: the admin plane, or the proxy for a client.

use std::time::Instant;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::json_list::BoundedList;
use crate::proxy::answer::rejection::Rejection;

/// Texts that one batch may have.
const MAX_TEXTS: usize = 1000;

/// Texts of a batch that wait for the classifier at a time: as many as fill its batches.
const CONCURRENCY: usize = 32;

/// A decider on the chats that texts are judged as.
pub(crate) trait TextRouter: Sync {
    /// The error of a decision.
    type Error: From<Rejection> + Send;

    /// Hears of so many texts before any is decided on.
    fn accept(&self, texts: usize);

    /// Returns the decision on a chat, which is sent nowhere.
    ///
    /// # Errors
    /// When the chat cannot be decided on.
    fn decide(&self, body: Bytes) -> impl Future<Output = Result<Value, Self::Error>> + Send;

    /// Returns the first model that can be asked for by an exact name and a policy decides for.
    fn virtual_model(&self) -> Option<String>;
}

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
    texts: BoundedList<String, MAX_TEXTS>,
    #[serde(default)]
    model: Option<String>,
}

/// The route of a text.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TextPrediction {
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
pub(crate) struct BatchPrediction {
    predictions: Vec<TextPrediction>,
    /// The same again, under the key that came first: clients may read it.
    results: Vec<TextPrediction>,
    total_processing_time_ms: f64,
    average_processing_time_ms: f64,
}

/// Answers `POST /predict`.
pub(crate) async fn one<R: TextRouter>(router: &R, body: &Bytes) -> Result<TextPrediction, R::Error> {
    let PredictRequest { text, model } = read(body)?;
    let model = asked(router, model)?;
    router.accept(1);
    predict(router, &model, text).await
}

/// Answers `POST /predict/batch`.
pub(crate) async fn many<R: TextRouter>(router: &R, body: &Bytes) -> Result<BatchPrediction, R::Error> {
    let started = Instant::now();
    let BatchPredictRequest { texts, model } = read(body)?;
    if texts.count == 0 || !texts.is_whole() {
        let message = format!("`texts` has {} texts (allowed: 1 to {MAX_TEXTS}).", texts.count);
        return Err(invalid(Some("texts"), message).into());
    }
    let texts = texts.items;
    let count = u32::try_from(texts.len()).unwrap_or(u32::MAX);
    let model = asked(router, model)?;
    router.accept(texts.len());
    let predictions = stream::iter(texts).map(|text| predict(router, &model, text)).buffered(CONCURRENCY);
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

async fn predict<R: TextRouter>(router: &R, model: &str, text: String) -> Result<TextPrediction, R::Error> {
    let started = Instant::now();
    let body = json!({"model": model, "messages": [{"role": "user", "content": &text}]});
    let mut decision = router.decide(body.to_string().into()).await?;
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

fn asked<R: TextRouter>(router: &R, model: Option<String>) -> Result<String, Rejection> {
    let missing =
        || invalid(Some("model"), "No policy matches a model by name: say which `model` is asked for.".to_owned());
    model.or_else(|| router.virtual_model()).ok_or_else(missing)
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Rejection> {
    serde_json::from_slice(body).map_err(|error| invalid(None, format!("The request body cannot be read: {error}.")))
}

const fn invalid(param: Option<&'static str>, message: String) -> Rejection {
    Rejection::InvalidQuestion { param, message }
}

fn milliseconds(started: Instant) -> f64 {
    rounded(started.elapsed().as_secs_f64() * 1e3)
}

/// Rounds to microseconds.
fn rounded(milliseconds: f64) -> f64 {
    (milliseconds * 1e3).round() / 1e3
}
