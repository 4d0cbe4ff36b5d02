//! Texts that were judged before, or are being judged for another.

use super::*;

#[tokio::test]
async fn a_text_that_was_judged_is_not_judged_again() {
    let (says, runs) = std::sync::mpsc::sync_channel(8);
    let (classifier, worker) = scripted_as(&cached(), move |batch| {
        says.send(()).ok();
        zeros(batch)
    });
    worker.spawn().expect("a thread");
    let features = Features::default();

    let first = classifier.classify("hello", &features, soon()).await;
    let second = classifier.classify("hello", &features, soon()).await;
    let other = classifier.classify("hello you", &features, soon()).await;

    let remembered = first.clone().map(|scores| Scores { is_cached: true, ..scores });
    assert_eq!(second, remembered);
    assert!(other.is_ok(), "{other:?}");
    assert_eq!(runs.try_iter().count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_text_that_was_judged_needs_no_place_in_a_full_queue() {
    let config = config::ClassifierConfig { queue: 1, ..cached() };
    let (classifier, mut worker) = scripted_as(&config, zeros);
    let features = Features::default();
    let waiting = enqueue(&classifier, "hello", soon());
    worker.serve_once();
    waiting.await.expect("an answer").expect("scores");

    let waits = enqueue(&classifier, "something else", soon());

    assert!(classifier.classify("hello", &features, soon()).await.is_ok());
    assert!(matches!(place(&classifier, "something else", soon()), Ok(PendingScores::Waiting(_))), "joins");
    assert_eq!(classifier.classify("a third", &features, soon()).await, Err(ClassifierFailure::QueueFull));
    drop(waits);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_leaves_does_not_take_its_followers_out_of_the_queue() {
    let (classifier, mut worker) = scripted_as(&cached(), zeros);
    let leader = enqueue(&classifier, "hello", soon());
    let follower = enqueue(&classifier, "hello", soon());
    assert_eq!(classifier.stats().waiting, 1);

    drop(leader);
    worker.serve_once();

    assert!(follower.await.expect("an answer").is_ok());
    assert_eq!(classifier.stats().skipped, 0);
}

#[tokio::test(start_paused = true)]
async fn a_follower_waits_no_longer_than_its_own_deadline() {
    let (classifier, _worker) = scripted_as(&cached(), zeros);
    let _leader = enqueue(&classifier, "hello", soon());
    let started = Instant::now();

    let scores = classifier.classify("hello", &Features::default(), started + Duration::from_millis(5)).await;

    assert_eq!((scores, started.elapsed()), (Err(ClassifierFailure::Deadline), Duration::from_millis(5)));
}
