//! The bounded queue of texts, and the lanes in which requests are open at the server.
//!
//! A text that finds a free lane goes at once. While every lane is taken texts wait, and the next lane that ends its
//! request takes as many of them as one request holds: what waits together goes together, and nothing waits for company.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_core::scores::{ClassifierFailure, Scores};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The answer to one text.
pub(crate) type TextAnswer = Result<Arc<Scores>, ClassifierFailure>;

/// A text that waits for its scores.
#[derive(Debug)]
pub(crate) struct WaitingText {
    pub(crate) text: Arc<str>,
    pub(crate) queued: Instant,
    pub(crate) deadline: Instant,
    pub(crate) reply: oneshot::Sender<TextAnswer>,
}

/// The queue of a remote classifier.
#[derive(Debug)]
pub(crate) struct TextQueue {
    state: Mutex<QueueState>,
    capacity: usize,
    max_lanes: usize,
}

#[derive(Debug, Default)]
struct QueueState {
    waiting: VecDeque<WaitingText>,
    lanes: usize,
}

/// What becomes of a text that joins the queue.
#[derive(Debug)]
pub(crate) enum QueuePlace {
    /// A lane is free: the caller has to start it.
    Lane(LanePermit),
    /// The text waits for a lane that is at work.
    Waiting,
    /// The queue is full.
    Full,
}

/// The right to have one request open; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct LanePermit {
    queue: Arc<TextQueue>,
    is_held: bool,
}

impl TextQueue {
    pub(crate) fn new(capacity: usize, max_lanes: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), capacity: capacity.max(1), max_lanes: max_lanes.max(1) })
    }

    /// Adds a text.
    pub(crate) fn push(self: &Arc<Self>, text: WaitingText) -> QueuePlace {
        let mut state = self.state();
        let has_lane = state.lanes < self.max_lanes;
        if !has_lane && state.waiting.len() >= self.capacity {
            // Those whose callers have left take no place.
            state.waiting.retain(|waiting| !waiting.reply.is_closed());
            if state.waiting.len() >= self.capacity {
                return QueuePlace::Full;
            }
        }
        state.waiting.push_back(text);
        if !has_lane {
            return QueuePlace::Waiting;
        }
        state.lanes += 1;
        QueuePlace::Lane(LanePermit { queue: Arc::clone(self), is_held: true })
    }

    /// Returns how many texts wait.
    pub(crate) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LanePermit {
    /// Takes the texts of the next request, at most `most` of those that wait; gives the lane back where none does.
    pub(crate) fn next_batch(&mut self, most: usize) -> Vec<WaitingText> {
        let mut state = self.queue.state();
        let count = most.max(1).min(state.waiting.len());
        if count == 0 {
            // Under the lock, so that no text comes in between and finds no lane.
            (state.lanes, self.is_held) = (state.lanes - 1, false);
        }
        state.waiting.drain(..count).collect()
    }
}

impl Drop for LanePermit {
    fn drop(&mut self) {
        if self.is_held {
            let mut state = self.queue.state();
            state.lanes -= 1;
            // Nobody else would take them.
            if state.lanes == 0 {
                state.waiting.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str) -> (WaitingText, oneshot::Receiver<TextAnswer>) {
        let (reply, waiting) = oneshot::channel();
        let now = Instant::now();
        (WaitingText { text: name.into(), queued: now, deadline: now, reply }, waiting)
    }

    fn names(batch: &[WaitingText]) -> Vec<&str> {
        batch.iter().map(|waiting| &*waiting.text).collect()
    }

    #[tokio::test]
    async fn what_waits_while_every_lane_is_taken_goes_together() {
        let queue = TextQueue::new(8, 1);
        let texts: Vec<_> = ["a", "b", "c", "d"].map(text).into_iter().collect();
        let (texts, _callers): (Vec<_>, Vec<_>) = texts.into_iter().unzip();
        let mut places = texts.into_iter().map(|text| queue.push(text));

        let Some(QueuePlace::Lane(mut lane)) = places.next() else { panic!("no lane") };
        assert_eq!(names(&lane.next_batch(2)), ["a"]);
        assert!(places.all(|place| matches!(place, QueuePlace::Waiting)));

        assert_eq!(names(&lane.next_batch(2)), ["b", "c"]);
        assert_eq!(names(&lane.next_batch(2)), ["d"]);
        assert!(lane.next_batch(2).is_empty());
        assert!(matches!(queue.push(text("e").0), QueuePlace::Lane(_)), "the lane was given back");
    }

    #[tokio::test]
    async fn a_full_queue_takes_no_more_unless_somebody_has_left() {
        let queue = TextQueue::new(1, 1);
        let (first, _caller) = text("a");
        let QueuePlace::Lane(mut lane) = queue.push(first) else { panic!("no lane") };
        lane.next_batch(1);
        let (second, left) = text("b");
        assert!(matches!(queue.push(second), QueuePlace::Waiting));
        assert!(matches!(queue.push(text("c").0), QueuePlace::Full));

        drop(left);
        let (fourth, _caller) = text("d");
        assert!(matches!(queue.push(fourth), QueuePlace::Waiting));
        assert_eq!(queue.waiting(), 1);
    }

    #[tokio::test]
    async fn a_lane_that_breaks_leaves_nobody_waiting_for_it() {
        let queue = TextQueue::new(8, 1);
        let (first, _caller) = text("a");
        let QueuePlace::Lane(mut lane) = queue.push(first) else { panic!("no lane") };
        lane.next_batch(1);
        let (second, waiting) = text("b");
        assert!(matches!(queue.push(second), QueuePlace::Waiting));

        drop(lane);

        assert!(waiting.await.is_err());
    }
}
