//! Counts open requests, so that a shutdown can wait for the last one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The requests that are open now.
#[derive(Debug, Default)]
pub(super) struct OpenRequests {
    count: AtomicUsize,
    draining: AtomicBool,
    none_left: Notify,
}

/// One open request; dropping it closes it.
#[derive(Debug)]
pub(super) struct OpenRequest(Arc<OpenRequests>);

impl OpenRequests {
    /// Counts a request until the returned guard is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> OpenRequest {
        self.count.fetch_add(1, Ordering::AcqRel);
        OpenRequest(Arc::clone(self))
    }

    /// Returns how many are open.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Returns whether connections are to be closed after their current request.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// From now on connections close after their current request.
    pub(super) fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Waits until none is open, after [`OpenRequests::start_draining`].
    pub(super) async fn drain(&self) {
        self.start_draining();
        loop {
            let ended = self.none_left.notified();
            tokio::pin!(ended);
            ended.as_mut().enable(); // before the count is read, so that the last request is not missed
            if self.count() == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none_left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_ends_with_the_last_open_request() {
        let open = Arc::new(OpenRequests::default());
        let (first, second) = (open.enter(), open.enter());
        let drained = tokio::spawn({
            let open = Arc::clone(&open);
            async move { open.drain().await }
        });

        drop(first);
        tokio::task::yield_now().await;
        assert!(!drained.is_finished());
        drop(second);

        drained.await.expect("the drain ends");
        assert!(open.is_draining());
    }
}
