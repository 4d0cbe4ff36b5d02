//! A configuration that decides without serving: no listeners, no keys, no upstreams. What `calibrate` and `replay`
//! ask.
//!
//! Scores come from the log where the same bundle gave them, else from the text, which starts the classifier. What a
//! decision rests on and neither tells, is named instead of guessed ([`MissingEvidence`]). Every request is decided on
//! its own, as the strategy sees it: pins and targets are left out.

mod signals;
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use pointsman_classifier::{ClassifierError, OnnxRuntimeError};
use pointsman_core::config::{self, Config, ConfigProblems, Name};
use pointsman_core::features::{Features, TokenCounter};
use pointsman_core::policy::{
    Decision, DecisionDetail, KnownSignals, PolicyOutcome, PolicyParticipation, PolicySet, RequestFacts, RuleTrace,
};
use pointsman_core::prompt::conversation_key;
use pointsman_core::scores::{ClassifierFailure, OfferedHead, Scores};
use pointsman_telemetry::decision_log::record::LoggedFeatures;
use serde_json::{Value, json};

use self::signals::{DecisionStop, LoggedSignals, OfflineClassifier, TextScorers};
use self::world::LoggedWorld;
pub use self::world::{MissingEvidence, UsualAnswers};
use crate::dataset::asked::AskedPrompt;
use crate::decision_log::LoggedDecision;

/// Parts of a request that rules can read and that are neither in the log nor a header.
const UNLOGGED: [&str; 2] = ["request.model", "request.path"];

/// A configuration that decides without serving.
#[derive(Debug)]
pub struct OfflineEngine {
    /// The configuration.
    pub config: Config,
    policies: Arc<PolicySet>,
    usual: UsualAnswers,
    scorers: TextScorers,
}

/// A logged request that is decided anew, and what was found out for it so far.
pub(crate) struct ReplayTrial<'l> {
    logged: &'l LoggedDecision,
    /// True when nothing but a prompt is decided: it has no headers that could be missing.
    is_prompt: bool,
    features: Features,
    pub(crate) signals: KnownSignals,
}

/// A configuration's decision of a logged request.
#[derive(Debug)]
pub enum ReplayedDecision {
    /// A model, and the scores that it was chosen by.
    Chosen(Box<Decision>, Option<Scores>),
    /// The configuration has no policy of that name: the request would pass through.
    Passed,
    /// The policy refuses the request.
    Refused,
    /// The log does not hold what the decision rests on.
    Unknown(MissingEvidence),
}

