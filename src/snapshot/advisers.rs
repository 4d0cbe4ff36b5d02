//! What strategies ask for besides scores: judges, and texts to compare prompts with.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_classifier::{Classifier, Exemplars, Texts};
use pointsman_core::config::{Config, Credential, KeyPath, Name, Problem, Similarity, Strategy};
use pointsman_core::scores::Degraded;

use super::{Builder, ClassifierState, Snapshot};
use crate::judge::{Asks, Judge};
use crate::upstream::{Caller, Upstreams};

/// Judges and exemplars, by the path of the strategy that asks them.
#[derive(Debug, Default)]
pub struct Advisers {
    judges: BTreeMap<Arc<str>, Arc<Judge>>,
    exemplars: BTreeMap<Arc<str>, Compared>,
    /// What cannot be meant, as far as only an encoder can tell.
    warnings: Vec<Problem>,
}

/// What one strategy compares prompts with.
#[derive(Debug)]
struct Compared {
    classifier: Name,
    exemplars: Result<Arc<Exemplars>, Degraded>,
}

/// Where a strategy stands.
#[derive(Clone, Copy)]
struct Place<'p> {
    config: &'p Config,
    path: &'p KeyPath,
}

impl Advisers {
    /// Returns the judge of the strategy at `path`.
    #[must_use]
    pub fn judge(&self, path: &str) -> Option<&Arc<Judge>> {
        self.judges.get(path)
    }

    /// Returns whether a decision may wait for another model's answer.
    #[must_use]
    pub fn have_judges(&self) -> bool {
        !self.judges.is_empty()
    }

    /// Returns what the strategy at `path` compares prompts with, and the classifier that embeds them.
    ///
    /// # Errors
    /// Why there is nothing to compare with.
    pub fn exemplars(&self, path: &str) -> Result<(&Name, &Arc<Exemplars>), Degraded> {
        let Compared { classifier, exemplars } = self.exemplars.get(path).ok_or(Degraded::BundleUnavailable)?;
        exemplars.as_ref().map(|exemplars| (classifier, exemplars)).map_err(|degraded| *degraded)
    }

    /// Returns what cannot be meant of routes and thresholds: those that the encoder does not tell apart.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Returns whether replacing `other` by it would change nothing that the configuration does not say.
    #[must_use]
    pub fn serve_like(&self, other: &Self) -> bool {
        let same = |own: &Compared, other: &Compared| match (&own.exemplars, &other.exemplars) {
            (Ok(own), Ok(other)) => own.serves_like(other),
            (Err(own), Err(other)) => own == other,
            _ => false,
        };
        self.exemplars.len() == other.exemplars.len()
            && self.exemplars.iter().all(|(path, own)| other.exemplars.get(path).is_some_and(|other| same(own, other)))
    }
}

impl Builder {
    /// Makes the judges and embeds the exemplars of every strategy, or takes over what `previous` has.
    pub(super) fn advisers(
        &self,
        config: &Config,
        upstreams: &Upstreams,
        classifiers: &BTreeMap<Name, ClassifierState>,
        previous: Option<&Snapshot>,
    ) -> Result<Advisers, Vec<Problem>> {
        let (mut advisers, mut problems) = (Advisers::default(), Vec::new());
        let before = previous.map(|snapshot| &*snapshot.advisers);
        for (index, policy) in config.policies.iter().enumerate() {
            let path = KeyPath::root().key("policies").index(index).key("strategy");
            policy.strategy.visit(&path, &mut |path, strategy| {
                let key: Arc<str> = path.to_string().into();
                match strategy {
                    Strategy::Judge(judge) => {
                        let Some(target) = upstreams.model(&judge.judge) else { return };
                        let caller = self.caller.get_or_init(|| Arc::new(Caller::new()));
                        let old = before.and_then(|advisers| advisers.judges.get(&key)).map(|judge| &**judge);
                        let (policy, catalog) = (&policy.name, &config.models);
                        let asks = Asks { policy, catalog, caller, metrics: &self.metrics };
                        let judge = Judge::new(judge, target, asks, old);
                        advisers.judges.insert(key, Arc::new(judge));
                    }
                    Strategy::Similarity(similarity) => {
                        let old = before.and_then(|advisers| advisers.exemplars(&key).ok()).map(|(_, old)| old);
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
        let is_news = |warning: &&Problem| before.is_none_or(|before| !before.warnings.contains(warning));
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

/// Finds judges whose provider has no key of its own: nobody's request pays for a question.
pub(super) fn check_judges(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, policy) in config.policies.iter().enumerate() {
        let path = KeyPath::root().key("policies").index(index).key("strategy");
        policy.strategy.visit(&path, &mut |path, strategy| {
            let Strategy::Judge(judge) = strategy else { return };
            let provider = config.models.get(&judge.judge).map(|model| &model.provider);
            let section = provider.and_then(|provider| config.providers.get(provider));
            if section.is_some_and(|section| section.credential == Credential::Passthrough) {
                let message = format!(
                    "`{}` is at a provider with `credential: passthrough`, and a judge's question is no client's (allowed: a model \
                     whose provider has a key of its own, or needs none)",
                    judge.judge
                );
                problems.extend(config.problem(&path.key("judge"), message));
            }
        });
    }
    problems
}
