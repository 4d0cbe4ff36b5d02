//! The handle with encoders that are scripted, and with ONNX Runtime over a bundle of a few kilobytes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::config::Span;
use crate::features::TokenCounter;
use crate::telemetry::Metrics;

/// An encoder that does what a test says.
pub(super) struct Scripted(Script);

type Script = Box<dyn FnMut(&[Tokens]) -> Embeddings + Send>;

pub(super) type Embeddings = Result<Vec<Vec<f32>>, InferenceError>;

impl Scripted {
    pub(super) fn new(embed: impl FnMut(&[Tokens]) -> Embeddings + Send + 'static) -> Self {
        Self(Box::new(embed))
    }
}

impl Encoder for Scripted {
    fn embed(&mut self, batch: &[Tokens]) -> Embeddings {
        (self.0)(batch)
    }
}

/// An encoder that says zero to everything.
#[expect(clippy::unnecessary_wraps, reason = "encoders may fail")]
pub(super) fn zeros(batch: &[Tokens]) -> Embeddings {
    Ok(vec![vec![0.0; 4]; batch.len()])
}

pub(super) fn fixture() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny"))
}

pub(super) fn runtime() -> Arc<Runtime> {
    Runtime::load().unwrap_or_else(|error| panic!("{error}"))
}

pub(super) fn name() -> Name {
    Name::new("default").expect("a name")
}

pub(super) fn config(bundle: impl Into<PathBuf>) -> config::Classifier {
    config::Classifier { bundle: bundle.into(), deadline: Span::from_millis(20), queue: 16, threads: 1 }
}

/// A handle and its worker, which does not run until it is spawned.
pub(super) fn scripted(
    queue: usize,
    embed: impl FnMut(&[Tokens]) -> Embeddings + Send + 'static,
) -> (Classifier, Worker<Scripted>) {
    let bundle = Bundle::open(&fixture()).expect("the fixture is sound");
    let scorer = Scorer::new(&bundle, Scripted::new(embed));
    Classifier::assemble(
        &name(),
        bundle,
        scorer,
        Queue { capacity: queue, metrics: Metrics::new().classifier(&name()) },
    )
}

pub(super) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

pub(super) fn host(base_dir: &Path) -> Host {
    Host { base_dir: base_dir.to_owned(), runtime: runtime(), metrics: Arc::new(Metrics::new()) }
}

fn start() -> Classifier {
    Classifier::start(&name(), &config("tiny"), &host(fixture().parent().expect("a parent")))
        .unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test(start_paused = true)]
async fn a_silent_worker_costs_the_deadline_and_no_more() {
    let (classifier, _worker) = scripted(1, zeros);
    let started = Instant::now();

    let scores = classifier.classify("hello", &Features::default(), started + Duration::from_millis(20)).await;

    assert_eq!(scores, Err(Degraded::Deadline));
    assert_eq!(started.elapsed(), Duration::from_millis(20));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_refused_at_once() {
    let (classifier, _worker) = scripted(2, zeros);
    let features = Features::default();
    let _first = classifier.enqueue("one", &features, soon()).expect("room");
    let _second = classifier.enqueue("two", &features, soon()).expect("room");
    let started = Instant::now();

    let scores = classifier.classify("three", &features, soon()).await;

    assert_eq!(scores, Err(Degraded::QueueFull));
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(classifier.stats().waiting, 2);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_ended_is_told_apart_from_a_slow_one() {
    let (classifier, worker) = scripted(1, zeros);
    drop(worker);

    let scores = classifier.classify("hello", &Features::default(), soon()).await;

    assert_eq!(scores, Err(Degraded::WorkerGone));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_ends_while_a_prompt_waits_is_gone_at_once() {
    let (classifier, worker) = scripted(1, zeros);
    let waiting = classifier.enqueue("hello", &Features::default(), soon()).expect("room");

    drop(worker);

    assert!(waiting.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_blank_text_is_not_queued() {
    let (classifier, _worker) = scripted(1, zeros);

    let scores = classifier.classify(" \n\t ", &Features::default(), soon()).await;

    assert_eq!(scores, Err(Degraded::NoText));
    assert_eq!(classifier.stats().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_has_passed_is_not_queued() {
    let (classifier, _worker) = scripted(1, zeros);

    let scores = classifier.classify("hello", &Features::default(), Instant::now()).await;

    assert_eq!(scores, Err(Degraded::Deadline));
    assert_eq!(classifier.stats().waiting, 0);
}

#[tokio::test]
async fn a_panic_costs_one_prompt_its_scores_and_not_the_worker() {
    let mut calls = 0;
    let (classifier, worker) = scripted(4, move |batch| {
        calls += 1;
        assert!(calls > 1, "the first run panics on purpose");
        zeros(batch)
    });
    worker.spawn().expect("a thread");

    let first = classifier.classify("hello", &Features::default(), soon()).await;
    let second = classifier.classify("hello", &Features::default(), soon()).await;

    assert_eq!(first, Err(Degraded::Inference));
    assert!(second.is_ok(), "{second:?}");
    assert_eq!(classifier.stats(), Stats { waiting: 0, skipped: 0, failures: 1, panics: 1 });
}

#[tokio::test]
async fn an_embedding_that_is_not_a_number_is_no_score() {
    let (classifier, worker) = scripted(4, |_| Ok(vec![vec![f32::NAN; 4]]));
    worker.spawn().expect("a thread");

    let scores = classifier.classify("hello", &Features::default(), soon()).await;

    assert_eq!(scores, Err(Degraded::Inference));
}

#[tokio::test]
async fn the_last_handle_lets_the_worker_drain_and_end() {
    let (gate, opened) = std::sync::mpsc::sync_channel::<()>(1);
    let (ended, end) = oneshot::channel::<()>();
    let mut ended = Some(ended);
    let (classifier, worker) = scripted(4, move |batch| {
        let _dropped_with_the_encoder = &mut ended;
        opened.recv().ok();
        zeros(batch)
    });
    worker.spawn().expect("a thread");
    let features = Features::default();
    let queued: Vec<_> =
        ["one", "two", "three"].map(|text| classifier.enqueue(text, &features, soon()).expect("room")).into();

    drop(classifier);
    drop(gate);

    for scores in queued {
        assert!(scores.await.expect("drained, not dropped").is_ok());
    }
    end.await.expect_err("the encoder is dropped when the thread ends");
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
        "pointsman_classifier_queue_wait_seconds_count 1",
        "pointsman_classifier_run_seconds_count 1",
        "pointsman_classifier_batch_size_sum 1",
        "pointsman_classifier_truncated_tokens_sum 6",
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

#[test]
fn the_runtime_says_which_library_it_is() {
    let runtime = runtime();

    assert!(runtime.path().is_absolute());
    assert!(runtime.version().starts_with("1."), "{}", runtime.version());
    assert!(Arc::ptr_eq(&runtime, &self::runtime()), "a process has one");
}
