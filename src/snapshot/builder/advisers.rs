//! Making the judges and embedding the exemplars of a snapshot, and keeping those that did not change.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_classifier::{Classifier, Exemplars, Texts};
use pointsman_core::config::{Config, KeyPath, Name, Problem, Similarity, Strategy};
use pointsman_core::scores::Degraded;

use super::Builder;
use crate::judge::{Asks, Judge};
use crate::snapshot::advisers::{Advisers, Compared};
use crate::snapshot::state::ClassifierState;
use crate::upstream::{Caller, Upstreams};

/// The place of a strategy in the configuration.
#[derive(Clone, Copy)]
struct Place<'p> {
    config: &'p Config,
    path: &'p KeyPath,
}

impl Builder {
    /// Makes the judges and embeds the exemplars of every strategy, or takes over what `previous` has.
    pub(super) fn advisers(
        &self,
        config: &Config,
        upstreams: &Upstreams,
        classifiers: &BTreeMap<Name, ClassifierState>,
        previous: Option<&Advisers>,
    ) -> Result<Advisers, Vec<Problem>> {
        let (mut advisers, mut problems) = (Advisers::default(), Vec::new());
        for (index, policy) in config.policies.iter().enumerate() {
            let path = KeyPath::root().key("policies").index(index).key("strategy");
            policy.strategy.visit(&path, &mut |path, strategy| {
                let key: Arc<str> = path.to_string().into();
                match strategy {
                    Strategy::Judge(judge) => {
                        let Some(deployment) = upstreams.model(&judge.judge) else { return };
                        let caller = self.caller.get_or_init(|| Arc::new(Caller::new()));
                        let old = previous.and_then(|advisers| advisers.judges.get(&key)).map(|judge| &**judge);
                        let (policy, catalog) = (&policy.name, &config.models);
                        let asks = Asks { policy, catalog, caller, metrics: &self.metrics };
                        let judge = Judge::new(judge, deployment, asks, old);
                        advisers.judges.insert(key, Arc::new(judge));
                    }
                    Strategy::Similarity(similarity) => {
                        let old = previous.and_then(|advisers| advisers.exemplars(&key).ok()).map(|(_, old)| old);
                        let place = Place { config, path };
                        match self.compared(place, similarity, classifiers, old) {
                            Ok(compared) => {
                                advisers.warnings.extend(compared.warnings(place, similarity));
                                advisers.exemplars.insert(key, compared);
                            }
                            Err(problem) => problems.extend(problem),
                        }
                    }
                    _ => {}
                }
            });
        }
        let is_news = |warning: &&Problem| previous.is_none_or(|before| !before.warnings.contains(warning));
        for warning in advisers.warnings.iter().filter(is_news) {
            tracing::warn!(key = warning.path, "{}", warning.message);
        }
        if problems.is_empty() { Ok(advisers) } else { Err(problems) }
    }

    fn compared(
        &self,
        place: Place<'_>,
        section: &Similarity,
        classifiers: &BTreeMap<Name, ClassifierState>,
        old: Option<&Arc<Exemplars>>,
    ) -> Result<Compared, Option<Problem>> {
        let Place { config, path } = place;
        let texts = Texts::read(section, self.base_dir()).map_err(|(route, message)| {
            config.problem(&path.key("routes").index(route).key("examples_file"), message)
        })?;
        let classifier = section.classifier.clone();
        let exemplars = match classifiers.get(&classifier) {
            Some(ClassifierState::Ready(ready)) if ready.can_embed() => Exemplars::build(section, texts, ready, old),
            Some(ClassifierState::Ready(ready)) => return is_no_embedder(place, &classifier, ready),
            Some(ClassifierState::Unavailable { reason, .. }) => Err(*reason),
            None => Err(Degraded::BundleUnavailable), // validation refuses a strategy that names no classifier
        };
        if let Err(degraded) = &exemplars {
            tracing::error!(%classifier, strategy = %path, reason = degraded.as_str(), "No prompt can be compared");
        }
        Ok(Compared { classifier, exemplars })
    }
}

impl Compared {
    fn warnings(&self, Place { config, path }: Place<'_>, section: &Similarity) -> Vec<Problem> {
        let found = self.exemplars.iter().flat_map(|exemplars| exemplars.warnings(section, path));
        found.filter_map(|(path, message)| config.problem(&path, message)).collect()
    }
}

/// A bundle that will never embed is a mistake in the configuration; one whose encoder is down is not.
fn is_no_embedder(
    Place { config, path }: Place<'_>,
    name: &Name,
    classifier: &Classifier,
) -> Result<Compared, Option<Problem>> {
    if let Some(reason) = classifier.down() {
        return Ok(Compared { classifier: name.clone(), exemplars: Err(reason) });
    }
    let message = format!("classifier `{name}` makes no embeddings to compare (allowed: a bundle with an encoder)");
    Err(config.problem(&path.key("classifier"), message))
}
