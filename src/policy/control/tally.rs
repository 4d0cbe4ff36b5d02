//! What requests add up to: counted by each replica, added to what all know.

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use super::{Bill, Observation};

/// Counts of decisions and bills.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    requests: f64,
    /// Those for strong models, and those of them that the threshold did not send there.
    strong: f64,
    fixed: f64,
    /// The scores of those that the threshold decided.
    scores: Histogram,
    /// Requests for the strong models that are owed.
    owed: f64,
    bills: f64,
    /// What they would have cost with the models below and above the threshold.
    costs: [f64; 2],
}

impl Tally {
    pub(super) fn decided(&mut self, observed: Observation) {
        let strong = f64::from(u8::from(observed.is_strong));
        self.requests += 1.0;
        self.strong += strong;
        match observed.score {
            Some(score) => self.scores.count(score),
            None => self.fixed += strong,
        }
    }

    pub(super) fn billed(&mut self, bill: Bill) {
        self.bills += 1.0;
        self.costs = [self.costs[0] + bill.with[0], self.costs[1] + bill.with[1]];
    }

    pub(super) fn owe(&mut self, requests: f64) {
        self.owed += requests;
    }

    /// Makes everything weigh less. What is owed has become a debt by then.
    pub(super) fn fade(&mut self, keep: f64) {
        self.scores.fade(keep);
        self.costs = self.costs.map(|cost| cost * keep);
        self.owed = 0.0;
        for count in [&mut self.requests, &mut self.strong, &mut self.fixed, &mut self.bills] {
            *count *= keep;
        }
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.strong += other.strong;
        self.fixed += other.fixed;
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

    pub(super) const fn histogram(&self) -> &Histogram {
        &self.scores
    }

    pub(super) fn share(&self) -> Option<f64> {
        (self.requests > 0.0).then(|| self.strong / self.requests)
    }

    /// Returns the shares of the requests that are strong whatever the threshold, and that it decides.
    pub(super) fn parts(&self) -> Option<[f64; 2]> {
        let governed = self.scores();
        (self.requests > 0.0 && governed > 0.0).then(|| [self.fixed / self.requests, governed / self.requests])
    }

    /// Returns what a request costs on the average with the models below and above; `None` where they do not differ.
    pub(super) fn costs(&self) -> Option<[f64; 2]> {
        let costs = self.costs.map(|cost| cost / self.bills);
        (self.bills > 0.0 && costs[1] > costs[0]).then_some(costs)
    }
}
