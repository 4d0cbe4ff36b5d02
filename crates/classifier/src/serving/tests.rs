//! The handle with encoders that are scripted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pointsman_core::config;
use pointsman_core::config::Name;
use pointsman_core::features::Features;
use pointsman_core::scores::{ClassifierFailure, Scores};
use pointsman_telemetry::Metrics;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::cache::ScoreCacheKey;
use super::handle::{Classifier, ClassifierStats, EncoderState};
use super::start::ClassifierHost;
use super::state::ServingState;
use super::worker::Worker;
use crate::bundle::Bundle;
use crate::onnx::device::{DevicePlacement, SessionDevice};
use crate::onnx::runtime::OnnxRuntime;
use crate::scoring::encoder::Encoder;
use crate::scoring::error::InferenceError;
use crate::scoring::scorer::{Scorer, ScorerInput};
use crate::scoring::tokenize::TokenIds;
use crate::serving::request::PendingScores;
use crate::serving::single_flight::FlightReceiver;

mod real;
mod remembered;

/// An encoder that does what a test says.
pub(crate) struct ScriptedEncoder(EncoderScript);

type EncoderScript = Box<dyn FnMut(&[TokenIds]) -> Embeddings + Send>;

pub(crate) type Embeddings = Result<Vec<Vec<f32>>, InferenceError>;

impl ScriptedEncoder {
    pub(crate) fn new(embed: impl FnMut(&[TokenIds]) -> Embeddings + Send + 'static) -> Self {
        Self(Box::new(embed))
    }
}

impl Encoder for ScriptedEncoder {
    fn embed(&mut self, batch: &[TokenIds]) -> Embeddings {
        (self.0)(batch)
    }
}

/// An encoder that says zero to everything.
#[expect(clippy::unnecessary_wraps, reason = "encoders may fail")]
pub(crate) fn zeros(batch: &[TokenIds]) -> Embeddings {
    Ok(vec![vec![0.0; 4]; batch.len()])
}

pub(crate) fn fixture() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tiny"))
}

