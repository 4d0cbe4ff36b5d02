//! Quotas: the part of one holder's answers that strong models may give.
//!
//! An allowance is a pair of numbers, and time is an argument. Each answer earns its holder `share` of a strong one, up
//! to `burst`; a strong one takes one away when it is decided. So of any `n` answers in a row at most `burst` plus
//! `share` times `n` are strong. Dollars are a bucket that empties in a `window`: an estimate goes in when a strong model
//! is chosen, and is replaced by the true cost. Whoever keeps allowances (the gateway, `router::quotas`) says of each
//! request which quotas are used up ([`PolicyWorld::is_used_up`](super::PolicyWorld::is_used_up)).

use serde::{Deserialize, Serialize};

use super::decision::DecisionMaker;
use crate::config::{Name, QuotaConfig, QuotaHolder, QuotaOnRules, QuotaWithoutAlternative, Ratio};

/// Sums of shares are a little less or more than they ought to be.
const ROUNDING: f64 = 1e-6;

/// A quota of a policy, compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyQuota {
    config: QuotaConfig,
}

/// The allowance of one holder.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct QuotaAllowance {
    /// Strong answers that are left; below zero where some were given all the same.
    answers: f64,
    /// US dollars that are used and have not come back.
    dollars: f64,
    /// The last request, in seconds since 1970.
    used: u64,
}

/// A change of an allowance. Changes add up, so replicas tell each other theirs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct QuotaChange {
    /// Strong answers that are given back; below zero, taken.
    pub answers: f64,
    /// US dollars that are used; below zero, given back.
    pub dollars: f64,
}

/// The reservation of a request: the part of an allowance that its decision took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum QuotaReservation {
    /// The decision chose no strong model.
    Nothing,
    /// A strong answer, and its estimated cost in US dollars.
    Answer(f64),
}

/// The end of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum QuotaUse {
    /// Nobody answered.
    Unanswered,
    /// A model that the quota does not bound answered.
    Other,
    /// A strong model answered, at this cost in US dollars where it is known.
    Strong(Option<f64>),
}

impl PolicyQuota {
    pub(super) fn new(config: &QuotaConfig) -> Self {
        Self { config: config.clone() }
    }

    /// Returns its name, which is its own within its policy.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.config.name
    }

    /// Returns who holds an allowance.
    #[must_use]
    pub const fn per(&self) -> QuotaHolder {
        self.config.per
    }

    /// Returns how many sessions of one client have an allowance of their own.
    #[must_use]
    pub const fn max_sessions(&self) -> usize {
        self.config.max_sessions
    }

    /// Returns whether it counts dollars.
    #[must_use]
    pub const fn counts_dollars(&self) -> bool {
        self.config.dollars.is_some()
    }

    /// Returns whether it bounds the answers of `model`.
    #[must_use]
    pub fn is_for(&self, model: &Name) -> bool {
        self.config.models.contains(model)
    }

    /// Returns whether it holds for what `by` chose. What is decided without a look at the request, as while a policy is
    /// switched off, is the operator's own choice.
    #[must_use]
    pub fn binds(&self, by: DecisionMaker) -> bool {
        match by {
            DecisionMaker::Rule(_) => self.config.rules == QuotaOnRules::Bound,
            DecisionMaker::Strategy(_) | DecisionMaker::Override | DecisionMaker::Affinity => true,
            DecisionMaker::Default | DecisionMaker::Constraints | DecisionMaker::Client | DecisionMaker::Catalog => {
                false
            }
        }
    }

    pub(super) const fn otherwise(&self) -> &Name {
        &self.config.otherwise
    }

    pub(super) fn refuses(&self) -> bool {
        self.config.without_alternative == QuotaWithoutAlternative::Refuse
    }

    /// Returns the allowance of a holder that nothing is known of.
    #[must_use]
    pub fn fresh(&self, now: u64) -> QuotaAllowance {
        QuotaAllowance { answers: self.burst(), dollars: 0.0, used: now }
    }

    /// Returns an allowance as it is `now`.
    #[must_use]
    pub fn at(&self, before: QuotaAllowance, now: u64) -> QuotaAllowance {
        let quiet = now.saturating_sub(before.used);
        #[expect(clippy::cast_precision_loss, reason = "seconds are below 2^52")]
        let part = quiet as f64 / self.window() as f64;
        let dollars = (before.dollars - part * self.config.dollars.unwrap_or_default()).max(0.0);
        let answers = if quiet >= self.window() { self.burst() } else { before.answers.min(self.burst()) };
        let is_ahead = before.used > now.saturating_add(self.window()); // a clock was set
        QuotaAllowance { answers, dollars, used: if is_ahead { now } else { now.max(before.used) } }
    }

    /// Returns whether an allowance is as good as one that nobody has used.
    #[must_use]
    pub fn is_forgotten(&self, before: QuotaAllowance, now: u64) -> bool {
        now.saturating_sub(before.used) >= self.window() && self.at(before, now).dollars <= 0.0
    }

    /// Returns the seconds for which an allowance says more than a fresh one.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive number, saturates")]
    pub fn remembered(&self, allowance: QuotaAllowance) -> u64 {
        let bound = self.config.dollars.unwrap_or(f64::INFINITY);
        self.window() * (1.0 + allowance.dollars / bound).ceil() as u64
    }

    /// Returns whether a strong answer is left of an allowance as it is now.
    #[must_use]
    pub fn is_left(&self, now: QuotaAllowance) -> bool {
        let has_answers = self.config.share.is_none() || now.answers >= 1.0 - ROUNDING;
        has_answers && self.config.dollars.is_none_or(|bound| now.dollars < bound)
    }

    /// Returns an allowance after a change. What was given beyond it is owed, but no more than a burst.
    #[must_use]
    pub fn changed(&self, now: QuotaAllowance, by: QuotaChange) -> QuotaAllowance {
        let answers = (now.answers + by.answers).clamp(-self.burst(), self.burst());
        QuotaAllowance { answers, dollars: (now.dollars + by.dollars).max(0.0), ..now }
    }

    /// Returns the change by a decision.
    #[must_use]
    pub fn taken(&self, reserved: QuotaReservation) -> QuotaChange {
        match reserved {
            QuotaReservation::Nothing => QuotaChange::default(),
            QuotaReservation::Answer(estimate) => QuotaChange { answers: -1.0, dollars: estimate },
        }
    }

    /// Returns the change by the end of a request whose decision reserved as much. Only an answer earns a share: what
    /// fails costs the client nothing, so it must not buy anything.
    #[must_use]
    pub fn settled(&self, reserved: QuotaReservation, end: QuotaUse) -> QuotaChange {
        let QuotaChange { answers: taken, dollars: estimate } = self.taken(reserved);
        let earned = if end == QuotaUse::Unanswered { 0.0 } else { self.share() };
        let (given, cost) = match end {
            QuotaUse::Unanswered | QuotaUse::Other => (0.0, 0.0),
            QuotaUse::Strong(cost) => (1.0, cost.unwrap_or(estimate)),
        };
        QuotaChange { answers: earned - given - taken, dollars: cost - estimate }
    }

    fn share(&self) -> f64 {
        self.config.share.map_or(0.0, Ratio::get)
    }

    fn burst(&self) -> f64 {
        f64::from(self.config.burst)
    }

    fn window(&self) -> u64 {
        self.config.window.0.as_secs().max(1)
    }
}

impl QuotaChange {
    /// Returns both changes together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { answers: self.answers + other.answers, dollars: self.dollars + other.dollars }
    }
}

#[cfg(test)]
mod tests;