/// Errors of a configuration that decides offline.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum EngineError {
    /// The file holds mistakes.
    #[error(transparent)]
    Config(#[from] ConfigProblems),
    /// A classifier's bundle cannot be used.
    #[error("classifiers.{name}.bundle: {source}")]
    Bundle { name: Name, source: ClassifierError },
    /// ONNX Runtime is missing, and texts must be scored.
    #[error("ONNX Runtime is missing")]
    OnnxRuntime(#[from] OnnxRuntimeError),
    /// A text got no scores.
    #[error("the classifier gave no scores ({})", reason.as_str())]
    Unscored { reason: ClassifierFailure },
    /// A strategy has nothing to compare prompts with.
    #[error("{strategy}: {message}")]
    Exemplars { strategy: Arc<str>, message: String },
    /// There is no such policy.
    #[error("there is no policy `{name}` (allowed: {allowed})")]
    NoPolicy { name: String, allowed: String },
    /// No policy is named, and there is not one alone.
    #[error("the configuration has {count} policies: name one (allowed: {allowed})")]
    UnnamedPolicy { count: usize, allowed: String },
}

impl OfflineEngine {
    /// Reads the configuration at `path`, its rules and its bundles' manifests.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let config = Config::load(path)?;
        let file = path.display().to_string();
        let policies = PolicySet::compile(&config).map_err(|problems| ConfigProblems::new(&file, problems))?;
        let base_dir = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut bundles = BTreeMap::new();
        let mut problems = Vec::new();
        for (name, section) in &config.classifiers {
            // A server elsewhere is not asked: what it said stands in the log, and else nothing does.
            let Some(folder) = section.folder(&base_dir) else { continue };
            let known = OfflineClassifier::open(&folder);
            let known = known.map_err(|source| EngineError::Bundle { name: name.clone(), source })?;
            let heads = known.labels.iter().map(|(head, labels)| OfferedHead::new(head, labels));
            problems.extend(policies.check_labels(name, heads));
            bundles.insert(name.clone(), known);
        }
        if !problems.is_empty() {
            return Err(ConfigProblems::new(&file, problems).into());
        }
        let scorers = TextScorers { bundles, exemplars: BTreeMap::new(), base_dir };
        Ok(Self { config, policies: Arc::new(policies), usual: UsualAnswers::default(), scorers })
    }

    /// Takes in how models answer, which `utility` weighs.
    pub fn assume(&mut self, usual: UsualAnswers) {
        self.usual = usual;
    }

    /// Returns the position of the policy called `name`; of the only one without a name.
    ///
    /// # Errors
    /// When there is none, or more than one to choose from.
    pub fn policy(&self, name: Option<&str>) -> Result<usize, EngineError> {
        let policies = &self.config.policies;
        let allowed = || policies.iter().map(|policy| policy.name.as_str()).collect::<Vec<_>>().join(", ");
        match name {
            None if policies.len() == 1 => Ok(0),
            None => Err(EngineError::UnnamedPolicy { count: policies.len(), allowed: allowed() }),
            Some(name) => policies
                .iter()
                .position(|policy| policy.name.as_str() == name)
                .ok_or_else(|| EngineError::NoPolicy { name: name.to_owned(), allowed: allowed() }),
        }
    }

    /// Decides a logged request anew.
    ///
    /// # Errors
    /// When a text had to be scored and was not.
    pub async fn replay(&mut self, logged: &LoggedDecision) -> Result<ReplayedDecision, EngineError> {
        let policies = Arc::clone(&self.policies);
        self.decide(&policies, &mut ReplayTrial::of(logged)).await
    }

    /// Decides a prompt that was never sent, by the policy called `policy`.
    ///
    /// # Errors
    /// When the text had to be scored and was not.
    pub(crate) async fn decide_prompt(
        &mut self,
        policy: &Name,
        asked: &AskedPrompt,
    ) -> Result<ReplayedDecision, EngineError> {
        let (policies, logged) = (Arc::clone(&self.policies), as_logged(policy, asked));
        self.decide(&policies, &mut ReplayTrial::of_prompt(&logged)).await
    }

    /// Decides a logged request by `policies`, which are ours or some that read the same.
    ///
    /// # Errors
    /// When a text had to be scored and was not.
    pub(crate) async fn decide(
        &mut self,
        policies: &PolicySet,
        trial: &mut ReplayTrial<'_>,
    ) -> Result<ReplayedDecision, EngineError> {
        let named = policies.iter().find(|policy| policy.name().as_str() == trial.logged.policy);
        let Some(policy) = named else { return Ok(ReplayedDecision::Passed) };
        let ReplayTrial { logged, is_prompt, features, signals } = trial;
        let world = LoggedWorld {
            logged,
            is_prompt: *is_prompt,
            usual: &self.usual,
            config: &self.config,
            client: client_of(&self.config, logged),
            lacks: OnceLock::new(),
        };
        // The policy is known by its name, so what the client asked for does not matter to its `match`.
        let (client, now) = (logged.client.as_deref(), logged.at());
        let facts = RequestFacts { model: "", path: "", client, now, live: &world, detail: DecisionDetail::Decision };
        let outcome = match policy.participation(&facts) {
            PolicyParticipation::None => return Ok(ReplayedDecision::Passed),
            PolicyParticipation::StandIn(reason) => policy.stand_in(reason, &facts, features),
            PolicyParticipation::Decide => {
                let (config, heads_of) = (&self.config, &*self.policies);
                let scorers = &mut self.scorers;
                let mut source = LoggedSignals { config, heads_of, policy, world: &world, features, scorers };
                match policy.decide(&facts, features, signals, &mut source).await {
                    Ok(outcome) => outcome,
                    Err(DecisionStop::Lack(lack)) => return Ok(ReplayedDecision::Unknown(lack)),
                    Err(DecisionStop::Failed(error)) => return Err(error),
                }
            }
        };
        let tried = match &outcome {
            PolicyOutcome::Decided(decision) => &decision.rules,
            PolicyOutcome::Denied(denial) => &denial.rules,
        };
        let unlogged =
            || unlogged(&self.config, policy.name(), tried).filter(|_| !*is_prompt).map(MissingEvidence::Request);
        if let Some(lack) = world.lacks.into_inner().or_else(unlogged) {
            return Ok(ReplayedDecision::Unknown(lack));
        }
        Ok(match outcome {
            PolicyOutcome::Decided(decision) => {
                let scores = signals.scores.last().and_then(|asked| asked.scores.clone().ok());
                ReplayedDecision::Chosen(Box::new(decision), scores)
            }
            PolicyOutcome::Denied(_) => ReplayedDecision::Refused,
        })
    }
}

impl<'l> ReplayTrial<'l> {
    /// Begins with nothing but what the line says.
    pub(crate) fn of(logged: &'l LoggedDecision) -> Self {
        Self { logged, is_prompt: false, features: logged.features(), signals: KnownSignals::default() }
    }

    /// Begins with a prompt that was never sent.
    pub(crate) fn of_prompt(logged: &'l LoggedDecision) -> Self {
        Self { is_prompt: true, ..Self::of(logged) }
    }
}

/// Returns a prompt as a line that says all there is to know of it.
///
/// # Panics
/// Never: features are a map.
pub(crate) fn as_logged(policy: &Name, asked: &AskedPrompt) -> LoggedDecision {
    let (request, text) = (asked.request(), &asked.text);
    let prompt = request.prompt();
    let Value::Object(features) = json!(Features::of(&prompt, &TokenCounter::new())) else { unreachable!("a map") };
    LoggedDecision {
        policy: policy.to_string().into(),
        features: LoggedFeatures::Read(features),
        conversation: Some(format!("{:016x}", conversation_key::beginning(&prompt)).into()),
        text_bytes: text.len(),
        text: Some(text.to_owned().into()),
        ..LoggedDecision::default()
    }
}

/// Returns the client of a logged request, if the configuration knows it.
fn client_of<'c>(config: &'c Config, logged: &LoggedDecision) -> Option<&'c config::ClientConfig> {
    let (name, clients) = (logged.client.as_deref()?, config.clients.as_ref()?);
    clients.iter().find(|(own, _)| *own.as_str() == *name).map(|(_, client)| client)
}

/// Returns what the rules that were tried read of the request, themselves or through a macro, that no log holds.
fn unlogged(config: &Config, policy: &Name, tried: &[RuleTrace]) -> Option<&'static str> {
    let section = config.policies.iter().find(|own| own.name == *policy)?;
    let mut whens = tried.iter().filter_map(|trace| section.rules.get(trace.rule)).map(|rule| &rule.when);
    let reads = |when: &String, part: &str| {
        let by_macro =
            |(name, value): (&String, &String)| when.contains(&format!("macros.{name}")) && value.contains(part);
        when.contains(part) || config.macros.iter().any(by_macro)
    };
    whens.find_map(|when| UNLOGGED.into_iter().find(|part| reads(when, part)))
}
