//! Hugging Face's text-embeddings-inference: `POST /predict` of a model that classifies sequences.
//!
//! A text alone is `{"inputs": "text"}` and answered by `[{"score", "label"}, ...]`; several are `{"inputs": [["text"],
//! ...]}`, as `["a", "b"]` would be one pair, and answered by a list of such lists (`router/src/http/types.rs`). The pairs
//! come with the highest score first.

use serde::Deserialize;
use serde_json::json;

use super::{RemoteAnswer, RemoteOutput, UnreadableAnswer, json as reading};

#[derive(Deserialize)]
struct Prediction {
    score: f64,
    label: String,
}

pub(super) fn body(texts: &[&str]) -> String {
    let inputs = match texts {
        [only] => json!(only),
        several => several.iter().map(|text| json!([text])).collect(),
    };
    json!({"inputs": inputs, "truncate": true, "raw_scores": false}).to_string()
}

pub(super) fn read(body: &[u8], count: usize) -> Result<Vec<RemoteAnswer>, UnreadableAnswer> {
    let predictions: Vec<Vec<Prediction>> = if count == 1 { vec![reading::read(body)?] } else { reading::read(body)? };
    let answer = |mut predictions: Vec<Prediction>| {
        // By name, as the order of the scores says nothing.
        predictions.sort_by(|one, other| one.label.cmp(&other.label));
        let pairs = predictions.into_iter().map(|prediction| (prediction.label, prediction.score)).collect();
        RemoteAnswer { outputs: vec![(String::new(), RemoteOutput::Named(pairs))], ..RemoteAnswer::default() }
    };
    Ok(predictions.into_iter().map(answer).collect())
}
