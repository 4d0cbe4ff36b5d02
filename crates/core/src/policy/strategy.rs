//! The strategies, which choose a model when no rule did: one file for each kind.
//!
//! A strategy picks a model or abstains; what it must know first it asks for. Strategies may stand within each other:
//! where one abstains, its own `otherwise` serves, else what it stands in decides.

mod bandit;
mod cascade;
mod doubt;
mod escalate;
mod hierarchy;
mod judge;
mod pick;
mod problems;
mod similarity;
mod split;
mod threshold;
mod tiers;
mod utility;

use self::bandit::BanditStrategy;
use self::cascade::CascadeStrategy;
use self::escalate::EscalateStrategy;
use self::hierarchy::HierarchyStrategy;
use self::judge::JudgeStrategy;
use self::pick::StrategyKind;
pub(super) use self::pick::{ChoiceContext, Strategy};
pub(super) use self::problems::problems;
use self::similarity::SimilarityStrategy;
pub(super) use self::split::place;
use self::split::{RandomStrategy, SplitStrategy};
use self::threshold::ThresholdStrategy;
use self::tiers::TiersStrategy;
use self::utility::UtilityStrategy;
use crate::config::{self, Config, KeyPath, Name};

impl Strategy {
    /// Compiles the strategy that stands at `path` in a policy.
    pub(super) fn new(config: &Config, policy: &Name, path: &KeyPath, section: &config::StrategyConfig) -> Self {
        let nested = |path: &KeyPath, section: &config::StrategyConfig| Self::new(config, policy, path, section);
        let kind: Box<dyn StrategyKind> = match section {
            config::StrategyConfig::Tiers(tiers) => Box::new(TiersStrategy::new(tiers)),
            config::StrategyConfig::Threshold(threshold) => Box::new(ThresholdStrategy::new(threshold)),
            config::StrategyConfig::Utility(utility) => Box::new(UtilityStrategy::new(config, utility)),
            config::StrategyConfig::Bandit(bandit) => Box::new(BanditStrategy::new(config, bandit)),
            config::StrategyConfig::Similarity(similarity) => Box::new(SimilarityStrategy::new(path, similarity)),
            config::StrategyConfig::Judge(judge) => Box::new(JudgeStrategy::new(path, judge)),
            config::StrategyConfig::Escalate(escalate) => Box::new(EscalateStrategy::new(path, escalate)),
            config::StrategyConfig::Split(split) => Box::new(SplitStrategy::new(policy, split)),
            config::StrategyConfig::Random(random) => Box::new(RandomStrategy::new(random)),
            config::StrategyConfig::Cascade(stages) => Box::new(CascadeStrategy::new(path, stages, nested)),
            config::StrategyConfig::Hierarchy(hierarchy) => Box::new(HierarchyStrategy::new(path, hierarchy, nested)),
        };
        Self { kind, otherwise: section.otherwise().cloned() }
    }
}
