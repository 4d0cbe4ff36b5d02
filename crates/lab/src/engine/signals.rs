//! The signals of a logged request: out of the log, or out of its text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pointsman_classifier::{
    Bundle, Classifier, ClassifierError, ClassifierHost, ExemplarIndex, OnnxRuntime, ScoreRequest, ScoredHeads,
};
use pointsman_core::config::{BatchLimits, Config, KeyPath, Name, ScoreCacheLimits, SimilarityConfig, StrategyConfig};
use pointsman_core::features::Features;
use pointsman_core::policy::{
    Judgement, PinLookup, Policy, PolicySet, RouteSimilarities, SignalSource, UnansweredQuestion,
};
use pointsman_core::scores::{ClassifierFailure, HeadLabels, Scores};
use pointsman_telemetry::Metrics;
use tokio::time::Instant;

use super::world::LoggedWorld;
use super::{EngineError, MissingEvidence};

/// The deadline of a prompt; nobody is waiting behind a proxy here.
const PATIENCE: Duration = Duration::from_secs(600);

/// A classifier's bundle, and the classifier itself once a text needed it.
#[derive(Debug)]
pub(super) struct OfflineClassifier {
    pub(super) sha256: Arc<str>,
    pub(super) labels: BTreeMap<String, HeadLabels>,
    running: Option<Classifier>,
}

/// The classifiers of a configuration, each started when a text first needs it, and the examples that they embedded.
#[derive(Debug)]
pub(super) struct TextScorers {
    pub(super) bundles: BTreeMap<Name, OfflineClassifier>,
    pub(super) exemplars: BTreeMap<Arc<str>, Arc<ExemplarIndex>>,
    pub(super) base_dir: PathBuf,
}

/// The source of the signals of a logged request.
pub(super) struct LoggedSignals<'s> {
    pub(super) config: &'s Config,
    /// The policies whose heads say when a cascade of classifiers may stop.
    pub(super) heads_of: &'s PolicySet,
    pub(super) policy: &'s Policy,
    pub(super) world: &'s LoggedWorld<'s>,
    pub(super) features: &'s Features,
    pub(super) scorers: &'s mut TextScorers,
}

/// The end of a decision before its outcome.
pub(super) enum DecisionStop {
    /// The decision rests on something that the log does not hold.
    Lack(MissingEvidence),
    /// A text had to be scored and was not.
    Failed(EngineError),
}

impl SignalSource for LoggedSignals<'_> {
    type Stop = DecisionStop;

    /// Every request is decided on its own.
    async fn pin(&mut self) -> Result<PinLookup, DecisionStop> {
        self.check()?;
        Ok(PinLookup::Nothing)
    }

    /// Finds the scores in the log where the same bundle gave all that the policy reads, else scores the text.
    async fn scores(&mut self, classifier: &Name) -> Result<Result<Scores, ClassifierFailure>, DecisionStop> {
        self.check()?;
        match (self.logged_scores(classifier), self.world.logged.whole_text()) {
            (Some(scores), _) => Ok(scores),
            (None, None) => Err(DecisionStop::Lack(MissingEvidence::Scores)),
            (None, Some(text)) if text.trim().is_empty() => Ok(Err(ClassifierFailure::NoText)),
            (None, Some(text)) => Ok(Ok(self.classify(classifier, text).await?)),
        }
    }

    /// Compares the text with the examples of the strategy.
    async fn similarities(
        &mut self,
        strategy: &str,
    ) -> Result<Result<RouteSimilarities, ClassifierFailure>, DecisionStop> {
        self.check()?;
        let Some(text) = self.world.logged.whole_text() else { return Err(DecisionStop::Lack(MissingEvidence::Text)) };
        if text.trim().is_empty() {
            return Ok(Err(ClassifierFailure::NoText));
        }
        let unscored = |reason| EngineError::Unscored { reason };
        let section = similarity(self.config, strategy).ok_or(unscored(ClassifierFailure::BundleUnavailable))?;
        let exemplars = self.scorers.exemplars(self.config, strategy, &section)?;
        let classifier = self.scorers.running(self.config, &section.classifier)?;
        let embedding = classifier.embed(text, self.features, Instant::now() + PATIENCE).await;
        Ok(Ok(exemplars.similarities(&embedding.map_err(unscored)?)))
    }

    async fn judgement(&mut self, strategy: &str) -> Result<Result<Judgement, UnansweredQuestion>, DecisionStop> {
        self.check()?;
        Err(DecisionStop::Lack(MissingEvidence::Judge(strategy.into())))
    }
}

