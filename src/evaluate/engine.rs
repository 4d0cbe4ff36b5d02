//! A configuration that decides without serving: no listeners, no keys, no upstreams. What `calibrate` and `replay` ask.
//!
//! Scores come from the log where the same bundle gave them, else from the text, which starts the classifier. Where there
//! is neither, it says so instead of guessing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::log::LoggedDecision;
use crate::classifier::{Ask, Bundle, BundleError, Classifier, Host, Runtime, RuntimeError};
use crate::config::{Batch, Cache, Config, Name, Problems};
use crate::features::{Features, TokenCounter};
use crate::policy::{Decision, Held, Policy, PolicySet, RequestFacts, Signal, Signals, Step};
use crate::prompt::{Dialect, Prompt};
use crate::scores::{Degraded, Scores};
use crate::telemetry::Metrics;

/// How long a prompt may take; nobody is waiting behind a proxy here.
const PATIENCE: Duration = Duration::from_secs(600);

/// A configuration that decides without serving.
#[derive(Debug)]
pub struct Engine {
    /// The configuration.
    pub config: Config,
    policies: PolicySet,
    bundles: BTreeMap<Name, Known>,
    base_dir: PathBuf,
}

/// What is known of a classifier's bundle, and the classifier once a text needed it.
#[derive(Debug)]
struct Known {
    sha256: Arc<str>,
    labels: BTreeMap<String, Vec<Arc<str>>>,
    running: Option<Classifier>,
}

/// What a configuration makes of a logged request.
#[derive(Debug)]
pub enum Replayed {
    /// A model, and the scores that it was chosen by.
    Chosen(Box<Decision>, Option<Scores>),
    /// The configuration has no policy of that name: the request would pass through.
    Passed,
    /// The policy refuses the request.
    Refused,
    /// The bundle is another one and the log holds no whole text to score again.
    Unscored,
}

