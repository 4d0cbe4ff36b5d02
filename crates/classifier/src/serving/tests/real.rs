//! The handle with ONNX Runtime over bundles of a few kilobytes.

use pointsman_core::features::TokenCounter;

use super::*;
use crate::onnx::error::SessionError;
use crate::onnx::session::{OnnxEncoder, SessionOptions};
use crate::serving::start::ClassifierError;

fn start() -> Classifier {
    Classifier::start(&name(), &config("tiny"), &host(fixture().parent().expect("a parent")))
        .unwrap_or_else(|error| panic!("{error}"))
}

/// A classifier with a word that keeps its session busy without end.
fn endless() -> Classifier {
    Classifier::start(&name(), &config("endless"), &host(fixture().parent().expect("a parent")))
        .unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn a_real_session_scores_what_training_wrote_down() {
    let classifier = start();
    let bundle = Bundle::open(&fixture()).expect("the fixture is sound");

    for golden in &bundle.golden {
        let features = golden.features(TokenCounter::new());
        let scores = classifier.classify(&golden.text, &features, soon()).await.expect("scores");

        let tier = scores.head("tier").expect("the fixture's head");
        for (actual, expected) in tier.probabilities.iter().zip(&golden.scores["tier"]) {
            assert!((actual - expected).abs() < 1e-3, "{actual} is not {expected} for {:?}", golden.text);
        }
    }
}

#[tokio::test]
async fn prompts_that_are_encoded_together_score_as_if_they_were_alone() {
    let classifier = start();
    let features = Features::default();
    let texts = ["hello", "what is the time", "prove that every number is even please", "fix this code", "write"];
    let mut alone = Vec::new();
    for text in texts {
        alone.push(classifier.classify(text, &features, soon()).await.expect("scores"));
    }

    let together = texts.map(|text| classifier.classify(text, &features, soon()));
    let together = futures::future::join_all(together).await;

    for (alone, together) in alone.iter().zip(&together) {
        let together = together.as_ref().expect("scores");
        let (alone, together) = (&alone.heads[0].probabilities, &together.heads[0].probabilities);
        assert!(alone.iter().zip(together).all(|(a, b)| (a - b).abs() < 1e-5), "{alone:?} {together:?}");
    }
}

#[tokio::test]
async fn a_prompt_is_counted_on_its_way_through_queue_and_session() {
    let host = host(fixture().parent().expect("a parent"));
    let classifier = Classifier::start(&name(), &config("tiny"), &host).expect("the fixture is sound");

    classifier.classify(&"hello ".repeat(20), &Features::default(), soon()).await.expect("scores");

    let metrics = host.metrics.render();
    for line in [
        r#"pointsman_classifier_queue_depth{classifier="default"} 0"#,
        r#"pointsman_classifier_queue_wait_seconds_count{classifier="default"} 1"#,
        r#"pointsman_classifier_run_seconds_count{classifier="default"} 1"#,
        r#"pointsman_classifier_batch_size_sum{classifier="default"} 1"#,
        r#"pointsman_classifier_truncated_tokens_sum{classifier="default"} 6"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn a_handle_knows_its_labels_and_its_bundle() {
    let classifier = start();

    let labels: Vec<&str> =
        classifier.labels("tier").expect("the fixture's head").iter().map(|label| &**label).collect();

    assert_eq!(labels, ["simple", "medium", "complex"]);
    assert!(classifier.labels("mood").is_none());
    assert_eq!((&*classifier.identity().name, &*classifier.identity().version), ("tiny", "1.0.0"));
    assert_eq!(classifier.identity().sha256.len(), 64);
}

#[tokio::test]
async fn a_device_that_does_not_work_is_told_and_counted() {
    let host = host(fixture().parent().expect("a parent"));
    let config = config::ClassifierConfig { device: config::DeviceChoice::Cuda(200), ..config("tiny") };

    let classifier = Classifier::start(&name(), &config, &host).expect("the CPU works");

    assert_eq!(classifier.device(), SessionDevice::Cpu);
    let trouble = classifier.trouble().expect("a lower device");
    assert!(trouble.starts_with("device: runs on cpu, cuda:200 does not work: "), "{trouble}");
    let fallbacks = r#"pointsman_classifier_device_fallbacks_total{classifier="default"} 1"#;
    assert!(host.metrics.render().contains(fallbacks), "{}", host.metrics.render());
}

#[test]
fn a_required_device_that_does_not_work_is_refused() {
    let config = config::ClassifierConfig { device: config::DeviceChoice::Cuda(200), require: true, ..config("tiny") };

    let error = Classifier::start(&name(), &config, &host(fixture().parent().expect("a parent"))).expect_err("no GPU");

    assert!(matches!(error, ClassifierError::Session(SessionError::Device { .. })), "{error}");
}

#[test]
fn the_runtime_says_which_library_it_is() {
    let runtime = runtime();

    assert!(runtime.path().is_absolute());
    assert!(runtime.version().starts_with("1."), "{}", runtime.version());
    assert!(Arc::ptr_eq(&runtime, &self::runtime()), "a process has one");
}

#[tokio::test]
async fn a_run_that_stalls_is_ended_and_its_input_not_tried_a_third_time() {
    let classifier = endless();
    let features = Features::default();
    let ask = |text: &'static str| classifier.classify(text, &features, soon());

    for _ in 0..2 {
        assert_eq!(ask("hello forever").await, Err(ClassifierFailure::Inference));
    }

    assert_eq!(ask("hello forever").await, Err(ClassifierFailure::Poisoned));
    assert!(ask("hello").await.is_ok(), "the session serves on");
    assert_eq!((classifier.stats().failures, classifier.is_sick()), (2, false));
}

#[tokio::test]
async fn a_worker_with_a_real_session_that_is_killed_is_gone_at_once_and_a_fresh_start_heals_it() {
    let bundle = Bundle::open(&fixture()).expect("the fixture is sound");
    let options = SessionOptions { device: SessionDevice::Cpu, threads: 1, memory_limit: None };
    let encoders = [(); 2].map(|()| OnnxEncoder::new(&runtime(), &bundle, options).expect("a session"));
    let scorers = encoders.map(|encoder| Scorer::new(&bundle.tokenizer, &bundle.heads, encoder, 8)).into();
    let config = config::ClassifierConfig { workers: 2, ..config("tiny") };
    let state = ServingState::new(&name(), &config, Metrics::new().classifier(&name()), cpu());
    let (classifier, mut workers) = Classifier::assemble(bundle, scorers, &config, state);
    let features = Features::default();
    let (mut survivor, killed) = (workers.remove(0), workers.remove(0));

    drop(killed);
    let waiting = enqueue(&classifier, "hello", soon());
    survivor.serve_once();
    let served = waiting.await.expect("an answer").expect("scores");
    let left_waiting = enqueue(&classifier, "hello", soon());
    drop(survivor);

    assert!(left_waiting.await.is_err(), "nobody will answer");
    assert_eq!(classifier.classify("hello", &features, soon()).await, Err(ClassifierFailure::WorkerGone));
    assert!(classifier.is_sick());
    let fresh = start().classify("hello", &features, soon()).await.expect("scores");
    assert_eq!(fresh.head("tier").expect("a head").probabilities, served.head("tier").expect("a head").probabilities);
}
