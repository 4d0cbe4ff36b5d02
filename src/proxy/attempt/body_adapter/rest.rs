//! The rest of an answer whose client has left with all of it: the upstream's own end, which nobody reads.

use std::time::Duration;

use pingora::protocols::http::HttpTask;
use pingora::{Error, ErrorType, Result};
use tokio::time::Instant;

/// The time in which the upstream has to end.
const REST: Duration = Duration::from_secs(2);

/// The bytes that may still come.
const REST_BYTES: usize = 64 << 10;

/// What may still come of an answer whose client has left with all of it.
pub(super) struct AnswerRest {
    until: Instant,
    bytes: usize,
}

impl AnswerRest {
    /// Gives the upstream its time from now on.
    pub(super) fn new() -> Self {
        Self { until: Instant::now() + REST, bytes: 0 }
    }

    /// Waits until the upstream has had its time.
    pub(super) async fn expired<T>(&self) -> Result<T> {
        tokio::time::sleep_until(self.until).await;
        too_much()
    }

    /// Takes what came, and returns whether that was the end.
    pub(super) fn take(&mut self, tasks: &[HttpTask]) -> Result<bool> {
        self.bytes += tasks.iter().map(length).sum::<usize>();
        if self.bytes > REST_BYTES {
            return too_much();
        }
        Ok(Self::has_end(tasks))
    }

    /// Returns whether the upstream's end is among what came.
    pub(super) fn has_end(tasks: &[HttpTask]) -> bool {
        tasks.iter().any(|task| task.is_end() || matches!(task, HttpTask::Done | HttpTask::Failed(_)))
    }
}

fn length(task: &HttpTask) -> usize {
    match task {
        HttpTask::Body(Some(bytes), _) => bytes.len(),
        _ => 0,
    }
}

/// The client left, which counts as what it is: its answer was whole.
fn too_much<T>() -> Result<T> {
    Error::e_explain(ErrorType::ConnectionClosed, "with the whole answer, but not its end")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn body(length: usize) -> HttpTask {
        HttpTask::Body(Some(Bytes::from(vec![b'x'; length])), false)
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_of_an_answer_is_bounded_in_bytes_and_time() {
        let mut rest = AnswerRest::new();
        assert!(!rest.take(&[body(10), body(REST_BYTES - 10)]).expect("within bounds"));
        assert!(rest.take(&[HttpTask::Body(None, true)]).expect("the end"));
        assert!(rest.take(&[body(1)]).is_err());

        assert!(rest.expired::<()>().await.is_err());
    }
}
