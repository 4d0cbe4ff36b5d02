//! The limits of what may be open at once: connections, requests, and bytes of request bodies in memory.
//!
//! Counters without locks; who holds a share gives it back by dropping it. What is over a limit is refused at once: a
//! queue in front of an overloaded proxy only adds its length to every answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pointsman_telemetry::{EdgeMetrics, RefusedConnection};

use super::drain::OpenCount;
use super::quiet::QuietEnd;
use crate::proxy::answer::rejection::Rejection;

/// The count of what is open now: connections, and bytes of bodies.
#[derive(Debug)]
pub(in crate::proxy) struct Admission {
    connections: OpenCount,
    h2_connections: OpenCount,
    bytes: AtomicUsize,
    /// The bytes of these that sessions keep between requests.
    kept: AtomicUsize,
    quiet_end: Arc<QuietEnd>,
    metrics: EdgeMetrics,
}

/// One open connection; dropping it closes it.
#[derive(Debug)]
pub(in crate::proxy) struct OpenConnection(Arc<Admission>);

/// One open connection that speaks HTTP/2; dropping it closes it.
#[derive(Debug)]
pub(in crate::proxy) struct OpenH2Connection(Arc<Admission>);

/// Memory that a request's body takes; dropping it gives it back.
#[derive(Debug)]
pub(in crate::proxy) struct BodyReservation {
    admission: Arc<Admission>,
    limit: usize,
    bytes: usize,
}

/// Memory that is kept between the requests of a session; dropping it gives it back. All sessions together have a share
/// of what requests may take, so that no number of them keeps requests out.
#[derive(Debug)]
pub(in crate::proxy) struct KeptMemory(BodyReservation);

/// The part of the memory of requests' bodies that all sessions together may keep: one in so many.
const KEPT_SHARE: usize = 4;

impl Admission {
    pub(in crate::proxy) fn new(metrics: EdgeMetrics) -> Self {
        Self {
            connections: OpenCount::default(),
            h2_connections: OpenCount::default(),
            bytes: AtomicUsize::new(0),
            kept: AtomicUsize::new(0),
            quiet_end: Arc::default(),
            metrics,
        }
    }

    /// Counts a connection, unless `limit` are open already.
    pub(in crate::proxy) fn connect(self: &Arc<Self>, limit: usize) -> Option<OpenConnection> {
        if self.connections.enter(limit).is_none() {
            self.metrics.refused(RefusedConnection::TooMany);
            return None;
        }
        self.metrics.connected();
        Some(OpenConnection(Arc::clone(self)))
    }

    /// Counts a connection that was closed before it brought a request.
    pub(in crate::proxy) fn refused(&self, reason: RefusedConnection) {
        self.metrics.refused(reason);
    }

    /// Counts a connection as one that speaks HTTP/2.
    pub(in crate::proxy) fn speaks_h2(self: &Arc<Self>) -> OpenH2Connection {
        self.h2_connections.enter(usize::MAX);
        OpenH2Connection(Arc::clone(self))
    }

    /// Returns the end of the connections over HTTP/1 that wait for a request.
    pub(in crate::proxy) const fn quiet_end(&self) -> &Arc<QuietEnd> {
        &self.quiet_end
    }

    /// Returns how many connections are open.
    pub(in crate::proxy) fn connections(&self) -> usize {
        self.connections.count()
    }

    /// Returns how many bytes of bodies are reserved.
    #[cfg(test)]
    pub(in crate::proxy) fn held(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Waits until no connection is open.
    pub(in crate::proxy) async fn drained(&self) {
        self.connections.none().await;
    }

    /// Waits until no connection that speaks HTTP/2 is open: what the last requests were answered is sent by then. Over
    /// HTTP/1 it is when a request is over.
    pub(in crate::proxy) async fn h2_drained(&self) {
        self.h2_connections.none().await;
    }
}

impl BodyReservation {
    /// Reserves nothing yet, and never more than all requests together may: `limit` bytes.
    pub(in crate::proxy) fn new(admission: &Arc<Admission>, limit: usize) -> Self {
        Self { admission: Arc::clone(admission), limit, bytes: 0 }
    }

    /// Checks whether `bytes` would fit now. Nothing is set aside: a client can announce more than it will ever send.
    ///
    /// # Errors
    /// [`Rejection::Overloaded`] when they would not.
    pub(in crate::proxy) fn fits(&self, bytes: usize) -> Result<(), Rejection> {
        let after = self.admission.bytes.load(Ordering::Relaxed).saturating_add(bytes);
        if after > self.limit { Err(Rejection::Overloaded) } else { Ok(()) }
    }

    /// Reserves `bytes` in all; less than are reserved already changes nothing.
    ///
    /// # Errors
    /// [`Rejection::Overloaded`] when they do not fit.
    pub(in crate::proxy) fn cover(&mut self, bytes: usize) -> Result<(), Rejection> {
        let more = bytes.saturating_sub(self.bytes);
        if !reserve(&self.admission.bytes, more, self.limit) {
            return Err(Rejection::Overloaded);
        }
        self.bytes += more;
        self.admission.metrics.held(more);
        Ok(())
    }

    /// Gives back what is reserved beyond `bytes`.
    pub(in crate::proxy) fn settle(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        if less > 0 {
            self.bytes -= less;
            self.admission.bytes.fetch_sub(less, Ordering::Relaxed);
            self.admission.metrics.released(less);
        }
    }

    /// Returns how many bytes are reserved.
    pub(in crate::proxy) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps `bytes` of what is reserved beyond the request, unless the sessions keep too much already.
    pub(in crate::proxy) fn kept(mut self, bytes: usize) -> Option<KeptMemory> {
        self.cover(bytes).ok()?;
        self.settle(bytes);
        let fits = reserve(&self.admission.kept, bytes, self.limit / KEPT_SHARE);
        fits.then(|| KeptMemory(self))
    }
}

impl KeptMemory {
    /// Returns how many bytes are kept.
    pub(in crate::proxy) const fn bytes(&self) -> usize {
        self.0.bytes
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.metrics.disconnected();
        self.0.connections.leave();
    }
}

impl Drop for OpenH2Connection {
    fn drop(&mut self) {
        self.0.h2_connections.leave();
    }
}

impl Drop for KeptMemory {
    fn drop(&mut self) {
        self.0.admission.kept.fetch_sub(self.0.bytes, Ordering::Relaxed);
    }
}

impl Drop for BodyReservation {
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
    use pointsman_telemetry::Metrics;

    use super::*;

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
    fn sessions_keep_a_share_of_what_requests_may_take() {
        let admission = admission();
        let memory = || BodyReservation::new(&admission, 40);
        let mut larger = memory();
        larger.cover(30).expect("room");
        let kept = larger.kept(8).expect("room");
        assert_eq!((kept.bytes(), admission.held()), (8, 8), "what is not kept is given back");

        assert!(memory().kept(3).is_none());
        assert_eq!(admission.held(), 8);
        let other = memory().kept(2).expect("the rest of the share");
        assert_eq!(memory().cover(30), Ok(()), "requests have what is left");

        drop((kept, other));
        assert!(memory().kept(10).is_some());
        assert_eq!(admission.held(), 0);
    }

    #[test]
    fn bytes_are_reserved_up_to_the_limit_of_all_and_given_back() {
        let admission = admission();
        let (mut one, mut other) = (BodyReservation::new(&admission, 10), BodyReservation::new(&admission, 10));
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
