//! The advisers of strategies besides classifiers: judges, and exemplars to compare prompts with.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_classifier::ExemplarIndex;
use pointsman_core::config::{
    AnswerChecks, Config, ConfigProblem, Credential, EscalateConfig, KeyPath, Name, StrategyConfig,
};
use pointsman_core::scores::ClassifierFailure;

use super::answer_advisers::AnswerAdvisers;
use crate::judge::{Judge, ProbabilityJudge};

/// Judges and exemplars, by the path of the strategy that asks them.
#[derive(Debug, Default)]
pub(crate) struct StrategyAdvisers {
    pub(super) judges: BTreeMap<Arc<str>, Arc<Judge>>,
    pub(super) exemplars: BTreeMap<Arc<str>, StrategyExemplars>,
    /// The judges of the models that typed decisions are asked of.
    pub(super) decision_judges: BTreeMap<Name, Arc<ProbabilityJudge>>,
    /// The advisers on cheap models' answers.
    pub(super) answers: BTreeMap<Arc<str>, Arc<AnswerAdvisers>>,
    /// The routes and thresholds that cannot be meant, as far as only an encoder can tell.
    pub(super) warnings: Vec<ConfigProblem>,
}

/// The exemplars that one strategy compares prompts with.
#[derive(Debug)]
pub(super) struct StrategyExemplars {
    pub(super) classifier: Name,
    pub(super) exemplars: Result<Arc<ExemplarIndex>, ClassifierFailure>,
}

impl StrategyAdvisers {
    /// Returns the judge of the strategy at `path`.
    #[must_use]
    pub(crate) fn judge(&self, path: &str) -> Option<&Arc<Judge>> {
        self.judges.get(path)
    }

    /// Returns the judge of a model that typed decisions are asked of, if it has one.
    #[must_use]
    pub(crate) fn decision_judge(&self, model: &Name) -> Option<&Arc<ProbabilityJudge>> {
        self.decision_judges.get(model)
    }

    /// Returns the advisers on the answers of the strategy at `path`.
    #[must_use]
    pub(crate) fn on_answers(&self, path: &str) -> Option<&Arc<AnswerAdvisers>> {
        self.answers.get(path)
    }

    /// Returns whether a decision may wait for another model's answer.
    #[must_use]
    pub(crate) fn have_judges(&self) -> bool {
        !self.judges.is_empty()
    }

    /// Returns what the strategy at `path` compares prompts with, and the classifier that embeds them.
    ///
    /// # Errors
    /// Why there is nothing to compare with.
    pub(crate) fn exemplars(&self, path: &str) -> Result<(&Name, &Arc<ExemplarIndex>), ClassifierFailure> {
        let StrategyExemplars { classifier, exemplars } =
            self.exemplars.get(path).ok_or(ClassifierFailure::BundleUnavailable)?;
        exemplars.as_ref().map(|exemplars| (classifier, exemplars)).map_err(|degraded| *degraded)
    }

    /// Returns what cannot be meant of routes and thresholds: those that the encoder does not tell apart.
    #[must_use]
    pub(crate) fn warnings(&self) -> &[ConfigProblem] {
        &self.warnings
    }

    /// Returns whether replacing `other` by it would change nothing that the configuration does not say.
    #[must_use]
    pub(crate) fn serve_like(&self, other: &Self) -> bool {
        let same = |own: &StrategyExemplars, other: &StrategyExemplars| match (&own.exemplars, &other.exemplars) {
            (Ok(own), Ok(other)) => own.serves_like(other),
            (Err(own), Err(other)) => own == other,
            _ => false,
        };
        self.exemplars.len() == other.exemplars.len()
            && self.exemplars.iter().all(|(path, own)| other.exemplars.get(path).is_some_and(|other| same(own, other)))
    }
}

/// Finds judges whose provider has no key of its own: nobody's request pays for a question.
pub(super) fn check_judges(config: &Config) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    for (index, policy) in config.policies.iter().enumerate() {
        let path = KeyPath::root().key("policies").index(index).key("strategy");
        policy.strategy.visit(&path, &mut |path, strategy| {
            let (path, judge) = match strategy {
                StrategyConfig::Judge(judge) => (path.clone(), &judge.judge),
                StrategyConfig::Escalate(EscalateConfig { check: AnswerChecks { judge: Some(judge), .. }, .. }) => {
                    (path.key("check").key("judge"), &judge.judge)
                }
                _ => return,
            };
            let provider = config.models.get(judge).map(|model| &model.provider);
            let section = provider.and_then(|provider| config.providers.get(provider));
            if section.is_some_and(|section| section.credential == Credential::Passthrough) {
                let message = format!(
                    "`{judge}` is at a provider with `credential: passthrough`, and a judge's question is no client's (allowed: a model \
                     whose provider has a key of its own, or needs none)"
                );
                problems.extend(config.problem(&path.key("judge"), message));
            }
        });
    }
    problems
}