/// Why a configuration does not decide.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The file holds mistakes.
    #[error(transparent)]
    Config(#[from] Problems),
    /// A classifier's bundle cannot be used.
    #[error("classifiers.{name}.bundle: {source}")]
    Bundle {
        /// The classifier.
        name: Name,
        /// What is wrong.
        source: BundleError,
    },
    /// ONNX Runtime is missing, and texts must be scored.
    #[error("ONNX Runtime is missing")]
    OnnxRuntime(#[from] RuntimeError),
    /// A text got no scores.
    #[error("the classifier gave no scores ({})", reason.as_str())]
    Unscored {
        /// Why.
        reason: Degraded,
    },
    /// There is no such policy.
    #[error("there is no policy `{name}` (allowed: {allowed})")]
    NoPolicy {
        /// The name that was asked for.
        name: String,
        /// Those that there are.
        allowed: String,
    },
}

impl Engine {
    /// Reads the configuration at `path`, its rules and its bundles' manifests.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let config = Config::load(path)?;
        let file = path.display().to_string();
        let policies = PolicySet::compile(&config).map_err(|problems| Problems::new(&file, problems))?;
        let base_dir = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut bundles = BTreeMap::new();
        let mut problems = Vec::new();
        for (name, section) in &config.classifiers {
            let known = Known::open(&base_dir.join(&section.bundle));
            let known = known.map_err(|source| EngineError::Bundle { name: name.clone(), source })?;
            let heads = known.labels.iter().map(|(head, labels)| (head.as_str(), labels.as_slice()));
            problems.extend(policies.check_labels(name, heads));
            bundles.insert(name.clone(), known);
        }
        if !problems.is_empty() {
            return Err(Problems::new(&file, problems).into());
        }
        Ok(Self { config, policies, bundles, base_dir })
    }

    /// Returns the position of the policy called `name`; of the only one without a name.
    ///
    /// # Errors
    /// When there is none, or more than one to choose from.
    pub fn policy(&self, name: Option<&str>) -> Result<usize, EngineError> {
        let policies = &self.config.policies;
        match name {
            None if policies.len() == 1 => Ok(0),
            name => policies.iter().position(|policy| Some(policy.name.as_str()) == name).ok_or_else(|| {
                let allowed = policies.iter().map(|policy| policy.name.as_str()).collect::<Vec<_>>().join(", ");
                EngineError::NoPolicy { name: name.unwrap_or_default().to_owned(), allowed }
            }),
        }
    }

    /// Decides a logged request anew.
    ///
    /// # Errors
    /// When a text had to be scored and was not.
    pub async fn replay(&mut self, logged: &LoggedDecision) -> Result<Replayed, EngineError> {
        let mut signals = Signals::default();
        loop {
            let Some(policy) = self.policies.iter().find(|policy| policy.name().as_str() == logged.policy) else {
                return Ok(Replayed::Passed);
            };
            match step(policy, &logged.features(), &signals) {
                Step::Decide(decision) => {
                    let scores = signals.scores.pop().and_then(|asked| asked.scores.ok());
                    return Ok(Replayed::Chosen(Box::new(decision), scores));
                }
                Step::Deny(_) => return Ok(Replayed::Refused),
                Step::Need(Signal::Scores { classifier }) => match self.logged_scores(&classifier, logged).await? {
                    Some(scores) => signals.add_scores(classifier, scores),
                    None => return Ok(Replayed::Unscored),
                },
                // Rows are decided each on its own, as the strategy sees them.
                Step::Need(Signal::Pin) => signals.pin = Held::Nothing,
                // Neither is in the log, and asking a judge again would cost money and may give another answer.
                Step::Need(Signal::Similarities { .. } | Signal::Judgement { .. }) => return Ok(Replayed::Unscored),
            }
        }
    }

    /// Returns the scores that the strategy of the policy at `index` would get for a prompt; `None` when a rule decides it.
    ///
    /// # Errors
    /// When the classifier gives none.
    pub async fn score(&mut self, index: usize, text: &str) -> Result<Option<(Scores, Features)>, EngineError> {
        let features = features(text);
        let policy = self.policies.iter().nth(index);
        let mut signals = Signals::default();
        signals.pin = Held::Nothing; // a row of its own
        let first = policy.map(|policy| step(policy, &features, &signals));
        let Some(Step::Need(Signal::Scores { classifier })) = first else { return Ok(None) };
        let scores = self.classify(&classifier, text, &features).await?;
        Ok(Some((scores, features)))
    }

    /// Returns the scores of a logged request; `None` when there are none to be had.
    ///
    /// # Errors
    /// When its text had to be scored and was not.
    pub async fn logged_scores(
        &mut self,
        classifier: &Name,
        logged: &LoggedDecision,
    ) -> Result<Option<Result<Scores, Degraded>>, EngineError> {
        let known = self.bundles.get(classifier);
        let same = known.zip(logged.bundle.as_ref()).filter(|(known, bundle)| *known.sha256 == *bundle.sha256);
        if let Some((known, _)) = same {
            if let Some(degraded) = logged.degraded() {
                return Ok(Some(Err(degraded)));
            }
            if let Some(scores) = logged.scores(|head| known.labels.get(head).cloned()) {
                return Ok(Some(Ok(scores)));
            }
        }
        match logged.whole_text() {
            Some(text) if !text.trim().is_empty() => {
                self.classify(classifier, text, &logged.features()).await.map(|scores| Some(Ok(scores)))
            }
            Some(_) => Ok(Some(Err(Degraded::NoText))),
            None => Ok(None),
        }
    }

    async fn classify(&mut self, name: &Name, text: &str, features: &Features) -> Result<Scores, EngineError> {
        // The cascade stops where it would while serving: when the heads that policies read are sure.
        let heads: Vec<Name> = self.policies.heads_of(name).cloned().collect();
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
        let Some(classifier) = &known.running else {
            return Err(EngineError::Unscored { reason: Degraded::WorkerGone });
        };
        let ask = Ask { text, features, deadline: Instant::now() + PATIENCE, heads: &heads };
        let scores = classifier.judge(ask).await.and_then(|scores| scores.source.degraded().map_or(Ok(scores), Err));
        scores.map_err(|reason| EngineError::Unscored { reason })
    }
}

impl Known {
    fn open(folder: &Path) -> Result<Self, BundleError> {
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

/// The policy is known by its name, so what the client asked for and its headers do not matter.
fn step(policy: &Policy, features: &Features, signals: &Signals) -> Step {
    policy.step(&RequestFacts::bare("", ""), features, signals)
}

fn features(text: &str) -> Features {
    let body = json!({"model": "engine", "messages": [{"role": "user", "content": text}]}).to_string();
    let prompt = Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a body of our own parses");
    Features::of(&prompt, &TokenCounter::new())
}
