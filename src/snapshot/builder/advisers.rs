//! Making the judges and embedding the exemplars of a snapshot, and keeping those that did not change.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_classifier::{ExemplarIndex, ExemplarTexts};
use pointsman_core::config::{Config, ConfigProblem, KeyPath, Name, SimilarityConfig, StrategyConfig};
use pointsman_core::scores::ClassifierFailure;

use super::SnapshotBuilder;
use super::answer_advisers::AnswerAdviceContext;
use crate::judge::{Judge, JudgeContext, ProbabilityJudge};
use crate::snapshot::advisers::{StrategyAdvisers, StrategyExemplars};
use crate::snapshot::classifier_handle::ClassifierHandle;
use crate::snapshot::state::ClassifierState;
use crate::upstream::{ProviderCaller, Upstreams};

/// The place of a strategy in the configuration.
#[derive(Clone, Copy)]
struct StrategyPlace<'p> {
    config: &'p Config,
    path: &'p KeyPath,
}

impl SnapshotBuilder {
    /// Makes the judges and embeds the exemplars of every strategy, or takes over what `previous` has.
    pub(super) fn advisers(
        &self,
        config: &Config,
        upstreams: &Upstreams,
        classifiers: &BTreeMap<Name, ClassifierState>,
        previous: Option<&StrategyAdvisers>,
    ) -> Result<StrategyAdvisers, Vec<ConfigProblem>> {
        let (mut advisers, mut problems) = (StrategyAdvisers::default(), Vec::new());
        for (index, policy) in config.policies.iter().enumerate() {
            let path = KeyPath::root().key("policies").index(index).key("strategy");
            policy.strategy.visit(&path, &mut |path, strategy| {
                let key: Arc<str> = path.to_string().into();
                match strategy {
                    StrategyConfig::Judge(judge) => {
                        let Some(deployment) = upstreams.model(&judge.judge) else { return };
                        let caller = self.caller.get_or_init(|| Arc::new(ProviderCaller::new()));
                        let old = previous.and_then(|advisers| advisers.judges.get(&key)).map(|judge| &**judge);
                        let (policy, catalog) = (&policy.name, &config.models);
                        let asks = JudgeContext { policy, catalog, caller, metrics: &self.metrics };
                        let judge = Judge::new(judge, deployment, asks, old);
                        advisers.judges.insert(key, Arc::new(judge));
                    }
                    StrategyConfig::Similarity(similarity) => {
                        let old = previous.and_then(|advisers| advisers.exemplars(&key).ok()).map(|(_, old)| old);
                        let place = StrategyPlace { config, path };
                        match self.compared(place, similarity, classifiers, old) {
                            Ok(compared) => {
                                advisers.warnings.extend(compared.warnings(place, similarity));
                                advisers.exemplars.insert(key, compared);
                            }
                            Err(problem) => problems.extend(problem),
                        }
                    }
                    StrategyConfig::Escalate(section) => {
                        let context = AnswerAdviceContext { policy: &policy.name, config, upstreams };
                        let old = previous.and_then(|advisers| advisers.on_answers(&key)).map(|old| &**old);
                        let made = self.answer_advisers(path, section, context, old);
                        advisers.answers.insert(key, Arc::new(made));
                    }
                    _ => {}
                }
            });
        }
        for (name, section) in &config.decisions {
            let deployment = section.judge.as_ref().and_then(|judge| upstreams.model(judge));
            let Some(deployment) = deployment else { continue };
            let caller = self.caller.get_or_init(|| Arc::new(ProviderCaller::new()));
            let judge = ProbabilityJudge::new(name, section, deployment, caller, &self.metrics);
            advisers.decision_judges.insert(name.clone(), Arc::new(judge));
        }
        let is_news = |warning: &&ConfigProblem| previous.is_none_or(|before| !before.warnings.contains(warning));
        for warning in advisers.warnings.iter().filter(is_news) {
            tracing::warn!(key = warning.path, "{}", warning.message);
        }
        if problems.is_empty() { Ok(advisers) } else { Err(problems) }
    }

    fn compared(
        &self,
        place: StrategyPlace<'_>,
        section: &SimilarityConfig,
        classifiers: &BTreeMap<Name, ClassifierState>,
        old: Option<&Arc<ExemplarIndex>>,
    ) -> Result<StrategyExemplars, Option<ConfigProblem>> {
        let StrategyPlace { config, path } = place;
        let texts = ExemplarTexts::read(section, self.base_dir()).map_err(|(route, message)| {
            config.problem(&path.key("routes").index(route).key("examples_file"), message)
        })?;
        let classifier = section.classifier.clone();
        let exemplars = match classifiers.get(&classifier) {
            Some(ClassifierState::Ready(ready)) => match ready.bundle().filter(|bundle| bundle.can_embed()) {
                Some(bundle) => ExemplarIndex::build(section, texts, bundle, old),
                None => return is_no_embedder(place, &classifier, ready),
            },
            Some(ClassifierState::Unavailable { reason, .. }) => Err(*reason),
            None => Err(ClassifierFailure::BundleUnavailable), // validation refuses a strategy that names no classifier
        };
        if let Err(degraded) = &exemplars {
            tracing::error!(%classifier, strategy = %path, reason = degraded.as_str(), "No prompt can be compared");
        }
        Ok(StrategyExemplars { classifier, exemplars })
    }
}

impl StrategyExemplars {
    fn warnings(
        &self,
        StrategyPlace { config, path }: StrategyPlace<'_>,
        section: &SimilarityConfig,
    ) -> Vec<ConfigProblem> {
        let found = self.exemplars.iter().flat_map(|exemplars| exemplars.warnings(section, path));
        found.filter_map(|(path, message)| config.problem(&path, message)).collect()
    }
}

/// A bundle that will never embed is a mistake in the configuration; one whose encoder is down is not.
fn is_no_embedder(
    StrategyPlace { config, path }: StrategyPlace<'_>,
    name: &Name,
    classifier: &ClassifierHandle,
) -> Result<StrategyExemplars, Option<ConfigProblem>> {
    if let Some(reason) = classifier.encoder_down() {
        return Ok(StrategyExemplars { classifier: name.clone(), exemplars: Err(reason) });
    }
    let message = format!("classifier `{name}` makes no embeddings to compare (allowed: a bundle with an encoder)");
    Err(config.problem(&path.key("classifier"), message))
}
