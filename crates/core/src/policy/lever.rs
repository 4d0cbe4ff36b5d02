//! What a choice hangs on: the numbers of a strategy, each with the value beyond which it would have chosen otherwise.
//!
//! Strategies name them only for an explanation; the nearest that leads to another model is the decision's [`Flip`].

use std::sync::Arc;

use super::decision::Flip;
use crate::config::Name;

/// A number that a choice hangs on. Those of one strategy have one scale, so that they can be compared.
#[derive(Debug, Clone)]
pub(super) struct Lever {
    /// What it is, and whose.
    pub(super) of: &'static str,
    pub(super) label: Option<Arc<str>>,
    /// Where it stands.
    pub(super) value: f64,
    /// Where the choice becomes another.
    pub(super) threshold: f64,
    /// What comes of it there.
    pub(super) beyond: Beyond,
}

/// What a strategy comes to where a number is another.
#[derive(Debug, Clone)]
pub(super) enum Beyond {
    /// It chooses this model.
    Model(Name),
    /// It abstains.
    Abstention,
    /// It abstains, and what a later stage would say nobody asked.
    Unasked,
}

impl Lever {
    /// Says what comes of it where its strategy would abstain.
    pub(super) fn follow_abstention(&mut self, by: &Beyond) {
        if matches!(self.beyond, Beyond::Abstention) {
            self.beyond = by.clone();
        }
    }

    fn leads_from(&self, chosen: Option<&Name>) -> bool {
        match &self.beyond {
            Beyond::Model(model) => Some(model) != chosen,
            Beyond::Abstention => chosen.is_some(),
            Beyond::Unasked => true,
        }
    }

    fn distance(&self) -> f64 {
        (self.threshold - self.value).abs()
    }
}

impl Beyond {
    /// Returns what a strategy comes to that picks this, or abstains.
    pub(super) fn of(model: Option<&Name>) -> Self {
        model.map_or(Self::Abstention, |model| Self::Model(model.clone()))
    }
}

/// Returns the nearest of the levers that lead to another model than `chosen`.
pub(super) fn nearest(levers: &[Lever], chosen: Option<&Name>) -> Option<Box<Flip>> {
    let leads = |lever: &&Lever| lever.distance().is_finite() && lever.leads_from(chosen);
    let nearest = levers.iter().filter(leads).min_by(|a, b| a.distance().total_cmp(&b.distance()))?;
    let Lever { of, label, value, threshold, beyond } = nearest.clone();
    let model = if let Beyond::Model(model) = beyond { Some(model) } else { None };
    Some(Box::new(Flip { of, label, value, threshold, model }))
}
