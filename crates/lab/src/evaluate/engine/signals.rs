//! What a policy wants to know of a logged request: out of the log, or out of its text.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pointsman_classifier::{Ask, Bundle, BundleError, Classifier, Exemplars, Host, Runtime};
use pointsman_core::config::{Batch, Cache, KeyPath, Name, Similarity, Strategy};
use pointsman_core::features::Features;
use pointsman_core::policy::Policy;
use pointsman_core::scores::{Degraded, Scores};
use pointsman_telemetry::Metrics;
use tokio::time::Instant;

use super::{Engine, EngineError, Lack, Trial};

/// How long a prompt may take; nobody is waiting behind a proxy here.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is known of a classifier's bundle, and the classifier once a text needed it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) sha256: Arc<str>,
    pub(super) labels: BTreeMap<String, Vec<Arc<str>>>,
    running: Option<Classifier>,
}

impl Engine {
    /// Finds the scores of a classifier: from the log where the same bundle gave all that the policy reads, else from the
    /// text.
    pub(super) async fn find_scores(
        &mut self,
        policy: &Policy,
        classifier: Name,
        trial: &mut Trial<'_>,
    ) -> Result<Option<Lack>, EngineError> {
        let logged = self.logged_scores(policy, &classifier, trial);
        let scores = match (logged, trial.logged.whole_text()) {
            (Some(scores), _) => scores,
            (None, None) => return Ok(Some(Lack::Scores)),
            (None, Some(text)) if text.trim().is_empty() => Err(Degraded::NoText),
            (None, Some(text)) => Ok(self.classify(&classifier, text, &trial.features).await?),
        };
        trial.signals.add_scores(classifier, scores);
        Ok(None)
    }

    fn logged_scores(
        &self,
        policy: &Policy,
        classifier: &Name,
        Trial { logged, .. }: &Trial<'_>,
    ) -> Option<Result<Scores, Degraded>> {
        let known = self.bundles.get(classifier)?;
        logged.bundle.as_ref().filter(|bundle| *known.sha256 == *bundle.sha256)?;
        if let Some(degraded) = logged.degraded() {
            return Some(Err(degraded));
        }
        // A head that nobody read then may be missing: the lexical heads were enough.
        let scores = logged.scores(|head| known.labels.get(head).cloned())?;
        policy.heads_of(classifier).iter().all(|head| scores.head(head).is_some()).then_some(Ok(scores))
    }

    /// Compares the text with the examples of the strategy at `path`.
    pub(super) async fn find_similarities(
        &mut self,
        path: Arc<str>,
        trial: &mut Trial<'_>,
    ) -> Result<Option<Lack>, EngineError> {
        let Some(text) = trial.logged.whole_text() else { return Ok(Some(Lack::Text)) };
        let near = if text.trim().is_empty() {
            Err(Degraded::NoText)
        } else {
            let unscored = |reason| EngineError::Unscored { reason };
            let section = self.similarity(&path).ok_or(unscored(Degraded::BundleUnavailable))?;
            let exemplars = self.exemplars(&path, &section)?;
            let classifier = self.running(&section.classifier)?;
            let embedding = classifier.embed(text, &trial.features, Instant::now() + PATIENCE).await;
            Ok(exemplars.similarities(&embedding.map_err(unscored)?))
        };
        trial.signals.similarities.push((path, near));
        Ok(None)
    }

    fn similarity(&self, wanted: &str) -> Option<Similarity> {
        let mut found = None;
        for (index, policy) in self.config.policies.iter().enumerate() {
            let path = KeyPath::root().key("policies").index(index).key("strategy");
            policy.strategy.visit(&path, &mut |path, strategy| match strategy {
                Strategy::Similarity(similarity) if path.to_string() == wanted => found = Some(similarity.clone()),
                _ => {}
            });
        }
        found
    }

    fn exemplars(&mut self, path: &Arc<str>, section: &Similarity) -> Result<Arc<Exemplars>, EngineError> {
        if let Some(known) = self.exemplars.get(path) {
            return Ok(Arc::clone(known));
        }
        let base_dir = self.base_dir.clone();
        let made = Exemplars::of(section, &base_dir, self.running(&section.classifier)?);
        let made = made.map_err(|message| EngineError::Exemplars { strategy: Arc::clone(path), message })?;
        self.exemplars.insert(Arc::clone(path), Arc::clone(&made));
        Ok(made)
    }

    async fn classify(&mut self, name: &Name, text: &str, features: &Features) -> Result<Scores, EngineError> {
        // The cascade stops where it would while serving: when the heads that policies read are sure.
        let heads: Vec<Name> = self.policies.heads_of(name).cloned().collect();
        let ask = Ask { text, features, deadline: Instant::now() + PATIENCE, heads: &heads };
        let scores = self.running(name)?.judge(ask).await;
        let scores = scores.and_then(|scores| scores.source.degraded().map_or(Ok(scores), Err));
        scores.map_err(|reason| EngineError::Unscored { reason })
    }

    /// Returns a classifier, which is started when it is first needed.
    fn running(&mut self, name: &Name) -> Result<&Classifier, EngineError> {
        let known = self.bundles.get_mut(name).ok_or(EngineError::Unscored { reason: Degraded::BundleUnavailable })?;
        if known.running.is_none() {
            let mut section = self.config.classifiers[name].clone();
            section.cache = Cache { max_entries: 0, max_bytes: 0 };
            section.batch = Batch::of_one();
            let (runtime, metrics) = (Runtime::load()?, Arc::new(Metrics::new()));
            let host = Host { base_dir: self.base_dir.clone(), runtime, metrics };
            let started = Classifier::start(name, &section, &host);
            known.running = Some(started.map_err(|source| EngineError::Bundle { name: name.clone(), source })?);
        }
        known.running.as_ref().ok_or(EngineError::Unscored { reason: Degraded::WorkerGone })
    }
}

impl Known {
    pub(super) fn open(folder: &Path) -> Result<Self, BundleError> {
        let bundle = Bundle::open(folder)?;
        let heads = bundle.manifest().heads.iter();
        let labels = heads.map(|head| {
            (
                head.name.to_string(),
                head.labels.iter().map(|label| Arc::from(label.as_str())).collect::<Vec<Arc<str>>>(),
            )
        });
        Ok(Self { sha256: Arc::clone(&bundle.identity().sha256), labels: labels.collect(), running: None })
    }
}