impl LoggedSignals<'_> {
    /// Gives up where the last step read something that the log does not hold.
    fn check(&self) -> Result<(), DecisionStop> {
        self.world.lacks.get().map_or(Ok(()), |lack| Err(DecisionStop::Lack(lack.clone())))
    }

    fn logged_scores(&self, classifier: &Name) -> Option<Result<Scores, ClassifierFailure>> {
        let logged = self.world.logged;
        let known = self.scorers.bundles.get(classifier)?;
        logged.bundle.as_ref().filter(|bundle| *known.sha256 == *bundle.sha256)?;
        if let Some(degraded) = logged.degraded() {
            return Some(Err(degraded));
        }
        // A head that nobody read then may be missing: the lexical heads were enough.
        let scores = logged.scores(|head| known.labels.get(head).cloned())?;
        self.policy.heads_of(classifier).iter().all(|head| scores.head(head).is_some()).then_some(Ok(scores))
    }

    async fn classify(&mut self, name: &Name, text: &str) -> Result<Scores, EngineError> {
        // The cascade stops where it would while serving: when the heads that policies read are sure.
        let heads: Vec<Name> = self.heads_of.heads_of(name).cloned().collect();
        let ask = ScoreRequest {
            text,
            features: self.features,
            deadline: Instant::now() + PATIENCE,
            heads: &heads,
            scored: ScoredHeads::All,
        };
        let scores = self.scorers.running(self.config, name)?.score(ask).await;
        let scores = scores.and_then(|scores| scores.source.degraded().map_or(Ok(scores), Err));
        scores.map_err(|reason| EngineError::Unscored { reason })
    }
}

impl TextScorers {
    fn exemplars(
        &mut self,
        config: &Config,
        path: &str,
        section: &SimilarityConfig,
    ) -> Result<Arc<ExemplarIndex>, EngineError> {
        if let Some(known) = self.exemplars.get(path) {
            return Ok(Arc::clone(known));
        }
        let base_dir = self.base_dir.clone();
        let made = ExemplarIndex::of(section, &base_dir, self.running(config, &section.classifier)?);
        let made = made.map_err(|message| EngineError::Exemplars { strategy: path.into(), message })?;
        self.exemplars.insert(path.into(), Arc::clone(&made));
        Ok(made)
    }

    /// Returns a classifier, which is started when it is first needed.
    fn running(&mut self, config: &Config, name: &Name) -> Result<&Classifier, EngineError> {
        let known =
            self.bundles.get_mut(name).ok_or(EngineError::Unscored { reason: ClassifierFailure::BundleUnavailable })?;
        if known.running.is_none() {
            let mut section = config.classifiers[name].clone();
            section.cache = ScoreCacheLimits { max_entries: 0, max_bytes: 0 };
            section.batch = BatchLimits::of_one();
            let (runtime, metrics) = (OnnxRuntime::load()?, Arc::new(Metrics::new()));
            let host = ClassifierHost { base_dir: self.base_dir.clone(), runtime, metrics };
            let started = Classifier::start(name, &section, &host);
            known.running = Some(started.map_err(|source| EngineError::Bundle { name: name.clone(), source })?);
        }
        known.running.as_ref().ok_or(EngineError::Unscored { reason: ClassifierFailure::WorkerGone })
    }
}

impl From<EngineError> for DecisionStop {
    fn from(error: EngineError) -> Self {
        Self::Failed(error)
    }
}

impl OfflineClassifier {
    pub(super) fn open(folder: &Path) -> Result<Self, ClassifierError> {
        let bundle = Bundle::open(folder)?;
        let manifest = bundle.manifest();
        let labels = manifest.heads.iter().map(|head| (head.name.to_string(), manifest.labels_of(head)));
        Ok(Self { sha256: Arc::clone(&bundle.identity().sha256), labels: labels.collect(), running: None })
    }
}

/// Returns the section of the similarity strategy at the path `wanted`.
fn similarity(config: &Config, wanted: &str) -> Option<SimilarityConfig> {
    let mut found = None;
    for (index, policy) in config.policies.iter().enumerate() {
        let path = KeyPath::root().key("policies").index(index).key("strategy");
        policy.strategy.visit(&path, &mut |path, strategy| match strategy {
            StrategyConfig::Similarity(similarity) if path.to_string() == wanted => found = Some(similarity.clone()),
            _ => {}
        });
    }
    found
}
