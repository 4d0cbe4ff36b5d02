//! The numbers that a strategy's choice hangs on, each with the value beyond which it would have chosen otherwise.
//!
//! Strategies name them only for an explanation; the nearest that leads to another model is the decision's
//! [`DecisionFlip`].

use std::sync::Arc;

use super::decision::DecisionFlip;
use crate::config::Name;

/// A number that a choice hangs on. The numbers of one strategy have one scale, so that they can be compared.
#[derive(Debug, Clone)]
pub(super) struct FlipCandidate {
    /// The number's name, and the label that it is about.
    pub(super) of: &'static str,
    pub(super) label: Option<Arc<str>>,
    /// The number's value.
    pub(super) value: f64,
    /// The value at which the choice becomes another.
    pub(super) threshold: f64,
    /// The outcome beyond `threshold`.
    pub(super) beyond: FlipOutcome,
}

/// The outcome of a strategy where one of its numbers has another value.
#[derive(Debug, Clone)]
pub(super) enum FlipOutcome {
    /// The strategy chooses this model.
    Model(Name),
    /// The strategy abstains.
    Abstention,
    /// The strategy abstains, and a later stage would decide that nobody asked.
    Unasked,
}

impl FlipCandidate {
    /// Replaces an abstention beyond the threshold by what serves then.
    pub(super) fn follow_abstention(&mut self, by: &FlipOutcome) {
        if matches!(self.beyond, FlipOutcome::Abstention) {
            self.beyond = by.clone();
        }
    }

    fn leads_from(&self, chosen: Option<&Name>) -> bool {
        match &self.beyond {
            FlipOutcome::Model(model) => Some(model) != chosen,
            FlipOutcome::Abstention => chosen.is_some(),
            FlipOutcome::Unasked => true,
        }
    }

    fn distance(&self) -> f64 {
        (self.threshold - self.value).abs()
    }
}

impl FlipOutcome {
    /// Returns the outcome of a strategy that picks `model`, or abstains.
    pub(super) fn of(model: Option<&Name>) -> Self {
        model.map_or(Self::Abstention, |model| Self::Model(model.clone()))
    }
}

/// Returns the nearest of the flips that lead to another model than `chosen`.
pub(super) fn nearest(flips: &[FlipCandidate], chosen: Option<&Name>) -> Option<Box<DecisionFlip>> {
    let leads = |flip: &&FlipCandidate| flip.distance().is_finite() && flip.leads_from(chosen);
    let nearest = flips.iter().filter(leads).min_by(|a, b| a.distance().total_cmp(&b.distance()))?;
    let FlipCandidate { of, label, value, threshold, beyond } = nearest.clone();
    let model = if let FlipOutcome::Model(model) = beyond { Some(model) } else { None };
    Some(Box::new(DecisionFlip { of, label, value, threshold, model }))
}
