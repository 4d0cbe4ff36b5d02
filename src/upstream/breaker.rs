//! A circuit breaker: closed -> open for a backoff -> half-open, a few trials -> closed, or open for twice as long.
//!
//! Pure: the time is an argument. Every change of state begins a new epoch, and a report from an older one is ignored:
//! a request that was in flight when the peer was ejected says nothing about how it fares now.

use std::time::Duration;

use pointsman_core::config::PeerBreaker as Settings;
use pointsman_telemetry::EjectionCause;
use tokio::time::Instant;

/// The state of one peer's circuit.
#[derive(Debug)]
pub(super) struct CircuitBreaker {
    state: CircuitState,
    epoch: u64,
    /// Ejections since the peer was last well for long; the next backoff is doubled so often.
    trips: u32,
    closed_at: Option<Instant>,
}

/// How a circuit stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CircuitStand {
    /// Requests go through.
    Closed,
    /// Nothing goes through until then; the circuit has opened so often since the peer was well.
    Open { until: Instant, trips: u32 },
    /// A few trials go through.
    HalfOpen { trips: u32 },
}

/// Lets one request through, and ties its report to the state that let it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BreakerTicket {
    pub(super) epoch: u64,
    /// True when the request holds one of the half-open state's trials.
    pub(super) trial: bool,
}

#[derive(Debug)]
enum CircuitState {
    Closed { run: u32, window: FailureWindow },
    Open { until: Instant },
    HalfOpen { trials: u32, passed: u32 },
}

/// Counts over a stretch of time that starts with a request; the next one starts when it has passed.
#[derive(Debug, Default)]
struct FailureWindow {
    since: Option<Instant>,
    requests: u32,
    failures: u32,
}

impl CircuitBreaker {
    pub(super) fn new() -> Self {
        Self { state: CircuitState::closed(), epoch: 0, trips: 0, closed_at: None }
    }

    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.state, CircuitState::Closed { .. })
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns how it stands: how often it has opened lately, and until when it lets nothing through.
    pub(super) const fn stand(&self) -> CircuitStand {
        match self.state {
            CircuitState::Closed { .. } => CircuitStand::Closed,
            CircuitState::Open { until } => CircuitStand::Open { until, trips: self.trips },
            CircuitState::HalfOpen { .. } => CircuitStand::HalfOpen { trips: self.trips },
        }
    }

    /// Tells whether a request would be let through now.
    pub(super) fn would_admit(&self, now: Instant, settings: &Settings) -> bool {
        match self.state {
            CircuitState::Closed { .. } => true,
            CircuitState::Open { until } => now >= until,
            CircuitState::HalfOpen { trials, passed } => trials + passed < settings.probes,
        }
    }

    /// Lets a request through, if the state allows it: any while closed, a bounded number of trials after the backoff.
    pub(super) fn admit(&mut self, now: Instant, settings: &Settings) -> Option<BreakerTicket> {
        if !self.would_admit(now, settings) {
            return None;
        }
        if matches!(self.state, CircuitState::Open { .. }) {
            self.enter(CircuitState::HalfOpen { trials: 0, passed: 0 });
        }
        let trial = match &mut self.state {
            CircuitState::HalfOpen { trials, .. } => {
                *trials += 1;
                true
            }
            _ => false,
        };
        Some(BreakerTicket { epoch: self.epoch, trial })
    }

    /// Lets a request through in any state, because there is nowhere else to go.
    pub(super) const fn force(&self) -> BreakerTicket {
        BreakerTicket { epoch: self.epoch, trial: false }
    }

    /// Notes a success; one that was forced through an open circuit closes it.
    pub(super) fn succeeded(&mut self, ticket: BreakerTicket, now: Instant, settings: &Settings) {
        if ticket.epoch != self.epoch {
            return;
        }
        match &mut self.state {
            CircuitState::Closed { run, window } => {
                *run = 0;
                window.count(now, settings, 0);
            }
            CircuitState::Open { .. } => self.close(now),
            CircuitState::HalfOpen { trials, passed } => {
                *trials -= u32::from(ticket.trial);
                *passed += 1;
                if *passed >= settings.probes {
                    self.close(now);
                }
            }
        }
    }

    /// Notes a failure; returns why the peer is ejected, when this one was too many.
    pub(super) fn failed(&mut self, ticket: BreakerTicket, now: Instant, settings: &Settings) -> Option<EjectionCause> {
        if ticket.epoch != self.epoch {
            return None;
        }
        let cause = match &mut self.state {
            CircuitState::Closed { run, window } => {
                *run += 1;
                window.count(now, settings, 1);
                if *run >= settings.consecutive_failures {
                    EjectionCause::ConsecutiveFailures
                } else if window.is_bad(settings) {
                    EjectionCause::FailureRatio
                } else {
                    return None;
                }
            }
            CircuitState::Open { .. } => return None,
            CircuitState::HalfOpen { .. } => EjectionCause::TrialFailed,
        };
        self.open(now, settings);
        Some(cause)
    }

    /// Notes that a request ended without saying anything about the peer: its trial may be given to another.
    pub(super) fn cancelled(&mut self, ticket: BreakerTicket) {
        if let CircuitState::HalfOpen { trials, .. } = &mut self.state
            && ticket.trial
            && ticket.epoch == self.epoch
        {
            *trials -= 1;
        }
    }

    fn open(&mut self, now: Instant, settings: &Settings) {
        if self.closed_at.is_some_and(|at| now - at > settings.max_backoff.0) {
            self.trips = 0; // it was well for longer than it could have been ejected
        }
        let backoff = backoff(settings, self.trips);
        self.trips = self.trips.saturating_add(1);
        self.closed_at = None;
        self.enter(CircuitState::Open { until: now + backoff });
    }

    fn close(&mut self, now: Instant) {
        self.closed_at = Some(now);
        self.enter(CircuitState::closed());
    }

    fn enter(&mut self, state: CircuitState) {
        self.state = state;
        self.epoch += 1;
    }
}

