use pointsman_core::config;

use super::*;
use crate::serving::tests::{config, enqueue, scripted, scripted_as, soon, wide, widened, zeros};

impl<E: Encoder> Worker<E> {
    /// Does what a worker's thread does again and again.
    pub(crate) fn serve_once(&mut self) {
        let batch = self.next_batch().expect("a handle is left");
        self.answer(batch);
        self.free_since = Instant::now();
    }

    fn gather(&mut self) -> Vec<QueueEntry> {
        self.next_batch().expect("a handle is left")
    }

    fn learn(&mut self, milliseconds: u64) {
        for pace in &mut self.paces {
            pace.learn(Duration::from_millis(milliseconds), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_whose_caller_left_is_skipped() {
    let (classifier, mut worker) = scripted(4, zeros);
    worker.learn(1);
    drop(enqueue(&classifier, "one", soon()));
    let _waits = enqueue(&classifier, "two", soon());

    let batches = [worker.gather(), worker.gather()].map(|batch| batch.len());

    assert_eq!(batches, [0, 1]);
    assert_eq!(classifier.stats().skipped, 1);
}

#[tokio::test(start_paused = true)]
async fn an_entry_past_its_deadline_is_skipped_and_told_why() {
    let (classifier, mut worker) = scripted(4, zeros);
    let waiting = enqueue(&classifier, "one", Instant::now() + Duration::from_millis(20));
    tokio::time::advance(Duration::from_millis(20)).await;

    let batch = worker.gather();

    assert!(batch.is_empty());
    assert_eq!(waiting.await.expect("an answer"), Err(ClassifierFailure::Deadline));
    assert_eq!(classifier.stats().skipped, 1);
}

#[tokio::test(start_paused = true)]
async fn what_waits_already_is_encoded_together_up_to_the_batch_s_size() {
    let batch = config::BatchLimits { max_size: 8, ..config::BatchLimits::default() };
    let (classifier, mut worker) = scripted_as(&config::ClassifierConfig { batch, ..config("tiny") }, zeros);
    worker.learn(5);
    let _waiting: Vec<_> = (0..9).map(|_| enqueue(&classifier, "hello", soon())).collect();

    let first = worker.gather();
    let second = worker.gather();

    assert_eq!((first.len(), second.len()), (8, 1));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_no_larger_than_the_oldest_deadline_allows() {
    for (left, expected) in [(14, 2), (15, 3), (16, 3), (4, 1)] {
        let (classifier, mut worker) = scripted(16, zeros);
        worker.learn(5);
        let deadline = Instant::now() + Duration::from_millis(left);
        let _waiting: Vec<_> = (0..8).map(|_| enqueue(&classifier, "hello", deadline)).collect();

        let batch = worker.gather();

        assert_eq!(batch.len(), expected, "{left} ms left at 5 ms a prompt");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_run_is_of_one_prompt_and_teaches_the_pace() {
    let (classifier, mut worker) = scripted(16, zeros);
    let _waiting: Vec<_> = (0..8).map(|_| enqueue(&classifier, "hello", soon())).collect();

    let first = worker.gather();
    worker.answer(first);
    let second = worker.gather();

    assert_eq!(second.len(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_bad_prompt_does_not_cost_its_neighbours_their_scores() {
    let (classifier, mut worker) = scripted(16, |batch| {
        let bad = batch.iter().any(|tokens| tokens.ids.len() == 4);
        if bad { Err(InferenceError::Panicked) } else { zeros(batch) }
    });
    worker.learn(1);
    let waiting = ["hello", "hello hello", "hello"].map(|text| enqueue(&classifier, text, soon()));

    let batch = worker.gather();
    worker.answer(batch);

    let mut answers = Vec::new();
    for scores in waiting {
        answers.push(scores.await.expect("an answer").map(drop));
    }
    assert_eq!(answers, [Ok(()), Err(ClassifierFailure::Inference), Ok(())]);
    assert_eq!(classifier.stats().failures, 2);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_of_one_length_and_the_others_keep_their_turn() {
    let (classifier, mut worker) = wide(zeros);
    worker.learn(1);
    let long = "hello ".repeat(30);
    let texts = ["hello", &long, "what", &long[..150], "why"];
    let _waiting = texts.map(|text| enqueue(&classifier, text, soon()));

    let batches = [worker.gather(), worker.gather()].map(|batch| batch.len());

    assert_eq!(batches, [3, 2]);
    assert_eq!(classifier.stats().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_short_prompt_s_pace_says_nothing_about_a_long_one() {
    let (classifier, mut worker) = wide(zeros);
    worker.paces[0].learn(Duration::from_millis(1), 1);
    let long = "hello ".repeat(30);
    let _waiting = ["hello", "what", &long, &long[..150]].map(|text| enqueue(&classifier, text, soon()));

    let batches = [worker.gather(), worker.gather()].map(|batch| batch.len());

    assert_eq!(batches, [2, 1], "the first long prompt teaches its pace alone");
}

/// Returns how many tokens of a long text are read, `left` milliseconds before the deadline, where 16, 32 and 64
/// tokens take 10, 20 and 40 ms.
async fn read_within(left: u64) -> u32 {
    let (classifier, mut worker) = widened(16, &config("tiny"), zeros);
    for (time, milliseconds) in worker.times.iter_mut().zip([10, 20, 40]) {
        time.learn(Duration::from_millis(milliseconds), 1);
    }
    let waiting = enqueue(&classifier, &"hello ".repeat(80), Instant::now() + Duration::from_millis(left));

    worker.serve_once();

    waiting.await.expect("an answer").expect("scores").tokens
}

#[tokio::test(start_paused = true)]
async fn a_long_text_is_read_as_far_as_its_deadline_allows() {
    let mut read = Vec::new();
    for left in [100, 40, 39, 20, 19, 1] {
        read.push(read_within(left).await);
    }

    assert_eq!(read, [64, 64, 32, 32, 16, 16]);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_of_a_text_in_a_hurry_is_not_what_others_get() {
    let cache = config::ScoreCacheLimits { max_entries: 8, max_bytes: 1 << 20 };
    let (classifier, mut worker) = widened(16, &config::ClassifierConfig { cache, ..config("tiny") }, zeros);
    worker.times[2].learn(Duration::from_millis(40), 1);
    worker.times[0].learn(Duration::from_millis(1), 1);
    let text = "hello ".repeat(80);
    let mut read = Vec::new();

    for left in [30, 1000] {
        let waiting = enqueue(&classifier, &text, Instant::now() + Duration::from_millis(left));
        worker.serve_once();
        read.push(waiting.await.expect("an answer").expect("scores").tokens);
    }

    assert_eq!(read, [32, 64]);
}

#[tokio::test(start_paused = true)]
async fn a_length_that_was_never_run_is_judged_by_shorter_ones() {
    let (_classifier, mut worker) = widened(16, &config("tiny"), zeros);
    assert_eq!(worker.time(2), None);

    worker.times[0].learn(Duration::from_millis(10), 1);

    assert_eq!(worker.time(2), Some(Duration::from_millis(10).mul_f64(LONGER * LONGER)));
}

#[tokio::test]
async fn an_idle_queue_waits_for_nobody() {
    let batch = config::BatchLimits { max_wait: config::TimeSpan::from_secs(60), ..config::BatchLimits::default() };
    let (classifier, mut worker) = scripted_as(&config::ClassifierConfig { batch, ..config("tiny") }, zeros);
    worker.learn(1);
    let _waiting = enqueue(&classifier, "hello", soon());

    let batch = worker.gather();

    assert_eq!(batch.len(), 1);
}

#[tokio::test]
async fn a_batch_that_is_not_full_waits_for_more_when_the_worker_was_busy() {
    let batch = config::BatchLimits { max_wait: config::TimeSpan::from_secs(60), max_size: 2 };
    let (classifier, mut worker) = scripted_as(&config::ClassifierConfig { batch, ..config("tiny") }, zeros);
    worker.learn(1);
    let _first = enqueue(&classifier, "hello", soon());
    worker.free_since = Instant::now() + Duration::from_millis(1);
    let gathering = thread::spawn(move || worker.gather().len());

    let _second = enqueue(&classifier, "what", soon());

    assert_eq!(gathering.join().expect("no panic"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_suspect_runs_alone() {
    let (classifier, mut worker) = scripted(16, zeros);
    worker.learn(1);
    let _waiting = ["hello", "what", "why"].map(|text| enqueue(&classifier, text, soon()));
    worker.state.quarantine.record_failure(crate::serving::tests::input("what").1);

    let batches = [worker.gather(), worker.gather()].map(|batch| batch.len());

    assert_eq!(batches, [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn an_input_that_stalled_twice_is_not_tried_again() {
    let (classifier, mut worker) = scripted(16, zeros);
    let stalled = Duration::from_secs(1);
    for took in [stalled, Duration::from_millis(999), stalled, stalled] {
        let _waiting = enqueue(&classifier, "hello", soon());
        let batch = worker.gather();
        worker.succeeded(&batch, took);
    }

    let scores = classifier.classify("hello", &Default::default(), soon()).await;

    assert_eq!(scores, Err(ClassifierFailure::Poisoned));
}

#[test]
fn the_pace_follows_slowly() {
    let mut pace = RowPace::default();

    pace.learn(Duration::from_millis(16), 2);
    pace.learn(Duration::from_millis(16), 1);

    assert_eq!(pace.0, Some(Duration::from_millis(9)));
}
