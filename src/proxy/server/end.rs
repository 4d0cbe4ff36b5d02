//! The end of a server: when it stops listening, closes what is idle, and cuts off what is left.
//!
//! ```text
//! shutdown  |-- at least `drain_min`, and until no request is open --|-- the door is closed --|
//! upgrade   |-- the next process accepts --------------------------------------------------------|
//!           answers say that they are the last of their connection  what is quiet closes   what is left is told
//! ```
//!
//! Load balancers need time to notice, and connections end with an answer, not amid a request. So nothing is refused and
//! nothing idle is closed until the shortest drain is over and no request is open; where requests never cease, until
//! half of `drain` has passed, which bounds it all.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::backlog::ListenerHandles;
use crate::proxy::downstream::admission::Admission;
use crate::proxy::downstream::drain::OpenRequests;
use crate::router::Router;

/// The time that a connection that was accepted last may take to be counted: its TLS handshake, above all. And the time
/// that one that speaks HTTP/2 may take to end, once its requests are over.
const SETTLE: Duration = Duration::from_secs(1);

/// The time that a connection without TLS may take from its first segment until it is counted.
const SETTLE_PLAIN: Duration = Duration::from_millis(250);

/// The time that requests that are cut off may take over their last words.
const FAREWELL: Duration = Duration::from_secs(3);

/// The part of a drain that is kept for those who were let in, where requests never cease: one half.
const RESERVE: u32 = 2;

/// The end that a proxy was told to come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerEnd {
    NotYet,
    /// By an orchestrator, whose load balancers are still to notice.
    Shutdown,
    /// By someone who waits for it.
    Interrupt,
    /// Another process has the listeners.
    Upgrade,
    /// Now, whatever is open.
    AtOnce,
}

/// Ends the server once it was told to and what is open is over.
pub(super) struct DrainSignal {
    pub(super) asked: watch::Receiver<ServerEnd>,
    pub(super) open: Arc<OpenRequests>,
    pub(super) admission: Arc<Admission>,
    pub(super) router: Arc<Router>,
    pub(super) listeners: ListenerHandles,
    pub(super) has_tls: bool,
    pub(super) phases: DrainPhases,
}

/// The phases of a drain, as connections and listeners are told of them.
pub(super) struct DrainPhases {
    /// Connections that are open end with their requests.
    pub(super) closing: watch::Sender<bool>,
    /// So do those that came later.
    pub(super) last_call: watch::Sender<bool>,
    /// Nothing is accepted any more.
    pub(super) retired: watch::Sender<bool>,
}

/// The moments of a drain.
#[derive(Debug, Clone, Copy)]
struct DrainSchedule {
    shortest: Instant,
    last_entry: Instant,
    end: Instant,
}

impl DrainSchedule {
    fn new(shortest: Duration, longest: Duration) -> Self {
        let now = Instant::now();
        let end = now + longest;
        let shortest = (now + shortest).min(end);
        Self { shortest, last_entry: shortest.max(end - longest / RESERVE), end }
    }
}

#[async_trait]
impl ShutdownSignalWatch for DrainSignal {
    async fn recv(&self) -> ShutdownSignal {
        let mut asked = self.asked.clone();
        // An error means that `RunningProxy` was dropped, and nobody is left who could ask.
        let end = asked.wait_for(|asked| *asked != ServerEnd::NotYet).await.map_or(ServerEnd::AtOnce, |end| *end);
        let hurried = async { drop(asked.wait_for(|asked| *asked == ServerEnd::AtOnce).await) };
        tokio::select! {
            biased;
            () = hurried => {}
            () = self.drain(end) => {}
        }
        self.cut_off().await;
        // A client that does not read is not waited for.
        let _ = timeout(SETTLE, self.admission.h2_drained()).await;
        ShutdownSignal::FastShutdown
    }
}

impl DrainSignal {
    /// Waits until nothing is open, for as long as a drain may last.
    async fn drain(&self, end: ServerEnd) {
        let limits = &self.router.snapshot().config.limits;
        let shortest = if end == ServerEnd::Shutdown { limits.drain_min.0 } else { Duration::ZERO };
        let schedule = DrainSchedule::new(shortest, limits.drain.0);
        let _ = self.phases.closing.send(true); // nobody listens when no connection was ever made
        let is_over = async {
            if end == ServerEnd::Upgrade { self.leave_to_next(schedule).await } else { self.close(schedule).await }
        };
        if timeout_at(schedule.end, is_over).await.is_err() && self.open.count() == 0 {
            tracing::info!(open = self.admission.connections(), "Idle connections are closed");
        }
    }

    /// Serves on until load balancers have noticed and no request is open; then lets nobody in, and waits for who is in.
    async fn close(&self, schedule: DrainSchedule) {
        sleep_until(schedule.shortest).await;
        let _ = timeout_at(schedule.last_entry, self.open.drain()).await;
        self.listeners.close_door();
        let _ = self.phases.last_call.send(true);
        sleep(if self.has_tls { SETTLE } else { SETTLE_PLAIN }).await; // who is in the door
        self.admission.quiet_end().begin();
        self.admission.drained().await;
    }

    /// Accepts nothing more, and waits for what is open; what is idle may bring one more request until near the end.
    async fn leave_to_next(&self, schedule: DrainSchedule) {
        let _ = self.phases.retired.send(true);
        let _ = self.phases.last_call.send(true);
        let settled = Instant::now() + SETTLE;
        let is_over = async {
            self.open.drain().await;
            sleep_until(settled).await;
            self.admission.drained().await;
        };
        if timeout_at(schedule.last_entry, is_over).await.is_err() {
            self.admission.quiet_end().begin();
            self.admission.drained().await;
        }
    }

    /// Tells those whose requests are left that this is the end.
    async fn cut_off(&self) {
        if self.open.count() == 0 {
            return;
        }
        tracing::warn!(open = self.open.count(), "Requests are still open at the end of the drain: they are cut off");
        self.open.cut_off();
        if timeout(FAREWELL, self.open.drain()).await.is_err() {
            tracing::warn!(open = self.open.count(), "Requests could not be told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_longest_drain_bounds_the_shortest_and_half_of_it_is_kept_for_who_was_let_in() {
        let after = |shortest, longest| {
            let seconds = Duration::from_secs;
            let (now, schedule) = (Instant::now(), DrainSchedule::new(seconds(shortest), seconds(longest)));
            [schedule.shortest, schedule.last_entry, schedule.end].map(|moment| (moment - now).as_secs())
        };

        assert_eq!(after(5, 30), [5, 15, 30]);
        assert_eq!(after(20, 30), [20, 20, 30]);
        assert_eq!(after(60, 16), [16, 16, 16]);
        assert_eq!(after(0, 0), [0, 0, 0]);
    }
}
