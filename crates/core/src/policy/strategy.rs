//! The strategies, which choose a model when no rule did: one file for each kind.
//!
//! A strategy picks a model or abstains; what it must know first it asks for. Strategies may stand within each other:
//! where one abstains, its own `otherwise` serves, else what it stands in decides.

mod cascade;
mod doubt;
mod hierarchy;
mod judge;
mod pick;
mod problems;
mod similarity;
mod split;
mod threshold;
mod tiers;
mod utility;

use self::cascade::Cascade;
use self::hierarchy::Hierarchy;
use self::judge::Judge;
use self::pick::StrategyKind;
pub(super) use self::pick::{Known, Strategy};
pub(super) use self::problems::problems;
use self::similarity::Similarity;
pub(super) use self::split::place;
use self::split::{Random, Split};
use self::threshold::Threshold;
use self::tiers::Tiers;
use self::utility::Utility;
use crate::config::{self, Config, KeyPath, Name};

impl Strategy {
    /// Compiles the strategy that stands at `path` in a policy.
    pub(super) fn new(config: &Config, policy: &Name, path: &KeyPath, section: &config::Strategy) -> Self {
        let nested = |path: &KeyPath, section: &config::Strategy| Self::new(config, policy, path, section);
        let kind: Box<dyn StrategyKind> = match section {
            config::Strategy::Tiers(tiers) => Box::new(Tiers::new(tiers)),
            config::Strategy::Threshold(threshold) => Box::new(Threshold::new(threshold)),
            config::Strategy::Utility(utility) => Box::new(Utility::new(config, utility)),
            config::Strategy::Similarity(similarity) => Box::new(Similarity::new(path, similarity)),
            config::Strategy::Judge(judge) => Box::new(Judge::new(path, judge)),
            config::Strategy::Split(split) => Box::new(Split::new(policy, split)),
            config::Strategy::Random(random) => Box::new(Random::new(random)),
            config::Strategy::Cascade(stages) => Box::new(Cascade::new(path, stages, nested)),
            config::Strategy::Hierarchy(hierarchy) => Box::new(Hierarchy::new(path, hierarchy, nested)),
        };
        Self { kind, otherwise: section.otherwise().cloned() }
    }
}
