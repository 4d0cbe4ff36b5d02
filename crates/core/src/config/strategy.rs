//! A policy's `strategy`: how a model is chosen when no rule did.
//!
//! A strategy may hold others: `cascade` its stages, `hierarchy` its branches. [`StrategyConfig::visit`] walks over all
//! of them with the path of each, so that later stages can point into the file.

mod bandit;
mod escalate;
mod judge;
mod merge;
mod nested;
mod similarity;
mod split;
mod threshold;
mod tiers;
mod unfamiliar;
mod utility;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::bandit::{BanditConfig, WarmStart};
pub use self::escalate::{AnswerChecks, AnswerJudgeConfig, EscalateConfig, GOOD_ANSWER, HoldLimits, SelfConsistency};
pub use self::judge::{JudgeBreaker, JudgeCache, JudgeChoice, JudgeConfig, JudgeProtocol};
pub use self::nested::{CascadeConfig, HierarchyBranch, HierarchyConfig};
pub use self::similarity::{BackgroundTexts, SimilarityConfig, SimilarityRoute};
pub use self::split::{RandomConfig, SplitBy, SplitConfig};
pub use self::threshold::{ThresholdConfig, ThresholdStep};
pub use self::tiers::{TierLean, TierRounding, TiersConfig};
pub use self::unfamiliar::OnUnfamiliar;
pub use self::utility::{SuccessSource, UtilityConfig};
use super::{KeyPath, KeyStep, Name};

/// A way to choose a model when no rule did.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", from = "ReadStrategy")]
#[schemars(!from)]
pub enum StrategyConfig {
    /// Chooses by the label of a classifier's head.
    Tiers(TiersConfig),
    /// Chooses by the score of a classifier's head.
    Threshold(ThresholdConfig),
    /// Chooses by the chance of each model to succeed, its price and its latency.
    Utility(UtilityConfig),
    /// Chooses by what clients said of earlier answers, and learns from it.
    Bandit(BanditConfig),
    /// Chooses by how near the prompt is to descriptions and examples.
    Similarity(SimilarityConfig),
    /// Chooses by what another LLM says.
    Judge(JudgeConfig),
    /// Chooses the cheap model, checks its answer, and the strong model where the answer fails.
    Escalate(EscalateConfig),
    /// Chooses by fixed shares; a conversation, client or request always falls on the same side.
    Split(SplitConfig),
    /// Chooses by chance.
    Random(RandomConfig),
    /// Chooses by the first of several strategies that does not abstain.
    Cascade(CascadeConfig),
    /// Chooses by another strategy for each group of labels.
    Hierarchy(HierarchyConfig),
}

/// [`StrategyConfig`] as it is read: serde's `tag` would lose the places of everything in it, see [`super::read`].
#[derive(Deserialize)]
#[serde(rename = "kind", rename_all = "snake_case")]
enum ReadStrategy {
    Tiers(TiersConfig),
    Threshold(ThresholdConfig),
    Utility(UtilityConfig),
    Bandit(BanditConfig),
    Similarity(SimilarityConfig),
    Judge(JudgeConfig),
    Escalate(EscalateConfig),
    Split(SplitConfig),
    Random(RandomConfig),
    Cascade(CascadeConfig),
    Hierarchy(HierarchyConfig),
}

impl From<ReadStrategy> for StrategyConfig {
    fn from(strategy: ReadStrategy) -> Self {
        match strategy {
            ReadStrategy::Tiers(tiers) => Self::Tiers(tiers),
            ReadStrategy::Threshold(threshold) => Self::Threshold(threshold),
            ReadStrategy::Utility(utility) => Self::Utility(utility),
            ReadStrategy::Bandit(bandit) => Self::Bandit(bandit),
            ReadStrategy::Similarity(similarity) => Self::Similarity(similarity),
            ReadStrategy::Judge(judge) => Self::Judge(judge),
            ReadStrategy::Escalate(escalate) => Self::Escalate(escalate),
            ReadStrategy::Split(split) => Self::Split(split),
            ReadStrategy::Random(random) => Self::Random(random),
            ReadStrategy::Cascade(stages) => Self::Cascade(stages),
            ReadStrategy::Hierarchy(hierarchy) => Self::Hierarchy(hierarchy),
        }
    }
}

