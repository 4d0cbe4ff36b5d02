//! How much may be open at once: connections, requests, and bytes of request bodies in memory.
//!
//! Counters without locks; who holds a share gives it back by dropping it. What is over a limit is refused at once: a
//! queue in front of an overloaded proxy only adds its length to every answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::rejection::Rejection;
use crate::telemetry::EdgeMetrics;

/// What is open now.
#[derive(Debug)]
pub(super) struct Admission {
    connections: AtomicUsize,
    bytes: AtomicUsize,
    last_closed: Notify,
    metrics: EdgeMetrics,
}

/// One open connection; dropping it closes it.
#[derive(Debug)]
pub(super) struct OpenConnection(Arc<Admission>);

/// Memory that a request's body takes; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Held {
    admission: Arc<Admission>,
    limit: usize,
    bytes: usize,
}

impl Admission {
    pub(super) fn new(metrics: EdgeMetrics) -> Self {
        Self { connections: AtomicUsize::new(0), bytes: AtomicUsize::new(0), last_closed: Notify::new(), metrics }
    }

    /// Counts a connection, unless `limit` are open already.
    pub(super) fn connect(self: &Arc<Self>, limit: usize) -> Option<OpenConnection> {
        let has_room = reserve(&self.connections, 1, limit);
        has_room.then(|| {
            self.metrics.connected();
            OpenConnection(Arc::clone(self))
        })
    }

    /// Returns how many connections are open.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    /// Waits until no connection is open.
    pub(super) async fn drained(&self) {
        loop {
            let closed = self.last_closed.notified();
            tokio::pin!(closed);
            closed.as_mut().enable(); // before the count is read, so that the last one is not missed
            if self.connections() == 0 {
                return;
            }
            closed.await;
        }
    }
}

impl Held {
    /// Holds nothing yet, and never more than all requests together may: `limit` bytes.
    pub(super) fn new(admission: &Arc<Admission>, limit: usize) -> Self {
        Self { admission: Arc::clone(admission), limit, bytes: 0 }
    }

    /// Checks whether `bytes` would fit now. Nothing is set aside: a client can announce more than it will ever send.
    ///
    /// # Errors
    /// [`Rejection::Overloaded`] when they would not.
    pub(super) fn fits(&self, bytes: usize) -> Result<(), Rejection> {
        let after = self.admission.bytes.load(Ordering::Relaxed).saturating_add(bytes);
        if after > self.limit { Err(Rejection::Overloaded) } else { Ok(()) }
    }

    /// Holds `bytes` in all; less than are held already changes nothing.
    ///
    /// # Errors
    /// [`Rejection::Overloaded`] when they do not fit.
    pub(super) fn cover(&mut self, bytes: usize) -> Result<(), Rejection> {
        let more = bytes.saturating_sub(self.bytes);
        if !reserve(&self.admission.bytes, more, self.limit) {
            return Err(Rejection::Overloaded);
        }
        self.bytes += more;
        self.admission.metrics.held(more);
        Ok(())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.metrics.disconnected();
        if self.0.connections.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.last_closed.notify_waiters();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.admission.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.admission.metrics.released(self.bytes);
    }
}

fn reserve(counter: &AtomicUsize, amount: usize, limit: usize) -> bool {
    let add = |now: usize| now.checked_add(amount).filter(|after| *after <= limit);
    amount == 0 || counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    fn admission() -> Arc<Admission> {
        Arc::new(Admission::new(Metrics::new().edge()))
    }

    #[test]
    fn the_last_connection_fits_and_one_more_does_not_until_one_closes() {
        let admission = admission();
        let first = admission.connect(2).expect("the first");
        let _second = admission.connect(2).expect("the second");

        assert!(admission.connect(2).is_none());
        drop(first);

        assert!(admission.connect(2).is_some());
        assert_eq!(admission.connections(), 1);
    }

    #[test]
    fn bytes_are_held_up_to_the_limit_of_all_and_given_back() {
        let admission = admission();
        let (mut one, mut other) = (Held::new(&admission, 10), Held::new(&admission, 10));
        one.cover(6).expect("room");

        assert_eq!([other.fits(4), other.fits(5)], [Ok(()), Err(Rejection::Overloaded)]);
        assert_eq!([other.cover(5), other.cover(4), other.cover(3)], [Err(Rejection::Overloaded), Ok(()), Ok(())]);
        assert_eq!(one.cover(7), Err(Rejection::Overloaded));
        drop(other);

        assert_eq!(one.cover(10), Ok(()));
        drop(one);
        assert_eq!(admission.bytes.load(Ordering::Relaxed), 0);
    }
}
