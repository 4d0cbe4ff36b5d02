//! The closed loop: where a threshold must stand so that a target is held. The gateway runs it
//! (`router::control_loops`), freezes it on drift, and shares it between replicas.
//!
//! Feed-forward and feedback. The threshold is the quantile of an exponentially weighted histogram of the scores at
//! which the wanted share lies above it, less what rules, pins and constraints send to the strong models anyway. What
//! is still missing or too much is kept as a debt in requests and paid back over the next `HORIZON` of them: the
//! stochastic approximation of a quantile (Robbins and Monro 1951), whose realised share is off by no more than the
//! debt over the number of requests, whatever the scores do (Gibbs and Candes 2021, *Adaptive Conformal Inference Under
//! Distribution Shift*, proposition 4.1). Damped in three ways: the debt never asks for more than `MOST_DEBT` of the
//! requests, the threshold moves by `STEP` at most every `EVERY` requests, and not before `LEAST` scores are known. A
//! score that very many prompts share cannot be split by a threshold; then it stands above and below that score in
//! turn, as the debt says.
//!
//! For a cost, a request counts as strong by how far its cost lies from the weaker model's towards the stronger one's.

mod histogram;
mod tally;

use serde::{Deserialize, Serialize};

pub use self::tally::{AnswerBill, TrafficTally};
use super::target::{ControlTarget, TargetObservation};
use crate::config::TargetQuantity;

/// Requests after which a request weighs 1/e, and scores after which a score does.
const MEMORY: f64 = 400.0;

/// Requests over which a debt is paid back.
const HORIZON: f64 = 500.0;

/// The largest share of the requests that pays a debt back.
const MOST_DEBT: f64 = 0.1;

/// The largest step of the threshold.
const STEP: f64 = 0.02;

/// Requests after which the threshold moves.
const EVERY: f64 = 10.0;

/// Scores that must be known before it moves.
const LEAST: f64 = 100.0;

/// Seconds after which spending weighs 1/e in the rate of requests.
const RATE_MEMORY: f64 = 600.0;

/// The controller of a policy's threshold: the threshold itself, and the traffic that moves it. Replicas may share it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThresholdControl {
    /// The threshold at present.
    pub threshold: f64,
    /// Requests for the strong models that are owed (above 0), or too many (below).
    debt: f64,
    known: TrafficTally,
    /// Billed requests, and the seconds that they came in; of the last minutes, `RATE_MEMORY` seconds at most.
    rate: [f64; 2],
    /// The time at which `rate` was brought up to date, in seconds since 1970.
    at: f64,
    /// The number of requests in all.
    count: f64,
    /// The number of requests between two looks at what the other replicas know.
    lag: f64,
}

impl ThresholdControl {
    /// Starts at the configured threshold, knowing nothing.
    #[must_use]
    pub fn new(target: &ControlTarget, now: f64) -> Self {
        let threshold = target.start.clamp(target.bounds[0], target.bounds[1]);
        Self { threshold, debt: 0.0, known: TrafficTally::default(), rate: [0.0; 2], at: now, count: 0.0, lag: 0.0 }
    }

    /// Adds a decision to `tally`, which is folded in later.
    pub fn observe(&self, tally: &mut TrafficTally, target: &ControlTarget, observed: TargetObservation) {
        tally.decided(observed);
        if let TargetQuantity::Share(share) = target.aim {
            tally.owe(share - f64::from(u8::from(observed.is_strong)));
        }
    }

    /// Adds what an answer cost to `tally`, which is folded in later.
    pub fn bill(&self, tally: &mut TrafficTally, target: &ControlTarget, bill: AnswerBill) {
        tally.billed(bill);
        if let (Some(wanted), Some([below, above])) = (self.cost_per_request(target), self.known.costs()) {
            tally.owe(((wanted - bill.paid) / (above - below)).clamp(-HORIZON, HORIZON));
        }
    }

    /// Returns whether so much has come together in `tally` that it is to be folded in.
    #[must_use]
    pub fn is_due(tally: &TrafficTally) -> bool {
        tally.requests() >= EVERY
    }

