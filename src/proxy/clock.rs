//! The moments of one request that its durations are measured between.

use std::time::Duration;

use tokio::time::Instant;

/// The moments of one request that its durations are measured between.
#[derive(Debug)]
pub(super) struct RequestClock {
    /// The moment in which the request's header was read.
    started: Instant,
    /// The moment in which the last byte of a body that is read had come.
    received: Option<Instant>,
    /// The time that Pointsman added before the first attempt: everything but the wait for the client's own bytes.
    overhead: Duration,
    /// The moment in which the first byte of the client's answer came.
    first_byte: Option<Instant>,
}

impl RequestClock {
    /// Starts with the request's header.
    pub(super) fn start() -> Self {
        Self { started: Instant::now(), received: None, overhead: Duration::ZERO, first_byte: None }
    }

    /// Marks the end of the client's body, and returns it.
    pub(super) fn body_received(&mut self) -> Instant {
        *self.received.insert(Instant::now())
    }

    /// Marks the moment in which the request is ready to be sent.
    pub(super) fn decided(&mut self) {
        self.overhead = self.received.map_or(Duration::ZERO, |received| received.elapsed());
    }

    /// Marks the first byte of the answer that the client gets; returns how long it took.
    pub(super) fn first_byte_arrived(&mut self) -> Duration {
        self.first_byte = Some(Instant::now());
        self.elapsed()
    }

    /// Marks the moment in which the client's answer went out.
    pub(super) const fn first_byte_at(&mut self, at: Instant) {
        self.first_byte = Some(at);
    }

    /// Forgets the first byte of an answer that the client does not get after all.
    pub(super) const fn answer_withdrawn(&mut self) {
        self.first_byte = None;
    }

    /// Returns how long after the request's header `moment` was.
    pub(super) fn until(&self, moment: Instant) -> Duration {
        moment.duration_since(self.started)
    }

    /// Returns how long the request has taken so far.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Returns what Pointsman added before the first attempt.
    pub(super) const fn overhead(&self) -> Duration {
        self.overhead
    }

    /// Returns how long the client's answer took to begin; `None` while it has not.
    pub(super) fn first_byte(&self) -> Option<Duration> {
        self.first_byte.map(|at| at.duration_since(self.started))
    }
}
