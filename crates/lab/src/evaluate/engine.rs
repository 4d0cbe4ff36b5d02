//! A configuration that decides without serving: no listeners, no keys, no upstreams. What `calibrate` and `replay` ask.
//!
//! Scores come from the log where the same bundle gave them, else from the text, which starts the classifier. What a
//! decision rests on and neither tells, is named instead of guessed ([`Lack`]). Every request is decided on its own, as the
//! strategy sees it: pins and targets are left out.

mod signals;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use pointsman_classifier::{BundleError, Exemplars, RuntimeError};
use pointsman_core::config::{Config, Mode, Name, Problems};
use pointsman_core::features::Features;
use pointsman_core::policy::{
    Decision, Detail, Held, Policy, PolicySet, Reason, RequestFacts, RuleTrace, Signal, Signals, Step,
};
use pointsman_core::scores::{Degraded, Scores};

use self::signals::Known;
use self::world::LoggedWorld;
pub use self::world::{Lack, Usual};
use super::log::LoggedDecision;

/// What rules can read of a request that is not in the log and is no header.
const UNLOGGED: [&str; 2] = ["request.model", "request.path"];

/// A configuration that decides without serving.
#[derive(Debug)]
pub struct Engine {
    /// The configuration.
    pub config: Config,
    policies: Arc<PolicySet>,
    bundles: BTreeMap<Name, Known>,
    exemplars: BTreeMap<Arc<str>, Arc<Exemplars>>,
    usual: Usual,
    base_dir: PathBuf,
}

/// A logged request that is decided anew, and what was found out for it so far.
pub(super) struct Trial<'l> {
    logged: &'l LoggedDecision,
    /// Whether nothing but a prompt is decided: it has no headers that could be missing.
    is_prompt: bool,
    features: Features,
    pub(super) signals: Signals,
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
    /// The log does not hold what the decision rests on.
    Unknown(Lack),
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
    /// A strategy has nothing to compare prompts with.
    #[error("{strategy}: {message}")]
    Exemplars {
        /// Where it stands.
        strategy: Arc<str>,
        /// What is wrong.
        message: String,
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
        let (policies, exemplars, usual) = (Arc::new(policies), BTreeMap::new(), Usual::default());
        Ok(Self { config, policies, bundles, exemplars, usual, base_dir })
    }

    /// Takes in how models answer, which `utility` weighs.
    pub fn assume(&mut self, usual: Usual) {
        self.usual = usual;
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
        let policies = Arc::clone(&self.policies);
        self.decide(&policies, &mut Trial::of(logged)).await
    }

    /// Decides a logged request by `policies`, which are ours or some that read the same.
    ///
    /// # Errors
    /// When a text had to be scored and was not.
    pub(super) async fn decide(
        &mut self,
        policies: &PolicySet,
        trial: &mut Trial<'_>,
    ) -> Result<Replayed, EngineError> {
        let named = |policy: &&Policy| policy.name().as_str() == trial.logged.policy && policy.mode() != Mode::Off;
        let Some(policy) = policies.iter().find(named) else { return Ok(Replayed::Passed) };
        loop {
            let lack = match self.step(policy, trial) {
                Err(lack) => Some(lack),
                Ok(Step::Decide(decision)) => {
                    let scores = trial.signals.scores.last().and_then(|asked| asked.scores.clone().ok());
                    return Ok(Replayed::Chosen(Box::new(decision), scores));
                }
                Ok(Step::Deny(_)) => return Ok(Replayed::Refused),
                Ok(Step::Need(Signal::Scores { classifier })) => self.find_scores(policy, classifier, trial).await?,
                Ok(Step::Need(Signal::Similarities { strategy })) => self.find_similarities(strategy, trial).await?,
                Ok(Step::Need(Signal::Judgement { strategy })) => Some(Lack::Judge(strategy)),
                Ok(Step::Need(Signal::Pin)) => {
                    trial.signals.pin = Held::Nothing;
                    None
                }
            };
            if let Some(lack) = lack {
                return Ok(Replayed::Unknown(lack));
            }
        }
    }

    /// Takes one step. The policy is known by its name, so what the client asked for does not matter to its `match`.
    fn step(&self, policy: &Policy, Trial { logged, features, signals, is_prompt }: &Trial<'_>) -> Result<Step, Lack> {
        let clients = self.config.clients.as_ref();
        let client = logged.client.as_deref().and_then(|name| clients?.iter().find(|(own, _)| *own.as_str() == *name));
        let client = client.map(|(_, section)| section);
        let is_prompt = *is_prompt;
        let world = LoggedWorld { logged, is_prompt, usual: &self.usual, client, lacks: OnceLock::new() };
        let (client, now) = (logged.client.as_deref(), logged.at());
        let facts = RequestFacts { model: "", path: "", client, now, live: &world, detail: Detail::Decision };
        let step = if policy.mode() == Mode::Shadow || policy.is_rolled_out_to(&facts) {
            policy.step(&facts, features, signals)
        } else {
            policy.stand_in(Reason::NotRolledOut, &facts, features)
        };
        let tried: &[RuleTrace] = match &step {
            Step::Decide(decision) => &decision.rules,
            Step::Deny(denial) => &denial.rules,
            Step::Need(_) => &[],
        };
        let unlogged = || self.unlogged(policy.name(), tried).filter(|_| !is_prompt).map(Lack::Request);
        world.lacks.into_inner().or_else(unlogged).map_or(Ok(step), Err)
    }

    /// Returns what the rules that were tried read of the request, themselves or through a macro, that no log holds.
    fn unlogged(&self, policy: &Name, tried: &[RuleTrace]) -> Option<&'static str> {
        let section = self.config.policies.iter().find(|own| own.name == *policy)?;
        let mut whens = tried.iter().filter_map(|trace| section.rules.get(trace.rule)).map(|rule| &rule.when);
        let reads = |when: &String, part: &str| {
            let by_macro =
                |(name, value): (&String, &String)| when.contains(&format!("macros.{name}")) && value.contains(part);
            when.contains(part) || self.config.macros.iter().any(by_macro)
        };
        whens.find_map(|when| UNLOGGED.into_iter().find(|part| reads(when, part)))
    }
}

impl<'l> Trial<'l> {
    /// Begins with nothing but what the line says.
    pub(super) fn of(logged: &'l LoggedDecision) -> Self {
        Self { logged, is_prompt: false, features: logged.features(), signals: Signals::default() }
    }

    /// Begins with a prompt that was never sent.
    pub(super) fn of_prompt(logged: &'l LoggedDecision) -> Self {
        Self { is_prompt: true, ..Self::of(logged) }
    }
}
