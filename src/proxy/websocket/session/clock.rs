//! The times of a session: of its next ping, of its silence, of its end.

use std::time::Duration;

use pointsman_core::config::TrafficLimits;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::incoming::MeteredStream;

/// The shortest and the longest time between two looks at the clock.
const LOOKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(5));

/// The pings that a client may leave unanswered.
const UNANSWERED: u32 = 2;

/// The clock of a session.
#[derive(Debug)]
pub(super) struct SessionClock {
    looks: Interval,
    times: SessionTimes,
    began: Instant,
    /// The moment at which a message or an answer was there last.
    active: Instant,
    pinged: Instant,
    unanswered: u32,
}

#[derive(Debug)]
struct SessionTimes {
    ping: Duration,
    idle: Duration,
    max_session: Duration,
    message: Duration,
    message_pause: Duration,
}

/// A time that is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeUp {
    /// The client is to be asked for a sign of life.
    Ping,
    /// It has given none.
    HalfOpen,
    Idle,
    MaxSession,
    /// A message takes too long.
    SlowMessage,
}

impl SessionClock {
    pub(super) fn new(limits: &TrafficLimits) -> Self {
        let socket = &limits.websocket;
        let times = SessionTimes {
            ping: socket.ping.0,
            idle: socket.idle.0,
            max_session: socket.max_session.0,
            message: limits.body.0,
            message_pause: limits.body_idle.0,
        };
        let shortest = times.ping.min(times.idle).min(times.max_session).min(times.message).min(times.message_pause);
        let mut looks = interval((shortest / 4).clamp(LOOKS.0, LOOKS.1));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        Self { looks, times, began: now, active: now, pinged: now, unanswered: 0 }
    }

    /// Returns the moment at which the session has lasted for as long as one may.
    pub(super) fn ends(&self) -> Instant {
        self.began + self.times.max_session
    }

    /// Waits until it is time to look again.
    pub(super) async fn tick(&mut self) {
        self.looks.tick().await;
    }

    /// Notes a message of any kind: the client lives.
    pub(super) const fn heard(&mut self) {
        self.unanswered = 0;
    }

    /// Notes a request, or something of an answer.
    pub(super) fn active(&mut self) {
        self.active = Instant::now();
    }

    /// Returns the time that is up, if one is; `is_busy` says that an answer is due.
    pub(super) fn look(&mut self, stream: &MeteredStream, is_busy: bool) -> Option<TimeUp> {
        let (now, times) = (Instant::now(), &self.times);
        if let Some(since) = stream.since()
            && (now - since > times.message || now - stream.last() > times.message_pause)
        {
            return Some(TimeUp::SlowMessage);
        }
        if now - self.began > times.max_session {
            return Some(TimeUp::MaxSession);
        }
        if !is_busy && stream.since().is_none() && now - self.active > times.idle {
            return Some(TimeUp::Idle);
        }
        if now - self.pinged < times.ping {
            return None;
        }
        if stream.last() > self.pinged {
            self.unanswered = 0; // amid a long message no pong comes
        }
        if self.unanswered >= UNANSWERED {
            return Some(TimeUp::HalfOpen);
        }
        self.unanswered += 1;
        self.pinged = now;
        Some(TimeUp::Ping)
    }
}
