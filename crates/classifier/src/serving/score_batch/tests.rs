//! Batches with encoders that are scripted, on a clock that stands.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;

use super::*;
use crate::serving::tests::{enqueue, scripted, soon, zeros};

type BatchScores = Vec<Result<Scores, ClassifierFailure>>;

/// Begins a batch of texts beside the test.
fn begin(classifier: &Classifier, texts: Vec<String>, deadline: Instant) -> tokio::task::JoinHandle<BatchScores> {
    let classifier = classifier.clone();
    tokio::spawn(async move {
        let (batch, features) = (classifier.batch(deadline), Features::default());
        join_all(texts.iter().map(|text| batch.classify(text, &features))).await
    })
}

fn texts(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{name} {number}")).collect()
}

async fn until_waiting(classifier: &Classifier, count: usize) {
    while classifier.stats().waiting < count {
        tokio::time::advance(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_texts_are_all_scored_though_each_has_but_the_classifier_s_deadline() {
    let (classifier, mut worker) = scripted(16, zeros);
    let batch = begin(&classifier, texts("text", 1000), soon());

    while !batch.is_finished() {
        tokio::task::yield_now().await;
        if classifier.stats().waiting > 0 {
            tokio::time::advance(Duration::from_millis(15)).await;
            worker.serve_once();
        }
    }

    let scores = batch.await.expect("a batch");
    assert!(scores.len() == 1000 && scores.iter().all(Result::is_ok));
    assert_eq!(classifier.stats().skipped, 0);
}

#[tokio::test(start_paused = true)]
async fn batches_have_few_texts_in_the_queue_whatever_their_number() {
    let (classifier, mut worker) = scripted(16, zeros);
    let batches: Vec<_> = (0..4).map(|number| begin(&classifier, texts(&number.to_string(), 50), soon())).collect();
    until_waiting(&classifier, 1).await;
    let routed = enqueue(&classifier, "routed", soon());

    let waiting = classifier.stats().waiting;
    worker.serve_once();
    worker.serve_once();

    assert_eq!(waiting, 2, "one of all batches, and the routed prompt");
    assert!(routed.await.expect("an answer").is_ok());
    batches.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn a_small_batch_is_not_behind_all_of_a_large_one() {
    let seen = Arc::new(Mutex::new(0));
    let runs = Arc::clone(&seen);
    let (classifier, mut worker) = scripted(16, move |batch| {
        *runs.lock().expect("the count") += batch.len();
        zeros(batch)
    });
    let large = begin(&classifier, texts("large", 32), soon());
    until_waiting(&classifier, 1).await;
    let small = begin(&classifier, texts("small", 1), soon());
    tokio::task::yield_now().await;

    loop {
        tokio::task::yield_now().await;
        if small.is_finished() {
            break;
        }
        if classifier.stats().waiting > 0 {
            worker.serve_once();
        }
    }

    let before = *seen.lock().expect("the count");
    assert!(before <= 4, "{before} texts were scored until the small batch was");
    large.abort();
}

#[tokio::test(start_paused = true)]
async fn a_text_whose_turn_comes_too_late_is_queued_again() {
    let (classifier, mut worker) = scripted(16, zeros);
    let batch = begin(&classifier, texts("text", 1), soon());
    until_waiting(&classifier, 1).await;
    tokio::time::advance(Duration::from_millis(21)).await;
    worker.serve_once();
    until_waiting(&classifier, 1).await;

    worker.serve_once();

    assert!(batch.await.expect("a batch")[0].is_ok());
    assert_eq!(classifier.stats().skipped, 1, "the first time");
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_makes_a_batch_wait_and_a_lone_text_fail() {
    let (classifier, mut worker) = scripted(1, zeros);
    let routed = enqueue(&classifier, "routed", soon());
    let batch = begin(&classifier, texts("text", 2), soon());
    tokio::task::yield_now().await;
    let alone = classifier.classify("alone", &Features::default(), soon()).await;
    worker.serve_once();

    for _ in 0..2 {
        until_waiting(&classifier, 1).await;
        worker.serve_once();
    }

    assert_eq!(alone, Err(ClassifierFailure::QueueFull));
    assert!(routed.await.expect("an answer").is_ok());
    assert!(batch.await.expect("a batch").iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn an_encoder_that_has_stalled_costs_a_batch_no_more_than_the_stall() {
    let (classifier, _worker) = scripted(128, zeros);
    let started = Instant::now();

    let scores = begin(&classifier, texts("text", 1), soon()).await.expect("a batch");

    assert_eq!(scores, [Err(ClassifierFailure::Deadline)]);
    assert_eq!(started.elapsed(), classifier.0.state.stall);
}

#[tokio::test(start_paused = true)]
async fn the_batch_s_own_deadline_ends_what_waits_for_room() {
    let (classifier, _worker) = scripted(16, zeros);
    let started = Instant::now();

    let scores = begin(&classifier, texts("text", 3), started + Duration::from_millis(50)).await.expect("a batch");

    assert!(scores.iter().all(|scores| *scores == Err(ClassifierFailure::Deadline)));
    assert_eq!(started.elapsed(), Duration::from_millis(50));
}
