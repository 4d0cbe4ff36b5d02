//! Counts open requests, so that a shutdown can wait for the last one, and end those that outstay it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Lists of those who wait for the cut, so that they seldom wait for one another.
const LANES: usize = 16;

/// Counts what is open, and tells when nothing is.
#[derive(Debug, Default)]
pub(in crate::proxy) struct OpenCount {
    count: AtomicUsize,
    none_left: Notify,
}

/// The requests that are open now.
#[derive(Debug, Default)]
pub(in crate::proxy) struct OpenRequests {
    tally: OpenCount,
    draining: AtomicBool,
    is_cut: AtomicBool,
    cut: [Notify; LANES],
}

/// One open request; dropping it closes it.
#[derive(Debug)]
pub(in crate::proxy) struct OpenRequest(CutSignal);

/// Tells an open request when it has to end at once.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct CutSignal {
    open: Arc<OpenRequests>,
    lane: usize,
}

impl OpenCount {
    /// Counts one more, unless `limit` are open already; returns how many others are.
    pub(in crate::proxy) fn enter(&self, limit: usize) -> Option<usize> {
        let one_more = |count: usize| Some(count + 1).filter(|count| *count <= limit);
        self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()
    }

    /// Takes back what [`OpenCount::enter`] counted.
    pub(in crate::proxy) fn leave(&self) {
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.none_left.notify_waiters();
        }
    }

    /// Returns how many are open.
    pub(in crate::proxy) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Waits until none is open.
    pub(in crate::proxy) async fn none(&self) {
        loop {
            let ended = self.none_left.notified();
            tokio::pin!(ended);
            ended.as_mut().enable(); // before the count is read, so that the last one is not missed
            if self.count() == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl OpenRequests {
    /// Counts a request until the returned guard is dropped.
    pub(in crate::proxy) fn enter(self: &Arc<Self>) -> OpenRequest {
        let others = self.tally.enter(usize::MAX).unwrap_or_default();
        OpenRequest(CutSignal { open: Arc::clone(self), lane: others % LANES })
    }

    /// Returns how many are open.
    pub(in crate::proxy) fn count(&self) -> usize {
        self.tally.count()
    }

    /// Returns whether connections are to be closed after their current request.
    pub(in crate::proxy) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// From now on connections close after their current request.
    pub(in crate::proxy) fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Tells every open request, and each that still comes, to end at once.
    pub(in crate::proxy) fn cut_off(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        self.cut.iter().for_each(Notify::notify_waiters);
    }

    /// Waits until none is open, after [`OpenRequests::start_draining`].
    pub(in crate::proxy) async fn drain(&self) {
        self.start_draining();
        self.tally.none().await;
    }
}

impl OpenRequest {
    /// Returns what tells when it has to end at once.
    pub(in crate::proxy) fn cut(&self) -> CutSignal {
        self.0.clone()
    }
}

impl CutSignal {
    /// Waits until the request has to end.
    pub(in crate::proxy) async fn fell(&self) {
        let told = self.open.cut[self.lane].notified();
        tokio::pin!(told);
        told.as_mut().enable(); // before the flag is read, so that the cut is not missed
        if !self.open.is_cut.load(Ordering::SeqCst) {
            told.await;
        }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.open.tally.leave();
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

    #[tokio::test]
    async fn the_cut_reaches_who_waits_for_it_and_who_comes_later() {
        let open = Arc::new(OpenRequests::default());
        let (waiting, later) = (open.enter(), open.enter());
        let told = tokio::spawn({
            let cut = waiting.cut();
            async move { cut.fell().await }
        });
        tokio::task::yield_now().await;
        assert!(!told.is_finished());

        open.cut_off();

        told.await.expect("it was told");
        later.cut().fell().await;
    }
}