    /// Takes a tally in, what was known before weighing less by it.
    pub fn fold(&mut self, tally: &TrafficTally, now: f64) {
        self.known.fade(tally, MEMORY);
        self.known.add(tally);
        self.count += tally.requests();
        let most = MOST_DEBT * self.horizon();
        self.debt = (self.debt + tally.owed()).clamp(-most, most);
        let passed = (now - self.at).max(0.0);
        let keep = (-passed / RATE_MEMORY).exp();
        // The time passed fades while it passes: an idle night is no budget to be spent in the morning.
        self.rate = [self.rate[0] * keep + tally.bills(), self.rate[1] * keep + RATE_MEMORY * (1.0 - keep)];
        self.at = self.at.max(now);
    }

    /// Moves the threshold one step towards where it holds the target.
    pub fn step(&mut self, target: &ControlTarget) {
        let Some(goal) = self.goal(target) else { return };
        let goal = goal.clamp(target.bounds[0], target.bounds[1]);
        let way = goal - self.threshold;
        // Arrives exactly: a sum may end a rounding error beyond a bound.
        self.threshold = if way.abs() <= STEP { goal } else { self.threshold + STEP.copysign(way) };
    }

    /// Returns the share of the requests that strong models got lately.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        self.known.share()
    }

    /// Returns the share that the target comes to at present; `None` as long as costs are not known.
    #[must_use]
    pub fn wanted(&self, target: &ControlTarget) -> Option<f64> {
        if let TargetQuantity::Share(share) = target.aim {
            return Some(share);
        }
        let ([below, above], wanted) = (self.known.costs()?, self.cost_per_request(target)?);
        Some(((wanted - below) / (above - below)).clamp(0.0, 1.0))
    }

    /// Returns what all replicas know together: what is `shared`, and what this one has counted since it last looked.
    /// Its own threshold stays, if it ever stood elsewhere than at the start; the loop moves it to where the others'
    /// are.
    #[must_use]
    pub fn joined(&self, shared: Option<Self>, unshared: &TrafficTally, seen: f64, now: f64) -> Self {
        let Some(mut together) = shared else { return self.clone() };
        if self.count > 0.0 {
            together.threshold = self.threshold;
        }
        together.fold(unshared, now);
        together.lag = (together.count - seen).max(0.0);
        together
    }

    /// Returns the part of all requests that a replica has which counted `own` between its last two looks at the others';
    /// `None` where nobody counted any.
    #[must_use]
    pub fn part_of(&self, own: &TrafficTally) -> Option<f64> {
        (self.lag > 0.0).then(|| (own.requests() / self.lag).min(1.0))
    }

    /// Returns it as a replica goes by it that hears no more of the others and has this part of all requests: it owes
    /// so much of the debt, which all would pay in full otherwise, and sees its requests at once.
    #[must_use]
    pub fn alone(self, part: f64) -> Self {
        Self { debt: self.debt * part, lag: 0.0, ..self }
    }

    /// Returns it with its threshold elsewhere.
    #[must_use]
    pub fn at(self, threshold: f64) -> Self {
        Self { threshold, ..self }
    }

    /// Returns how many requests it knows of, those that have faded included.
    #[must_use]
    pub const fn count(&self) -> f64 {
        self.count
    }

    fn goal(&self, target: &ControlTarget) -> Option<f64> {
        if self.known.scores() < LEAST {
            return None;
        }
        let wanted = self.wanted(target)? + self.debt / self.horizon();
        let [fixed, governed] = self.known.parts()?;
        Some(self.known.histogram().cut(((wanted - fixed) / governed).clamp(0.0, 1.0), self.debt > 0.0))
    }

    fn cost_per_request(&self, target: &ControlTarget) -> Option<f64> {
        match target.aim {
            TargetQuantity::Share(_) => None,
            TargetQuantity::CostPer1k(dollars) => Some(dollars / 1000.0),
            TargetQuantity::CostPerHour(dollars) => {
                let [bills, seconds] = self.rate;
                (bills > 0.0 && seconds > 0.0).then(|| dollars / 3600.0 * seconds / bills)
            }
        }
    }

    /// Requests over which a debt is paid back. Where other replicas' requests are seen late there are more: a loop
    /// must not be faster than its delay.
    fn horizon(&self) -> f64 {
        HORIZON.max(4.0 * self.lag)
    }
}

#[cfg(test)]
mod tests;
