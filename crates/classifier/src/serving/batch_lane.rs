//! The lane of batches: the room that the texts of large requests have among a classifier's prompts at a time.
//!
//! A text of a batch is in no hurry, a routed prompt is. So batches, all together, have no more with the workers than
//! these do in half of the classifier's deadline, and no more than half of the queue's places: a routed prompt that comes
//! meanwhile still gets its turn in time. Workers tell how long a text takes; until one has, each has one text at a time.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pointsman_core::config::ClassifierConfig;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::scoring::scorer::LENGTHS;

/// The lane of batches, as microseconds of the workers' time.
#[derive(Debug)]
pub(crate) struct BatchLane {
    free: Semaphore,
    /// The part of one worker, which a text takes at most.
    of_worker: u32,
    /// The part that a text takes at least, so that the texts are no more than the places.
    least: u32,
    /// The time of one text by its length; 0 where none was measured.
    times: [AtomicU32; LENGTHS],
}

impl BatchLane {
    pub(crate) fn new(config: &ClassifierConfig) -> Self {
        let workers = u32::try_from(config.workers).unwrap_or(u32::MAX).max(1);
        let places = u32::try_from(config.queue / 2).unwrap_or(u32::MAX).max(1);
        let of_worker = (micros(config.deadline.0) / 2).max(1);
        let all = of_worker.saturating_mul(workers);
        Self {
            free: Semaphore::new(usize::try_from(all).unwrap_or(Semaphore::MAX_PERMITS)),
            of_worker,
            least: all.div_ceil(places),
            times: Default::default(),
        }
    }

    /// Waits for room for a text of a length, behind those that wait already; the room is free again when it is dropped.
    pub(crate) async fn room(&self, length: usize) -> SemaphorePermit<'_> {
        let wanted = self.part_of(length);
        self.free.acquire_many(wanted).await.expect("the lane is never closed")
    }

    /// Learns how long one text of a length took.
    pub(crate) fn learn(&self, length: usize, time: Duration) {
        self.times[length].store(micros(time).max(1), Ordering::Relaxed);
    }

    fn part_of(&self, length: usize) -> u32 {
        let time = match self.times[length].load(Ordering::Relaxed) {
            0 => self.of_worker,
            time => time.min(self.of_worker),
        };
        time.max(self.least)
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use pointsman_core::config::TimeSpan;

    use super::*;

    fn lane(workers: usize, queue: usize) -> BatchLane {
        let deadline = TimeSpan::from_millis(20);
        BatchLane::new(&ClassifierConfig { workers, queue, deadline, ..ClassifierConfig::of("tiny") })
    }

    /// Returns how many texts of a length have room at a time.
    fn texts(lane: &BatchLane, length: usize) -> usize {
        let mut rooms = Vec::new();
        while let Some(room) = lane.room(length).now_or_never() {
            rooms.push(room);
        }
        rooms.len()
    }

    #[test]
    fn as_many_texts_have_room_as_the_workers_do_in_half_of_the_deadline() {
        for (workers, milliseconds, expected) in [(1, 5, 2), (1, 1, 10), (4, 5, 8), (1, 60, 1), (4, 60, 4)] {
            let lane = lane(workers, 128);
            lane.learn(3, Duration::from_millis(milliseconds));

            assert_eq!(texts(&lane, 3), expected, "{workers} workers at {milliseconds} ms a text");
        }
    }

    #[test]
    fn a_worker_has_one_text_at_a_time_until_a_run_tells_more() {
        let lane = lane(3, 128);
        lane.learn(3, Duration::from_millis(1));

        assert_eq!(texts(&lane, 4), 3);
    }

    #[test]
    fn batches_have_half_of_the_queue_at_most() {
        for (queue, expected) in [(128, 63), (9, 4), (1, 1)] {
            let lane = lane(2, queue);
            lane.learn(0, Duration::from_micros(2));

            assert_eq!(texts(&lane, 0), expected, "of {queue} places");
        }
    }

    #[test]
    fn room_that_is_given_back_is_the_next_one_s() {
        let lane = lane(1, 128);
        let first = lane.room(0).now_or_never();
        assert!(first.is_some() && lane.room(0).now_or_never().is_none());

        drop(first);

        assert!(lane.room(0).now_or_never().is_some());
    }
}
