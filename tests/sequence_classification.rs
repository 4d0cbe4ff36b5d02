//! Whole-graph classifiers, through the worker that serves them, beside PyTorch: 200 prompts an architecture.
//!
//! `tests/fixtures/sequence_bundles.py` wrote bundles and scores with random weights.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pointsman_classifier::{Classifier, ClassifierHost, OnnxRuntime};
use pointsman_core::config;
use pointsman_core::config::Name;
use pointsman_core::features::Features;
use pointsman_telemetry::Metrics;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

fn fixtures() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
}

fn read<T: DeserializeOwned>(file: &str) -> T {
    serde_json::from_slice(&fs::read(fixtures().join(file)).expect("a fixture")).expect("JSON")
}

fn start(bundle: &str) -> Classifier {
    let host = ClassifierHost {
        base_dir: fixtures(),
        runtime: OnnxRuntime::load().unwrap_or_else(|error| panic!("{error}")),
        metrics: Arc::new(Metrics::new()),
    };
    let config = config::ClassifierConfig { queue: 256, workers: 2, ..config::ClassifierConfig::of(bundle) };
    Classifier::start(&Name::new("default").expect("a name"), &config, &host).unwrap_or_else(|error| panic!("{error}"))
}

/// Scores every prompt at once, so that batches form, and returns the largest difference to PyTorch.
async fn largest_difference(bundle: &str, head: &str) -> f32 {
    let classifier = start(bundle);
    let texts: Vec<String> = read("prompts.json");
    let expected: Vec<Vec<f32>> = read(&format!("{bundle}/expected.json"));
    assert_eq!((texts.len(), expected.len()), (200, 200));
    let (features, deadline) = (Features::default(), Instant::now() + Duration::from_secs(60));

    let scores = texts.iter().map(|text| classifier.classify(text, &features, deadline));
    let scores = futures::future::join_all(scores).await;

    let mut largest = 0.0_f32;
    for (scores, expected) in scores.iter().zip(&expected) {
        let scores = scores.as_ref().expect("scores");
        let actual = &scores.head(head).expect("the bundle's head").probabilities;
        assert_eq!(actual.len(), expected.len());
        assert!((actual.iter().sum::<f32>() - 1.0).abs() < 1e-4, "{actual:?}");
        largest = actual.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(largest, f32::max);
    }
    largest
}

#[tokio::test]
async fn distilbert_scores_as_in_pytorch() {
    let largest = largest_difference("distilbert", "tier").await;

    assert!(largest < 1e-3, "{largest}");
}

#[tokio::test]
async fn complexity_router_scores_as_in_pytorch() {
    let largest = largest_difference("complexity_router", "complexity").await;

    assert!(largest < 1e-3, "{largest}");
}

#[tokio::test]
async fn an_ordinal_head_scores_as_in_pytorch() {
    let largest = largest_difference("ordinal", "complexity").await;

    assert!(largest < 1e-3, "{largest}");
}
