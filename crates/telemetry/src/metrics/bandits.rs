//! The metrics of policies that learn from feedback.

use std::fmt;
use std::sync::Arc;

use pointsman_core::config::Name;
use prometheus::{Gauge, IntCounter, IntGauge};

use super::family::{Family, LabelValue, Registry};
use super::{Metrics, definitions as define};

/// The metric families of bandits.
pub(super) struct BanditFamilies {
    rewards: Family<IntCounter, 3>,
    quality: Family<Gauge, 3>,
    frozen: Family<IntGauge, 1>,
    drifts: Family<IntCounter, 2>,
}

/// The outcome of a reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RewardOutcome {
    /// The bandit learnt from it.
    Learnt,
    /// Rewards were suspicious, so that it was counted only.
    Frozen,
}

/// The metrics of one policy's bandit.
#[derive(Clone)]
pub struct BanditMetrics {
    policy: Name,
    rewards: Family<IntCounter, 3>,
    quality: Family<Gauge, 3>,
    frozen: IntGauge,
    drifts: Family<IntCounter, 2>,
}

impl RewardOutcome {
    const ALL: [Self; 2] = [Self::Learnt, Self::Frozen];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Learnt => "learnt",
            Self::Frozen => "frozen",
        }
    }
}

impl BanditFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            rewards: Family::register(registry, define::BANDIT_REWARDS),
            quality: Family::register(registry, define::BANDIT_QUALITY),
            frozen: Family::register(registry, define::BANDIT_FROZEN),
            drifts: Family::register(registry, define::BANDIT_DRIFTS),
        }
    }
}

impl Metrics {
    /// Returns the metrics of a policy's bandit, whose counters start at zero for each of its models.
    #[must_use]
    pub fn bandit(&self, policy: &Name, models: &[Name]) -> BanditMetrics {
        let BanditFamilies { rewards, quality, frozen, drifts } = &self.bandits;
        for model in models {
            for outcome in RewardOutcome::ALL {
                rewards.with([policy.into(), model.into(), outcome.as_str().into()]);
            }
            drifts.with([policy.into(), model.into()]);
        }
        BanditMetrics {
            policy: policy.clone(),
            rewards: rewards.clone(),
            quality: quality.clone(),
            frozen: frozen.with([policy.into()]),
            drifts: drifts.clone(),
        }
    }

    /// Shows the bandits of these policies only.
    pub fn set_bandits(&self, policies: &[&Name]) {
        let is_known = |policy: &LabelValue| policies.iter().any(|name| ***name == **policy);
        self.bandits.rewards.retain(|[policy, ..]| is_known(policy));
        self.bandits.quality.retain(|[policy, ..]| is_known(policy));
        self.bandits.frozen.retain(|[policy]| is_known(policy));
        self.bandits.drifts.retain(|[policy, _]| is_known(policy));
    }
}

impl BanditMetrics {
    /// Counts a reward of an answer of `model`.
    pub fn rewarded(&self, model: &Name, outcome: RewardOutcome) {
        self.rewards.with([(&self.policy).into(), model.into(), outcome.as_str().into()]).inc();
    }

    /// Shows the chance of a good answer of `model` where prompts have a label of the bundle; an empty one stands for all.
    pub fn believes(&self, label: &str, model: &Name, chance: f64) {
        let label = if label.is_empty() { "*" } else { label };
        self.quality.with([(&self.policy).into(), model.into(), (&Arc::<str>::from(label)).into()]).set(chance);
    }

    /// Shows whether rewards are counted only.
    pub fn frozen(&self, frozen: bool) {
        self.frozen.set(i64::from(frozen));
    }

    /// Counts a model whose answers are rated otherwise than before.
    pub fn drifted(&self, model: &Name) {
        self.drifts.with([(&self.policy).into(), model.into()]).inc();
    }
}

impl fmt::Debug for BanditMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BanditMetrics").finish_non_exhaustive()
    }
}
