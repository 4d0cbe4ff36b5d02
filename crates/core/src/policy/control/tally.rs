//! The tally of requests and bills: counted by each replica, added to what all know.

use serde::{Deserialize, Serialize};

use super::histogram::ScoreHistogram;
use crate::policy::target::TargetObservation;

/// The cost of an answer, and the cost that it would have had with the models below and above the threshold, in US
/// dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnswerBill {
    /// The cost with the model that answered.
    pub paid: f64,
    /// The costs with the models below and above the threshold.
    pub with: [f64; 2],
}

/// Counts of decisions and bills.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrafficTally {
    requests: f64,
    /// Requests for strong models (`strong`), and those of them that the threshold did not send there (`fixed`).
    strong: f64,
    fixed: f64,
    /// Requests that the threshold decided.
    governed: f64,
    /// Scores of the governed requests. They fade by their own number, not by all requests: where rules and pins decide
    /// most, the few scores there are must still come to enough to go by.
    scores: ScoreHistogram,
    /// Requests for the strong models that are owed.
    owed: f64,
    bills: f64,
    /// The costs of the billed requests with the models below and above the threshold.
    costs: [f64; 2],
}

impl TrafficTally {
    pub(super) fn decided(&mut self, observed: TargetObservation) {
        let strong = f64::from(u8::from(observed.is_strong));
        self.requests += 1.0;
        self.strong += strong;
        match observed.score {
            Some(score) => {
                self.governed += 1.0;
                self.scores.count(score);
            }
            None => self.fixed += strong,
        }
    }

    pub(super) fn billed(&mut self, bill: AnswerBill) {
        self.bills += 1.0;
        self.costs = [self.costs[0] + bill.with[0], self.costs[1] + bill.with[1]];
    }

    pub(super) fn owe(&mut self, requests: f64) {
        self.owed += requests;
    }

    /// Makes everything weigh less by what `newer` counted, 1/e after `memory` of its kind. What is owed has become a
    /// debt by then.
    pub(super) fn fade(&mut self, newer: &Self, memory: f64) {
        let keep_after = |count: f64| (-count / memory).exp();
        let keep = keep_after(newer.requests);
        self.scores.fade(keep_after(newer.scores()));
        self.costs = self.costs.map(|cost| cost * keep);
        self.owed = 0.0;
        for count in [&mut self.requests, &mut self.strong, &mut self.fixed, &mut self.governed, &mut self.bills] {
            *count *= keep;
        }
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.strong += other.strong;
        self.fixed += other.fixed;
        self.governed += other.governed;
        self.bills += other.bills;
        self.owed += other.owed;
        self.costs = [self.costs[0] + other.costs[0], self.costs[1] + other.costs[1]];
        self.scores.add(&other.scores);
    }

    /// Returns whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests <= 0.0 && self.bills <= 0.0
    }

    pub(super) const fn requests(&self) -> f64 {
        self.requests
    }

    pub(super) const fn owed(&self) -> f64 {
        self.owed
    }

    pub(super) const fn bills(&self) -> f64 {
        self.bills
    }

    pub(super) fn scores(&self) -> f64 {
        self.scores.total()
    }

    pub(super) const fn histogram(&self) -> &ScoreHistogram {
        &self.scores
    }

    pub(super) fn share(&self) -> Option<f64> {
        (self.requests > 0.0).then(|| self.strong / self.requests)
    }

    /// Returns the shares of the requests that are strong whatever the threshold, and that it decides.
    pub(super) fn parts(&self) -> Option<[f64; 2]> {
        let known = self.requests > 0.0 && self.governed > 0.0;
        known.then(|| [self.fixed / self.requests, self.governed / self.requests])
    }

    /// Returns what a request costs on the average with the models below and above; `None` where they do not differ.
    pub(super) fn costs(&self) -> Option<[f64; 2]> {
        let costs = self.costs.map(|cost| cost / self.bills);
        (self.bills > 0.0 && costs[1] > costs[0]).then_some(costs)
    }
}
