//! The texts of one large request: scored beside routed prompts, which go before them.
//!
//! A text waits for room in the lane of batches first, one text of each batch at a time, so that a batch of three is not
//! behind all of one of a thousand. Once it has room it is queued with the classifier's own deadline, as a routed prompt
//! is, and queued again where that passes: late scores cost a routed request its answer, but not a batch that has time.

use pointsman_core::features::Features;
use pointsman_core::scores::{ClassifierFailure, Scores};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::handle::Classifier;
use super::queue::PromptQueue;
use super::request::{ScoreRequest, ScoredHeads};

/// The texts of one request with several, for a caller that may read any head.
#[derive(Debug)]
pub struct ScoreBatch<'c> {
    classifier: &'c Classifier,
    deadline: Instant,
    /// Held by the one text that waits for room.
    turn: Semaphore,
}

impl Classifier {
    /// Begins a batch, whose scores are of no use from `deadline` on.
    #[must_use]
    pub fn batch(&self, deadline: Instant) -> ScoreBatch<'_> {
        ScoreBatch { classifier: self, deadline, turn: Semaphore::new(1) }
    }
}

impl ScoreBatch<'_> {
    /// Scores a text of the batch. Dropping the future takes it out of the queue.
    ///
    /// # Errors
    /// As [`Classifier::score`]. `Deadline` where the batch's own has passed, or the workers have had the text for as long
    /// as a run lasts that has stalled; `QueueFull` where there was no place for all that time.
    pub async fn classify(&self, text: &str, features: &Features) -> Result<Scores, ClassifierFailure> {
        let ask = ScoreRequest { text, features, deadline: self.deadline, heads: &[], scored: ScoredHeads::All };
        self.classifier.score_within(ask, Some(self)).await
    }

    pub(super) async fn encode(
        &self,
        queue: &PromptQueue,
        ask: &ScoreRequest<'_>,
        length: usize,
    ) -> Result<Scores, ClassifierFailure> {
        let state = &self.classifier.0.state;
        let room = async {
            let _turn = self.turn.acquire().await;
            state.batch_lane.room(length).await
        };
        let _room = timeout_at(self.deadline, room).await.map_err(|_| ClassifierFailure::Deadline)?;
        let end = self.deadline.min(Instant::now() + state.stall);
        loop {
            let deadline = end.min(Instant::now() + state.patience);
            match self.classifier.encode(queue, self.classifier.input(ask), deadline).await {
                Err(ClassifierFailure::Deadline) if deadline < end => {}
                Err(ClassifierFailure::QueueFull) if deadline < end => sleep_until(deadline).await,
                scores => return scores,
            }
        }
    }
}

#[cfg(test)]
mod tests;