pub(crate) fn runtime() -> Arc<OnnxRuntime> {
    OnnxRuntime::load().unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn name() -> Name {
    Name::new("default").expect("a name")
}

pub(crate) fn config(bundle: impl Into<PathBuf>) -> config::ClassifierConfig {
    config::ClassifierConfig {
        queue: 16,
        cache: config::ScoreCacheLimits { max_entries: 0, max_bytes: 0 },
        ..config::ClassifierConfig::of(bundle)
    }
}

/// An input and its key, as the handle makes them.
pub(crate) fn input(text: &str) -> (ScorerInput, ScoreCacheKey) {
    static BUNDLE: std::sync::LazyLock<Bundle> =
        std::sync::LazyLock::new(|| Bundle::open(&fixture()).expect("the fixture is sound"));
    let input = ScorerInput::new(text, &Features::default(), BUNDLE.tokenizer.budget(), &BUNDLE.inputs);
    let key = ScoreCacheKey::of(&input, &BUNDLE.identity);
    (input, key)
}

/// A handle without a cache and its worker, which does not run until it is spawned.
pub(crate) fn scripted(
    queue: usize,
    embed: impl FnMut(&[TokenIds]) -> Embeddings + Send + 'static,
) -> (Classifier, Worker<ScriptedEncoder>) {
    scripted_as(&config::ClassifierConfig { queue, ..config("tiny") }, embed)
}

/// A handle and its worker, as a configuration says.
pub(crate) fn scripted_as(
    config: &config::ClassifierConfig,
    embed: impl FnMut(&[TokenIds]) -> Embeddings + Send + 'static,
) -> (Classifier, Worker<ScriptedEncoder>) {
    let (classifier, mut workers) = pool(config, vec![ScriptedEncoder::new(embed)]);
    (classifier, workers.remove(0))
}

/// A handle and its worker with a budget of 64 tokens instead of 16.
pub(crate) fn wide(
    embed: impl FnMut(&[TokenIds]) -> Embeddings + Send + 'static,
) -> (Classifier, Worker<ScriptedEncoder>) {
    widened(64, &config("tiny"), embed)
}

/// A handle and its worker with a budget of 64 tokens, of which `least_tokens` are read in any case.
pub(crate) fn widened(
    least_tokens: usize,
    config: &config::ClassifierConfig,
    embed: impl FnMut(&[TokenIds]) -> Embeddings + Send + 'static,
) -> (Classifier, Worker<ScriptedEncoder>) {
    let mut bundle = Bundle::open(&fixture()).expect("the fixture is sound");
    Arc::get_mut(&mut bundle.tokenizer).expect("not shared yet").widen(least_tokens, 64);
    let (classifier, mut workers) = pool_of(bundle, config, vec![ScriptedEncoder::new(embed)]);
    (classifier, workers.remove(0))
}

/// A handle over a bundle, and its worker.
pub(crate) fn scripted_of(
    bundle: Bundle,
    config: &config::ClassifierConfig,
    embed: impl FnMut(&[TokenIds]) -> Embeddings + Send + 'static,
) -> (Classifier, Worker<ScriptedEncoder>) {
    let (classifier, mut workers) = pool_of(bundle, config, vec![ScriptedEncoder::new(embed)]);
    (classifier, workers.remove(0))
}

fn pool(
    config: &config::ClassifierConfig,
    encoders: Vec<ScriptedEncoder>,
) -> (Classifier, Vec<Worker<ScriptedEncoder>>) {
    pool_of(Bundle::open(&fixture()).expect("the fixture is sound"), config, encoders)
}

fn pool_of(
    bundle: Bundle,
    config: &config::ClassifierConfig,
    encoders: Vec<ScriptedEncoder>,
) -> (Classifier, Vec<Worker<ScriptedEncoder>>) {
    let scorers = encoders
        .into_iter()
        .map(|encoder| Scorer::new(&bundle.tokenizer, &bundle.heads, encoder, config.batch.max_size))
        .collect();
    let state = ServingState::new(&name(), config, Metrics::new().classifier(&name()), cpu());
    Classifier::assemble(bundle, scorers, config, state)
}

/// Queues a text that nobody has asked for.
pub(crate) fn enqueue(classifier: &Classifier, text: &str, deadline: Instant) -> FlightReceiver {
    match place(classifier, text, deadline).expect("room") {
        PendingScores::Waiting(waiting) => waiting,
        PendingScores::Cached(_) => panic!("{text:?} was judged before"),
    }
}

fn place(classifier: &Classifier, text: &str, deadline: Instant) -> Result<PendingScores, ClassifierFailure> {
    let EncoderState::Workers(queue) = &classifier.0.engine else { panic!("a classifier with workers") };
    let input = ScorerInput::new(text, &Features::default(), classifier.0.budget, &classifier.0.inputs);
    classifier.find_or_queue(queue, input, deadline)
}

/// A state of a classifier that has done nothing yet.
pub(crate) fn state() -> ServingState {
    ServingState::new(&name(), &config("tiny"), Metrics::new().classifier(&name()), cpu())
}

fn cpu() -> DevicePlacement {
    DevicePlacement { device: SessionDevice::Cpu, fell_back: None }
}

fn cached() -> config::ClassifierConfig {
    config::ClassifierConfig { cache: config::ScoreCacheLimits::default(), ..config("tiny") }
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

pub(crate) fn host(base_dir: &Path) -> ClassifierHost {
    ClassifierHost { base_dir: base_dir.to_owned(), runtime: runtime(), metrics: Arc::new(Metrics::new()) }
}

#[tokio::test(start_paused = true)]
async fn a_silent_worker_costs_the_deadline_and_no_more() {
    let (classifier, _worker) = scripted(1, zeros);
    let started = Instant::now();

    let scores = classifier.classify("hello", &Features::default(), started + Duration::from_millis(20)).await;

    assert_eq!(scores, Err(ClassifierFailure::Deadline));
    assert_eq!(started.elapsed(), Duration::from_millis(20));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_refused_at_once() {
    let (classifier, _worker) = scripted(2, zeros);
    let _first = enqueue(&classifier, "one", soon());
    let _second = enqueue(&classifier, "two", soon());
    let started = Instant::now();

    let scores = classifier.classify("three", &Features::default(), soon()).await;

    assert_eq!(scores, Err(ClassifierFailure::QueueFull));
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(classifier.stats().waiting, 2);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_ended_is_told_apart_from_a_slow_one() {
    let (classifier, worker) = scripted(1, zeros);
    drop(worker);

    let scores = classifier.classify("hello", &Features::default(), soon()).await;

    assert_eq!(scores, Err(ClassifierFailure::WorkerGone));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_ends_while_a_prompt_waits_is_gone_at_once() {
    let (classifier, worker) = scripted(1, zeros);
    let waiting = enqueue(&classifier, "hello", soon());

    drop(worker);

    assert!(waiting.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_blank_text_is_not_queued() {
    let (classifier, _worker) = scripted(1, zeros);

    let scores = classifier.classify(" \n\t ", &Features::default(), soon()).await;

    assert_eq!(scores, Err(ClassifierFailure::NoText));
    assert_eq!(classifier.stats().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_has_passed_is_not_queued() {
    let (classifier, _worker) = scripted(1, zeros);

    let scores = classifier.classify("hello", &Features::default(), Instant::now()).await;

    assert_eq!(scores, Err(ClassifierFailure::Deadline));
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

    assert_eq!(first, Err(ClassifierFailure::Inference));
    assert!(second.is_ok(), "{second:?}");
    let expected = ClassifierStats { waiting: 0, skipped: 0, failures: 1, panics: 1, workers: 1, failing: false };
    assert_eq!(classifier.stats(), expected);
}

#[tokio::test]
async fn an_embedding_that_is_not_a_number_is_no_score() {
    let (classifier, worker) = scripted(4, |_| Ok(vec![vec![f32::NAN; 4]]));
    worker.spawn().expect("a thread");

    let scores = classifier.classify("hello", &Features::default(), soon()).await;

    assert_eq!(scores, Err(ClassifierFailure::Inference));
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
    let queued = ["one", "two", "three"].map(|text| enqueue(&classifier, text, soon()));

    drop(classifier);
    drop(gate);

    for scores in queued {
        assert!(scores.await.expect("drained, not dropped").is_ok());
    }
    end.await.expect_err("the encoder is dropped when the thread ends");
}

/// An encoder that blocks in every run until the other end lets go, after saying that it runs.
fn gated() -> (ScriptedEncoder, std::sync::mpsc::Receiver<usize>, std::sync::mpsc::SyncSender<()>) {
    let (says, runs) = std::sync::mpsc::sync_channel(64);
    let (gate, opened) = std::sync::mpsc::sync_channel::<()>(64);
    let encoder = ScriptedEncoder::new(move |batch| {
        says.send(batch.len()).ok();
        opened.recv().ok();
        zeros(batch)
    });
    (encoder, runs, gate)
}

#[tokio::test]
async fn two_workers_run_two_prompts_at_once() {
    let (first, first_runs, first_gate) = gated();
    let (second, second_runs, second_gate) = gated();
    let (classifier, workers) = pool(&config("tiny"), vec![first, second]);
    workers.into_iter().for_each(|worker| worker.spawn().expect("a thread"));

    // The first worker may only be freed once the second one runs as well.
    let one = enqueue(&classifier, "one", soon());
    let two = enqueue(&classifier, "two", soon());
    let (first, second) = (first_runs.recv(), second_runs.recv());
    drop((first_gate, second_gate));

    assert_eq!((first, second), (Ok(1), Ok(1)));
    assert!(one.await.expect("an answer").is_ok() && two.await.expect("an answer").is_ok());
}

#[tokio::test]
async fn a_worker_that_dies_leaves_the_others_to_serve() {
    let (classifier, mut workers) =
        pool(&config("tiny"), vec![ScriptedEncoder::new(zeros), ScriptedEncoder::new(zeros)]);
    drop(workers.remove(0));
    workers.remove(0).spawn().expect("a thread");

    let scores = classifier.classify("hello", &Features::default(), soon()).await;

    assert!(scores.is_ok(), "{scores:?}");
    assert_eq!(classifier.stats().workers, 1);
}

#[tokio::test(start_paused = true)]
async fn an_input_that_crashed_twice_is_not_tried_again() {
    let (classifier, mut worker) = scripted_as(&cached(), |batch| {
        assert!(batch.iter().all(|tokens| tokens.ids.len() != 4), "two words crash on purpose");
        zeros(batch)
    });
    let features = Features::default();

    for _ in 0..2 {
        let waiting = enqueue(&classifier, "hello hello", soon());
        worker.serve_once();
        assert_eq!(waiting.await.expect("an answer"), Err(ClassifierFailure::Inference));
    }

    assert_eq!(classifier.classify("hello hello", &features, soon()).await, Err(ClassifierFailure::Poisoned));
    let other = enqueue(&classifier, "hello", soon());
    worker.serve_once();
    assert!(other.await.expect("an answer").is_ok());
    assert_eq!(classifier.stats().panics, 2);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_always_fails_does_not_poison_every_input() {
    let (classifier, mut worker) = scripted(4, |_| Err(InferenceError::Panicked));

    for _ in 0..3 {
        for text in ["one", "two", "three"] {
            let waiting = enqueue(&classifier, text, soon());
            worker.serve_once();
            assert_eq!(waiting.await.expect("an answer"), Err(ClassifierFailure::Inference));
        }
    }

    assert!(classifier.stats().failing);
}