impl CircuitState {
    fn closed() -> Self {
        Self::Closed { run: 0, window: FailureWindow::default() }
    }
}

impl FailureWindow {
    fn count(&mut self, now: Instant, settings: &Settings, failures: u32) {
        if self.since.is_none_or(|since| now - since >= settings.window.0) {
            *self = Self { since: Some(now), requests: 0, failures: 0 };
        }
        self.requests = self.requests.saturating_add(1);
        self.failures = self.failures.saturating_add(failures);
    }

    fn is_bad(&self, settings: &Settings) -> bool {
        self.requests >= settings.min_requests
            && f64::from(self.failures) >= settings.failure_ratio.get() * f64::from(self.requests)
    }
}

fn backoff(settings: &Settings, trips: u32) -> Duration {
    let factor = 1_u32.checked_shl(trips).unwrap_or(u32::MAX);
    settings.backoff.0.saturating_mul(factor).min(settings.max_backoff.0)
}

#[cfg(test)]
mod tests {
    use pointsman_core::config::TimeSpan;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn settings() -> Settings {
        Settings { consecutive_failures: 3, min_requests: 10, probes: 2, ..Settings::default() }
    }

    /// Opens a breaker by failures in a row.
    fn opened(now: Instant) -> CircuitBreaker {
        let mut breaker = CircuitBreaker::new();
        for _ in 0..3 {
            breaker.failed(breaker.force(), now, &settings());
        }
        assert!(!breaker.is_closed());
        breaker
    }

    /// Lets one trial through and fails it.
    fn fail_trial(breaker: &mut CircuitBreaker, now: Instant, settings: &Settings) {
        let ticket = breaker.admit(now, settings).expect("the backoff is over");
        assert_eq!(breaker.failed(ticket, now, settings), Some(EjectionCause::TrialFailed));
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        let (mut breaker, now) = (CircuitBreaker::new(), Instant::now());

        for _ in 0..2 {
            assert_eq!(breaker.failed(breaker.force(), now, &settings()), None);
        }
        breaker.succeeded(breaker.force(), now, &settings());
        for _ in 0..2 {
            assert_eq!(breaker.failed(breaker.force(), now, &settings()), None);
        }

        let third = breaker.failed(breaker.force(), now, &settings());
        assert_eq!(third, Some(EjectionCause::ConsecutiveFailures));
    }

