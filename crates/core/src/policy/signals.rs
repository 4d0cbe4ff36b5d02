//! The signals that a policy may need before it decides, and those that are known for a request.

use std::sync::Arc;

use super::decision::UnansweredQuestion;
use super::facts::RequestFacts;
use super::rule_memory::RuleMemory;
use crate::config::Name;
use crate::features::Features;
use crate::scores::{ClassifierFailure, Scores};

/// The signals that are known so far about one request: start with the default and add what [`Signal`] names.
#[derive(Debug, Default)]
pub struct KnownSignals {
    /// The classifiers that were asked, in that order.
    pub scores: Vec<ClassifierAnswer>,
    /// The prompt's similarities to the routes of strategies, by the strategies' paths.
    pub similarities: Vec<(Arc<str>, Result<RouteSimilarities, ClassifierFailure>)>,
    /// The judges' answers, by the paths of the strategies that asked.
    pub judgements: Vec<(Arc<str>, Result<Judgement, UnansweredQuestion>)>,
    /// The pin of the request's conversation, as far as it is known.
    pub pin: PinLookup,
    /// The memory of what the rules of a policy came to.
    pub(super) tried: RuleMemory,
}

/// The evidence of one request: its facts, its features, and the signals that are known so far.
#[derive(Clone, Copy)]
pub(super) struct RequestEvidence<'e> {
    pub(super) facts: &'e RequestFacts<'e>,
    pub(super) features: &'e Features,
    pub(super) signals: &'e KnownSignals,
}

/// The pin of a request's conversation, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PinLookup {
    /// The pin was not looked up yet.
    #[default]
    Unknown,
    /// The conversation has no pin: the request is its first, or belongs to none.
    Nothing,
    /// The conversation has this pin.
    To(ModelPin),
}

/// The pin of a conversation: what is remembered of its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPin {
    /// The pinned model, which the policy's strategy chose; `None` while only others chose.
    pub home: Option<Name>,
    /// The model that answered the last request.
    pub last: Name,
    /// Seconds since the first request.
    pub age: u64,
    /// Seconds since the last request.
    pub idle: u64,
    /// The length of the last request, in bytes.
    pub bytes: u64,
}

/// The answer of a classifier that was asked.
#[derive(Debug, Clone)]
pub struct ClassifierAnswer {
    /// The classifier's name.
    pub classifier: Name,
    /// The scores, or the reason why there are none.
    pub scores: Result<Scores, ClassifierFailure>,
}

/// The similarities of a prompt to each route of a strategy, in their order, and to its background after them if it has
/// one: the mean cosine of the nearest texts, -1 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteSimilarities(pub Vec<f32>);

/// The answer of a judge that a policy asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The label of one of the strategy's choices.
    pub label: Arc<str>,
    /// The judge's confidence in the label, 0 to 1; `None` when it did not say.
    pub confidence: Option<f32>,
    /// The judge's own words for the label; bounded, and as private as the prompt, which they may quote.
    pub rationale: Option<Arc<str>>,
    /// The question's cost, in US dollars; 0 when the answer was remembered, `None` when the judge has no price.
    pub cost_usd: Option<f64>,
    /// Tells whether the answer was remembered from an earlier question.
    pub is_cached: bool,
}

/// A signal that a policy needs before it can decide. Strategies are named by their path in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// The pin of the request's conversation.
    Pin,
    /// The scores of a classifier.
    Scores {
        /// The classifier's name.
        classifier: Name,
    },
    /// The prompt's similarities to a strategy's routes.
    Similarities {
        /// The strategy's path in the configuration.
        strategy: Arc<str>,
    },
    /// The answer of a strategy's judge.
    Judgement {
        /// The strategy's path in the configuration.
        strategy: Arc<str>,
    },
}

impl KnownSignals {
    /// Returns what `classifier` answered; `None` until it was asked.
    #[must_use]
    pub fn scores_of(&self, classifier: &Name) -> Option<Result<&Scores, ClassifierFailure>> {
        let asked = self.scores.iter().find(|asked| asked.classifier == *classifier)?;
        Some(asked.scores.as_ref().map_err(|degraded| *degraded))
    }

    /// Takes what `classifier` answered.
    pub fn add_scores(&mut self, classifier: Name, scores: Result<Scores, ClassifierFailure>) {
        self.scores.push(ClassifierAnswer { classifier, scores });
    }

    /// Returns what judges cost so far, in US dollars; `None` where nothing is paid for, or not known.
    #[must_use]
    pub fn cost_usd(&self) -> Option<f64> {
        let cost = |judgement: &Result<Judgement, UnansweredQuestion>| match judgement {
            Ok(judgement) => judgement.cost_usd,
            Err(unanswered) => unanswered.cost_usd,
        };
        let costs = self.judgements.iter().filter_map(|(_, judgement)| cost(judgement));
        costs.reduce(|sum, cost| sum + cost)
    }

    pub(super) fn scores_or_ask(&self, classifier: &Name) -> Result<Result<&Scores, ClassifierFailure>, Signal> {
        self.scores_of(classifier).ok_or_else(|| Signal::Scores { classifier: classifier.clone() })
    }

    pub(super) fn similarities(
        &self,
        strategy: &Arc<str>,
    ) -> Result<Result<&RouteSimilarities, ClassifierFailure>, Signal> {
        let known = self.similarities.iter().find(|(own, _)| own == strategy);
        let known = known.map(|(_, similarities)| similarities.as_ref().map_err(|degraded| *degraded));
        known.ok_or_else(|| Signal::Similarities { strategy: Arc::clone(strategy) })
    }

    pub(super) fn judgement(&self, strategy: &Arc<str>) -> Result<Result<&Judgement, UnansweredQuestion>, Signal> {
        let known = self.judgements.iter().find(|(own, _)| own == strategy);
        let known = known.map(|(_, judgement)| judgement.as_ref().map_err(|unanswered| *unanswered));
        known.ok_or_else(|| Signal::Judgement { strategy: Arc::clone(strategy) })
    }
}
