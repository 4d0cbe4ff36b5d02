//! A policy's `target`: the goal that its threshold is moved for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{Name, Ratio};

/// Moves the top threshold of the policy's `threshold` strategy, so that a share or a cost stays steady.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The models that count as strong. Default: the one above the threshold.
    #[serde(default)]
    pub strong: Vec<Name>,
    /// The share of the policy's requests that they get.
    #[serde(default)]
    pub share: Option<Ratio>,
    /// US dollars that the policy's answers may cost in an hour, in place of `share`.
    #[serde(default)]
    pub cost_per_hour: Option<f64>,
    /// US dollars that a thousand of the policy's answers may cost, in place of `share`.
    #[serde(default)]
    pub cost_per_1k: Option<f64>,
    /// The threshold never goes below. Default: the next lower threshold of the ladder.
    #[serde(default)]
    pub min: Option<Ratio>,
    /// The threshold never goes above. Default 1.
    #[serde(default)]
    pub max: Option<Ratio>,
    /// The threshold stays where it is while the scores have drifted further from those that the classifier was
    /// validated with: the population stability index of its head. Default 0.25.
    #[serde(default = "Target::default_max_drift")]
    pub max_drift: f64,
}

/// The quantity that a target keeps steady.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TargetQuantity {
    /// A share of the requests for the strong models, 0 to 1.
    Share(f64),
    /// US dollars in an hour.
    CostPerHour(f64),
    /// US dollars for a thousand answers.
    CostPer1k(f64),
}

impl Target {
    /// Returns the quantity that is kept steady; `None` only where validation refuses.
    #[must_use]
    pub fn aim(&self) -> Option<TargetQuantity> {
        let share = self.share.map(|share| TargetQuantity::Share(share.get()));
        share
            .or_else(|| self.cost_per_hour.map(TargetQuantity::CostPerHour))
            .or_else(|| self.cost_per_1k.map(TargetQuantity::CostPer1k))
    }

    const fn default_max_drift() -> f64 {
        0.25
    }
}