impl StrategyConfig {
    /// Returns its `kind`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Tiers(_) => "tiers",
            Self::Threshold(_) => "threshold",
            Self::Utility(_) => "utility",
            Self::Bandit(_) => "bandit",
            Self::Similarity(_) => "similarity",
            Self::Judge(_) => "judge",
            Self::Escalate(_) => "escalate",
            Self::Split(_) => "split",
            Self::Random(_) => "random",
            Self::Cascade(_) => "cascade",
            Self::Hierarchy(_) => "hierarchy",
        }
    }

    /// Returns the models that it chooses between, from the lowest tier up; a model may stand there more than once. The
    /// order of a strategy that holds others is one that theirs agree with, the first one's where they contradict each
    /// other.
    #[must_use]
    pub fn ladder(&self) -> Vec<Name> {
        match self {
            Self::Tiers(tiers) => tiers.tiers.iter().map(|(_, model)| model.clone()).collect(),
            Self::Threshold(threshold) => threshold.rungs().into_iter().map(|rung| rung.model).collect(),
            Self::Utility(utility) => utility.models.clone(),
            Self::Bandit(bandit) => bandit.models.clone(),
            Self::Similarity(similarity) => similarity.routes.iter().map(|route| route.model.clone()).collect(),
            Self::Judge(judge) => judge.choices.iter().map(|choice| choice.model.clone()).collect(),
            Self::Escalate(escalate) => vec![escalate.cheap.clone(), escalate.strong.clone()],
            Self::Split(split) => split.models.keys().cloned().collect(),
            Self::Random(random) => random.models.clone(),
            Self::Cascade(stages) => merge::ladders(stages.stages.iter().map(Self::ladder)),
            Self::Hierarchy(hierarchy) => merge::ladders(hierarchy.strategies().map(Self::ladder)),
        }
    }

    /// Returns the model that serves where it abstains, if it says so itself.
    #[must_use]
    pub const fn otherwise(&self) -> Option<&Name> {
        match self {
            Self::Tiers(TiersConfig { otherwise, .. })
            | Self::Threshold(ThresholdConfig { otherwise, .. })
            | Self::Utility(UtilityConfig { otherwise, .. })
            | Self::Bandit(BanditConfig { otherwise, .. })
            | Self::Similarity(SimilarityConfig { otherwise, .. })
            | Self::Judge(JudgeConfig { otherwise, .. })
            | Self::Escalate(EscalateConfig { otherwise, .. })
            | Self::Cascade(CascadeConfig { otherwise, .. })
            | Self::Hierarchy(HierarchyConfig { otherwise, .. }) => otherwise.as_ref(),
            Self::Split(_) | Self::Random(_) => None,
        }
    }

    /// Returns the model that serves where a policy's whole strategy abstains or is not looked at: its `otherwise`, or
    /// that of a strategy that need not say: the heaviest of a split, else the highest. `None` only where validation
    /// refuses.
    #[must_use]
    pub fn stand_in(&self) -> Option<Name> {
        self.otherwise().cloned().or_else(|| match self {
            Self::Split(split) => split.heaviest().cloned(),
            Self::Cascade(stages) => stages.stages.last()?.stand_in(),
            Self::Hierarchy(hierarchy) => hierarchy.default.stand_in(),
            _ => self.ladder().pop(),
        })
    }

    /// Returns the classifier and the heads that it reads itself, those of the strategies within it apart.
    #[must_use]
    pub fn reads(&self) -> Option<(&Name, Vec<Name>)> {
        match self {
            Self::Tiers(TiersConfig { classifier, head, .. })
            | Self::Threshold(ThresholdConfig { classifier, head, .. })
            | Self::Hierarchy(HierarchyConfig { classifier, head, .. }) => Some((classifier, vec![head.clone()])),
            Self::Utility(utility) => Some((&utility.classifier, utility.heads())),
            Self::Bandit(bandit) => Some((bandit.classifier.as_ref()?, bandit.heads())),
            Self::Similarity(_)
            | Self::Judge(_)
            | Self::Escalate(_)
            | Self::Split(_)
            | Self::Random(_)
            | Self::Cascade(_) => None,
        }
    }

    /// Calls `see` with it and every strategy within it, outer ones first, and where each stands.
    pub fn visit<'s>(&'s self, path: &KeyPath, see: &mut dyn FnMut(&KeyPath, &'s Self)) {
        see(path, self);
        match self {
            Self::Cascade(stages) => {
                for (index, stage) in stages.stages.iter().enumerate() {
                    stage.visit(&path.key("stages").index(index), see);
                }
            }
            Self::Hierarchy(hierarchy) => {
                for (index, branch) in hierarchy.branches.iter().enumerate() {
                    branch.strategy.visit(&path.key("branches").index(index).key("strategy"), see);
                }
                hierarchy.default.visit(&path.key("default"), see);
            }
            _ => {}
        }
    }

    /// Returns the `threshold` strategies among it and those within it.
    #[must_use]
    pub fn thresholds(&self) -> Vec<&ThresholdConfig> {
        let mut found = Vec::new();
        self.visit(&KeyPath::root(), &mut |_, strategy| {
            if let Self::Threshold(threshold) = strategy {
                found.push(threshold);
            }
        });
        found
    }

    /// Returns the `bandit` strategies among it and those within it.
    #[must_use]
    pub fn bandits(&self) -> Vec<&BanditConfig> {
        let mut found = Vec::new();
        self.visit(&KeyPath::root(), &mut |_, strategy| {
            if let Self::Bandit(bandit) = strategy {
                found.push(bandit);
            }
        });
        found
    }

    /// Returns the strategy within it, or itself, that `steps` lead to.
    pub fn at_mut(&mut self, steps: &[KeyStep]) -> Option<&mut Self> {
        let is = |step: &KeyStep, wanted: &str| matches!(step, KeyStep::Key(key) if key == wanted);
        let Some((first, rest)) = steps.split_first() else { return Some(self) };
        match self {
            Self::Cascade(stages) => {
                let (KeyStep::Index(index), rest) = rest.split_first()? else { return None };
                stages.stages.get_mut(*index)?.at_mut(rest)
            }
            Self::Hierarchy(HierarchyConfig { branches, default, .. }) => match rest {
                rest if is(first, "default") => default.at_mut(rest),
                [KeyStep::Index(index), _, rest @ ..] => branches.get_mut(*index)?.strategy.at_mut(rest),
                _ => None,
            },
            _ => None,
        }
    }
}