    #[test]
    fn a_share_of_failures_opens_it_once_there_are_enough_requests() {
        let (mut breaker, now) = (CircuitBreaker::new(), Instant::now());

        let mut causes = Vec::new();
        for _ in 0..5 {
            breaker.succeeded(breaker.force(), now, &settings());
            causes.push(breaker.failed(breaker.force(), now, &settings()));
        }

        assert_eq!(causes, [None, None, None, None, Some(EjectionCause::FailureRatio)]);
    }

    #[test]
    fn failures_of_a_window_that_has_passed_are_forgotten() {
        let (mut breaker, mut now) = (CircuitBreaker::new(), Instant::now());

        for _ in 0..20 {
            breaker.succeeded(breaker.force(), now, &settings());
            assert_eq!(breaker.failed(breaker.force(), now, &settings()), None);
            now += 5 * SECOND;
        }
    }

    #[test]
    fn nothing_is_let_through_before_the_backoff_is_over() {
        let now = Instant::now();
        let mut breaker = opened(now);

        assert_eq!(breaker.admit(now + SECOND - Duration::from_nanos(1), &settings()), None);

        assert!(breaker.admit(now + SECOND, &settings()).is_some_and(|ticket| ticket.trial));
    }

    #[test]
    fn a_bounded_number_of_trials_is_let_through_and_all_must_pass() {
        let now = Instant::now();
        let mut breaker = opened(now);

        let trials = [0, 1, 2].map(|_| breaker.admit(now + SECOND, &settings()));
        let [Some(first), Some(second), None] = trials else { panic!("{trials:?}") };
        breaker.succeeded(first, now + SECOND, &settings());
        assert!(!breaker.is_closed() && breaker.admit(now + SECOND, &settings()).is_none());
        breaker.succeeded(second, now + SECOND, &settings());

        assert!(breaker.is_closed());
    }

    #[test]
    fn a_trial_that_was_cancelled_is_given_to_another() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let (first, _second) = (breaker.admit(now + SECOND, &settings()), breaker.admit(now + SECOND, &settings()));

        breaker.cancelled(first.expect("let through"));

        assert!(breaker.admit(now + SECOND, &settings()).is_some());
        assert!(breaker.admit(now + SECOND, &settings()).is_none());
    }

    #[test]
    fn each_trial_that_fails_doubles_the_backoff_up_to_its_cap() {
        let settings = Settings { max_backoff: TimeSpan::from_secs(4), ..settings() };
        let mut now = Instant::now();
        let mut breaker = opened(now);

        let mut waited = Vec::new();
        for _ in 0..4 {
            let seconds = (1..=10).find(|n| breaker.would_admit(now + *n * SECOND, &settings)).expect("an end");
            waited.push(seconds);
            now += seconds * SECOND;
            fail_trial(&mut breaker, now, &settings);
        }

        assert_eq!(waited, [1, 2, 4, 4]);
        assert_eq!(backoff(&settings, 31), 4 * SECOND);
        assert_eq!(backoff(&settings, 32), 4 * SECOND);
    }

    #[test]
    fn a_peer_that_was_well_for_long_starts_with_a_short_backoff_again() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        now += SECOND;
        fail_trial(&mut breaker, now, &settings());
        breaker.succeeded(breaker.force(), now, &settings());
        assert!(breaker.is_closed());

        now += 61 * SECOND;
        for _ in 0..3 {
            breaker.failed(breaker.force(), now, &settings());
        }

        assert!(breaker.would_admit(now + SECOND, &settings()));
    }

    #[test]
    fn a_report_of_a_request_from_before_the_ejection_changes_nothing() {
        let now = Instant::now();
        let mut breaker = CircuitBreaker::new();
        let before = breaker.force();
        for _ in 0..3 {
            breaker.failed(breaker.force(), now, &settings());
        }

        breaker.succeeded(before, now, &settings());

        assert!(!breaker.is_closed());
    }

    #[test]
    fn a_success_that_was_forced_through_closes_it() {
        let now = Instant::now();
        let mut breaker = opened(now);

        breaker.succeeded(breaker.force(), now, &settings());

        assert!(breaker.is_closed());
    }
}
