//! The answers of one exchange, as the stream that is sent to Envoy.
//!
//! Who asks for the next answer drives the exchange: reading a message, judging it and sending the answer is one task and no
//! hand-over, and all that is ready at once leaves in one write. An exchange whose stream is gone goes on by itself, to its
//! account.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use pointsman_protocols::envoy::ext_proc::ProcessingResponse;
use tokio::runtime::Handle;
use tokio_stream::Stream;
use tonic::Status;

/// Answers that wait to be sent on one stream.
const WAITING: usize = 4;

/// One answer, or the error that ends the stream.
type Answer = Result<ProcessingResponse, Status>;

/// The answers that wait to be sent. Nothing here wakes a task: the exchange and what sends its answers are one.
#[derive(Clone, Default)]
pub(super) struct AnswerQueue(Arc<Mutex<QueueState>>);

#[derive(Default)]
struct QueueState {
    waiting: VecDeque<Answer>,
    /// True once no other answer comes.
    has_ended: bool,
    /// True once nobody takes answers any more.
    is_left: bool,
}

/// The stream of an exchange's answers.
pub(super) struct ExchangeAnswers {
    queue: AnswerQueue,
    /// `None` once it is over.
    exchange: Option<BoxFuture<'static, ()>>,
}

impl AnswerQueue {
    /// Adds an answer as soon as there is a place for it; false where nobody takes it any more.
    pub(super) async fn send(&self, answer: Answer) -> bool {
        let mut answer = Some(answer);
        std::future::poll_fn(|_| {
            let mut state = self.state();
            if state.is_left {
                return Poll::Ready(false);
            }
            if state.waiting.len() >= WAITING {
                return Poll::Pending; // whoever takes one asks again
            }
            state.waiting.extend(answer.take());
            Poll::Ready(true)
        })
        .await
    }

    /// Says that no other answer comes, and waits until those before were taken.
    pub(super) async fn end(&self) {
        self.state().has_ended = true;
        self.left().await;
    }

    /// Waits until nobody takes answers any more.
    pub(super) async fn left(&self) {
        std::future::poll_fn(|_| if self.state().is_left { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ExchangeAnswers {
    /// Returns the answers that `exchange` puts into `queue`.
    pub(super) fn new(queue: AnswerQueue, exchange: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { queue, exchange: Some(Box::pin(exchange)) }
    }
}

impl Stream for ExchangeAnswers {
    type Item = Answer;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let mut state = this.queue.state();
            if let Some(answer) = state.waiting.pop_front() {
                return Poll::Ready(Some(answer));
            }
            let has_ended = state.has_ended;
            drop(state);
            let Some(exchange) = this.exchange.as_mut().filter(|_| !has_ended) else { return Poll::Ready(None) };
            if exchange.as_mut().poll(cx).is_ready() {
                this.exchange = None;
            } else {
                let state = this.queue.state();
                if state.waiting.is_empty() && !state.has_ended {
                    return Poll::Pending;
                }
            }
        }
    }
}

impl Drop for ExchangeAnswers {
    fn drop(&mut self) {
        self.queue.state().is_left = true;
        if let (Some(exchange), Ok(runtime)) = (self.exchange.take(), Handle::try_current()) {
            runtime.spawn(async move {
                tokio::task::yield_now().await; // the last answer goes out first
                exchange.await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio_stream::StreamExt as _;

    use super::*;

    fn answer() -> Answer {
        Ok(ProcessingResponse::default())
    }

    #[tokio::test]
    async fn who_asks_for_an_answer_drives_the_exchange_within_its_bound() {
        let queue = AnswerQueue::default();
        let (own, (over, is_over)) = (queue.clone(), oneshot::channel());
        let mut answers = ExchangeAnswers::new(queue.clone(), async move {
            for _ in 0..3 * WAITING {
                assert!(own.send(answer()).await, "the stream is there");
            }
            let _ = over.send(()); // the test looks below
        });

        let mut count = 0;
        while answers.next().await.is_some() {
            count += 1;
            assert!(queue.state().waiting.len() < WAITING);
        }

        assert_eq!(count, 3 * WAITING);
        is_over.await.expect("the exchange has come to its end");
    }

    #[tokio::test]
    async fn an_exchange_that_has_ended_its_answers_goes_on_once_they_are_taken() {
        let queue = AnswerQueue::default();
        let (own, (over, is_over)) = (queue.clone(), oneshot::channel());
        let mut answers = ExchangeAnswers::new(queue, async move {
            own.send(answer()).await;
            own.end().await;
            let _ = over.send(own.send(answer()).await);
        });

        assert!(answers.next().await.is_some() && answers.next().await.is_none());
        drop(answers);

        assert!(!is_over.await.expect("it goes on"), "nobody takes an answer now");
    }

    #[tokio::test]
    async fn an_exchange_whose_stream_is_gone_hears_of_it() {
        let queue = AnswerQueue::default();
        let (own, (over, is_over)) = (queue.clone(), oneshot::channel());
        let mut answers = ExchangeAnswers::new(queue, async move {
            own.send(answer()).await;
            own.left().await;
            let _ = over.send(());
        });
        assert!(answers.next().await.is_some());

        drop(answers);

        is_over.await.expect("it goes on");
    }
}
