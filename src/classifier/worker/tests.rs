use super::*;
use crate::classifier::Classifier;
use crate::classifier::tests::{Scripted, scripted, soon, zeros};
use crate::features::Features;

type Waiting = oneshot::Receiver<Result<Scores, Degraded>>;

fn enqueue(classifier: &Classifier, text: &str, deadline: Instant) -> Waiting {
    classifier.enqueue(text, &Features::default(), deadline).expect("room")
}

fn gather(worker: &mut Worker<Scripted>) -> Vec<Entry> {
    let first = worker.queue.try_recv().expect("an entry waits");
    worker.gather(first)
}

#[tokio::test(start_paused = true)]
async fn an_entry_whose_caller_left_is_skipped() {
    let (classifier, mut worker) = scripted(4, zeros);
    worker.pace.learn(Duration::from_millis(1), 1);
    drop(enqueue(&classifier, "one", soon()));
    let _waits = enqueue(&classifier, "two", soon());

    let batch = gather(&mut worker);

    assert_eq!(batch.len(), 1);
    assert_eq!(classifier.stats().skipped, 1);
}

#[tokio::test(start_paused = true)]
async fn an_entry_past_its_deadline_is_skipped_and_told_why() {
    let (classifier, mut worker) = scripted(4, zeros);
    let waiting = enqueue(&classifier, "one", Instant::now() + Duration::from_millis(20));
    tokio::time::advance(Duration::from_millis(20)).await;

    let batch = gather(&mut worker);

    assert!(batch.is_empty());
    assert_eq!(waiting.await.expect("an answer"), Err(Degraded::Deadline));
    assert_eq!(classifier.stats().skipped, 1);
}

#[tokio::test(start_paused = true)]
async fn what_waits_already_is_encoded_together_up_to_eight() {
    let (classifier, mut worker) = scripted(16, zeros);
    worker.pace.learn(Duration::from_millis(5), 1);
    let _waiting: Vec<_> = (0..9).map(|_| enqueue(&classifier, "hello", soon())).collect();

    let first = gather(&mut worker);
    let second = gather(&mut worker);

    assert_eq!((first.len(), second.len()), (8, 1));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_no_larger_than_the_oldest_deadline_allows() {
    for (left, expected) in [(14, 2), (15, 3), (16, 3), (4, 1)] {
        let (classifier, mut worker) = scripted(16, zeros);
        worker.pace.learn(Duration::from_millis(5), 1);
        let deadline = Instant::now() + Duration::from_millis(left);
        let _waiting: Vec<_> = (0..8).map(|_| enqueue(&classifier, "hello", deadline)).collect();

        let batch = gather(&mut worker);

        assert_eq!(batch.len(), expected, "{left} ms left at 5 ms a prompt");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_run_is_of_one_prompt_and_teaches_the_pace() {
    let (classifier, mut worker) = scripted(16, zeros);
    let _waiting: Vec<_> = (0..8).map(|_| enqueue(&classifier, "hello", soon())).collect();

    let first = gather(&mut worker);
    worker.settle(first);
    let second = gather(&mut worker);

    assert_eq!(second.len(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_bad_prompt_does_not_cost_its_neighbours_their_scores() {
    let (classifier, mut worker) = scripted(16, |batch| {
        let bad = batch.iter().any(|tokens| tokens.ids.len() == 4);
        if bad { Err(InferenceError::Panicked) } else { zeros(batch) }
    });
    worker.pace.learn(Duration::from_millis(1), 1);
    let waiting = ["hello", "hello hello", "hello"].map(|text| enqueue(&classifier, text, soon()));

    let batch = gather(&mut worker);
    worker.settle(batch);

    let mut answers = Vec::new();
    for scores in waiting {
        answers.push(scores.await.expect("an answer").map(drop));
    }
    assert_eq!(answers, [Ok(()), Err(Degraded::Inference), Ok(())]);
    assert_eq!(classifier.stats().failures, 2);
}

#[test]
fn the_pace_follows_slowly() {
    let mut pace = Pace::default();

    pace.learn(Duration::from_millis(16), 2);
    pace.learn(Duration::from_millis(16), 1);

    assert_eq!(pace.0, Some(Duration::from_millis(9)));
}
